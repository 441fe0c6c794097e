"""The demo as the command that somebody types, in a process of its own."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from demo.users import DEMO_PASSWORD
from tests.live import LONGEST_WAIT

ROOT = Path(__file__).parent.parent
CONNECTION_STRING = "FLASK_SIGNALR_CONNECTION_STRING"


@dataclass(frozen=True)
class Demo:
    """A demo that somebody started in a terminal.

    Attributes:
        process: Its process.
        printed: What it printed until it was ready.
    """

    process: subprocess.Popen[str]
    printed: str

    @property
    def url(self) -> str:
        """The page that it says to open, without a slash at the end."""
        return self._found(r"Open +(http://\S+)/ *")

    @property
    def service_url(self) -> str:
        return self._found(r"SignalR +(http://\S+)")

    def _found(self, pattern: str) -> str:
        match = re.search(pattern, self.printed)
        assert match, self.printed
        return match[1]

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> urllib3.BaseHTTPResponse:
        return urllib3.request(method, self.url + path, json=body, headers=headers, timeout=LONGEST_WAIT, retries=False)

    def sign_in(self, name: str) -> str:
        """Return the cookie of a user who signed in."""
        answer = self.call("POST", "/api/session", {"name": name, "password": DEMO_PASSWORD})
        assert answer.status == 200, answer.data
        return answer.headers["Set-Cookie"].partition(";")[0]

    def rest_of_output(self) -> str:
        """Return what it prints until it ends. The pipe is at its end when every process of the demo has ended."""
        assert self.process.stdout is not None
        output = self.process.stdout.read()
        self.process.wait(LONGEST_WAIT)
        return output.strip()


@contextmanager
def started(*arguments: str, connection_string: str = "", path: str = os.environ.get("PATH", "")) -> Iterator[Demo]:
    """Run the demo as a terminal does, in a session of its own, until it says that it is ready."""
    with subprocess.Popen(
        [sys.executable, "-m", "demo", *arguments],
        cwd=ROOT,
        env={**os.environ, CONNECTION_STRING: connection_string, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        printed = ""
        try:
            for line in process.stdout:
                printed += line
                if "Ctrl-C" in line:
                    break
            yield Demo(process, printed)
        finally:
            with suppress(ProcessLookupError):
                process.terminate()


def is_refused(url: str) -> bool:
    parts = urllib3.util.parse_url(url)
    with socket.socket() as probe:
        return probe.connect_ex((parts.host or "", parts.port or 0)) != 0
