"""What follows from one reading of an app's configuration."""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from flask import Flask

from flask_signalr.app_services import AppServices
from flask_signalr.config import Settings
from flask_signalr.errors import ConfigurationError, MissingExtra
from flask_signalr.handler_check import accept_for, to_call
from flask_signalr.hub_options import HubKeywords, HubOptions
from flask_signalr.mounted_hub import MountedHub
from flask_signalr.negotiation import prefixed_hub
from flask_signalr.stores.memory import MAX_CLAIMS
from flask_signalr.upstream_token import UpstreamTokenCheck

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
        kept_until: When no request keeps these settings any more, by the clock of whoever reads others; else never.

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
        self.kept_until = math.inf
        self._names: tuple[int, Mapping[str, str]] = (0, {})
        self.options = self.options_of(defaults)
        if settings.refresh and services.entra is not None and services.entra.issued_tokens is not None:
            raise ConfigurationError(
                "SIGNALR_REFRESH: tokens that the service issues cannot be renewed: let the app sign them "
                "(SIGNALR_TOKEN_SOURCE=key)"
            )
        _check_extra(settings, services)

    def warnings(self) -> Iterator[str]:
        """Yield what whoever configured it should think about."""
        window = self.settings.upstream.replay_window
        if window > LONGEST_WINDOW_IN_MEMORY and not self.services.store.is_shared:
            yield (
                f"SIGNALR_UPSTREAM_REPLAY_WINDOW is {window} s, and the store is memory://: a process remembers "
                f"{MAX_CLAIMS} calls, refuses some of more than {MAX_CLAIMS // window} in a second, and it knows "
                "nothing of what other processes handled: set SIGNALR_STORE_URL to a Redis, or the window to "
                f"{LONGEST_WINDOW_IN_MEMORY} s or less"
            )
        if self.settings.entra.has_issued_tokens and self.services.entra is None:
            yield (
                "SIGNALR_TOKEN_SOURCE=service has no effect: every endpoint has an AccessKey, and with one the app "
                "signs the tokens of clients itself: leave it out, or take connection strings with an AuthType"
            )

    def options_of(self, keywords: HubKeywords) -> HubOptions:
        """Return the options that a hub's keywords come to.

        Raises:
            ConfigurationError: One of its functions is async and the app runs none, or it wants in its tokens what
                those that the service issues cannot carry.
        """
        configured: HubKeywords = {
            "allowed_origins": self.settings.allowed_origins,
            "access_token_lifetime": self.settings.access_token_lifetime,
            "access_token_algorithm": self.settings.access_token_algorithm,
            "token_options": self.settings.token_options,
            "close_on_expiry": self.settings.close_on_expiry,
        }
        options = self._runnable(HubOptions(**cast("dict[str, Any]", configured | keywords)))
        entra = self.services.entra
        if entra is not None and entra.issued_tokens is not None:
            entra.issued_tokens.check(options.claims_filter, options.token_options, options.access_token_lifetime)
        return options

    def declared_name(self, name: str, declared: Collection[str]) -> str | None:
        """Return which declared hub an upstream URL means, ``None`` for none; the table is made once for all hubs."""
        count, names = self._names
        if count != len(declared):
            plain = {known.lower(): known for known in tuple(declared)}
            # With a prefix `a`, hub `b` is `a_b` at the service, whether or not there is another hub of that name.
            names = plain | {prefixed_hub(known, self.settings.application_name): known for known in plain.values()}
            self._names = (len(plain), names)
        return names.get(name.lower())

    def _runnable(self, options: HubOptions) -> HubOptions:
        """Return options whose async functions run as the app's async views do; others stay as they are."""
        given, url = options.token_options, options.sdk_url
        tokens = replace(
            given,
            close_on_expiry=given.close_on_expiry or options.close_on_expiry,
            diagnostic_client=self._synchronous("diagnostic_client=", given.diagnostic_client),
        )
        if url is not None:
            told = ("request_id", "culture", "ui_culture")
            url = replace(
                url, **{name: self._synchronous(f"ServerSdkUrl({name}=…)", getattr(url, name)) for name in told}
            )
        runnable = {name: self._synchronous(f"{name}=", getattr(options, name)) for name in _FUNCTIONS}
        return replace(options, token_options=tokens, server_sdk_url=url or False, **runnable)

    def _synchronous(self, subject: str, function: Any) -> Any:
        """Return a function as views call it; ``None`` for none."""
        if function is None:
            return None
        accept_for(self._app)(subject, function)
        return self._app.ensure_sync(to_call(function))


_FUNCTIONS = ("user_id_provider", "claims_filter", "collision_guard", "refresh_gate")
"""The keywords of a hub that take a function, which may be ``async def``."""


def _check_extra(settings: Settings, services: AppServices) -> None:
    """Tell of a missing extra now, and not when somebody signs out or renews a sign-in."""
    demands = {"SIGNALR_CLOSE_ON_SIGN_OUT": settings.close_on_sign_out, "SIGNALR_REFRESH": settings.refresh}
    demanded = next((key for key, value in demands.items() if value), None)
    if demanded is not None:
        try:
            _ = services.service
        except MissingExtra as exc:
            raise MissingExtra(demanded, exc.extra) from None
