"""What the extension keeps for one app: its settings, and the hubs as they are in this app."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from flask import Flask

from flask_signalr.auth.scheme import AuthScheme
from flask_signalr.config import Settings
from flask_signalr.errors import HubNotFound
from flask_signalr.hub import MountedHub
from flask_signalr.hub_options import HubKeywords, HubOptions


class AppState:
    """``app.extensions["signalr"]``.

    Args:
        app: The app.
        settings: What the app's configuration holds.
        declarations: The keywords of every declared hub, by its name; hubs may be added at any time.
        defaults: The keywords of ``SignalR(…)``.

    Attributes:
        settings: As given.
        options: What a hub without keywords of its own would have.

    Raises:
        ConfigurationError: A value cannot be used.
    """

    def __init__(
        self, app: Flask, settings: Settings, declarations: Mapping[str, HubKeywords], defaults: HubKeywords
    ) -> None:
        self.settings = settings
        self._app = app
        self._schemes: list[AuthScheme] = []
        self._declarations = declarations
        self._defaults = defaults
        self._mounted: dict[str, MountedHub] = {}
        self.options = self._options({})

    def init_schemes(self, keywords: HubKeywords) -> None:
        """Let the auth schemes in these keywords check the app, each the first time that it is seen.

        Raises:
            ConfigurationError: One of them cannot work in it.
        """
        for scheme in keywords.get("auth", ()):
            if not any(scheme is known for known in self._schemes):
                scheme.init_app(self._app)
                self._schemes.append(scheme)

    def hub(self, name: str) -> MountedHub:
        """Return a hub as it is in this app.

        Raises:
            HubNotFound: No hub of that name is declared.
        """
        mounted = self._mounted.get(name)
        if mounted is None:
            keywords = self._declarations.get(name)
            if keywords is None:
                raise HubNotFound("no hub of this name is declared here")
            mounted = self._mounted[name] = MountedHub(name, self._options(keywords), self.settings)
        return mounted

    def _options(self, keywords: HubKeywords) -> HubOptions:
        configured: HubKeywords = {
            "allowed_origins": self.settings.allowed_origins,
            "access_token_lifetime": self.settings.access_token_lifetime,
            "access_token_algorithm": self.settings.access_token_algorithm,
            "token_options": self.settings.token_options,
        }
        return self._sync(HubOptions(**cast("dict[str, Any]", configured | self._defaults | keywords)))

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
