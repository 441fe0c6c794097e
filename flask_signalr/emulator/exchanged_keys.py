"""The keys that the service hands out to callers with a Microsoft Entra token, who sign client tokens with them."""

import secrets
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ExchangedKey:
    """A key that was handed out.

    Attributes:
        key_id: What the header ``kid`` of a token names that it signed.
        access_key: The key.
    """

    key_id: str
    access_key: str = field(repr=False)


class ExchangedKeys:
    """The keys that were handed out and may still sign; all callers are given the same one for a while.

    A key is good for its whole lifetime from the moment when it was last handed out, so nobody is ever given one that
    is about to expire.

    Args:
        lifetime: Seconds for which a key signs after it was handed out, and for which the same one is handed out.

    Source: MicrosoftDocs/azure-docs:articles/azure-signalr/signalr-concept-authenticate-oauth.md for the lifetime.
    """

    def __init__(self, lifetime: float) -> None:
        self._lifetime = lifetime
        self._current: ExchangedKey | None = None
        self._replace_at = 0.0
        self._expiries: dict[ExchangedKey, float] = {}

    def hand_out(self, now: float) -> ExchangedKey:
        """Return the key to sign with from now on.

        Args:
            now: The time, in Unix seconds.
        """
        self._expiries = {key: expiry for key, expiry in self._expiries.items() if expiry > now}
        key = self._current
        if key is None or self._replace_at <= now:
            key = self._current = ExchangedKey(secrets.token_hex(16), secrets.token_urlsafe(32))
            self._replace_at = now + self._lifetime
        self._expiries[key] = now + self._lifetime
        return key

    def find(self, key_id: str, now: float) -> str | None:
        """Return the key that a token names, ``None`` if it was never handed out, is expired or forgotten."""
        return next(
            (key.access_key for key, expiry in self._expiries.items() if key.key_id == key_id and expiry > now), None
        )

    def rotate(self, *, forget: bool = False) -> None:
        """Hand out another key from now on.

        Args:
            forget: Refuse the former ones at once. Else they sign until they expire.
        """
        self._current = None
        if forget:
            self._expiries.clear()
