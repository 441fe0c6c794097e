"""Connections to a directory, by ldap3: few, kept open, and each used by one thread at a time.

Of the three libraries tried it is the one that keeps its timeouts when a server says nothing, in the TLS handshake
too, and lets the other threads run meanwhile. It has had no release since 2021, so nothing else here knows it.
"""

import logging
import math
import socket
import threading
import warnings
from collections import deque
from collections.abc import Callable
from functools import partial
from ssl import SSLContext
from typing import Any

from flask_signalr.auth.ldap_directory import LdapDirectory, LdapServer
from flask_signalr.auth.ldap_search import Entry, Search, TooManyEntries
from flask_signalr.errors import Unavailable

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it uses names that pyasn1 will drop one day
    import ldap3

logger = logging.getLogger(__name__)

_DOWN = "the directory of roles gives no answer; try again"
_SUCCESS, _SIZE_LIMIT_EXCEEDED = 0, 4  # RFC 4511 §4.1.9

MAX_BYTES = 1024 * 1024
"""Bytes of the longest answer that is read: as many groups as are listed at once, each with a name of 1000 letters."""

_Remaining = Callable[[], float]
"""Returns the seconds that are left, and raises if there are none."""


class _NoAnswer(Exception):
    """A connection that cannot be used any more."""


class LdapConnections:
    """The connections to one directory, opened when they are needed.

    Args:
        directory: Where it is.
    """

    def __init__(self, directory: LdapDirectory) -> None:
        self._directory = directory
        self._tls = directory.tls_context()
        self._slots = threading.BoundedSemaphore(directory.connections)
        self._idle: deque[ldap3.Connection] = deque()
        self._next_try = -math.inf

    def search(self, search: Search, deadline: float) -> list[Entry]:
        """Return the entries that a search finds.

        A kept connection that turns out to be broken, because the server was restarted or went tired of it, costs
        the caller nothing: another one is opened.

        Args:
            search: What to look for.
            deadline: When, by the directory's clock, the answer is of no use any more.

        Raises:
            TooManyEntries: There are more than the search allows.
            Unavailable: The directory does not answer, or not this question.
        """
        if not self._slots.acquire(timeout=max(0, deadline - self._directory.clock())):
            logger.warning("all %d connections to the directory are busy", self._directory.connections)
            raise Unavailable(_DOWN)
        try:
            return self._search(search, deadline)
        finally:
            self._slots.release()

    def close(self) -> None:
        """Close the connections that are not in use."""
        while (connection := self._kept()) is not None:
            _close(connection)

    def _search(self, search: Search, deadline: float) -> list[Entry]:
        kept = self._kept()
        try:
            if kept is not None:
                return self._ask(kept, search, deadline)
        except _NoAnswer as exc:
            logger.info("a connection to the directory broke: %s", exc)
            self.close()  # the others are as old
        try:
            return self._ask(self._connection(deadline), search, deadline)
        except _NoAnswer as exc:
            logger.warning("the directory gives no answer: %s", exc)
            raise Unavailable(_DOWN) from exc

    def _kept(self) -> ldap3.Connection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _ask(self, connection: ldap3.Connection, search: Search, deadline: float) -> list[Entry]:
        """Return the answer and keep the connection, unless there is none: then it is closed."""
        try:
            connection.socket.begin(partial(self._remaining, deadline))
            _, result, response, _ = connection.search(
                search.base,
                search.filter,
                ldap3.SUBTREE,
                ldap3.DEREF_NEVER,  # an alias would be whatever entry its author points it at
                attributes=search.attributes or ldap3.NO_ATTRIBUTES,
                size_limit=search.limit + 1,
                time_limit=math.ceil(self._directory.timeout),
            )
            entries = [_entry(item) for item in response or () if item["type"] == "searchResEntry"]
        except Exception as exc:  # the library lets through what a malformed answer makes of it
            _close(connection)
            raise _NoAnswer(_described(exc)) from exc
        self._idle.append(connection)
        if result["result"] == _SIZE_LIMIT_EXCEEDED or len(entries) > search.limit:
            raise TooManyEntries
        if result["result"] != _SUCCESS:
            logger.warning("the directory refuses to search %r: %s", search.base, _told(result))
            raise Unavailable(_DOWN)
        return entries

    def _connection(self, deadline: float) -> ldap3.Connection:
        """Return a new connection, to the first server that lets us in.

        Raises:
            Unavailable: None does, or none did a moment ago.
        """
        clock = self._directory.clock
        if clock() < self._next_try:
            raise Unavailable(_DOWN, retry_after=math.ceil(self._next_try - clock()))
        targets = [(server, address) for server in self._directory.servers for address in _addresses(server)]
        for index, (server, address) in enumerate(targets):
            share = self._remaining(deadline) / (len(targets) - index)
            try:
                return self._open(server, address, share)
            except Exception as exc:  # noqa: BLE001 - closed on any failure
                logger.warning("the directory %s (%s) cannot be used: %s", server.host, address, _described(exc))
        self._next_try = clock() + self._directory.cool_down
        raise Unavailable(_DOWN, retry_after=math.ceil(self._directory.cool_down))

    def _open(self, server: LdapServer, address: str, timeout: float) -> ldap3.Connection:
        directory = self._directory
        remaining = partial(self._remaining, directory.clock() + timeout)
        connection = ldap3.Connection(
            ldap3.Server(
                address,
                server.port,
                use_ssl=server.ldaps,
                tls=_CheckedTls(self._tls, server.host, remaining),
                get_info=ldap3.NONE,
                connect_timeout=timeout,  # becomes the socket's, in parts of seconds too
            ),
            directory.bind_dn,
            directory.password,
            client_strategy=ldap3.SAFE_SYNC,
            auto_referrals=False,
            check_names=False,
            read_only=True,
            return_empty_attributes=False,
        )
        try:
            connection.open(read_server_info=False)
            connection.socket = _TimedSocket(connection.socket, remaining)
            if directory.start_tls:
                connection.start_tls(read_server_info=False)
                connection.socket = _TimedSocket(connection.socket, remaining)
            connection.bind(read_server_info=False)
            if connection.result["result"] != _SUCCESS:
                raise _NoAnswer(f"it refuses the service account: {_told(connection.result)}")
        except BaseException:
            _close(connection)
            raise
        return connection

    def _remaining(self, deadline: float) -> float:
        remaining = deadline - self._directory.clock()
        if remaining <= 0:
            raise _NoAnswer("its time is over")
        return remaining


