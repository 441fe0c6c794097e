"""The choices of a hub: the keywords of ``SignalR(…)``, its defaults, and of ``signalr.hub(…)``."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, TypedDict, cast

from flask_signalr.auth.bearer import BearerAuth
from flask_signalr.auth.scheme import AuthScheme
from flask_signalr.authorization import Policy
from flask_signalr.endpoints import DEFAULT_ROUTER, EndpointRouter
from flask_signalr.errors import ConfigurationError
from flask_signalr.origins import parse_origins
from flask_signalr.principal import (
    ClaimsFilter,
    CollisionGuard,
    UserIdProvider,
    by_claim,
    by_name,
    nothing,
    only,
    rename,
)
from flask_signalr.refresh import RefreshGate
from flask_signalr.server_sdk_url import SERVER_SDK_URL, ServerSdkUrl
from flask_signalr.token_claims import DEFAULT_TOKEN_OPTIONS, TokenOptions, check_lifetime
from flask_signalr.tokens import ALGORITHMS

_MOUNT_OPTIONS = frozenset({"cli_group", "name", "subdomain", "url_defaults", "url_prefix"})
"""What Flask's ``register_blueprint`` takes."""

_MAKERS = ((by_claim, 'by_claim("oid")'), (only, 'only("role")'), (rename, 'rename({"groups": "role"})'))
"""What makes providers and filters and is none itself, with an example of each."""


class HubKeywords(TypedDict, total=False):
    """The keywords of ``SignalR(…)`` and ``signalr.hub(…)``; `HubOptions` says what they mean."""

    auth: Sequence[AuthScheme]
    allow_anonymous: bool
    policy: Policy | None
    user_id_provider: UserIdProvider
    claims_filter: ClaimsFilter
    collision_guard: CollisionGuard | None
    allowed_origins: Iterable[str]
    endpoint_router: EndpointRouter
    access_token_lifetime: int
    access_token_algorithm: str
    token_options: TokenOptions
    close_on_expiry: bool
    server_sdk_url: bool | ServerSdkUrl
    refresh_gate: RefreshGate | None


@dataclass(frozen=True)
class HubOptions:
    """What is decided for one hub: its own keywords, else those of ``SignalR(…)``, else the configuration's.

    Attributes:
        auth: The auth schemes, asked in this order.
        allow_anonymous: Whether callers without credentials may connect.
        policy: What must hold for a caller who negotiates; ``None`` asks nothing more than the schemes.
        user_id_provider: Makes the user id of a principal.
        claims_filter: Chooses the claims that enter the service token.
        collision_guard: Says whether a user id may stand for a principal; ``None`` trusts the provider.
        allowed_origins: The origins, besides the app's own, whose pages may connect.
        endpoint_router: Chooses among several service endpoints.
        access_token_lifetime: Seconds that a service token is valid.
        access_token_algorithm: ``HS256`` or ``HS512``.
        token_options: What the service tokens tell the service.
        close_on_expiry: Whether the service closes a connection when the sign-in that opened it ends.
        server_sdk_url: Whether the URLs tell the service about the request that negotiated, or what they tell.
        refresh_gate: Says whether a connection may go on with the claims of a fresh sign-in; ``None`` lets all.
        origins: ``allowed_origins`` in the form that browsers send them.
        sdk_url: What the URLs tell about the request; ``None`` for nothing.

    Raises:
        ConfigurationError: A value cannot be used; the text names the keyword.
    """

    auth: Sequence[AuthScheme] = ()
    allow_anonymous: bool = False
    policy: Policy | None = None
    user_id_provider: UserIdProvider = by_name
    claims_filter: ClaimsFilter = nothing
    collision_guard: CollisionGuard | None = None
    allowed_origins: Iterable[str] = frozenset()
    endpoint_router: EndpointRouter = DEFAULT_ROUTER
    access_token_lifetime: int = 3600
    access_token_algorithm: str = "HS256"
    token_options: TokenOptions = DEFAULT_TOKEN_OPTIONS
    close_on_expiry: bool = False
    server_sdk_url: bool | ServerSdkUrl = False
    refresh_gate: RefreshGate | None = None
    origins: frozenset[str] = field(init=False, repr=False)
    sdk_url: ServerSdkUrl | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "auth", _items("auth", self.auth, AuthScheme, "auth schemes, as auth=[CookieAuth()]"))
        _check_order(self.auth)
        object.__setattr__(self, "allowed_origins", _items("allowed_origins", self.allowed_origins, str, "origins"))
        try:
            object.__setattr__(self, "origins", parse_origins(self.allowed_origins))
        except ConfigurationError as exc:
            raise ConfigurationError(f"allowed_origins=: {exc}") from None
        for keyword in ("allow_anonymous", "close_on_expiry"):  # a text such as "no" is true to Python
            if not isinstance(getattr(self, keyword), bool):
                raise ConfigurationError(f"{keyword}= takes True or False")
        if self.policy is not None and not isinstance(self.policy, Policy):
            raise ConfigurationError('policy= takes a Policy, as policy=Policy(require_role("staff"))')
        self._check_callables()
        if not isinstance(self.endpoint_router, EndpointRouter):
            raise ConfigurationError("endpoint_router= takes an EndpointRouter, not its class or a function")
        check_lifetime("access_token_lifetime", self.access_token_lifetime)
        if self.access_token_algorithm not in ALGORITHMS:
            raise ConfigurationError(f"access_token_algorithm= is one of {', '.join(ALGORITHMS)}")
        if not isinstance(self.token_options, TokenOptions):
            raise ConfigurationError("token_options= takes a TokenOptions(…)")
        object.__setattr__(self, "sdk_url", _sdk_url(self.server_sdk_url))

    def _check_callables(self) -> None:
        for keyword in ("user_id_provider", "claims_filter"):
            given = getattr(self, keyword)
            if not callable(given):
                raise ConfigurationError(f"{keyword}= takes a callable of one principal")
            for maker, example in _MAKERS:
                if given is maker:
                    raise ConfigurationError(f"{keyword}= takes what {maker.__name__} returns, as {keyword}={example}")
        if self.collision_guard is not None and not callable(self.collision_guard):
            raise ConfigurationError("collision_guard= takes a callable of a user id and a principal")
        if self.refresh_gate is not None and not callable(self.refresh_gate):
            raise ConfigurationError("refresh_gate= takes a callable of a RefreshContext")


