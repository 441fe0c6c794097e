"""The emulator in a process of its own, which can die, hang and come back at the same address."""

import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import urllib3

from flask_signalr import ServiceEndpoint

ROOT = Path(__file__).parent.parent


class EmulatorProcess:
    """A process that serves; a context manager, so that it never outlives its test.

    Attributes:
        connection_string: What leads to it, also when it has come back.
    """

    def __init__(self) -> None:
        self._key = secrets.token_urlsafe(32)
        self._port = "0"
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Serve at the address of the last time, if there was one; return when it answers.

        A process that serves already goes on.
        """
        if self._process is not None:
            return
        command = ["-m", "flask_signalr.emulator", "--host", "127.0.0.1", "--port", self._port]
        self._process = subprocess.Popen(
            [sys.executable, *command, f"--access-key={self._key}"],  # one word: a key may begin with a hyphen
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        assert self._process.stdout is not None
        while not (line := self._process.stdout.readline()).strip().startswith("export "):
            assert line, "the emulator ended before it listened"
        self.connection_string = line.partition("=")[2].strip().strip("'")
        endpoint = ServiceEndpoint.parse(self.connection_string)
        self._port = endpoint.url.rpartition(":")[2].rstrip("/")
        urllib3.request("HEAD", f"{endpoint.url}api/health?api-version=2024-12-01")

    def stop(self) -> None:
        """End it as a power failure does; a second time changes nothing."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def hang(self) -> None:
        """Let it accept connections, and answer none."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
