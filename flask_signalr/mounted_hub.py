"""A hub as it is in one app: the declaration together with the app's settings."""

import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from flask import Request
from msgspec.structs import replace

from flask_signalr.app_services import AppServices
from flask_signalr.auth.chain import authenticate
from flask_signalr.authorization import AuthorizationContext
from flask_signalr.claims import Claims
from flask_signalr.claims_header import GUEST_MARK, claims_of_user, names_user
from flask_signalr.config import Settings
from flask_signalr.denial_log import log_denial
from flask_signalr.endpoint_errors import NoServiceEndpoint, RouterRefused, SigningKeyUnavailable
from flask_signalr.endpoints import EndpointGroup, ServiceEndpoint
from flask_signalr.error_text import kind_of
from flask_signalr.errors import AuthorizationDenied, ConfigurationError
from flask_signalr.hub_methods import HubMethods
from flask_signalr.hub_options import HubOptions
from flask_signalr.negotiation import ClientAccess, client_access, prefixed_hub
from flask_signalr.principal import Principal
from flask_signalr.refresh import lifetime_to_tell, tells_lifetime
from flask_signalr.refused_connections import RefusedConnections
from flask_signalr.replay import ReplayWindow
from flask_signalr.token_claims import token_claims, token_lifetime
from flask_signalr.upstream_token import UpstreamTokenCheck

if TYPE_CHECKING:
    from flask_signalr.rest.hub_clients import HubClients

logger = logging.getLogger("flask_signalr.negotiate")

KEY_WAIT = 10
"""Seconds that a negotiation waits for keys at most, at however many service endpoints."""


