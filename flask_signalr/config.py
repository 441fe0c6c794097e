"""Configuration: the ``SIGNALR_*`` keys of an app, read once into one value."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Annotated, Any, Literal, get_args

import msgspec

from flask_signalr.endpoints import ServiceEndpoint, merge_endpoints
from flask_signalr.errors import ConfigurationError
from flask_signalr.negotiation import check_application_name
from flask_signalr.origins import parse_origins
from flask_signalr.stores.store import MAX_LIFETIME
from flask_signalr.stores.store_settings import IN_MEMORY, StoreSettings
from flask_signalr.stores.store_url import FORM as STORE_URL_FORM
from flask_signalr.stores.store_url import PREFIX as STORE_PREFIX
from flask_signalr.token_claims import LONGEST_LIFETIME, StickyMode, TokenOptions, Transport
from flask_signalr.tokens import ALGORITHMS, TOKEN_LIMIT
from flask_signalr.upstream_settings import (
    NO_UPSTREAM_KEYS,
    SecondaryKeys,
    UpstreamSettings,
    upstream_keys,
    upstream_token,
)

logger = logging.getLogger("flask_signalr.config")

_PREFIX = "SIGNALR_"
_LARGEST_BODY = 16 * 1024 * 1024  # bytes; the service takes no larger answers either
_LONGEST_WINDOW = 86_400


class _Keys(msgspec.Struct, kw_only=True, rename=lambda field: _PREFIX + field.upper()):
    """The keys with their types, ranges and defaults; a text of an environment variable is converted."""

    connection_string: str = ""
    endpoints: dict[str, str] = {}
    application_name: str = ""
    access_token_lifetime: Annotated[int, msgspec.Meta(ge=1, le=LONGEST_LIFETIME)] = 3600
    access_token_algorithm: Literal["HS256", "HS512"] = "HS256"
    access_token_warning_length: Annotated[int, msgspec.Meta(ge=1, le=TOKEN_LIMIT)] = 3072
    allowed_origins: str | list[str] = []
    detailed_errors: bool = False
    server_name: str | None = None
    server_sticky_mode: StickyMode = "Disabled"
    handshake_timeout: Annotated[int, msgspec.Meta(ge=1, le=30)] = 15
    max_poll_interval: Annotated[int, msgspec.Meta(ge=1, le=300)] | None = None
    transports: Annotated[list[Transport], msgspec.Meta(min_length=1)] | None = None
    store_url: str = IN_MEMORY.url
    store_prefix: Annotated[str, msgspec.Meta(pattern=STORE_PREFIX)] = IN_MEMORY.prefix
    presence_check_after: Annotated[int, msgspec.Meta(ge=1, le=MAX_LIFETIME)] = IN_MEMORY.presence_check_after
    presence_lifetime: Annotated[int, msgspec.Meta(ge=60, le=MAX_LIFETIME)] = IN_MEMORY.presence_lifetime
    close_on_sign_out: bool | None = None
    rest_timeout: Annotated[float, msgspec.Meta(gt=0, le=300)] = 10
    rest_retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 3
    secondary_keys: SecondaryKeys = ""
    upstream_issuer: str = ""
    upstream_audience: str = ""
    upstream_app_id: str = ""
    upstream_body_limit: Annotated[int, msgspec.Meta(ge=1, le=_LARGEST_BODY)] = UpstreamSettings.body_limit
    upstream_replay_window: Annotated[int, msgspec.Meta(ge=0, le=_LONGEST_WINDOW)] = UpstreamSettings.replay_window

    def __repr__(self) -> str:
        return "_Keys(…)"  # connection strings hold keys, and error trackers show local variables


_CONNECTION_STRING_FORM = "it looks like Endpoint=https://…;AccessKey=…;Version=1.0; and has no quotes around it"
_FORMS = {
    "SIGNALR_CONNECTION_STRING": _CONNECTION_STRING_FORM,
    "SIGNALR_ENDPOINTS": 'give a JSON object of name to connection string, as {"east": "Endpoint=https://…"}',
    "SIGNALR_ACCESS_TOKEN_LIFETIME": "give whole seconds, such as 3600",
    "SIGNALR_ACCESS_TOKEN_ALGORITHM": f"choose among {', '.join(ALGORITHMS)}",
    "SIGNALR_ACCESS_TOKEN_WARNING_LENGTH": "give a whole number of characters",
    "SIGNALR_ALLOWED_ORIGINS": "give a list of origins, or a text with commas",
    "SIGNALR_DETAILED_ERRORS": "give true or false",
    "SIGNALR_SERVER_NAME": "give a text; the environment's JSON has quotes around one that is a number",
    "SIGNALR_SERVER_STICKY_MODE": f"choose among {', '.join(get_args(StickyMode))}",
    "SIGNALR_HANDSHAKE_TIMEOUT": "give whole seconds, such as 15",
    "SIGNALR_MAX_POLL_INTERVAL": "give whole seconds, such as 5",
    "SIGNALR_STORE_URL": STORE_URL_FORM,
    "SIGNALR_STORE_PREFIX": "give 1 to 64 letters, digits and _.:-",
    "SIGNALR_PRESENCE_CHECK_AFTER": "give whole seconds, such as 300",
    "SIGNALR_PRESENCE_LIFETIME": "give whole seconds, such as 86400",
    "SIGNALR_CLOSE_ON_SIGN_OUT": "give true or false",
    "SIGNALR_REST_TIMEOUT": "give seconds, such as 10",
    "SIGNALR_REST_RETRIES": "give a whole number, such as 3",
    "SIGNALR_SECONDARY_KEYS": "give an object of endpoint name to key or keys; for one endpoint the key alone will do",
    "SIGNALR_UPSTREAM_BODY_LIMIT": "give a whole number of bytes",
    "SIGNALR_UPSTREAM_REPLAY_WINDOW": "give whole seconds, such as 300; 0 turns it off",
    "SIGNALR_TRANSPORTS": f"choose among {', '.join(get_args(Transport))}, in a list",
}
"""What a key takes, for the reader of an error; ranges stand in the error itself."""


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
        rest_timeout: Seconds that a call of the service may take, with its repetitions.
        rest_retries: How often a call of the service is repeated at most.
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
    rest_timeout: float = 10
    rest_retries: int = 3

    @property
    def detailed_errors(self) -> bool:
        """Whether clients read the errors of hub methods."""
        return self.token_options.detailed_errors

    @cached_property
    def audience_base_urls(self) -> frozenset[str]:
        """What the audiences of the app's service tokens begin with."""
        return frozenset(endpoint.audience_base_url for endpoint in self.endpoints)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Settings":
        """Return the settings that an app's configuration holds.

        Raises:
            ConfigurationError: A key is missing or malformed; the text names it and never shows a secret.
        """
        keys = _read(config)
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
            rest_timeout=keys.rest_timeout,
            rest_retries=keys.rest_retries,
        )


