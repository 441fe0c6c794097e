"""An identity provider's documents: its discovery document and its key set, fetched over HTTPS."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

import msgspec

from flask_signalr.auth.key_set import Fetch
from flask_signalr.auth.verification_key import MAX_KEYS, PublishedKey, usable_keys
from flask_signalr.errors import ConfigurationError, IdentityProviderUnavailable, MissingExtra
from flask_signalr.hosts import is_loopback

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

MAX_BYTES = 256 * 1024
"""Bytes that a document may have; Entra's key set has about 20 000."""


class HttpFetch:
    """Fetches documents with urllib3: no redirects, no retries, bounded in size and time.

    Args:
        timeout: Seconds that one document may take.

    Raises:
        MissingExtra: urllib3 is not installed.
    """

    def __init__(self, timeout: float) -> None:
        try:
            import urllib3

            from flask_signalr.rest.timed_connection import connection_class
        except ImportError as exc:
            raise MissingExtra("fetching an identity provider's keys", "jwks") from exc
        self._urllib3 = urllib3
        self._connection_class = connection_class
        self._timeout = timeout

    def __call__(self, url: str) -> bytes:
        """Return the body of a document.

        Raises:
            IdentityProviderUnavailable: The answer is not a 200, or too long.
            urllib3.exceptions.HTTPError: There is no answer, or not all of it in time.
        """
        timeout = self._urllib3.Timeout(total=self._timeout)
        # A pool of its own, closed at once: the next fetch is an hour away and may be in another process.
        with self._urllib3.connection_from_url(url, timeout=timeout, retries=False) as pool:
            pool.ConnectionCls = self._connection_class(pool.scheme)
            # `identity`, and nothing is decompressed: a small answer cannot become a large one.
            headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
            target = self._urllib3.util.parse_url(url).request_uri
            response = pool.request(
                "GET", target, headers=headers, redirect=False, preload_content=False, decode_content=False
            )
            with response:
                return self._body(response, url)

    def _body(self, response: "BaseHTTPResponse", url: str) -> bytes:
        if response.status != 200:
            raise IdentityProviderUnavailable(f"{url} answered {response.status}")
        body = b""
        while chunk := response.read1(MAX_BYTES):
            body += chunk
            if len(body) > MAX_BYTES:
                raise IdentityProviderUnavailable(f"{url} answered more than {MAX_BYTES} bytes")
        return body


def check_url(url: str, keyword: str) -> SplitResult:
    """Return the parts of a URL that keys may be fetched from.

    Raises:
        ConfigurationError: It is not an absolute https URL, or one of http to this machine itself, without user
            name, query and fragment; over plain http anybody on the way could put in keys of their own.
    """
    if not isinstance(url, str):
        raise ConfigurationError(f"BearerAuth({keyword}=…): give a URL as text")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as exc:
        raise ConfigurationError(f"BearerAuth({keyword}=…): {exc}") from exc
    if not parts.hostname or parts.scheme not in {"https", "http"}:
        raise ConfigurationError(f"BearerAuth({keyword}=…): give an absolute URL, 'https://…'")
    if "@" in parts.netloc or parts.fragment or not url.isascii() or any(letter <= " " for letter in url):
        raise ConfigurationError(f"BearerAuth({keyword}=…): no user name, fragment, spaces or non-ASCII letters")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ConfigurationError(f"BearerAuth({keyword}=…): plain http is for this machine only; give an https URL")
    return parts


def discover_key_set_url(fetch: Fetch, issuer: str) -> str:
    """Return the URL of an issuer's key set, from its discovery document.

    Raises:
        IdentityProviderUnavailable: The document is not what OpenID Connect Discovery 1.0 §4.3 demands: its issuer
            must equal the configured one to the letter. Or its key set is at a less safe place than the document.
    """
    url = issuer.rstrip("/") + "/.well-known/openid-configuration"
    document = _json_object(fetch(url), url)
    if document.get("issuer") != issuer:
        raise IdentityProviderUnavailable(f"{url} names another issuer; configure the one it names")
    key_set_url = document.get("jwks_uri")
    try:
        parts = check_url(key_set_url, "jwks_uri")  # type: ignore[arg-type] # it checks the type
    except ConfigurationError as exc:
        raise IdentityProviderUnavailable(f"{url} has an unusable jwks_uri: {exc}") from exc
    if parts.scheme == "http" and not issuer.startswith("http:"):
        raise IdentityProviderUnavailable(f"{url} has a jwks_uri of plain http")
    return parts.geturl()


def fetch_keys(fetch: Fetch, url: str, algorithms: Sequence[str]) -> tuple[PublishedKey, ...]:
    """Return the keys of a key set that may verify tokens.

    Raises:
        IdentityProviderUnavailable: The document is no key set (RFC 7517 §5), or has no usable key, or too many.
    """
    members = _json_object(fetch(url), url).get("keys")
    if not isinstance(members, list) or len(members) > MAX_KEYS:
        raise IdentityProviderUnavailable(f"{url} is no key set of up to {MAX_KEYS} keys")
    keys = tuple(usable_keys(members, algorithms))
    if not keys:
        raise IdentityProviderUnavailable(f"{url} has no key that may verify tokens with {', '.join(algorithms)}")
    return keys


def _json_object(body: bytes, url: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise IdentityProviderUnavailable(f"{url} is no JSON object") from exc
