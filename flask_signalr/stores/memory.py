"""A store in the memory of one process: for development, tests and apps that have one process."""

import heapq
import itertools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from flask_signalr.errors import StoreUnavailable
from flask_signalr.stores.store import Connection, check_lifetime

MAX_CLAIMS = 200_000
MAX_CONNECTIONS = 100_000
MAX_REMOVALS = 100_000


class MemoryStore:
    """Implements `Store` for the threads of one process; other processes know nothing of it.

    Args:
        clock: Seconds that only go forward, for the life of claims.
        max_claims: The most keys of one purpose that are kept. No key is dropped before its time, as one more claim of
            it would succeed then: new ones of that purpose are refused.
        max_connections: The most connections of a hub; beyond that the one unconfirmed for the longest is forgotten.
        max_removals: The most removed connections of a hub that are remembered; beyond that the oldest is forgotten,
            as a removal is never refused.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        max_claims: int = MAX_CLAIMS,
        max_connections: int = MAX_CONNECTIONS,
        max_removals: int = MAX_REMOVALS,
    ) -> None:
        self._clock = clock
        self._max_claims = max_claims
        self._max_connections = max_connections
        self._max_removals = max_removals
        self._lock = threading.Lock()
        self._claims: dict[str, _Claims] = {}
        self._hubs: dict[str, _HubConnections] = {}
        self._removals: dict[str, _Removals] = {}

    def claim(self, key: str, lifetime: int) -> bool:
        """See `Store.claim`."""
        check_lifetime(lifetime)
        purpose = key.partition(":")[0] if ":" in key else ""
        with self._lock:
            now = self._clock()
            claims = self._claims.setdefault(purpose, _Claims())
            claims.forget_expired(now)
            if key in claims:
                return False
            if len(claims) >= self._max_claims:
                raise StoreUnavailable(
                    f"the store in memory holds {self._max_claims} keys that begin with {purpose!r} and takes no more "
                    "until some expire; a Redis takes more: set SIGNALR_STORE_URL"
                )
            claims.add(key, now + lifetime)
            return True

    def confirm(self, hub: str, connection: Connection, now: float, lifetime: int) -> bool:
        """See `Store.confirm`."""
        check_lifetime(lifetime)
        with self._lock:
            if self._is_removed(hub, connection.connection_id):
                return False
            connections = self._hubs.setdefault(hub, _HubConnections())
            connections.add(connection, now)
            connections.forget(before=now - lifetime, beyond=self._max_connections)
            return True

    def remove(self, hub: str, connection_id: str, remembered: int) -> None:
        """See `Store.remove`."""
        with self._lock:
            self._of(hub).discard(connection_id)
            if remembered:
                now = self._clock()
                removals = self._removals.setdefault(hub, _Removals())
                removals.add(connection_id, now + check_lifetime(remembered))
                removals.forget(now, beyond=self._max_removals)

    def is_removed(self, hub: str, connection_id: str) -> bool:
        """See `Store.is_removed`."""
        with self._lock:
            return self._is_removed(hub, connection_id)

    def connections(self, hub: str, user_id: str | None = None) -> Sequence[Connection]:
        """See `Store.connections`."""
        with self._lock:
            return self._of(hub).all(user_id)

    def users(self, hub: str) -> frozenset[str]:
        """See `Store.users`."""
        with self._lock:
            return frozenset(self._of(hub).by_user)

    def count(self, hub: str) -> int:
        """See `Store.count`."""
        with self._lock:
            return len(self._of(hub).confirmed)

    def take_unconfirmed(
        self, hub: str, before: float, now: float, limit: int, user_id: str | None = None
    ) -> list[Connection]:
        """See `Store.take_unconfirmed`."""
        with self._lock:
            connections = self._of(hub)
            taken = connections.unconfirmed(before, limit, user_id)
            for connection in taken:
                connections.add(connection, now)
            return taken

    def _of(self, hub: str) -> "_HubConnections":
        return self._hubs.get(hub, _HubConnections())

    def _is_removed(self, hub: str, connection_id: str) -> bool:
        return hub in self._removals and self._removals[hub].holds(connection_id, self._clock())

    def __repr__(self) -> str:
        return "MemoryStore()"


class _Claims:
    """Keys with the times when they expire."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._by_time: list[tuple[float, str]] = []

    def add(self, key: str, expires_at: float) -> None:
        if key not in self._keys:
            self._keys.add(key)
            heapq.heappush(self._by_time, (expires_at, key))

    def forget_expired(self, now: float) -> None:
        while self._by_time and self._by_time[0][0] <= now:
            self._keys.discard(heapq.heappop(self._by_time)[1])

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def __len__(self) -> int:
        return len(self._keys)


class _Removals:
    """The removed connections of one hub with the times until which they are remembered, those told first first."""

    def __init__(self) -> None:
        self._until: OrderedDict[str, float] = OrderedDict()

    def add(self, connection_id: str, until: float) -> None:
        self._until[connection_id] = max(until, self._until.get(connection_id, until))
        self._until.move_to_end(connection_id)

    def forget(self, now: float, beyond: int) -> None:
        while self._until and (len(self._until) > beyond or next(iter(self._until.values())) <= now):
            self._until.popitem(last=False)

    def holds(self, connection_id: str, now: float) -> bool:
        return self._until.get(connection_id, now) > now


class _HubConnections:
    """The connections of one hub, those unconfirmed for the longest first."""

    def __init__(self) -> None:
        self.confirmed: OrderedDict[str, tuple[Connection, float]] = OrderedDict()
        self.by_user: dict[str, dict[str, Connection]] = {}

    def add(self, connection: Connection, now: float) -> None:
        known = self.confirmed.get(connection.connection_id)
        self.discard(connection.connection_id)
        self.confirmed[connection.connection_id] = (connection, now if known is None else max(now, known[1]))
        if connection.user_id is not None:
            self.by_user.setdefault(connection.user_id, {})[connection.connection_id] = connection

    def discard(self, connection_id: str) -> None:
        connection, _ = self.confirmed.pop(connection_id, (None, 0))
        if connection is not None and connection.user_id is not None:
            of_user = self.by_user[connection.user_id]
            del of_user[connection_id]
            if not of_user:
                del self.by_user[connection.user_id]

    def forget(self, before: float, beyond: int) -> None:
        while self.confirmed:
            connection_id, (_, confirmed_at) = next(iter(self.confirmed.items()))
            if confirmed_at > before and len(self.confirmed) <= beyond:
                return
            self.discard(connection_id)

    def all(self, user_id: str | None) -> list[Connection]:
        if user_id is None:
            return [connection for connection, _ in self.confirmed.values()]
        return list(self.by_user.get(user_id, {}).values())

    def unconfirmed(self, before: float, limit: int, user_id: str | None) -> list[Connection]:
        candidates: Iterable[str] = self.confirmed if user_id is None else self.by_user.get(user_id, {})
        if user_id is not None:
            candidates = sorted(candidates, key=lambda each: self.confirmed[each][1])
        oldest = (self.confirmed[each] for each in itertools.islice(candidates, limit))
        return [connection for connection, confirmed_at in oldest if confirmed_at < before]
