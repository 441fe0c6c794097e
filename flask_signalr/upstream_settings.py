"""What an app's configuration says of upstream requests: their keys, their token, their size, their window."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from flask_signalr.endpoints import ServiceEndpoint
from flask_signalr.errors import ConfigurationError
from flask_signalr.tokens import SigningKey

SecondaryKeys = str | list[str] | dict[str, str | list[str]]
"""What ``SIGNALR_SECONDARY_KEYS`` takes."""

MAX_KEYS = 16
"""Keys of all endpoints together: each costs a signature at every request."""


@dataclass(frozen=True)
class UpstreamToken:
    """What the token must say that the service's managed identity brings.

    Attributes:
        issuer: The identity provider, whose discovery document leads to its keys.
        audience: What ``aud`` must be or hold.
        app_id: Which identity it must be: ``appid`` or ``azp``.
    """

    issuer: str
    audience: str
    app_id: str


@dataclass(frozen=True)
class UpstreamSettings:
    """What differs per deployment in the way upstream requests are checked.

    Attributes:
        keys: Every key that the service may sign with.
        token: What the token must say; ``None`` demands none.
        body_limit: Bytes that a body may have.
        replay_window: Seconds that handled requests are remembered; 0 remembers none.
    """

    keys: tuple[SigningKey, ...] = field(default=(), repr=False, compare=False)
    token: UpstreamToken | None = None
    body_limit: int = 1024 * 1024
    replay_window: int = 0


NO_UPSTREAM_KEYS = UpstreamSettings()
"""What holds unless the configuration says otherwise; without keys every request is refused."""


def upstream_token(issuer: str, audience: str, app_id: str) -> UpstreamToken | None:
    """Return what the token must say, or ``None`` if nothing is configured.

    Raises:
        ConfigurationError: Only some of it is configured: without one of them the token of anybody would do.
    """
    given = {
        "SIGNALR_UPSTREAM_ISSUER": issuer,
        "SIGNALR_UPSTREAM_AUDIENCE": audience,
        "SIGNALR_UPSTREAM_APP_ID": app_id,
    }
    missing = [key for key, value in given.items() if not value.strip()]
    if len(missing) == len(given):
        return None
    if missing:
        known = next(key for key in given if key not in missing)
        raise ConfigurationError(
            f"{known}: set {' and '.join(missing)} too, or anybody's token would do; or none of them"
        )
    return UpstreamToken(issuer, audience, app_id)


def upstream_keys(endpoints: Iterable[ServiceEndpoint], secondary: SecondaryKeys) -> tuple[SigningKey, ...]:
    """Return every key that the service may sign with: the access keys, and the secondary keys beside them.

    Args:
        endpoints: The service endpoints.
        secondary: Name of an endpoint to its key or keys, or only these where there is one endpoint. Several keys
            are a list, or a text with ``;`` between them. In a key's place may stand the endpoint's connection string
            that has it.

    Raises:
        ConfigurationError: It names an endpoint that is not there, or none of several; a key is empty or no text; a
            connection string is malformed or of another endpoint; or there are more than `MAX_KEYS` keys. No text shows
            a key.
    """
    endpoints = tuple(endpoints)
    names = [endpoint.name for endpoint in endpoints]
    by_name: Mapping[str, str | list[str]]
    if isinstance(secondary, dict):
        by_name = secondary
    elif secondary and len(endpoints) > 1:
        raise ConfigurationError(f"there are several endpoints: give an object of name to key, names {names!r}")
    else:
        by_name = {names[0]: secondary} if secondary else {}
    for name in by_name:
        if name not in names:
            raise ConfigurationError(f"there is no endpoint of the name {name[:50]!r}; there are {names!r}")
    texts = [endpoint.access_key for endpoint in endpoints if endpoint.access_key is not None]
    for name, value in by_name.items():
        texts += _keys_of(endpoints[names.index(name)], value)
    if not all(texts):
        raise ConfigurationError("a key is empty: leave out what is not there, and a ';' at the end")
    if any(letter < "!" or "\ud800" <= letter <= "\udfff" for text in texts for letter in text):
        raise ConfigurationError("a key has blanks, control characters or bytes that are not UTF-8")
    unique = dict.fromkeys(texts)
    if len(unique) > MAX_KEYS:
        raise ConfigurationError(f"there are {len(unique)} keys of all endpoints together, and {MAX_KEYS} may be")
    known = {endpoint.access_key: endpoint.key for endpoint in endpoints if endpoint.key is not None}
    return tuple(known.get(text) or SigningKey(text) for text in unique)


def _keys_of(endpoint: ServiceEndpoint, value: str | list[str]) -> list[str]:
    """Return the keys that are given for an endpoint."""
    if not isinstance(value, str):
        texts = value
    elif _is_connection_string(value):
        texts = [value]
    else:
        texts = value.split(";")
    return [_key_of(endpoint, text) if _is_connection_string(text) else text.strip() for text in texts]


def _is_connection_string(text: str) -> bool:
    """Return whether a text is one and not a key: no key begins with a name and ``=``."""
    return any(piece.partition("=")[0].strip().lower() in {"endpoint", "accesskey"} for piece in text.split(";"))


def _key_of(endpoint: ServiceEndpoint, connection_string: str) -> str:
    """Return the key in a connection string of this endpoint.

    Raises:
        ConfigurationError: It is malformed, or of another endpoint, or has no key, or another key stands beside it.
    """
    if not all(piece.partition("=")[2].strip(" =") for piece in connection_string.split(";") if piece.strip()):
        raise ConfigurationError("something stands beside a connection string in one text: give a list of both")
    given = ServiceEndpoint.parse(connection_string)
    if given.origin != endpoint.origin:  # nothing of it would ever come, and the key that is meant would be missing
        own = f"endpoint {endpoint.name!r}" if endpoint.name else "the endpoint"
        raise ConfigurationError(
            f"the connection string is of {given.url}, and {own} is {endpoint.url}: take that one's secondary string"
        )
    if given.access_key is None:
        raise ConfigurationError("the connection string has an AuthType and no key: take one with AccessKey")
    return given.access_key
