"""(e) One Windows sign-on over HTTP, beside the bare acceptance of such a token in a bare view."""

import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory

import waitress
from flask import Flask, request

from benchmarks.apps import CONNECTION_STRING, CONSTANT
from benchmarks.measure import Bound, Row, Turns
from benchmarks.serving import CannotMeasure
from benchmarks.wsgi import HEADERS
from flask_signalr import SignalR, WindowsAuth
from tests.intranet import Intranet, running_intranet
from tests.kdc import environment, missing_requirement

WINDOWS, ACCEPT = "Windows sign-on, over HTTP", "bare accept in a bare view, over HTTP"
PATHS = {WINDOWS: "/chat/negotiate?negotiateVersion=1", ACCEPT: "/accept"}
ROUNDS = 200
REQUESTS = 5
"""Requests of one turn; each needs a token of its own, because the acceptor knows those that it has seen."""


def run() -> list[Row]:
    """Sign on to a hub and to the bare view of the same app, by turns, over a connection that is kept.

    The CPU time of the server counts: the tokens are made before a turn, and what the client takes is subtracted.

    Raises:
        CannotMeasure: What a Kerberos realm needs is missing.
    """
    if missing := missing_requirement():
        raise CannotMeasure(missing)
    with ExitStack() as stack:
        intranet = stack.enter_context(running_intranet(Path(stack.enter_context(TemporaryDirectory()))))
        stack.enter_context(environment(intranet.environment))
        turns = _take_turns(intranet, stack.enter_context(_server(create_app())))
    return [turns.row(WINDOWS, ACCEPT, Bound(at_most=1.35))]


def create_app() -> Flask:
    """Return an app with a hub for Windows users, and with a view that accepts their tokens and does nothing else."""
    import spnego

    app = Flask("benchmarks")
    app.config["SIGNALR_CONNECTION_STRING"] = CONNECTION_STRING
    SignalR(app, auth=[WindowsAuth()]).hub("chat")

    @app.post("/accept")
    def accept() -> dict[str, object]:
        context = spnego.server(service="HTTP")
        context.step(b64decode(request.headers["Authorization"].removeprefix("Negotiate ")))
        if not context.complete:
            raise AssertionError("the token was not accepted")
        return CONSTANT

    return app


@contextmanager
def _server(app: Flask) -> Iterator[int]:
    """Serve an app in threads of this process, and yield the port."""
    server = waitress.create_server(app, listen="127.0.0.1:0")
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server.effective_port
    finally:
        server.task_dispatcher.shutdown()
        with suppress(OSError):  # the thread may have done it before it is woken up for it
            server.trigger.pull_trigger(server.close)  # in the thread that looks at the sockets, which then ends
        thread.join()


def _take_turns(intranet: Intranet, port: int) -> Turns:
    connection = HTTPConnection("127.0.0.1", port)
    connection.connect()
    try:
        ask = _asking(intranet, connection, f"127.0.0.1:{port}")
        for name in PATHS:
            for _ in range(10):
                ask(name)  # caches fill, Python specialises the bytecode
        seconds: dict[str, list[float]] = {name: [] for name in PATHS}
        for number in range(ROUNDS):
            for name in PATHS if number % 2 else reversed(PATHS):
                seconds[name].append(ask(name))
        return Turns(seconds)
    finally:
        connection.close()


def _asking(intranet: Intranet, connection: HTTPConnection, host: str) -> Callable[[str], float]:
    """Return a function that sends one turn's requests and returns the server's CPU seconds of one request."""
    headers = HEADERS | {"Host": host, "Origin": f"http://{host}"}

    def ask(name: str) -> float:
        requests = [headers | intranet.headers() for _ in range(REQUESTS)]
        start = _server_seconds()
        for request_headers in requests:
            connection.request("POST", PATHS[name], headers=request_headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise CannotMeasure(f"{PATHS[name]} answered {answer.status}")
        return (_server_seconds() - start) / REQUESTS

    return ask


def _server_seconds() -> float:
    """Return the CPU seconds of all threads but this one, the client's."""
    return time.process_time() - time.thread_time()
