"""The query parameters that are more than text, and the rules of names that only REST calls use."""

import re

from flask_signalr.emulator.names import NOT_BLANK
from flask_signalr.emulator.rest.request import RestRequest
from flask_signalr.errors import BadRequest

LARGEST_NUMBER = 2**31 - 1
"""What the swagger's ``int32`` goes up to."""

LONGEST_STREAM_ID = 100
"""Characters of the id of a stream."""


def read_number(request: RestRequest, name: str, lowest: int, highest: int = LARGEST_NUMBER) -> int | None:
    """Return a query parameter that is a whole number; ``None`` if it is not given.

    Raises:
        BadRequest: It is none within the bounds, or given more than once.
    """
    text = request.single(name)
    if text is None:
        return None
    if text.isascii() and text.isdecimal() and len(text) <= 10 and lowest <= int(text) <= highest:
        return int(text)
    raise BadRequest(f"The query parameter '{name}' must be a whole number between {lowest} and {highest}.")


def read_flag(request: RestRequest, name: str) -> bool:
    """Return a query parameter that is ``true`` or ``false``; ``False`` if it is not given.

    Raises:
        BadRequest: It is neither, or given more than once.
    """
    text = (request.single(name) or "false").lower()
    if text not in {"true", "false"}:
        raise BadRequest(f"The query parameter '{name}' must be 'true' or 'false'.")
    return text == "true"


def stream_name(stream_id: str) -> str:
    """Return the id of a stream.

    Raises:
        BadRequest: It is too long or nothing but white space.
    """
    if len(stream_id) > LONGEST_STREAM_ID or not re.search(NOT_BLANK, stream_id):
        raise BadRequest(
            f"Invalid stream id. It must have 1 to {LONGEST_STREAM_ID} characters that are not all blanks."
        )
    return stream_id
