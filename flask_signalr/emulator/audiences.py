"""What an access token is for: the audiences that lead to one service, and to what the caller wants of it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from flask_signalr.errors import AccessTokenRefused

_SHOWN_AUDIENCE = 200
_HUB = 4  # of the empty text before the first slash, "api", "hubs" and the hub


class ServiceAddress:
    """Where one service is, to which a token's audience must lead.

    The address is a matter of configuration and not of the request's ``Host`` header, which a caller chooses
    and some clients send without the port.

    Args:
        hosts: The host names that a token may be made for.
        port: The port that a token may name; it need not. ``None`` allows none.

    Source: Azure/azure-signalr, ServiceEndpoint.cs and RestApiProvider.cs for the audiences of its server SDK;
    MicrosoftDocs/azure-docs, signalr-reference-data-plane-rest-api.md for the others.
    """

    def __init__(self, hosts: frozenset[str], port: int | None) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)
        self._port = port

    def check_client(self, claims: Mapping[str, Any], hub: str) -> None:
        """Check that a client's token is for a hub.

        Args:
            claims: The token's.
            hub: The hub to be opened, in lower case.

        Raises:
            AccessTokenRefused: It is for something else.
        """
        self._check(
            claims,
            lambda url: url.path.rstrip("/").lower() == "/client" and _opens_hub(url.query, hub),
            f"/client/?hub={hub}",
        )

    def check_call(self, claims: Mapping[str, Any], path: str, query: str) -> None:
        """Check that a token is for a REST call.

        Args:
            claims: The token's.
            path: The path of the call, still percent-encoded.
            query: Its query, still percent-encoded.

        Raises:
            AccessTokenRefused: It is for something else.
        """
        pairs = _pairs(query)
        self._check(claims, lambda url: _segments(url.path) == _segments(path) and _pairs(url.query) <= pairs, path)

    def _check(self, claims: Mapping[str, Any], fits: Callable[[SplitResult], bool], path: str) -> None:
        if "aud" not in claims:
            raise AccessTokenRefused("aud", f"the access token has no audience: set the claim aud to {self._url(path)}")
        audience = claims["aud"]
        candidates = audience if isinstance(audience, list) else [audience]
        if not any(self._is_here(url) and fits(url) for url in _urls(candidates)):
            shown = ascii(audience)[:_SHOWN_AUDIENCE]
            raise AccessTokenRefused(
                "aud", f"the access token is for {shown} (claim aud) and this needs {self._url(path)}"
            )

    def _is_here(self, url: SplitResult) -> bool:
        return url.scheme in {"http", "https"} and url.hostname in self._hosts and url.port in {None, self._port}

    def _url(self, path: str) -> str:
        return " or ".join(f"'http://{host}{path}'" for host in sorted(self._hosts))


def _urls(audiences: list[Any]) -> Iterator[SplitResult]:
    """Yield those audiences that are URLs with a readable host and port."""
    for audience in audiences:
        if isinstance(audience, str):
            try:
                url = urlsplit(audience)
                _ = url.port
            except ValueError:
                continue
            yield url


def _opens_hub(query: str, hub: str) -> bool:
    return [(name.lower(), value.lower()) for name, value in parse_qsl(query)] == [("hub", hub)]


def _segments(path: str) -> list[str]:
    """Return the segments of a path, decoded one by one: an encoded slash is part of a name.

    The case of users, groups and connections counts; that of what leads up to them does not.
    """
    segments = [unquote(segment) for segment in path.rstrip("/").split("/")]
    return [segment.lower() for segment in segments[:_HUB]] + segments[_HUB:]


def _pairs(query: str) -> set[tuple[str, str]]:
    return {(name.lower(), value.lower()) for name, value in parse_qsl(query)}
