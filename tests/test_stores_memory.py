"""The store in memory has an end, and refuses or forgets what is safe to."""

import pytest

from flask_signalr.errors import StoreUnavailable
from flask_signalr.stores.memory import MemoryStore
from flask_signalr.stores.store import Connection
from tests.emulated import Clock


def is_removed(store: MemoryStore, connection_id: str, hub: str = "chat") -> bool:
    return not store.confirm(hub, Connection(connection_id), 100, 1000)


def test_a_full_store_takes_no_more_claims_and_drops_none() -> None:
    """Attack: many requests push an old one out, and it is replayed."""
    store = MemoryStore(Clock(), max_claims=2)
    store.claim("first", 60)
    store.claim("second", 60)

    with pytest.raises(StoreUnavailable, match="SIGNALR_STORE_URL"):
        store.claim("third", 60)

    assert not store.claim("first", 60)


def test_a_full_store_takes_claims_again_when_some_have_expired() -> None:
    clock = Clock()
    store = MemoryStore(clock, max_claims=1)
    store.claim("first", 60)

    clock.now += 60

    assert store.claim("second", 60)


def test_beyond_the_most_connections_the_one_unconfirmed_for_the_longest_is_forgotten() -> None:
    store = MemoryStore(Clock(), max_connections=2)

    for number, user_id in enumerate(["ada", "bob", "eve"]):
        store.confirm("chat", Connection(str(number), user_id), 100 + number, 1000)

    assert store.users("chat") == {"bob", "eve"}


def test_keys_of_one_purpose_leave_room_for_those_of_others() -> None:
    """Denial of service: who calls without end fills the replay window, and nobody could connect any more."""
    store = MemoryStore(Clock(), max_claims=1)
    store.claim("calls:1", 60)

    with pytest.raises(StoreUnavailable, match="'calls'"):
        store.claim("calls:2", 60)

    assert store.claim("connects:1", 60)


def test_a_store_that_is_full_of_claims_still_takes_removals() -> None:
    """Or a late event would bring the connection back."""
    store = MemoryStore(Clock(), max_claims=1)
    store.claim("first", 60)
    store.confirm("chat", Connection("1", "ada"), 100, 1000)

    store.remove("chat", "1", 60)

    assert store.count("chat") == 0
    assert not store.confirm("chat", Connection("1", "ada"), 101, 1000)


def test_removals_leave_room_for_claims() -> None:
    store = MemoryStore(Clock(), max_claims=1)

    for number in range(10):
        store.remove("chat", str(number), 60)

    assert store.claim("first", 60)


def test_beyond_the_most_removals_of_a_hub_its_oldest_is_forgotten() -> None:
    store = MemoryStore(Clock(), max_removals=2)
    store.remove("news", "first", 60)

    for connection_id in ("first", "second", "first", "third"):  # told again, it is the newest
        store.remove("chat", connection_id, 60)

    assert [is_removed(store, each) for each in ("first", "second", "third")] == [True, False, True]
    assert is_removed(store, "first", "news")


def test_removals_that_have_expired_take_no_room() -> None:
    clock = Clock()
    store = MemoryStore(clock, max_removals=2)
    store.remove("chat", "old", 60)
    clock.now += 30
    store.remove("chat", "newer", 60)

    clock.now += 30
    store.remove("chat", "new", 60)

    assert [is_removed(store, each) for each in ("old", "newer", "new")] == [False, True, True]


def test_beyond_the_most_notes_of_a_kind_its_oldest_is_forgotten() -> None:
    store = MemoryStore(Clock(), max_notes=2)
    store.note("weather", "first", "rain", 60)

    for connection_id in ("first", "second", "first", "third"):  # written again, it is the newest
        store.note("mood", connection_id, "glad", 60)

    assert [store.noted("mood", each, 60) for each in ("first", "second", "third")] == ["glad", None, "glad"]
    assert store.noted("weather", "first", 60) == "rain"


def test_denial_of_service_an_owner_fills_no_more_than_its_share() -> None:
    """Attack: one client calls without end, so that nobody's calls can be remembered and all are refused."""
    clock = Clock()
    store = MemoryStore(clock, max_claims=12)

    taken = claimed(store, "mallory", 12)
    others = [claimed(store, name, 12) for name in ("a:b", "ada", "bob")]

    assert taken == 6
    assert others == [3, 2, 1]
    with pytest.raises(StoreUnavailable, match="SIGNALR_STORE_URL"):
        store.claim("calls:mallory:new", 60)
    assert not store.claim("calls:mallory:0", 60)
    clock.now += 60
    assert claimed(store, "mallory", 12) == 6


def claimed(store: MemoryStore, owner: str, attempts: int) -> int:
    """Return how many keys an owner gets."""
    count = 0
    for number in range(attempts):
        try:
            count += store.claim(f"calls:{owner}:{number}", 60)
        except StoreUnavailable:
            break
    return count


def test_a_store_shows_nothing_of_what_it_holds() -> None:
    store = MemoryStore()
    store.claim("a signature", 60)

    assert repr(store) == "MemoryStore()"
