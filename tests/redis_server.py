"""A throw-away Redis: Debian's redis-server on a socket in a folder of its own; nothing is written to the disk."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

from tests.slapd import write_certificates

if TYPE_CHECKING:
    from redis import Redis

PASSWORD = "of the redis/of a test?"
QUOTED_PASSWORD = "of%20the%20redis%2Fof%20a%20test%3F"


def missing_requirement() -> str | None:
    """Return what keeps a Redis from being started here, or ``None``."""
    if shutil.which("redis-server") is None:
        return "the program redis-server is missing (Debian: redis-server)"
    if find_spec("redis") is None:
        return "the Python package redis is missing"
    return None


def missing_tls() -> str | None:
    """Return what keeps a Redis that speaks TLS from being started here, or ``None``."""
    missing = missing_requirement()
    if missing is not None:
        return missing
    no_number = [
        "redis-server",
        "--port",
        "0",
        "--tls-port",
        "no number",
    ]  # ends at once, with one complaint or another
    complaint = subprocess.run(no_number, capture_output=True, text=True, check=False)
    return "redis-server is built without TLS" if "Bad directive" in complaint.stdout + complaint.stderr else None


class RedisServer:
    """A Redis that runs while its ``with`` block does.

    Args:
        folder: An empty folder with a short name: a socket's path has 108 bytes at most.
        certificate_names: What its certificate is for: host names and addresses. With none it speaks no TLS.

    Attributes:
        url: Where it is, with the password.
        tls_port: Where it speaks TLS, on 127.0.0.1.
        ca_certificates: The file with the certificate of who signed its own.
    """

    def __init__(self, folder: Path, certificate_names: tuple[str, ...] = ()) -> None:
        self._folder = folder
        self._socket = folder / "redis.sock"
        self._certificate_names = certificate_names
        self.url = f"unix://:{QUOTED_PASSWORD}@{self._socket}"
        self.tls_port = 0
        self.ca_certificates = folder / "ca.pem"
        if certificate_names:
            write_certificates(folder, certificate_names)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server, empty."""
        while not self._started():
            pass  # another program took a port that was free a moment ago

    def _started(self) -> bool:
        settings = {
            "port": "0",
            "unixsocket": str(self._socket),
            "requirepass": PASSWORD,
            "save": "",
            "appendonly": "no",
        }
        if self._certificate_names:
            settings |= self._tls_settings()
        arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
        self._process = subprocess.Popen(
            ["redis-server", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self._process.stdout is not None
        if _is_ready(self._process.stdout):
            return True
        self.stop()
        return False

    def _tls_settings(self) -> dict[str, str]:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.tls_port = listening.getsockname()[1]
        return {
            "bind": "127.0.0.1",
            "tls-port": str(self.tls_port),
            "tls-cert-file": str(self._folder / "server.pem"),
            "tls-key-file": str(self._folder / "server.key"),
            "tls-ca-cert-file": str(self.ca_certificates),
            "tls-auth-clients": "no",
        }

    def stop(self) -> None:
        """End the server; what it held is lost."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let the server be silent: the kernel takes connections and bytes for it, and nobody answers."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)  # until it stands still
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    @contextmanager
    def admin(self) -> Iterator["Redis"]:
        """Return a client that may look at everything."""
        from redis import Redis

        client = Redis.from_url(self.url, decode_responses=True)
        try:
            yield client
        finally:
            client.close()

    def let_pass(self, seconds: int, prefix: str) -> None:
        """Let the keys with a prefix be as if so many seconds had gone by."""
        with self.admin() as client:
            for key in client.keys(f"{prefix}:*"):
                left = client.pttl(key)
                assert left > 0, f"{key!r} has no end"
                client.pexpire(key, max(left - seconds * 1000, 0))


def _is_ready(output: IO[str]) -> bool:
    """Wait until the server takes connections; return ``False`` if it does not because its port is taken."""
    told = ""
    for line in output:
        told += line
        if "ready to accept connections" in line:
            return True
    if "Address already in use" in told:
        return False
    raise AssertionError(f"redis-server ended before it was ready:\n{told}")
