"""Connections whose answers have one time limit: the timeout of a socket is anew that of each piece that arrives.

Importing this module needs the extra ``serverless`` or ``jwks``.
"""

import io
import socket
import time
from http.client import HTTPResponse
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection


class _TimedReads(io.RawIOBase):
    """Reads from a socket, until a moment.

    Args:
        connection: The socket; its timeout says how much time there is from now on.
        kept_open: Closed with this: the socket stays open for as long as it is not.
    """

    def __init__(self, connection: socket.socket, kept_open: io.RawIOBase) -> None:
        super().__init__()
        timeout = connection.gettimeout()
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._connection = connection
        self._kept_open = kept_open

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the answer took too long")
            self._connection.settimeout(left)
        return self._connection.recv_into(buffer)

    def close(self) -> None:
        self._kept_open.close()
        super().close()


class _TimedResponse(HTTPResponse):
    """An answer that is read, from its first line to the end of its body, within the time that the socket has now."""

    def __init__(self, sock: socket.socket, *arguments: Any, **keywords: Any) -> None:
        super().__init__(sock, *arguments, **keywords)
        self.fp = io.BufferedReader(_TimedReads(sock, self.fp.detach()))


class _TimedConnection(HTTPConnection):
    response_class = _TimedResponse


class _TimedTlsConnection(HTTPSConnection):
    response_class = _TimedResponse


def connection_class(scheme: str | None) -> type[HTTPConnection]:
    """Return the class of connections for ``http`` or ``https``, which sets the timeout before it reads an answer."""
    return _TimedTlsConnection if scheme == "https" else _TimedConnection
