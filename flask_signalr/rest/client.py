"""The REST API of one or several service endpoints, with or without Flask."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from flask_signalr.endpoints import ServiceEndpoint
from flask_signalr.errors import ConfigurationError, MissingExtra, ServiceError
from flask_signalr.names import check_hub_name
from flask_signalr.rest.caller import HubCaller
from flask_signalr.rest.calls import HubAddress
from flask_signalr.rest.endpoint_client import EndpointClient
from flask_signalr.rest.exchange import Transport
from flask_signalr.rest.fan_out import Task, fan_out
from flask_signalr.rest.hub_clients import HubClients, check_timeout
from flask_signalr.rest.token_cache import TokenCache
from flask_signalr.service_errors import ServiceUnreachable

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

    Raises:
        MissingExtra: urllib3 is not installed.
        ConfigurationError: A value cannot be used, or an endpoint has no access key to sign with.
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
    ) -> None:
        if type(retries) is not int or not 0 <= retries <= _MOST_RETRIES:
            raise ConfigurationError(f"retries= takes a whole number, 0 to {_MOST_RETRIES}, not {retries!r}")
        given = _given_endpoints(endpoints)
        self._timeout = check_timeout(timeout)
        self._application_name = application_name
        carry = transport if transport is not None else _urllib3_transport(retries)
        self._endpoints = tuple(EndpointClient(each, carry, TokenCache(each, algorithm)) for each in given)

    @classmethod
    def from_connection_string(cls, connection_string: str, **options: Any) -> "ServiceClient":
        """Return the client of the service that a connection string leads to.

        Args:
            connection_string: As the Azure portal shows it, or the emulator prints it.
            **options: The other arguments of the class.

        Raises:
            ConfigurationError: The connection string is malformed, or has no access key.
        """
        return cls(ServiceEndpoint.parse(connection_string), **options)

    def hub(self, name: str) -> HubClients:
        """Return the clients of a hub; the service knows no upper and lower case in its name.

        Raises:
            InvalidName: The service can have no hub of that name.
        """
        address = HubAddress.of(check_hub_name(name), self._application_name)
        return HubClients(HubCaller(self._endpoints, address, self._timeout))

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
                f"endpoints= takes ServiceEndpoint objects, not a {type(each).__name__}: of a connection string, "
                "ServiceClient.from_connection_string or ServiceEndpoint.parse makes one"
            )
    return given


def _urllib3_transport(retries: int) -> Transport:
    try:
        from flask_signalr.rest.urllib3_transport import Urllib3Transport
    except ImportError as exc:
        raise MissingExtra("ServiceClient", "serverless") from exc
    return Urllib3Transport(retries)
