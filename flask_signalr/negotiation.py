"""Negotiation: from a service endpoint, a hub and claims to the URL and token that a client connects with."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus

from flask_signalr.claims import ClaimValue
from flask_signalr.endpoints import ServiceEndpoint
from flask_signalr.errors import ConfigurationError
from flask_signalr.tokens import sign_access_token


@dataclass(frozen=True, slots=True)
class ClientAccess:
    """What a client needs to connect to the service.

    Attributes:
        url: The URL that it opens.
        token: The service token that it brings; whoever holds it is that user until it expires.
    """

    url: str
    token: str = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the answer to a negotiate request, as SignalR clients read it."""
        return {"url": self.url, "accessToken": self.token, "availableTransports": []}


def client_access(
    endpoint: ServiceEndpoint,
    hub: str,
    claims: Iterable[tuple[str, ClaimValue]],
    *,
    lifetime: int,
    now: int,
    application_name: str = "",
    algorithm: str = "HS256",
) -> ClientAccess:
    """Return the URL and the service token for one client of a hub.

    Args:
        endpoint: The service endpoint that the client connects to.
        hub: The hub's name.
        claims: What `token_claims` returned.
        lifetime: Seconds that the token is valid.
        now: The time, in Unix seconds.
        application_name: The prefix that keeps the hubs of several apps at one service apart.
        algorithm: ``HS256`` or ``HS512``.

    Raises:
        ConfigurationError: The endpoint has no access key to sign with.
        InvalidClaim: A claim cannot be written into a token.
        AccessTokenTooLong: The claims are too many.
    """
    if endpoint.key is None:
        raise ConfigurationError(f"service endpoint {endpoint.name or endpoint.url!r} has no AccessKey to sign with")
    path = "client/?hub=" + prefixed_hub(hub, application_name)
    audience = endpoint.audience_base_url + path
    token = sign_access_token(endpoint.key, audience, claims, lifetime=lifetime, now=now, algorithm=algorithm)
    return ClientAccess(endpoint.client_base_url + path, token)


def prefixed_hub(hub: str, application_name: str = "") -> str:
    """Return the name that the service knows a hub by: in lower case, after the app's name if it has one."""
    return f"{application_name}_{hub}".lower() if application_name else hub.lower()


def client_audience(endpoint: ServiceEndpoint, hub: str, application_name: str = "") -> str:
    """Return the ``aud`` claim of a client's service token.

    Built from scheme and host: a port is part of the URL that the client opens, never of the audience.

    Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR/EndpointProvider/DefaultServiceEndpointGenerator.cs.
    """
    return f"{endpoint.audience_base_url}client/?hub={prefixed_hub(hub, application_name)}"


_APPLICATION_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*", re.ASCII)


def check_application_name(application_name: str) -> str:
    """Return a valid application name, or an empty one.

    Raises:
        ConfigurationError: It has other characters than letters, digits and underscores.

    Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR/ServiceOptionsExtensions.cs.
    """
    if application_name and not _APPLICATION_NAME.fullmatch(application_name):
        raise ConfigurationError(
            "Property 'ApplicationName' value should be prefixed with alphabetic characters and only contain "
            "alpha-numeric characters or underscore."
        )
    return application_name


@dataclass(frozen=True)
class NegotiateRequest:
    """What the server SDK's URL tells the service of the request that negotiated.

    Attributes:
        path: The path below the app's mount point, decoded, such as ``/chat/negotiate``.
        query: The raw query, without its question mark.
        request_id: A name for the request, for tracing.
        culture: The culture of the request, if the app knows it.
        ui_culture: The culture of its user interface.
    """

    path: str
    query: str
    request_id: str
    culture: str = ""
    ui_culture: str = ""

    def query_suffix(self) -> str:
        """Return what the server SDK appends to the client URL; begins with ``&``.

        The path is escaped twice, first as a path and then as a value, because the SDK does so.

        Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR/HubHost/NegotiateHandler.cs.
        """
        path = self.path.rstrip("/")
        original_path = path.removesuffix("/negotiate") if path.endswith("/negotiate") else ""
        parts = [
            original_path and "asrs.op=" + _url_encode(quote(original_path, safe="%!$&'()*+,-./:;=@_~")),
            self.query,
            "asrs_request_id=" + _url_encode(self.request_id),
            self.culture and "asrs_lang=" + self.culture,
            self.ui_culture and "asrs_ui_lang=" + self.ui_culture,
        ]
        return "".join("&" + part for part in parts if part)


def _url_encode(text: str) -> str:
    """Escape as .NET's ``WebUtility.UrlEncode`` does, which leaves other characters alone than Python's."""
    return quote_plus(text, safe="!*()").replace("~", "%7E")
