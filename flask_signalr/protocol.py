"""The hub protocol: the codecs that carry `flask_signalr.messages`.

A codec frames, reads and writes bytes (`HubProtocol`); who may say what, and when, is decided by those who use
it. Whatever arrives is hostile until it is parsed: everything that is not a message of the protocol is a
`ProtocolError`, and nothing leaves that another client could stumble over.

Source: dotnet/aspnetcore:src/SignalR/docs/specs/HubProtocol.md.
"""

import enum
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Protocol, TypeVar

import msgspec

from flask_signalr.errors import ProtocolError
from flask_signalr.messages import HandshakeRequest, HandshakeResponse, HubMessage

RECORD_SEPARATOR = b"\x1e"
"""What ends a handshake message and each JSON message."""

NESTING_LIMIT = 64
"""Arrays and objects inside each other; more would stop .NET clients (``JsonSerializerOptions.MaxDepth``)."""

_LARGEST_INTEGER = 2**64 - 1
_SMALLEST_INTEGER = -(2**63)
_LONG_NUMBER = re.compile(rb"[0-9]{19}")
_TOO_DEEP = f"the message is nested more than {NESTING_LIMIT} levels deep"
_TOO_LARGE = "an integer is beyond 64 bits, which not every client can read: send it as text"
_KNOWN_TYPES = range(1, 8)

_HandshakeT = TypeVar("_HandshakeT", HandshakeRequest, HandshakeResponse)


class TransferFormat(enum.Enum):
    """What a protocol needs a transport to carry; the values are the names of the negotiate answer."""

    TEXT = "Text"
    BINARY = "Binary"


class HubProtocol(Protocol):
    """A codec of hub messages."""

    @property
    def name(self) -> str:
        """What a handshake calls the protocol."""

    @property
    def version(self) -> int:
        """The highest version that it speaks."""

    @property
    def transfer_format(self) -> TransferFormat:
        """What it needs a transport to carry."""

    def encode(self, message: HubMessage) -> bytes:
        """Return the framed message, which may be sent as it is.

        Raises:
            ProtocolError: The message holds something that the protocol cannot carry to every client.
        """

    def split(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Return the payloads of the complete messages, without their frames, and the rest of the data."""

    def parse(self, payload: bytes) -> HubMessage | None:
        """Return the message of one payload, ``None`` for a type that the protocol does not know.

        Raises:
            ProtocolError: The payload is no message.
        """


class JsonHubProtocol:
    """The JSON hub protocol: one object a message, each ended by a record separator."""

    name = "json"
    version = 1
    transfer_format = TransferFormat.TEXT

    def __init__(self) -> None:
        self._decoder: msgspec.json.Decoder[HubMessage] = msgspec.json.Decoder(HubMessage)
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
            raise ProtocolError(_TOO_DEEP) from exc
        except (TypeError, ValueError, OverflowError) as exc:
            raise ProtocolError(f"the message cannot be written as JSON: {_reason(exc)}") from exc
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
            if _has_unknown_type(payload):
                return None
            raise ProtocolError(f"the message breaks the hub protocol: {_reason(exc)}") from exc
        except RecursionError as exc:
            raise ProtocolError(_TOO_DEEP) from exc
        except ValueError as exc:
            raise ProtocolError(f"the message is not valid JSON: {_reason(exc)}") from exc
        _check_bounds(payload)
        return message


HUB_PROTOCOLS: Mapping[str, HubProtocol] = MappingProxyType({"json": JsonHubProtocol()})
"""The protocols that a handshake may name."""


class MessageReader:
    """Puts the messages of a byte stream together, however it is cut.

    Args:
        protocol: The codec.
        limit: Bytes that one message may have.
    """

    def __init__(self, protocol: HubProtocol, limit: int) -> None:
        self._protocol = protocol
        self._limit = limit
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[HubMessage]:
        """Yield the messages that this data completes, each as soon as it is read.

        Exhaust it before the next call.

        Raises:
            ProtocolError: A message is too long or broken; those before it have been yielded.
        """
        payloads, self._rest = self._protocol.split(self._rest + data)
        for payload in payloads:
            self._check_length(payload)
            message = self._protocol.parse(payload)
            if message is not None:
                yield message
        self._check_length(self._rest)

    def _check_length(self, payload: bytes) -> None:
        if len(payload) > self._limit:
            raise ProtocolError(f"a message is longer than {self._limit} bytes")


def split_handshake(data: bytes, limit: int) -> tuple[bytes, bytes] | None:
    """Return the handshake record and what follows it, or ``None`` if more must come; messages may follow.

    Args:
        data: Everything that has arrived.
        limit: Bytes that the record may have.

    Raises:
        ProtocolError: It is longer.
    """
    record, separator, rest = data.partition(RECORD_SEPARATOR)
    if len(record) > limit:
        raise ProtocolError(f"the handshake is longer than {limit} bytes")
    return (record, rest) if separator else None


def parse_handshake_request(record: bytes) -> HandshakeRequest:
    """Return the handshake request of a record.

    Raises:
        ProtocolError: The record is none.
    """
    return _parse_handshake(record, HandshakeRequest)


def parse_handshake_response(record: bytes) -> HandshakeResponse:
    """Return the handshake response of a record.

    Raises:
        ProtocolError: The record is none.
    """
    return _parse_handshake(record, HandshakeResponse)


def encode_handshake(message: HandshakeRequest | HandshakeResponse) -> bytes:
    """Return a handshake message with its record separator; it is JSON whatever the protocol."""
    return msgspec.json.encode(message) + RECORD_SEPARATOR


def _parse_handshake(record: bytes, message_type: type[_HandshakeT]) -> _HandshakeT:
    try:
        return msgspec.json.decode(record, type=message_type)
    except (ValueError, RecursionError) as exc:
        raise ProtocolError(f"the handshake is not understood: {_reason(exc)}") from exc


class _TypeOnly(msgspec.Struct):
    type: int


def _has_unknown_type(payload: bytes) -> bool:
    """Tell whether a payload that is none of our messages is one of a type that came later."""
    try:
        return msgspec.json.decode(payload, type=_TypeOnly).type not in _KNOWN_TYPES
    except (ValueError, RecursionError):
        return False


def _check_bounds(payload: bytes) -> None:
    """Check that no client stumbles over the nesting or the integers of a JSON text that could be read here.

    Most messages are cleared by a look at the bytes; only the others are read again.
    """
    if payload.count(b"[") + payload.count(b"{") <= NESTING_LIMIT and not _LONG_NUMBER.search(payload):
        return
    try:
        waiting = [(msgspec.json.decode(payload), 1)]
    except RecursionError as exc:
        raise ProtocolError(_TOO_DEEP) from exc
    except ValueError as exc:
        raise ProtocolError(_TOO_LARGE) from exc
    while waiting:
        item, depth = waiting.pop()
        if isinstance(item, int) and not _SMALLEST_INTEGER <= item <= _LARGEST_INTEGER:
            raise ProtocolError(_TOO_LARGE)
        if isinstance(item, dict):
            item = list(item.values())
        if isinstance(item, list):
            if depth > NESTING_LIMIT:
                raise ProtocolError(_TOO_DEEP)
            waiting.extend((inner, depth + 1) for inner in item)


def _reason(exc: Exception) -> str:
    return str(exc)[:200]
