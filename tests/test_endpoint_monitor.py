"""The thread that probes: what it does with outcomes, with silence and with faults, and when it ends."""

import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from flask_signalr.clocks import SYSTEM_CLOCKS, Clocks
from flask_signalr.endpoint_health import EndpointHealth, EndpointStatus, HealthSettings, NoVerdict
from flask_signalr.endpoint_monitor import EndpointMonitor, KnownHealth, Probe, address_of
from tests.live import LONGEST_WAIT
from tests.recorded_service import EAST, WEST

QUICK = HealthSettings(interval=1, timeout=0.1)


class Watched:
    """Two endpoints: what each is at the moment, how often it was probed, and who was told of it."""

    def __init__(self) -> None:
        self.faults: dict[str, str | None] = {"east": None, "west": None}
        self.told: queue.Queue[EndpointStatus] = queue.Queue()
        self.probes: dict[str, int] = {"east": 0, "west": 0}
        self.known: KnownHealth = {}
        self._probed = threading.Condition()

    def probe(self, name: str) -> Probe:
        def probe(timeout: float) -> str | None:
            with self._probed:
                self.probes[name] += 1
                self._probed.notify_all()
            return self.faults[name]

        return probe

    def wait_for_probes(self, name: str, count: int) -> None:
        with self._probed:
            assert self._probed.wait_for(lambda: self.probes[name] >= count, LONGEST_WAIT)

    def next_change(self) -> tuple[str, bool, str]:
        status = self.told.get(timeout=LONGEST_WAIT)
        return status.name, status.is_up, status.reason

    @contextmanager
    def monitored(self, east: Probe | None = None, clocks: Clocks = SYSTEM_CLOCKS) -> Iterator[EndpointMonitor]:
        probes = [(EAST, east or self.probe("east")), (WEST, self.probe("west"))]
        monitor = EndpointMonitor(probes, QUICK, self.known, self.told.put, clocks)
        try:
            yield monitor
        finally:
            monitor.stop()
            until_no_thread("flask-signalr-endpoints")
            until_no_thread("flask-signalr-probe")  # what it logs is of this test


def threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


def until_no_thread(name: str) -> None:
    for thread in threads(name):
        thread.join(LONGEST_WAIT)
    assert not threads(name)


def test_nothing_runs_before_somebody_asks() -> None:
    """An app that is loaded before the server forks must have no threads yet."""
    with Watched().monitored():
        assert not threads("flask-signalr-endpoints")


def test_who_fails_is_out_of_the_choice_until_it_is_back() -> None:
    watched = Watched()
    watched.faults["east"] = "it is gone"
    with watched.monitored() as monitor:
        first = monitor.group
        monitor.start()
        went = watched.next_change()
        without = monitor.group
        watched.faults["east"] = None
        came = watched.next_change()

        assert (first, without, monitor.group) == ((EAST, WEST), (WEST,), (EAST, WEST))
    assert (went, came) == (("east", False, "it is gone"), ("east", True, ""))


def test_the_choice_stays_the_same_object_while_nothing_changes() -> None:
    """It is prepared once for a change, not once for a negotiation."""
    watched = Watched()
    with watched.monitored() as monitor:
        before = monitor.group
        monitor.start()
        watched.wait_for_probes("east", 2)

        assert monitor.group is before


def test_when_all_are_down_nobody_is_left() -> None:
    watched = Watched()
    watched.faults.update(east="gone", west="gone")
    with watched.monitored() as monitor:
        monitor.start()
        names = {watched.next_change()[0], watched.next_change()[0]}

        assert monitor.group == ()
    assert names == {"east", "west"}


