"""The signal: who gets it, where, and what a bad receiver can do."""

import gc
import logging
import queue
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask, has_app_context

from flask_signalr import EndpointStatus, endpoint_changed
from flask_signalr.endpoint_signal import EndpointAnnouncer
from tests.live import LONGEST_WAIT

DOWN = EndpointStatus(
    "east", "https://east.example/", "primary", is_up=False, since=1000, checked_at=1000, reason="gone"
)
UP = EndpointStatus("east", "https://east.example/", "primary", is_up=True, since=1010, checked_at=1010)


@contextmanager
def receiving(receiver: Any, app: Flask) -> Iterator[None]:
    with endpoint_changed.connected_to(receiver, sender=app):
        yield


def test_receivers_get_the_app_and_the_status_in_the_order_of_the_changes() -> None:
    app = Flask(__name__)
    got: queue.Queue[tuple[object, EndpointStatus]] = queue.Queue()
    with receiving(lambda sender, status: got.put((sender, status)), app):
        announce = EndpointAnnouncer(app)
        for status in (DOWN, UP, DOWN):
            announce(status)

        received = [got.get(timeout=LONGEST_WAIT) for _ in range(3)]

    assert received == [(app, DOWN), (app, UP), (app, DOWN)]


def test_apps_hear_of_their_own_endpoints() -> None:
    app, other = Flask("one"), Flask("other")
    got: queue.Queue[object] = queue.Queue()
    with receiving(lambda sender, status: got.put(sender), app):
        EndpointAnnouncer(other)(DOWN)
        EndpointAnnouncer(app)(DOWN)

        assert got.get(timeout=LONGEST_WAIT) is app
    assert got.empty()


def test_a_receiver_that_exits_ends_no_later_signal(caplog: pytest.LogCaptureFixture) -> None:
    app = Flask(__name__)
    got: queue.Queue[EndpointStatus] = queue.Queue()

    def leave(sender: Flask, status: EndpointStatus) -> None:
        got.put(status)
        sys.exit(1)

    with receiving(leave, app):
        announce = EndpointAnnouncer(app)
        for status in (DOWN, UP):
            announce(status)

            assert got.get(timeout=LONGEST_WAIT) is status
    assert "a receiver of endpoint_changed failed at endpoint 'east'" in caplog.text


def test_a_receiver_that_raises_is_logged_and_keeps_nobody_from_hearing(caplog: pytest.LogCaptureFixture) -> None:
    app = Flask(__name__)
    got: queue.Queue[EndpointStatus] = queue.Queue()

    def fail(sender: Flask, status: EndpointStatus) -> None:
        raise ZeroDivisionError

    with caplog.at_level(logging.ERROR), receiving(fail, app), receiving(lambda sender, status: got.put(status), app):
        announce = EndpointAnnouncer(app)
        announce(DOWN)
        announce(UP)

        received = [got.get(timeout=LONGEST_WAIT) for _ in range(2)]

    assert received == [DOWN, UP]
    assert "a receiver of endpoint_changed failed at endpoint 'east'" in caplog.text


def test_an_async_receiver_hears_too() -> None:
    """As the app's async views are run; called and not awaited, it would hear nothing and nobody would know."""
    app = Flask(__name__)
    got: queue.Queue[EndpointStatus] = queue.Queue()

    async def receive(sender: Flask, status: EndpointStatus) -> None:
        got.put(status)

    with receiving(receive, app):
        EndpointAnnouncer(app)(DOWN)

        assert got.get(timeout=LONGEST_WAIT) is DOWN


def sending() -> list[threading.Thread]:
    """Return the threads that send."""
    return [thread for thread in threading.enumerate() if thread.name == "flask-signalr-endpoint-changed"]


def test_a_receiver_that_takes_its_time_holds_up_nobody_else() -> None:
    """The caller is the thread that probes."""
    app, let_go = Flask(__name__), threading.Event()
    got: queue.Queue[tuple[EndpointStatus, bool]] = queue.Queue()

    def slow(sender: Flask, status: EndpointStatus) -> None:
        assert let_go.wait(LONGEST_WAIT)
        got.put((status, has_app_context()))

    for ending in sending():  # a thread ends a moment after its last receiver
        ending.join(LONGEST_WAIT)
    with receiving(slow, app):
        announce = EndpointAnnouncer(app)
        announce(DOWN)
        announce(UP)
        threads = len(sending())
        let_go.set()

        received = [got.get(timeout=LONGEST_WAIT) for _ in range(2)]

    assert received == [(DOWN, False), (UP, False)]
    assert threads == 1, "two could tell of the changes in another order"


def test_a_receiver_that_hangs_fills_no_memory() -> None:
    """What it never hears of is forgotten, the oldest first."""
    app, begun, let_go = Flask(__name__), threading.Event(), threading.Event()
    got: queue.Queue[EndpointStatus] = queue.Queue()

    def hang(sender: Flask, status: EndpointStatus) -> None:
        begun.set()
        assert let_go.wait(LONGEST_WAIT)
        got.put(status)

    with receiving(hang, app):
        announce = EndpointAnnouncer(app)
        announce(DOWN)
        assert begun.wait(LONGEST_WAIT)
        for status in [DOWN] + [UP] * 1000:
            announce(status)
        let_go.set()

        received = [got.get(timeout=LONGEST_WAIT) for _ in range(1001)]

    assert received == [DOWN] + [UP] * 1000


def test_an_announcer_keeps_no_app_alive() -> None:
    app = Flask(__name__)
    gone = weakref.ref(app)
    announce = EndpointAnnouncer(app)

    del app
    gc.collect()
    announce(DOWN)

    assert gone() is None
