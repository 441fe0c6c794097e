"""The contract of a store: the same in memory and in a real Redis."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from flask_signalr.errors import ConfigurationError
from flask_signalr.stores.memory import MemoryStore
from flask_signalr.stores.store import MAX_LIFETIME, Connection, Store
from tests.emulated import Clock

LIFETIME = 1000
HOSTILE = [
    "ada",
    "a/b",
    "a",
    "a%2Fb",
    "a0",
    "é",
    "\udcff",
    "DOMAIN\\ada",
    "x\n",
    "*",
    "{chat}",
    "-",
    "[",
    "(",
    "a\x00b",
]


@dataclass
class StoreInTime:
    """A store, and the way to let time pass for it."""

    store: Store
    let_pass: Callable[[int], None]


@pytest.fixture(params=["memory", "redis"])
def timed(request: pytest.FixtureRequest) -> Any:
    if request.param == "memory":
        clock = Clock()

        def let_pass(seconds: int) -> None:
            clock.now += seconds

        yield StoreInTime(MemoryStore(clock), let_pass)
        return
    server = request.getfixturevalue("running_redis")
    from flask_signalr.stores.redis import RedisStore

    prefix = uuid4().hex
    store = RedisStore(server.url, prefix)
    yield StoreInTime(store, lambda seconds: server.let_pass(seconds, prefix))
    store.close()


@pytest.fixture
def store(timed: StoreInTime) -> Store:
    return timed.store


def confirm(store: Store, connection_id: str, user_id: str | None = "ada", now: float = 100, hub: str = "chat") -> bool:
    return store.confirm(hub, Connection(connection_id, user_id), now, LIFETIME)


# Claims.


def test_a_key_is_claimed_once(store: Store) -> None:
    assert [store.claim("one", 60), store.claim("one", 60), store.claim("another", 60)] == [True, False, True]


def test_of_many_threads_that_claim_a_key_exactly_one_gets_it(store: Store) -> None:
    """Attack: the same request twice at the same moment."""
    together = threading.Barrier(8)

    def claim() -> bool:
        together.wait()
        return store.claim("one", 60)

    with ThreadPoolExecutor(8) as threads:
        outcomes = [future.result() for future in [threads.submit(claim) for _ in range(8)]]

    assert sorted(outcomes) == [False] * 7 + [True]


def test_a_claim_ends_with_its_lifetime_and_no_other(timed: StoreInTime) -> None:
    timed.store.claim("short", 60)
    timed.store.claim("long", 600)

    timed.let_pass(59)
    before = timed.store.claim("short", 60)
    timed.let_pass(1)

    assert not before
    assert timed.store.claim("short", 60)
    assert not timed.store.claim("long", 600)


def test_a_refused_claim_does_not_lengthen_the_first(timed: StoreInTime) -> None:
    timed.store.claim("one", 60)

    timed.let_pass(30)
    timed.store.claim("one", 60)
    timed.let_pass(30)

    assert timed.store.claim("one", 60)


@pytest.mark.parametrize("lifetime", [0, -1, True, 1.5, None, "60", MAX_LIFETIME + 1])
def test_a_lifetime_is_whole_seconds(store: Store, lifetime: Any) -> None:
    with pytest.raises(ConfigurationError, match="whole number of seconds"):
        store.claim("one", lifetime)
    with pytest.raises(ConfigurationError, match="whole number of seconds"):
        store.confirm("chat", Connection("1"), 100, lifetime)
    with pytest.raises(ConfigurationError, match="whole number of seconds"):
        store.take_unconfirmed("chat", 100, 200, lifetime, 10)


# Connections.


def test_nobody_is_connected_at_first(store: Store) -> None:
    assert (store.users("chat"), store.count("chat"), list(store.connections("chat"))) == (frozenset(), 0, [])
    assert list(store.connections("chat", "ada")) == []
    assert store.take_unconfirmed("chat", 100, 100, LIFETIME, 10) == []


def test_a_user_is_there_until_the_last_connection_is_gone(store: Store) -> None:
    """Two tabs."""
    confirm(store, "1")
    confirm(store, "2")

    store.remove("chat", "1", 0)
    with_one = store.users("chat")
    store.remove("chat", "2", 0)

    assert with_one == {"ada"}
    assert (store.users("chat"), store.count("chat")) == (frozenset(), 0)


def test_a_connection_that_is_confirmed_again_is_one(store: Store) -> None:
    confirm(store, "1")
    confirm(store, "1", now=200)

    assert list(store.connections("chat")) == [Connection("1", "ada")]


def test_a_guest_is_a_connection_and_no_user(store: Store) -> None:
    confirm(store, "1", None)

    assert list(store.connections("chat")) == [Connection("1", None)]
    assert (store.users("chat"), store.count("chat")) == (frozenset(), 1)


def test_hubs_do_not_share_connections(store: Store) -> None:
    confirm(store, "1", "ada", hub="chat")
    confirm(store, "2", "bob", hub="news")

    assert store.users("chat") == {"ada"}
    assert store.users("news") == {"bob"}


def test_user_ids_are_kept_apart_letter_by_letter(store: Store) -> None:
    """Attack: a user id that reaches into somebody else's row, such as ``a/b`` into that of ``a``."""
    for number, user_id in enumerate(HOSTILE):
        confirm(store, f"connection/{number}", user_id)

    assert store.users("chat") == set(HOSTILE)
    for number, user_id in enumerate(HOSTILE):
        assert list(store.connections("chat", user_id)) == [Connection(f"connection/{number}", user_id)]
    assert list(store.connections("chat", "ad")) == []


