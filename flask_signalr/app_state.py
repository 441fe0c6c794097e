"""What the extension keeps for one app: its settings, and the hubs as they are in this app."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from flask import Flask, current_app, has_request_context, request

from flask_signalr.app_endpoints import AppEndpoints
from flask_signalr.app_services import AppServices
from flask_signalr.auth.cookie import CookieAuth
from flask_signalr.auth.scheme import AuthScheme
from flask_signalr.config import Settings
from flask_signalr.configured import Configured
from flask_signalr.endpoint_signal import EndpointAnnouncer
from flask_signalr.errors import ConfigurationError, HubNotFound
from flask_signalr.hub import Declaration
from flask_signalr.hub_options import HubKeywords, HubOptions
from flask_signalr.mounted_hub import MountedHub
from flask_signalr.rest.exchange import Transport
from flask_signalr.rest.per_process import PerProcess
from flask_signalr.sign_out import SignOut
from flask_signalr.stores.store import Store

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from flask_signalr.entra.entra_access import EntraAccess
    from flask_signalr.rest.client import ServiceClient


logger = logging.getLogger("flask_signalr.config")

LONGEST_KEPT = 300
"""Seconds for which a request keeps its settings when others are read; event streams go on when their key is gone."""


class AppState:
    """``app.extensions["signalr"]``.

    Args:
        app: The app.
        settings: What the app's configuration holds.
        declarations: Every declared hub, by its name; hubs may be added at any time.
        defaults: The keywords of ``SignalR(…)``.
        clock: Returns seconds.

    Attributes:
        app: As given.

    Raises:
        ConfigurationError: A value cannot be used.
    """

    def __init__(
        self,
        app: Flask,
        settings: Settings,
        declarations: Mapping[str, Declaration],
        defaults: HubKeywords,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.app = app
        self._clock = clock
        self._schemes: list[AuthScheme] = []
        self._transport: Transport | None = None
        self._adapt: Callable[[Settings], Settings] = lambda settings: settings
        # One for all settings, so that an app hears of changes in their order.
        self._announcer = PerProcess(partial(EndpointAnnouncer, app))
        self._warned: dict[str, set[str]] = {}  # by hub, or "", for all settings: a warning that came once is known
        self._declarations = declarations
        self._defaults = defaults
        self._configured = self._checked(Configured(app, settings, defaults, self._services(settings)))
        self._key = f"flask_signalr.configured.{id(self)}"  # an environment may pass through several apps
        self._sign_out = SignOut(app, self._hubs_to_sign_out_of)

    @property
    def settings(self) -> Settings:
        """What the app's configuration holds."""
        return self._in_use().settings

    @property
    def options(self) -> HubOptions:
        """What a hub without keywords of its own would have."""
        return self._in_use().options

    def _in_use(self, environ: "WSGIEnvironment | None" = None) -> Configured:
        """Return what is configured: in a request, what was when it first asked, whatever is read meanwhile.

        Args:
            environ: The request's, where it is at hand: looking it up takes a microsecond of each negotiation. ``None``
                for that of the current one, if there is one.
        """
        if environ is None:
            if not has_request_context():
                return self._configured
            environ = request.environ
        configured: Configured = environ.setdefault(self._key, self._configured)
        if configured is not self._configured:
            now = self._clock()
            configured.kept_until = min(configured.kept_until, now + LONGEST_KEPT)  # two reloads at once tell one end
            if now > configured.kept_until:
                configured = environ[self._key] = self._configured
        return configured

    def reload(self, settings: Settings) -> None:
        """Take other settings from now on; requests that are being answered keep theirs, but for the one that asks.

        They do so for `LONGEST_KEPT` seconds at most.

        Raises:
            ConfigurationError: A value cannot be used; then everything stays as it is.
        """
        old, settings = self._configured, self._adapt(settings)
        store = old.services.store if settings.store == old.settings.store else None
        services = self._services(settings, store, old.services.entra)
        configured = self._checked(Configured(self.app, settings, self._defaults, services))
        configured.services.endpoints.take_over(old.services.endpoints)
        if self._transport is not None:
            configured.services.use_transport(self._transport)
        old.kept_until = self._clock() + LONGEST_KEPT
        self._configured = configured
        if has_request_context():
            request.environ.pop(self._key, None)
        old.services.endpoints.stop()

    def _checked(self, configured: Configured) -> Configured:
        """Return what was configured, if every declared hub can live with it; what to think about is logged once."""
        for declaration in tuple(self._declarations.values()):
            configured.options_of(declaration.keywords)
        told = self._warned.setdefault("", set())
        for warning in configured.warnings():
            if warning not in told:
                told.add(warning)
                logger.warning(warning)
        return configured

    def check(self, keywords: HubKeywords) -> None:
        """Refuse a hub that cannot live with what is configured, or that the app could not run.

        Raises:
            ConfigurationError: It wants in its tokens what the service's own cannot carry, or one of its functions is
                async and the app runs none.
        """
        self._configured.options_of(keywords)

    def _services(
        self, settings: Settings, store: Store | None = None, entra: "EntraAccess | None" = None
    ) -> AppServices:
        return AppServices(settings, self._announcer, store, entra)

    @property
    def endpoints(self) -> AppEndpoints:
        """The service endpoints, and which of them are up."""
        return self._in_use().services.endpoints

    @property
    def service(self) -> "ServiceClient":
        """The service's REST API; needs no request.

        Raises:
            MissingExtra: The extra ``serverless`` is not installed.
        """
        return self._in_use().services.service

    def use_transport(self, transport: Transport) -> None:
        """Let every call of the service take this road from now on, such as one into a test's own service."""
        self._transport = transport
        self._configured.services.use_transport(transport)

    def adapt(self, adapted: Callable[[Settings], Settings]) -> None:
        """Change the settings, these and all further ones, such as to those that a test's own service needs.

        Args:
            adapted: Returns the changed settings.

        Raises:
            ConfigurationError: As `reload`.
        """
        self._adapt = adapted
        settings = self._configured.settings
        if adapted(settings) != settings:
            self.reload(settings)

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

    def hub(self, name: str, environ: "WSGIEnvironment | None" = None) -> MountedHub:
        """Return a hub as it is in this app.

        Args:
            name: The hub's name.
            environ: The request's, for who has it at hand.

        Raises:
            HubNotFound: No hub of that name is declared.
        """
        configured = self._in_use(environ)
        mounted = configured.hubs.get(name)
        if mounted is None:
            declaration = self._declarations.get(name)
            if declaration is None:
                raise HubNotFound("no hub of this name is declared here")
            options = configured.options_of(declaration.keywords)
            mounted = configured.hubs[name] = MountedHub(
                name,
                options,
                configured.settings,
                declaration.methods,
                configured.services,
                configured.token_check,
                self._warned.setdefault(name, set()),
            )
        return mounted

    def hub_at_service(self, name: str, environ: "WSGIEnvironment") -> MountedHub:
        """Return the hub that an upstream URL names: in any case, with or without the application's name before it.

        Raises:
            HubNotFound: It names none.
        """
        return self.hub(self._in_use(environ).declared_name(name, self._declarations) or "", environ)

    def hubs(self) -> Iterable[MountedHub]:
        """Return all hubs."""
        return [self.hub(name) for name in tuple(self._declarations)]

    def _hubs_to_sign_out_of(self) -> Iterable[MountedHub]:
        wanted = self.settings.close_on_sign_out
        if wanted is None:
            wanted = find_spec("urllib3") is not None  # what the extra `serverless` brings
        return self.hubs() if wanted else ()


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
