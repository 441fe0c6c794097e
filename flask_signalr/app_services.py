"""What the hubs of one app need of the world: the service's REST API, the store, and who is connected."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from flask_signalr.app_endpoints import AppEndpoints
from flask_signalr.config import Settings
from flask_signalr.endpoint_monitor import Announce
from flask_signalr.endpoints import ServiceEndpoint
from flask_signalr.errors import ConfigurationError, MissingExtra
from flask_signalr.key_source import AccessKeys, KeySource
from flask_signalr.negotiation import prefixed_hub
from flask_signalr.presence import Presence, PresenceTimes
from flask_signalr.rest.exchange import Transport
from flask_signalr.stores.store import Store

if TYPE_CHECKING:
    from flask_signalr.entra.entra_access import EntraAccess
    from flask_signalr.rest.client import ServiceClient
    from flask_signalr.rest.hub_clients import HubClients

CHECK_TIMEOUT = 2
"""Seconds that a read of presence waits for one answer of the service; without one it asks no more for a while."""

CLOSE_TIMEOUT = 2
"""Seconds that the refusal of a connection waits for the service to close it."""


class AppServices:
    """Made once for the settings of an app; what is not used is not opened.

    Args:
        settings: The app's.
        announcer: Makes who is told when a service endpoint goes up or down.
        store: A store that is open already; without it, the one that the settings name.
        entra: What former settings were given of Microsoft Entra ID; it stays if these are given the same.

    Attributes:
        store: What the processes of the app share.
        endpoints: The service endpoints, and which of them are up.
        entra: What endpoints without an access key need; ``None`` if all have one.
        keys: What the client tokens of an endpoint without an access key are signed with.

    Raises:
        ConfigurationError: The store cannot be opened.
        MissingExtra: The store, an AuthType, or the probing of several endpoints needs an optional dependency.
    """

    def __init__(
        self,
        settings: Settings,
        announcer: Callable[[], Announce],
        store: Store | None = None,
        entra: "EntraAccess | None" = None,
    ) -> None:
        self.store = store or settings.store.open()
        self.entra = _entra_access(settings, entra)
        self.keys: KeySource = AccessKeys() if self.entra is None else self.entra.keys
        self.endpoints = AppEndpoints(settings.endpoints)
        self._settings = settings
        self._transport: Transport | None = None
        self._service: ServiceClient | None = None
        self._clients: dict[str, HubClients] = {}
        self._presence: dict[str, Presence] = {}
        if len(settings.endpoints) > 1 and settings.health.interval:
            try:
                probing = self._new_service(retries=0)
            except MissingExtra as exc:
                raise MissingExtra(
                    "probing service endpoints (SIGNALR_HEALTH_INTERVAL=0 switches it off)", exc.extra
                ) from exc
            key_fault = None if self.entra is None or self.entra.issued_tokens is not None else self.entra.keys.fault
            probes = [partial(client.fault, key_fault=key_fault) for client in probing.endpoints]
            self.endpoints.watch(probes, settings.health, announcer)

    @property
    def service(self) -> "ServiceClient":
        """The service's REST API.

        Raises:
            MissingExtra: The extra ``serverless`` is not installed.
        """
        if self._service is None:  # two threads may both make one: it holds nothing before its first call
            service, endpoints = self._new_service(self._settings.rest_retries), self.endpoints
            service.heed(lambda endpoint: endpoint not in endpoints.reachable(), self._settings.health.timeout)
            self._service = service
        return self._service

    def _new_service(self, retries: int) -> "ServiceClient":
        from flask_signalr.rest.client import ServiceClient

        settings = self._settings
        return ServiceClient(
            settings.endpoints,
            settings.application_name,
            transport=self._transport,
            timeout=settings.rest_timeout,
            retries=retries,
            algorithm=settings.access_token_algorithm,
            credential=None if self.entra is None else self.entra.identity,
        )

    def use_transport(self, transport: Transport) -> None:
        """Let every call of the service take this road from now on; no endpoint is probed any more, all count as up."""
        self.endpoints.stop()
        self.endpoints = AppEndpoints(self._settings.endpoints)
        self._transport = transport
        if self.entra is not None:
            self.entra.use_transport(transport)
        self._service = None
        self._clients = {}

    def clients(self, hub: str) -> "HubClients":
        """Return the clients of a declared hub, at all endpoints.

        Raises:
            MissingExtra: The extra ``serverless`` is not installed.
        """
        clients = self._clients.get(hub)
        if clients is None:
            clients = self._clients[hub] = self.service.hub(hub)
        return clients

    def clients_at(self, hub: str, endpoints: Iterable[ServiceEndpoint] | None) -> "HubClients":
        """Return the clients of a declared hub that are at the endpoints that its router chose for messages.

        Raises:
            MissingExtra: The extra ``serverless`` is not installed.
            ConfigurationError: There are none, or not all of them are the app's.
        """
        if endpoints is self.endpoints.all:
            return self.clients(hub)
        service = self.service
        if endpoints is None:  # to the client it means all
            raise ConfigurationError(
                f"message_endpoints of the endpoint_router: hub {hub!r}: it returned None, not a list"
            )
        try:
            return service.hub(hub, endpoints)
        except ConfigurationError as exc:
            raise ConfigurationError(f"message_endpoints of the endpoint_router: {exc}") from None

    def presence(self, hub: str) -> Presence:
        """Return who is connected to a declared hub."""
        presence = self._presence.get(hub)
        if presence is None:
            store = self._settings.store
            presence = self._presence.setdefault(  # one for all threads: it remembers whom it heard of
                hub,
                Presence(
                    prefixed_hub(hub, self._settings.application_name),
                    self.store,
                    lambda connection_id: self.clients(hub).using(timeout=CHECK_TIMEOUT).client(connection_id).exists(),
                    PresenceTimes(store.presence_check_after, store.presence_lifetime),
                ),
            )
        return presence

    def close(self, hub: str, connection_id: str, reason: str) -> None:
        """Close a connection of a declared hub, and tell its client a reason.

        Raises:
            MissingExtra: The extra ``serverless`` is not installed.
            SignalRError: As `ServiceClient`; the service has `CLOSE_TIMEOUT` seconds.
        """
        self.clients(hub).using(timeout=CLOSE_TIMEOUT).client(connection_id).close(reason)


def _entra_access(settings: Settings, former: "EntraAccess | None") -> "EntraAccess | None":
    if all(endpoint.key is not None for endpoint in settings.endpoints):
        return None
    from flask_signalr.entra.entra_access import EntraAccess

    facts = (
        settings.endpoints,
        settings.entra,
        settings.application_name,
        settings.rest_timeout,
        settings.rest_retries,
    )
    if former is not None and former.is_made_of(*facts):
        return former  # with the keys that it fetched
    return EntraAccess(*facts)
