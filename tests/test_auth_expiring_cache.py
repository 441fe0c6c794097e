"""The cache: as fresh as it promises, bounded, and one lookup at a time for each key."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from flask_signalr.auth.expiring_cache import ExpiringCache, RoleCaching
from flask_signalr.errors import ConfigurationError
from tests.emulated import Clock
from tests.slapd import LONGEST_WAIT


class Source:
    """What is looked up: one, two and so on."""

    def __init__(self) -> None:
        self.lookups = 0

    def __call__(self) -> int:
        self.lookups += 1
        return self.lookups


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_value_is_looked_up_once(clock: Clock) -> None:
    cache, source = ExpiringCache[int](RoleCaching(clock=clock)), Source()

    assert [cache.get("alice", source) for _ in range(3)] == [1, 1, 1]


def test_keys_do_not_share_values(clock: Clock) -> None:
    """Attack: somebody else's roles."""
    cache = ExpiringCache[str](RoleCaching(clock=clock))

    assert cache.get("alice", lambda: "staff") == "staff"
    assert cache.get("Alice", lambda: "guest") == "guest"


def test_a_value_that_nobody_asks_for_is_forgotten_after_ten_minutes(clock: Clock) -> None:
    cache, source = ExpiringCache[int](RoleCaching(clock=clock)), Source()
    cache.get("alice", source)

    clock.now += 599
    kept = cache.get("alice", source)
    clock.now += 600
    anew = cache.get("alice", source)

    assert (kept, anew) == (1, 2)


def test_a_value_in_use_is_looked_up_anew_after_an_hour(clock: Clock) -> None:
    """A group that somebody left must not count for ever because they are diligent."""
    cache, source = ExpiringCache[int](RoleCaching(clock=clock)), Source()
    values = []

    for _ in range(13):
        values.append(cache.get("alice", source))
        clock.now += 300

    assert values == [1] * 12 + [2]


def test_the_entry_that_was_not_asked_for_the_longest_goes_first(clock: Clock) -> None:
    """Attack: many accounts, to fill the memory."""
    cache, source = ExpiringCache[int](RoleCaching(entries=2, clock=clock)), Source()

    asked = [cache.get(key, source) for key in ["alice", "bob", "alice", "carol", "alice", "bob"]]

    assert asked == [1, 2, 1, 3, 1, 4]
    assert len(cache) == 2


def test_a_failure_is_not_kept(clock: Clock) -> None:
    cache = ExpiringCache[int](RoleCaching(clock=clock))

    def fail() -> int:
        raise LookupError("down")

    with pytest.raises(LookupError, match="down"):
        cache.get("alice", fail)

    assert cache.get("alice", lambda: 1) == 1


class Held:
    """A lookup that waits until it may go on."""

    def __init__(self, outcome: Callable[[], Any]) -> None:
        self.started = threading.Event()
        self.released = threading.Event()
        self.lookups = 0
        self._outcome = outcome

    def __call__(self) -> Any:
        self.lookups += 1
        self.started.set()
        assert self.released.wait(LONGEST_WAIT)
        return self._outcome()


def fail() -> Any:
    raise LookupError("down")


def outcomes_of_eight(held: Held) -> list[object]:
    """Return what eight threads get that ask for one key at the same time."""
    cache = ExpiringCache[Any](RoleCaching())

    def asked() -> object:
        try:
            return cache.get("alice", held)
        except LookupError as exc:
            return str(exc)

    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(asked)
        assert held.started.wait(LONGEST_WAIT)
        others = [threads.submit(asked) for _ in range(7)]
        assert not any(thread.done() for thread in others)
        held.released.set()
        return [thread.result(LONGEST_WAIT) for thread in [first, *others]]


def test_threads_that_ask_at_the_same_time_share_one_lookup() -> None:
    held = Held(lambda: 1)

    outcomes = outcomes_of_eight(held)

    assert outcomes == [1] * 8
    assert held.lookups == 1


def test_a_failure_reaches_everybody_who_waits() -> None:
    held = Held(fail)

    outcomes = outcomes_of_eight(held)

    assert outcomes == ["down"] * 8


def test_other_keys_do_not_wait() -> None:
    """Attack: one account whose lookup never ends must not keep everybody out."""
    cache, held = ExpiringCache[Any](RoleCaching()), Held(lambda: 1)

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(cache.get, "alice", held)
        assert held.started.wait(LONGEST_WAIT)
        other = threads.submit(cache.get, "bob", lambda: 2).result(LONGEST_WAIT)
        first_waits = not first.done()
        held.released.set()
        first.result(LONGEST_WAIT)

    assert other == 2
    assert first_waits


@pytest.mark.parametrize(
    "options",
    [{"sliding": 0}, {"absolute": -1}, {"absolute": "3600"}, {"entries": 0}, {"entries": True}, {"entries": 1.5}],
    ids=str,
)
def test_a_value_that_cannot_be_used_is_named(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=rf"RoleCaching\({next(iter(options))}=…\): give "):
        RoleCaching(**options)
