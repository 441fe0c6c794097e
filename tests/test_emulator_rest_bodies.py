"""The bodies of REST calls: what is read, and what is refused."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_signalr.emulator.rest.bodies import FRAMED, JSON, MESSAGEPACK, read_framed, read_message, read_value
from flask_signalr.emulator.rest.request import RestRequest
from flask_signalr.errors import BadRequest, ProtocolError, UnsupportedMediaType
from flask_signalr.hub_protocols import HUB_PROTOCOLS
from flask_signalr.json_protocol import JsonHubProtocol
from flask_signalr.messages import CompletionMessage, InvocationMessage

NEWS = InvocationMessage(target="news", arguments=(1,))
FRAMES = {name: protocol.encode(NEWS) for name, protocol in HUB_PROTOCOLS.items()}


def call(body: bytes, content_type: str) -> RestRequest:
    return RestRequest("POST", "/", headers=(("content-type", content_type),), body=body)


def json_call(body: bytes) -> RestRequest:
    return call(body, JSON)


def framed_call(content: object) -> RestRequest:
    return call(msgspec.msgpack.encode(content), FRAMED)


BODIES = {
    "Pascal case, as the SDK writes it": b'{"Target":"news","Arguments":[1]}',
    "capitals": b'{"TARGET":"news","ARGUMENTS":[1]}',
    "other members": b'{"target":"news","arguments":[1],"type":7,"error":"x"}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_the_case_of_members_does_not_matter(body: bytes) -> None:
    message = read_message(json_call(body))

    assert (message.target, message.arguments) == ("news", (1,))


@pytest.mark.parametrize(
    "body", [b'{"target":"x"}', b'{"target":"x","arguments":null}', b'{"target":"x","arguments":[]}']
)
def test_arguments_may_be_left_out(body: bytes) -> None:
    assert read_message(json_call(body)).arguments == ()


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON", " application/json"])
def test_a_content_type_may_be_written_in_other_ways(content_type: str) -> None:
    assert read_value(call(b"1", content_type)) == 1


def test_a_message_may_be_messagepack() -> None:
    message = read_message(call(msgspec.msgpack.encode({"Target": "news", "Arguments": [1, b"x"]}), MESSAGEPACK))

    assert (message.target, message.arguments) == ("news", (1, b"x"))


def test_a_message_may_be_framed_for_each_protocol() -> None:
    """So the server SDK sends when clients speak MessagePack; what they read is not encoded anew."""
    request = framed_call({**FRAMES, "blazorpack": b"for others"})

    assert read_framed(request) == FRAMES
    assert read_message(request) == NEWS


NO_FRAMES = {
    "nothing": b"",
    "no map": [],
    "no protocol": {},
    "unknown protocols only": {"blazorpack": b"x"},
    "text for bytes": {"json": "x"},
    "no message": {"json": b""},
    "two messages": {"json": FRAMES["json"] * 2},
    "no end": {"json": FRAMES["json"][:-1]},
    "the beginning of another": {"json": FRAMES["json"] + b"{"},
    "broken JSON": {"json": b"{\x1e"},
    "broken MessagePack": {"messagepack": b"\x02\xc1\xc1"},
    "endless MessagePack": {"messagepack": b"\xff\xff\xff\xff\xff\xff"},
    "an unknown type": {"json": b'{"type":99}\x1e'},
    "another message": {"json": JsonHubProtocol().encode(CompletionMessage(invocation_id="1"))},
    "a call that wants an answer": {"json": b'{"type":1,"invocationId":"1","target":"x","arguments":[]}\x1e'},
    "a call of nothing": {"json": b'{"type":1,"target":"","arguments":[]}\x1e'},
    "one is good": {"json": FRAMES["json"], "messagepack": b""},
}


@pytest.mark.parametrize("content", NO_FRAMES.values(), ids=NO_FRAMES)
def test_other_frames_are_refused(content: object) -> None:
    """Every client must be able to read what the service passes on."""
    with pytest.raises(BadRequest):
        read_framed(framed_call(content))


@pytest.mark.parametrize(
    "body",
    [b"", b"\xc1", b"\x93", b"\x91" * 100_000, b"\x80", msgspec.msgpack.encode({1: "x"}),
     msgspec.msgpack.encode({"target": "x", "arguments": {}}), msgspec.msgpack.encode({"target": b"x"}) + b"x"],
    ids=["nothing", "no type", "cut", "too deep", "no target", "number as name", "no array", "two values"],
)  # fmt: skip
def test_broken_messagepack_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read_message(call(body, MESSAGEPACK))


@pytest.mark.parametrize("content_type", [FRAMED, "text/json", "application/json, application/json", ""])
def test_items_of_streams_are_json_or_messagepack(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType, match="application/json or application/x-msgpack"):
        read_value(call(b"1", content_type))


members = st.sampled_from(["target", "Target", "arguments", "ARGUMENTS", "x"])
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.binary() | st.dictionaries(members, values).map(lambda body: json.dumps(body).encode()))
def test_no_body_leads_to_anything_but_a_message_or_a_refusal(body: bytes) -> None:
    try:
        encoded = JsonHubProtocol().encode(read_message(json_call(body)))
    except (BadRequest, ProtocolError):
        return

    assert json.loads(encoded[:-1])["type"] == 1


@given(st.sampled_from([MESSAGEPACK, FRAMED]), st.binary() | st.dictionaries(members, values).map(str).map(str.encode))
def test_no_binary_body_leads_to_anything_but_a_message_or_a_refusal(content_type: str, body: bytes) -> None:
    try:
        message = read_message(call(body, content_type))
    except BadRequest:
        return

    assert message.target
