"""Upstream requests: what the service tells of its clients, made into values."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from flask_signalr.claims_header import GUEST_TYPE, parse_claims_header
from flask_signalr.errors import BadRequest, UnsupportedMediaType
from flask_signalr.hub_protocols import HUB_PROTOCOLS
from flask_signalr.invocation import Invocation
from flask_signalr.json_protocol import JsonHubProtocol
from flask_signalr.messages import HubMessage, InvocationMessage, StreamInvocationMessage
from flask_signalr.principal import Principal
from flask_signalr.protocol import HubProtocol
from flask_signalr.upstream_headers import CONNECTIONS_KEPT_IN_MIND, UpstreamHeaders, client_query

CONNECTIONS, MESSAGES = "connections", "messages"
"""The categories of events."""

CONNECTED, DISCONNECTED = "connected", "disconnected"
"""The events of the category ``connections``."""

_PROTOCOLS: Mapping[str, HubProtocol] = {protocol.content_type: protocol for protocol in HUB_PROTOCOLS.values()}
_TYPES = {CONNECTED: 10, DISCONNECTED: 11}
"""The message types of events, which the hub protocol has none for."""


def protocol_of(content_type: str) -> HubProtocol:
    """Return the hub protocol of a body, and of the answer to it.

    Args:
        content_type: The header's value; parameters such as a charset say nothing.

    Raises:
        UnsupportedMediaType: It is neither JSON nor MessagePack.
    """
    protocol = _PROTOCOLS.get(content_type.partition(";")[0].strip().lower())
    if protocol is None:
        raise UnsupportedMediaType(f"send the body as {' or '.join(_PROTOCOLS)}")
    return protocol


def read_invocation(hub: str, headers: UpstreamHeaders, protocol: HubProtocol, body: bytes) -> Invocation:
    """Return the call that a message makes.

    Args:
        hub: The hub's declared name.
        headers: The request's, whose signature has been verified.
        protocol: As `protocol_of` found it.
        body: The request's.

    Raises:
        BadRequest: The body is no invocation, or of another method than the headers say.
        ProtocolError: It breaks the hub protocol.
    """
    message = _parse(protocol, body)
    if not isinstance(message, InvocationMessage | StreamInvocationMessage):
        raise BadRequest("the body is no invocation")
    if message.target != headers.event:
        raise BadRequest("the body invokes another method than the header X-ASRS-Event says")
    return Invocation(
        hub=hub,
        connection_id=headers.connection_id,
        principal=_principal(headers),
        query=client_query(headers.query),
        target=message.target,
        arguments=message.arguments,
        invocation_id=message.invocation_id,
        is_stream=isinstance(message, StreamInvocationMessage),
    )


def read_event(hub: str, headers: UpstreamHeaders, protocol: HubProtocol, body: bytes) -> tuple[Invocation, str | None]:
    """Return who connected or went, and the error that a connection ended with.

    Args:
        hub: The hub's declared name.
        headers: The request's, whose signature has been verified; the event is ``connected`` or ``disconnected``.
        protocol: As `protocol_of` found it.
        body: The request's.

    Raises:
        BadRequest: The body is no such event, or of another one than the headers say.
    """
    if not isinstance(protocol, JsonHubProtocol):
        raise BadRequest("the body of a connection's event is JSON")
    members = _members(body)
    error = members.get("error")
    if type(members.get("type")) is not int or members["type"] != _TYPES[headers.event]:
        raise BadRequest("the body is of another event than the header X-ASRS-Event says")
    if error is not None and not isinstance(error, str):
        raise BadRequest("the body's error is no text")
    invocation = Invocation(
        hub=hub,
        connection_id=headers.connection_id,
        principal=_principal(headers),
        query=client_query(headers.query),
    )
    return invocation, error or None


def _parse(protocol: HubProtocol, body: bytes) -> HubMessage | None:
    if isinstance(protocol, JsonHubProtocol):
        return protocol.parse_any_case(body)
    return protocol.parse(body)


def _members(body: bytes) -> dict[str, Any]:
    """Return a JSON object's members by their names in lower case: the service capitalises some."""
    try:
        members = msgspec.json.decode(body, type=dict[str, Any])
    except (ValueError, RecursionError) as exc:
        raise BadRequest("the body is no JSON object") from exc
    lower = {name.lower(): value for name, value in members.items()}
    if len(lower) < len(members):
        raise BadRequest("the body has two members whose names differ in case only")
    return lower


def _principal(headers: UpstreamHeaders) -> Principal:
    return _known_principal(headers.claims, headers.user_id, headers.hub)


@lru_cache(CONNECTIONS_KEPT_IN_MIND)
def _known_principal(claims_header: str, user_id: str | None, hub: str) -> Principal:
    """Return the caller as negotiate knew it; one without a user id, or with the mark of a guest, is nobody proven."""
    claims = parse_claims_header(claims_header, user_id, hub)
    is_marked = claims.get(GUEST_TYPE) is not None
    own = claims.keep(lambda claim_type: claim_type != GUEST_TYPE) if is_marked else claims
    return Principal(user_id, own, scheme=None if is_marked or user_id is None else "Bearer")
