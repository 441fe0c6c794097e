"""A cache whose values are looked up once at a time and forgotten when they are old."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from flask_signalr.auth.keyword_checks import check_count, check_seconds

Value = TypeVar("Value")


@dataclass(frozen=True)
class RoleCaching:
    """How long looked-up values are kept; ASP.NET Core keeps its roles of LDAP as long.

    Attributes:
        sliding: Seconds after which a value that nobody asked for is forgotten.
        absolute: Seconds after which any value is looked up anew: a group that somebody left counts that long.
        entries: The most values that are kept; beyond that the one that was not asked for the longest goes.
        clock: Seconds that only go forward.

    Raises:
        ConfigurationError: A value cannot be used.
    """

    sliding: float = 600
    absolute: float = 3600
    entries: int = 10_000
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    def __post_init__(self) -> None:
        for name in ("sliding", "absolute"):
            check_seconds(f"RoleCaching({name}=…)", getattr(self, name))
        check_count("RoleCaching(entries=…)", self.entries)


@dataclass
class _Kept(Generic[Value]):
    value: Value
    fetched: float
    used: float


class ExpiringCache(Generic[Value]):
    """Values by key, shared by all threads of the process.

    Args:
        caching: How long values are kept.
    """

    def __init__(self, caching: RoleCaching) -> None:
        self._caching = caching
        self._kept: OrderedDict[str, _Kept[Value]] = OrderedDict()
        self._lookups: dict[str, Future[Value]] = {}
        self._lock = threading.Lock()

    def get(self, key: str, look_up: Callable[[], Value]) -> Value:
        """Return a kept value, or look it up and keep it.

        While one thread looks a key up, others that ask for it wait and share the outcome; other keys go on.

        Raises:
            Exception: Whatever the lookup raised; it is not kept.
        """
        with self._lock:
            kept = self._usable(key)
            if kept is not None:
                return kept.value
            lookup = self._lookups.get(key)
            is_mine = lookup is None
            if lookup is None:
                lookup = self._lookups[key] = Future()
        if is_mine:
            self._finish(key, lookup, look_up)
        return lookup.result()

    def __len__(self) -> int:
        return len(self._kept)

    def _usable(self, key: str) -> _Kept[Value] | None:
        kept = self._kept.get(key)
        if kept is None:
            return None
        now = self._caching.clock()
        if now >= min(kept.used + self._caching.sliding, kept.fetched + self._caching.absolute):
            del self._kept[key]
            return None
        kept.used = now
        self._kept.move_to_end(key)
        return kept

    def _finish(self, key: str, lookup: "Future[Value]", look_up: Callable[[], Value]) -> None:
        try:
            value = look_up()
        except BaseException as exc:  # noqa: BLE001 - whoever waits must learn of it; `get` raises it
            with self._lock:
                del self._lookups[key]
            lookup.set_exception(exc)
            return
        now = self._caching.clock()
        with self._lock:
            del self._lookups[key]
            self._kept[key] = _Kept(value, now, now)
            if len(self._kept) > self._caching.entries:
                self._kept.popitem(last=False)
        lookup.set_result(value)
