"""The JSON hub protocol: golden examples, and the bytes that take naive code down."""

import json
import math
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_signalr.errors import ProtocolError
from flask_signalr.messages import (
    CancelInvocationMessage,
    CloseMessage,
    CompletionMessage,
    HandshakeRequest,
    HandshakeResponse,
    HubMessage,
    InvocationMessage,
    PingMessage,
    StreamInvocationMessage,
    StreamItemMessage,
)
from flask_signalr.protocol import (
    HUB_PROTOCOLS,
    NESTING_LIMIT,
    JsonHubProtocol,
    MessageReader,
    TransferFormat,
    encode_handshake,
    parse_handshake_request,
    parse_handshake_response,
    split_handshake,
)

JSON = JsonHubProtocol()

# Source: dotnet/aspnetcore:src/SignalR/docs/specs/HubProtocol.md; member order as ASP.NET Core writes it.
GOLDEN: dict[str, tuple[HubMessage, str]] = {
    "invocation": (
        InvocationMessage(invocation_id="0", target="add", arguments=(1, 2)),
        '{"type":1,"invocationId":"0","target":"add","arguments":[1,2]}',
    ),
    "send": (InvocationMessage(target="Send", arguments=("hi",)), '{"type":1,"target":"Send","arguments":["hi"]}'),
    "invocation with all members": (
        InvocationMessage(headers={"a": "b"}, invocation_id="x", target="t", arguments=(), stream_ids=("1",)),
        '{"type":1,"headers":{"a":"b"},"invocationId":"x","target":"t","arguments":[],"streamIds":["1"]}',
    ),
    "stream item": (StreamItemMessage(invocation_id="x", item=42), '{"type":2,"invocationId":"x","item":42}'),
    "completion with a result": (
        CompletionMessage(invocation_id="0", result=3),
        '{"type":3,"invocationId":"0","result":3}',
    ),
    "completion with the result null": (
        CompletionMessage(invocation_id="0", result=None),
        '{"type":3,"invocationId":"0","result":null}',
    ),
    "completion with an error": (
        CompletionMessage(invocation_id="0", error="boom"),
        '{"type":3,"invocationId":"0","error":"boom"}',
    ),
    "void completion": (CompletionMessage(invocation_id="0"), '{"type":3,"invocationId":"0"}'),
    "stream invocation": (
        StreamInvocationMessage(invocation_id="1", target="counter", arguments=(5,)),
        '{"type":4,"invocationId":"1","target":"counter","arguments":[5]}',
    ),
    "cancel": (CancelInvocationMessage(invocation_id="1"), '{"type":5,"invocationId":"1"}'),
    "ping": (PingMessage(), '{"type":6}'),
    "close": (CloseMessage(), '{"type":7}'),
    "close with all members": (
        CloseMessage(error="bye", allow_reconnect=True),
        '{"type":7,"error":"bye","allowReconnect":true}',
    ),
}

BROKEN = {
    "nothing": b"",
    "not JSON": b"{",
    "no object": b"[]",
    "no type": b'{"target":"x","arguments":[]}',
    "type is text": b'{"type":"1","target":"x","arguments":[]}',
    "type is a boolean": b'{"type":true}',
    "no target": b'{"type":1,"arguments":[]}',
    "target is a number": b'{"type":1,"target":1,"arguments":[]}',
    "no arguments": b'{"type":1,"target":"x"}',
    "arguments are no list": b'{"type":1,"target":"x","arguments":{"0":1}}',
    "headers are no texts": b'{"type":1,"target":"x","arguments":[],"headers":{"a":1}}',
    "stream invocation without id": b'{"type":4,"target":"x","arguments":[]}',
    "result and error": b'{"type":3,"invocationId":"0","result":1,"error":"x"}',
    "NaN": b'{"type":1,"target":"x","arguments":[NaN]}',
    "Infinity": b'{"type":1,"target":"x","arguments":[Infinity]}',
    "beyond a double": b'{"type":1,"target":"x","arguments":[1e999]}',
    "beyond 64 bits": b'{"type":1,"target":"x","arguments":[18446744073709551616]}',
    "below 64 bits": b'{"type":1,"target":"x","arguments":[{"a":-9223372036854775809}]}',
    "an integer of 5000 digits": b'{"type":1,"target":"x","arguments":[%b]}' % (b"1" * 5000),
    "lone surrogate": rb'{"type":1,"target":"x","arguments":["\ud83d"]}',
    "invalid UTF-8": b'{"type":1,"target":"\xff","arguments":[]}',
    "too deep": b'{"type":1,"target":"x","arguments":[%b%b]}' % (b"[" * 63, b"]" * 63),
    "deep enough to exhaust the stack": b'{"type":1,"target":"x","arguments":[%b' % (b"[" * 200_000),
    "deep in a member of no use": b'{"type":1,"x":%b' % (b"[" * 200_000),
    "deep in a message of unknown type": b'{"type":99,"x":%b' % (b"[" * 200_000),
    "an unknown type that is broken": b'{"type":99,',
}


