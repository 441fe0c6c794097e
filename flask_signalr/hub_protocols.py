"""The codecs of the hub protocol, by the names that clients know them by."""

from collections.abc import Mapping
from types import MappingProxyType

from flask_signalr.json_protocol import JsonHubProtocol
from flask_signalr.messagepack_protocol import MessagePackHubProtocol
from flask_signalr.protocol import HubProtocol

HUB_PROTOCOLS: Mapping[str, HubProtocol] = MappingProxyType(
    {"json": JsonHubProtocol(), "messagepack": MessagePackHubProtocol()}
)
"""The protocols that a handshake may name."""
