"""The extension: `SignalR`, which declares hubs and mounts them in apps."""

import weakref
from typing import Any, Unpack

from flask import Flask, current_app, has_app_context

from flask_signalr.app_endpoints import AppEndpoints
from flask_signalr.app_state import AppState
from flask_signalr.config import Settings
from flask_signalr.errors import ConfigurationError, InvalidName
from flask_signalr.handler_check import accept_for
from flask_signalr.handler_signature import Handler
from flask_signalr.hub import Declaration, Hub
from flask_signalr.hub_methods import HubMethods
from flask_signalr.hub_options import HubKeywords, check_keywords
from flask_signalr.mounted_hub import MountedHub
from flask_signalr.names import check_hub_name
from flask_signalr.redaction import redact_logs
from flask_signalr.views import create_blueprint


class SignalR:
    """Azure SignalR Service for Flask.

    One object serves any number of apps: hubs are declared once, settings belong to each app.

    Args:
        app: Mounts into this app at once; without it, call `init_app`.
        credential: Who the apps are at service endpoints without an access key: an object with ``get_token``, such as
            those of azure-identity; ``None`` for ``SIGNALR_CREDENTIAL``, else for what the connection strings describe.
        **defaults: What every hub has unless it says otherwise; see `HubOptions`.

    Attributes:
        blueprint: The blueprint that `init_app` registers.

    Raises:
        ConfigurationError: A keyword is unknown or its value cannot be used, or a ``SIGNALR_*`` key of the app
            is missing or malformed.
    """

    def __init__(
        self, app: Flask | None = None, *, credential: object | None = None, **defaults: Unpack[HubKeywords]
    ) -> None:
        self.blueprint = create_blueprint()
        self._credential = credential
        self._defaults = check_keywords(defaults)  # a wrong value is an error here, not at the first request
        self._hubs: dict[str, Declaration] = {}
        self._states: weakref.WeakSet[AppState] = weakref.WeakSet()
        if app is not None:
            self.init_app(app)

    def hub(self, name: str, **options: Unpack[HubKeywords]) -> Hub:
        """Declare a hub: ``POST /<name>/negotiate`` answers, now and in apps that are mounted later.

        Args:
            name: A letter, then letters, digits and ``_`,.[]``; 128 characters at most.
            **options: What this hub has other than the defaults; see `HubOptions`.

        Raises:
            ConfigurationError: The name is invalid or taken (the service knows no case), an option is unknown or its
                value cannot be used, or one of its auth schemes, its functions or what it wants in tokens cannot work
                in an app that this object is mounted in.
        """
        try:
            check_hub_name(name)
        except InvalidName as exc:
            raise ConfigurationError(str(exc)) from None
        if name.lower() in map(str.lower, self._hubs):
            raise ConfigurationError(f"hub {name!r} is declared twice; the service knows no upper and lower case")
        checked = check_keywords(options)
        declaration = Declaration(self._defaults | checked, HubMethods(self._accept))
        for state in self._states:
            state.check(declaration.keywords)
            state.init_schemes(checked)
        self._hubs[name] = declaration
        return Hub(name, declaration, self._mounted)

    def init_app(self, app: Flask, **mount: Any) -> None:
        """Read the app's configuration, mount the blueprint, and keep tokens out of the servers' logs.

        Args:
            app: The app.
            **mount: Options of Flask's ``register_blueprint``, such as ``url_prefix="/realtime"``.

        Raises:
            ConfigurationError: A ``SIGNALR_*`` key is missing or malformed, the app has a `SignalR` already, or an auth
                scheme or a hub method cannot work in it.
        """
        if "signalr" in app.extensions:
            raise ConfigurationError("this app has a SignalR already: one object declares all of its hubs")
        settings = Settings.from_config(app.config, self._credential)
        state = AppState(app, settings, self._hubs, self._defaults)
        state.init_schemes(self._defaults)
        for declaration in tuple(self._hubs.values()):
            state.init_schemes(declaration.keywords)
            declaration.methods.check(accept_for(app))
        app.register_blueprint(self.blueprint, **mount)
        app.extensions["signalr"] = state
        redact_logs()
        self._states.add(state)

    def reload(self, app: Flask | None = None) -> None:
        """Read an app's configuration anew, such as access keys that were rotated.

        A request that is being answered and has used this object keeps the settings that it had, for five minutes at
        most, unless it is the one that calls this. What only ``init_app`` looks at, such as where the blueprint is
        mounted, stays.

        Args:
            app: The app; without it the current one, or the only one there is.

        Raises:
            ConfigurationError: A key is missing or malformed: then the old settings stay. Or this object is not mounted
                in the app.
        """
        if app is not None:
            state: AppState | None = app.extensions.get("signalr")
            if state is None or state not in self._states:
                raise ConfigurationError("this SignalR is not mounted in that app: call init_app(app)")
        else:
            state = self._state()
        state.reload(Settings.from_config(state.app.config, self._credential))

    @property
    def endpoints(self) -> AppEndpoints:
        """The service endpoints of the current app, or of the only one there is; their ``status()`` tells who is up.

        Raises:
            ConfigurationError: No app, or none in particular, is known.
        """
        return self._state().endpoints

    def _accept(self, subject: str, function: Handler) -> None:
        """Refuse a function that an app could not run in which this object is mounted by now."""
        for state in tuple(self._states):
            accept_for(state.app)(subject, function)

    def _mounted(self, name: str) -> MountedHub:
        """Return a hub in the current app, or in the only one there is."""
        return self._state().hub(name)

    def _state(self) -> AppState:
        if has_app_context():
            current: AppState | None = current_app.extensions.get("signalr")
            if current is not None and current in self._states:
                return current
        states = list(self._states)
        if len(states) != 1:
            reason = "is mounted in several apps; use 'with app.app_context():' to say which"
            if not states:
                reason = "is not mounted in an app: call init_app(app); or that app is gone: keep a reference to it"
            raise ConfigurationError(f"this SignalR {reason}")
        return states[0]
