"""The URLs of a trace: which may be asked, and what a client makes of them."""

from urllib.parse import SplitResult, parse_qs, urlsplit

from flask_signalr.hosts import is_loopback

_PORTS = {"http": 80, "https": 443}


def check_url(url: str) -> str:
    """Return a URL that can be asked.

    Raises:
        ValueError: It is not an absolute one of http or https, or it holds a user name or what no URL holds.
    """
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("it has blanks or letters that a URL must percent-encode")
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("it is no absolute URL of https or http")
    if "@" in parts.netloc:
        raise ValueError("it holds a user name")
    if "\\" in parts.netloc or parts.port == 0:
        raise ValueError("its host or port is none")
    return url


def negotiate_url(url: str) -> str:
    """Return where a client negotiates that is given a URL, of a hub or of the service.

    Source: dotnet/aspnetcore:src/SignalR/clients/ts/signalr/src/HttpConnection.ts, _resolveNegotiateUrl.
    """
    parts = urlsplit(url)
    path = parts.path if parts.path.endswith("/negotiate") else f"{parts.path.removesuffix('/')}/negotiate"
    query = parts.query
    if "negotiateVersion" not in parse_qs(query, keep_blank_values=True):
        query = f"{query}&negotiateVersion=1" if query else "negotiateVersion=1"
    return parts._replace(path=path, query=query, fragment="").geturl()


def is_same_origin(url: str, other: str) -> bool:
    """Return whether two URLs have the same scheme, host and port."""
    return _origin(urlsplit(url)) == _origin(urlsplit(other))


def is_downgrade(url: str, target: str) -> bool:
    """Return whether the way from one URL to the other leaves https for a network that others can read."""
    parts = urlsplit(target)
    return urlsplit(url).scheme == "https" and parts.scheme == "http" and not is_loopback(parts.hostname or "")


def is_readable_on_the_way(url: str) -> bool:
    """Return whether others can read what is sent to a URL."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
