"""Several calls at once: bounded, within one time limit, and none held up by an endpoint that hangs."""

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from flask_signalr import (
    PartialFailure,
    ServiceClient,
    ServiceEndpoint,
    ServiceRequest,
    ServiceResponse,
    ServiceUnreachable,
)
from flask_signalr.rest.fan_out import Task, fan_out, new_workers
from flask_signalr.rest.per_process import PerProcess
from flask_signalr.rest.worker_threads import CALLS_PER_ENDPOINT, WorkerThreads
from tests.apps import ACCESS_KEY
from tests.recorded_service import ABSENT, DONE, EAST, WEST, RecordedService
from tests.scripted_server import LONGEST_WAIT, ScriptedServer, http, silence

PATIENCE = 10
"""Seconds to wait for what nothing holds up; without it the failure of that test would take minutes."""

USERS = [f"u{number}" for number in range(20)]


@dataclass
class Pair:
    """An endpoint that takes every call and answers none, beside one that answers each with 202."""

    dead: ScriptedServer
    live: ScriptedServer

    def service(self, timeout: float) -> ServiceClient:
        endpoints = [endpoint_at(self.dead, "dead"), endpoint_at(self.live, "live")]
        return ServiceClient(endpoints, timeout=timeout, retries=0)


@contextmanager
def dead_and_live() -> Iterator[Pair]:
    with ScriptedServer([http(202)]) as live, ScriptedServer([silence]) as dead:
        yield Pair(dead, live)


def endpoint_at(server: ScriptedServer, name: str) -> ServiceEndpoint:
    return ServiceEndpoint.parse(f"Endpoint={server.origin};AccessKey={ACCESS_KEY};Version=1.0;", name)


def no_time(is_begun: bool) -> ServiceUnreachable:
    return ServiceUnreachable("no time", method="GET", path="/")


def users_told(server: ScriptedServer) -> set[str]:
    return {received.line.split("/users/")[1].partition("/")[0] for received in server.received}


def test_a_dead_endpoint_does_not_keep_the_live_one_from_its_messages() -> None:
    """More calls than there are threads for the dead one, whose time is not over when the live one has got them all."""
    with ThreadPoolExecutor() as executor:
        with dead_and_live() as pair:
            sending = executor.submit(pair.service(LONGEST_WAIT).hub("chat").users(*USERS).send, "news")
            pair.live.wait_for(len(USERS))
            pair.dead.wait_for(CALLS_PER_ENDPOINT)

            assert not sending.done()
            assert len(pair.dead.received) == CALLS_PER_ENDPOINT

        with pytest.raises(PartialFailure) as failure:
            sending.result()

    assert users_told(pair.live) == set(USERS)
    assert set(failure.value.failures) == {f"user {user!r} at dead" for user in USERS}


def test_a_dead_endpoint_does_not_keep_others_from_sending() -> None:
    """All threads for the dead one are taken by one message when another one is sent."""
    with ThreadPoolExecutor() as executor, dead_and_live() as pair:
        hub = pair.service(LONGEST_WAIT).hub("chat")
        executor.submit(hub.users(*USERS).send, "first")
        pair.dead.wait_for(CALLS_PER_ENDPOINT)
        pair.live.wait_for(len(USERS))

        executor.submit(hub.all.send, "second")

        pair.live.wait_for(len(USERS) + 1)
        assert b"second" in pair.live.received[-1].body


def test_the_timeout_is_that_of_the_whole_fan_out() -> None:
    """Twenty calls, eight at a time, to an endpoint that never answers: what has not begun in time is not made."""
    with dead_and_live() as pair:
        hub = pair.service(0.3).hub("chat")

        with pytest.raises(PartialFailure) as failure:
            hub.users(*USERS).send("news")

        told = users_told(pair.dead)

    failures = {name.split("'")[1]: error for name, error in failure.value.failures.items()}
    unmade = {user for user, error in failures.items() if "was not asked within 0.3 s" in str(error)}
    assert set(failures) == set(USERS)
    assert unmade
    assert not unmade & told
    for user, error in failures.items():
        assert isinstance(error, ServiceUnreachable)
        assert error.may_have_arrived is (user not in unmade)