def test_a_late_event_brings_no_removed_connection_back(timed: StoreInTime) -> None:
    """Events of one connection may be handled by two processes, the later one first."""
    timed.store.remove("chat", "1", 60)

    assert not confirm(timed.store, "1")
    assert timed.store.count("chat") == 0
    assert confirm(timed.store, "2")
    timed.let_pass(60)
    assert confirm(timed.store, "1")


def test_a_removal_is_remembered_as_long_as_it_was_told_last(timed: StoreInTime) -> None:
    timed.store.remove("chat", "1", 60)
    timed.store.remove("chat", "2", 0)
    timed.let_pass(30)
    timed.store.remove("chat", "1", 60)
    timed.let_pass(59)

    before = [confirm(timed.store, each) for each in ("1", "2")]
    timed.let_pass(1)

    assert before == [False, True]
    assert confirm(timed.store, "1")


def test_a_note_is_kept_for_its_lifetime_from_the_last_time_that_it_was_read(timed: StoreInTime) -> None:
    timed.store.note("mood", "1", "glad", 60)
    timed.let_pass(59)
    within = timed.store.noted("mood", "1", 90)
    timed.let_pass(89)
    read_again = timed.store.noted("mood", "1", 60)
    timed.let_pass(60)

    assert [within, read_again, timed.store.noted("mood", "1", 60)] == ["glad", "glad", None]


def test_a_note_may_be_kept_for_less_than_before(timed: StoreInTime) -> None:
    timed.store.note("mood", "1", "glad", 600)
    timed.store.noted("mood", "1", 60)
    timed.store.note("mood", "2", "glad", 600)
    timed.store.note("mood", "2", "glad", 60)
    timed.let_pass(60)

    assert [timed.store.noted("mood", each, 60) for each in ("1", "2")] == [None, None]


def test_a_note_is_of_one_kind_and_one_connection(store: Store) -> None:
    store.note("mood", "1", "glad", 60)
    store.note("weather", "1", "rain", 60)
    store.note("mood", "1", "sad", 60)
    store.remove("mood", "2", 60)

    assert [store.noted("mood", "1", 60), store.noted("weather", "1", 60)] == ["sad", "rain"]
    assert [store.noted("mood", "2", 60), store.noted("other", "1", 60)] == [None, None]
    assert confirm(store, "1", hub="mood")


def test_hostile_ids_of_connections_are_kept_apart(store: Store) -> None:
    """Attack: a connection id that ends somebody else's connection, or makes it pass for another."""
    for number, connection_id in enumerate(HOSTILE):
        assert store.noted("mood", connection_id, 60) is None, HOSTILE[:number]
        assert confirm(store, connection_id), HOSTILE[:number]
        store.note("mood", connection_id, str(number), 60)
        store.remove("chat", connection_id, 60)

    assert [store.noted("mood", each, 60) for each in HOSTILE] == [str(number) for number in range(len(HOSTILE))]
    assert not any(confirm(store, connection_id) for connection_id in HOSTILE)


def test_a_removal_of_another_hub_does_not_count(store: Store) -> None:
    store.remove("news", "1", 60)

    assert confirm(store, "1")


