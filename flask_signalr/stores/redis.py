"""A store in Redis, which all processes of an app share."""

import math
import secrets
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import Empty
from typing import Any, cast
from urllib.parse import parse_qs, quote, unquote, urlsplit

from redis import BlockingConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeout
from redis.retry import Retry

from flask_signalr.errors import StoreUnavailable
from flask_signalr.stores import redis_scripts
from flask_signalr.stores.store import Connection, check_lifetime

TIMEOUT = 2.0
"""Seconds to connect, to wait for an answer, and to wait for a connection that another thread uses."""

PAUSE = 2.0
"""Seconds without a try after Redis said nothing: else each request in turn would wait for it."""

MAX_POOLED = 50
"""Connections of one process: so many calls go on at the same time."""


class RedisStore:
    """Implements `Store` for all processes that use the same Redis, by scripts that run there as one step.

    Nothing is asked of Redis before the first call, and a call that finds its connection broken opens another one.
    Processes may be forked at any time.

    Args:
        url: As ``redis.Redis.from_url`` takes it; `store_from_url` checks it.
        prefix: What the keys begin with.
        timeout: See `TIMEOUT`.
        clock: Seconds that only go forward, for the pause after a timeout.
    """

    is_shared = True

    def __init__(
        self,
        url: str,
        prefix: str = "signalr",
        *,
        timeout: float = TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._prefix = prefix
        self._place = _place(url)
        self._clock = clock
        self._next_try = -math.inf
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_POOLED,
            timeout=timeout,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 1),  # a kept connection may be broken; every script may run twice
            health_check_interval=30,
            decode_responses=True,
            encoding_errors="surrogatepass",  # names come as they come
            **_tls(url),
        )
        self._redis = Redis(connection_pool=pool)
        self._claim = self._redis.register_script(redis_scripts.CLAIM)
        self._confirm = self._redis.register_script(redis_scripts.CONFIRM)
        self._remove = self._redis.register_script(redis_scripts.REMOVE)
        self._take_unconfirmed = self._redis.register_script(redis_scripts.TAKE_UNCONFIRMED)
        self._noted = self._redis.register_script(redis_scripts.NOTED)
        self._list = self._redis.register_script(redis_scripts.LIST)

    def claim(self, key: str, lifetime: int) -> bool:
        """See `Store.claim`."""
        return bool(
            self._run(self._claim, [f"{self._prefix}:claim:{key}"], secrets.token_hex(8), check_lifetime(lifetime))
        )

    def confirm(self, hub: str, connection: Connection, now: float, lifetime: int) -> bool:
        """See `Store.confirm`."""
        keys = [*self._keys(hub), self._removal(hub, connection.connection_id)]
        return bool(
            self._run(self._confirm, keys, connection.connection_id, _member(connection), now, check_lifetime(lifetime))
        )

    def remove(self, hub: str, connection_id: str, remembered: int) -> None:
        """See `Store.remove`."""
        keys = [*self._keys(hub), self._removal(hub, connection_id)]
        self._run(self._remove, keys, connection_id, remembered and check_lifetime(remembered))

    def note(self, kind: str, connection_id: str, text: str, lifetime: int) -> None:
        """See `Store.note`."""
        check_lifetime(lifetime)
        with self._errors():
            self._redis.set(self._note(kind, connection_id), text, ex=lifetime)

    def noted(self, kind: str, connection_id: str, lifetime: int) -> str | None:
        """See `Store.noted`."""
        return cast("str | None", self._run(self._noted, [self._note(kind, connection_id)], check_lifetime(lifetime)))

    def connections(self, hub: str, user_id: str | None = None) -> Sequence[Connection]:
        """See `Store.connections`."""
        return _connections(self._run(self._list, self._keys(hub), *_range(user_id)))

    def users(self, hub: str) -> frozenset[str]:
        """See `Store.users`."""
        with self._errors():
            members = cast("list[str]", self._redis.zrange(self._keys(hub)[2], 0, -1))
        return frozenset(_user_id(member) for member in members)

    def count(self, hub: str) -> int:
        """See `Store.count`."""
        with self._errors():
            return self._redis.zcard(self._keys(hub)[0])

    def take_unconfirmed(
        self, hub: str, before: float, now: float, lifetime: int, limit: int, user_id: str | None = None
    ) -> list[Connection]:
        """See `Store.take_unconfirmed`."""
        arguments = (before, now, check_lifetime(lifetime), limit, *_range(user_id))
        return _connections(self._run(self._take_unconfirmed, self._keys(hub), *arguments))

    def close(self) -> None:
        """Close all connections, when no thread uses the store; another call would open one anew."""
        self._redis.connection_pool.disconnect()

    def _keys(self, hub: str) -> list[str]:
        """Return a hub's keys, in the order that `redis_scripts` tells.

        The braces keep them on one node where a proxy spreads keys over several.
        """
        return [f"{self._prefix}:{{{hub}}}:{part}" for part in ("confirmed", "users", "by-user", "tended")]

    def _removal(self, hub: str, connection_id: str) -> str:
        return f"{self._prefix}:{{{hub}}}:removed:{connection_id}"

    def _note(self, kind: str, connection_id: str) -> str:
        return f"{self._prefix}:note:{kind}:{connection_id}"

    def _run(self, script: Callable[..., Any], keys: list[str], *arguments: str | float) -> Any:
        with self._errors():
            return script(keys=keys, args=list(arguments))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        if self._clock() < self._next_try:
            raise StoreUnavailable(f"{self._place} gave no answer a moment ago; the next try comes in {PAUSE:g} s")
        try:
            yield
        except RedisTimeout as exc:
            self._next_try = self._clock() + PAUSE
            raise StoreUnavailable(
                f"{self._place} gives no answer: is it running, and may this host reach it?"
            ) from exc
        except AuthenticationError as exc:
            raise StoreUnavailable(f"{self._place} refuses the user name or password of the store's URL") from exc
        except ResponseError as exc:
            code = str(exc).partition(" ")[0]  # the rest may tell the arguments
            raise StoreUnavailable(f"{self._place} refuses a command: {code}") from exc
        except RedisError as exc:
            raise StoreUnavailable(f"{self._place} {_fault(exc.__context__)}") from exc

    def __repr__(self) -> str:
        return f"RedisStore({self._place!r})"


