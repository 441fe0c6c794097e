"""A store in the memory of one process: for development, tests and apps that have one process."""

import heapq
import itertools
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence

from flask_signalr.errors import StoreUnavailable
from flask_signalr.stores.store import Connection, check_lifetime

MAX_CLAIMS = 200_000
MAX_CONNECTIONS = 100_000
MAX_REMOVALS = 100_000
MAX_NOTES = 100_000


class MemoryStore:
    """Implements `Store` for the threads of one process; other processes know nothing of it.

    Args:
        clock: Seconds that only go forward, for the life of claims.
        max_claims: The most keys of one purpose that are kept. No key is dropped before its time, as one more claim of
            it would succeed then: new ones of that purpose are refused.
        max_connections: The most connections of a hub; beyond that the one unconfirmed for the longest is forgotten.
        max_removals: The most removed connections of a hub that are remembered; beyond that the oldest is forgotten,
            as a removal is never refused.
        max_notes: The most notes of a kind; beyond that the oldest is forgotten.
    """

    is_shared = False

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        max_claims: int = MAX_CLAIMS,
        max_connections: int = MAX_CONNECTIONS,
        max_removals: int = MAX_REMOVALS,
        max_notes: int = MAX_NOTES,
    ) -> None:
        self._clock = clock
        self._max_claims = max_claims
        self._max_connections = max_connections
        self._max_removals = max_removals
        self._lock = threading.Lock()
        self._claims: dict[str, _Claims] = {}
        self._hubs: dict[str, _HubConnections] = {}
        self._max_notes = max_notes
        self._removals: dict[str, _Notes] = {}
        self._notes: dict[str, _Notes] = {}

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
            if claims.held_by_owner_of(key) >= self._max_claims - len(claims):
                raise StoreUnavailable(
                    f"the store in memory holds {len(claims)} keys that begin with {purpose!r}, of {self._max_claims} "
                    "at most, and takes no more of this owner until some expire; a Redis takes more: set "
                    "SIGNALR_STORE_URL"
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
                removals = self._removals.setdefault(hub, _Notes())
                removals.add(connection_id, "", now + check_lifetime(remembered))
                removals.forget(now, beyond=self._max_removals)

    def note(self, kind: str, connection_id: str, text: str, lifetime: int) -> None:
        """See `Store.note`."""
        check_lifetime(lifetime)
        with self._lock:
            now = self._clock()
            notes = self._notes.setdefault(kind, _Notes())
            notes.add(connection_id, text, now + lifetime)
            notes.forget(now, beyond=self._max_notes)

    def noted(self, kind: str, connection_id: str, lifetime: int) -> str | None:
        """See `Store.noted`."""
        check_lifetime(lifetime)
        with self._lock:
            now = self._clock()
            notes = self._notes.get(kind)
            text = None if notes is None else notes.of(connection_id, now)
            if notes is not None and text is not None:
                notes.add(connection_id, text, now + lifetime)
            return text

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
        self, hub: str, before: float, now: float, lifetime: int, limit: int, user_id: str | None = None
    ) -> list[Connection]:
        """See `Store.take_unconfirmed`."""
        check_lifetime(lifetime)
        with self._lock:
            connections = self._of(hub)
            connections.forget(before=now - lifetime, beyond=self._max_connections)
            return connections.take(before, now, limit, user_id)

    def _of(self, hub: str) -> "_HubConnections":
        return self._hubs.get(hub, _HubConnections())

    def _is_removed(self, hub: str, connection_id: str) -> bool:
        return hub in self._removals and self._removals[hub].of(connection_id, self._clock()) is not None

    def __repr__(self) -> str:
        return "MemoryStore()"


class _Claims:
    """Keys with the times when they expire, and how many each owner holds: see `Store.claim`."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._held: Counter[str] = Counter()
        self._by_time: list[tuple[float, str]] = []

    def add(self, key: str, expires_at: float) -> None:
        if key not in self._keys:
            self._keys.add(key)
            heapq.heappush(self._by_time, (expires_at, key))
            self._held[_owner(key)] += 1

    def forget_expired(self, now: float) -> None:
        while self._by_time and self._by_time[0][0] <= now:
            key = heapq.heappop(self._by_time)[1]
            self._keys.discard(key)
            owner = _owner(key)
            self._held[owner] -= 1
            if not self._held[owner]:
                del self._held[owner]

    def held_by_owner_of(self, key: str) -> int:
        owner = _owner(key)
        return self._held[owner] if owner else 0

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def __len__(self) -> int:
        return len(self._keys)


def _owner(key: str) -> str:
    """Return whose a key is, ``""`` for nobody's: an owner's own name may have colons."""
    return key.partition(":")[2].rpartition(":")[0]


class _Notes:
    """What is known of connections with the times until which it is remembered, what was told first first."""

    def __init__(self) -> None:
        self._notes: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def add(self, connection_id: str, text: str, until: float) -> None:
        self._notes[connection_id] = (text, until)
        self._notes.move_to_end(connection_id)

    def forget(self, now: float, beyond: int) -> None:
        while self._notes and (len(self._notes) > beyond or next(iter(self._notes.values()))[1] <= now):
            self._notes.popitem(last=False)

    def of(self, connection_id: str, now: float) -> str | None:
        text, until = self._notes.get(connection_id, ("", now))
        return text if until > now else None


class _HubConnections:
    """The connections of one hub, those unconfirmed for the longest first."""

    def __init__(self) -> None:
        self.confirmed: OrderedDict[str, tuple[Connection, float]] = OrderedDict()
        self.by_user: dict[str, dict[str, Connection]] = {}
        # When each was confirmed or taken for a check: one that nobody can check is to be forgotten all the same.
        self._tended: OrderedDict[str, float] = OrderedDict()

    def add(self, connection: Connection, now: float) -> None:
        connection_id = connection.connection_id
        known = self.confirmed.get(connection_id)
        tended = self._tended.get(connection_id, now)
        self.discard(connection_id)
        self.confirmed[connection_id] = (connection, now if known is None else max(now, known[1]))
        self._tended[connection_id] = max(now, tended)
        if connection.user_id is not None:
            self.by_user.setdefault(connection.user_id, {})[connection_id] = connection

    def discard(self, connection_id: str) -> None:
        self._tended.pop(connection_id, None)
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

    def take(self, before: float, now: float, limit: int, user_id: str | None) -> list[Connection]:
        candidates: Iterable[str] = self._tended if user_id is None else self.by_user.get(user_id, {})
        if user_id is not None:
            candidates = sorted(candidates, key=self._tended.__getitem__)
        taken = [each for each in itertools.islice(candidates, limit) if self._tended[each] < before]
        for connection_id in taken:
            self._tended[connection_id] = now
            self._tended.move_to_end(connection_id)
        return [self.confirmed[each][0] for each in taken]
