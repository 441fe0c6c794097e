"""What the extension keeps for one app: its settings, and the hubs as they are in this app."""

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from flask import Flask, current_app

from flask_signalr.app_services import AppServices
from flask_signalr.auth.cookie import CookieAuth
from flask_signalr.auth.scheme import AuthScheme
from flask_signalr.config import Settings
from flask_signalr.errors import ConfigurationError, HubNotFound, MissingExtra
from flask_signalr.hub import Declaration
from flask_signalr.hub_options import HubKeywords, HubOptions
from flask_signalr.mounted_hub import MountedHub
from flask_signalr.negotiation import prefixed_hub
from flask_signalr.rest.exchange import Transport
from flask_signalr.sign_out import SignOut
from flask_signalr.stores.memory import MAX_CLAIMS
from flask_signalr.upstream_token import UpstreamTokenCheck

if TYPE_CHECKING:
    from flask_signalr.rest.client import ServiceClient

logger = logging.getLogger("flask_signalr.config")

LONGEST_WINDOW_IN_MEMORY = 600
"""Seconds of a replay window beyond which a store in memory is warned about: it holds so many calls and no more."""


class Configured:
    """What follows from one reading of an app's configuration; the next reading makes a new one.

    Args:
        app: The app.
        settings: What its configuration holds.
        defaults: The keywords of ``SignalR(…)``.
        services: What the hubs need of the world.

    Attributes:
        settings: As given.
        services: As given.
        options: What a hub without keywords of its own would have.
        token_check: Checks the token of upstream requests; ``None`` if none is demanded.
        hubs: The hubs that were asked for.

    Raises:
        ConfigurationError: A value cannot be used.
        MissingExtra: The configuration demands an optional dependency that is not installed.
    """

    def __init__(self, app: Flask, settings: Settings, defaults: HubKeywords, services: AppServices) -> None:
        self._app = app
        self.settings = settings
        self.services = services
        token = settings.upstream.token
        self.token_check = None if token is None else UpstreamTokenCheck(token)
        self.hubs: dict[str, MountedHub] = {}
        self._names: tuple[int, Mapping[str, str]] = (0, {})
        self.options = self.options_of(defaults)
        window = settings.upstream.replay_window
        if window > LONGEST_WINDOW_IN_MEMORY and not services.store.is_shared:
            logger.warning(
                "SIGNALR_UPSTREAM_REPLAY_WINDOW is %d s, and the store is memory://: a process remembers %d calls, "
                "refuses some of more than %d in a second, and it knows nothing of what other processes handled: set "
                "SIGNALR_STORE_URL to a Redis, or the window to %d s or less",
                window,
                MAX_CLAIMS,
                MAX_CLAIMS // window,
                LONGEST_WINDOW_IN_MEMORY,
            )
        if settings.close_on_sign_out:
            try:
                _ = services.service  # a missing extra is told now, not when somebody signs out
            except MissingExtra as exc:
                raise MissingExtra("SIGNALR_CLOSE_ON_SIGN_OUT", exc.extra) from None

    def options_of(self, keywords: HubKeywords) -> HubOptions:
        """Return the options that a hub's keywords come to."""
        configured: HubKeywords = {
            "allowed_origins": self.settings.allowed_origins,
            "access_token_lifetime": self.settings.access_token_lifetime,
            "access_token_algorithm": self.settings.access_token_algorithm,
            "token_options": self.settings.token_options,
        }
        return self._sync(HubOptions(**cast("dict[str, Any]", configured | keywords)))

    def declared_name(self, name: str, declared: Collection[str]) -> str | None:
        """Return which declared hub an upstream URL means, ``None`` for none; the table is made once for all hubs."""
        count, names = self._names
        if count != len(declared):
            plain = {known.lower(): known for known in tuple(declared)}
            # With a prefix `a`, hub `b` is `a_b` at the service, whether or not there is another hub of that name.
            names = plain | {prefixed_hub(known, self.settings.application_name): known for known in plain.values()}
            self._names = (len(plain), names)
        return names.get(name.lower())

    def _sync(self, options: HubOptions) -> HubOptions:
        """Return options whose ``async def`` functions run as the app's async views do; others stay as they are."""
        ensure_sync = self._app.ensure_sync
        guard, tokens = options.collision_guard, options.token_options
        if tokens.diagnostic_client is not None:
            tokens = replace(tokens, diagnostic_client=ensure_sync(tokens.diagnostic_client))
        return replace(
            options,
            user_id_provider=ensure_sync(options.user_id_provider),
            claims_filter=ensure_sync(options.claims_filter),
            collision_guard=None if guard is None else ensure_sync(guard),
            token_options=tokens,
        )


