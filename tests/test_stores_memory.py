"""The store in memory has an end, and refuses or forgets what is safe to."""

import pytest

from flask_signalr.errors import StoreUnavailable
from flask_signalr.stores.memory import MemoryStore
from flask_signalr.stores.store import Connection
from tests.emulated import Clock


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


def test_a_full_store_still_forgets_a_connection_that_is_gone() -> None:
    store = MemoryStore(Clock(), max_claims=1)
    store.claim("first", 60)
    store.confirm("chat", Connection("1", "ada"), 100, 1000)

    with pytest.raises(StoreUnavailable):
        store.remove("chat", "1", 60)

    assert store.count("chat") == 0


def test_a_store_shows_nothing_of_what_it_holds() -> None:
    store = MemoryStore()
    store.claim("a signature", 60)

    assert repr(store) == "MemoryStore()"
