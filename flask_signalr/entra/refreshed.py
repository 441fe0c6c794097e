"""A value of a service that is fetched in the background: what there is serves while the next one is on its way."""

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from flask_signalr.rest.per_process import PerProcess

logger = logging.getLogger("flask_signalr.entra")

T = TypeVar("T")

_LONGEST_CAUSE = 500
FIRST_WAIT = 10
"""Seconds after the start of a fetch that callers wait for it when there is nothing else that they could use."""


class NotFetched(Exception):
    """There is no value to use; the text is the cause, for the log.

    Args:
        cause: Why the last fetch failed, or that it takes long.
        retry_after: Seconds after which there may be one.
    """

    def __init__(self, cause: str, retry_after: int) -> None:
        super().__init__(cause)
        self.retry_after = retry_after


class FetchFailed(Exception):
    """A fetch failed for a reason that is understood; the text has cause and remedy, and no secret."""


@dataclass(frozen=True, slots=True)
class Fresh(Generic[T]):
    """A value with its times, in Unix seconds.

    Attributes:
        value: The value.
        renew_at: From then on a use of it starts the next fetch.
        expires_at: From then on it is not used any longer.
        doubtful_at: From then on a use waits for the fetch, and takes this value only where that fails.
    """

    value: T = field(repr=False)
    renew_at: float
    expires_at: float
    doubtful_at: float = math.inf


@dataclass(frozen=True)
class Pace:
    """How long to pause after a fetch that failed.

    Attributes:
        without: Seconds, where there is nothing to use meanwhile.
        meanwhile: Seconds, where there is.
        first_wait: As `FIRST_WAIT`.
    """

    without: float = 5
    meanwhile: float = 300
    first_wait: float = FIRST_WAIT


class _State(Generic[T]):
    """What one process knows; read without the lock, changed under it."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.fresh: Fresh[T] | None = None
        self.next_fetch = -math.inf
        self.fetching_since: float | None = None
        self.failure = ""


class Refreshed(Generic[T]):
    """A value that a background thread fetches: at its first use, and anew when it grows old while it is used.

    There is one fetch at a time in a process. A forked process begins with nothing.

    Args:
        name: What the value is, for the log.
        fetch: Fetches it, given the present one if that is still good for use; whatever it raises is a failure.
        pace: How long to pause after failures.
        clock: Returns the time in Unix seconds.
    """

    def __init__(
        self,
        name: str,
        fetch: Callable[[T | None], Fresh[T]],
        pace: Pace = Pace(),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._fetch = fetch
        self._pace = pace
        self._clock = clock
        self._states: PerProcess[_State[T]] = PerProcess(_State)
        self._states()  # or the first threads might each make one, and fetch twice

    def get(self) -> T:
        """Return the value; waits only where there is none to use, or one that may have ended.

        Raises:
            NotFetched: There is none, or not in time.
        """
        state = self._states()
        fresh = state.fresh
        now = self._clock()
        if fresh is not None and now < fresh.renew_at:
            return fresh.value
        return self._renewed(state, now)

    def drop(self, value: T) -> None:
        """Use a value no longer, unless another one has taken its place already."""
        state = self._states()
        with state.changed:
            if state.fresh is not None and state.fresh.value is value:
                state.fresh = None
                state.next_fetch = -math.inf

    def _renewed(self, state: _State[T], now: float) -> T:
        with state.changed:
            usable = _usable(state, now)
            if usable is not None and now < usable.renew_at:  # another thread had it renewed
                return usable.value
            if state.fetching_since is None and now >= state.next_fetch:
                self._start(state, now)
            if usable is not None and now < usable.doubtful_at:
                return usable.value
            if state.fetching_since is not None:
                left = state.fetching_since + self._pace.first_wait - now
                state.changed.wait_for(lambda: state.fetching_since is None, max(left, 0))
            usable = _usable(state, self._clock())
            if usable is not None:
                return usable.value
            raise self._not_fetched(state)

    def _start(self, state: _State[T], now: float) -> None:
        state.fetching_since = now
        thread = threading.Thread(target=self._run, args=(state,), name=f"flask-signalr {self._name}", daemon=True)
        try:
            thread.start()
        except RuntimeError as exc:  # no thread is to be had, or the interpreter is shutting down
            self._failed(state, exc)

    def _run(self, state: _State[T]) -> None:
        usable = _usable(state, self._clock())
        try:
            fresh = self._fetch(None if usable is None else usable.value)
        except BaseException as exc:  # noqa: BLE001 -- whatever it is, the next fetch must be possible
            with state.changed:
                self._failed(state, exc)
            return
        with state.changed:
            state.fresh, state.failure, state.next_fetch, state.fetching_since = fresh, "", -math.inf, None
            state.changed.notify_all()

    def _failed(self, state: _State[T], error: BaseException) -> None:
        now = self._clock()
        usable = _usable(state, now)
        pause = self._pace.without if usable is None else min(self._pace.meanwhile, usable.expires_at - now)
        state.failure = _cause(error)
        state.next_fetch = now + pause
        state.fetching_since = None
        state.changed.notify_all()
        if usable is None:
            logger.error("%s cannot be fetched, and there is none to use: %s", self._name, state.failure)
        else:
            left = usable.expires_at - now
            logger.warning(
                "%s cannot be renewed, the present one is good for %d s: %s", self._name, left, state.failure
            )

    def _not_fetched(self, state: _State[T]) -> NotFetched:
        if state.fetching_since is not None:
            cause = f"it takes longer than {self._pace.first_wait:g} s to fetch {self._name}"
            if state.failure != cause:  # once for each fetch, not for each caller
                state.failure = cause
                logger.error("%s", cause)
            return NotFetched(cause, math.ceil(self._pace.without))
        return NotFetched(state.failure, max(1, math.ceil(state.next_fetch - self._clock())))


def _usable(state: _State[T], now: float) -> Fresh[T] | None:
    fresh = state.fresh
    return fresh if fresh is not None and now < fresh.expires_at else None


def _cause(error: BaseException) -> str:
    """Return what the log says of a failure, on one line."""
    if isinstance(error, FetchFailed | NotFetched):
        return str(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:_LONGEST_CAUSE]
