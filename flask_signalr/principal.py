"""The caller: a principal, the user id made of it, and the claims of it that enter the service token."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from flask_signalr.claims import NO_CLAIMS, Claims, ClaimsSource, short_name
from flask_signalr.error_text import kind_of
from flask_signalr.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Principal:
    """Who the caller is, as an auth scheme proved it.

    Attributes:
        name: The name that the scheme vouches for; ``None`` only on `ANONYMOUS`.
        claims: What else the scheme vouches for. Any form that `Claims.of` takes may be given.
        scheme: The authentication type, such as ``Cookie`` or ``Bearer``; ``None`` only on `ANONYMOUS`.
            A scheme may leave it out: then it is ``Bearer``, ASP.NET's default, and stays out of the token.
        expires_at: When this sign-in ends, in whole Unix seconds; ``None`` when the scheme knows no end.

    Raises:
        TypeError: The name, the scheme or the time is nothing of the kind.
        InvalidClaim: As `Claims.of`.
    """

    name: str | None
    claims: Claims = NO_CLAIMS
    scheme: str | None = "Bearer"
    expires_at: int | None = None

    def __init__(
        self,
        name: str | None,
        claims: ClaimsSource = NO_CLAIMS,
        scheme: str | None = "Bearer",
        expires_at: float | None = None,
    ) -> None:
        if not (name is None or isinstance(name, str)):
            raise _no_text("name", name)
        if not (scheme is None or isinstance(scheme, str)):
            raise _no_text("scheme", scheme)
        if expires_at is not None and type(expires_at) is not int:
            expires_at = _whole_seconds(expires_at)
        set_attribute = object.__setattr__
        set_attribute(self, "name", name)
        set_attribute(self, "claims", Claims.of(claims))
        set_attribute(self, "scheme", scheme)
        set_attribute(self, "expires_at", expires_at)

    @property
    def is_authenticated(self) -> bool:
        """Whether an auth scheme proved who this is."""
        return self.scheme is not None


def _no_text(field: str, value: object) -> TypeError:
    return TypeError(f"Principal({field}=…) takes a str or None, not {kind_of(value)}")


def _whole_seconds(expires_at: object) -> int:
    if isinstance(expires_at, bool) or not isinstance(expires_at, int | float):
        raise TypeError(f"Principal(expires_at=…) takes Unix seconds or None, not {kind_of(expires_at)}")
    return int(expires_at)


ANONYMOUS = Principal(None, scheme=None)
"""The caller that no scheme knows; only a hub with ``allow_anonymous=True`` sees it."""

UserIdProvider = Callable[[Principal], str | None]
"""Makes the user id, the text that the service routes by; ``None`` connects without one."""

ClaimsFilter = Callable[[Principal], Claims]
"""Chooses the claims that enter the service token; it may rename and add."""

CollisionGuard = Callable[[str, Principal], bool]
"""Says whether a user id may stand for this principal; ``False`` refuses the caller."""


# User id providers. Only a principal feeds them: a client can never name its own user id.


def by_name(principal: Principal) -> str | None:
    """Return the principal's name as its user id: stripped, without case if it has the form of an address."""
    return canonical_user_id(principal.name)


def by_email(principal: Principal) -> str | None:
    """Return the principal's e-mail address as its user id: stripped and without case.

    An address that the identity provider says is unverified (``email_verified`` is there and not true) is none:
    whoever can type any address into a profile must not become its owner.
    """
    if any(verified not in (True, "true", "True") for verified in principal.claims.all("email_verified")):
        return None
    return _claim_text(principal, "email")


def by_claim(claim_type: str) -> UserIdProvider:
    """Return a provider that takes the first value of a claim type, such as ``oid``, as the user id.

    Of ``email`` it is `by_email`, which asks whether the address is verified.
    """
    if short_name(claim_type) == "email":
        return by_email

    def by_this_claim(principal: Principal) -> str | None:
        return _claim_text(principal, claim_type)

    return by_this_claim