@pytest.mark.parametrize(("message", "text"), GOLDEN.values(), ids=GOLDEN)
def test_messages_are_written_as_the_specification_shows_them(message: HubMessage, text: str) -> None:
    assert JSON.encode(message) == text.encode() + b"\x1e"


@pytest.mark.parametrize(("message", "text"), GOLDEN.values(), ids=GOLDEN)
def test_messages_are_read_as_the_specification_shows_them(message: HubMessage, text: str) -> None:
    assert JSON.parse(text.encode()) == message


def test_members_may_come_in_any_order_with_blanks_and_unknown_ones() -> None:
    """The JavaScript client writes ``type`` last, signalrcore writes blanks, and later versions add members."""
    text = b'{ "arguments": ["x"], "later": {"a": 1}, "target": "echo", "invocationId": "0", "type": 1 }'

    assert JSON.parse(text) == InvocationMessage(invocation_id="0", target="echo", arguments=("x",))


def test_a_void_completion_differs_from_the_result_null() -> None:
    """A caller of a method that returns ``null`` gets a result."""
    void, null = (
        JSON.parse(b'{"type":3,"invocationId":"0"}'),
        JSON.parse(b'{"type":3,"invocationId":"0","result":null}'),
    )

    assert isinstance(void, CompletionMessage)
    assert isinstance(null, CompletionMessage)
    assert void.result is msgspec.UNSET
    assert null.result is None


@pytest.mark.parametrize("type_", [0, 8, 9, 10, 99, -1])
def test_messages_of_unknown_types_are_ignored(type_: int) -> None:
    """So that the protocol can grow; 8 and 9 belong to stateful reconnect, which is never negotiated."""
    assert JSON.parse(b'{"type":%d,"sequenceId":1}' % type_) is None


@pytest.mark.parametrize("payload", BROKEN.values(), ids=BROKEN)
def test_broken_messages_are_one_typed_error(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        JSON.parse(payload)


def test_a_long_error_does_not_quote_the_message_at_length() -> None:
    with pytest.raises(ProtocolError) as caught:
        JSON.parse(b'{"type":1,"%b":1}' % (b"x" * 10_000))

    assert len(str(caught.value)) < 300


def circular() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


UNWRITABLE = {
    "lone surrogate": "\ud83d",
    "object of no JSON type": object(),
    "beyond 64 bits": 2**64,
    "below 64 bits": -(2**63) - 1,
    "an integer of 5000 digits": 10**5000,
    "an integer of 4200 digits": 10**4200,
    "too deep": nested(NESTING_LIMIT - 1),
    "far too deep": nested(900),
    "circular": circular(),
}


@pytest.mark.parametrize("value", UNWRITABLE.values(), ids=UNWRITABLE)
def test_what_some_client_cannot_read_is_never_written(value: Any) -> None:
    with pytest.raises(ProtocolError):
        JSON.encode(InvocationMessage(target="x", arguments=(value,)))


def test_nesting_around_the_interpreters_own_limit_is_the_typed_error() -> None:
    """One level decides which of several decoders gives up first; none of their errors gets out."""
    for levels in range(900, 1000):
        with pytest.raises(ProtocolError):
            JSON.encode(InvocationMessage(target="x", arguments=(nested(levels),)))


def test_integers_are_bounded_even_where_an_app_lifted_pythons_own_limit() -> None:
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)

    try:
        with pytest.raises(ProtocolError):
            JSON.encode(InvocationMessage(target="x", arguments=(10**5000,)))
    finally:
        sys.set_int_max_str_digits(limit)