def check_keywords(keywords: HubKeywords) -> HubKeywords:
    """Return keywords in a form that can be read again and again, for each app anew.

    Raises:
        ConfigurationError: A keyword is unknown, or its value cannot be used; the text names the keyword.
    """
    for keyword in keywords:
        if keyword not in HubKeywords.__optional_keys__:
            raise ConfigurationError(f"{keyword}= is no option of a hub{_remedy(keyword)}")
    options = HubOptions(**keywords)
    return cast("HubKeywords", {keyword: getattr(options, keyword) for keyword in keywords})


def _remedy(keyword: str) -> str:
    """Return what to write in the place of an unknown keyword; empty if nothing is like it."""
    if keyword in _MOUNT_OPTIONS:
        return ": it says where the app mounts the hubs, so give it to init_app"
    meant = get_close_matches(keyword, HubKeywords.__optional_keys__, n=1)
    return f"; do you mean {meant[0]}?" if meant else ""


def _check_order(schemes: Sequence[AuthScheme]) -> None:
    """Refuse a scheme that would never be asked."""
    issuers = [
        scheme.issuer
        for scheme in schemes
        if isinstance(scheme, BearerAuth) and type(scheme).authenticate is BearerAuth.authenticate
    ]
    if None in issuers[:-1]:
        raise ConfigurationError(
            "auth= has a BearerAuth without issuer= before another one: it takes every bearer token for its own; give "
            "each of them the issuer of its tokens"
        )
    twice = next((issuer for number, issuer in enumerate(issuers) if issuer in issuers[:number]), None)
    if twice is not None:
        raise ConfigurationError(
            f"auth= has two BearerAuth of the issuer {twice!r}, and the first refuses what is not for it: make it one, "
            "with all of its audiences, as audience=[…, …]"
        )


def _sdk_url(choice: object) -> ServerSdkUrl | None:
    if isinstance(choice, ServerSdkUrl):
        return choice
    if not isinstance(choice, bool):
        raise ConfigurationError("server_sdk_url= takes True, False or a ServerSdkUrl(…)")
    return SERVER_SDK_URL if choice else None


def _items(keyword: str, value: object, kind: type, kinds: str) -> tuple[Any, ...]:
    """Return the items of a list, all of one kind; what can be read only once is read here."""
    items = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else None
    if items is None or not all(isinstance(item, kind) for item in items):
        raise ConfigurationError(f"{keyword}= takes a list of {kinds}")
    return items
