"""Refresh: a client shows a fresh sign-in of the same user, and its connection goes on with it. The values and rules.

Source: Azure/azure-signalr, issue 2282, for the codes and the client's side of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec

from flask_signalr.claims import Claims
from flask_signalr.errors import AuthenticationFailed, SignalRError
from flask_signalr.principal import Principal

REFRESH_STATUS: Mapping[str, int] = {
    "refresh_disabled": 404,
    "missing_connection_token": 400,
    "invalid_token": 401,
    "windows_identity_not_supported": 400,
    "permission_change_rejected": 403,
    "connection_not_found": 404,
    "internal_server_error": 500,
}
"""The codes that clients read, with their HTTP status."""

WINDOWS_SCHEMES = frozenset({"Kerberos", "Negotiate", "NTLM"})
"""The authentication types that no refresh knows: such clients connect anew."""

SHORTEST_PLAN = 2
"""Seconds that a token must live for its client to be told; with less, clients would ask again and again."""


class RefreshRefused(SignalRError):
    """A connection's sign-in is not renewed; the connection stays as it was.

    Args:
        code: What the client reads, one of `REFRESH_STATUS`.
        reason: What happened, for the log; never the connection token.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.status = REFRESH_STATUS[code]
        self.reason = reason


@dataclass(frozen=True)
class RefreshContext:
    """What a refresh gate sees of a refresh that is about to happen.

    Attributes:
        hub: The hub's name.
        user_id: The user id, which is the connection's too.
        principal: Who the caller is now.
        old_claims: The app's claims that the connection has.
        new_claims: Those that it is to have, as the hub's claims filter chose them.
    """

    hub: str
    user_id: str
    principal: Principal
    old_claims: Claims
    new_claims: Claims


RefreshGate = Callable[[RefreshContext], bool]
"""Says whether a connection may go on with other claims; ``False`` refuses, and so does an error in it."""


class RenewedAccess(
    msgspec.Struct,
    frozen=True,
    rename={"token": "accessToken", "token_lifetime": "tokenLifetimeSeconds"},
):
    """What a client goes on with; as JSON, the answer to a refresh.

    Attributes:
        token: The service token for its further requests.
        token_lifetime: Seconds after which it ends; left out where planning the next refresh makes no sense.
    """

    token: str
    token_lifetime: int | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        return f"RenewedAccess(token_lifetime={self.token_lifetime!r})"


def check_renewable(principal: Principal) -> None:
    """Let pass whose sign-in can be renewed.

    Raises:
        AuthenticationFailed: Nobody has signed in.
        RefreshRefused: Windows has.
    """
    if not principal.is_authenticated:
        raise AuthenticationFailed("nobody has signed in, so there is no sign-in to renew")
    if principal.scheme in WINDOWS_SCHEMES:
        raise RefreshRefused("windows_identity_not_supported", f"a sign-in by {principal.scheme} is not renewed")


def lifetime_to_tell(lifetime: int) -> int | msgspec.UnsetType:
    """Return the ``tokenLifetimeSeconds`` of a token that lives so many seconds."""
    return lifetime if lifetime >= SHORTEST_PLAN else msgspec.UNSET


def tells_lifetime(principal: Principal, user_id: str | None) -> bool:
    """Tell whether a client that connects is told when to renew: whether a refresh of its connection can succeed."""
    return principal.is_authenticated and principal.scheme not in WINDOWS_SCHEMES and user_id is not None
