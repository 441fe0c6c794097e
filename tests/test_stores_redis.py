"""The store in Redis: shared by processes, clear when Redis is gone, back when it is back."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from flask_signalr.errors import StoreUnavailable
from flask_signalr.stores.redis import MAX_POOLED, PAUSE, RedisStore
from flask_signalr.stores.store import Connection
from flask_signalr.stores.store_url import store_from_url
from tests.emulated import Clock
from tests.redis_server import PASSWORD, QUOTED_PASSWORD, RedisServer

ROOT = Path(__file__).parent.parent
ADA = Connection("1", "ada")


def secretless(error: BaseException) -> bool:
    return not any(word in f"{error} {error!r}" for word in (PASSWORD, QUOTED_PASSWORD))


def test_two_processes_share_connections_and_claims(running_redis: RedisServer) -> None:
    prefix = uuid4().hex
    store = RedisStore(running_redis.url, prefix)
    program = (
        "import sys\n"
        "from flask_signalr.stores.store import Connection\n"
        "from flask_signalr.stores.store_url import store_from_url\n"
        "store = store_from_url(*sys.argv[1:])\n"
        "print(sorted(store.users('chat')), store.claim('one', 60), store.claim('two', 60))\n"
        "store.confirm('chat', Connection('2', 'bob'), 100, 1000)\n"
        "store.remove('chat', '1', 60)\n"
    )
    store.confirm("chat", ADA, 100, 1000)
    store.claim("one", 60)

    other = subprocess.run(
        [sys.executable, "-c", program, running_redis.url, prefix], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert other.stdout == "['ada'] False True\n"
    assert store.users("chat") == {"bob"}
    assert not store.claim("two", 60)
    assert not store.confirm("chat", ADA, 100, 1000)
    store.close()


def test_a_forked_process_has_a_connection_of_its_own(running_redis: RedisServer) -> None:
    """Two processes that read one socket would take each other's answers."""
    store = RedisStore(running_redis.url, uuid4().hex)
    store.claim("before", 60)
    context = multiprocessing.get_context("fork")
    outcomes = context.SimpleQueue()

    def claim() -> None:
        outcomes.put([store.claim(f"{os.getpid()} {number}", 60) for number in range(200)])

    children = [context.Process(target=claim) for _ in range(2)]
    for child in children:
        child.start()
    mine = [store.claim(f"mine {number}", 60) for number in range(200)]
    theirs = [outcomes.get() for _ in children]
    for child in children:
        child.join()

    assert mine == theirs[0] == theirs[1] == [True] * 200
    assert not store.claim("before", 60)
    store.close()


def test_every_key_has_the_prefix_and_an_end(own_redis: RedisServer) -> None:
    """A Redis that is shared must not fill up with what nobody needs."""
    store = RedisStore(own_redis.url, "app")
    store.confirm("chat", ADA, 100, 1000)
    store.confirm("chat", Connection("2", "bob"), 100, 1000)
    store.take_unconfirmed("chat", 150, 200, 1000, 10)
    store.remove("chat", "2", 60)
    store.claim("one", 60)
    store.note("mood", "1", "glad", 60)

    with own_redis.admin() as client:
        ends = {key: client.ttl(key) for key in client.scan_iter()}

    assert sorted(ends) == [
        "app:claim:one",
        "app:note:mood:1",
        "app:{chat}:by-user",
        "app:{chat}:confirmed",
        "app:{chat}:removed:2",
        "app:{chat}:tended",
        "app:{chat}:users",
    ]
    assert all(0 < end <= 1000 for end in ends.values())
    store.close()


def test_a_claim_whose_answer_got_lost_is_the_same_claim_when_it_is_repeated(running_redis: RedisServer) -> None:
    """The client repeats a command when its connection breaks; the event must not pass for a replay then."""
    from flask_signalr.stores.redis_scripts import CLAIM

    key = uuid4().hex
    with running_redis.admin() as client:
        outcomes = [client.eval(CLAIM, 1, key, token, "60") for token in ("mine", "mine", "other")]

    assert outcomes == [1, 1, 0]


def test_a_redis_that_is_there_and_busy_is_not_said_to_be_gone(running_redis: RedisServer) -> None:
    """Whoever is on call would look for a server that is down, or for a fault in the URL."""
    store = RedisStore(running_redis.url, timeout=0.5)
    pool = store._redis.connection_pool
    taken = [pool.get_connection() for _ in range(MAX_POOLED)]

    with pytest.raises(StoreUnavailable, match="50 calls of this process wait for it already"):
        store.count("chat")
    pool.release(taken.pop())

    assert store.count("chat") == 0
    for connection in taken:
        pool.release(connection)
    store.close()


