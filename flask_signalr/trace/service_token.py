"""What a service token says, read as anybody can who holds it; whether it is genuine is for the service to tell."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jwt

from flask_signalr.tokens import TOKEN_LIMIT

_MEANINGS = {
    "aud": "what it opens",
    "iat": "issued",
    "nbf": "valid from",
    "exp": "valid until",
    "asrs.s.uid": "the user id",
    "asrs.s.aut": "how the user signed in",
    "asrs.s.aeo": "the sign-in ends",
    "asrs.s.coae": "the service closes the connection then",
}
_SHOWN_CLAIMS = 60
_TIMES = {"iat", "nbf", "exp", "asrs.s.aeo"}


@dataclass(frozen=True)
class ServiceToken:
    """A service token that was read, not verified.

    Attributes:
        length: Its characters.
        algorithm: How it is signed.
        claims: What it says.
    """

    length: int
    algorithm: str
    claims: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, text: str) -> "ServiceToken":
        """Return what a token says.

        Raises:
            ValueError: It is no JSON Web Token.
        """
        try:
            parts = jwt.decode_complete(text, options={"verify_signature": False})
        except (jwt.PyJWTError, ValueError, RecursionError) as exc:
            raise ValueError("it is no JSON Web Token") from exc
        return cls(len(text), str(parts["header"].get("alg")), parts["payload"])

    def facts(self, now: float) -> Iterator[str]:
        """Yield lines about the token.

        Args:
            now: The time, in Unix seconds.
        """
        yield f"{self.length} characters of the {TOKEN_LIMIT} that the service accepts, signed with {self.algorithm}"
        shown = list(self.claims.items())[:_SHOWN_CLAIMS]
        width = min(max((len(name) for name, _ in shown), default=0), 40)
        for name, value in shown:
            meaning = f"   ({_MEANINGS[name]})" if name in _MEANINGS else ""
            yield f"{name:{width}}  {_value(name, value)}{meaning}"
        if len(self.claims) > len(shown):
            yield f"and {len(self.claims) - len(shown)} more claims"
        yield self._validity(now)

    def is_in_force(self, now: float) -> bool:
        """Return whether a time is within ``nbf`` and ``exp``, as far as the token has them."""
        begin, end = _seconds(self.claims.get("nbf")), _seconds(self.claims.get("exp"))
        return (begin is None or begin <= now) and (end is None or now < end)

    def _validity(self, now: float) -> str:
        begin, end = _seconds(self.claims.get("nbf")), _seconds(self.claims.get("exp"))
        if end is None:
            return "it has no expiry (claim exp): the service will not accept it"
        if end <= now:
            return f"expired {duration(now - end)} ago, by this machine's clock"
        if begin is not None and begin > now:
            return f"not valid for another {duration(begin - now)}, by this machine's clock"
        whole = f" of {duration(end - begin)}" if begin is not None else ""
        return f"valid for {duration(end - now)}{whole}, by this machine's clock"


def duration(seconds: float) -> str:
    """Return a span of time in the two largest units that it has."""
    rest = round(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def _value(name: str, value: Any) -> str:
    seconds = _seconds(value) if name in _TIMES else None
    if seconds is not None:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _seconds(value: Any) -> float | None:
    """Return a time in Unix seconds; ``None`` for what is none, or beyond the year 9999."""
    try:
        seconds = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds < 253_402_300_800 else None
