"""Refused connections: those that a hub's ``on_connected`` did not let in.

The app says so to the service, which need not close the connection: what Azure does is not documented. So the app
closes it, and answers nothing of it any more even if that fails.
"""

import logging
from collections.abc import Callable

from flask_signalr.errors import AuthorizationDenied, SignalRError, StoreUnavailable
from flask_signalr.stores.store import Store

logger = logging.getLogger("flask_signalr.upstream")

REMEMBERED_REFUSAL = 86_400
"""Seconds that a refused connection is remembered, from its last attempt on."""

_LONGEST_REASON = 500

Close = Callable[[str, str], object]
"""Closes a connection, given by its id, at the service, and tells its client a reason."""


class RefusedConnections:
    """The refused connections of one hub.

    Args:
        hub: The hub's key in the store: its name with the application's.
        store: Where they are remembered, for all processes that share it.
        close: Closes one at the service.
    """

    def __init__(self, hub: str, store: Store, close: Close) -> None:
        self._hub = hub
        self._key = f"refused:{hub}"  # no hub has a name with a colon
        self._store = store
        self._close = close

    def add(self, connection_id: str, reason: str) -> None:
        """Remember a connection, then close it; what goes wrong with either is logged and keeps nobody from the other.

        Args:
            connection_id: The connection.
            reason: What its client is told.
        """
        try:
            self._remember(connection_id)
        except StoreUnavailable as exc:
            logger.error("hub %r: a refused connection is not remembered, and its calls may run: %s", self._hub, exc)
        try:
            self._close(connection_id, reason.encode(errors="replace").decode()[:_LONGEST_REASON])
        except SignalRError as exc:
            logger.warning("hub %r: a refused connection stays open at the service: %s", self._hub, exc)

    def check(self, connection_id: str) -> None:
        """Let a connection pass that was not refused.

        Raises:
            AuthorizationDenied: It was.
            StoreUnavailable: Nobody knows.
        """
        if self._store.is_removed(self._key, connection_id):
            self._remember(connection_id)
            raise AuthorizationDenied("this connection was refused when it connected")

    def holds(self, connection_id: str) -> bool:
        """Return whether a connection was refused; ``False``, and a line in the log, if the store does not tell."""
        try:
            return self._store.is_removed(self._key, connection_id)
        except StoreUnavailable as exc:
            logger.warning("hub %r: nobody knows whether a connection that ends was refused: %s", self._hub, exc)
            return False

    def _remember(self, connection_id: str) -> None:
        self._store.remove(self._key, connection_id, REMEMBERED_REFUSAL)
