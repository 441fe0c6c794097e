"""The MessagePack hub protocol: golden examples, and the bytes that take naive code down."""

import datetime as dt
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_signalr.errors import ProtocolError
from flask_signalr.messagepack_protocol import MessagePackHubProtocol
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

MESSAGEPACK = MessagePackHubProtocol()
pack = msgspec.msgpack.encode

# Source: dotnet/aspnetcore:src/SignalR/docs/specs/HubProtocol.md; the bytes were worked out from it.
GOLDEN: dict[str, tuple[HubMessage, str]] = {
    "send": (
        InvocationMessage(target="Send", arguments=("hi",)),
        "0e 96 01 80 c0 a4 53 65 6e 64 91 a2 68 69 90",
    ),
    "invocation": (
        InvocationMessage(invocation_id="0", target="add", arguments=(1, 2)),
        "0d 96 01 80 a1 30 a3 61 64 64 92 01 02 90",
    ),
    "invocation with all items": (
        InvocationMessage(headers={"a": "b"}, invocation_id="x", target="t", arguments=(), stream_ids=("1",)),
        "0f 96 01 81 a1 61 a1 62 a1 78 a1 74 90 91 a1 31",
    ),
    "stream item": (StreamItemMessage(invocation_id="x", item=42), "06 94 02 80 a1 78 2a"),
    "completion with an error": (
        CompletionMessage(invocation_id="0", error="boom"),
        "0b 95 03 80 a1 30 01 a4 62 6f 6f 6d",
    ),
    "void completion": (CompletionMessage(invocation_id="0"), "06 94 03 80 a1 30 02"),
    "completion with a result": (CompletionMessage(invocation_id="0", result=3), "07 95 03 80 a1 30 03 03"),
    "completion with the result nil": (CompletionMessage(invocation_id="0", result=None), "07 95 03 80 a1 30 03 c0"),
    "stream invocation": (
        StreamInvocationMessage(invocation_id="1", target="counter", arguments=(5,)),
        "10 96 04 80 a1 31 a7 63 6f 75 6e 74 65 72 91 05 90",
    ),
    "cancel": (CancelInvocationMessage(invocation_id="1"), "05 93 05 80 a1 31"),
    "ping": (PingMessage(), "02 91 06"),
    "close": (CloseMessage(), "03 92 07 c0"),
    "close with all items": (CloseMessage(error="bye", allow_reconnect=True), "07 93 07 a3 62 79 65 c3"),
}

BROKEN = {
    "nothing": b"",
    "no array": pack({"type": 6}),
    "an empty array": b"\x90",
    "half an array": b"\x92\x06",
    "two values": b"\x91\x06\x06",
    "a byte that means nothing": b"\xc1",
    "type is text": pack(["6"]),
    "type is a boolean": pack([True]),
    "type is nil": pack([None]),
    "invocation without arguments": pack([1, {}, None, "x"]),
    "target is bytes": pack([1, {}, None, b"x", []]),
    "target is nil": pack([1, {}, None, None, []]),
    "arguments are a map": pack([1, {}, None, "x", {}]),
    "headers are no texts": pack([1, {"a": 1}, None, "x", []]),
    "headers are an array": pack([1, [], None, "x", []]),
    "stream invocation without id": pack([4, {}, None, "x", []]),
    "stream item without item": pack([2, {}, "x"]),
    "completion of kind 0": pack([3, {}, "0", 0]),
    "completion of kind 4": pack([3, {}, "0", 4, 1]),
    "error without text": pack([3, {}, "0", 1]),
    "error that is nil": pack([3, {}, "0", 1, None]),
    "result without value": pack([3, {}, "0", 3]),
    "invalid UTF-8": b"\x95\x01\x80\xc0\xa1\xff\x90",
    "an unknown extension": b"\x95\x01\x80\xc0\xa1x\x91\xd4\x05\x00",
    "a timestamp with too many nanoseconds": b"\x95\x01\x80\xc0\xa1x\x91\xd7\xff" + b"\xff" * 8,
    "a timestamp after the last year": b"\x95\x01\x80\xc0\xa1x\x91\xc7\x0c\xff\x00\x00\x00\x00\x7f" + b"\xff" * 7,
    "a key that is a map": b"\x95\x01\x80\xc0\xa1x\x91\x81\x80\x01",
    "an array of 4 billion items": b"\x95\x01\x80\xc0\xa1x\xdd\xff\xff\xff\xff",
    "a map of 4 billion items": b"\x95\x01\x80\xc0\xa1x\x91\xdf\xff\xff\xff\xff",
    "bytes of 4 billion": b"\x95\x01\x80\xc0\xa1x\x91\xc6\xff\xff\xff\xff",
    "too deep": b"\x95\x01\x80\xc0\xa1x" + b"\x91" * 63 + b"\x90",
    "too deep in a key": b"\x95\x01\x80\xc0\xa1x\x91\x81" + b"\x91" * 63 + b"\x90\x01",
    "deep enough to exhaust the stack": b"\x95\x01\x80\xc0\xa1x" + b"\x91" * 200_000,
    "deep in a message of unknown type": b"\x92\x63" + b"\x91" * 200_000,
    "an unknown type that is broken": b"\x92\x63",
}


