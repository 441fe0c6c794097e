"""Configuration: the ``SIGNALR_*`` keys of an app, read once into one value."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flask_signalr.config_keys import ConfigurationKeys, read_keys
from flask_signalr.endpoint_health import DEFAULT_HEALTH, HealthSettings
from flask_signalr.endpoint_settings import configured_endpoints, naming_key
from flask_signalr.endpoints import ServiceEndpoint
from flask_signalr.entra.entra_settings import NO_ENTRA, EntraSettings
from flask_signalr.negotiation import check_application_name
from flask_signalr.origins import parse_origins
from flask_signalr.stores.store_settings import IN_MEMORY, StoreSettings
from flask_signalr.token_claims import TokenOptions
from flask_signalr.upstream_settings import (
    NO_UPSTREAM_KEYS,
    UpstreamSettings,
    upstream_keys,
    upstream_token,
)

logger = logging.getLogger("flask_signalr.config")


@dataclass(frozen=True)
class Settings:
    """What differs per deployment; ``docs/reference/configuration.md`` describes the keys.

    Attributes:
        endpoints: The service endpoints, primary ones first; at least one.
        application_name: The prefix that keeps the hubs of several apps at one service apart.
        access_token_lifetime: Seconds that a service token is valid.
        access_token_algorithm: ``HS256`` or ``HS512``.
        access_token_warning_length: Characters of a service token above which a warning is logged.
        allowed_origins: The origins, besides the app's own, whose pages may connect.
        token_options: What the service tokens tell the service.
        upstream: How upstream requests are checked.
        store: Where the processes of the app keep what they share.
        close_on_sign_out: Whether Flask-Login's sign-out closes the user's connections; ``None`` for where the extra
            ``serverless`` is installed.
        close_on_expiry: Whether the service closes a connection when the sign-in that opened it ends.
        refresh: Whether clients may renew the sign-in of their connections.
        rest_timeout: Seconds that a call of the service may take, with its repetitions.
        rest_retries: How often a call of the service is repeated at most.
        health: How several service endpoints are probed.
        entra: What holds for the service endpoints without an access key.
    """

    endpoints: tuple[ServiceEndpoint, ...]
    application_name: str
    access_token_lifetime: int
    access_token_algorithm: str
    access_token_warning_length: int
    allowed_origins: frozenset[str]
    token_options: TokenOptions
    upstream: UpstreamSettings = NO_UPSTREAM_KEYS
    store: StoreSettings = IN_MEMORY
    close_on_sign_out: bool | None = None
    close_on_expiry: bool = False
    refresh: bool = False
    rest_timeout: float = 10
    rest_retries: int = 3
    health: HealthSettings = DEFAULT_HEALTH
    entra: EntraSettings = NO_ENTRA

    @property
    def detailed_errors(self) -> bool:
        """Whether clients read the errors of hub methods."""
        return self.token_options.detailed_errors

    @cached_property
    def audience_base_urls(self) -> frozenset[str]:
        """What the audiences of the app's service tokens begin with."""
        return frozenset(endpoint.audience_base_url for endpoint in self.endpoints)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], credential: object | None = None) -> "Settings":
        """Return the settings that an app's configuration holds.

        Args:
            config: The configuration.
            credential: What ``SignalR(credential=…)`` was given, which comes before ``SIGNALR_CREDENTIAL``.

        Raises:
            ConfigurationError: A key is missing or malformed; the text names it and never shows a secret.
        """
        keys = read_keys(config)
        origins = keys.allowed_origins
        with naming_key("SIGNALR_ALLOWED_ORIGINS"):
            allowed_origins = parse_origins(origins.split(",") if isinstance(origins, str) and origins else origins)
        with naming_key("SIGNALR_APPLICATION_NAME"):
            application_name = check_application_name(keys.application_name)
        endpoints = configured_endpoints(keys.connection_string, keys.endpoints, keys.endpoint_weights)
        return cls(
            endpoints=endpoints,
            application_name=application_name,
            access_token_lifetime=keys.access_token_lifetime,
            access_token_algorithm=keys.access_token_algorithm,
            access_token_warning_length=keys.access_token_warning_length,
            allowed_origins=allowed_origins,
            token_options=TokenOptions(
                detailed_errors=keys.detailed_errors,
                server_name=keys.server_name,
                server_sticky_mode=keys.server_sticky_mode,
                handshake_timeout=keys.handshake_timeout,
                max_poll_interval=keys.max_poll_interval,
                transports=None if keys.transports is None else tuple(keys.transports),
            ),
            upstream=_upstream(keys, endpoints),
            store=StoreSettings(keys.store_url, keys.store_prefix, keys.presence_check_after, keys.presence_lifetime),
            close_on_sign_out=keys.close_on_sign_out,
            close_on_expiry=keys.close_on_expiry,
            refresh=keys.refresh,
            rest_timeout=keys.rest_timeout,
            rest_retries=keys.rest_retries,
            health=HealthSettings(
                keys.health_interval, keys.health_timeout, keys.health_failures, keys.health_successes
            ),
            entra=_entra(keys, credential),
        )


def _entra(keys: ConfigurationKeys, credential: object | None) -> EntraSettings:
    name, chosen = ("SIGNALR_CREDENTIAL", keys.credential) if credential is None else ("credential=", credential)
    with naming_key(name):
        return EntraSettings(chosen, keys.token_source == "service")


def _upstream(keys: ConfigurationKeys, endpoints: tuple[ServiceEndpoint, ...]) -> UpstreamSettings:
    with naming_key("SIGNALR_SECONDARY_KEYS"):
        known = upstream_keys(endpoints, keys.secondary_keys)
    return UpstreamSettings(
        keys_by_audience=known,
        token=upstream_token(keys.upstream_issuer, keys.upstream_audience, keys.upstream_app_id),
        body_limit=keys.upstream_body_limit,
        replay_window=keys.upstream_replay_window,
    )
