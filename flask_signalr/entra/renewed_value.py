"""A value of a service that is fetched in the background: what there is serves while the next one is on its way."""

import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from flask_signalr.clocks import SYSTEM_CLOCKS, Clocks
from flask_signalr.rest.per_process import PerProcess

logger = logging.getLogger("flask_signalr.entra")

T = TypeVar("T")

_LONGEST_CAUSE = 4000
_LONGEST_END = 1000
_JITTER = 0.1

FIRST_WAIT = 10
"""Seconds that the caller whose use started a fetch waits for it, when there is nothing else that it could use."""

OTHERS_WAIT = 3
"""Seconds after the start of a fetch that other callers wait for it; none, once a fetch has failed or taken long.

Each of them holds a thread of the server, which has other requests to serve.
"""


class NotFetched(Exception):
    """There is no value to use; the text is the cause, for the log.

    Args:
        cause: Why the last fetch failed, or that it takes long.
        retry_after: Seconds after which there may be one.
        is_refused: Whether a fetch was tried and failed, rather than is under way or could not be tried.
    """

    def __init__(self, cause: str, retry_after: int, *, is_refused: bool = False) -> None:
        super().__init__(cause)
        self.retry_after = retry_after
        self.is_refused = is_refused


class FetchFailed(Exception):
    """A fetch failed for a reason that is understood; the text has cause and remedy, and no secret."""


class NotTried(FetchFailed):
    """A fetch could not be tried, because what it asks with was not there: that says nothing of who is asked."""


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
        others_wait: As `OTHERS_WAIT`.
    """

    without: float = 5
    meanwhile: float = 300
    first_wait: float = FIRST_WAIT
    others_wait: float = OTHERS_WAIT


class _State(Generic[T]):
    """What one process knows; read without the lock, changed under it."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.fresh: Fresh[T] | None = None
        self.next_fetch = -math.inf
        self.fetching_since: float | None = None
        self.failure = ""
        self.is_refused = False


