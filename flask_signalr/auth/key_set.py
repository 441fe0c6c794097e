"""A key set: the public keys of an identity provider, kept for a while and fetched again when they must be."""

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import jwt

from flask_signalr.auth.keyword_checks import check_seconds
from flask_signalr.auth.verification_key import PublishedKey
from flask_signalr.errors import AuthenticationFailed, ConfigurationError, IdentityProviderUnavailable

_log = logging.getLogger(__name__)

Fetch = Callable[[str], bytes]
"""Fetches the document at a URL; whatever it raises means that the document is not to be had now."""


@dataclass(frozen=True)
class KeyFetching:
    """How an identity provider's keys are fetched and kept.

    Attributes:
        lifetime: Seconds after which fetched keys are no longer used.
        cool_down: Seconds between two fetches, whatever tokens ask for: forged key ids cannot make more, and a
            provider that is down costs one `timeout` in that time.
        timeout: Seconds that fetching one document may take.
        fetch: Fetches a document in place of this package's own client, for example through a proxy.
        clock: Seconds that only go forward.
    """

    lifetime: float = 3600
    cool_down: float = 30
    timeout: float = 3
    fetch: Fetch | None = None
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        for name in ("lifetime", "cool_down", "timeout"):
            check_seconds(f"KeyFetching({name}=…)", getattr(self, name))
        if self.cool_down > self.lifetime:
            raise ConfigurationError("KeyFetching(cool_down=…): must not be longer than lifetime")


@dataclass(frozen=True)
class _State:
    """What is known at one moment; replaced as a whole, so that readers need no lock.

    Times are the clock's: keys are used before `expires`, nothing is fetched before `next_fetch`.
    """

    keys: tuple[PublishedKey, ...] = ()
    expires: float = -math.inf
    next_fetch: float = -math.inf
    has_failed: bool = False

    def find(self, kid: str | None, algorithm: str) -> jwt.PyJWK | None:
        found = [
            key.by_algorithm[algorithm] for key in self.keys if algorithm in key.by_algorithm and kid in (None, key.kid)
        ]
        if len(found) > 1:
            raise AuthenticationFailed("the bearer token does not say which of its issuer's keys signed it (kid)")
        return found[0] if found else None


class KeySet:
    """The keys of one identity provider, shared by all threads of the process.

    Args:
        name: Whose keys these are, for the log.
        algorithms: The algorithms that a token may name.
        load: Fetches the keys; whatever it raises means that they are not to be had now.
        fetching: How long keys are kept, and how often they are fetched.
    """

    def __init__(
        self,
        name: str,
        algorithms: tuple[str, ...],
        load: Callable[[], tuple[PublishedKey, ...]],
        fetching: KeyFetching,
    ) -> None:
        self.algorithms = algorithms
        self._name = name
        self._load = load
        self._fetching = fetching
        self._state = _State()
        self._lock = threading.Lock()

    def find(self, kid: str | None, algorithm: str) -> jwt.PyJWK:
        """Return the key that a token's header names; fetch the keys if they are unknown, old, or lack it.

        A known key is returned without waiting, even while another thread fetches. A token without ``kid`` is
        verified only if there is exactly one key for its algorithm.

        Raises:
            AuthenticationFailed: The provider does not publish such a key, or several.
            IdentityProviderUnavailable: The keys cannot be fetched, now or since the last try a moment ago.
        """
        state = self._state
        if self._fetching.clock() < state.expires and (key := state.find(kid, algorithm)) is not None:
            return key
        state = self._renewed(state)
        if (key := state.find(kid, algorithm)) is not None:
            return key
        if state.has_failed:
            raise self._unavailable(state)  # the provider may have published that key since
        raise AuthenticationFailed("the bearer token is signed with a key that its issuer does not publish (kid)")

    def __repr__(self) -> str:
        return f"KeySet({self._name!r}, algorithms={self.algorithms!r})"

    def _renewed(self, seen: _State) -> _State:
        """Return a state that is younger than the one seen, or the same if it is too soon to fetch."""
        clock = self._fetching.clock
        if clock() >= seen.next_fetch:
            # Discovery and key set: two documents. Whoever waits longer than both may take has nothing to gain.
            if not self._lock.acquire(timeout=2 * self._fetching.timeout):
                raise self._unavailable(seen)
            try:
                if self._state is seen:  # nobody fetched while this thread waited
                    self._state = self._fetched(seen)
            finally:
                self._lock.release()
        state = self._state
        if clock() >= state.expires:
            raise self._unavailable(state)
        return state

    def _fetched(self, seen: _State) -> _State:
        try:
            keys = self._load()
        except Exception as exc:  # noqa: BLE001 - closed on any failure, also one of the user's own `fetch`
            _log.warning("the keys of %s cannot be fetched: %s: %s", self._name, type(exc).__name__, exc)
            return replace(seen, next_fetch=self._fetching.clock() + self._fetching.cool_down, has_failed=True)
        now = self._fetching.clock()
        return _State(keys, now + self._fetching.lifetime, now + self._fetching.cool_down)

    def _unavailable(self, state: _State) -> IdentityProviderUnavailable:
        wait = max(1, state.next_fetch - self._fetching.clock())
        return IdentityProviderUnavailable(
            "the identity provider's keys cannot be fetched; try again", retry_after=math.ceil(wait)
        )
