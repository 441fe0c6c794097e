"""The MessagePack hub protocol: one array a message, each after its length.

Source: dotnet/aspnetcore:src/SignalR/docs/specs/HubProtocol.md.
"""

from typing import Any

import msgspec

from flask_signalr.errors import ProtocolError
from flask_signalr.messagepack_arrays import AnyArray, items_of
from flask_signalr.messages import HubMessage
from flask_signalr.protocol import NESTING_LIMIT, TOO_DEEP, TransferFormat, check_bounds, is_of_later_type, reason

_LONGEST_LENGTH = 5
_LARGEST_LENGTH = 2**31 - 1

_NO_CONTAINER = bytes(set(range(256)) - {*range(0x80, 0xA0), *range(0xDC, 0xE0)})
"""The bytes that begin neither an array nor a map."""


class MessagePackHubProtocol:
    """The codec of the MessagePack hub protocol."""

    name = "messagepack"
    version = 1
    transfer_format = TransferFormat.BINARY
    content_type = "application/x-msgpack"
    frame_header_size = _LONGEST_LENGTH

    def __init__(self) -> None:
        self._decoder: msgspec.msgpack.Decoder[AnyArray] = msgspec.msgpack.Decoder(AnyArray, ext_hook=_refuse_extension)
        self._type_decoder = msgspec.msgpack.Decoder(_TypeOnly)
        self._encoder = msgspec.msgpack.Encoder()

    def encode(self, message: HubMessage) -> bytes:
        """Return the message after its length.

        Bytes stay bytes; a `datetime.datetime` with a time zone becomes a timestamp (extension -1), one without is
        written as text.

        Raises:
            ProtocolError: The message holds what MessagePack or some client cannot carry: a lone surrogate, an
                object of none of its types, an integer beyond 64 bits, more than `NESTING_LIMIT` levels.
        """
        try:
            payload = self._encoder.encode(items_of(message))
        except RecursionError as exc:
            raise ProtocolError(TOO_DEEP) from exc
        except (TypeError, ValueError, OverflowError) as exc:
            raise ProtocolError(f"the message cannot be written as MessagePack: {reason(exc)}") from exc
        _check_bounds(payload)
        return _length(len(payload)) + payload

    def split(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Return the messages that are complete, without their lengths, and what follows them.

        Raises:
            ProtocolError: The data begins with a length of more than 2 GiB.
        """
        payloads: list[bytes] = []
        start = 0
        while frame := _frame(data, start):
            begin, start = frame
            payloads.append(data[begin:start])
        return payloads, data[start:]

    def parse(self, payload: bytes) -> HubMessage | None:
        """Return the message of one payload, ``None`` for an unknown type; further items of the array are ignored.

        Raises:
            ProtocolError: The payload is no MessagePack, no message, beyond the bounds that `encode` keeps, or
                holds an extension other than a timestamp.
        """
        try:
            message = self._decoder.decode(payload).message()
        except msgspec.ValidationError as exc:
            if is_of_later_type(payload, self._type_decoder.decode):
                return None
            raise ProtocolError(f"the message breaks the hub protocol: {reason(exc)}") from exc
        except RecursionError as exc:
            raise ProtocolError(TOO_DEEP) from exc
        except ValueError as exc:
            raise ProtocolError(f"the message is not valid MessagePack: {reason(exc)}") from exc
        _check_bounds(payload)
        return message


class _TypeOnly(msgspec.Struct, array_like=True):
    type: int


def _refuse_extension(code: int, data: memoryview) -> Any:
    raise ValueError(f"extension type {code}, which nobody here can read")


def _check_bounds(payload: bytes) -> None:
    """Check that no client stumbles over the nesting of what was written or read here; integers have 64 bits.

    Most messages are cleared by a look at the bytes; only the others are read again.
    """
    if len(payload.translate(None, _NO_CONTAINER)) <= NESTING_LIMIT:
        return
    try:
        value = msgspec.msgpack.decode(payload)
    except RecursionError as exc:
        raise ProtocolError(TOO_DEEP) from exc
    except ValueError as exc:
        raise ProtocolError(f"the message cannot be read by everyone: {reason(exc)}") from exc
    check_bounds(value)


def _frame(data: bytes, start: int) -> tuple[int, int] | None:
    """Return where the payload of the frame at a place begins and ends; ``None`` if more must come.

    The length is an unsigned LEB128: seven bits a byte, the lowest first.

    Raises:
        ProtocolError: The data begins with a length of more than five bytes or more than 2 GiB. Later in the data
            that is left for the next call.
    """
    length = 0
    for place, byte in enumerate(data[start : start + _LONGEST_LENGTH]):
        length |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            begin = start + place + 1
            if length > _LARGEST_LENGTH:
                break
            return (begin, begin + length) if begin + length <= len(data) else None
    else:
        if len(data) - start < _LONGEST_LENGTH:
            return None
    if start > 0:
        return None
    raise ProtocolError("a message does not begin with a length of at most 2 GiB")


def _length(length: int) -> bytes:
    """Return a length as `_frame` reads it."""
    encoded = bytearray()
    while length > 0x7F:
        encoded.append(length & 0x7F | 0x80)
        length >>= 7
    encoded.append(length)
    return bytes(encoded)
