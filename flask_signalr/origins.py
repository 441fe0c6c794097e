"""Origins: which pages may ask, and the CORS headers (Fetch standard) that let them read the answer."""

import re
from collections.abc import Iterable

from flask import Request
from werkzeug.exceptions import HTTPException

from flask_signalr.errors import BadRequest, ConfigurationError, OriginNotAllowed

_HEADER_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,1024}", re.ASCII)
_ORIGIN = re.compile(r"(https?)://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::0*([1-9][0-9]{0,4}))?/?", re.ASCII)
_HOST = r"[a-z0-9-]+(?:\.[a-z0-9-]+)+"
_MAY_BE_SECRET = re.compile(rf"[=;@]|^(?!{_HOST}$)[^:]{{32,}}$")  # a connection string, a key, a token or a password
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_HIGHEST_PORT = 65_535


def parse_origins(origins: Iterable[str]) -> frozenset[str]:
    """Return origins in the form that browsers send them.

    Args:
        origins: Such as ``https://app.example`` or ``http://localhost:3000``.

    Raises:
        ConfigurationError: One is none; a star, ``null`` and paths are refused too. The text does not say where the
            origins stand: who reads them knows.
    """
    return frozenset(_parse_origin(origin) for origin in origins)


def _parse_origin(text: str) -> str:
    match = _ORIGIN.fullmatch(text.strip().lower())
    if match is None or int(match[3] or 0) > _HIGHEST_PORT:
        remedy = "browsers send credentials to no star: list each origin" if "*" in text else "write https://host:port"
        shown = "this" if _MAY_BE_SECRET.search(text) else repr(text)
        raise ConfigurationError(f"{shown} is no origin; {remedy}")
    scheme, host, port = match.groups()
    return f"{scheme}://{host}" if port in (None, _DEFAULT_PORTS[scheme]) else f"{scheme}://{host}:{port}"


def check_origin(request: Request, allowed_origins: frozenset[str]) -> None:
    """Let pass what no page sent, what a page of this very site sent, and what a page of an allowed origin sent.

    This is also what protects negotiate against cross-site request forgery: browsers write ``Origin`` and
    ``Sec-Fetch-Site`` themselves and let no page forge them. ``Sec-Fetch-Site`` is right behind any proxy, where
    scheme and host of the request may not be those that the browser saw.

    Raises:
        OriginNotAllowed: A page of another origin asks, or one that has none (``null``).
        BadRequest: The request's own host cannot be told.
    """
    environ = request.environ
    origin = environ.get("HTTP_ORIGIN")
    fetch_site = environ.get("HTTP_SEC_FETCH_SITE")
    if origin is None:
        if fetch_site in (None, "none", "same-origin"):
            return
        raise OriginNotAllowed("a page of another site asked and its browser hid which")
    if fetch_site == "same-origin" or origin in allowed_origins:
        return
    if fetch_site in (None, "none") and origin == _own_origin(request):
        return
    raise OriginNotAllowed(
        "this page's origin may not connect: its owner can add it to SIGNALR_ALLOWED_ORIGINS "
        "(or, behind a proxy, let ProxyFix tell the app its own origin)"
    )


def _own_origin(request: Request) -> str:
    try:
        host = request.host
    except HTTPException as exc:
        raise BadRequest("the Host header names no host of this app") from exc
    if not host:  # what werkzeug makes of a Host header that is missing or has characters that no host has
        raise BadRequest("the request has no Host header that names a host")
    return f"{request.scheme}://{host}".lower()


def cors_headers(request: Request, allowed_origins: frozenset[str]) -> list[tuple[str, str]]:
    """Return the headers that let a page of an allowed origin read the answer, whatever its status."""
    origin = request.environ.get("HTTP_ORIGIN")
    if origin not in allowed_origins:
        return []
    return [("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true")]


def preflight_headers(request: Request, allowed_origins: frozenset[str]) -> list[tuple[str, str]]:
    """Return the headers that answer a preflight request of an allowed origin.

    The asked-for header names are echoed: browsers take no star together with credentials.
    """
    headers = cors_headers(request, allowed_origins)
    if not headers:
        return []
    asked = request.headers.get("Access-Control-Request-Headers", "")
    if _HEADER_NAMES.fullmatch(asked):
        headers.append(("Access-Control-Allow-Headers", asked))
    return [*headers, ("Access-Control-Allow-Methods", "POST"), ("Access-Control-Max-Age", "600")]
