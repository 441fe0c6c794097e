"""The bodies of REST calls: which kinds are read, and what they say."""

from typing import Any

import msgspec

from flask_signalr.emulator.rest_request import RestRequest
from flask_signalr.errors import BadRequest, UnsupportedMediaType
from flask_signalr.messages import InvocationMessage


def require_json(request: RestRequest) -> None:
    """Check that a body is said to be JSON.

    Raises:
        UnsupportedMediaType: It is not.
    """
    if request.content_type != "application/json":
        raise UnsupportedMediaType("The body must be application/json.")


def read_message(body: bytes) -> InvocationMessage:
    """Return the invocation that a JSON body describes; the case of its members does not matter.

    Raises:
        BadRequest: The body is no such message.
    """
    if not body.strip():
        raise BadRequest("Message in request body is required.")
    return message_of(read_json(body))


def read_json(body: bytes) -> Any:
    """Return what a JSON body holds.

    Raises:
        BadRequest: The body is no JSON.
    """
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError) as exc:
        raise BadRequest(f"The body is no JSON: {str(exc)[:200]}") from exc


def message_of(content: Any) -> InvocationMessage:
    """Return the invocation that a decoded body describes.

    Raises:
        BadRequest: It describes none.
    """
    members = folded(content)
    target, arguments = members.get("target"), members.get("arguments")
    if not isinstance(target, str) or not target:
        raise BadRequest("The body's 'target' must be the name of the method to call, as text.")
    if arguments is not None and not isinstance(arguments, list):
        raise BadRequest("The body's 'arguments' must be an array.")
    return InvocationMessage(target=target, arguments=tuple(arguments or ()))


def folded(content: Any) -> dict[str, Any]:
    """Return the members of an object by their names in lower case.

    Raises:
        BadRequest: It is no object, or two names differ in case only.
    """
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise BadRequest("The body must hold an object, whose names are text.")
    members = {name.lower(): value for name, value in content.items()}
    if len(members) < len(content):
        raise BadRequest("The body has two members whose names differ in case only.")
    return members
