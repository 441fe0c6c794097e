"""Claims: what is known about a caller, as (type, value) pairs, and their form in a service token."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from flask_signalr.claim_types import SHORT_NAMES
from flask_signalr.error_text import kind_of
from flask_signalr.errors import InvalidClaim

ClaimValue = str | int | float | bool | dict[str, Any]
"""A claim's value: a JSON scalar or object. A JSON array is a repeated claim, a JSON null no claim at all."""

RESERVED_TYPES = frozenset({"aud", "exp", "iat", "nbf", "iss", "actort", "acr", "azp", "c_hash", "jti", "nonce"})
"""Types that the token needs for itself; a claim of such a type travels as ``asrs.u.<type>``."""

SYSTEM_PREFIX = "asrs.s."
USER_PREFIX = "asrs.u."


@dataclass(frozen=True, slots=True)
class Claims:
    """Immutable (type, value) pairs in their order; a type may repeat.

    Attributes:
        pairs: The claims. Use `Claims.of` to make them from a mapping.
    """

    pairs: tuple[tuple[str, ClaimValue], ...] = ()

    @classmethod
    def of(cls, source: "ClaimsSource") -> "Claims":
        """Return claims made from a mapping or from (type, value) pairs.

        A list, tuple or set as a value makes one claim of each item; ``None`` makes none. JSON objects are copied:
        who changes the one that was given changes no claim.

        Raises:
            InvalidClaim: A type is not a non-empty text, or a value is nothing that JSON can hold; or the source is
                neither a mapping nor pairs.
        """
        if isinstance(source, Claims):
            return source
        return cls(_flatten(source.items() if isinstance(source, Mapping) else source))

    def get(self, claim_type: str, default: Any = None) -> Any:
        """Return the first value of a type, or the default."""
        for known, value in self.pairs:
            if known == claim_type:
                return value
        return default

    def all(self, claim_type: str) -> tuple[ClaimValue, ...]:
        """Return every value of a type, in their order."""
        return tuple(value for known, value in self.pairs if known == claim_type)

    def types(self) -> tuple[str, ...]:
        """Return the types, each once, in their order."""
        return tuple(dict.fromkeys(claim_type for claim_type, _ in self.pairs))

    def keep(self, wanted: Callable[[str], bool]) -> "Claims":
        """Return the claims whose type the predicate wants."""
        return Claims(tuple(pair for pair in self.pairs if wanted(pair[0])))

    def __iter__(self) -> Iterator[tuple[str, ClaimValue]]:
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __contains__(self, claim_type: object) -> bool:
        return any(known == claim_type for known, _ in self.pairs)

    def __add__(self, other: "Claims") -> "Claims":
        return Claims(self.pairs + other.pairs)


ClaimsSource = Claims | Mapping[str, Any] | Iterable[tuple[str, Any]]

NO_CLAIMS = Claims()


def short_name(claim_type: str) -> str:
    """Return the short name that a JWT uses for a claim type; a type without one is its own short name.

    Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR.Common/Auth/ClaimTypeMapping.cs.
    """
    return SHORT_NAMES.get(claim_type, claim_type)


def customer_claims(claims: Claims, *, may_name_user: bool = True) -> Iterator[tuple[str, ClaimValue]]:
    """Yield an app's claims under the names that they carry in a service token.

    The first ``sub`` stays, further ones and the reserved types go under ``asrs.u.``; long .NET types get their
    short names, after that check and not before it, as in the SDK.

    Args:
        claims: The app's.
        may_name_user: Whether ``sub`` and ``nameid`` keep their names. In a token without ``asrs.s.uid`` the service
            takes them for the user id; under ``asrs.u.`` it does not.

    Raises:
        InvalidClaim: A type begins with ``asrs.s.``: those speak for the service, ``asrs.s.uid`` names the user.
            The SDK lets them pass.

    Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR.Common/Utilities/ClaimsUtility.cs.
    """
    has_subject = not may_name_user
    for claim_type, value in claims.pairs:
        if claim_type == "sub":
            yield (USER_PREFIX + "sub" if has_subject else "sub"), _plain_text(value)  # a text by RFC 7519 §4.1.2
            has_subject = True
        elif claim_type in RESERVED_TYPES:
            yield USER_PREFIX + claim_type, _plain_text(value)
        elif claim_type[:7].casefold() == SYSTEM_PREFIX:
            raise InvalidClaim(claim_type, f"types that begin with {SYSTEM_PREFIX!r} are the service's own")
        else:
            name = SHORT_NAMES.get(claim_type, claim_type)
            yield (name if may_name_user or name != "nameid" else USER_PREFIX + name), value


