"""The JSON hub protocol: one object a message, each ended by a record separator.

Source: dotnet/aspnetcore:src/SignalR/docs/specs/HubProtocol.md.
"""

import re
from typing import Any, get_args

import msgspec

from flask_signalr.errors import ProtocolError
from flask_signalr.messages import HubMessage
from flask_signalr.protocol import (
    KNOWN_TYPES,
    NESTING_LIMIT,
    RECORD_SEPARATOR,
    TOO_DEEP,
    TOO_LARGE,
    TransferFormat,
    check_bounds,
    is_of_later_type,
    reason,
)

_LONG_NUMBER = re.compile(rb"[0-9]{19}")

_MEMBERS = {
    name.lower(): name
    for name in (
        "type", "headers", "invocationId", "target", "arguments", "streamIds", "item", "result", "error",
        "allowReconnect",
    )
}  # fmt: skip
"""The members of all messages, by their names in lower case."""

_KINDS: dict[Any, Any] = {kind.__struct_config__.tag: kind for kind in get_args(HubMessage)}
"""The messages by their types: of a union msgspec would list the members anew at each message."""


class JsonHubProtocol:
    """The codec of the JSON hub protocol."""

    name = "json"
    version = 1
    transfer_format = TransferFormat.TEXT
    content_type = "application/json"
    frame_header_size = 0

    def __init__(self) -> None:
        self._decoder: msgspec.json.Decoder[HubMessage] = msgspec.json.Decoder(HubMessage)
        self._object_decoder = msgspec.json.Decoder(dict[str, Any])
        self._type_decoder = msgspec.json.Decoder(_TypeOnly)
        self._encoder = msgspec.json.Encoder()

    def encode(self, message: HubMessage) -> bytes:
        """Return the message as JSON text in UTF-8, with its record separator.

        ``NaN`` and the infinities become ``null``, as in JavaScript; bytes become base64, as in .NET.

        Raises:
            ProtocolError: The message holds what JSON or some client cannot carry: a lone surrogate, an object
                of no JSON type, an integer beyond 64 bits, more than `NESTING_LIMIT` levels.
        """
        try:
            payload = self._encoder.encode(message)
        except RecursionError as exc:
            raise ProtocolError(TOO_DEEP) from exc
        except (TypeError, ValueError, OverflowError) as exc:
            raise ProtocolError(f"the message cannot be written as JSON: {reason(exc)}") from exc
        _check_bounds(payload)
        return payload + RECORD_SEPARATOR

    def split(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Return the records that are complete, and what follows the last separator."""
        *records, rest = data.split(RECORD_SEPARATOR)
        return records, rest

    def parse(self, payload: bytes) -> HubMessage | None:
        """Return the message of one record, ``None`` for an unknown type; unknown members are ignored.

        Raises:
            ProtocolError: The record is no JSON, no message, or beyond the bounds that `encode` keeps.
        """
        try:
            message = self._decoder.decode(payload)
        except msgspec.ValidationError as exc:
            if is_of_later_type(payload, self._type_decoder.decode):
                return None
            raise _no_message(exc) from exc
        except RecursionError as exc:
            raise ProtocolError(TOO_DEEP) from exc
        except ValueError as exc:
            raise ProtocolError(f"the message is not valid JSON: {reason(exc)}") from exc
        _check_bounds(payload)
        return message

    def parse_any_case(self, payload: bytes) -> HubMessage | None:
        """Return the message of one record whose members may be written in any case, such as ``Target``.

        The bodies of upstream requests are written so, depending on who wrote them; clients never do.

        Raises:
            ProtocolError: As `parse`; or two members differ in case only, and nobody knows which is meant.
        """
        try:
            members = self._object_decoder.decode(payload)
        except RecursionError as exc:
            raise ProtocolError(TOO_DEEP) from exc
        except ValueError as exc:
            raise ProtocolError(f"the message is no JSON object: {reason(exc)}") from exc
        spelled = {_MEMBERS.get(name.lower(), name): value for name, value in members.items()}
        if len(spelled) < len(members):
            raise ProtocolError("the message has two members whose names differ in case only")
        _check_bounds(payload)
        kind = spelled.get("type")
        wanted = _KINDS.get(kind, HubMessage) if type(kind) is int else HubMessage
        try:
            message: HubMessage = msgspec.convert(spelled, wanted)
        except msgspec.ValidationError as exc:
            if type(kind) is int and kind not in KNOWN_TYPES:
                return None
            raise _no_message(exc) from exc
        return message


def _no_message(exc: Exception) -> ProtocolError:
    return ProtocolError(f"the message breaks the hub protocol: {reason(exc)}")


class _TypeOnly(msgspec.Struct):
    type: int


def _check_bounds(payload: bytes) -> None:
    """Check that no client stumbles over the nesting or the integers of a JSON text that could be read here.

    Most messages are cleared by a look at the bytes; only the others are read again.
    """
    if payload.count(b"[") + payload.count(b"{") <= NESTING_LIMIT and not _LONG_NUMBER.search(payload):
        return
    try:
        value = msgspec.json.decode(payload)
    except RecursionError as exc:
        raise ProtocolError(TOO_DEEP) from exc
    except ValueError as exc:
        raise ProtocolError(TOO_LARGE) from exc
    check_bounds(value)
