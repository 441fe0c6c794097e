"""Service endpoints: what a connection string leads to, and the choice among several."""

import random
from bisect import bisect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from itertools import accumulate
from typing import Literal, cast
from urllib.parse import urlsplit

from flask_signalr.connection_string import EntraCredential, parse_connection_string
from flask_signalr.endpoint_errors import NoServiceEndpoint
from flask_signalr.errors import ConfigurationError
from flask_signalr.principal import Principal
from flask_signalr.tokens import SigningKey

EndpointType = Literal["primary", "secondary"]

_HEAVIEST = 1e300
"""The largest weight: the sum of however many is a number, too."""


@dataclass(frozen=True, slots=True)
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
        weight: Its share of the clients, in relation to the other endpoints' weights; above 0.
        key: ``access_key``, prepared for signing; ``None`` without one.

    Raises:
        ConfigurationError: The weight is none.
    """

    url: str
    audience_base_url: str
    client_base_url: str
    server_base_url: str
    access_key: str | None = field(default=None, repr=False)
    credential: EntraCredential | None = None
    name: str = ""
    type: EndpointType = "primary"
    weight: float = 1
    key: SigningKey | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        weight: object = self.weight
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= _HEAVIEST:
            raise ConfigurationError(f"a weight is a number above 0, not {weight!r}, and at most {_HEAVIEST:g}")
        if self.client_base_url == self.audience_base_url:  # one text for both: a negotiation reads both
            object.__setattr__(self, "client_base_url", self.audience_base_url)
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


class EndpointGroup(tuple[ServiceEndpoint, ...]):
    """Service endpoints to choose from, prepared so that a choice costs the same whatever their number.

    Attributes:
        candidates: Those that clients are sent to: the primary ones, and the secondary ones only without any of these.
        named: The first endpoint of each name; those without a name are not there.
    """

    candidates: tuple[ServiceEndpoint, ...]
    named: Mapping[str, ServiceEndpoint]
    _ids: frozenset[int]
    _steps: list[float] | None

    def __new__(cls, endpoints: Iterable[ServiceEndpoint] = ()) -> "EndpointGroup":
        """Return the group of these endpoints, in this order."""
        group = super().__new__(cls, endpoints)
        group.candidates = _candidates(group)
        group.named = {endpoint.name: endpoint for endpoint in reversed(group) if endpoint.name}
        group._ids = frozenset(map(id, group))
        weights = [endpoint.weight for endpoint in group.candidates]
        group._steps = list(accumulate(weights)) if len(set(weights)) > 1 else None
        return group

    def __contains__(self, endpoint: object) -> bool:
        """Return whether this is one of the endpoints, or equal to one."""
        return id(endpoint) in self._ids or super().__contains__(endpoint)

    @classmethod
    def of(cls, endpoints: Iterable[ServiceEndpoint]) -> "EndpointGroup":
        """Return the group of these endpoints: themselves, if they are one."""
        return endpoints if isinstance(endpoints, cls) else cls(endpoints)

    def choose(self) -> ServiceEndpoint:
        """Return any of the candidates, with chances as their weights.

        Raises:
            NoServiceEndpoint: There is none.
        """
        candidates = self.candidates
        if not candidates:
            raise NoServiceEndpoint("no service endpoint is available, please try again later")
        if len(candidates) == 1:
            return candidates[0]
        if self._steps is None:
            return candidates[int(random.random() * len(candidates))]  # noqa: S311 -- balance, not a secret
        return _by_steps(candidates, self._steps)


def _candidates(endpoints: Sequence[ServiceEndpoint]) -> tuple[ServiceEndpoint, ...]:
    return tuple(endpoint for endpoint in endpoints if endpoint.type == "primary") or tuple(endpoints)


def _by_steps(candidates: Sequence[ServiceEndpoint], steps: Sequence[float]) -> ServiceEndpoint:
    """Return a candidate, with chances as the differences between its step and the one before."""
    place = bisect(steps, random.random() * steps[-1])  # noqa: S311 -- balance, not a secret
    return candidates[min(place, len(candidates) - 1)]  # a product may be rounded up to the last step


Weight = Callable[[ServiceEndpoint], float]
"""Tells an endpoint's share of the clients at this moment, 0 or more; asked at each negotiation."""


