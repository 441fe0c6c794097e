"""A server that accepts every message at once: what is left of a send is what the client makes of it.

``python -m benchmarks.accepting 3`` prints the three ports that it listens on, and ends with its standard input.
"""

import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

ANSWER = (
    b"HTTP/1.1 202 Accepted\r\n"
    b"Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"
    b"Content-Length: 0\r\n"
    b"Connection: keep-alive\r\n"
    b"x-ms-request-id: 0HN7ABCDEF012:00000001\r\n"
    b"\r\n"
)
"""What the service answers to a message, with the headers that it sends."""

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)


@contextmanager
def accepting_server(count: int = 1) -> Iterator[list[int]]:
    """Run the server in a process of its own, and yield the ports that it listens on."""
    command = [sys.executable, "-m", "benchmarks.accepting", str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # closes both, and waits
        yield [int(port) for port in process.stdout.readline().split()]  # type: ignore[union-attr] # it is a pipe


def answer_requests(connection: socket.socket) -> None:
    """Read requests that have bodies of a known length, and answer each, until the client is gone."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    received = b""
    with connection, suppress(ConnectionError):
        while chunk := connection.recv(65536):
            received += chunk
            head, separator, body = received.partition(b"\r\n\r\n")
            length = _LENGTH.search(head + b"\r\n")
            if separator and len(body) >= (int(length[1]) if length else 0):
                received = b""
                connection.sendall(ANSWER)


def main() -> None:
    """Serve until the standard input ends."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
    print(*(listener.getsockname()[1] for listener in listeners), flush=True)
    for listener in listeners:
        threading.Thread(target=_accept, args=(listener,), daemon=True).start()
    sys.stdin.buffer.read()


def _accept(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer_requests, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
