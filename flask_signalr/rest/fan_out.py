"""Several calls at once, within one time limit; a service endpoint that hangs holds up none of the others."""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

from flask_signalr.errors import InvalidName
from flask_signalr.rest.per_process import PerProcess
from flask_signalr.rest.worker_threads import CALLS_PER_ENDPOINT, WorkerThreads, is_worker
from flask_signalr.service_errors import ServiceError

logger = logging.getLogger("flask_signalr.rest")

GRACE = 0.5
"""Seconds after the end of the time for which the answers of calls under way are still taken."""

R = TypeVar("R")
Workers = PerProcess[WorkerThreads]
"""The threads for the calls to one service endpoint."""

Failure = ServiceError | InvalidName
"""What a call may fail with, while the others go on."""


@dataclass(frozen=True, slots=True)
class Task(Generic[R]):
    """One call of a fan-out.

    Attributes:
        workers: The threads of the service endpoint that it goes to.
        make: Makes the call, within so many seconds; raises `ServiceError`, or `InvalidName` where no token can hold
            its names.
        late: Returns the error of a call that is not over in time, and takes whether it was begun.
        patience: Seconds after the begin of the fan-out that it may take at most; ``None`` for the time of all.
    """

    workers: Workers
    make: Callable[[float], R]
    late: Callable[[bool], ServiceError]
    patience: float | None = None

    def outcome(self, timeout: float) -> R | Failure:
        """Make the call, if there is any time, and return what came of it."""
        if timeout <= 0:
            return self.late(False)
        try:
            return self.make(timeout)
        except (ServiceError, InvalidName) as exc:
            return exc

    def begin(self, deadline: float) -> "Future[R | Failure]":
        """Have the call made in one of its threads, until this monotonic time; without any thread it is not made."""
        try:
            return self.workers().submit(lambda: self.outcome(deadline - time.monotonic()))
        except RuntimeError as exc:
            logger.warning("a call of the service is not made: %s", exc)
            unmade: Future[R | Failure] = Future()
            unmade.set_result(self.late(False))
            return unmade


def new_workers() -> Workers:
    """Return the threads for a service endpoint; they start when they are needed."""
    return PerProcess(WorkerThreads)


def fan_out(
    tasks: Sequence[Task[R]],
    timeout: float,
    is_enough: Callable[[R | Failure], bool] = lambda outcome: False,
    grace: float = GRACE,
) -> dict[int, R | Failure]:
    """Make calls and return what came of each, by its place among the tasks; no `Failure` of one stops another.

    A fan-out within a call of another one runs in that call's thread, one call after the other: its workers may all
    be waiting for fan-outs of their own.

    Args:
        tasks: The calls.
        timeout: Seconds that all of them may take together.
        is_enough: Whether an outcome makes the others superfluous; they are left out, and may be made all the same.
        grace: As `GRACE`.
    """
    if len(tasks) == 1 and tasks[0].patience is None:
        return {0: tasks[0].outcome(timeout)}
    if is_worker():
        return _in_turn(tasks, time.monotonic() + timeout, is_enough)
    return _FanOut(tasks, time.monotonic() + timeout, grace).run(is_enough)


def _in_turn(
    tasks: Sequence[Task[R]], deadline: float, is_enough: Callable[[R | Failure], bool]
) -> dict[int, R | Failure]:
    """Make the calls in this thread; each may take an equal part of the time, so that none takes the others'."""
    outcomes = {}
    for place, task in enumerate(tasks):
        outcomes[place] = task.outcome((deadline - time.monotonic()) / (len(tasks) - place))
        if is_enough(outcomes[place]):
            break
    return outcomes


class _FanOut(Generic[R]):
    """The calls of one fan-out.

    No more calls to an endpoint are handed to its workers than these can make at once: a small fan-out need not wait
    for the end of a large one.
    """

    def __init__(self, tasks: Sequence[Task[R]], deadline: float, grace: float) -> None:
        self._tasks = tasks
        self._deadline = deadline
        self._grace = grace
        begin = time.monotonic()
        self._ends = [deadline if task.patience is None else begin + task.patience + grace for task in tasks]
        self._waiting: dict[Workers, deque[int]] = {}
        for place, task in enumerate(tasks):
            self._waiting.setdefault(task.workers, deque()).append(place)
        self._handed: dict[Future[R | Failure], int] = {}
        self._outcomes: dict[int, R | Failure] = {}

    def run(self, is_enough: Callable[[R | Failure], bool]) -> dict[int, R | Failure]:
        try:
            for workers in self._waiting:
                for _ in range(CALLS_PER_ENDPOINT):
                    self._hand_over(workers)
            while self._handed:
                if any(is_enough(outcome) for outcome in self._next_outcomes()):
                    return self._outcomes
        finally:
            for future in self._handed:
                future.cancel()
        return {
            place: self._outcomes[place] if place in self._outcomes else task.late(False)
            for place, task in enumerate(self._tasks)
        }

    def _hand_over(self, workers: Workers) -> None:
        if self._waiting[workers]:
            place = self._waiting[workers].popleft()
            self._handed[self._tasks[place].begin(self._deadline)] = place

    def _next_outcomes(self) -> list[R | Failure]:
        """Wait for the next calls to end; when there is no time left, for a moment and those alone that have begun."""
        done = wait(self._handed, max(self._left(), 0), FIRST_COMPLETED).done
        if not done and time.monotonic() < self._deadline:
            return self._give_up()
        if not done:
            self._waiting = {workers: deque() for workers in self._waiting}
            self._handed = {future: place for future, place in self._handed.items() if not future.cancel()}
            done, overdue = wait(self._handed, self._grace)
            self._outcomes |= {place: self._tasks[place].late(True) for place in map(self._handed.pop, overdue)}
        places = [self._handed.pop(future) for future in done]
        self._outcomes |= {place: future.result() for place, future in zip(places, done, strict=True)}
        for place in places:
            self._hand_over(self._tasks[place].workers)
        return [self._outcomes[place] for place in places]

    def _give_up(self) -> list[R | Failure]:
        """Go on without the calls whose own time is over; those after them are given up in their turn."""
        now = time.monotonic()
        overdue = [(future, place) for future, place in self._handed.items() if self._ends[place] <= now]
        for future, place in overdue:
            del self._handed[future]
            self._outcomes[place] = self._tasks[place].late(not future.cancel())
            self._hand_over(self._tasks[place].workers)
        return [self._outcomes[place] for _, place in overdue]

    def _left(self) -> float:
        return min([self._deadline, *(self._ends[place] for place in self._handed.values())]) - time.monotonic()
