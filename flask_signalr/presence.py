"""Presence: who is connected to a hub, as its events tell and the service confirms."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from flask_signalr.error_text import kind_of
from flask_signalr.errors import SignalRError, StoreUnavailable
from flask_signalr.invocation import Invocation
from flask_signalr.stores.store import Connection, Store

logger = logging.getLogger(__name__)

Exists = Callable[[str], bool]
"""Asks the service whether a connection of a hub, given by its id, is there."""

CHECKS_PER_READ = 10
"""The most connections that one read asks the service about."""

REMEMBERED_REMOVAL = 600
"""Seconds after the end of a connection during which a late event does not bring it back."""

_MAX_HEARD = 10_000


class Everybody(Enum):
    """Stands for all connections; ``None`` does not, as it is the user id of a guest."""

    EVERYBODY = "everybody"


EVERYBODY = Everybody.EVERYBODY


@dataclass(frozen=True)
class PresenceTimes:
    """How long presence believes what it heard.

    Attributes:
        check_after: Seconds without a sign of life after which the service is asked about a connection.
        lifetime: Seconds without a sign of life or an answer of the service after which a connection is forgotten.
        clock: Unix seconds; the processes that share a store have about the same.
    """

    check_after: int = 300
    lifetime: int = 86_400
    clock: Callable[[], float] = time.time


class Presence:
    """Who is connected to one hub: ``hub.presence``.

    Its knowledge comes from the events that the service sends upstream, so it needs the categories ``connections``
    and, to learn sooner of what was lost, ``messages``. Events can be lost: before a read the connections that gave no
    sign of life for a while are looked up at the service, a few each time.

    Args:
        hub: The hub's key in the store: its name with the application's.
        store: Where it is kept.
        exists: Asks the service about one connection.
        times: How long what was heard is believed.
    """

    def __init__(self, hub: str, store: Store, exists: Exists, times: PresenceTimes) -> None:
        self._hub = hub
        self._store = store
        self._exists = exists
        self._times = times
        self._lock = threading.Lock()
        self._heard: OrderedDict[str, float] = OrderedDict()
        self._next_check = float("-inf")

    def users(self) -> frozenset[str]:
        """Return the user ids that are connected, each until its last connection is gone.

        Raises:
            StoreUnavailable: The store cannot be reached.
        """
        self._verify()
        return self._store.users(self._hub)

    def is_online(self, user_id: str) -> bool:
        """Return whether a user is connected.

        Raises:
            StoreUnavailable: The store cannot be reached.
            TypeError: The user id is no text, as for `connections`.
        """
        return bool(self.connections(user_id))

    def connections(self, user_id: str | Everybody = EVERYBODY) -> frozenset[Connection]:
        """Return one user's connections; without a user id all, those of guests too.

        Raises:
            StoreUnavailable: The store cannot be reached.
            TypeError: The user id is no text, such as the ``None`` of a guest: guests have no user id to ask by.
        """
        asked: object = user_id
        if not isinstance(asked, str | Everybody):
            raise TypeError(
                f"presence is asked about a user id, a str, not {kind_of(asked)}: a guest has none, and "
                "connections() without one returns all connections"
            )
        wanted = asked if isinstance(asked, str) else None
        self._verify(wanted)
        return frozenset(self._store.connections(self._hub, wanted))

    def count(self) -> int:
        """Return the number of connections: those of a user with two tabs are two, and those of guests count.

        Raises:
            StoreUnavailable: The store cannot be reached.
        """
        self._verify()
        return self._store.count(self._hub)

    def connected(self, invocation: Invocation) -> None:
        """Take note that a client connected. A store that is down is logged, and no error."""
        self._note(invocation)

    def seen(self, invocation: Invocation) -> None:
        """Take note of a sign of life, now and then one for each connection; else as `connected`."""
        now = self._times.clock()
        with self._lock:
            heard = self._heard.get(invocation.connection_id)
        # A clock that steps back makes the last sign of life lie in the future: it counts for nothing then.
        if heard is None or not 0 <= now - heard < self._times.check_after / 2:
            self._note(invocation)

    def disconnected(self, invocation: Invocation) -> None:
        """Take note that a connection is gone. A store that is down is logged, and no error."""
        with self._lock:
            self._heard.pop(invocation.connection_id, None)
        try:
            self._store.remove(self._hub, invocation.connection_id, REMEMBERED_REMOVAL)
        except StoreUnavailable as exc:
            logger.warning("hub %r: presence missed that a connection is gone: %s", self._hub, exc)

    def _note(self, invocation: Invocation) -> None:
        connection = Connection(invocation.connection_id, invocation.user_id)
        now = self._times.clock()
        try:
            self._store.confirm(self._hub, connection, now, self._times.lifetime)
        except StoreUnavailable as exc:
            logger.warning("hub %r: presence missed a sign of life: %s", self._hub, exc)
            return
        with self._lock:
            self._heard[connection.connection_id] = now
            self._heard.move_to_end(connection.connection_id)
            if len(self._heard) > _MAX_HEARD:
                self._heard.popitem(last=False)

    def _verify(self, user_id: str | None = None) -> None:
        """Ask the service about connections that nothing was heard of for a while."""
        now = self._times.clock()
        with self._lock:
            if now < self._next_check:
                return
        before = now - self._times.check_after
        lifetime = self._times.lifetime
        unconfirmed = self._store.take_unconfirmed(self._hub, before, now, lifetime, CHECKS_PER_READ, user_id)
        try:
            self._check(unconfirmed, now)
        except SignalRError as exc:
            if isinstance(exc, StoreUnavailable):
                raise
            with self._lock:
                self._next_check = now + self._times.check_after
            logger.warning(
                "hub %r: presence cannot ask the service about %d connections and believes in them for %d s more: %s",
                self._hub,
                len(unconfirmed),
                self._times.check_after,
                exc,
            )

    def _check(self, unconfirmed: Sequence[Connection], now: float) -> None:
        for connection in unconfirmed:
            if self._exists(connection.connection_id):
                self._store.confirm(self._hub, connection, now, self._times.lifetime)
            else:
                self._store.remove(self._hub, connection.connection_id, REMEMBERED_REMOVAL)

    def __repr__(self) -> str:
        return f"Presence({self._hub!r})"
