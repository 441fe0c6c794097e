"""What an app's configuration says of its service endpoints: their connection strings, names and weights."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from typing import get_args

from flask_signalr.connection_string import AUTH_TYPES, auth_type, shown_name
from flask_signalr.endpoints import EndpointType, ServiceEndpoint, merge_endpoints
from flask_signalr.entra.entra_settings import check_encryption
from flask_signalr.errors import ConfigurationError

logger = logging.getLogger("flask_signalr.config")

CONNECTION_STRING_FORM = "it looks like Endpoint=https://…;AccessKey=…;Version=1.0; and has no quotes around it"
"""What a connection string is, for the reader of an error."""

_AUTH_TYPE_FORM = (
    "with an AuthType it looks like Endpoint=https://…;AuthType=azure; or "
    "Endpoint=https://…;AuthType=azure.app;ClientId=…;TenantId=…;ClientSecret=…;"
)


def configured_endpoints(
    connection_string: str, named: Mapping[str, str], weights: Mapping[str, float]
) -> tuple[ServiceEndpoint, ...]:
    """Return the service endpoints of an app, primary ones first.

    Args:
        connection_string: ``SIGNALR_CONNECTION_STRING``; may be empty.
        named: ``SIGNALR_ENDPOINTS``: ``name``, ``name:primary`` or ``name:secondary``, to a connection string.
        weights: ``SIGNALR_ENDPOINT_WEIGHTS``: name to weight.

    Raises:
        ConfigurationError: There is none, or one cannot be used; the text names the key and never shows a secret.
    """
    if not connection_string and not named:
        raise ConfigurationError(
            "SIGNALR_CONNECTION_STRING is missing: set it to the connection string that the Azure portal shows under "
            "Settings, Keys; or run 'flask-signalr emulator' and take the one that it prints"
        )
    found = []
    if connection_string:
        with naming_key("SIGNALR_CONNECTION_STRING"):
            found.append(_endpoint(connection_string))
    for name, text in named.items():
        with naming_key("SIGNALR_ENDPOINTS"):
            _check_name(name)
        with naming_key(f"SIGNALR_ENDPOINTS[{shown_name(name)!r}]"):
            _check_type(name)
            found.append(_endpoint(text, name))
    with naming_key("SIGNALR_ENDPOINT_WEIGHTS"):
        found = _weighted(found, weights)
    with naming_key("SIGNALR_ENDPOINTS"):
        merged = _merged(found)
        check_names(merged)
        return merged


def no_such_endpoint(name: str, endpoints: Iterable[ServiceEndpoint]) -> ConfigurationError:
    """Return the error that no endpoint has a name, with the remedy."""
    fault = f"no endpoint is named {shown_name(name)!r}"
    names = [endpoint.name for endpoint in endpoints if endpoint.name]
    base = name.rpartition(":")[0]
    if base in names:
        return ConfigurationError(f"{fault}: write {shown_name(base)!r}, the type is no part of the name")
    if not names:
        return ConfigurationError(f"{fault}: SIGNALR_CONNECTION_STRING gives no name, SIGNALR_ENDPOINTS does")
    return ConfigurationError(f"{fault}; there are {', '.join(repr(shown_name(name)) for name in names)}")


@contextmanager
def naming_key(key: str) -> Iterator[None]:
    """Put a key's name before the text of a configuration error."""
    try:
        yield
    except ConfigurationError as exc:
        raise ConfigurationError(f"{key}: {exc}") from None


def check_key(text: str) -> None:
    """Check that a key could be one, without showing it.

    Raises:
        ConfigurationError: It is empty, or has characters that no key has.
    """
    if not text:
        raise ConfigurationError("a key is empty: leave out what is not there, and a ';' at the end")
    if any(letter < "!" or "\ud800" <= letter <= "\udfff" for letter in text):
        raise ConfigurationError("a key has blanks, control characters or bytes that are not UTF-8")


def _check_name(name: str) -> None:
    """Refuse what is no name but what should stand behind it: from here on, names get into logs."""
    if ";" in name or "=" in name:
        raise ConfigurationError(
            "a name has ';' or '=', as keys and connection strings have: the name stands first, "
            'as in {"east": "Endpoint=https://…"}'
        )


