"""A real HTTP server on the loopback interface that answers as a test's script says, also in ways that none should."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO, Self

LONGEST_WAIT = 60
"""Seconds that a test waits for what must come."""

_DROPS, _BETWEEN_DROPS = 300, 0.01  # seconds

Answer = bytes | Callable[[socket.socket, threading.Event], None]


@dataclass
class Received:
    """A request as it came over the wire."""

    line: str
    headers: dict[str, str]
    body: bytes
    connection: int


def http(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return an answer; ``Retry_After="1"`` is a header."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def reset(connection: socket.socket, is_over: threading.Event) -> None:
    """Break the connection off as a crashing service does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def silence(connection: socket.socket, is_over: threading.Event) -> None:
    """Never answer."""
    is_over.wait()


def dripping(first: bytes, drop: bytes) -> Answer:
    """Return an answer that begins in time, and of which the rest comes drop by drop."""

    def drip(connection: socket.socket, is_over: threading.Event) -> None:
        try:
            connection.sendall(first)
            for _ in range(_DROPS):
                connection.sendall(drop)
                if is_over.wait(_BETWEEN_DROPS):
                    return
        except OSError:
            return

    return drip


def endless(connection: socket.socket, is_over: threading.Event) -> None:
    """Send a body without an end."""
    connection.sendall(b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\n")
    try:
        while not is_over.is_set():
            connection.sendall(b" " * 1_000_000)
    except OSError:
        return


class ScriptedServer:
    """Gives one answer after the other, the last one again and again; a context manager.

    Args:
        answers: The answers.
        tls: Speaks TLS, if it is given.

    Attributes:
        received: The requests, in their order.
    """

    def __init__(self, answers: Iterable[Answer], tls: ssl.SSLContext | None = None) -> None:
        self._answers = list(answers)
        self._tls = tls
        self._changed = threading.Condition()
        self._over = threading.Event()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.received: list[Received] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        scheme = "https://localhost" if self._tls else "http://127.0.0.1"
        self.origin = f"{scheme}:{self._listener.getsockname()[1]}"
        self._start(self._accept)
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it is closed already
        for thread in self._threads:
            thread.join()

    def wait_for(self, count: int) -> None:
        """Wait until so many requests have come."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.received) >= count, LONGEST_WAIT), self.received

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            self._start(self._serve, connection, len(self._open))

    def _serve(self, connection: socket.socket, number: int) -> None:
        if self._tls is not None:
            try:
                connection = self._tls.wrap_socket(connection, server_side=True)
            except OSError:
                return
        with connection, connection.makefile("rb") as stream:
            try:
                while line := stream.readline():
                    received = _read(line, stream, number)
                    with self._changed:
                        self.received.append(received)
                        self._changed.notify_all()
                        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                    if callable(answer):
                        answer(connection, self._over)
                        return
                    connection.sendall(answer)
            except OSError:
                return


def _read(line: bytes, stream: BinaryIO, number: int) -> Received:
    headers = {}
    while (header := stream.readline().strip()) != b"":
        name, _, value = header.decode().partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", 0)))
    return Received(line.decode().strip(), headers, body, number)
