"""A value that a background thread keeps fresh: who waits, who does not, and what failures cost."""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from flask_signalr.clocks import Clocks
from flask_signalr.entra.renewed_value import FetchFailed, Fresh, NotFetched, NotTried, Pace, RenewedValue
from tests.entra import Clock

LONG = 30.0  # seconds: that no test waits for


class Source:
    """Fetches texts, and does what a test says meanwhile.

    Attributes:
        seen: What each fetch was given as the present value.
        before: Runs in a fetch before it returns.
        may_go_on: A fetch waits for it.
        started: Counts the fetches that began.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.seen: list[str | None] = []
        self.before: Callable[[], None] = lambda: None
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.started = threading.Semaphore(0)

    def __call__(self, known: str | None) -> Fresh[str]:
        self.seen.append(known)
        self.started.release()
        assert self.may_go_on.wait(LONG)
        self.before()
        return Fresh(f"value {len(self.seen)}", self.clock.now + 60, self.clock.now + 120)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source(clock: Clock) -> Iterator[Source]:
    source = Source(clock)
    yield source
    source.may_go_on.set()


def refreshed(source: Source, first_wait: float = LONG) -> RenewedValue[str]:
    return RenewedValue("the value", source, Pace(5, 300, first_wait, first_wait), source.clock.clocks)


def fails(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def join_fetches() -> None:
    """Wait for the fetches that are under way."""
    for thread in threading.enumerate():
        if thread.name.startswith("flask-signalr the value"):
            thread.join(LONG)


def test_the_first_use_fetches_and_the_next_do_not(source: Source) -> None:
    value = refreshed(source)

    assert [value.get(), value.get()] == ["value 1", "value 1"]
    assert source.seen == [None]


def test_nothing_is_fetched_before_it_is_used(source: Source) -> None:
    refreshed(source)

    assert source.seen == []


def test_callers_that_come_at_once_share_one_fetch(source: Source) -> None:
    value = refreshed(source)
    source.may_go_on.clear()

    with ThreadPoolExecutor(50) as threads:
        callers = [threads.submit(value.get) for _ in range(50)]
        assert source.started.acquire(timeout=LONG)
        source.may_go_on.set()

    assert {caller.result() for caller in callers} == {"value 1"}
    assert source.seen == [None]


def test_an_old_value_serves_while_the_next_one_is_fetched(source: Source, clock: Clock) -> None:
    value = refreshed(source)
    value.get()
    source.may_go_on.clear()
    clock.now += 60

    meanwhile = [value.get(), value.get()]
    source.may_go_on.set()
    join_fetches()

    assert meanwhile == ["value 1", "value 1"]
    assert value.get() == "value 2"
    assert source.seen == [None, "value 1"]


class Doubted(Source):
    """Values that are in doubt after 90 seconds."""

    def __call__(self, known: str | None) -> Fresh[str]:
        return replace(super().__call__(known), doubtful_at=self.clock.now + 90)


def test_a_value_in_doubt_is_used_only_where_no_other_is_to_be_had(clock: Clock) -> None:
    source = Doubted(clock)
    value = refreshed(source)
    value.get()
    clock.now += 90

    assert value.get() == "value 2", "the caller waited for it"

    source.before = fails(OSError())
    clock.now += 90

    assert [value.get(), value.get()] == ["value 2", "value 2"]
    assert len(source.seen) == 3, "and nobody waits for the next try"


def test_an_expired_value_is_not_used(source: Source, clock: Clock) -> None:
    value = refreshed(source)
    value.get()
    clock.now += 120

    assert value.get() == "value 2"
    assert source.seen == [None, None]


def test_a_value_that_ends_before_it_would_be_renewed_is_not_used(source: Source, clock: Clock) -> None:
    """The tokens of a credential may have seconds left when they come."""
    value = RenewedValue(
        "the value", lambda known: replace(source(known), expires_at=clock.now + 1), clocks=clock.clocks
    )
    value.get()
    clock.now += 1

    assert value.get() == "value 2"


@pytest.mark.parametrize("error", [FetchFailed("no way"), OSError("no way"), SystemExit("no way")], ids=repr)
def test_without_a_value_a_failure_is_told_and_logged(
    error: BaseException, source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the credential of an app raises, the next fetch must be possible."""
    value = refreshed(source)
    source.before = fails(error)

    with pytest.raises(NotFetched, match="no way") as raised:
        value.get()

    assert raised.value.retry_after == 5
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith("the value cannot be fetched, and there is none to use: ")