class EndpointRouter:
    """Chooses the service endpoints of each negotiation and of each message. Subclass it and override a method.

    Args:
        weight: Tells the endpoints' weights anew at each negotiation, so it has to be quick. Who has 0 gets no clients
            while another has more; when all have 0, chances are equal. ``None`` takes the configured weights.

    Raises:
        ConfigurationError: The weight is no function, or an ``async def`` one.
    """

    _weight: Weight | None = None  # for subclasses that do not call this `__init__`

    def __init__(self, weight: Weight | None = None) -> None:
        given: object = weight
        if given is not None and (not callable(given) or iscoroutinefunction(given)):
            kind = "an async one" if callable(given) else repr(given)
            raise ConfigurationError(
                f"weight= of {type(self).__name__} takes a plain function of an endpoint, not {kind}; numbers stand in "
                "SIGNALR_ENDPOINT_WEIGHTS"
            )
        self._weight = weight

    def negotiate_endpoint(self, principal: Principal, endpoints: Sequence[ServiceEndpoint]) -> ServiceEndpoint:
        """Return the endpoint that this caller shall connect to: any of the primary ones, with chances by weight.

        Secondary ones are taken only when there is no primary one.

        Args:
            principal: The caller.
            endpoints: The endpoints that are up, primary ones first; may be empty.

        Raises:
            NoServiceEndpoint: There is none to choose.
            RouterRefused: The caller shall connect nowhere; the default never refuses.
            ValueError: A callable weight returned something that is none; the text names router and endpoint.

        Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR/EndpointRouters/DefaultEndpointRouter.cs.
        """
        if len(endpoints) == 1:
            return endpoints[0]
        group = endpoints if isinstance(endpoints, EndpointGroup) else EndpointGroup(endpoints)  # a call less than `of`
        if self._weight is None or len(group.candidates) < 2:
            return group.choose()
        weights = [self._weight(endpoint) for endpoint in group.candidates]
        for endpoint, told in zip(group.candidates, cast("list[object]", weights), strict=True):
            if not isinstance(told, int | float) or not 0 <= told <= _HEAVIEST:
                name = endpoint.name or endpoint.url
                raise ValueError(
                    f"weight= of {type(self).__name__} told {told!r} of endpoint {name!r}, not a number of "
                    f"0 to {_HEAVIEST:g}"
                )
        return _by_steps(group.candidates, list(accumulate(weights if any(weights) else [1.0] * len(weights))))

    def message_endpoints(self, hub: str, endpoints: Sequence[ServiceEndpoint]) -> Sequence[ServiceEndpoint]:
        """Return the endpoints that a hub's messages go to: all, because any may have clients of the hub.

        Args:
            hub: The hub's name, as it was declared.
            endpoints: All endpoints, those that are down too: their clients may still be there.
        """
        return endpoints


DEFAULT_ROUTER = EndpointRouter()


def merge_endpoints(endpoints: Iterable[ServiceEndpoint]) -> tuple[ServiceEndpoint, ...]:
    """Return the endpoints without repetition, primary ones first.

    Of two descriptions of one instance the primary one stays, else the one with a name, else the first. To the SDK
    names make no difference.

    Raises:
        ConfigurationError: None is left, or none of them is primary.

    Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR.Common/Endpoints/ServiceEndpointManagerBase.cs.
    """
    by_origin: dict[str, ServiceEndpoint] = {}
    for endpoint in endpoints:
        known = by_origin.get(endpoint.origin)
        if known is None or _rank(endpoint) > _rank(known):
            by_origin[endpoint.origin] = endpoint
    if not by_origin:
        raise ConfigurationError("No connection string was specified.")
    merged = tuple(sorted(by_origin.values(), key=lambda endpoint: endpoint.type))
    if merged[0].type == "secondary":
        raise ConfigurationError("No primary endpoint defined.")
    return merged


def _rank(endpoint: ServiceEndpoint) -> tuple[bool, bool]:
    return endpoint.type == "primary", endpoint.name != ""


def _name_and_type(name: str) -> tuple[str, EndpointType]:
    base, separator, suffix = name.rpartition(":")
    match suffix.lower() if separator else "":
        case "primary":
            return base, "primary"
        case "secondary":
            return base, "secondary"
        case _:
            return name, "primary"