def test_a_transport_that_overstays_its_time_does_not_hold_the_caller() -> None:
    """Denial of service: nobody but the transport knows when its call is over."""
    is_over = threading.Event()

    def answer(request: ServiceRequest) -> ServiceResponse:
        if "/users/bob/" not in request.url:
            is_over.wait(LONGEST_WAIT)
        return DONE

    try:
        with pytest.raises(PartialFailure) as failure:
            RecordedService(answer).hub().using(timeout=0.1).users("ada", "bob", "eve").send("news")
    finally:
        is_over.set()

    assert set(failure.value.failures) == {"user 'ada'", "user 'eve'"}
    for error in failure.value.failures.values():
        assert isinstance(error, ServiceUnreachable)
        assert "did not answer within 0.1 s" in str(error)
        assert error.may_have_arrived


def test_calls_that_are_superfluous_are_not_made_later() -> None:
    """The only thread for them is busy until the answer of another endpoint is enough."""
    made: list[float] = []
    busy, idle = new_workers(), new_workers()
    is_over = threading.Event()
    for _ in range(CALLS_PER_ENDPOINT):
        busy().submit(is_over.wait, LONGEST_WAIT)

    outcomes = fan_out(
        [Task(busy, made.append, no_time), Task(idle, lambda timeout: None, no_time)],
        LONGEST_WAIT,
        lambda outcome: outcome is None,
    )
    is_over.set()
    for last in [busy().submit(threading.get_ident) for _ in range(CALLS_PER_ENDPOINT)]:
        last.result(LONGEST_WAIT)

    assert outcomes == {1: None}
    assert made == []


def test_a_dead_endpoint_is_not_healthy_and_the_live_one_is() -> None:
    with dead_and_live() as pair:
        assert pair.service(0.3).health() == {"dead": False, "live": True}


@pytest.mark.parametrize("live", ["east", "west"])
def test_the_endpoint_that_has_the_client_decides_at_once(live: str) -> None:
    """Else one dead endpoint would make every question last as long as the timeout."""
    is_asked, is_over, has_given_up = threading.Event(), threading.Event(), threading.Event()

    def answer(request: ServiceRequest) -> ServiceResponse:
        if f"//{live}." in request.url:
            assert is_asked.wait(LONGEST_WAIT)
            return ServiceResponse(200, {}, b'{"result": 7}')
        is_asked.set()
        is_over.wait(LONGEST_WAIT)
        has_given_up.set()
        return ABSENT

    client = RecordedService(answer).hub(EAST, WEST).client("c")
    try:
        assert client.exists()
        assert client.invoke("where") == 7
        assert not has_given_up.is_set()
    finally:
        is_over.set()


def test_a_fan_out_is_concurrent_and_bounded() -> None:
    """All threads are at work when the barrier opens; one more would be too many."""
    barrier, lock = threading.Barrier(CALLS_PER_ENDPOINT), threading.Lock()
    at_work, most = 0, 0

    def answer(request: ServiceRequest) -> ServiceResponse:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        barrier.wait(LONGEST_WAIT)
        with lock:
            at_work -= 1
        return DONE

    RecordedService(answer).hub().groups(*(f"g{number}" for number in range(3 * CALLS_PER_ENDPOINT))).send("news")

    assert most <= CALLS_PER_ENDPOINT