@dataclass(frozen=True)
class MountedHub:
    """A hub in one app: the declaration together with the app's settings.

    Attributes:
        name: The hub's name.
        options: What is decided for it.
        settings: The app's.
        methods: What it runs.
        services: What it needs of the app: the service, the store.
        token_check: Checks the token of upstream requests; ``None`` if none is demanded.
        warned: The subjects that a warning was logged about: each is logged once, whatever settings are read anew.
    """

    name: str
    options: HubOptions
    settings: Settings
    methods: HubMethods = field(repr=False)
    services: AppServices = field(repr=False)
    token_check: UpstreamTokenCheck | None = field(default=None, repr=False)
    warned: set[str] = field(default_factory=set, repr=False, compare=False)

    @cached_property
    def name_at_service(self) -> str:
        """What the service calls the hub: its name after the application's, in lower case."""
        return prefixed_hub(self.name, self.settings.application_name)

    @cached_property
    def replay_window(self) -> ReplayWindow:
        """What was handled of upstream requests."""
        return ReplayWindow(self.services.store, self.settings.upstream.replay_window)

    @cached_property
    def refused(self) -> RefusedConnections:
        """The connections that ``on_connected`` did not let in."""
        return RefusedConnections(
            self.name_at_service,
            self.services.store,
            lambda connection_id, reason: self.services.close(self.name, connection_id, reason),
        )

    def authenticate(self, request: Request) -> Principal:
        """Return who the caller is, as `flask_signalr.auth.chain.authenticate` does."""
        return authenticate(
            self.options.auth,
            request,
            allow_anonymous=self.options.allow_anonymous,
            audience_base_urls=self.settings.audience_base_urls,
        )

    def authorize(self, principal: Principal) -> None:
        """Let a caller pass whom the hub's policy lets in.

        Raises:
            AuthorizationDenied: It does not.
        """
        if self.options.policy is not None:
            context = AuthorizationContext(principal, self.name)
            try:
                self.options.policy.check(context)
            except AuthorizationDenied as exc:
                log_denial(logger, exc, self.name, None)
                raise

    def user_id(self, principal: Principal) -> str | None:
        """Return the user id of a principal; ``None`` connects without one.

        Raises:
            AuthorizationDenied: The collision guard says that the id belongs to somebody else.
            TypeError: The provider returned something else than a text, or the guard than a boolean.
        """
        user_id = self.options.user_id_provider(principal)
        if user_id is None or user_id == "":
            if principal.is_authenticated and not self.options.allow_anonymous:
                self._warn_once(
                    "no-user-id",
                    "hub %r: the user id provider finds no id in a principal of scheme %s with the claim types %s: "
                    "it connects without one and nobody can send to it by user id",
                    self.name,
                    principal.scheme,
                    ", ".join(map(repr, principal.claims.types())) or "(none)",
                )
            return None
        if not isinstance(user_id, str):
            raise TypeError(f"the user_id_provider of hub {self.name!r} returned {kind_of(user_id)}, not a str")
        guard = self.options.collision_guard
        if guard is not None and not self._is_granted(guard(user_id, principal)):
            raise AuthorizationDenied("this sign-in may not use its user id: it belongs to another sign-in")
        return user_id

    def _is_granted(self, answer: object) -> bool:
        if not isinstance(answer, bool):  # such as a coroutine, which is true whatever it would have said
            kind = kind_of(answer)
            raise TypeError(f"the collision_guard of hub {self.name!r} returned {kind}, not True or False")
        return answer

    def claims(self, principal: Principal, user_id: str | None = None) -> Claims:
        """Return the claims of a principal that enter the service token.

        A guest whom the service will know by a user id, of the provider's or of a claim's making, gets a mark, or it
        would come back from the service like somebody who signed in.

        Args:
            principal: The principal.
            user_id: What `user_id` returned.

        Raises:
            TypeError: The claims filter returned something else.
        """
        claims: object = self.options.claims_filter(principal)
        if not isinstance(claims, Claims):
            kind = kind_of(claims)
            raise TypeError(
                f"the claims_filter of hub {self.name!r} returned {kind}, not Claims: Claims.of(…) makes them"
            )
        if principal.is_authenticated or (user_id is None and not claims.pairs):
            return claims
        if user_id is None and not any(map(names_user, claims.types())):
            return claims
        return claims + GUEST_MARK

    def access(self, user_id: str | None, claims: Claims, principal: Principal, lifetime: int) -> ClientAccess:
        """Return what a client needs to connect.

        The claims enter the token as `claims_of_user` returns them.

        Args:
            user_id: What `user_id` returned.
            claims: The app's claims, as the claims filter chose them.
            principal: Whose sign-in caps the token's life.
            lifetime: Seconds that the token may live at most.

        Raises:
            SignalRError: As `claims_of_user`, `client_access`, `token_claims`, `token_lifetime`, the endpoint router
                and the source of the keys.
        """
        escaped = claims_of_user(user_id, claims, may_name_user=not principal.is_authenticated)
        endpoints = self.services.endpoints.reachable()
        endpoint = self._endpoint(principal, endpoints)
        within = KEY_WAIT / max(len(endpoints), 1)  # none takes the time of the others
        try:
            return self._access_at(endpoint, user_id, escaped, principal, lifetime, within)
        except SigningKeyUnavailable:
            for other in self._further_choices(principal, endpoints, endpoint):
                with suppress(SigningKeyUnavailable):
                    return self._access_at(other, user_id, escaped, principal, lifetime, within)
            raise

    def _endpoint(self, principal: Principal, endpoints: EndpointGroup) -> ServiceEndpoint:
        endpoint: object = self.options.endpoint_router.negotiate_endpoint(principal, endpoints)
        if not isinstance(endpoint, ServiceEndpoint):
            kind = kind_of(endpoint)
            raise TypeError(f"the endpoint_router of hub {self.name!r} returned {kind}, not a ServiceEndpoint")
        if endpoint not in self.services.endpoints.all:  # whoever runs it would get clients, and their tokens
            raise ConfigurationError(
                f"negotiate_endpoint of the endpoint_router of hub {self.name!r} returned endpoint "
                f"{endpoint.name or endpoint.url!r}, which is none of the app's"
            )
        return endpoint

    def _further_choices(
        self, principal: Principal, endpoints: EndpointGroup, tried: ServiceEndpoint
    ) -> Iterator[ServiceEndpoint]:
        """Yield what the router chooses among the endpoints that were not tried, until it finds none of them good."""
        while others := EndpointGroup(one for one in endpoints if one != tried):
            try:
                tried = self._endpoint(principal, others)
            except (NoServiceEndpoint, RouterRefused):
                return
            if tried not in others:  # a router may insist on one
                return
            yield tried
            endpoints = others

    def _access_at(
        self,
        endpoint: ServiceEndpoint,
        user_id: str | None,
        claims: Claims,
        principal: Principal,
        lifetime: int,
        within: float,
    ) -> ClientAccess:
        options, settings, services = self.options, self.settings, self.services
        now = int(time.time())
        lifetime = token_lifetime(lifetime, principal.expires_at, now)
        if endpoint.key is None and services.entra is not None and services.entra.issued_tokens is not None:
            return services.entra.issued_tokens.client_access(endpoint, self.name, user_id, claims, lifetime, within)
        access = client_access(
            endpoint,
            self.name_at_service,
            token_claims(user_id, claims, principal, options.token_options, len(services.endpoints.all)),
            lifetime=lifetime,
            now=now,
            key=services.keys.signing_key(endpoint, within),
            algorithm=options.access_token_algorithm,
        )
        if len(access.token) > settings.access_token_warning_length:
            self._warn_once(
                "long-token",
                "hub %r: a service token has %d characters, the service accepts 4096: let the claims filter choose "
                "fewer of the claim types %s",
                self.name,
                len(access.token),
                ", ".join(map(repr, claims.types())),
            )
        if settings.refresh and tells_lifetime(principal, user_id):
            return replace(access, token_lifetime=lifetime_to_tell(lifetime))
        return access

    @property
    def clients(self) -> "HubClients":
        """The clients of this hub, at the endpoints that its endpoint router sends messages to.

        Raises:
            MissingExtra: The extra ``serverless`` is not installed.
            ConfigurationError: The router chose none of the app's endpoints.
        """
        services = self.services
        chosen = self.options.endpoint_router.message_endpoints(self.name, services.endpoints.all)
        return services.clients_at(self.name, chosen)

    def _warn_once(self, subject: str, message: str, *arguments: object) -> None:
        if subject not in self.warned:
            self.warned.add(subject)
            logger.warning(message, *arguments)