def _upstream(keys: _Keys, endpoints: tuple[ServiceEndpoint, ...]) -> UpstreamSettings:
    with _naming("SIGNALR_SECONDARY_KEYS"):
        known = upstream_keys(endpoints, keys.secondary_keys)
    return UpstreamSettings(
        keys=known,
        token=upstream_token(keys.upstream_issuer, keys.upstream_audience, keys.upstream_app_id),
        body_limit=keys.upstream_body_limit,
        replay_window=keys.upstream_replay_window,
    )


def _read(config: Mapping[str, Any]) -> _Keys:
    known = [field.encode_name for field in msgspec.structs.fields(_Keys)]
    for key in config:
        if key.startswith(_PREFIX) and key not in known:
            meant = get_close_matches(key, known, n=1)
            logger.warning("%s is no configuration key%s", key, f"; do you mean {meant[0]}?" if meant else "")
    given = {key: config[key] for key in known if config.get(key) is not None}
    try:
        return msgspec.convert(given, _Keys, strict=False)
    except msgspec.ValidationError as exc:
        fault, _, place = str(exc).rpartition(" - at ")
        path = place.rpartition("$.")[2].rstrip("`")
        form = _FORMS.get(path.partition("[")[0])
        raise ConfigurationError(f"{path}: {fault}; {form}" if form else f"{path}: {fault}") from None


def _endpoints(keys: _Keys) -> tuple[ServiceEndpoint, ...]:
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
    with _naming("SIGNALR_ENDPOINTS"):
        return merge_endpoints(found)


def _endpoint(connection_string: str, name: str = "") -> ServiceEndpoint:
    try:
        endpoint = ServiceEndpoint.parse(connection_string, name)
    except ConfigurationError as exc:  # the SDK's texts say what is wrong and not what would be right
        fault = str(exc).removesuffix(".")
        raise ConfigurationError(f"{fault}. A connection string: {_CONNECTION_STRING_FORM}") from None
    if endpoint.key is None:
        raise ConfigurationError(
            "it has an AuthType and no AccessKey to sign with: signing through Microsoft Entra ID is not supported "
            "yet; use the connection string with AccessKey"
        )
    return endpoint


@contextmanager
def _naming(key: str) -> Iterator[None]:
    """Put a key's name before the text of a configuration error."""
    try:
        yield
    except ConfigurationError as exc:
        raise ConfigurationError(f"{key}: {exc}") from None
