"""The REST API of one or several service endpoints, with or without Flask."""

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from flask_signalr.endpoint_settings import check_names
from flask_signalr.endpoints import EndpointGroup, ServiceEndpoint
from flask_signalr.error_text import kind_of
from flask_signalr.errors import ConfigurationError, MissingExtra
from flask_signalr.names import check_hub_name
from flask_signalr.rest.caller import HubCaller
from flask_signalr.rest.calls import HubAddress
from flask_signalr.rest.endpoint_client import EndpointClient
from flask_signalr.rest.exchange import Transport
from flask_signalr.rest.fan_out import Task, fan_out
from flask_signalr.rest.hub_clients import HubClients, check_timeout
from flask_signalr.rest.token_cache import TokenCache, TokenSource
from flask_signalr.service_errors import ServiceError, ServiceUnreachable
from flask_signalr.tokens import ALGORITHMS

if TYPE_CHECKING:
    from flask_signalr.entra.credentials import TokenCredential
    from flask_signalr.entra.identity import EntraIdentity

_MOST_RETRIES = 10


class ServiceClient:
    """Sends to the clients of hubs through the service's REST API (data plane 2024-12-01).

    One object serves a whole process and the processes that it forks: threads share its connections, forked
    processes open their own.

    Args:
        endpoints: The service endpoint, or several: then every call goes to all of them.
        application_name: The prefix that keeps the hubs of several apps at one service apart.
        transport: Carries the requests; ``None`` for connections of urllib3's.
        timeout: Seconds that a call may take, with its repetitions, at all service endpoints and for all recipients
            that it names.
        retries: How often a call is repeated at most; nothing that the service may have carried out is repeated,
            unless that does no harm. The transport's business when one is given.
        algorithm: ``HS256`` or ``HS512``.
        credential: Who asks, at endpoints without an access key: an object with ``get_token``, such as those of
            azure-identity; ``None`` for what the connection strings describe.

    Raises:
        MissingExtra: urllib3 is not installed, or azure-identity where a connection string has an AuthType.
        ConfigurationError: A value cannot be used.
    """

    def __init__(
        self,
        endpoints: ServiceEndpoint | Iterable[ServiceEndpoint],
        application_name: str = "",
        *,
        transport: Transport | None = None,
        timeout: float = 10,
        retries: int = 3,
        algorithm: str = "HS256",
        credential: "TokenCredential | EntraIdentity | None" = None,
    ) -> None:
        if type(retries) is not int or not 0 <= retries <= _MOST_RETRIES:
            raise ConfigurationError(f"retries= takes a whole number, 0 to {_MOST_RETRIES}, not {retries!r}")
        if algorithm not in ALGORITHMS:
            raise ConfigurationError(f"algorithm= takes {' or '.join(ALGORITHMS)}, not {algorithm!r}")
        given = _given_endpoints(endpoints)
        self._timeout = check_timeout(timeout)
        self._application_name = application_name
        carry = transport if transport is not None else urllib3_transport(retries)
        tokens = _token_sources(given, algorithm, credential)
        self._known = EndpointGroup(given)
        self._endpoints = tuple(EndpointClient(each, carry, tokens[each.url]) for each in given)

    @classmethod
    def from_connection_string(cls, connection_string: str, **options: Any) -> "ServiceClient":
        """Return the client of the service that a connection string leads to.

        Args:
            connection_string: As the Azure portal shows it, or the emulator prints it.
            **options: The other arguments of the class.

        Raises:
            ConfigurationError: The connection string is malformed.
        """
        return cls(ServiceEndpoint.parse(connection_string), **options)

    @property
    def endpoints(self) -> tuple[EndpointClient, ...]:
        """The service endpoints, as calls see them."""
        return self._endpoints

    def heed(self, is_down: Callable[[ServiceEndpoint], bool], timeout: float) -> None:
        """Give calls no more than one try and these seconds at an endpoint that is known to be down.

        They fail there sooner, and are made all the same: the endpoint's clients may still be connected.

        Args:
            is_down: Tells of one of the endpoints whether it is down; asked at each call.
            timeout: Seconds.
        """
        for each in self._endpoints:
            each.heed(is_down, timeout)

    def hub(self, name: str, endpoints: Iterable[ServiceEndpoint] | None = None) -> HubClients:
        """Return the clients of a hub; the service knows no upper and lower case in its name.

        Args:
            name: The hub's name.
            endpoints: Those of this object's endpoints that the calls go to; ``None`` for all.

        Raises:
            InvalidName: The service can have no hub of that name.
            ConfigurationError: There are none, or not all of them are this object's.
        """
        address = HubAddress.of(check_hub_name(name), self._application_name)
        chosen = self._endpoints if endpoints is None else self._chosen(name, endpoints)
        return HubClients(HubCaller(chosen, address, self._timeout))

    def _chosen(self, hub: str, endpoints: Any) -> tuple[EndpointClient, ...]:
        if isinstance(endpoints, str) or not isinstance(endpoints, Iterable):
            kind = kind_of(endpoints)
            raise ConfigurationError(f"hub {hub!r}: the endpoints for its messages are {kind}, not a list of them")
        wanted = list(endpoints)
        for each in wanted:
            if not isinstance(each, ServiceEndpoint):
                kind = kind_of(each)
                raise ConfigurationError(f"hub {hub!r}: the endpoints for its messages have {kind} among them")
            if each not in self._known:
                name = each.name or each.url
                raise ConfigurationError(f"hub {hub!r}: endpoint {name!r} for its messages is none of this client's")
        if not wanted:
            raise ConfigurationError(f"hub {hub!r}: none of the endpoints for its messages is one of this client")
        chosen = set(wanted)
        return tuple(each for each in self._endpoints if each.endpoint in chosen)

    def health(self) -> dict[str, bool]:
        """Return of each service endpoint, by name or else by URL, whether it can be reached and says that it is well.

        Raises:
            ServiceError: An endpoint answers with something else, such as a refusal of the token.
        """
        tasks = [
            Task(each.workers, each.is_healthy, partial(each.late, "HEAD", "/api/health", self._timeout))
            for each in self._endpoints
        ]
        outcomes = fan_out(tasks, self._timeout)
        for outcome in outcomes.values():
            if isinstance(outcome, ServiceError) and not isinstance(outcome, ServiceUnreachable):
                raise outcome
        return {each.name: outcomes[place] is True for place, each in enumerate(self._endpoints)}

    def __repr__(self) -> str:
        return f"ServiceClient({', '.join(each.name for each in self._endpoints)})"


