"""Presence: who is online, though events come late, twice or never, and though store and service fail."""

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from flask_signalr import Principal
from flask_signalr.errors import MissingExtra, StoreUnavailable
from flask_signalr.invocation import Invocation
from flask_signalr.presence import CHECKS_PER_READ, Presence, PresenceTimes
from flask_signalr.service_errors import ServiceError
from flask_signalr.stores.memory import MemoryStore
from flask_signalr.stores.store import Connection, Store
from flask_signalr.stores.store_url import store_from_url
from tests.emulated import Clock
from tests.redis_server import RedisServer

ROOT = Path(__file__).parent.parent
CHECK_AFTER = 300
LIFETIME = 86_400


def by(connection_id: str, user_id: str | None = "ada") -> Invocation:
    scheme = None if user_id is None else "Bearer"
    return Invocation(hub="chat", connection_id=connection_id, principal=Principal(user_id, scheme=scheme))


class Service:
    """Answers whether a connection is there, as the service would, and counts the questions."""

    def __init__(self) -> None:
        self.there: set[str] = set()
        self.asked: list[str] = []
        self.error: Exception | None = None

    def exists(self, connection_id: str) -> bool:
        self.asked.append(connection_id)
        if self.error is not None:
            raise self.error
        return connection_id in self.there


