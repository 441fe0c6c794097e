"""The app of `tests.live` on a WSGI server in a process of its own, all of whose output is kept."""

import os
import queue
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import urllib3

from tests.live import LONGEST_WAIT

ROOT = Path(__file__).parent.parent
APP = "tests.live:create_app()"

# Each with as much logging as it has. gunicorn leaves its control socket out: it would lie in the home folder.
ARGUMENTS = {
    "werkzeug": ["flask", "--app", APP, "run", "--port", "{port}", "--debug", "--no-reload"],
    "gunicorn": [
        *("gunicorn", "--bind", "127.0.0.1:{port}", "--threads", "8", "--no-control-socket", "--graceful-timeout", "1"),
        *("--access-logfile", "-", "--log-level", "debug", "--capture-output", APP),
    ],
    "gunicorn that forks": [
        *("gunicorn", "--bind", "127.0.0.1:{port}", "--preload", "--workers", "2", "--no-control-socket"),
        *("--timeout", "120", "--graceful-timeout", "1", "--log-level", "info", "--capture-output"),
        "tests.forked_app:create_app()",
    ],
    "granian": [
        *("granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", "{port}", "--blocking-threads", "8"),
        *("--log-level", "debug", "--access-log", "--access-log-fmt", "%(method)s %(path)s %(query_string)s"),
        *("--factory", "tests.live:create_app"),
    ],
}
TELLS_THE_PORT = {
    "werkzeug": "Running on http://127.0.0.1:([0-9]+)",
    "gunicorn": "Listening at: http://127.0.0.1:([0-9]+)",
    "gunicorn that forks": "Listening at: http://127.0.0.1:([0-9]+)",
}

UNTIL_IT_LISTENS = urllib3.Retry(connect=30, backoff_factor=0.02, backoff_max=1)


class ServerProcess:
    """A WSGI server that serves the app; a context manager, so that it never outlives its test.

    Args:
        server: Its name, a key of `ARGUMENTS`.
        config: The app's configuration.

    Attributes:
        url: Its base URL, without a slash at the end.
        output: The lines that it wrote to standard output and standard error.
    """

    def __init__(self, server: str, config: Mapping[str, str]) -> None:
        self._server = server
        self._config = config
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.output: list[str] = []

    def __enter__(self) -> Self:
        port = 0 if self._server in TELLS_THE_PORT else _free_port()
        environment = {f"FLASK_{key}": value for key, value in self._config.items()}
        self._process = subprocess.Popen(
            [sys.executable, "-m", *(argument.format(port=port) for argument in ARGUMENTS[self._server])],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
            cwd=ROOT,
            env={**os.environ, **environment, "PYTHONUNBUFFERED": "1"},
        )
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=[self._process.stdout])
        self._reader.start()
        try:
            port = port or int(self._wait_for(TELLS_THE_PORT[self._server])[1])
            urllib3.request("HEAD", f"http://127.0.0.1:{port}/", retries=UNTIL_IT_LISTENS)
        except BaseException:
            self._end()
            raise
        self.url = f"http://127.0.0.1:{port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._process.terminate()
        join(self._process, self._reader)

    def _read(self, output: IO[str]) -> None:
        with output:
            for line in output:
                self.output.append(line)
                self._lines.put(line)
        self._lines.put(None)

    def _wait_for(self, pattern: str) -> re.Match[str]:
        while (line := self._lines.get(timeout=LONGEST_WAIT)) is not None:
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"{self._server} ended before it listened:\n{''.join(self.output)}")


def _free_port() -> int:
    """Return a port that is free now, for servers that cannot choose one and tell."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def join(process: subprocess.Popen[str], reader: threading.Thread) -> None:
    """Wait for a process that was told to end, and for who reads its output; kill it if it does not obey."""
    try:
        process.wait(LONGEST_WAIT)
    finally:
        process.kill()
        process.wait()
        reader.join()