def test_a_redis_that_died_is_named_and_used_again_when_it_is_back(own_redis: RedisServer) -> None:
    store = RedisStore(own_redis.url)
    store.confirm("chat", ADA, 100, 1000)

    own_redis.stop()
    with pytest.raises(StoreUnavailable, match="cannot be reached") as death:
        store.users("chat")
    with pytest.raises(StoreUnavailable):
        store.claim("one", 60)
    own_redis.start()

    assert secretless(death.value)
    assert "redis.sock" in str(death.value)
    assert store.users("chat") == frozenset()
    assert store.confirm("chat", ADA, 100, 1000)
    assert store.users("chat") == {"ada"}
    store.close()


def test_a_restart_between_two_calls_costs_nothing(own_redis: RedisServer) -> None:
    store = RedisStore(own_redis.url)
    store.claim("one", 60)

    own_redis.stop()
    own_redis.start()

    assert store.claim("one", 60)
    store.close()


def test_a_silent_redis_is_waited_for_once_and_then_left_alone_for_a_while(own_redis: RedisServer) -> None:
    """Or every request of the site would wait for it in turn."""
    clock = Clock()
    store = RedisStore(own_redis.url, timeout=0.1, clock=clock)

    with own_redis.paused():
        with pytest.raises(StoreUnavailable, match="gives no answer"):
            store.claim("one", 60)
        with pytest.raises(StoreUnavailable, match="a moment ago"):
            store.count("chat")
    with pytest.raises(StoreUnavailable, match="a moment ago"):
        store.count("chat")
    clock.now += PAUSE

    assert store.count("chat") == 0
    store.close()


def test_a_wrong_password_is_told_and_not_shown(running_redis: RedisServer) -> None:
    wrong = running_redis.url.replace(QUOTED_PASSWORD, "hunter2")
    store = RedisStore(wrong)

    with pytest.raises(StoreUnavailable, match="refuses the user name or password") as refusal:
        store.claim("one", 60)

    assert "hunter2" not in f"{refusal.value} {refusal.value!r}"
    store.close()


def test_a_command_that_redis_refuses_is_told_by_its_code_alone(own_redis: RedisServer) -> None:
    """What follows the code may be keys and user ids."""
    store = RedisStore(own_redis.url)
    with own_redis.admin() as client:
        client.set("signalr:{chat}:confirmed", "something else", ex=60)

    with pytest.raises(StoreUnavailable, match=r"refuses a command: [A-Z]+$"):
        store.count("chat")
    store.close()


# TLS.


def over_tls(server: RedisServer, host: str = "localhost", **options: object) -> str:
    return f"rediss://:{QUOTED_PASSWORD}@{host}:{server.tls_port}/0?{urlencode(options)}"


def test_over_tls_a_store_is_the_same(tls_redis: RedisServer) -> None:
    store = store_from_url(over_tls(tls_redis, ssl_ca_certs=tls_redis.ca_certificates), uuid4().hex)

    assert [store.claim("one", 60), store.claim("one", 60)] == [True, False]
    assert store.confirm("chat", ADA, 100, 1000)
    assert store.users("chat") == {"ada"}
    assert isinstance(store, RedisStore)
    store.close()


@pytest.mark.parametrize(
    ("host", "knows_the_authority", "fault"),
    [("localhost", False, "self-signed certificate"), ("127.0.0.1", True, "not valid for '127.0.0.1'")],
    ids=["of an unknown authority", "of another host"],
)
def test_man_in_the_middle_a_certificate_of_somebody_else_is_not_accepted(
    tls_redis: RedisServer, host: str, knows_the_authority: bool, fault: str
) -> None:
    """Attack: whoever answers in the place of the Redis would learn the password, and tell who is online."""
    options = {"ssl_ca_certs": tls_redis.ca_certificates} if knows_the_authority else {}
    store = RedisStore(over_tls(tls_redis, host, **options))

    with pytest.raises(StoreUnavailable, match=f"certificate that is not accepted: .*{fault}") as refusal:
        store.claim("one", 60)

    assert secretless(refusal.value)
    store.close()


def test_a_certificate_goes_unchecked_only_if_the_url_says_so(tls_redis: RedisServer) -> None:
    store = RedisStore(over_tls(tls_redis, "127.0.0.1", ssl_cert_reqs="none"), uuid4().hex)

    assert store.claim("one", 60)
    store.close()


def test_without_tls_nothing_is_told_to_a_server_that_speaks_it(tls_redis: RedisServer) -> None:
    store = RedisStore(over_tls(tls_redis).replace("rediss://", "redis://"))

    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        store.claim("one", 60)
    store.close()