class RenewedValue(Generic[T]):
    """A value that a background thread fetches: at its first use, and anew when it grows old while it is used.

    There is one fetch at a time in a process. A forked process begins with nothing. Fetches come a little
    early, by chance, so that the workers of an app do not all ask at once.

    Args:
        name: What the value is, for the log.
        fetch: Fetches it, given the present one if that is still good for use; whatever it raises is a failure.
        pace: How long to pause after failures.
        clocks: Where time and chance come from.
    """

    def __init__(
        self,
        name: str,
        fetch: Callable[[T | None], Fresh[T]],
        pace: Pace = Pace(),
        clocks: Clocks = SYSTEM_CLOCKS,
    ) -> None:
        self._name = name
        self._fetch = fetch
        self._pace = pace
        self._clocks = clocks
        self._states: PerProcess[_State[T]] = PerProcess(_State)
        self._states()  # or the first threads might each make one, and fetch twice

    def get(self, wait: float | None = None, within: float = math.inf) -> T:
        """Return the value; waits only where there is none to use, or one that may have ended.

        Args:
            wait: Seconds after the start of a fetch that this caller waits for it; ``None`` as the pace has it.
            within: Seconds from now that it waits at most, whatever `wait` and the pace allow.

        Raises:
            NotFetched: There is none, or not in time.
        """
        state = self._states()
        fresh = state.fresh
        if fresh is not None and self._clocks.unix() < fresh.renew_at:
            return fresh.value
        return self._renewed(state, wait, within)

    def drop(self, value: T) -> None:
        """Use a value no longer, unless another one has taken its place already."""
        state = self._states()
        with state.changed:
            if state.fresh is not None and state.fresh.value is value:
                state.fresh = None
                state.next_fetch = -math.inf

    def _renewed(self, state: _State[T], wait: float | None, within: float) -> T:
        with state.changed:
            now = self._clocks.unix()
            usable = _usable(state, now)
            if usable is not None and now < usable.renew_at:  # another thread had it renewed
                return usable.value
            steady = self._clocks.steady()
            if wait is None:
                wait = self._pace.others_wait if not state.failure else 0
                if state.fetching_since is None:  # then this caller starts the fetch
                    wait = self._pace.first_wait
            if state.fetching_since is None and steady >= state.next_fetch:
                self._start(state, steady)
            if usable is not None and now < usable.doubtful_at:
                return usable.value
            is_late = False
            if state.fetching_since is not None:
                left = max(state.fetching_since + wait - steady, 0)
                is_in_time = state.changed.wait_for(lambda: state.fetching_since is None, min(left, within))
                is_late = not is_in_time and wait >= self._pace.first_wait and left <= within
            usable = _usable(state, self._clocks.unix())
            if usable is not None:
                return usable.value
            raise self._not_fetched(state, is_late=is_late)

    def _start(self, state: _State[T], steady: float) -> None:
        state.fetching_since = steady
        thread = threading.Thread(target=self._run, args=(state,), name=f"flask-signalr {self._name}", daemon=True)
        try:
            thread.start()
        except RuntimeError as exc:  # no thread is to be had, or the interpreter is shutting down
            self._failed(state, exc)

    def _run(self, state: _State[T]) -> None:
        usable = _usable(state, self._clocks.unix())
        try:
            fresh = self._fetch(None if usable is None else usable.value)
        except BaseException as exc:  # noqa: BLE001 -- whatever it is, the next fetch must be possible
            with state.changed:
                self._failed(state, exc)
            return
        now = self._clocks.unix()
        early = max(fresh.renew_at - now, 0) * _JITTER * self._clocks.luck()
        with state.changed:
            state.fresh = replace(fresh, renew_at=min(fresh.renew_at - early, fresh.expires_at))
            state.failure, state.is_refused, state.next_fetch, state.fetching_since = "", False, -math.inf, None
            state.changed.notify_all()

    def _failed(self, state: _State[T], error: BaseException) -> None:
        now = self._clocks.unix()
        usable = _usable(state, now)
        pause = self._pace.without if usable is None else min(self._pace.meanwhile, usable.expires_at - now)
        state.failure, state.is_refused = _cause(error), not isinstance(error, NotTried)
        state.next_fetch = self._clocks.steady() + pause * (1 - _JITTER * self._clocks.luck())
        state.fetching_since = None
        state.changed.notify_all()
        if usable is None:
            logger.error("%s cannot be fetched, and there is none to use: %s", self._name, state.failure)
        else:
            left = usable.expires_at - now
            logger.warning(
                "%s cannot be renewed, the present one is good for %d s: %s", self._name, left, state.failure
            )

    def _not_fetched(self, state: _State[T], *, is_late: bool) -> NotFetched:
        if state.fetching_since is None:
            left = math.ceil(max(1, state.next_fetch - self._clocks.steady()))
            cause = state.failure or f"{self._name} had ended before it could be used: check this machine's clock"
            return NotFetched(cause, left, is_refused=state.is_refused)
        cause = state.failure or f"{self._name} is being fetched"
        if is_late:
            cause = f"it takes longer than {self._pace.first_wait:g} s to fetch {self._name}"
            if state.failure != cause:  # once for each fetch, not for each caller
                state.failure = cause
                logger.error("%s", cause)
        return NotFetched(cause, math.ceil(self._pace.without), is_refused=state.is_refused)


def _usable(state: _State[T], now: float) -> Fresh[T] | None:
    fresh = state.fresh
    return fresh if fresh is not None and now < fresh.expires_at else None


def _cause(error: BaseException) -> str:
    """Return what the log says of a failure, on one line; long texts have their remedy at the end, so that stays."""
    if isinstance(error, FetchFailed | NotFetched):
        return str(error)
    cause = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if len(cause) <= _LONGEST_CAUSE:
        return cause
    return f"{cause[: _LONGEST_CAUSE - _LONGEST_END - 3]} … {cause[-_LONGEST_END:]}"
