"""Refresh in one app: from a fresh sign-in and a connection token to the service token that goes on."""

import logging
import time

from flask_signalr.claims import Claims, customer_claims
from flask_signalr.claims_header import claims_of_user, unescape_claims
from flask_signalr.error_text import kind_of
from flask_signalr.errors import BadRequest, SignalRError
from flask_signalr.mounted_hub import MountedHub
from flask_signalr.negotiation import client_access
from flask_signalr.principal import Principal
from flask_signalr.refresh import RefreshContext, RefreshRefused, RenewedAccess, lifetime_to_tell
from flask_signalr.rest.live_connection import LiveConnection, RenewedConnection
from flask_signalr.token_claims import token_lifetime

logger = logging.getLogger("flask_signalr.refresh")


def renewed_access(
    hub: MountedHub, connection_token: str, user_id: str | None, claims: Claims, principal: Principal
) -> RenewedAccess:
    """Renew the sign-in of a connection, and return what its client goes on with.

    Args:
        hub: The hub.
        connection_token: What the client names its connection by; a secret that proves nothing alone.
        user_id: What `MountedHub.user_id` returned: whose the connection must be.
        claims: The app's claims, as the claims filter chose them.
        principal: The fresh sign-in, which caps the token's life.

    Raises:
        SignalRError: As `token_lifetime` and `claims_of_user`.
        RefreshRefused: It is not renewed.
    """
    token_lifetime(1, principal.expires_at, int(time.time()))  # who has no sign-in any more bothers nobody
    if user_id is None:  # two users without a user id look the same to the service
        raise RefreshRefused("permission_change_rejected", "the caller has no user id to know the connection's by")
    escaped = claims_of_user(user_id, claims)
    connection = LiveConnection(hub.services.clients(hub.name).caller, connection_token, user_id)
    if hub.options.refresh_gate is not None:
        old = connection.claims()
        _pass_gate(hub, RefreshContext(hub.name, user_id, principal, _app_claims(old), claims))
        connection = connection.at(old.endpoint)
    renewed = connection.renew(customer_claims(escaped), principal.expires_at)
    return _minted(hub, renewed, principal, connection.time_left())


def _app_claims(connection: RenewedConnection) -> Claims:
    try:
        return unescape_claims(connection.claims)
    except BadRequest as exc:
        raise RefreshRefused("internal_server_error", f"the connection's claims cannot be read: {exc}") from exc


def _pass_gate(hub: MountedHub, context: RefreshContext) -> None:
    gate = hub.options.refresh_gate
    try:
        answer: object = gate is not None and gate(context)
    except Exception as exc:
        logger.exception("hub %r: the refresh_gate failed, so it refuses", hub.name)
        raise RefreshRefused("permission_change_rejected", "the refresh_gate failed") from exc
    if not isinstance(answer, bool):  # such as a coroutine, which is true whatever it would have said
        logger.error("hub %r: the refresh_gate returned %s, so it refuses", hub.name, kind_of(answer))
    if answer is not True:
        raise RefreshRefused("permission_change_rejected", "the refresh_gate said no")


def _minted(hub: MountedHub, renewed: RenewedConnection, principal: Principal, within: float) -> RenewedAccess:
    """Return a token with the claims as the service tells them; it outlives neither sign-in, ours and the service's."""
    now = int(time.time())
    ends = [end for end in (principal.expires_at, renewed.expires_at) if end is not None]
    lifetime = min([hub.options.access_token_lifetime, *(end - now for end in ends)])
    if lifetime <= 0:
        raise RefreshRefused("internal_server_error", "the service says that the sign-in has ended already")
    try:
        access = client_access(
            renewed.endpoint,
            hub.name_at_service,
            renewed.claims,
            lifetime=lifetime,
            now=now,
            key=hub.services.keys.signing_key(renewed.endpoint, within),
            algorithm=hub.options.access_token_algorithm,
        )
    except SignalRError as exc:  # the connection is renewed, but its client cannot be given the token
        raise RefreshRefused("internal_server_error", str(exc)) from exc
    return RenewedAccess(access.token, lifetime_to_tell(lifetime))
