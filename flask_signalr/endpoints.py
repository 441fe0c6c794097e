"""Service endpoints: what a connection string leads to, and the choice among several."""

import random
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from flask_signalr.connection_string import EntraCredential, parse_connection_string
from flask_signalr.endpoint_errors import NoServiceEndpoint
from flask_signalr.errors import ConfigurationError
from flask_signalr.principal import Principal
from flask_signalr.tokens import SigningKey

EndpointType = Literal["primary", "secondary"]


@dataclass(frozen=True)
class ServiceEndpoint:
    """One instance of Azure SignalR Service, or an emulator of it.

    Attributes:
        url: Its base URL, with the port and path that the connection string gives; ends in a slash.
        audience_base_url: Scheme and host of ``url`` and nothing else, ends in a slash: tokens are made for it.
        client_base_url: The base URL that clients open; ends in a slash.
        server_base_url: The base URL of REST calls; ends in a slash.
        access_key: The shared key; ``None`` when ``credential`` takes its place.
        credential: The Entra ID credential; ``None`` when there is an access key.
        name: What the configuration calls it; may be empty.
        type: ``secondary`` endpoints get clients only while no primary one can.
        key: ``access_key``, prepared for signing; ``None`` without one.
    """

    url: str
    audience_base_url: str
    client_base_url: str
    server_base_url: str
    access_key: str | None = field(default=None, repr=False)
    credential: EntraCredential | None = None
    name: str = ""
    type: EndpointType = "primary"
    key: SigningKey | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.access_key is not None:
            object.__setattr__(self, "key", SigningKey(self.access_key))

    @classmethod
    def parse(cls, connection_string: str, name: str = "") -> "ServiceEndpoint":
        """Return the service endpoint that a connection string describes.

        Args:
            connection_string: As `parse_connection_string` takes it.
            name: ``name``, ``name:primary`` or ``name:secondary``.

        Raises:
            ConfigurationError: The connection string is malformed.

        Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR.Common/Endpoints/ServiceEndpoint.cs.
        """
        parsed = parse_connection_string(connection_string)
        base_name, endpoint_type = _name_and_type(name)
        return cls(
            url=parsed.endpoint,
            audience_base_url=parsed.audience_base_url,
            client_base_url=parsed.client_endpoint or parsed.endpoint,
            server_base_url=parsed.server_endpoint or parsed.endpoint,
            access_key=parsed.access_key,
            credential=parsed.credential,
            name=base_name,
            type=endpoint_type,
        )

    @property
    def origin(self) -> str:
        """Scheme, host and port of the endpoint: what two descriptions of one instance have in common."""
        url = urlsplit(self.url)
        return f"{url.scheme}://{url.netloc}"


class EndpointRouter:
    """Chooses the service endpoint of each negotiation. Subclass it and override the method."""

    def negotiate_endpoint(self, principal: Principal, endpoints: Sequence[ServiceEndpoint]) -> ServiceEndpoint:
        """Return the endpoint that this caller shall connect to: any of the primary ones, with equal chances.

        Secondary ones are taken only when there is no primary one.

        Args:
            principal: The caller.
            endpoints: The endpoints to choose from, primary ones first.

        Raises:
            NoServiceEndpoint: There is none to choose.

        Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR/EndpointRouters/DefaultEndpointRouter.cs.
        """
        count = len(endpoints)
        if count == 1:
            return endpoints[0]
        if count == 0:
            raise NoServiceEndpoint("no service endpoint is available, please try again later")
        if endpoints[-1].type == "secondary":
            count = bisect_left(endpoints, "secondary", key=lambda endpoint: endpoint.type) or count
        return endpoints[int(random.random() * count)]  # noqa: S311 -- balance, not a secret


DEFAULT_ROUTER = EndpointRouter()


def merge_endpoints(endpoints: Iterable[ServiceEndpoint]) -> tuple[ServiceEndpoint, ...]:
    """Return the endpoints without repetition, primary ones first.

    Of two descriptions of one instance the primary one stays, else the first.

    Raises:
        ConfigurationError: None is left, or none of them is primary.

    Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR.Common/Endpoints/ServiceEndpointManagerBase.cs.
    """
    by_origin: dict[str, ServiceEndpoint] = {}
    for endpoint in endpoints:
        known = by_origin.get(endpoint.origin)
        if known is None or (known.type, endpoint.type) == ("secondary", "primary"):
            by_origin[endpoint.origin] = endpoint
    if not by_origin:
        raise ConfigurationError("No connection string was specified.")
    merged = tuple(sorted(by_origin.values(), key=lambda endpoint: endpoint.type))
    if merged[0].type == "secondary":
        raise ConfigurationError("No primary endpoint defined.")
    return merged


def _name_and_type(name: str) -> tuple[str, EndpointType]:
    base, separator, suffix = name.rpartition(":")
    match suffix.lower() if separator else "":
        case "primary":
            return base, "primary"
        case "secondary":
            return base, "secondary"
        case _:
            return name, "primary"
