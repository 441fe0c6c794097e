"""The ``SIGNALR_*`` keys of an app's configuration: their types, ranges and defaults, and what each one takes."""

import logging
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, get_args

import msgspec

from flask_signalr.connection_string import shown_name
from flask_signalr.endpoint_health import DEFAULT_HEALTH
from flask_signalr.endpoint_settings import CONNECTION_STRING_FORM
from flask_signalr.entra.entra_settings import TokenOrigin
from flask_signalr.errors import ConfigurationError
from flask_signalr.stores.store import MAX_LIFETIME
from flask_signalr.stores.store_settings import IN_MEMORY
from flask_signalr.stores.store_url import FORM as STORE_URL_FORM
from flask_signalr.stores.store_url import PREFIX as STORE_PREFIX
from flask_signalr.token_claims import LONGEST_LIFETIME, StickyMode, Transport
from flask_signalr.tokens import ALGORITHMS, TOKEN_LIMIT
from flask_signalr.upstream_settings import SecondaryKeys, UpstreamSettings

logger = logging.getLogger("flask_signalr.config")

_PREFIX = "SIGNALR_"
_NO_CHOICE = re.compile(r"(?<=^Invalid enum value ').*(?='$)", re.DOTALL)
_LARGEST_BODY = 16 * 1024 * 1024  # bytes; the service takes no larger answers either
_LONGEST_WINDOW = 86_400


class ConfigurationKeys(msgspec.Struct, kw_only=True, rename=lambda field: _PREFIX + field.upper()):
    """The keys with their types, ranges and defaults; a text of an environment variable is converted."""

    connection_string: str = ""
    endpoints: dict[str, str] = {}
    credential: Any = None
    token_source: TokenOrigin = "key"
    endpoint_weights: dict[str, Annotated[float, msgspec.Meta(gt=0)]] = {}
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
    close_on_expiry: bool = False
    refresh: bool = False
    rest_timeout: Annotated[float, msgspec.Meta(gt=0, le=300)] = 10
    rest_retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 3
    health_interval: Annotated[float, msgspec.Meta(ge=0, le=3600)] = DEFAULT_HEALTH.interval
    health_timeout: Annotated[float, msgspec.Meta(gt=0, le=60)] = DEFAULT_HEALTH.timeout
    health_failures: Annotated[int, msgspec.Meta(ge=1, le=100)] = DEFAULT_HEALTH.failures
    health_successes: Annotated[int, msgspec.Meta(ge=1, le=100)] = DEFAULT_HEALTH.successes
    secondary_keys: SecondaryKeys = ""
    upstream_issuer: str = ""
    upstream_audience: str = ""
    upstream_app_id: str = ""
    upstream_body_limit: Annotated[int, msgspec.Meta(ge=1, le=_LARGEST_BODY)] = UpstreamSettings.body_limit
    upstream_replay_window: Annotated[int, msgspec.Meta(ge=0, le=_LONGEST_WINDOW)] = UpstreamSettings.replay_window

    def __repr__(self) -> str:
        return "ConfigurationKeys(…)"  # connection strings hold keys, and error trackers show local variables


_FORMS = {
    "SIGNALR_CONNECTION_STRING": CONNECTION_STRING_FORM,
    "SIGNALR_ENDPOINTS": 'give a JSON object of name to connection string, as {"east": "Endpoint=https://…"}',
    "SIGNALR_TOKEN_SOURCE": f"choose among {', '.join(get_args(TokenOrigin))}",
    "SIGNALR_ENDPOINT_WEIGHTS": 'give a JSON object of endpoint name to a number above 0, as {"east": 3}',
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
    "SIGNALR_CLOSE_ON_EXPIRY": "give true or false",
    "SIGNALR_REFRESH": "give true or false",
    "SIGNALR_REST_TIMEOUT": "give seconds, such as 10",
    "SIGNALR_REST_RETRIES": "give a whole number, such as 3",
    "SIGNALR_HEALTH_INTERVAL": "give seconds, such as 30; 0 probes nothing",
    "SIGNALR_HEALTH_TIMEOUT": "give seconds, such as 2",
    "SIGNALR_HEALTH_FAILURES": "give a whole number, such as 2",
    "SIGNALR_HEALTH_SUCCESSES": "give a whole number, such as 1",
    "SIGNALR_SECONDARY_KEYS": "give an object of endpoint name to key or keys; for one endpoint the key alone will do",
    "SIGNALR_UPSTREAM_BODY_LIMIT": "give a whole number of bytes",
    "SIGNALR_UPSTREAM_REPLAY_WINDOW": "give whole seconds, such as 300; 0 turns it off",
    "SIGNALR_TRANSPORTS": f"choose among {', '.join(get_args(Transport))}, in a list",
}
"""What a key takes, for the reader of an error; ranges stand in the error itself."""


def read_keys(config: Mapping[str, Any]) -> ConfigurationKeys:
    """Return the keys that an app's configuration holds; one that is misspelt is warned about.

    Raises:
        ConfigurationError: A value has not its key's type or range; the text names the key and shows no secret.
    """
    known = [field.encode_name for field in msgspec.structs.fields(ConfigurationKeys)]
    for key in config:
        if key.startswith(_PREFIX) and key not in known:
            meant = get_close_matches(key, known, n=1)
            logger.warning("%s is no configuration key%s", key, f"; do you mean {meant[0]}?" if meant else "")
    given = {key: config[key] for key in known if config.get(key) is not None}
    try:
        return msgspec.convert(given, ConfigurationKeys, strict=False)
    except UnicodeEncodeError:
        fault, path = "this is not UTF-8", next(key for key, value in given.items() if not _is_unicode(key, value))
    except msgspec.ValidationError as exc:
        fault, _, place = str(exc).rpartition(" - at ")
        fault = _NO_CHOICE.sub(lambda value: shown_name(value[0]), fault)
        path = _with_name(place.rpartition("$.")[2].rstrip("`"), given)
    form = _FORMS.get(path.partition("[")[0])
    raise ConfigurationError(f"{path}: {fault}; {form}" if form else f"{path}: {fault}") from None


def _with_name(path: str, given: Mapping[str, Any]) -> str:
    """Return where a fault is with the name that it is at, which msgspec leaves out: ``SIGNALR_ENDPOINTS['east']``."""
    key, is_below_a_name, rest = path.partition("[...]")
    for name, value in given[key].items() if is_below_a_name else ():
        try:
            msgspec.convert({key: {name: value}}, ConfigurationKeys, strict=False)
        except msgspec.ValidationError:
            return f"{key}[{shown_name(str(name))!r}]{rest}"
    return path


def _is_unicode(key: str, value: Any) -> bool:
    """Tell whether a value has no half of a character, as which the environment brings bytes that are no UTF-8."""
    try:
        msgspec.convert({key: value}, ConfigurationKeys, strict=False)
    except UnicodeEncodeError:
        return False
    return True
