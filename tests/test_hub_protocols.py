"""The protocols that clients may name, and what holds for each of them."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_signalr.errors import ProtocolError
from flask_signalr.hub_protocols import HUB_PROTOCOLS
from flask_signalr.messages import HubMessage, InvocationMessage
from flask_signalr.protocol import NESTING_LIMIT, HubProtocol, TransferFormat

every_protocol = pytest.mark.parametrize("protocol", HUB_PROTOCOLS.values(), ids=HUB_PROTOCOLS)


@pytest.mark.parametrize(
    ("name", "transfer_format", "content_type"),
    [
        ("json", TransferFormat.TEXT, "application/json"),
        ("messagepack", TransferFormat.BINARY, "application/x-msgpack"),
    ],
)
def test_the_protocols_a_handshake_may_name(name: str, transfer_format: TransferFormat, content_type: str) -> None:
    protocol = HUB_PROTOCOLS[name]

    assert (protocol.name, protocol.version) == (name, 1)
    assert (protocol.transfer_format, protocol.content_type) == (transfer_format, content_type)


def circular() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


class Key(msgspec.Struct, frozen=True):
    name: str


UNWRITABLE = {
    "lone surrogate": "\ud83d",
    "object of no type of the protocol": object(),
    "beyond 64 bits": 2**64,
    "below 64 bits": -(2**63) - 1,
    "an integer of 5000 digits": 10**5000,
    "an integer of 4200 digits": 10**4200,
    "too deep": nested(NESTING_LIMIT - 1),
    "far too deep": nested(900),
    "deep enough to exhaust the stack": nested(100_000),
    "too deep in a tuple": (nested(NESTING_LIMIT - 2),),
    "circular": circular(),
    "a map as a key, in a long message": [[[]] * NESTING_LIMIT, {Key("a"): 1}],
}


@every_protocol
@pytest.mark.parametrize("value", UNWRITABLE.values(), ids=UNWRITABLE)
def test_what_some_client_cannot_read_is_never_written(protocol: HubProtocol, value: Any) -> None:
    with pytest.raises(ProtocolError):
        protocol.encode(InvocationMessage(target="x", arguments=(value,)))


@every_protocol
def test_nesting_around_the_interpreters_own_limit_is_the_typed_error(protocol: HubProtocol) -> None:
    """One level decides which of several decoders gives up first; none of their errors gets out."""
    for levels in range(900, 1000):
        with pytest.raises(ProtocolError):
            protocol.encode(InvocationMessage(target="x", arguments=(nested(levels),)))


WRITABLE = {
    "largest integer": 2**64 - 1,
    "smallest integer": -(2**63),
    "as deep as allowed": nested(NESTING_LIMIT - 2),
    "many shallow arrays": [[1]] * 1000,
}


@every_protocol
@pytest.mark.parametrize("value", WRITABLE.values(), ids=WRITABLE)
def test_what_every_client_can_read_is_written(protocol: HubProtocol, value: Any) -> None:
    message = InvocationMessage(target="x", arguments=(value,))

    [payload], rest = protocol.split(protocol.encode(message))

    assert protocol.parse(payload) == message
    assert rest == b""


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)  # fmt: skip


@given(st.lists(json_values))
def test_what_came_as_json_is_carried_by_all_protocols_or_by_none(arguments: list[Any]) -> None:
    """A message is encoded once for each protocol, and all clients get the same."""
    message = InvocationMessage(target="x", arguments=tuple(json.loads(json.dumps(arguments))))
    read: list[HubMessage | None] = []

    for protocol in HUB_PROTOCOLS.values():
        try:
            [payload], rest = protocol.split(protocol.encode(message))
        except ProtocolError:
            read.append(None)
        else:
            assert rest == b""
            read.append(protocol.parse(payload))

    assert read in ([message, message], [None, None])