def test_connections_not_confirmed_within_the_lifetime_are_forgotten(store: Store) -> None:
    confirm(store, "old", now=100)
    confirm(store, "newer", "bob", now=101)

    confirm(store, "new", "eve", now=100 + LIFETIME)

    assert store.users("chat") == {"bob", "eve"}


def test_the_connections_unconfirmed_for_the_longest_are_taken_first(store: Store) -> None:
    for number in range(5):
        confirm(store, str(number), now=100 + number)

    taken = store.take_unconfirmed("chat", before=104, now=200, lifetime=LIFETIME, limit=3)

    assert taken == [Connection("0", "ada"), Connection("1", "ada"), Connection("2", "ada")]


def test_each_unconfirmed_connection_is_handed_to_one_caller(store: Store) -> None:
    """Ten readers at once must not ask the service ten times."""
    for number in range(4):
        confirm(store, str(number))

    with ThreadPoolExecutor(4) as threads:
        handed = list(threads.map(lambda _: store.take_unconfirmed("chat", 150, 200, LIFETIME, 2), range(4)))

    assert sorted(each.connection_id for taken in handed for each in taken) == ["0", "1", "2", "3"]


def test_a_connection_confirmed_at_the_time_or_later_is_not_taken(store: Store) -> None:
    confirm(store, "1", now=100)

    assert store.take_unconfirmed("chat", 100, 200, LIFETIME, 10) == []
    assert store.take_unconfirmed("chat", 100.5, 200, LIFETIME, 10) == [Connection("1", "ada")]


def test_to_be_taken_for_a_check_confirms_nothing(store: Store) -> None:
    """The check may fail for good, and a connection would be asked about, and believed in, for ever."""
    confirm(store, "ghost", now=100)
    taken = store.take_unconfirmed("chat", 500, 900, LIFETIME, 10)

    confirm(store, "new", "eve", now=100 + LIFETIME)

    assert taken == [Connection("ghost", "ada")]
    assert store.users("chat") == {"eve"}


@pytest.mark.parametrize("user_id", [None, "ada", "nobody"])
def test_whoever_takes_connections_forgets_those_not_confirmed_within_the_lifetime(
    store: Store, user_id: str | None
) -> None:
    """Where nobody else comes, nothing else would forget them."""
    confirm(store, "old", now=100)
    confirm(store, "newer", "bob", now=101)

    taken = store.take_unconfirmed("chat", 100.5, 100 + LIFETIME, LIFETIME, 10, user_id)

    assert taken == []
    assert list(store.connections("chat")) == [Connection("newer", "bob")]


def test_a_late_sign_of_life_does_not_hand_out_again_what_is_taken(store: Store) -> None:
    confirm(store, "1", now=100)
    store.take_unconfirmed("chat", 150, 200, LIFETIME, 10)

    confirm(store, "1", now=120)

    assert store.take_unconfirmed("chat", 200, 300, LIFETIME, 10) == []


def test_a_late_sign_of_life_makes_a_connection_no_older(store: Store) -> None:
    confirm(store, "1", now=200)
    confirm(store, "1", now=100)

    taken = store.take_unconfirmed("chat", 200, 300, LIFETIME, 10)
    confirm(store, "2", "bob", now=150 + LIFETIME)

    assert taken == []
    assert store.users("chat") == {"ada", "bob"}


def test_only_one_users_connections_are_taken_when_asked_so(store: Store) -> None:
    confirm(store, "1", "bob", now=100)
    confirm(store, "2", "ada", now=102)
    confirm(store, "3", "ada", now=101)
    confirm(store, "4", "ada", now=150)

    taken = store.take_unconfirmed("chat", before=150, now=200, lifetime=LIFETIME, limit=1, user_id="ada")

    assert taken == [Connection("3", "ada")]
    assert store.take_unconfirmed("chat", 150, 200, LIFETIME, 9, "ada") == [Connection("2", "ada")]
    assert store.take_unconfirmed("chat", 150, 200, LIFETIME, 9, "nobody") == []


def test_threads_do_not_lose_connections(store: Store) -> None:
    def come_and_go(number: int) -> None:
        confirm(store, f"stays {number}", f"user {number % 3}")
        confirm(store, f"goes {number}", f"guest {number}")
        store.remove("chat", f"goes {number}", 60)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(come_and_go, range(40)))

    assert store.count("chat") == 40
    assert store.users("chat") == {"user 0", "user 1", "user 2"}
