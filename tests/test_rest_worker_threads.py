"""Threads for calls of the service: bounded, given back, and one for whoever has none."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from flask_signalr import ServiceEndpoint
from flask_signalr.rest.worker_threads import CALLS_PER_ENDPOINT, MOST_THREADS, WorkerThreads, is_worker
from tests.apps import ACCESS_KEY
from tests.recorded_service import RecordedService
from tests.scripted_server import LONGEST_WAIT

NAME = "flask-signalr-call"


def running() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == NAME]


def until_none_runs() -> None:
    for thread in running():
        thread.join(LONGEST_WAIT)
    assert not running()


@contextmanager
def hanging(endpoints: int) -> Iterator[list[WorkerThreads]]:
    """Endpoints with as many calls that hang as they may have, and one more in the queue of each."""
    until_none_runs()
    all_workers, is_over = [WorkerThreads() for _ in range(endpoints)], threading.Event()
    try:
        for workers in all_workers:
            for _ in range(CALLS_PER_ENDPOINT + 1):
                workers.submit(is_over.wait, LONGEST_WAIT)
        yield all_workers
    finally:
        is_over.set()
        until_none_runs()


def test_what_comes_of_a_function_is_what_comes_of_its_future() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    workers = WorkerThreads()

    assert workers.submit(is_worker).result(LONGEST_WAIT)
    assert not is_worker()
    assert isinstance(workers.submit(fail).exception(LONGEST_WAIT), ZeroDivisionError)


def test_sends_to_many_endpoints_leave_no_idle_threads() -> None:
    """They would stay for the life of the process: eight for each endpoint, sixty endpoints in three regions."""
    service = RecordedService()
    endpoints = [
        ServiceEndpoint.parse(f"Endpoint=https://e{n}.example;AccessKey={ACCESS_KEY};", f"e{n}") for n in range(60)
    ]

    service.hub(*endpoints).users("ada", "bob").send("news")

    assert len(service.requests) == 120
    until_none_runs()


def test_denial_of_service_by_endpoints_that_hang_the_threads_of_a_process_are_bounded() -> None:
    endpoints = MOST_THREADS // CALLS_PER_ENDPOINT + 10

    with hanging(endpoints):
        assert len(running()) == MOST_THREADS + 10  # one for each of those that came too late


def test_an_endpoint_is_called_though_others_that_hang_have_all_threads() -> None:
    with hanging(MOST_THREADS // CALLS_PER_ENDPOINT):
        assert len(running()) == MOST_THREADS
        assert WorkerThreads().submit(lambda: 7).result(LONGEST_WAIT) == 7


def test_one_endpoint_has_no_more_threads_than_its_own() -> None:
    with hanging(1) as (workers,):
        left_over = workers.submit(is_worker)

        assert len(running()) == CALLS_PER_ENDPOINT
        assert left_over.cancel()


def test_threads_that_ended_count_no_more() -> None:
    for _ in range(3):
        with hanging(MOST_THREADS // CALLS_PER_ENDPOINT):
            assert len(running()) == MOST_THREADS


NO_THREADS = """
import threading
from flask_signalr import PartialFailure, ServiceClient, ServiceEndpoint, ServiceResponse
from flask_signalr.rest.worker_threads import WorkerThreads
endpoints = [ServiceEndpoint.parse(f"Endpoint=https://{at}.example;AccessKey=KEY;", at) for at in ("east", "west")]
hub = ServiceClient(endpoints, transport=lambda request: ServiceResponse(202, {})).hub("chat")
workers, is_over = WorkerThreads(), threading.Event()
first = workers.submit(is_over.wait)
threading.stack_size(1 << 40)  # more than any system gives a thread
try:
    hub.all.send("news")
except PartialFailure as exc:
    print(sorted(exc.failures), {error.may_have_arrived for error in exc.failures.values()})
second = workers.submit(threading.get_ident)
is_over.set()
print(first.result(9), second.result(9) == threading.get_ident())
threading.stack_size(0)
hub.all.send("news")
print("sent")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows gives a thread any address space")
def test_without_threads_calls_are_not_made_and_say_so() -> None:
    """The system's limit is no reason for an error that callers do not know; a thread that is there takes the work."""
    program = NO_THREADS.replace("KEY", ACCESS_KEY)

    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)

    assert run.stdout == "['everyone at east', 'everyone at west'] {False}\nTrue False\nsent\n", run.stderr
    assert "a call of the service is not made: can't" in run.stderr
    assert ACCESS_KEY not in run.stderr
