"""A declared hub: what an app's code calls."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from flask_signalr.authorization import Policy, dropped_claim_types
from flask_signalr.claims import Claims, ClaimsSource
from flask_signalr.error_text import kind_of
from flask_signalr.errors import ConfigurationError
from flask_signalr.handler_signature import Handler
from flask_signalr.hub_methods import HubMethods
from flask_signalr.hub_options import HubKeywords
from flask_signalr.method_names import check_method_name
from flask_signalr.mounted_hub import MountedHub
from flask_signalr.negotiation import ClientAccess
from flask_signalr.presence import Presence
from flask_signalr.principal import ANONYMOUS, nothing
from flask_signalr.token_claims import check_lifetime

if TYPE_CHECKING:
    from flask_signalr.rest.hub_clients import HubClients

_F = TypeVar("_F", bound=Handler)
_NO_FUNCTION: Any = None
"""What a decorator is given that is written with parentheses and takes none."""


@dataclass(frozen=True)
class Declaration:
    """What code says of a hub, for all apps.

    Attributes:
        keywords: Its options, with the defaults of the `SignalR` that it belongs to.
        methods: What it runs.
    """

    keywords: HubKeywords
    methods: HubMethods = field(default_factory=HubMethods)


class Hub:
    """A declared hub. ``signalr.hub(…)`` makes it; it belongs to every app that the `SignalR` object is mounted in.

    Attributes:
        name: Its name, as the URL has it.
    """

    def __init__(self, name: str, declaration: Declaration, mounted: Callable[[str], MountedHub]) -> None:
        self.name = name
        self._declaration = declaration
        self._mounted = mounted

    def on_connected(self, function: _F = _NO_FUNCTION) -> _F:
        """Register a handler of clients that connect; several run in the order in which they were registered.

        Args:
            function: Sync or async, called with the `Invocation`. Raising `AuthorizationDenied` or `HubException`
                refuses the client, as any other error does: its connection is closed, with the extra ``serverless``,
                and no later call of it is answered. Who must not even listen is kept out by the hub's policy.

        Raises:
            ConfigurationError: It cannot be called so, or an app could not run it.
        """
        self._declaration.methods.add_connected(function)
        return function

    def on_disconnected(self, function: _F = _NO_FUNCTION) -> _F:
        """Register a handler of clients that are gone; several run in the order in which they were registered.

        Args:
            function: Sync or async, called with the `Invocation` and the error that the connection ended with, a text,
                or ``None`` if it ended as it should.

        Raises:
            ConfigurationError: It cannot be called so, or an app could not run it.
        """
        self._declaration.methods.add_disconnected(function)
        return function

    def method(self, name: str, policy: Policy | None = None, *, stream: bool = False) -> Callable[[_F], _F]:
        """Return a decorator that lets clients call a function.

        Args:
            name: What clients invoke, whatever the case.
            policy: What must hold at each call; the hub's own policy held when the client negotiated.
            stream: Whether clients call it by ``stream`` and not by ``invoke`` or ``send``. The function, or a
                background job, sends the items and the end through
                ``hub.clients.client(invocation.connection_id).stream(invocation.invocation_id)``, and returns nothing.
                The emulator hands such calls on; Azure's documentation says that its Serverless mode does not.

        Raises:
            ConfigurationError: The name is none or taken; the function cannot be called with an invocation and
                arguments by position, or not be run by an app; or the policy asks for claims that the hub's claims
                filter lets nobody bring.
        """
        check_method_name(name)  # now: without a name it is the function that stands in its place

        def register(function: _F) -> _F:
            if isinstance(policy, Policy):
                self._check_claims(name, policy)
            self._declaration.methods.add(name, function, policy, is_stream=stream)
            return function

        return register

    @property
    def clients(self) -> "HubClients":
        """The clients of this hub, for sending to them through the service.

        Raises:
            ConfigurationError: No app, or none in particular, is known.
            MissingExtra: The extra ``serverless`` is not installed.
        """
        return self._mounted(self.name).clients

    @property
    def presence(self) -> Presence:
        """Who is connected to this hub.

        Raises:
            ConfigurationError: No app, or none in particular, is known.
        """
        return self._mounted(self.name).services.presence(self.name)

    def disconnect_user(self, user_id: str, reason: str | None = None) -> None:
        """Close all of a user's connections to this hub.

        Args:
            user_id: Whose.
            reason: What the clients are told.

        Raises:
            ServiceError: The service refused, or could not be reached.
            ConfigurationError: As `clients`.
        """
        self.clients.user(user_id).close(reason)

    def negotiate(
        self, user_id: str | None = None, claims: ClaimsSource = (), lifetime: int | None = None
    ) -> ClientAccess:
        """Return what one client needs to connect, decided by the caller of this method alone.

        Nobody is authenticated and no filter is applied: this is for code that already knows whom it serves, in a
        request or outside of one, as the Management SDK's ``NegotiateAsync``.

        Args:
            user_id: What the service routes by; ``None`` connects without one.
            claims: Claims for the token, all of them.
            lifetime: Seconds that the token is valid; the hub's setting by default.

        Raises:
            ConfigurationError: No app, or none in particular, is known; or the lifetime cannot be used.
            TypeError: The user id is no text, such as the number of a database row.
            InvalidClaim: A claim cannot be written into a token.
            AccessTokenTooLong: The claims are too many.
        """
        mounted = self._mounted(self.name)
        if lifetime is None:
            lifetime = mounted.options.access_token_lifetime
        else:
            check_lifetime("lifetime", lifetime)
        if user_id is not None and not isinstance(user_id, str):
            raise TypeError(f"user_id takes a str, not {kind_of(user_id)}: the service routes by text")
        return mounted.access(user_id, Claims.of(claims), ANONYMOUS, lifetime)

    def _check_claims(self, name: str, policy: Policy) -> None:
        """Report a policy that can never hold, before a client finds out."""
        dropped = dropped_claim_types(policy, self._declaration.keywords.get("claims_filter", nothing))
        if dropped:
            types = ", ".join(map(repr, sorted(dropped)))
            raise ConfigurationError(
                f"hub {self.name!r}, method {name!r}: its policy reads the claims {types}, and the hub's "
                f"claims_filter drops them: calls see what it lets pass, as claims_filter=only({types})"
            )

    def __repr__(self) -> str:
        return f"Hub({self.name!r})"