def _check_type(name: str) -> None:
    """Refuse what the SDK takes for a part of the name: a reserve that gets clients all the time would be the price."""
    base, separator, suffix = name.rpartition(":")
    types = get_args(EndpointType)
    if separator and suffix.lower() not in types:
        meant = get_close_matches(suffix.lower(), types, n=1)
        hint = f"do you mean {shown_name(f'{base}:{meant[0]}')!r}?" if meant else f"there are {' and '.join(types)}"
        raise ConfigurationError(f"what follows the colon is no type of an endpoint: {hint}")


def _endpoint(connection_string: str, name: str = "") -> ServiceEndpoint:
    form = CONNECTION_STRING_FORM
    try:
        if kind := auth_type(connection_string):
            form = _AUTH_TYPE_FORM
            _check_auth_type(kind)
        endpoint = ServiceEndpoint.parse(connection_string, name)
    except ConfigurationError as exc:  # the SDK's texts say what is wrong and not what would be right
        fault = str(exc).removesuffix(".")
        raise ConfigurationError(f"{fault}. A connection string: {form}") from None
    if endpoint.access_key is not None:
        check_key(endpoint.access_key)
    check_encryption(endpoint)
    return endpoint


def _check_auth_type(kind: str) -> None:
    """Refuse what the SDK passes over: it would sign in with the access key, or say that there is none."""
    if kind not in AUTH_TYPES:
        meant = get_close_matches(kind, AUTH_TYPES, n=1)
        hint = f"do you mean {meant[0]}? " if meant else ""
        raise ConfigurationError(f"AuthType is unknown: {hint}There are {', '.join(AUTH_TYPES)}")


def _weighted(endpoints: list[ServiceEndpoint], weights: Mapping[str, float]) -> list[ServiceEndpoint]:
    names = [endpoint.name for endpoint in endpoints if endpoint.name]
    for name in weights:
        if name not in names:
            raise no_such_endpoint(name, endpoints)
    return [replace(each, weight=weights[each.name]) if each.name in weights else each for each in endpoints]


def _merged(found: Sequence[ServiceEndpoint]) -> tuple[ServiceEndpoint, ...]:
    """Return the endpoints without repetition; what is lost with a repetition is warned about."""
    if all(endpoint.type == "secondary" for endpoint in found):
        raise ConfigurationError("No primary endpoint defined: leave ':secondary' out of a name, or set another one")
    merged = merge_endpoints(found)
    for kept in merged:
        same = [endpoint for endpoint in found if endpoint.origin == kept.origin]
        lost = [text for endpoint in same for text in _lost(endpoint, kept)]
        if lost:
            logger.warning(
                "%d endpoints to %s found, use the one %s; dropped: %s",
                len(same),
                kept.origin,
                repr(kept.name) if kept.name else "without a name",
                ", ".join(dict.fromkeys(lost)),
            )
    return merged


def _lost(dropped: ServiceEndpoint, kept: ServiceEndpoint) -> Iterator[str]:
    """Tell what one description of an instance says and the other, which stays, does not."""
    if dropped.name not in ("", kept.name):
        yield f"the name {dropped.name!r}"
    if dropped.weight not in (1, kept.weight):
        yield f"the weight {dropped.weight:g}"
    if dropped.type != kept.type:
        yield f"the type {dropped.type}"
    if dropped.url != kept.url:
        yield f"the URL {dropped.url}"
    if dropped.client_base_url != kept.client_base_url:
        yield f"the URL for clients {dropped.client_base_url}"
    if dropped.server_base_url != kept.server_base_url:
        yield f"the URL for servers {dropped.server_base_url}"
    if (dropped.access_key, dropped.credential) != (kept.access_key, kept.credential):
        yield "an AccessKey" if dropped.credential is None else "an AuthType"


def check_names(endpoints: Iterable[ServiceEndpoint]) -> None:
    """Refuse two instances of one name: nobody could say which of them is down. Raises `ConfigurationError`."""
    for name, count in Counter(endpoint.name for endpoint in endpoints).items():
        if name and count > 1:
            raise ConfigurationError(f"{count} endpoints are named {shown_name(name)!r}, give each a name of its own")
