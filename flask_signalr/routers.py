"""Endpoint routers that are ready to use: by the query, by a claim, by a header.

Each falls back on the default choice, and takes only endpoints that are up. What the request says counts in negotiate
requests alone, whose path ends in ``/negotiate``: elsewhere, and outside of requests, ``hub.negotiate()`` gets the
default choice.
"""

from collections.abc import Iterable, Mapping, Sequence

from flask import Request, has_request_context, request

from flask_signalr.claims import short_name
from flask_signalr.endpoint_errors import RouterRefused
from flask_signalr.endpoints import EndpointGroup, EndpointRouter, ServiceEndpoint, Weight
from flask_signalr.errors import ConfigurationError
from flask_signalr.principal import Principal


class QueryRouter(EndpointRouter):
    """Takes the service endpoint that the client's query names: ``withUrl("/chat?endpoint=east")``.

    Args:
        parameter: The parameter of the query that names it.
        weight: As `EndpointRouter` takes it, for the default choice.

    Source: MicrosoftDocs/azure-docs:articles/azure-signalr/signalr-howto-scale-multi-instances.md.
    """

    def __init__(self, parameter: str = "endpoint", weight: Weight | None = None) -> None:
        super().__init__(weight)
        self._parameter = _text("QueryRouter(parameter=…)", parameter)

    def negotiate_endpoint(self, principal: Principal, endpoints: Sequence[ServiceEndpoint]) -> ServiceEndpoint:
        """Return the endpoint that the query names; the default choice if none that is up has this name.

        Raises:
            RouterRefused: The query of a negotiate request names none, or several, or is not UTF-8: 400.
            NoServiceEndpoint: There is none to choose.
            ValueError: As `EndpointRouter`.
        """
        group, asking = EndpointGroup.of(endpoints), _negotiate_request()
        if asking is None:
            return super().negotiate_endpoint(principal, group)
        try:
            names = asking.args.getlist(self._parameter)
        except UnicodeDecodeError as exc:  # our own view has found this out before, an app's has not
            raise RouterRefused("the query is not UTF-8") from exc
        if len(names) > 1:
            raise RouterRefused(f"the query has several {self._parameter}: send one")
        if names in ([], [""]):
            raise RouterRefused(f"the query has no {self._parameter}: name the service endpoint to connect to")
        return group.named.get(names[0]) or super().negotiate_endpoint(principal, group)


class ClaimRouter(EndpointRouter):
    """Takes the service endpoint that a claim of the caller names.

    Args:
        claim_type: The claim's type, under its long .NET name or its short one. Of several values, the first counts
            that an endpoint has as its name.
        weight: As `EndpointRouter` takes it, for the default choice.
    """

    def __init__(self, claim_type: str, weight: Weight | None = None) -> None:
        super().__init__(weight)
        self._claim_type = _text("ClaimRouter(claim_type=…)", claim_type)

    def negotiate_endpoint(self, principal: Principal, endpoints: Sequence[ServiceEndpoint]) -> ServiceEndpoint:
        """Return the endpoint that the claim names; the default choice without one that is up and has this name.

        Raises:
            NoServiceEndpoint: There is none to choose.
            ValueError: As `EndpointRouter`.
        """
        group = EndpointGroup.of(endpoints)
        for known, value in principal.claims.pairs:
            if self._claim_type in (known, short_name(known)) and isinstance(value, str) and value in group.named:
                return group.named[value]
        return super().negotiate_endpoint(principal, group)


class RegionRouter(EndpointRouter):
    """Takes the service endpoint that is nearest to the caller, by a header that a front end sets.

    Such as the country that a content delivery network finds: ``RegionRouter("CF-IPCountry", {"DE": ["west-europe",
    "north-europe"]})``. A header that nothing in front of the app sets, or replaces, is the caller's own choice.

    Args:
        header: The header's name.
        regions: For each of its values, whatever the case, the names of service endpoints, the nearest first. Further
            ones count when those before are down, or no endpoint has their name.
        weight: As `EndpointRouter` takes it, for the default choice.

    Raises:
        ConfigurationError: The regions are not of this form.
    """

    def __init__(self, header: str, regions: Mapping[str, Iterable[str]], weight: Weight | None = None) -> None:
        super().__init__(weight)
        self._header = _text("RegionRouter(header=…)", header)
        self._regions = _orders_of_preference(regions)

    def negotiate_endpoint(self, principal: Principal, endpoints: Sequence[ServiceEndpoint]) -> ServiceEndpoint:
        """Return the first endpoint that is up of those that the header stands for; else the default choice.

        Raises:
            NoServiceEndpoint: There is none to choose.
            ValueError: As `EndpointRouter`.
        """
        group, asking = EndpointGroup.of(endpoints), _negotiate_request()
        if asking is not None:
            for name in self._regions.get(_key(asking.headers.get(self._header, "")), ()):
                if name in group.named:
                    return group.named[name]
        return super().negotiate_endpoint(principal, group)


def _negotiate_request() -> Request | None:
    """Return the request in which a client negotiates; ``None`` outside of one.

    Clients append the last part of its path, so it is there in an app's own negotiate view too. Other requests, such
    as the service's for a hub method of this name, say nothing about where a client should connect to.
    """
    if not has_request_context() or not request.path.rstrip("/").endswith("/negotiate"):
        return None
    return None if str(request.endpoint).endswith(".upstream") else request


def _orders_of_preference(regions: object) -> dict[str, tuple[str, ...]]:
    form = 'RegionRouter(regions=…) takes a mapping such as {"DE": ["west-europe", "north-europe"]}'
    if not isinstance(regions, Mapping) or not regions:
        raise ConfigurationError(form)
    found: dict[str, tuple[str, ...]] = {}
    for value, names in regions.items():
        order = tuple(names) if isinstance(names, Iterable) and not isinstance(names, str) else ()
        if not isinstance(value, str) or not order or not all(name and isinstance(name, str) for name in order):
            raise ConfigurationError(f"{form}; {value!r} has another form")
        if _key(value) in found:
            raise ConfigurationError(f"{form}; {value!r} is there twice, because the case does not count")
        found[_key(value)] = order
    return found


def _key(value: str) -> str:
    return value.strip().casefold()


def _text(argument: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{argument} takes a text, not {value!r}")
    return value