def _given_endpoints(endpoints: Any) -> list[ServiceEndpoint]:
    is_one = isinstance(endpoints, str) or not isinstance(endpoints, Iterable)
    given: list[Any] = [endpoints] if is_one else list(endpoints)
    if not given:
        raise ConfigurationError("endpoints= is empty: give one ServiceEndpoint at least")
    for each in given:
        if not isinstance(each, ServiceEndpoint):  # not shown: a connection string has the access key in it
            raise ConfigurationError(
                f"endpoints= takes ServiceEndpoint objects, not {kind_of(each)}: of a connection string, "
                "ServiceClient.from_connection_string or ServiceEndpoint.parse makes one"
            )
    for origin, count in Counter(each.origin for each in given).items():
        if count > 1:
            raise ConfigurationError(f"{count} of endpoints= lead to {origin}: give one, or each message comes twice")
    check_names(given)
    return given


def _token_sources(
    endpoints: Iterable[ServiceEndpoint], algorithm: str, credential: "TokenCredential | EntraIdentity | None"
) -> dict[str, TokenSource]:
    """Return where the tokens for each endpoint come from, by its URL."""
    without_key = [each for each in endpoints if each.key is None]
    sources: dict[str, TokenSource] = {each.url: TokenCache(each, algorithm) for each in endpoints if each.key}
    if without_key:
        from flask_signalr.entra.identity import EntraIdentity

        identity = credential if isinstance(credential, EntraIdentity) else EntraIdentity(without_key, credential)
        sources |= {each.url: identity.tokens(each) for each in without_key}
    return sources


def urllib3_transport(retries: int, feature: str = "ServiceClient", extra: str = "serverless") -> Transport:
    """Return the transport over sockets; raises `MissingExtra` of a feature and its extra without urllib3."""
    try:
        from flask_signalr.rest.urllib3_transport import Urllib3Transport
    except ImportError as exc:
        raise MissingExtra(feature, extra) from exc
    return Urllib3Transport(retries)
