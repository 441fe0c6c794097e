"""What a service token says: the service's own claims, and how long it lives."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from flask_signalr.claims import Claims, ClaimValue, customer_claims
from flask_signalr.errors import AuthenticationFailed, ConfigurationError
from flask_signalr.principal import ANONYMOUS, Principal

Transport = Literal["WebSockets", "ServerSentEvents", "LongPolling"]

TRANSPORTS: dict[str, int] = {"WebSockets": 1, "ServerSentEvents": 2, "LongPolling": 4}

StickyMode = Literal["Disabled", "Preferred", "Required"]

_DEFAULT_HANDSHAKE_TIMEOUT = 15


@dataclass(frozen=True)
class TokenOptions:
    """What a hub's service tokens tell the service besides who the user is.

    Attributes:
        detailed_errors: Whether clients get to read the errors of hub methods.
        diagnostic_client: Says of a principal whether the service shall trace its connection.
        server_name: The app server that the service shall prefer for the connection.
        server_sticky_mode: How strongly; nothing is sent while ``Disabled``.
        handshake_timeout: Seconds that a client may take for its handshake, 1 to 30.
        max_poll_interval: Seconds that the service waits for the next poll of a long-polling client, 1 to 300.
        transports: The names of the transports that clients may use; ``None`` for all.
        name_claim_type: The claim type that holds the user's name, where it is not .NET's default.
        role_claim_type: The claim type that holds roles, where it is not .NET's default.
        close_on_expiry: Whether the service closes the connection when the caller's own sign-in ends.
        fixed_claims: The claims that come of this and are the same in each token.

    Raises:
        ConfigurationError: A value is out of its range.

    Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR.Common/Utilities/ClaimsUtility.cs.
    """

    detailed_errors: bool = False
    diagnostic_client: Callable[[Principal], bool] | None = None
    server_name: str | None = None
    server_sticky_mode: StickyMode = "Disabled"
    handshake_timeout: int = _DEFAULT_HANDSHAKE_TIMEOUT
    max_poll_interval: int | None = None
    transports: tuple[str, ...] | None = None
    name_claim_type: str | None = None
    role_claim_type: str | None = None
    close_on_expiry: bool = False
    fixed_claims: tuple[tuple[str, str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.server_sticky_mode not in get_args(StickyMode):
            modes = ", ".join(get_args(StickyMode))
            raise ConfigurationError(f"server_sticky_mode is one of {modes}, not {self.server_sticky_mode!r}")
        if not _is_within(self.handshake_timeout, 1, 30):
            raise ConfigurationError(f"handshake_timeout is 1 to 30 seconds, not {self.handshake_timeout!r}")
        if self.max_poll_interval is not None and not _is_within(self.max_poll_interval, 1, 300):
            raise ConfigurationError("Property 'MaxPollIntervalInSeconds' value should be [1,300].")
        if self.transports is not None:
            _check_transports(self.transports)
        object.__setattr__(self, "fixed_claims", tuple(self._fixed_claims()))

    def _fixed_claims(self) -> Iterable[tuple[str, str]]:
        """Yield the system claims that are the same in each token. All are texts, the numbers too."""
        if self.server_name is not None and self.server_sticky_mode != "Disabled":
            yield "asrs.s.sn", self.server_name
            yield "asrs.s.ssticky", self.server_sticky_mode
        if self.handshake_timeout != _DEFAULT_HANDSHAKE_TIMEOUT:
            yield "asrs.s.cht", str(self.handshake_timeout)
        if self.detailed_errors:
            yield "asrs.s.derror", "True"
        if self.name_claim_type:
            yield "asrs.s.nt", self.name_claim_type
        if self.role_claim_type:
            yield "asrs.s.rt", self.role_claim_type
        if self.max_poll_interval is not None:
            yield "asrs.s.ttl", str(self.max_poll_interval)
        if self.transports is not None:
            yield "asrs.s.htt", str(sum(TRANSPORTS[name] for name in set(self.transports)))


def _is_within(value: object, lowest: int, highest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest


def _check_transports(transports: object) -> None:
    names = ", ".join(TRANSPORTS)
    if isinstance(transports, str) or not isinstance(transports, Iterable):
        raise ConfigurationError(f"transports is a list of {names}, not {transports!r}")
    unknown = [name for name in transports if name not in TRANSPORTS]
    if unknown:
        raise ConfigurationError(f"transports are {names}, not {', '.join(map(str, unknown))}")
    if not list(transports):
        raise ConfigurationError(f"transports is empty, and no client could connect; choose among {names}, or None")


DEFAULT_TOKEN_OPTIONS = TokenOptions()


def token_claims(
    user_id: str | None,
    claims: Claims,
    principal: Principal = ANONYMOUS,
    options: TokenOptions = DEFAULT_TOKEN_OPTIONS,
    endpoint_count: int = 1,
) -> list[tuple[str, ClaimValue]]:
    """Return a service token's claims: what the service needs to know, then what the app lets through.

    Args:
        user_id: What the service routes by; ``None`` connects without one.
        claims: The app's claims, as its claims filter chose them.
        principal: Whose authentication type and expiry the token tells.
        options: The hub's.
        endpoint_count: How many service endpoints are in use.

    Raises:
        InvalidClaim: The app's claims hold one that is the service's own.
    """
    pairs: list[tuple[str, ClaimValue]] = []
    if user_id is not None:
        pairs.append(("asrs.s.uid", user_id))
    pairs += options.fixed_claims
    if options.diagnostic_client is not None and options.diagnostic_client(principal) is True:
        pairs.append(("asrs.s.dc", "true"))
    if principal.scheme not in (None, "Bearer"):
        pairs.append(("asrs.s.aut", principal.scheme))
    if endpoint_count > 1:
        pairs.append(("asrs.s.secn", str(endpoint_count)))
    if options.close_on_expiry and principal.expires_at is not None:
        pairs += (("asrs.s.coae", "true"), ("asrs.s.aeo", str(principal.expires_at)))
    if claims.pairs:
        # A caller whom the provider gives no user id gets none from a claim that its identity provider chose.
        may_name_user = user_id is not None or not principal.is_authenticated
        pairs.extend(customer_claims(claims, may_name_user=may_name_user))
    return pairs


LONGEST_LIFETIME = 86_400
"""Seconds that a service token may be valid at most."""


def check_lifetime(keyword: str, lifetime: object) -> int:
    """Return a service token's lifetime, in seconds.

    Raises:
        ConfigurationError: It is no whole number from 1 to `LONGEST_LIFETIME`.
    """
    if not _is_within(lifetime, 1, LONGEST_LIFETIME):
        raise ConfigurationError(f"{keyword}= takes whole seconds, 1 to {LONGEST_LIFETIME}, not {lifetime!r}")
    return int(cast("int", lifetime))


def token_lifetime(configured: int, expires_at: int | None, now: int) -> int:
    """Return the seconds that a service token may live: no longer than the caller's own sign-in.

    Raises:
        AuthenticationFailed: The sign-in has ended.
    """
    if expires_at is None:
        return configured
    if expires_at <= now:
        raise AuthenticationFailed("the sign-in has expired: sign in again")
    return min(configured, expires_at - now)
