"""The hub protocol: what a codec of `flask_signalr.messages` is, and what all codecs share.

A codec frames, reads and writes bytes (`HubProtocol`); who may say what, and when, is decided by those who use
it. Whatever arrives is hostile until it is parsed: everything that is not a message of the protocol is a
`ProtocolError`, and nothing leaves that another client could stumble over. `flask_signalr.hub_protocols` lists the
codecs.

Source: dotnet/aspnetcore:src/SignalR/docs/specs/HubProtocol.md.
"""

import enum
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import msgspec

from flask_signalr.errors import ProtocolError
from flask_signalr.messages import HandshakeRequest, HandshakeResponse, HubMessage

RECORD_SEPARATOR = b"\x1e"
"""What ends a handshake message and each JSON message."""

NESTING_LIMIT = 64
"""Arrays and objects inside each other; more would stop .NET clients (``JsonSerializerOptions.MaxDepth``)."""

KNOWN_TYPES = range(1, 8)
"""The numbers of the messages that are read; those of a later version of the protocol are ignored."""

TOO_DEEP = f"the message is nested more than {NESTING_LIMIT} levels deep"
TOO_LARGE = "an integer is beyond 64 bits, which not every client can read: send it as text"

_LARGEST_INTEGER = 2**64 - 1
_SMALLEST_INTEGER = -(2**63)


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

    @property
    def content_type(self) -> str:
        """The media type of an HTTP body that is one payload."""

    @property
    def frame_header_size(self) -> int:
        """Bytes that a frame may have before its payload."""

    def encode(self, message: HubMessage) -> bytes:
        """Return the framed message, which may be sent as it is.

        Raises:
            ProtocolError: The message holds something that the protocol cannot carry to every client.
        """

    def split(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Return the payloads of the complete messages, without their frames, and the rest of the data.

        Raises:
            ProtocolError: The data does not begin with a frame. After a complete message, that is found out by the
                next call: the message before it is still read.
        """

    def parse(self, payload: bytes) -> HubMessage | None:
        """Return the message of one payload, ``None`` for a type that the protocol does not know.

        Raises:
            ProtocolError: The payload is no message.
        """


class HasType(Protocol):
    """A message of which nothing but the type is known."""

    @property
    def type(self) -> int:
        """The number of its type."""


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
        self._rest += data
        payloads: list[bytes] = [data]
        while self._rest and payloads:
            payloads, self._rest = self._protocol.split(self._rest)
            for payload in payloads:
                self._check_length(len(payload))
                message = self._protocol.parse(payload)
                if message is not None:
                    yield message
        self._check_length(len(self._rest) - self._protocol.frame_header_size)

    def _check_length(self, length: int) -> None:
        if length > self._limit:
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
    try:
        return msgspec.json.decode(record, type=HandshakeRequest)
    except (ValueError, RecursionError) as exc:
        raise ProtocolError(f"the handshake is not understood: {reason(exc)}") from exc


def encode_handshake(message: HandshakeRequest | HandshakeResponse) -> bytes:
    """Return a handshake message with its record separator; it is JSON whatever the protocol."""
    return msgspec.json.encode(message) + RECORD_SEPARATOR


def is_of_later_type(payload: bytes, decode_type: Callable[[bytes], HasType]) -> bool:
    """Tell whether a payload that is none of our messages is one of a type that came later.

    Args:
        payload: What could not be read as a message.
        decode_type: Reads nothing but its type; raises `ValueError` or `RecursionError` if it has none.
    """
    try:
        return decode_type(payload).type not in KNOWN_TYPES
    except (ValueError, RecursionError):
        return False


def check_bounds(value: Any) -> None:
    """Check that no client stumbles over the nesting or the integers of something that was decoded.

    Raises:
        ProtocolError: One would.
    """
    waiting = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        if isinstance(item, int) and not _SMALLEST_INTEGER <= item <= _LARGEST_INTEGER:
            raise ProtocolError(TOO_LARGE)
        if isinstance(item, dict):
            item = [*item, *item.values()]  # MessagePack has arrays as keys
        if isinstance(item, list | tuple):
            if depth > NESTING_LIMIT:
                raise ProtocolError(TOO_DEEP)
            waiting.extend((inner, depth + 1) for inner in item)


def reason(exc: Exception) -> str:
    """Return what an error says, short enough for a log and for a goodbye."""
    return str(exc)[:200]