def canonical_user_id(text: str | None) -> str | None:
    """Return the one form of a user id: stripped, an e-mail address or UPN without case, ``None`` if empty.

    Case goes, letters stay: a letter whose other case is several letters or belongs to another letter is left
    alone, or ``straße@…`` and ``strasse@…``, two mailboxes, would be one user.
    """
    if text is None:
        return None
    text = text.strip(" \t\r\n")  # odder blanks make another name, or one could be made that passes for it
    if "@" in text:
        text = text.lower() if text.isascii() else "".join(map(_without_case, text))
    return text or None


def _without_case(letter: str) -> str:
    lower = letter.lower()
    return lower if lower.upper() == letter else letter


def _claim_text(principal: Principal, claim_type: str) -> str | None:
    for known, value in principal.claims.pairs:
        if (known == claim_type or short_name(known) == claim_type) and not isinstance(value, dict | bool):
            return canonical_user_id(str(value))
    return None


# Claims filters.


def nothing(principal: Principal) -> Claims:
    """Let no claim into the service token; the default."""
    return NO_CLAIMS


def everything(principal: Principal) -> Claims:
    """Let every claim into the service token: everybody who holds the token can read them."""
    return principal.claims


def only(*claim_types: str) -> ClaimsFilter:
    """Return a filter that lets these claim types pass, under their long .NET name or their short one.

    Raises:
        ConfigurationError: One is no text, such as a list of several.
    """
    _check_types('only(…) takes claim types one by one, as only("role", "email")', claim_types)
    return _Only(frozenset(claim_types))


def rename(new_types: Mapping[str, str], claims_filter: ClaimsFilter | None = None) -> ClaimsFilter:
    """Return a filter that renames claim types and lets pass what another filter chooses.

    Args:
        new_types: Old type, under its long .NET name or its short one, to new type.
        claims_filter: What passes, seen before the renaming; without it exactly the renamed claims.

    Raises:
        ConfigurationError: It is no mapping of texts to texts, or the filter cannot be called.
    """
    if not isinstance(new_types, Mapping):
        raise ConfigurationError(_RENAME)
    _check_types(_RENAME, (*new_types, *new_types.values()))
    if not (claims_filter is None or callable(claims_filter)):
        raise ConfigurationError("rename(…, claims_filter) takes a callable of one principal")
    return _Rename(tuple(new_types.items()), claims_filter or only(*new_types))


_RENAME = 'rename(…) takes a mapping of old claim types to new ones, as rename({"groups": "role"})'


def _check_types(usage: str, claim_types: Iterable[object]) -> None:
    for claim_type in claim_types:
        if not isinstance(claim_type, str):
            raise ConfigurationError(f"{usage}; {kind_of(claim_type)} is no claim type")


def passing_types(claims_filter: ClaimsFilter, claim_types: Iterable[str]) -> frozenset[str] | None:
    """Return the types that a filter of this module lets out when claims of these types, and of its own, come in.

    ``None`` for any other filter: it may look at what no trial knows.
    """
    known = _known_types(claims_filter)
    if known is None:
        return None
    trial = Principal("trial", Claims(tuple((claim_type, "trial") for claim_type in (*claim_types, *known))))
    return frozenset(claims_filter(trial).types())


def _known_types(claims_filter: ClaimsFilter) -> frozenset[str] | None:
    if claims_filter is nothing or claims_filter is everything:
        return frozenset()
    if isinstance(claims_filter, _Only):
        return claims_filter.claim_types
    if isinstance(claims_filter, _Rename):
        inner = _known_types(claims_filter.claims_filter)
        return None if inner is None else inner | dict(claims_filter.new_types).keys()
    return None


@dataclass(frozen=True)
class _Only:
    """What `only` returns: a value, so that its types can be asked for."""

    claim_types: frozenset[str]

    def __call__(self, principal: Principal) -> Claims:
        wanted = self.claim_types
        return principal.claims.keep(lambda known: known in wanted or short_name(known) in wanted)


@dataclass(frozen=True)
class _Rename:
    """What `rename` returns."""

    new_types: tuple[tuple[str, str], ...]
    claims_filter: ClaimsFilter

    def __call__(self, principal: Principal) -> Claims:
        names = dict(self.new_types)
        chosen = self.claims_filter(principal)
        return Claims(
            tuple((names.get(known) or names.get(short_name(known), known), value) for known, value in chosen)
        )
