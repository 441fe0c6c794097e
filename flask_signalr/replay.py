"""The replay window: what the service told once is not told a second time.

The signature of an upstream request covers neither its time nor its content. Whoever got hold of one could send it
again, and again.
"""

import hashlib

from flask_signalr.errors import RequestReplayed
from flask_signalr.invocation import Invocation
from flask_signalr.stores.store import Connection, Store


class ReplayWindow:
    """Remembers what was handled.

    A connection connects once, is gone once, and does nothing afterwards; an invocation id comes once. A message that
    waits for no answer has no id, so while its connection lasts it can be repeated.

    Where the store has bounds, a connection that calls without end fills its own share and leaves room to others.

    Args:
        store: Where it is remembered, for all processes that share it.
        seconds: For how long; 0 remembers nothing.
    """

    def __init__(self, store: Store, seconds: int) -> None:
        self._store = store
        self._seconds = seconds

    def enter(self, event: str, invocation: Invocation, now: float) -> None:
        """Let an event pass that was not handled yet, and remember it.

        Args:
            event: ``connected``, ``disconnected``, or what else happened.
            invocation: What it is about.
            now: The time, in Unix seconds.

        Raises:
            RequestReplayed: It was handled, or its connection is gone.
            StoreUnavailable: Nobody knows.
        """
        if self._seconds == 0:
            return
        connection = invocation.connection_id
        if event == "disconnected":
            self._claim(f"disconnected:{connection}")
            self._store.remove(_OPEN, connection, self._seconds)
            return
        if not self._store.confirm(_OPEN, Connection(connection), now, self._seconds):
            raise RequestReplayed("the connection is gone: nothing comes of it any more")
        if event == "connected":
            self._claim(f"connected:{connection}")
        elif invocation.invocation_id is not None:
            self._claim(f"invocation:{connection}:{_digest(invocation.invocation_id)}")

    def _claim(self, key: str) -> None:
        if not self._store.claim(f"upstream-{key}", self._seconds):
            raise RequestReplayed("this was handled before: it is a repetition of an earlier request")


def _digest(invocation_id: str) -> str:
    """Return what stands for an invocation id: clients choose it, as long as they like, and it is kept for a while."""
    return hashlib.sha256(invocation_id.encode(errors="surrogatepass")).hexdigest()


_OPEN = "upstream:open"
"""The store's list of the connections that are not gone; no hub has a name with a colon."""
