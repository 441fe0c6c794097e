"""Upstream requests as values: bodies in both protocols, and whom they speak of."""

import msgspec
import pytest

from flask_signalr import BadRequest, ProtocolError, UnsupportedMediaType
from flask_signalr.hub_protocols import HUB_PROTOCOLS
from flask_signalr.upstream import protocol_of, read_event, read_invocation
from flask_signalr.upstream_headers import UpstreamHeaders

JSON, MESSAGEPACK = HUB_PROTOCOLS["json"], HUB_PROTOCOLS["messagepack"]


def headers(event: str = "add", user_id: str | None = "ada", claims: str = "", query: str = "") -> UpstreamHeaders:
    category = "connections" if event.endswith("connected") else "messages"
    return UpstreamHeaders("c1", "chat", category, event, user_id, claims, query, None)


@pytest.mark.parametrize(
    ("content_type", "name"),
    [
        ("application/json", "json"),
        ("APPLICATION/JSON ; charset=UTF-8", "json"),
        ("application/x-msgpack", "messagepack"),
    ],
)
def test_the_content_type_names_the_protocol(content_type: str, name: str) -> None:
    assert protocol_of(content_type).name == name


@pytest.mark.parametrize("content_type", ["", ";", "json", "text/json", "application/msgpack", "application/json,x"])
def test_another_content_type_is_refused_with_those_that_are_read(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType, match="application/json or application/x-msgpack"):
        protocol_of(content_type)


def test_both_protocols_read_the_same_call() -> None:
    text = b'{"type":1,"invocationId":"7","target":"add","arguments":[1,"two",null]}'
    packed = msgspec.msgpack.encode([1, {}, "7", "add", [1, "two", None]])

    calls = [read_invocation("chat", headers(), *body) for body in ((JSON, text), (MESSAGEPACK, packed))]

    assert calls[0] == calls[1]
    assert (calls[0].target, calls[0].arguments, calls[0].invocation_id) == ("add", (1, "two", None), "7")


def test_a_call_for_a_stream_is_known_as_one() -> None:
    """No answer can be streamed; the caller shall be told so."""
    body = b'{"type":4,"invocationId":"7","target":"add","arguments":[]}'

    assert read_invocation("chat", headers(), JSON, body).is_stream


@pytest.mark.parametrize(
    ("user_id", "claims", "is_known", "kept"),
    [
        ("ada", "role: staff", True, (("role", "staff"),)),
        ("ada", "", True, ()),
        (None, "role: staff", False, (("role", "staff"),)),
        ("guest", "asrs.u.anonymous: true, role: x", False, (("role", "x"),)),
    ],
    ids=["user", "without claims", "nobody", "guest"],
)
def test_the_principal_is_who_negotiated(
    user_id: str | None, claims: str, is_known: bool, kept: tuple[tuple[str, str], ...]
) -> None:
    body = b'{"type":1,"target":"add","arguments":[]}'

    principal = read_invocation("chat", headers("add", user_id, claims), JSON, body).principal

    assert (principal.name, principal.is_authenticated, principal.claims.pairs) == (user_id, is_known, kept)


@pytest.mark.parametrize("body", [b"", b"\x90", b"\x96\x01\x80\xa17\xa5other\x90\x90", b"\x91\x06"], ids=ascii)
def test_a_messagepack_body_that_is_no_such_call_is_refused(body: bytes) -> None:
    with pytest.raises((BadRequest, ProtocolError)):
        read_invocation("chat", headers(), MESSAGEPACK, body)


@pytest.mark.parametrize(
    ("event", "body", "error"),
    [
        ("connected", b'{"type":10}', None),
        ("disconnected", b'{"Type":11}', None),
        ("disconnected", b'{"type":11,"error":null}', None),
        ("disconnected", b'{"Type":11,"Error":""}', None),
        ("disconnected", b'{"TYPE":11,"ERROR":"lost","more":[]}', "lost"),
    ],
)
def test_events_are_written_in_any_case(event: str, body: bytes, error: str | None) -> None:
    invocation, found = read_event("chat", headers(event), JSON, body)

    assert (invocation.connection_id, invocation.target, found) == ("c1", None, error)


def test_events_of_connections_are_json() -> None:
    with pytest.raises(BadRequest, match="JSON"):
        read_event("chat", headers("connected"), MESSAGEPACK, b"\x91\x0a")