def merge_claims(pairs: Iterable[tuple[str, ClaimValue]]) -> dict[str, Any]:
    """Return a JWT payload of (type, value) pairs: repeated types become arrays in their order."""
    payload: dict[str, Any] = {}
    for claim_type, value in pairs:
        if claim_type not in payload:
            payload[claim_type] = value
        elif isinstance(known := payload[claim_type], list):
            known.append(value)
        else:
            payload[claim_type] = [known, value]
    return payload


def _no_pairs(found: object) -> InvalidClaim:
    form = 'claims are a mapping or (type, value) pairs, such as {"role": ["staff"]}'
    return InvalidClaim("(unknown)", f"{form}, and this is {kind_of(found)}")  # the value may be a secret


_PAIR = (tuple, list)  # constants: `tuple | list` would be made anew for each claim
_REPEATED = (list, tuple, set, frozenset)


def _flatten(source: object) -> tuple[tuple[str, ClaimValue], ...]:
    """Return (type, value) pairs, each value a single one; a text of two letters would pass for a pair."""
    if isinstance(source, str) or not isinstance(source, Iterable):
        raise _no_pairs(source)
    pairs: list[tuple[str, ClaimValue]] = []
    for item in source:
        if not isinstance(item, _PAIR) or len(item) != 2:
            raise _no_pairs(item)
        claim_type, value = item
        if not isinstance(claim_type, str) or not claim_type:
            raise InvalidClaim(str(claim_type), "a claim's type must be a non-empty text")
        if type(value) is str:
            pairs.append((claim_type, value))
        elif isinstance(value, _REPEATED):
            pairs.extend((claim_type, _checked(claim_type, each)) for each in value)
        elif value is not None:
            pairs.append((claim_type, _checked(claim_type, value)))
    return tuple(pairs)


def _checked(claim_type: str, value: Any) -> ClaimValue:
    if isinstance(value, str):
        return str.__str__(value)  # of an enumeration or another kind of text, the text itself
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        if value.bit_length() > 64:
            raise InvalidClaim(claim_type, "a number of more than 64 bits, which other readers of JSON do not take")
        return int(value)  # of an enumeration or another kind of number, the number itself
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidClaim(claim_type, "JSON has no number for infinity and NaN")
        return float(value)
    if isinstance(value, dict):
        return _json_object(claim_type, value)
    kind = kind_of(value)
    raise InvalidClaim(claim_type, f"{kind} is no claim value; give a text, number, boolean or JSON object")


def _json_object(claim_type: str, value: dict[Any, Any]) -> dict[str, Any]:
    """Return a copy that holds what a reader of the token will see, or refuse: there is no silent change."""
    try:
        copy = msgspec.json.decode(msgspec.json.encode(value), type=dict[str, Any])
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise InvalidClaim(claim_type, f"the object holds what JSON cannot ({exc})") from exc
    if copy != value:
        raise InvalidClaim(claim_type, "the object holds what JSON cannot hold as it is, such as NaN or a tuple")
    return copy


def _plain_text(value: ClaimValue) -> str:
    """Return a value as the SDK writes it into a claim that it renames: as text, whatever it was."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
