"""Negotiation: from a service endpoint, a hub and claims to the URL and token that a client connects with."""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec

from flask_signalr.claims import ClaimValue
from flask_signalr.endpoints import ServiceEndpoint
from flask_signalr.errors import ConfigurationError
from flask_signalr.tokens import SigningKey, sign_access_token


class ClientAccess(
    msgspec.Struct,
    frozen=True,
    rename={
        "token": "accessToken",
        "available_transports": "availableTransports",
        "token_lifetime": "tokenLifetimeSeconds",
    },
):
    """What a client needs to connect to the service; as JSON, the answer to a negotiate request.

    Attributes:
        url: The URL that it opens.
        token: The service token that it brings; whoever holds it is that user until it expires.
        available_transports: None: the service itself tells them.
        token_lifetime: Seconds after which the token ends, for clients that renew it; left out where none can.
    """

    url: str
    token: str
    available_transports: tuple[()] = ()
    token_lifetime: int | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        return f"ClientAccess(url={self.url!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("url", self.url)]

    def to_dict(self) -> dict[str, Any]:
        """Return the answer to a negotiate request, as SignalR clients read it."""
        answer: dict[str, Any] = {"url": self.url, "accessToken": self.token, "availableTransports": []}
        if self.token_lifetime is not msgspec.UNSET:
            answer["tokenLifetimeSeconds"] = self.token_lifetime
        return answer


def client_access(
    endpoint: ServiceEndpoint,
    hub: str,
    claims: Iterable[tuple[str, ClaimValue]],
    *,
    lifetime: int,
    now: int,
    key: SigningKey,
    algorithm: str = "HS256",
) -> ClientAccess:
    """Return the URL and the service token for one client of a hub.

    The audience has scheme and host alone: a port is part of the URL that the client opens.

    Args:
        endpoint: The service endpoint that the client connects to.
        hub: What `prefixed_hub` returned: the name that the service knows the hub by.
        claims: What `token_claims` returned.
        lifetime: Seconds that the token is valid.
        now: The time, in Unix seconds.
        key: What the token is signed with.
        algorithm: ``HS256`` or ``HS512``.

    Raises:
        InvalidClaim: A claim cannot be written into a token.
        AccessTokenTooLong: The claims are too many.

    Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR/EndpointProvider/DefaultServiceEndpointGenerator.cs.
    """
    path = "client/?hub=" + hub
    audience = endpoint.audience_base_url + path
    token = sign_access_token(key, audience, claims, lifetime=lifetime, now=now, algorithm=algorithm)
    return ClientAccess(endpoint.client_base_url + path, token)


def prefixed_hub(hub: str, application_name: str = "") -> str:
    """Return the name that the service knows a hub by: in lower case, after the app's name if it has one."""
    return f"{application_name}_{hub}".lower() if application_name else hub.lower()


_APPLICATION_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*")


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


# The server SDK's URL also tells the service about the request that negotiated.


def url_suffix(original_path: str, query: str) -> str:
    """Return what the server SDK appends to the client URL.

    Args:
        original_path: What `original_path` returned; may be empty.
        query: What `original_query` returned; may be empty.

    Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR/EndpointProvider/DefaultServiceEndpointGenerator.cs.
    """
    parts = (original_path and "asrs.op=" + _url_encode(original_path), query)
    return "".join("&" + part for part in parts if part)


def original_path(path: str) -> str:
    """Return the hub's path, of the decoded path of its negotiate request below the app's mount point.

    It is escaped here and once more as a query value, because the SDK does so.

    Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR/HubHost/NegotiateHandler.cs,
    dotnet/aspnetcore:src/Http/Http.Abstractions/src/PathString.cs.
    """
    path = path.rstrip("/")
    return quote(path.removesuffix("/negotiate"), safe="%!$&'()*+,-./:;=@_~") if path.endswith("/negotiate") else ""


def original_query(query: str, request_id: str, culture: str = "", ui_culture: str = "") -> str:
    """Return the client's own query, verbatim, and after it a name for the request and its cultures.

    Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR/HubHost/NegotiateHandler.cs.
    """
    parts = (
        query,
        "asrs_request_id=" + _url_encode(request_id),
        culture and "asrs_lang=" + culture,
        ui_culture and "asrs_ui_lang=" + ui_culture,
    )
    return "&".join(part for part in parts if part)


def _url_encode(text: str) -> str:
    """Escape as .NET's ``WebUtility.UrlEncode`` does, which leaves other characters alone than Python's."""
    return quote_plus(text, safe="!*()").replace("~", "%7E")
