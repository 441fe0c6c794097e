"""What an app's configuration says of upstream requests: their keys, their token, their size, their window."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from flask_signalr.connection_string import shown_name
from flask_signalr.endpoint_settings import check_key, no_such_endpoint
from flask_signalr.endpoints import ServiceEndpoint
from flask_signalr.errors import ConfigurationError
from flask_signalr.tokens import SigningKey

SecondaryKeys = str | list[str] | dict[str, str | list[str]]
"""What ``SIGNALR_SECONDARY_KEYS`` takes."""

KeysByAudience = Mapping[str, tuple[SigningKey, ...]]
"""The keys of service endpoints, by what the audiences of their tokens begin with."""

MAX_KEYS_PER_ENDPOINT = 4
"""Keys of one endpoint, its own among them: each costs a signature at every request that no key has made."""

_AUDIENCE = re.compile(r"(?:^|, )aud: (https?://[^/, ]{1,300}/)")


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
        keys_by_audience: Every key that the service may sign with, by whose it is.
        token: What the token must say; ``None`` demands none.
        body_limit: Bytes that a body may have.
        replay_window: Seconds that handled requests are remembered; 0 remembers none.
    """

    keys_by_audience: KeysByAudience = field(default_factory=dict, repr=False, compare=False)
    token: UpstreamToken | None = None
    body_limit: int = 1024 * 1024
    replay_window: int = 0
    keys: tuple[SigningKey, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", tuple(dict.fromkeys(chain(*self.keys_by_audience.values()))))

    def likely_keys(self, claims: str) -> Sequence[SigningKey]:
        """Return the keys of the endpoint that a request names as its own; none if it names none, or there is but one.

        The claims that the service lists may have the audience of the client's token. They are not proven, so this
        tells which keys to try first, and no more.

        Args:
            claims: The header ``X-ASRS-User-Claims``.
        """
        if len(self.keys_by_audience) < 2:
            return ()
        named = _AUDIENCE.search(claims)
        return self.keys_by_audience.get(named[1], ()) if named else ()


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


def upstream_keys(endpoints: Iterable[ServiceEndpoint], secondary: SecondaryKeys) -> KeysByAudience:
    """Return every key that the service may sign with: the access keys, and the secondary keys beside them.

    Args:
        endpoints: The service endpoints.
        secondary: Name of an endpoint to its key or keys, or only these where there is one endpoint. Several keys
            are a list, or a text with ``;`` between them. In a key's place may stand the endpoint's connection string
            that has it.

    Raises:
        ConfigurationError: It names an endpoint that is not there, or none of several; a key is empty or no text; a
            connection string is malformed or of another endpoint; or one has more than `MAX_KEYS_PER_ENDPOINT` keys. No
            text shows a key.
    """
    endpoints = tuple(endpoints)
    names = [endpoint.name for endpoint in endpoints]
    shown = list(map(shown_name, names))
    by_name: Mapping[str, str | list[str]]
    if isinstance(secondary, dict):
        by_name = secondary
    elif secondary and len(endpoints) > 1:
        raise ConfigurationError(f"there are several endpoints: give an object of name to key, names {shown!r}")
    else:
        by_name = {names[0]: secondary} if secondary else {}
    for name in by_name:
        if name not in names:
            raise no_such_endpoint(name, endpoints)
    made: dict[str, SigningKey] = {}
    found: dict[str, tuple[SigningKey, ...]] = {}
    for endpoint in endpoints:
        own = [endpoint.access_key] if endpoint.access_key is not None else []
        others = _keys_of(endpoint, by_name[endpoint.name]) if endpoint.name in by_name else []
        for text in others:
            check_key(text)
        unique = dict.fromkeys(own + others)
        if len(unique) > MAX_KEYS_PER_ENDPOINT:
            raise ConfigurationError(
                f"{_own(endpoint)} has {len(unique)} keys with its AccessKey, and {MAX_KEYS_PER_ENDPOINT} may be"
            )
        if endpoint.key is not None:
            made.setdefault(own[0], endpoint.key)
        keys = [made.setdefault(text, SigningKey(text)) for text in unique]
        if keys:  # endpoints on several ports of one host share their audience
            found[endpoint.audience_base_url] = (*found.get(endpoint.audience_base_url, ()), *keys)
    return found


def _own(endpoint: ServiceEndpoint) -> str:
    return f"endpoint {shown_name(endpoint.name)!r}" if endpoint.name else "the endpoint"


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
        raise ConfigurationError(
            f"the connection string is of {given.url}, and {_own(endpoint)} is {endpoint.url}: "
            "take that one's secondary string"
        )
    if given.access_key is None:
        raise ConfigurationError("the connection string has an AuthType and no key: take one with AccessKey")
    return given.access_key