def payload(text: str) -> bytes:
    """Return the payload of an example whose length is one byte."""
    return bytes.fromhex(text)[1:]


@pytest.mark.parametrize(("message", "text"), GOLDEN.values(), ids=GOLDEN)
def test_messages_are_written_as_the_specification_shows_them(message: HubMessage, text: str) -> None:
    assert MESSAGEPACK.encode(message).hex(" ") == text


@pytest.mark.parametrize(("message", "text"), GOLDEN.values(), ids=GOLDEN)
def test_messages_are_read_as_the_specification_shows_them(message: HubMessage, text: str) -> None:
    assert MESSAGEPACK.parse(payload(text)) == message


@pytest.mark.parametrize(("message", "text"), GOLDEN.values(), ids=GOLDEN)
def test_further_items_are_ignored(message: HubMessage, text: str) -> None:
    """Later versions of the protocol may add some, as the stream ids were added once."""
    items = msgspec.msgpack.decode(payload(text))
    complete = {1: 6, 2: 4, 3: 5, 4: 6, 5: 3, 6: 1, 7: 3}[items[0]]
    items += [None] * (complete - len(items))

    assert MESSAGEPACK.parse(pack([*items, {"later": 1}])) == message


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([1, {}, None, "Send", ["hi"]], InvocationMessage(target="Send", arguments=("hi",))),
        ([1, None, None, "Send", ["hi"], None], InvocationMessage(target="Send", arguments=("hi",))),
        ([4, {}, "1", "x", []], StreamInvocationMessage(invocation_id="1", target="x", arguments=())),
        ([7], CloseMessage()),
    ],
    ids=["no stream ids", "nil for what is not there", "stream without stream ids", "close without error"],
)
def test_what_a_client_may_leave_out_may_be_missing(items: list[Any], message: HubMessage) -> None:
    assert MESSAGEPACK.parse(pack(items)) == message


@pytest.mark.parametrize("items", [[0], [8, 1], [9, 1], [10], [99, {}], [-1]], ids=str)
def test_messages_of_unknown_types_are_ignored(items: list[Any]) -> None:
    """So that the protocol can grow; 8 and 9 belong to stateful reconnect, which is never negotiated."""
    assert MESSAGEPACK.parse(pack(items)) is None


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_broken_messages_are_one_typed_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        MESSAGEPACK.parse(data)


def test_the_length_is_written_seven_bits_a_byte_the_lowest_first() -> None:
    """Both ends of each number of bytes that tests can afford; 311 is the specification's own example."""
    for size, prefix in ((127, "7f"), (128, "80 01"), (311, "b7 02"), (16_383, "ff 7f"), (16_384, "80 80 01")):
        head = len(pack([2, {}, "x", b""])) + (1 if size > 260 else 0)  # bytes of more than 255 take a longer header
        encoded = MESSAGEPACK.encode(StreamItemMessage(invocation_id="x", item=bytes(size - head)))

        assert encoded[:-size].hex(" ") == prefix
        assert MESSAGEPACK.split(encoded) == ([encoded[-size:]], b"")


@pytest.mark.parametrize(
    "data", ["", "0e", "80", "80 80 80 80", "ff ff ff ff 07", "05 91"], ids=lambda data: data or "-"
)
def test_half_a_message_is_waited_for(data: str) -> None:
    assert MESSAGEPACK.split(bytes.fromhex(data)) == ([], bytes.fromhex(data))


@pytest.mark.parametrize("data", ["ff ff ff ff 08", "80 80 80 80 80", "ff ff ff ff ff 00"])
def test_a_length_of_more_than_two_gigabytes_is_no_message(data: str) -> None:
    with pytest.raises(ProtocolError, match="2 GiB"):
        MESSAGEPACK.split(bytes.fromhex(data))


