"""What the hubs of one app need of the world: the service's REST API, the store, and who is connected."""

from typing import TYPE_CHECKING

from flask_signalr.config import Settings
from flask_signalr.negotiation import prefixed_hub
from flask_signalr.presence import Presence, PresenceTimes
from flask_signalr.rest.exchange import Transport
from flask_signalr.stores.store import Store

if TYPE_CHECKING:
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
        store: A store that is open already; without it, the one that the settings name.

    Attributes:
        store: What the processes of the app share.

    Raises:
        ConfigurationError: The store cannot be opened.
        MissingExtra: The store needs an optional dependency.
    """

    def __init__(self, settings: Settings, store: Store | None = None) -> None:
        self.store = store or settings.store.open()
        self._settings = settings
        self._transport: Transport | None = None
        self._service: ServiceClient | None = None
        self._clients: dict[str, HubClients] = {}
        self._presence: dict[str, Presence] = {}

    @property
    def service(self) -> "ServiceClient":
        """The service's REST API.

        Raises:
            MissingExtra: The extra ``serverless`` is not installed.
        """
        if self._service is None:  # two threads may both make one: it holds nothing before its first call
            from flask_signalr.rest.client import ServiceClient

            settings = self._settings
            self._service = ServiceClient(
                settings.endpoints,
                settings.application_name,
                transport=self._transport,
                timeout=settings.rest_timeout,
                retries=settings.rest_retries,
                algorithm=settings.access_token_algorithm,
            )
        return self._service

    def use_transport(self, transport: Transport) -> None:
        """Let every call of the service take this road from now on."""
        self._transport = transport
        self._service = None
        self._clients = {}

    def clients(self, hub: str) -> "HubClients":
        """Return the clients of a declared hub.

        Raises:
            MissingExtra: The extra ``serverless`` is not installed.
        """
        clients = self._clients.get(hub)
        if clients is None:
            clients = self._clients[hub] = self.service.hub(hub)
        return clients

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