def test_a_failure_is_not_repeated_at_once(source: Source, clock: Clock) -> None:
    """A token endpoint that is down is not asked by each request."""
    value = refreshed(source)
    source.before = fails(OSError())
    for _ in range(3):
        with pytest.raises(NotFetched):
            value.get()
    assert len(source.seen) == 1

    clock.now += 5
    source.before = lambda: None

    assert value.get() == "value 2"


def test_retry_after_counts_down(source: Source, clock: Clock) -> None:
    value = refreshed(source)
    source.before = fails(OSError())
    with pytest.raises(NotFetched):
        value.get()
    clock.now += 3.5

    with pytest.raises(NotFetched) as raised:
        value.get()

    assert raised.value.retry_after == 2


def test_a_failed_renewal_is_repeated_after_a_longer_pause_and_never_later_than_the_end(
    source: Source, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    value = refreshed(source)
    value.get()
    source.before = fails(FetchFailed("down"))
    clock.now += 60
    for _ in range(3):
        assert value.get() == "value 1"
        join_fetches()
    assert len(source.seen) == 2
    assert caplog.messages == ["the value cannot be renewed, the present one is good for 60 s: down"]
    assert caplog.records[0].levelno == logging.WARNING

    clock.now += 60
    source.before = lambda: None

    assert value.get() == "value 3"


def test_a_fetch_that_takes_long_is_waited_for_no_longer_than_agreed(
    source: Source, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The time runs from the start of the fetch: those who come later do not wait anew."""
    value = refreshed(source, first_wait=0.05)
    source.may_go_on.clear()

    for _ in range(3):
        with pytest.raises(NotFetched, match=r"longer than 0\.05 s") as raised:
            value.get()
        assert raised.value.retry_after == 5
        clock.now += 1

    assert caplog.messages == ["it takes longer than 0.05 s to fetch the value"]
    assert source.seen == [None], "one fetch at a time, however long it takes"
    source.may_go_on.set()
    join_fetches()
    assert value.get() == "value 1"


def test_a_dropped_value_is_fetched_anew(source: Source) -> None:
    value = refreshed(source)
    known = value.get()

    value.drop(known)

    assert value.get() == "value 2"
    assert source.seen == [None, None]


def test_a_value_that_was_replaced_cannot_be_dropped(source: Source) -> None:
    """Two who find out at once that a key is unknown do not drop the new one."""
    value = refreshed(source)
    known = value.get()
    value.drop(known)
    new = value.get()

    value.drop(known)

    assert value.get() is new


def test_without_a_thread_the_present_value_serves(
    source: Source, clock: Clock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python starts no thread while it shuts down, and none where a limit of the system is reached."""
    value = refreshed(source)
    value.get()
    clock.now += 60
    monkeypatch.setattr(threading.Thread, "start", fails_to_start)

    assert value.get() == "value 1"
    assert "RuntimeError: can't start new thread" in caplog.text


def fails_to_start(self: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_a_long_cause_is_cut_and_stays_on_one_line(source: Source) -> None:
    value = refreshed(source)
    source.before = fails(ValueError("a\nb " + "x" * 500))

    with pytest.raises(NotFetched, match=r"^ValueError: a b x+$"):
        value.get()


def test_the_remedy_at_the_end_of_a_long_cause_is_not_cut(source: Source) -> None:
    """DefaultAzureCredential lists what each of its credentials says, and then where to read on."""
    value = refreshed(source)
    source.before = fails(ValueError("first " + "x" * 9000 + " To mitigate this issue, see the guide."))

    with pytest.raises(
        NotFetched, match=r"^ValueError: first x+ … x+ To mitigate this issue, see the guide\.$"
    ) as raised:
        value.get()

    assert len(str(raised.value)) == 4000


# Who waits.


def paced(source: Source, first_wait: float, others_wait: float) -> RenewedValue[str]:
    return RenewedValue("the value", source, Pace(5, 300, first_wait, others_wait), source.clock.clocks)


def test_one_caller_waits_for_a_slow_fetch_and_the_others_keep_their_threads(source: Source) -> None:
    """Each that waits holds a thread of the server, which then serves no route at all."""
    value = paced(source, first_wait=LONG, others_wait=0.01)
    source.may_go_on.clear()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(value.get)
        assert source.started.acquire(timeout=LONG)

        with pytest.raises(NotFetched, match="the value is being fetched") as raised:
            value.get()

        assert not first.done()
        assert raised.value.retry_after == 5
        source.may_go_on.set()
        assert first.result() == "value 1"


def test_a_caller_who_has_little_time_waits_no_longer_and_says_nothing_of_the_fetch(
    source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    """Its own limit is no sign that the fetch takes long."""
    value = paced(source, first_wait=LONG, others_wait=LONG)
    source.may_go_on.clear()

    with pytest.raises(NotFetched, match="the value is being fetched"):
        value.get(within=0.01)
    with pytest.raises(NotFetched, match="the value is being fetched"):
        value.get(wait=LONG, within=0)

    assert not caplog.records
    source.may_go_on.set()
    assert value.get() == "value 1"


def test_after_a_failure_only_the_caller_who_tries_again_waits(source: Source, clock: Clock) -> None:
    value = paced(source, first_wait=LONG, others_wait=LONG)
    source.before = fails(OSError("down"))
    with pytest.raises(NotFetched):
        value.get()
    clock.now += 5
    source.started.acquire()
    source.may_go_on.clear()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(value.get)
        assert source.started.acquire(timeout=LONG)

        other = threads.submit(value.get)

        assert isinstance(other.exception(timeout=LONG / 2), NotFetched)
        assert not first.done()
        source.before = lambda: None
        source.may_go_on.set()
        assert first.result() == "value 2"


def test_who_cannot_wait_starts_the_fetch_all_the_same(source: Source) -> None:
    value = refreshed(source)
    source.may_go_on.clear()

    with pytest.raises(NotFetched) as raised:
        value.get(wait=0)

    assert not raised.value.is_refused
    source.may_go_on.set()
    join_fetches()
    assert value.get(wait=0) == "value 1"


@pytest.mark.parametrize(("error", "is_refused"), [(FetchFailed("no"), True), (NotTried("no token"), False)])
def test_a_fetch_that_could_not_be_tried_is_no_refusal(error: Exception, is_refused: bool, source: Source) -> None:
    value = refreshed(source)
    source.before = fails(error)

    with pytest.raises(NotFetched) as raised:
        value.get()

    assert raised.value.is_refused is is_refused


# Time and chance.


def test_a_clock_that_is_set_back_delays_no_fetch(source: Source, clock: Clock) -> None:
    """Machines that wake up, or hear of the right time, set their clocks by hours."""
    steady = Clock(0)
    value = RenewedValue("the value", source, Pace(), Clocks(steady, clock, lambda: 0))
    source.before = fails(OSError())
    with pytest.raises(NotFetched):
        value.get()
    clock.now -= 3600
    steady.now += 5
    source.before = lambda: None

    assert value.get() == "value 2"


def test_a_clock_that_is_set_back_makes_nobody_wait_longer(source: Source, clock: Clock) -> None:
    steady = Clock(0)
    value = RenewedValue("the value", source, Pace(first_wait=0.01, others_wait=1), Clocks(steady, clock, lambda: 0))
    source.may_go_on.clear()
    with pytest.raises(NotFetched):
        value.get()
    clock.now -= 3600
    steady.now += 1

    with ThreadPoolExecutor(1) as threads:
        late = threads.submit(value.get).exception(timeout=LONG / 2)

    assert isinstance(late, NotFetched)


def test_the_workers_of_an_app_do_not_all_ask_at_once(source: Source, clock: Clock) -> None:
    lucky = RenewedValue("the value", source, Pace(), Clocks(clock, clock, lambda: 1))
    lucky.get()
    clock.now += 53
    lucky.get()
    join_fetches()
    assert len(source.seen) == 1

    clock.now += 1
    lucky.get()
    join_fetches()

    assert len(source.seen) == 2


def test_a_value_that_ends_before_its_first_use_is_none(clock: Clock) -> None:
    """The clock was set forward while the fetch was under way, or the machine slept."""

    def fetch(known: str | None) -> Fresh[str]:
        clock.now += 3600
        return Fresh("value", clock.now - 3000, clock.now - 1800)

    with pytest.raises(NotFetched, match="the value had ended before it could be used") as raised:
        RenewedValue("the value", fetch, Pace(), clock.clocks).get()

    assert raised.value.retry_after == 1


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_fetches_for_itself(source: Source) -> None:
    """A lock that another thread held in the moment of the fork stays locked in the child for ever."""
    value = refreshed(source)
    value.get()
    source.may_go_on.clear()
    source.clock.now += 60
    value.get()  # a fetch is under way, and the child has no thread that could end it
    assert source.started.acquire(timeout=LONG)

    child = os.fork()
    if child == 0:
        source.may_go_on = threading.Event()
        source.may_go_on.set()
        os._exit(0 if value.get() == "value 3" else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
