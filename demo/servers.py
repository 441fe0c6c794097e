"""The two servers of the demo: the emulator in a thread, and granian with the app in a process of its own."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from flask_signalr.emulator import Emulator, EmulatorSettings
from flask_signalr.errors import EmulatorUnavailable

ROOT = Path(__file__).parent.parent
START_WITHIN = 30
"""Seconds that the web server may take to answer."""
STOP_WITHIN = 5
"""Seconds that it may take to end."""


class ServerFailed(Exception):
    """A server did not start, or ended by itself."""


def start_emulator(host: str, port: int) -> Emulator:
    """Start an emulator with a key of its own on this port, or on a free one if it is in use."""
    settings = EmulatorSettings(host=host, port=port, access_keys=(secrets.token_urlsafe(32),))
    try:
        return Emulator(settings).start()
    except EmulatorUnavailable:
        return Emulator(replace(settings, port=0)).start()


def free_port(host: str, wanted: int) -> int:
    """Return the wanted port, or any that is free if it is in use.

    Granian shares ports (SO_REUSEPORT) and would not notice that another one has it.

    Raises:
        ServerFailed: No port of this address can be had.
    """
    for port in (wanted, 0):
        with suppress(OSError), socket.create_server((host, port)) as probe:
            found: int = probe.getsockname()[1]
            return found
    raise ServerFailed(f"this machine does not let it listen on {host}")


class WebServer:
    """Granian with the demo's app; a context manager that answers requests while it is open.

    Args:
        host: The IPv4 address to listen on.
        port: The port to listen on.
        environment: What the app's environment has besides that of this process.
    """

    def __init__(self, host: str, port: int, environment: Mapping[str, str]) -> None:
        self._address = (host, port)
        self._environment = {"FLASK_TRUSTED_HOSTS": json.dumps(["localhost", host]), **os.environ, **environment}

    def __enter__(self) -> Self:
        """Start the server and wait until it answers.

        Raises:
            ServerFailed: It does not.
        """
        host, port = self._address
        granian = ["-m", "granian", "--interface=wsgi", f"--host={host}", f"--port={port}", "--blocking-threads=3"]
        granian += ["--log-level=warning", "--workers-kill-timeout=3", "--factory", "demo.app:create_app"]
        self._process = subprocess.Popen(  # noqa: S603 -- this interpreter, with arguments of our own
            [sys.executable, *granian],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C in a terminal reaches only the process that started this one, and that ends it
        )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()

    def wait(self) -> None:
        """Wait until the server ends by itself."""
        self._process.wait()

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_WITHIN
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise ServerFailed("the web server ended while it started")
            with suppress(OSError), socket.create_connection(self._address, timeout=1):
                return
            time.sleep(0.05)
        raise ServerFailed(f"the web server does not answer within {START_WITHIN} seconds")

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
