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
from flask_signalr.json_protocol import JsonHubProtocol
from flask_signalr.messages import (
    CancelInvocationMessage,
    CloseMessage,
    CompletionMessage,
    HubMessage,
    InvocationMessage,
    PingMessage,
    StreamInvocationMessage,
    StreamItemMessage,
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


def test_integers_are_bounded_even_where_an_app_lifted_pythons_own_limit() -> None:
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)

    try:
        with pytest.raises(ProtocolError):
            JSON.encode(InvocationMessage(target="x", arguments=(10**5000,)))
    finally:
        sys.set_int_max_str_digits(limit)


WRITABLE = {
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


def capitalised(text: str) -> bytes:
    """Return a message as some write it: the names of its own members with a capital, the rest as it was."""
    return json.dumps({name[0].upper() + name[1:]: value for name, value in json.loads(text).items()}).encode()


@pytest.mark.parametrize("spell", [capitalised, str.encode], ids=["capitals", "as specified"])
@pytest.mark.parametrize(("message", "text"), GOLDEN.values(), ids=GOLDEN)
def test_upstream_bodies_are_read_in_any_case(message: HubMessage, text: str, spell: Any) -> None:
    """The documents write ``Target`` where the service writes ``target``."""
    assert JSON.parse_any_case(spell(text)) == message


def test_only_the_members_of_the_message_may_come_in_any_case() -> None:
    """What an argument holds is the caller's own."""
    read = JSON.parse_any_case(b'{"TYPE":1,"TARGET":"X","ARGUMENTS":[{"Target":1,"target":2}],"Later":1}')

    assert read == InvocationMessage(target="X", arguments=({"Target": 1, "target": 2},))


def test_two_spellings_of_a_member_are_refused() -> None:
    """Whoever checks one of them and calls the other would be led astray."""
    with pytest.raises(ProtocolError, match="differ in case"):
        JSON.parse_any_case(b'{"type":1,"target":"harmless","Target":"banUser","arguments":[]}')


@pytest.mark.parametrize("type_", [0, 8, 10, 11, 99, -1])
def test_messages_of_unknown_types_are_ignored_in_any_case(type_: int) -> None:
    assert JSON.parse_any_case(b'{"Type":%d}' % type_) is None


@pytest.mark.parametrize("payload", BROKEN.values(), ids=BROKEN)
def test_broken_messages_are_one_typed_error_in_any_case(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        JSON.parse_any_case(payload)


@given(st.binary() | json_like())
def test_any_case_reads_what_is_spelled_as_specified_as_the_clients_protocol_does(payload: bytes) -> None:
    try:
        message = JSON.parse(payload)
    except ProtocolError:
        with pytest.raises(ProtocolError):
            JSON.parse_any_case(payload)
        return

    assert JSON.parse_any_case(payload) == message