def test_a_probe_that_never_ends_is_a_failure_and_gets_no_second_thread() -> None:
    """No timeout of ours ends the wait for a name server."""
    watched, let_go, calls = Watched(), threading.Event(), []

    def hang(timeout: float) -> None:
        calls.append(timeout)
        assert let_go.wait(LONGEST_WAIT)

    with watched.monitored(hang) as monitor:
        monitor.start()
        went = watched.next_change()
        hanging = len(threads("flask-signalr-probe"))
        let_go.set()
        came = watched.next_change()

    assert went[:2] == ("east", False)
    assert went[2] == "no answer within 0.1 s", "that there is still none says less"
    assert hanging <= 2  # west may be probed just now
    assert came == ("east", True, "")
    assert len(calls) >= 2


def test_an_answer_that_is_there_counts_however_late_it_is_looked_at() -> None:
    """Such as after the process had no processor for a while: it would find all of its endpoints down."""
    watched, ahead, told = Watched(), [0], threading.Event()
    settings = HealthSettings(interval=100, timeout=40, failures=1)

    def hear(status: EndpointStatus) -> None:
        watched.told.put(status)
        told.set()
        until_no_thread("flask-signalr-probe")  # the answer of west is there
        ahead[0] = 50

    def west(timeout: float) -> None:
        assert told.wait(LONGEST_WAIT)

    watched.faults["east"] = "gone"
    clocks = Clocks(lambda: time.monotonic() + ahead[0], luck=lambda: 0)
    monitor = EndpointMonitor([(EAST, watched.probe("east")), (WEST, west)], settings, {}, hear, clocks)
    monitor.start()
    change = watched.next_change()
    watched.wait_for_probes("east", 2)
    monitor.stop()
    until_no_thread("flask-signalr-endpoints")

    assert change[:2] == ("east", False)
    assert monitor.group == (WEST,)


def test_a_fault_of_our_own_takes_no_endpoint_out(caplog: pytest.LogCaptureFixture) -> None:
    watched, called = Watched(), threading.Event()

    def broken(timeout: float) -> None:
        if called.is_set():
            again.set()
        called.set()
        raise ZeroDivisionError

    again = threading.Event()
    with watched.monitored(broken) as monitor:
        monitor.start()
        assert again.wait(LONGEST_WAIT)

        assert monitor.group == (EAST, WEST)
    assert "service endpoint 'east' cannot be probed" in caplog.text


