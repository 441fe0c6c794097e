"""SignalR clients of other languages and environments: programs that take commands and tell events, a line each."""

import json
import os
import queue
import shutil
import subprocess
import threading
from collections import defaultdict
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from tests.live import LONGEST_WAIT
from tests.server_process import join

HERE = Path(__file__).parent
_ANSWERS = ("answered", "sent")
CLIENTS_PYTHON = HERE.parent / ".venv-clients" / "bin" / "python"


def missing_node_client() -> str | None:
    """Return what the official JavaScript client lacks to run here, with the remedy."""
    if shutil.which("node") is None:
        return "Node.js is not installed"
    if not (HERE / "node_modules" / "@microsoft" / "signalr-protocol-msgpack").is_dir():
        return "tests/node_modules is not there or old; 'npm ci --prefix tests' makes it"
    return None


def missing_python_clients() -> str | None:
    """Return what the Python clients lack to run here, with the remedy."""
    if not CLIENTS_PYTHON.exists():
        return ".venv-clients is not there; 'make test' makes it"
    return None


class Refused(Exception):
    """A client could not connect.

    Args:
        kind: The class of the client's own error.
        error: Its text.
    """

    def __init__(self, kind: str, error: str) -> None:
        super().__init__(f"{kind}: {error}")
        self.kind = kind


class ClientProcess:
    """A program that holds any number of SignalR connections; a context manager, so that it never outlives its test.

    It gets commands on its standard input and tells events on its standard output, JSON objects that name the
    connection. The end of its input ends it, which would also happen with this process.

    Args:
        command: What starts it.
    """

    def __init__(self, command: Sequence[str | Path]) -> None:
        self._command = command
        self._names = map(str, count(1))
        self._events: defaultdict[str, queue.Queue[dict[str, Any]]] = defaultdict(queue.Queue)
        self._answers: defaultdict[str, queue.Queue[dict[str, Any]]] = defaultdict(queue.Queue)

    @classmethod
    def node(cls) -> Self:
        """Return the process of the official JavaScript client."""
        return cls(["node", HERE / "node" / "client.mjs"])

    @classmethod
    def python(cls, client: str) -> Self:
        """Return the process of a Python client, by its name."""
        return cls([CLIENTS_PYTHON, HERE / "clients" / f"{client}_client.py"])

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input: IO[str] = self._process.stdin
        self._reader = threading.Thread(target=self._read, args=[self._process.stdout])
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._input.close()
        join(self._process, self._reader)

    def client(self, url: str, **options: Any) -> "Client":
        """Return a client that is not connected yet; the options are those that the program knows."""
        return Client(self, next(self._names), {"url": url, **options})

    def order(self, connection: str, command: str, options: dict[str, Any]) -> None:
        """Write a command."""
        self._input.write(json.dumps({"connection": connection, "do": command, **options}) + "\n")
        self._input.flush()

    def next_event(self, connection: str) -> dict[str, Any]:
        """Wait for the next event of a connection, and return it; answers are none."""
        return self._next(self._events[connection])

    def next_answer(self, connection: str) -> dict[str, Any]:
        """Wait for the next answer to a command that a connection was given, and return it."""
        return self._next(self._answers[connection])

    def _next(self, told: queue.Queue[dict[str, Any]]) -> dict[str, Any]:
        try:
            return told.get(timeout=LONGEST_WAIT)
        except queue.Empty:
            raise AssertionError(f"nothing came within {LONGEST_WAIT} s; exit code {self._process.poll()}") from None

    def _read(self, output: IO[str]) -> None:
        with output:
            for line in output:
                event = json.loads(line)
                told = self._answers if event["event"] in _ANSWERS else self._events
                told[event["connection"]].put(event)


class Client:
    """One connection of a `ClientProcess`; a context manager that is connected inside.

    Args:
        process: Where it lives.
        name: Its name there.
        options: What it is made of.

    Attributes:
        id: The connection id, where the client tells it.
    """

    def __init__(self, process: ClientProcess, name: str, options: dict[str, Any]) -> None:
        self._process = process
        self._name = name
        self._options = options
        self.id: str = ""

    def __enter__(self) -> Self:
        self._process.order(self._name, "start", self._options)
        event = self._process.next_event(self._name)
        if event["event"] == "failed":
            raise Refused(event["kind"], event["error"])
        assert event["event"] == "started", event
        self.id = event["id"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.order(self._name, "stop", {})
        self.wait_for("stopped")

    def call(self) -> str | None:
        """Call a hub method and return the error that it is answered with."""
        error = self.invoke("shout", {"text": "hello"}).get("error")
        assert error is None or isinstance(error, str)
        return error

    def invoke(self, method: str, *arguments: Any) -> dict[str, Any]:
        """Call a hub method and return its ``result`` or its ``error``; nothing if it has neither."""
        self._process.order(self._name, "invoke", {"method": method, "arguments": arguments})
        answer = self.answer()
        return {name: answer[name] for name in ("result", "error") if name in answer}

    def stream(self, method: str, *arguments: Any) -> dict[str, Any]:
        """Call a hub method that streams and return its ``items``, and the ``error`` if it ended with one."""
        self._process.order(self._name, "stream", {"method": method, "arguments": arguments})
        answer = self.answer()
        return {name: answer[name] for name in ("items", "error") if name in answer}

    def begin_each(self, method: str, each: Sequence[Sequence[Any]]) -> None:
        """Call a hub method with each of these arguments, without waiting in between; `answer` waits for all."""
        self._process.order(self._name, "invokeEach", {"method": method, "each": each})

    def answer(self) -> dict[str, Any]:
        """Return the next answer, while messages may come at any time."""
        return self._process.next_answer(self._name)

    def refresh(self) -> str | None:
        """Renew the sign-in now, and return the error if it was refused."""
        self._process.order(self._name, "refresh", {})
        error = self.answer().get("error")
        assert error is None or isinstance(error, str)
        return error

    def send(self, method: str, *arguments: Any) -> None:
        """Call a hub method without waiting for an answer."""
        self._process.order(self._name, "send", {"method": method, "arguments": arguments})
        self.answer()

    def expect(self, event: str) -> dict[str, Any]:
        """Return the next event, which must be this one; and keep the connection id that it tells."""
        found = self._process.next_event(self._name)
        assert found["event"] == event, found
        self.id = found.get("id") or self.id
        return found

    def wait_for(self, event: str) -> dict[str, Any]:
        """Return the next event of this kind; others before it do not matter."""
        while (found := self._process.next_event(self._name))["event"] != event:
            pass
        return found

    def message(self) -> tuple[Any, ...]:
        """Return the next event, which must be a message: its target, then its arguments."""
        event = self.expect("message")
        return event["target"], *event["arguments"]