class AppState:
    """``app.extensions["signalr"]``.

    Args:
        app: The app.
        settings: What the app's configuration holds.
        declarations: Every declared hub, by its name; hubs may be added at any time.
        defaults: The keywords of ``SignalR(…)``.

    Attributes:
        app: As given.

    Raises:
        ConfigurationError: A value cannot be used.
    """

    def __init__(
        self, app: Flask, settings: Settings, declarations: Mapping[str, Declaration], defaults: HubKeywords
    ) -> None:
        self.app = app
        self._schemes: list[AuthScheme] = []
        self._transport: Transport | None = None
        self._declarations = declarations
        self._defaults = defaults
        self._configured = Configured(app, settings, defaults, AppServices(settings))
        self._sign_out = SignOut(app, self._hubs_to_sign_out_of, self._close_user)

    @property
    def settings(self) -> Settings:
        """What the app's configuration holds."""
        return self._configured.settings

    @property
    def options(self) -> HubOptions:
        """What a hub without keywords of its own would have."""
        return self._configured.options

    def reload(self, settings: Settings) -> None:
        """Take other settings from the next request on; the requests that are being answered keep theirs.

        Raises:
            ConfigurationError: A value cannot be used; then everything stays as it is.
        """
        old = self._configured
        store = old.services.store if settings.store == old.settings.store else None
        configured = Configured(self.app, settings, self._defaults, AppServices(settings, store))
        if self._transport is not None:
            configured.services.use_transport(self._transport)
        self._configured = configured

    @property
    def service(self) -> "ServiceClient":
        """The service's REST API; needs no request.

        Raises:
            MissingExtra: The extra ``serverless`` is not installed.
        """
        return self._configured.services.service

    def use_transport(self, transport: Transport) -> None:
        """Let every call of the service take this road from now on, such as one into a test's own service."""
        self._transport = transport
        self._configured.services.use_transport(transport)

    def init_schemes(self, keywords: HubKeywords) -> None:
        """Let the auth schemes in these keywords check the app, each the first time that it is seen.

        Raises:
            ConfigurationError: One of them cannot work in it.
        """
        for scheme in keywords.get("auth", ()):
            if not any(scheme is known for known in self._schemes):
                scheme.init_app(self.app)
                self._schemes.append(scheme)
                if isinstance(scheme, CookieAuth):
                    self._sign_out.connect()

    def hub(self, name: str) -> MountedHub:
        """Return a hub as it is in this app.

        Raises:
            HubNotFound: No hub of that name is declared.
        """
        configured = self._configured
        mounted = configured.hubs.get(name)
        if mounted is None:
            declaration = self._declarations.get(name)
            if declaration is None:
                raise HubNotFound("no hub of this name is declared here")
            options = configured.options_of(declaration.keywords)
            mounted = configured.hubs[name] = MountedHub(
                name, options, configured.settings, declaration.methods, configured.services, configured.token_check
            )
        return mounted

    def hub_at_service(self, name: str) -> MountedHub:
        """Return the hub that an upstream URL names: in any case, with or without the application's name before it.

        Raises:
            HubNotFound: It names none.
        """
        return self.hub(self._configured.declared_name(name, self._declarations) or "")

    def hubs(self) -> Iterable[MountedHub]:
        """Return all hubs."""
        return [self.hub(name) for name in tuple(self._declarations)]

    def _hubs_to_sign_out_of(self) -> Iterable[MountedHub]:
        wanted = self.settings.close_on_sign_out
        if wanted is None:
            wanted = find_spec("urllib3") is not None  # what the extra `serverless` brings
        return self.hubs() if wanted else ()

    def _close_user(self, hub: str, user_id: str, reason: str) -> None:
        self._configured.services.clients(hub).user(user_id).close(reason)


def current_state() -> AppState:
    """Return what is kept for the current app.

    Raises:
        ConfigurationError: The blueprint is mounted in an app that is not set up.
    """
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    state: AppState | None = app.extensions.get("signalr")
    if state is None:
        raise ConfigurationError("signalr.blueprint is registered in this app without signalr.init_app(app)")
    return state
