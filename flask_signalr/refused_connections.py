"""Refused connections: those that a hub's ``on_connected`` did not let in, or could not be asked about.

The app says so to the service, which need not close the connection: what Azure does is not documented. So the app
closes it, and answers nothing of it any more even if that fails.
"""

import logging
from collections.abc import Callable

from flask_signalr.error_text import error_text
from flask_signalr.errors import AuthorizationDenied, SignalRError, StoreUnavailable
from flask_signalr.stores.store import Store

logger = logging.getLogger("flask_signalr.upstream")

REMEMBERED = 86_400
"""Seconds that a connection is remembered as refused or admitted, from its last call on."""

REMEMBERED_END = 600
"""Seconds that an admitted connection is remembered after its end, as its last calls may come late."""

RECONNECT = "the app has not admitted this connection: connect again"
"""What a client reads whose connection was not refused on purpose."""

_ADMITTED, _REFUSED = "admitted", "refused"
_LONGEST_REASON = 500

Close = Callable[[str, str], object]
"""Closes a connection, given by its id, at the service, and tells its client a reason."""


class RefusedConnections:
    """The refused connections of one hub, and in a store that all processes share the admitted ones too.

    Such a store knows of every connection that ``on_connected`` saw, so there one that is not known is refused. A
    store of one process knows nothing of what another process admitted: there what is not known passes.

    Args:
        hub: The hub's key in the store: its name with the application's.
        store: Where they are remembered.
        close: Closes one at the service.
    """

    def __init__(self, hub: str, store: Store, close: Close) -> None:
        self._hub = hub
        self._kind = f"admission:{hub}"
        self._store = store
        self._close = close

    def add(self, connection_id: str, error: BaseException) -> None:
        """Remember a connection, then close it; what goes wrong with either is logged and keeps nobody from the other.

        Args:
            connection_id: The connection.
            error: Why; the client is told the text of an `AuthorizationDenied`, of any other to connect again.
        """
        try:
            self._store.note(self._kind, connection_id, _REFUSED, REMEMBERED)
        except StoreUnavailable as exc:
            logger.error("hub %r: a refused connection is not remembered, and its calls may run: %s", self._hub, exc)
        reason = error_text(error) if isinstance(error, AuthorizationDenied) else RECONNECT
        try:
            self._close(connection_id, reason.encode(errors="replace").decode()[:_LONGEST_REASON])
        except SignalRError as exc:
            logger.warning("hub %r: a refused connection stays open at the service: %s", self._hub, exc)

    def admit(self, connection_id: str) -> None:
        """Let a connection pass from now on that ``on_connected`` let in.

        Raises:
            AuthorizationDenied: It was refused before: that stays.
            StoreUnavailable: Other processes cannot be told.
        """
        if self._store.is_shared:
            if self._noted(connection_id) == _REFUSED:
                raise _refused()
            self._store.note(self._kind, connection_id, _ADMITTED, REMEMBERED)

    def check(self, connection_id: str) -> None:
        """Let a connection pass that was not refused and, as far as the store can tell, was admitted.

        Raises:
            AuthorizationDenied: It was refused, or never admitted; then it is closed, and refused from now on.
            StoreUnavailable: Nobody knows.
        """
        noted = self._noted(connection_id)
        if noted == _REFUSED:
            raise _refused()
        if noted is None and self._store.is_shared:
            denied = AuthorizationDenied(RECONNECT)
            logger.warning(
                "hub %r: a connection calls that on_connected never saw, so it is refused and closed: was its event "
                "lost, or does the service's upstream leave out the category connections?",
                self._hub,
            )
            self.add(connection_id, denied)
            raise denied

    def end(self, connection_id: str) -> bool:
        """Return whether a connection that ended was refused; an admitted one is soon forgotten.

        ``False``, and a line in the log, if the store does not tell.
        """
        try:
            noted = self._noted(connection_id)
            if noted == _ADMITTED:
                self._store.note(self._kind, connection_id, _ADMITTED, REMEMBERED_END)
            return noted == _REFUSED
        except StoreUnavailable as exc:
            logger.warning("hub %r: nobody knows whether a connection that ends was refused: %s", self._hub, exc)
            return False

    def _noted(self, connection_id: str) -> str | None:
        return self._store.noted(self._kind, connection_id, REMEMBERED)


def _refused() -> AuthorizationDenied:
    return AuthorizationDenied("this connection was refused when it connected: connect again")
