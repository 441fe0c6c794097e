"""The emulated service and the app under test, each waiting for the other in one process."""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from flask import Flask

from flask_signalr.emulator.service import Service
from flask_signalr.emulator.upstream_calls import UpstreamAnswer, UpstreamCall, UpstreamFailure, UpstreamReply

if TYPE_CHECKING:
    from collections.abc import Iterator

_T = TypeVar("_T")

PATIENCE = 10
"""Seconds to wait for what another thread is busy with, before it is taken for stuck."""


class Exchange:
    """Moves the service step by step, and does what it asks for between the steps.

    The service's lock is held during a step and never while the app runs: a hub method may call the service from
    threads of its own. What clients do reaches the app when the test, or the outermost call of the app, is done with
    its own step, as it would reach an app that is busy.

    Args:
        app: The app under test.
        service: The service.
        clock: Returns the time in Unix seconds.
    """

    def __init__(self, app: Flask, service: Service, clock: Callable[[], float]) -> None:
        self._app = app
        self._service = service
        self._clock = clock
        self._changed = threading.Condition()
        self._calls: deque[UpstreamCall] = deque()
        self._client_work: deque[Callable[[], None]] = deque()
        self._is_settling = False
        service.upstream.post = self._calls.append

    def step(self, act: Callable[[Service, float], _T]) -> _T:
        """Return what an act on the service returns; it is told the time, and is alone with the service."""
        with self._changed:
            result = act(self._service, self._clock())
            self._changed.notify_all()
        return result

    def later(self, work: Callable[[], None]) -> None:
        """Do something after the step that is under way: a client's own code, which must not hold the service up."""
        self._client_work.append(work)

    def settle(self) -> None:
        """Do all that waits, unless somebody does it already."""
        self._let_clients_work()
        with self._settling() as is_ours:
            while is_ours and (call := self._next_call()) is not None:
                self._make(call)
                self._let_clients_work()

    def wait_for(self, is_done: Callable[[], bool], within: float = PATIENCE) -> bool:
        """Do what waits until something is true; ``False`` if it was not, within seconds in which nothing changed."""
        while not is_done():
            self._let_clients_work()
            call = self._next_call()
            if call is not None:
                self._make(call)
                continue
            with self._changed:
                if not is_done() and not self._client_work and not self._changed.wait(within):
                    return is_done()
        return True

    @contextmanager
    def _settling(self) -> "Iterator[bool]":
        with self._changed:
            is_ours, self._is_settling = not self._is_settling, True
        try:
            yield is_ours
        finally:
            if is_ours:
                self._is_settling = False

    def _next_call(self) -> UpstreamCall | None:
        with self._changed:
            return self._calls.popleft() if self._calls else None

    def _let_clients_work(self) -> None:
        while self._client_work:
            try:
                work = self._client_work.popleft()
            except IndexError:  # another thread took it
                return
            work()

    def _make(self, call: UpstreamCall) -> None:
        """Make a call through the app's test client; an error that the app lets out is the test's to see."""
        reply: UpstreamReply = UpstreamFailure("the app raised an error")
        try:
            headers = {name: value.encode().decode("latin-1") for name, value in call.headers.items()}  # as PEP 3333
            client = self._app.test_client(use_cookies=False)
            response = client.post(call.url, data=call.body, headers=headers)
            reply = UpstreamAnswer(response.status_code, response.get_data())
        finally:
            self.step(lambda service, now: service.upstream.answered(call, reply, now))
