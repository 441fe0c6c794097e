"""The bodies of REST calls: which kinds are read, and what they say."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from flask_signalr.emulator.rest.request import RestRequest
from flask_signalr.errors import BadRequest, ProtocolError, UnsupportedMediaType
from flask_signalr.hub_protocols import HUB_PROTOCOLS
from flask_signalr.messages import InvocationMessage

JSON, MESSAGEPACK, FRAMED = "application/json", "application/x-msgpack", "application/octet-stream"
"""An object, the same in MessagePack, or a MessagePack map of messages as the clients' protocols frame them."""

MESSAGE_KINDS = (JSON, MESSAGEPACK, FRAMED)
"""What a message may be sent as."""

_DECODERS: Mapping[str, Callable[[bytes], Any]] = {JSON: msgspec.json.decode, MESSAGEPACK: msgspec.msgpack.decode}


def read_value(request: RestRequest, kinds: tuple[str, ...] = (JSON, MESSAGEPACK)) -> Any:
    """Return what a body holds.

    Args:
        request: The call.
        kinds: The media types that it may be of.

    Raises:
        BadRequest: The body is not what its type says.
        UnsupportedMediaType: It is of another type.
    """
    if request.content_type not in kinds:
        raise UnsupportedMediaType(f"The body must be {' or '.join(kinds)}.")
    if not request.body.strip():
        raise BadRequest("Message in request body is required.")
    try:
        return _DECODERS[request.content_type](request.body)
    except (ValueError, RecursionError) as exc:
        raise BadRequest(f"The body is no {request.content_type}: {str(exc)[:200]}") from exc


def read_message(request: RestRequest) -> InvocationMessage:
    """Return the invocation that a body describes; the case of its members does not matter.

    Raises:
        BadRequest: It describes none.
        UnsupportedMediaType: It is of a type that is not read.
    """
    if request.content_type == FRAMED:
        return next(message for _, _, message in _framed(request.body))
    return message_of(read_value(request, MESSAGE_KINDS))


def read_framed(request: RestRequest) -> Mapping[str, bytes]:
    """Return the framed messages of a body, by the protocols that they are for; each was read and is an invocation.

    Raises:
        BadRequest: One of them is none, or there is none.
    """
    return {name: data for name, data, _ in _framed(request.body)}


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


def _framed(body: bytes) -> list[tuple[str, bytes, InvocationMessage]]:
    """Return the protocols of a framed body, with the bytes for each and the invocation in them."""
    try:
        content = msgspec.msgpack.decode(body, type=dict[str, bytes])
    except (ValueError, RecursionError) as exc:
        raise BadRequest(f"The body is no MessagePack map of protocols to messages: {str(exc)[:200]}") from exc
    read = list(_read_frames(content))
    if not read:
        raise BadRequest(f"The body must hold a message for one of the protocols {', '.join(HUB_PROTOCOLS)}.")
    return read


def _read_frames(content: Mapping[str, bytes]) -> Iterator[tuple[str, bytes, InvocationMessage]]:
    """Yield what is for a protocol that is known here; others are none of this service's business."""
    for name, data in content.items():
        if name in HUB_PROTOCOLS:
            try:
                payloads, rest = HUB_PROTOCOLS[name].split(data)
                messages = [HUB_PROTOCOLS[name].parse(payload) for payload in payloads]
            except ProtocolError as exc:
                raise BadRequest(f"The body's message for '{name}' cannot be read: {exc}") from exc
            match messages:
                case [InvocationMessage(invocation_id=None, target=target) as message] if target and not rest:
                    yield name, data, message
                case _:
                    raise BadRequest(f"The body's message for '{name}' must be one invocation without an id.")