class _CheckedTls(ldap3.Tls):
    """TLS by Python's own rules; ldap3 by itself demands no certificate and compares names with a copy of old code."""

    def __init__(self, context: SSLContext, host: str, remaining: _Remaining) -> None:
        super().__init__()
        self._context = context
        self._host = host
        self._remaining = remaining

    def wrap_socket(self, connection: ldap3.Connection, do_handshake: bool = False) -> None:
        connection.socket.settimeout(self._remaining())
        connection.socket = self._context.wrap_socket(connection.socket, server_hostname=self._host)


class _TimedSocket:
    """A socket whose reads are over at one time: ldap3 gives the whole time to each, and a server could drip bytes."""

    def __init__(self, connected: socket.socket, remaining: _Remaining) -> None:
        self._socket = connected
        self.begin(remaining)

    def begin(self, remaining: _Remaining) -> None:
        """Begin with the next question."""
        self._remaining = remaining
        self._room = MAX_BYTES
        self._socket.settimeout(remaining())

    def recv(self, size: int) -> bytes:
        """Return what comes next of the answer."""
        if self._room <= 0:
            raise _NoAnswer(f"it says more than {MAX_BYTES} bytes")
        self._socket.settimeout(self._remaining())
        received = self._socket.recv(size)
        self._room -= len(received)
        return received

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def _addresses(server: LdapServer) -> list[str]:
    """Return all addresses of a server; ldap3 would give each of them the whole time."""
    try:
        found = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    except OSError as exc:
        logger.warning("the directory %s has no address: %s", server.host, exc)
        return []
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _close(connection: ldap3.Connection) -> None:
    if connection.socket is not None:
        connection.socket.close()


def _entry(item: dict[str, Any]) -> Entry:
    raw = item["raw_attributes"]
    return Entry(item["dn"], {name.lower(): tuple(value.decode() for value in raw[name]) for name in raw})


def _told(result: dict[str, Any]) -> str:
    return f"{result['description']} {str(result['message'])[:200]!r}"


def _described(error: Exception) -> str:
    """Return an error for the log, on one line and not too long."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