def test_no_more_calls_wait_for_the_threads_of_an_endpoint_than_these_can_make_at_once() -> None:
    """What a large fan-out hands over beyond that, all others would wait for."""
    handed_over: list[Future[Any]] = []

    class Busy(WorkerThreads):
        def submit(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> "Future[Any]":
            handed_over.append(Future())
            return handed_over[-1]

    outcomes = fan_out([Task(PerProcess(Busy), bool, no_time)] * 500, 0)

    assert len(handed_over) == CALLS_PER_ENDPOINT
    assert len(outcomes) == 500


def test_a_small_fan_out_need_not_wait_for_the_end_of_a_large_one() -> None:
    """It is handed over while the first calls of the large one are under way; most of these wait for it."""
    handed_over, small_came, calls = threading.Semaphore(0), threading.Event(), itertools.count()

    class Announced(PerProcess[WorkerThreads]):
        def __call__(self) -> WorkerThreads:
            handed_over.release()
            return super().__call__()

    def make_large(timeout: float) -> bool:
        if not may_go_on.wait(LONGEST_WAIT):
            return False
        has_come = next(calls) < 100 or small_came.wait(PATIENCE)
        small_came.set()  # the others need not wait for it too
        return has_come

    def make_small(timeout: float) -> bool:
        small_came.set()
        return True

    workers, may_go_on = Announced(WorkerThreads), threading.Event()
    with ThreadPoolExecutor() as executor:
        large = executor.submit(fan_out, [Task(workers, make_large, no_time)] * 500, 2 * LONGEST_WAIT)
        for _ in range(CALLS_PER_ENDPOINT):
            assert handed_over.acquire(timeout=LONGEST_WAIT)
        small = executor.submit(fan_out, [Task(workers, make_small, no_time)] * 2, LONGEST_WAIT)
        for _ in range(2):  # at the second one, the first one is in the queue
            assert handed_over.acquire(timeout=LONGEST_WAIT)
        may_go_on.set()

        assert set(large.result().values()) == set(small.result().values()) == {True}


def test_fan_outs_within_the_calls_of_a_fan_out_do_not_wait_for_each_other() -> None:
    """Each worker is busy with a call whose transport makes a fan-out of its own: none is left for these."""
    all_at_work = threading.Barrier(CALLS_PER_ENDPOINT)

    def answer(request: ServiceRequest) -> ServiceResponse:
        if "/groups/" in request.url:
            all_at_work.wait(LONGEST_WAIT)
            hub.users("ada", "bob").send("from within")
        return DONE

    service = RecordedService(answer)
    hub = service.hub(EAST)

    hub.groups(*(f"g{number}" for number in range(CALLS_PER_ENDPOINT))).send("news")

    assert len(service.requests) == 3 * CALLS_PER_ENDPOINT


def test_within_a_call_of_a_fan_out_none_takes_the_time_of_the_others() -> None:
    """They are made one after the other, and the first of them may be at an endpoint that hangs."""

    def answer(request: ServiceRequest) -> ServiceResponse:
        if "/groups/a/" in request.url:
            service.hub(EAST, WEST).using(timeout=10).users("ada", "bob").send("from within")
        return DONE

    service = RecordedService(answer)

    service.hub().groups("a", "b").send("news")

    shares = [request.timeout for request in service.requests if "/users/" in request.url]
    assert len(shares) == 4
    assert all(share <= 10 / (4 - place) for place, share in enumerate(shares))


def test_an_answer_within_a_call_of_a_fan_out_is_enough() -> None:
    def answer(request: ServiceRequest) -> ServiceResponse:
        if "/groups/" in request.url:
            assert service.hub(EAST, WEST).client("c").exists()
        return DONE

    service = RecordedService(answer)

    service.hub().groups("a", "b").send("news")

    assert [call for call in service.calls if "/connections/c" in call] == [
        "HEAD east.example/api/hubs/chat/connections/c?v"
    ] * 2


def test_an_error_that_is_not_the_services_is_not_hidden() -> None:
    def answer(request: ServiceRequest) -> ServiceResponse:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        RecordedService(answer).hub().users("ada", "bob").send("news")


def test_what_fails_leaves_no_thread_waiting() -> None:
    """The threads for an endpoint are as good as new after a fan-out that broke off."""
    is_broken = True

    def answer(request: ServiceRequest) -> ServiceResponse:
        if is_broken:
            raise ZeroDivisionError
        return DONE

    service = RecordedService(answer)
    hub = service.hub()
    with pytest.raises(ZeroDivisionError):
        hub.users(*USERS).send("news")
    service.requests.clear()
    is_broken = False

    hub.users(*USERS).send("news")

    assert len([request for request in service.requests if "/users/u19/" in request.url]) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_has_its_own_threads() -> None:
    """The parent's do not exist in it: a fan-out would wait for them forever."""
    hub = RecordedService().hub()
    hub.users("ada", "bob").send("news")
    child = os.fork()
    if child == 0:
        hub.users("ada", "bob").send("news")
        os._exit(0)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