class Site:
    """A hub's presence, and all that it depends on."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = Clock()
        self.service = Service()
        self.presence = self.process()

    def process(self) -> Presence:
        """Return presence as another process of the app has it."""
        return Presence("chat", self.store, self.service.exists, PresenceTimes(CHECK_AFTER, LIFETIME, self.clock))


@pytest.fixture(params=["memory", "redis"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    if request.param == "memory":
        yield Site(MemoryStore())
        return
    from flask_signalr.stores.redis import RedisStore

    store = RedisStore(request.getfixturevalue("running_redis").url, uuid4().hex)
    yield Site(store)
    store.close()


def test_a_user_is_online_until_the_last_connection_is_gone(site: Site) -> None:
    """Two tabs."""
    presence = site.presence
    presence.connected(by("1"))
    presence.connected(by("2"))

    presence.disconnected(by("1"))
    with_one = presence.is_online("ada")
    presence.disconnected(by("2"))

    assert with_one
    assert not presence.is_online("ada")
    assert (presence.users(), presence.count(), presence.connections()) == (frozenset(), 0, frozenset())


def test_a_guest_counts_as_a_connection_and_no_user(site: Site) -> None:
    site.presence.connected(by("1", None))
    site.presence.connected(by("2"))

    assert site.presence.users() == {"ada"}
    assert site.presence.count() == 2
    assert site.presence.connections() == {Connection("1"), Connection("2", "ada")}
    assert site.presence.connections("ada") == {Connection("2", "ada")}


def test_a_client_that_reconnects_under_a_new_id_is_one_again(site: Site) -> None:
    """The new connection's event may come before the old one's end."""
    site.presence.connected(by("old"))
    site.presence.connected(by("new"))

    site.presence.disconnected(by("old"))

    assert site.presence.connections("ada") == {Connection("new", "ada")}


@pytest.mark.parametrize("late", [Presence.connected, Presence.seen])
def test_an_event_that_comes_after_the_end_brings_nobody_back(
    site: Site, late: Callable[[Presence, Invocation], None]
) -> None:
    """Two processes take the events of one connection, and the first is the slower one."""
    slow, fast = site.process(), site.process()

    fast.disconnected(by("1"))
    late(slow, by("1"))

    assert not slow.is_online("ada")


def test_whoever_is_heard_of_is_online_though_the_start_was_missed(site: Site) -> None:
    site.presence.seen(by("1"))

    assert site.presence.users() == {"ada"}


# Lost events.


def test_a_connection_whose_end_was_missed_is_found_out(site: Site) -> None:
    site.presence.connected(by("1"))

    site.clock.now += CHECK_AFTER + 1

    assert not site.presence.is_online("ada")
    assert site.service.asked == ["1"]


@pytest.mark.parametrize(
    "read", [Presence.users, Presence.count, Presence.connections, lambda presence: presence.is_online("ada")]
)
def test_every_read_looks_for_lost_events(site: Site, read: Callable[[Presence], Any]) -> None:
    site.presence.connected(by("1"))

    site.clock.now += CHECK_AFTER + 1

    assert not read(site.presence)


def test_a_silent_connection_that_is_there_stays_and_is_asked_for_once_in_a_while(site: Site) -> None:
    site.service.there = {"1"}
    site.presence.connected(by("1"))
    site.clock.now += CHECK_AFTER + 1

    online = [site.presence.is_online("ada") for _ in range(3)]
    other_process = site.process().users()

    assert online == [True] * 3
    assert other_process == {"ada"}
    assert site.service.asked == ["1"]


def test_nobody_is_asked_about_a_connection_that_gives_signs_of_life(site: Site) -> None:
    site.presence.connected(by("1"))

    for _ in range(10):
        site.clock.now += CHECK_AFTER / 3
        site.presence.seen(by("1"))

    assert site.presence.is_online("ada")
    assert site.service.asked == []


def test_a_read_asks_about_a_few_connections_and_heals_step_by_step(site: Site) -> None:
    """A page that shows who is online must not wait for a thousand questions."""
    for number in range(CHECKS_PER_READ + 5):
        site.presence.connected(by(str(number)))
    site.clock.now += CHECK_AFTER + 1

    counts = [site.presence.count() for _ in range(3)]

    assert counts == [5, 0, 0]
    assert len(site.service.asked) == CHECKS_PER_READ + 5


def test_a_question_about_one_user_checks_that_user_first(site: Site) -> None:
    for number in range(CHECKS_PER_READ * 2):
        site.presence.connected(by(str(number), f"user {number}"))
    site.presence.connected(by("last", "ada"))
    site.clock.now += CHECK_AFTER + 1

    assert not site.presence.is_online("ada")
    assert site.service.asked == ["last"]


def test_a_store_that_lost_everything_learns_again(site: Site) -> None:
    site.presence.connected(by("1"))
    site.store.remove("chat", "1", 0)

    site.clock.now += CHECK_AFTER / 2
    site.presence.seen(by("1"))

    assert site.presence.users() == {"ada"}


@pytest.mark.parametrize("back", [1, CHECK_AFTER / 2, 100_000])
def test_a_clock_that_steps_back_silences_nobody(site: Site, back: float) -> None:
    """The last sign of life lies in the future then, and until the clock gets there no other would be noted."""
    site.presence.seen(by("1"))
    site.store.remove("chat", "1", 0)

    site.clock.now -= back
    site.presence.seen(by("1"))

    assert site.presence.users() == {"ada"}


# Questions that are none.


@pytest.mark.parametrize("user_id", [None, 5, b"ada", ["ada"]], ids=repr)
def test_a_guest_is_not_everybody(site: Site, user_id: Any) -> None:
    """A guest's ``invocation.user_id`` is ``None``: whoever asks by it must not be told of all the others."""
    site.presence.connected(by("1"))

    with pytest.raises(TypeError, match="a guest has none"):
        site.presence.connections(user_id)
    with pytest.raises(TypeError, match="a guest has none"):
        site.presence.is_online(user_id)


# Failures.