def _fault(cause: BaseException | None) -> str:
    """Return why Redis cannot be used, by what made redis-py say so."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"has a certificate that is not accepted: {cause.verify_message}"
    if isinstance(cause, Empty):
        return f"is slow, or much is asked of it: {MAX_POOLED} calls of this process wait for it already"
    return "cannot be reached: is it running, and is the store's URL right?"


def _place(url: str) -> str:
    """Return what of a URL may be read by anybody."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def _tls(url: str) -> dict[str, bool]:
    """Return what TLS needs besides the URL, whose options win: releases of redis-py differ in what they check."""
    parts = urlsplit(url)
    if parts.scheme != "rediss":
        return {}
    return {"ssl_check_hostname": parse_qs(parts.query).get("ssl_cert_reqs") != ["none"]}


def _member(connection: Connection) -> str:
    """Return a connection as it stands in the index: its user's come in one row, as no quoted user id has a slash."""
    if connection.user_id is None:
        return ""
    return f"{quote(connection.user_id, safe='', errors='surrogatepass')}/{connection.connection_id}"


def _range(user_id: str | None) -> tuple[str, str]:
    """Return where a user's row begins and where it has ended: ``0`` comes after the slash."""
    if user_id is None:
        return ("", "")
    quoted = quote(user_id, safe="", errors="surrogatepass")
    return (f"[{quoted}/", f"({quoted}0")


def _user_id(member: str) -> str:
    return unquote(member.partition("/")[0], errors="surrogatepass")


def _connections(pairs: list[str]) -> list[Connection]:
    """Return what a script lists: ids, each followed by its member of the index or nothing."""
    return [
        Connection(connection_id, _user_id(member) if member else None)
        for connection_id, member in zip(pairs[::2], pairs[1::2], strict=True)
    ]
