"""What all codecs share: messages in a stream, handshakes, bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_signalr.errors import ProtocolError
from flask_signalr.hub_protocols import HUB_PROTOCOLS
from flask_signalr.json_protocol import JsonHubProtocol
from flask_signalr.messagepack_protocol import MessagePackHubProtocol
from flask_signalr.messages import (
    CloseMessage,
    CompletionMessage,
    HandshakeRequest,
    HandshakeResponse,
    HubMessage,
    InvocationMessage,
    PingMessage,
)
from flask_signalr.protocol import (
    NESTING_LIMIT,
    HubProtocol,
    MessageReader,
    check_bounds,
    encode_handshake,
    parse_handshake_request,
    split_handshake,
)

JSON = JsonHubProtocol()
MESSAGEPACK = MessagePackHubProtocol()
MESSAGES: list[HubMessage] = [
    InvocationMessage(invocation_id="0", target="add", arguments=(1, "x" * 200)),
    CompletionMessage(invocation_id="0", result=None),
    PingMessage(),
    CloseMessage(error="bye", allow_reconnect=True),
]

every_protocol = pytest.mark.parametrize("protocol", HUB_PROTOCOLS.values(), ids=HUB_PROTOCOLS)


@every_protocol
@given(messages=st.lists(st.sampled_from(MESSAGES)), data=st.data())
def test_messages_are_found_however_the_stream_is_cut(
    protocol: HubProtocol, messages: list[HubMessage], data: st.DataObject
) -> None:
    """A frame may hold several messages, and some clients split one over several frames."""
    stream = b"".join(protocol.encode(message) for message in messages)
    reader = MessageReader(protocol, limit=1000)
    read: list[HubMessage] = []

    while stream:
        size = data.draw(st.integers(1, len(stream)))
        read += reader.feed(stream[:size])
        stream = stream[size:]

    assert read == messages


@pytest.mark.parametrize(
    ("protocol", "data"),
    [
        (JSON, b'{"type":6}\x1e{"type":99}\x1e{\x1e'),
        (MESSAGEPACK, b"\x02\x91\x06\x02\x91\x63\x01\xc1"),
        (MESSAGEPACK, b"\x02\x91\x06\xff\xff\xff\xff\xff"),
    ],
    ids=["JSON", "MessagePack", "MessagePack length"],
)
def test_messages_before_a_broken_one_are_still_read(protocol: HubProtocol, data: bytes) -> None:
    messages = MessageReader(protocol, limit=1000).feed(data)

    assert next(messages) == PingMessage()
    with pytest.raises(ProtocolError):
        next(messages)


@pytest.mark.parametrize("ending", [b"", b"\x1e"], ids=["endless", "complete"])
def test_a_message_that_never_ends_does_not_fill_the_memory(ending: bytes) -> None:
    with pytest.raises(ProtocolError, match="longer than 10 bytes"):
        list(MessageReader(JSON, limit=10).feed(b"x" * 11 + ending))


@pytest.mark.parametrize("arrived", [b"\x0b", b"\x80\x80\x80\x80\x01"], ids=["complete", "256 MB are announced"])
def test_a_binary_message_that_never_ends_does_not_fill_the_memory(arrived: bytes) -> None:
    with pytest.raises(ProtocolError, match="longer than 10 bytes"):
        list(MessageReader(MESSAGEPACK, limit=10).feed(arrived + b"\x91" + b"x" * 10))


@every_protocol
def test_a_message_as_long_as_allowed_is_read_however_it_arrives(protocol: HubProtocol) -> None:
    """What stands before a message to tell its length does not count."""
    message = InvocationMessage(target="x" * 300, arguments=())
    encoded = protocol.encode(message)
    [payload], _ = protocol.split(encoded)
    reader = MessageReader(protocol, limit=len(payload))

    assert list(reader.feed(encoded[:-1])) == []
    assert list(reader.feed(encoded[-1:])) == [message]


def test_an_empty_record_is_no_message() -> None:
    with pytest.raises(ProtocolError):
        list(MessageReader(JSON, limit=10).feed(b"\x1e"))


def test_a_handshake_is_cut_off_the_messages_that_follow_it() -> None:
    record, rest = split_handshake(b'{"protocol":"json","version":1}\x1e{"type":6}\x1e', limit=100) or (b"", b"")

    assert parse_handshake_request(record) == HandshakeRequest("json", 1)
    assert rest == b'{"type":6}\x1e'


def test_half_a_handshake_is_waited_for() -> None:
    assert split_handshake(b'{"protocol":', limit=100) is None


@pytest.mark.parametrize("ending", [b"", b"\x1e"], ids=["endless", "complete"])
def test_a_handshake_that_never_ends_does_not_fill_the_memory(ending: bytes) -> None:
    with pytest.raises(ProtocolError, match="longer than 10 bytes"):
        split_handshake(b"x" * 11 + ending, limit=10)


@pytest.mark.parametrize(
    "record",
    [b"", b"{", b"[]", b"{}", b'{"protocol":1,"version":1}', b'{"protocol":"json","version":"1"}', b"\xff",
     b'{"protocol":"json","version":1,"x":' + b"[" * 200_000],
    ids=["nothing", "not JSON", "no object", "empty", "protocol is a number", "version is text", "no UTF-8", "deep"],
)  # fmt: skip
def test_a_broken_handshake_is_the_typed_error(record: bytes) -> None:
    with pytest.raises(ProtocolError, match="handshake"):
        parse_handshake_request(record)


def test_handshakes_are_json_with_a_separator() -> None:
    assert encode_handshake(HandshakeRequest("messagepack", 1)) == b'{"protocol":"messagepack","version":1}\x1e'
    assert encode_handshake(HandshakeResponse()) == b"{}\x1e"
    assert encode_handshake(HandshakeResponse("no")) == b'{"error":"no"}\x1e'


@pytest.mark.parametrize("value", [2**64, {"a": [-(2**63) - 1]}, {(2**64,): 1}], ids=["large", "small", "in a key"])
def test_integers_beyond_64_bits_are_found_wherever_they_are(value: object) -> None:
    with pytest.raises(ProtocolError, match="64 bits"):
        check_bounds(value)


def test_levels_are_counted_from_the_message_on() -> None:
    value: object = []
    for _ in range(NESTING_LIMIT - 1):
        value = [value]

    check_bounds(value)
    with pytest.raises(ProtocolError, match="nested"):
        check_bounds({"one": value})
