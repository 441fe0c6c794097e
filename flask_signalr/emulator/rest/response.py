"""The answers of the data-plane REST API as values, and the one kind of answer that is late."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import msgspec

INVALID_REQUEST = "Error.Request.Invalid"
"""The code of a call that is not understood."""


@dataclass(frozen=True)
class RestResponse:
    """The answer to a call.

    Attributes:
        status: The HTTP status.
        headers: The headers.
        body: The body; an answer to ``HEAD`` has none.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


def json_response(status: int, content: object, headers: Mapping[str, str] | None = None) -> RestResponse:
    """Return an answer whose body is JSON."""
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return RestResponse(status, kind | dict(headers or {}), msgspec.json.encode(content))


def error_response(
    status: int, message: str, code: str | None = None, headers: Mapping[str, str] | None = None
) -> RestResponse:
    """Return an answer that tells of an error: the swagger's ``ErrorDetail``, and its code in a header.

    Args:
        status: The HTTP status.
        message: What is wrong and what to change; shown to the caller.
        code: The code that callers branch on; that of an invalid or an unauthorized request if ``None``.
        headers: More headers.
    """
    code = code or ("Unauthorized" if status == 401 else INVALID_REQUEST)
    return json_response(status, {"code": code, "message": message}, {"x-ms-error-code": code, **(headers or {})})


def identified(response: RestResponse) -> RestResponse:
    """Return the answer with an id of its own, which a log line or a bug report can name."""
    return replace(response, headers={**response.headers, "x-ms-request-id": secrets.token_hex(8)})


class PendingResult:
    """An answer that is still to come: a client was asked, and has not spoken yet.

    Args:
        within: Seconds to wait for it.
        give_up: Forgets the question, and returns the answer to a caller who waited in vain.
    """

    def __init__(self, within: float, give_up: Callable[[], RestResponse]) -> None:
        self.within = within
        self.give_up = give_up
        self.response: RestResponse | None = None
        self._listener: Callable[[RestResponse], None] | None = None

    def settle(self, response: RestResponse) -> None:
        """Take the answer and hand it to the listener; only the first one counts."""
        if self.response is None:
            self.response = response
            if self._listener is not None:
                self._listener(response)

    def listen(self, listener: Callable[[RestResponse], None]) -> None:
        """Call this once with the answer: now, if there is one already."""
        self._listener = listener
        if self.response is not None:
            listener(self.response)