def test_a_probe_without_a_verdict_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Neither takes it an endpoint out, nor ends it that one is: it could not find out."""
    watched, again = Watched(), threading.Semaphore(0)

    def undecided(timeout: float) -> None:
        again.release()
        raise NoVerdict

    watched.known[address_of(EAST)] = down = EndpointHealth(since=1, next_probe_at=0, is_up=False, failures=2)
    probes = [(EAST, undecided), (WEST, undecided)]
    monitor = EndpointMonitor(probes, QUICK, watched.known, watched.told.put)
    monitor.start()
    for _ in range(6):
        assert again.acquire(timeout=LONGEST_WAIT)
    group = monitor.group
    monitor.stop()
    until_no_thread("flask-signalr-endpoints")

    assert group == (WEST,)
    assert replace(watched.known[address_of(EAST)], next_probe_at=0) == down
    assert watched.told.empty()
    assert caplog.text.count("cannot be probed") == 0


def test_whoever_is_told_cannot_end_the_probing(caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched()
    watched.faults["east"] = "gone"
    told: queue.Queue[bool] = queue.Queue()

    def fail(status: EndpointStatus) -> None:
        told.put(status.is_up)
        raise ZeroDivisionError

    probes = [(EAST, watched.probe("east")), (WEST, watched.probe("west"))]
    monitor = EndpointMonitor(probes, QUICK, {}, fail)
    monitor.start()
    went = told.get(timeout=LONGEST_WAIT)
    watched.faults["east"] = None
    came = told.get(timeout=LONGEST_WAIT)
    monitor.stop()
    until_no_thread("flask-signalr-endpoints")

    assert (went, came) == (False, True)
    assert "nobody could be told of service endpoint 'east'" in caplog.text


def test_many_first_requests_at_once_start_one_thread() -> None:
    watched, barrier = Watched(), threading.Barrier(16)
    with watched.monitored() as monitor:

        def ask() -> None:
            barrier.wait(LONGEST_WAIT)
            monitor.start()

        callers = [threading.Thread(target=ask) for _ in range(16)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()

        assert len(threads("flask-signalr-endpoints")) == 1


def test_chance_spreads_the_probes_of_workers_that_began_together() -> None:
    watched, readings = Watched(), []

    def steady() -> float:
        readings.append(time.monotonic())
        return readings[-1]

    with watched.monitored(clocks=Clocks(steady, luck=lambda: 1.0)) as monitor:
        first = watched.known[address_of(EAST)].next_probe_at
        monitor.start()
        watched.wait_for_probes("east", 2)
    later = watched.known[address_of(EAST)].next_probe_at

    assert any(first == reading + QUICK.pause for reading in readings)
    assert any(later == reading + QUICK.interval * 0.9 for reading in readings)


NO_STACK = 1 << 40
"""Bytes: more than any system gives a thread."""


@pytest.fixture
def stack() -> Iterator[Callable[[int], int]]:
    """Return what sets the stack of new threads, for as long as the test takes."""
    if sys.platform == "win32":
        pytest.skip("a process that gets no threads: Windows gives a thread any address space")
    yield threading.stack_size
    threading.stack_size(0)


def test_without_a_thread_all_count_as_up_until_there_can_be_one(
    stack: Callable[[int], int], caplog: pytest.LogCaptureFixture
) -> None:
    """The system's limit fails no negotiation; and a thread holds up no end of the process."""
    watched = Watched()
    watched.faults["east"] = "gone"
    with watched.monitored() as monitor:
        stack(NO_STACK)
        monitor.start()
        without = monitor.group
        stack(0)
        monitor.start()
        (thread,) = threads("flask-signalr-endpoints")
        change = watched.next_change()

    assert without == (EAST, WEST)
    assert change == ("east", False, "gone")
    assert thread.daemon
    assert "service endpoints cannot be probed: can't" in caplog.text


def test_a_probe_that_gets_no_thread_says_nothing_of_its_endpoint(
    stack: Callable[[int], int], caplog: pytest.LogCaptureFixture
) -> None:
    watched, recorded = Watched(), threading.Event()
    watched.faults["east"] = "gone"

    def is_deciding() -> bool:
        return threading.current_thread().name == "flask-signalr-endpoints"

    def steady() -> float:
        if is_deciding() and not recorded.is_set():  # before the first probes
            stack(NO_STACK)
        return time.monotonic()

    def luck() -> float:
        if is_deciding():  # after them
            recorded.set()
            stack(0)
        return 0

    with watched.monitored(clocks=Clocks(steady, luck=luck)) as monitor:
        monitor.start()
        change = watched.next_change()

    assert change == ("east", False, "gone")
    assert caplog.text.count("service endpoints cannot be probed: can't") == 2


def test_what_is_known_already_holds_from_the_beginning() -> None:
    watched = Watched()
    watched.known[address_of(EAST)] = EndpointHealth(since=1, next_probe_at=1e12, is_up=False, failures=9)
    with watched.monitored() as monitor:
        before = monitor.group
        monitor.start()
        change = watched.next_change()

    assert before == (WEST,)
    assert change == ("east", True, "")


def test_the_thread_ends_when_it_is_told_to() -> None:
    watched = Watched()
    with watched.monitored() as monitor:
        monitor.start()
        watched.wait_for_probes("east", 1)

        monitor.stop()
        monitor.stop()

        until_no_thread("flask-signalr-endpoints")


def test_health_is_of_a_place_and_not_of_a_key() -> None:
    """A key that was rotated makes no other endpoint."""
    rotated = replace(EAST, access_key="another" * 6, name="renamed")
    moved = replace(EAST, server_base_url="https://gateway.example/")

    assert address_of(rotated) == address_of(EAST) != address_of(WEST)
    assert address_of(moved) != address_of(EAST), "what could be reached there says nothing of here"
