"""Configuration: the ``SIGNALR_*`` keys of an app, read once into one value."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from flask_signalr.config_keys import CONNECTION_STRING_FORM, ConfigurationKeys, read_keys
from flask_signalr.endpoint_health import DEFAULT_HEALTH, HealthSettings
from flask_signalr.endpoints import ServiceEndpoint, merge_endpoints
from flask_signalr.entra.entra_settings import NO_ENTRA, EntraSettings, check_encryption
from flask_signalr.errors import ConfigurationError
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
        with _naming("SIGNALR_ALLOWED_ORIGINS"):
            allowed_origins = parse_origins(origins.split(",") if isinstance(origins, str) and origins else origins)
        with _naming("SIGNALR_APPLICATION_NAME"):
            application_name = check_application_name(keys.application_name)
        endpoints = _endpoints(keys)
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
    with _naming(name):
        return EntraSettings(chosen, keys.token_source == "service")


def _upstream(keys: ConfigurationKeys, endpoints: tuple[ServiceEndpoint, ...]) -> UpstreamSettings:
    with _naming("SIGNALR_SECONDARY_KEYS"):
        known = upstream_keys(endpoints, keys.secondary_keys)
    return UpstreamSettings(
        keys=known,
        token=upstream_token(keys.upstream_issuer, keys.upstream_audience, keys.upstream_app_id),
        body_limit=keys.upstream_body_limit,
        replay_window=keys.upstream_replay_window,
    )


def _endpoints(keys: ConfigurationKeys) -> tuple[ServiceEndpoint, ...]:
    if not keys.connection_string and not keys.endpoints:
        raise ConfigurationError(
            "SIGNALR_CONNECTION_STRING is missing: set it to the connection string that the Azure portal shows under "
            "Settings, Keys; or run 'flask-signalr emulator' and take the one that it prints"
        )
    found = []
    if keys.connection_string:
        with _naming("SIGNALR_CONNECTION_STRING"):
            found.append(_endpoint(keys.connection_string))
    for name, connection_string in keys.endpoints.items():
        with _naming(f"SIGNALR_ENDPOINTS[{name!r}]"):
            found.append(_endpoint(connection_string, name))
    with _naming("SIGNALR_ENDPOINT_WEIGHTS"):
        found = _weighted(found, keys.endpoint_weights)
    with _naming("SIGNALR_ENDPOINTS"):
        merged = merge_endpoints(found)
        _check_names(merged)
        return merged


def _check_names(endpoints: Iterable[ServiceEndpoint]) -> None:
    """Refuse two instances of one name: nobody could say which of them is down."""
    for name, count in Counter(endpoint.name for endpoint in endpoints).items():
        if name and count > 1:
            raise ConfigurationError(f"{count} endpoints are named {name!r}, give each a name of its own")


def _weighted(endpoints: list[ServiceEndpoint], weights: Mapping[str, float]) -> list[ServiceEndpoint]:
    names = [endpoint.name for endpoint in endpoints]
    for name in weights:
        if name not in names:
            raise ConfigurationError(f"no endpoint is named {name!r}; there are {', '.join(map(repr, names))}")
    return [replace(each, weight=weights[each.name]) if each.name in weights else each for each in endpoints]


def _endpoint(connection_string: str, name: str = "") -> ServiceEndpoint:
    try:
        endpoint = ServiceEndpoint.parse(connection_string, name)
    except ConfigurationError as exc:  # the SDK's texts say what is wrong and not what would be right
        fault = str(exc).removesuffix(".")
        raise ConfigurationError(f"{fault}. A connection string: {CONNECTION_STRING_FORM}") from None
    check_encryption(endpoint)
    return endpoint


@contextmanager
def _naming(key: str) -> Iterator[None]:
    """Put a key's name before the text of a configuration error."""
    try:
        yield
    except ConfigurationError as exc:
        raise ConfigurationError(f"{key}: {exc}") from None