@pytest.mark.parametrize(
    "error",
    [
        ServiceError("it is down", method="HEAD", path="/api/hubs/chat/connections/1"),
        MissingExtra("hub.clients", "serverless"),
    ],
    ids=["service", "extra"],
)
def test_a_service_that_cannot_be_asked_takes_nobody_off(
    site: Site, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Everybody would seem to leave at once; and it is not asked again for each reader."""
    site.service.error = error
    for number in range(CHECKS_PER_READ + 1):
        site.presence.connected(by(str(number)))
    site.clock.now += CHECK_AFTER + 1

    counts = [site.presence.count() for _ in range(3)]

    assert counts == [CHECKS_PER_READ + 1] * 3
    assert len(site.service.asked) == 1
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert str(error) in caplog.text


@pytest.mark.parametrize("has_company", [True, False])
def test_a_ghost_is_forgotten_though_the_service_can_never_be_asked(site: Site, has_company: bool) -> None:
    """A role that may not call the service, or a network that lets nothing through: reads must not keep it alive."""
    site.service.error = ServiceError("not allowed", method="HEAD", path="/")
    site.presence.connected(by("ghost"))
    online: list[bool] = []

    while len(online) < LIFETIME // CHECK_AFTER + 2:
        site.clock.now += CHECK_AFTER + 1
        if has_company:
            site.presence.seen(by("live", "bob"))
        online.append(site.presence.is_online("ada"))

    assert online == [True] * (LIFETIME // (CHECK_AFTER + 1)) + [False] * (len(online) - LIFETIME // (CHECK_AFTER + 1))
    assert site.presence.users() == ({"bob"} if has_company else frozenset())


def test_presence_heals_when_the_service_is_back(site: Site) -> None:
    site.service.error = ServiceError("it is down", method="HEAD", path="/")
    site.presence.connected(by("1"))
    site.clock.now += CHECK_AFTER + 1
    site.presence.count()

    site.service.error = None
    site.clock.now += CHECK_AFTER + 1

    assert site.presence.count() == 0


def test_a_store_that_is_down_fails_no_event_and_tells_who_reads(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A chat goes on without the list of who is online; a page that shows the list says that it cannot."""
    from flask_signalr.stores.redis import RedisStore

    store = RedisStore(own_redis.url)
    presence = Site(store).presence
    own_redis.stop()

    presence.connected(by("1"))
    presence.seen(by("1"))
    presence.disconnected(by("2"))
    with pytest.raises(StoreUnavailable):
        presence.users()
    own_redis.start()
    presence.seen(by("1"))

    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 3
    assert presence.users() == {"ada"}
    store.close()


def test_a_store_that_goes_down_amid_a_read_tells_who_reads() -> None:
    """What it returned would be of nobody's knowledge; only the service may fail and be believed to have said yes."""

    class Failing(MemoryStore):
        def remove(self, hub: str, connection_id: str, remembered: int) -> None:
            raise StoreUnavailable("it is down")

    site = Site(Failing())
    site.presence.connected(by("1"))
    site.clock.now += CHECK_AFTER + 1

    with pytest.raises(StoreUnavailable):
        site.presence.count()


def test_memory_exhaustion_what_was_heard_lately_is_kept_of_so_many_connections_alone() -> None:
    """Whoever connects again and again must not fill the process; who is dropped is only noted once more."""
    site = Site(MemoryStore())
    for number in range(10_001):
        site.presence.connected(by(str(number)))

    site.clock.now += 1
    site.presence.seen(by("0"))
    site.presence.seen(by("2"))
    silent = site.store.take_unconfirmed("chat", site.clock.now, site.clock.now, LIFETIME, 20_000)

    assert len(silent) == 10_000
    assert silent[0] == Connection("1", "ada")


def test_two_processes_tell_each_other_who_is_online(running_redis: RedisServer) -> None:
    program = (
        "import sys\n"
        "from flask_signalr.stores.store_url import store_from_url\n"
        "from tests.test_presence import Site, by\n"
        "presence = Site(store_from_url(*sys.argv[1:])).presence\n"
        "print(sorted(presence.users()))\n"
        "presence.connected(by('2', 'bob'))\n"
        "presence.disconnected(by('1'))\n"
    )
    prefix = uuid4().hex
    store = store_from_url(running_redis.url, prefix)
    presence = Site(store).presence
    presence.connected(by("1"))

    other = subprocess.run(
        [sys.executable, "-c", program, running_redis.url, prefix], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert other.stdout == "['ada']\n"
    assert presence.users() == {"bob"}


def test_presence_shows_no_user() -> None:
    presence = Site(MemoryStore()).presence
    presence.connected(by("1"))

    assert repr(presence) == "Presence('chat')"
