"""The tokens of REST calls: one for each audience, signed once and kept until it is about to expire."""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from flask_signalr.endpoints import ServiceEndpoint
from flask_signalr.errors import AccessTokenTooLong, ConfigurationError, InvalidName
from flask_signalr.rest.per_process import PerProcess
from flask_signalr.tokens import sign_access_token

LIFETIME = 3600
"""Seconds that a token is valid, as the SDK's."""

RENEWAL = 600
"""Seconds before its end at which a token is replaced: the clocks of two machines differ."""

KEPT = 1024
"""Tokens that are kept: as many users, groups and connections are sent to without signing anew."""


class TokenSource(Protocol):
    """Has a token for each call of one service endpoint."""

    def token(self, audience: str, wait: float | None = None, within: float = math.inf) -> str:
        """Return a token that opens an audience.

        Args:
            audience: What it shall open.
            wait: Seconds that the caller waits for a token that others make; ``None`` as long as they find good.
            within: Seconds from now that it waits at most, however long they find good.

        Raises:
            InvalidName: The audience is too long for a token, because of the names in it.
            NotFetched: No token is to be had at the moment.
        """


class TokenCache:
    """The tokens for one service endpoint.

    Args:
        endpoint: The service endpoint.
        algorithm: ``HS256`` or ``HS512``.
        clock: Returns the time in Unix seconds.

    Raises:
        ConfigurationError: The endpoint has no access key to sign with.
    """

    def __init__(
        self, endpoint: ServiceEndpoint, algorithm: str = "HS256", clock: Callable[[], float] = time.time
    ) -> None:
        if endpoint.key is None:
            name = endpoint.name or endpoint.url
            raise ConfigurationError(
                f"service endpoint {name!r} has no AccessKey to sign with: use the connection string with AccessKey"
            )
        self._key = endpoint.key
        self._algorithm = algorithm
        self._clock = clock
        self._kept: PerProcess[tuple[threading.Lock, OrderedDict[str, tuple[float, str]]]] = PerProcess(_nothing_kept)

    def token(self, audience: str, wait: float | None = None, within: float = math.inf) -> str:
        """Return a token that opens an audience; it is made here, and there is nothing to wait for.

        Raises:
            InvalidName: The audience is too long for a token, because of the names in it.
        """
        lock, kept = self._kept()
        now = self._clock()
        with lock:
            found = kept.get(audience)
            if found is not None and 0 < found[0] - now <= LIFETIME - RENEWAL:  # or the clock was set back since
                kept.move_to_end(audience)
                return found[1]
        token = self._sign(audience, int(now))
        with lock:
            kept[audience] = (now + LIFETIME - RENEWAL, token)
            kept.move_to_end(audience)
            if len(kept) > KEPT:
                kept.popitem(last=False)
        return token

    def _sign(self, audience: str, now: int) -> str:
        try:
            return sign_access_token(self._key, audience, (), lifetime=LIFETIME, now=now, algorithm=self._algorithm)
        except AccessTokenTooLong as exc:
            raise InvalidName(
                f"a token for a call of {len(audience)} characters is longer than the {exc.limit} that the service "
                "accepts: choose shorter names, or names of ASCII letters"
            ) from None


def _nothing_kept() -> tuple[threading.Lock, OrderedDict[str, tuple[float, str]]]:
    return threading.Lock(), OrderedDict()
