"""The protocols that clients may name."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_signalr.errors import ProtocolError
from flask_signalr.hub_protocols import HUB_PROTOCOLS
from flask_signalr.messages import HubMessage, InvocationMessage
from flask_signalr.protocol import TransferFormat


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