def test_a_broken_length_after_a_message_is_left_for_the_next_call() -> None:
    assert MESSAGEPACK.split(bytes.fromhex("02 91 06 80 80 80 80 80")) == ([b"\x91\x06"], b"\x80" * 5)


MOMENT = dt.datetime(2024, 5, 17, 12, 30, 15, 250_000, dt.UTC)

WRITABLE = {
    "infinity": (math.inf, math.inf),
    "bytes stay bytes": (b"\x00\xff", b"\x00\xff"),
    "bytes that look like arrays": (b"\x91" * 500, b"\x91" * 500),
    "a moment": (MOMENT, MOMENT),
    "a moment of another zone": (MOMENT.astimezone(dt.timezone(dt.timedelta(hours=2))), MOMENT),
    "a moment of no zone": (MOMENT.replace(tzinfo=None), "2024-05-17T12:30:15.250000"),
    "numbers as keys": ({1: "a"}, {1: "a"}),
}


@pytest.mark.parametrize(("value", "read"), WRITABLE.values(), ids=WRITABLE)
def test_what_every_client_can_read_is_written(value: Any, read: Any) -> None:
    [data], _ = MESSAGEPACK.split(MESSAGEPACK.encode(StreamItemMessage(invocation_id="x", item=value)))

    assert MESSAGEPACK.parse(data) == StreamItemMessage(invocation_id="x", item=read)


def test_a_moment_is_a_timestamp_extension() -> None:
    encoded = MESSAGEPACK.encode(
        StreamItemMessage(invocation_id="x", item=dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=dt.UTC))
    )

    assert encoded.endswith(bytes.fromhex("d6 ff 00 00 00 01"))


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary()
    | st.datetimes(timezones=st.just(dt.UTC)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(-100, 100), inner),
    max_leaves=20,
)  # fmt: skip
texts = st.text()
heads = {"headers": st.none() | st.dictionaries(texts, texts, min_size=1), "invocation_id": texts}
calls = {"target": texts, "arguments": st.lists(values).map(tuple), "stream_ids": st.lists(texts).map(tuple)}
hub_messages: st.SearchStrategy[HubMessage] = st.one_of(
    st.builds(InvocationMessage, **{**heads, **calls, "invocation_id": st.none() | texts}),
    st.builds(StreamItemMessage, **heads, item=values),
    st.builds(CompletionMessage, **heads, result=values | st.just(msgspec.UNSET)),
    st.builds(CompletionMessage, **heads, error=texts),
    st.builds(StreamInvocationMessage, **heads, **calls),
    st.builds(CancelInvocationMessage, **heads),
    st.just(PingMessage()),
    st.builds(CloseMessage, error=st.none() | texts, allow_reconnect=st.none() | st.booleans()),
)


@given(hub_messages)
def test_what_is_written_is_read_again(message: HubMessage) -> None:
    [data], rest = MESSAGEPACK.split(MESSAGEPACK.encode(message))

    assert MESSAGEPACK.parse(data) == message
    assert rest == b""


@given(
    st.binary() | st.lists(st.integers(-2, 10) | values, max_size=7).map(pack) | hub_messages.map(MESSAGEPACK.encode)
)
def test_no_bytes_lead_to_anything_but_a_message_or_the_typed_error(data: bytes) -> None:
    try:
        message = MESSAGEPACK.parse(data)
    except ProtocolError:
        return

    if message is not None:
        assert MESSAGEPACK.split(MESSAGEPACK.encode(message))[1] == b""


@given(hub_messages.map(MESSAGEPACK.encode), st.data())
def test_one_wrong_byte_leads_to_nothing_but_a_message_or_the_typed_error(encoded: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(encoded) - 1))
    wrong = encoded[:place] + bytes([data.draw(st.integers(0, 255))]) + encoded[place + 1 :]

    try:
        for payload in MESSAGEPACK.split(wrong)[0]:
            MESSAGEPACK.parse(payload)
    except ProtocolError:
        return


@given(st.binary(max_size=40))
def test_any_bytes_are_cut_without_losing_one(data: bytes) -> None:
    try:
        payloads, rest = MESSAGEPACK.split(data)
    except ProtocolError:
        return

    assert sum(map(len, payloads)) + len(rest) <= len(data)
    assert data.endswith(rest)