WRITABLE = {
    "largest integer": (2**64 - 1, 2**64 - 1),
    "smallest integer": (-(2**63), -(2**63)),
    "as deep as allowed": (nested(NESTING_LIMIT - 2), nested(NESTING_LIMIT - 2)),
    "many shallow arrays": ([[1]] * 1000, [[1]] * 1000),
    "a long number as text": ("1" * 40, "1" * 40),
    "not a number, as in JavaScript": (math.nan, None),
    "infinity, as in JavaScript": (math.inf, None),
    "bytes, as in .NET": (b"\x00\xff", "AP8="),
    "a record separator": ("\x1e", "\x1e"),
    "line breaks": ("\r\n\u2028", "\r\n\u2028"),
}


@pytest.mark.parametrize(("value", "read"), WRITABLE.values(), ids=WRITABLE)
def test_what_every_client_can_read_is_written(value: Any, read: Any) -> None:
    encoded = JSON.encode(InvocationMessage(target="x", arguments=(value,)))

    assert json.loads(encoded[:-1])["arguments"] == [read]
    assert encoded.count(b"\x1e") == 1
    assert b"\n" not in encoded


def test_the_protocols_a_handshake_may_name() -> None:
    protocol = HUB_PROTOCOLS["json"]

    assert (protocol.name, protocol.version, protocol.transfer_format) == ("json", 1, TransferFormat.TEXT)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)  # fmt: skip


@given(st.text(), st.lists(json_values), st.none() | st.text())
def test_what_is_written_is_read_again(target: str, arguments: list[Any], invocation_id: str | None) -> None:
    message = InvocationMessage(invocation_id=invocation_id, target=target, arguments=tuple(arguments))

    assert JSON.parse(JSON.encode(message)[:-1]) == message


def json_like() -> st.SearchStrategy[bytes]:
    """Yield texts that look like messages, with members and values that are almost right."""
    names = st.sampled_from(["type", "target", "arguments", "invocationId", "result", "error", "item", "headers", "x"])
    values = st.integers(-2, 10) | json_values
    return st.dictionaries(names, values, max_size=6).map(lambda members: json.dumps(members).encode())


@given(st.binary() | json_like())
def test_no_bytes_lead_to_anything_but_a_message_or_the_typed_error(payload: bytes) -> None:
    try:
        message = JSON.parse(payload)
    except ProtocolError:
        return

    if message is not None:
        assert JSON.parse(JSON.encode(message)[:-1]) == message


@given(st.lists(st.sampled_from([message for message, _ in GOLDEN.values()])), st.data())
def test_messages_are_found_however_the_stream_is_cut(messages: list[HubMessage], data: st.DataObject) -> None:
    """A frame may hold several messages, and some clients split one over several frames."""
    stream = b"".join(JSON.encode(message) for message in messages)
    reader = MessageReader(JSON, limit=1000)
    read: list[HubMessage] = []

    while stream:
        size = data.draw(st.integers(1, len(stream)))
        read += reader.feed(stream[:size])
        stream = stream[size:]

    assert read == messages


def test_messages_before_a_broken_one_are_still_read() -> None:
    messages = MessageReader(JSON, limit=1000).feed(b'{"type":6}\x1e{"type":99}\x1e{\x1e')

    assert next(messages) == PingMessage()
    with pytest.raises(ProtocolError):
        next(messages)


@pytest.mark.parametrize("ending", [b"", b"\x1e"], ids=["endless", "complete"])
def test_a_message_that_never_ends_does_not_fill_the_memory(ending: bytes) -> None:
    with pytest.raises(ProtocolError, match="longer than 10 bytes"):
        list(MessageReader(JSON, limit=10).feed(b"x" * 11 + ending))


def test_a_message_as_long_as_allowed_is_read() -> None:
    assert list(MessageReader(JSON, limit=10).feed(b'{"type":6}\x1e')) == [PingMessage()]


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


def test_a_handshake_response_is_read() -> None:
    assert parse_handshake_response(b"{}") == HandshakeResponse()
    assert parse_handshake_response(b'{"error":"no"}') == HandshakeResponse("no")
