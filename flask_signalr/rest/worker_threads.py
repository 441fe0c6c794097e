"""Threads for the calls to service endpoints: bounded for each endpoint and for the process, none kept idle."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, ParamSpec, TypeVar

from flask_signalr.rest.per_process import PerProcess

CALLS_PER_ENDPOINT = 8
"""Calls of fan-outs that are under way at once at one service endpoint, in a process."""

MOST_THREADS = 64
"""Threads of a process for the calls of fan-outs; beyond them each service endpoint has one."""

P = ParamSpec("P")
R = TypeVar("R")
_this_thread = threading.local()


def is_worker() -> bool:
    """Return whether this is one of these threads."""
    return getattr(_this_thread, "is_worker", False)


class _Count:
    """How many of these threads a process has."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def take(self, *, needed: bool) -> bool:
        """Count one more, if that may be: one that is needed may always."""
        with self._lock:
            may_be = needed or self._count < MOST_THREADS
            self._count += may_be
            return may_be

    def give_back(self) -> None:
        with self._lock:
            self._count -= 1


_threads = PerProcess(_Count)


class WorkerThreads:
    """The threads for the calls to one service endpoint: one that hangs holds its own and nobody else's.

    A thread starts when there is something to do and ends when there is nothing more: an app with many endpoints, which
    seldom sends, keeps none. An endpoint without any gets its first one whatever the others have, so that those that
    hang keep none from being called.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._count = 0
        self._all = _threads()

    def submit(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> "Future[R]":
        """Have a function called in one of the threads, and return what will come of it, as `Executor.submit` does.

        Raises:
            RuntimeError: The system gives no thread, and none is at work here.
        """
        future: Future[R] = Future()
        item = future, partial(function, *args, **kwargs)
        with self._lock:
            self._waiting.append(item)
            try:
                self._start()
            except RuntimeError:
                if not self._count:
                    self._waiting.pop()
                    raise
        return future

    def _start(self) -> None:
        """Start a thread, if there may be one more.

        Raises:
            RuntimeError: There cannot be one: the system's limit, or the process ends.
        """
        if self._count >= CALLS_PER_ENDPOINT or not self._all.take(needed=not self._count):
            return
        self._count += 1
        try:
            threading.Thread(target=self._work, name="flask-signalr-call").start()
        except RuntimeError:
            self._end()
            raise

    def _work(self) -> None:
        _this_thread.is_worker = True
        while True:
            with self._lock:
                if not self._waiting:
                    self._end()
                    return
                future, function = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                _fulfil(future, function)
            del future, function  # else a thread that waits for the lock would keep an answer alive

    def _end(self) -> None:
        self._count -= 1
        self._all.give_back()


def _fulfil(future: "Future[R]", function: Callable[[], R]) -> None:
    try:
        result = function()
    except BaseException as exc:  # noqa: BLE001 -- whoever waits for it gets it
        future.set_exception(exc)
    else:
        future.set_result(result)
