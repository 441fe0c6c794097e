"""Bearer tokens: JSON Web Tokens of a shared key, a public key, or an identity provider."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self, TypedDict, Unpack, cast

from flask import Request

from flask_signalr.auth.bearer_token import bearer_token
from flask_signalr.auth.identity_provider import HttpFetch, check_url, discover_key_set_url, fetch_keys
from flask_signalr.auth.key_set import Fetch, KeyFetching, KeySet
from flask_signalr.auth.scheme import AuthScheme
from flask_signalr.auth.token_verifier import TokenVerifier
from flask_signalr.auth.verification_key import (
    FixedKey,
    PublishedKey,
    demand_cryptography,
    key_set_algorithms,
)
from flask_signalr.error_text import kind_of
from flask_signalr.errors import AuthenticationFailed, ConfigurationError, InvalidClaim
from flask_signalr.principal import Principal

ToPrincipal = Callable[[Mapping[str, Any]], Principal]
"""Makes the principal of a verified token's claims; it may raise `AuthenticationFailed`."""

MAX_LEEWAY = 600
"""Seconds of the largest leeway: RFC 7519 §4.1.4 allows for clock skew, usually no more than a few minutes."""

# They speak of the token: how long it is good, for whom, which sign-in it belongs to. The others speak of the caller.
_ABOUT_THE_TOKEN = frozenset({"exp", "nbf", "iat", "jti", "aud", "nonce", "at_hash", "c_hash", "s_hash"})

_DEFAULT_FETCHING = KeyFetching()


class BearerOptions(TypedDict, total=False):
    """Keywords that `BearerAuth` and its two other constructors share; their meaning is told there."""

    algorithms: Sequence[str] | None
    leeway: float
    name_claim: str
    to_principal: ToPrincipal | None


class BearerAuth(AuthScheme):
    """Accepts JSON Web Tokens in ``Authorization: Bearer …`` or, second, in the query's ``access_token``.

    PyJWT verifies every token. ``exp`` must be there; ``nbf`` and ``iat`` must not be in the future. A token whose
    ``iss`` is not the configured issuer is left to the next scheme, so several issuers stand side by side.

    Args:
        key: The shared secret, or the PEM of a public key. A public key needs the extra ``jwks``.
        algorithms: What the token's ``alg`` may be, all of one kind. Without it ``HS256`` for a secret, and what
            goes with the key's type for a public key: ``RS256``, ``ES256``, ``ES384``, ``ES512`` or ``EdDSA``.
        issuer: What ``iss`` must be. Required when several schemes accept bearer tokens: without it, this one
            takes every token for its own.
        audience: What ``aud`` must be or hold; of several, one. Without it, a token that has an ``aud`` is refused:
            it is meant for somebody else (RFC 7519 §4.1.3).
        leeway: Seconds that the issuer's clock may differ.
        name_claim: The claim that becomes the principal's name: ``sub`` is unique and stays the same, names that
            people read (``preferred_username``, ``email``) may be neither.
        to_principal: Makes the principal of all the token's claims, in place of `name_claim`. The principal never
            outlives the token.

    Raises:
        ConfigurationError: A keyword is missing, wrong, or does not go with the key.
        MissingExtra: The key needs the extra ``jwks``.
    """

    def __init__(
        self,
        key: str | bytes | KeySet,
        *,
        algorithms: Sequence[str] | None = None,
        issuer: str | None = None,
        audience: str | Sequence[str] | None = None,
        leeway: float = 0,
        name_claim: str = "sub",
        to_principal: ToPrincipal | None = None,
    ) -> None:
        self._verifier = TokenVerifier(
            key if isinstance(key, KeySet) else FixedKey.of(key, algorithms),
            _checked_text("issuer", issuer) if issuer is not None else None,
            _checked_audience(audience) if audience is not None else None,
            _checked_leeway(leeway),
        )
        self._name_claim = _checked_text("name_claim", name_claim)
        if not (to_principal is None or callable(cast("object", to_principal))):
            raise ConfigurationError("BearerAuth(to_principal=…): give a function of the token's claims")
        self._to_principal = to_principal

    @classmethod
    def jwks(
        cls,
        url: str,
        *,
        issuer: str,
        audience: str | Sequence[str],
        fetching: KeyFetching = _DEFAULT_FETCHING,
        **options: Unpack[BearerOptions],
    ) -> Self:
        """Return a scheme for tokens that a JSON Web Key Set verifies (RFC 7517).

        Nothing is fetched before the first token comes.

        Args:
            url: Where the key set is; https, or http on this machine.
            issuer: What ``iss`` must be.
            audience: What ``aud`` must be or hold; of several, one.
            fetching: How long keys are kept, how often and how they are fetched.
            **options: As in `BearerAuth`. Without `algorithms`, all those of public keys; each key of the set is used
                with its own kind only.

        Raises:
            ConfigurationError: A keyword is missing or wrong.
            MissingExtra: The extra ``jwks`` is not installed.
        """
        check_url(url, "url")
        return cls._of_key_set(url, partial(_keys_at, url), issuer, audience, fetching, options)

    @classmethod
    def oidc(
        cls,
        issuer: str,
        *,
        audience: str | Sequence[str],
        fetching: KeyFetching = _DEFAULT_FETCHING,
        **options: Unpack[BearerOptions],
    ) -> Self:
        """Return a scheme for the tokens of an OpenID Connect provider, whose keys are found by discovery.

        Nothing is fetched before the first token comes.

        Args:
            issuer: The provider's issuer, to the letter as its discovery document and its tokens have it; a slash at
                the end counts.
            audience: What ``aud`` must be or hold; of several, one.
            fetching: How long keys are kept, how often and how they are fetched.
            **options: As in `BearerAuth.jwks`.

        Raises:
            ConfigurationError: A keyword is missing or wrong.
            MissingExtra: The extra ``jwks`` is not installed.

        Source: OpenID Connect Discovery 1.0 §4.
        """
        if check_url(issuer, "issuer").query:
            raise ConfigurationError("BearerAuth(issuer=…): an issuer has no query")
        return cls._of_key_set(issuer, partial(_keys_of, issuer), issuer, audience, fetching, options)

    @classmethod
    def _of_key_set(
        cls,
        name: str,
        load: Callable[[Fetch, tuple[str, ...]], tuple[PublishedKey, ...]],
        issuer: str,
        audience: str | Sequence[str],
        fetching: KeyFetching,
        options: BearerOptions,
    ) -> Self:
        for keyword, value in (("issuer", issuer), ("audience", audience)):
            if value is None:
                raise ConfigurationError(
                    f"BearerAuth({keyword}=…): required with a key set, or any token of that provider would do"
                )
        demand_cryptography("BearerAuth with a key set")
        algorithms = key_set_algorithms(options.pop("algorithms", None))
        fetch = fetching.fetch or HttpFetch(fetching.timeout)
        keys = KeySet(name, algorithms, partial(load, fetch, algorithms), fetching)
        return cls(keys, issuer=issuer, audience=audience, **options)

    @property
    def issuer(self) -> str | None:
        """What ``iss`` must be; ``None`` if it may be anything."""
        return self._verifier.issuer

    def authenticate(self, request: Request) -> Principal | None:
        """Return the principal of the bearer token; ``None`` without one, or with one of another issuer.

        Raises:
            AuthenticationFailed: The token is malformed, wrong, expired or for somebody else.
            IdentityProviderUnavailable: The keys that verify it cannot be fetched.
        """
        token = bearer_token(request)
        if token is None:
            return None
        claims = self._verifier.verify(token)
        if claims is None:
            return None
        try:
            return self._principal(claims)
        except InvalidClaim as exc:
            raise AuthenticationFailed(f"the bearer token cannot be used: {exc}") from exc

    def challenge(self) -> str:
        """Return the challenge of RFC 6750 §3."""
        return "Bearer"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._verifier!r})"

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        # Accepted until its expiry and the leeway are over, by this clock: that is when the sign-in ends.
        expires_at = claims["exp"] + int(self._verifier.leeway)
        if self._to_principal is not None:
            principal: object = self._to_principal(claims)
            if not isinstance(principal, Principal):  # None as well: whoever refuses a verified token says so
                raise TypeError(f"BearerAuth(to_principal=…) returned {kind_of(principal)}, not a Principal")
            if principal.expires_at is None or principal.expires_at > expires_at:
                principal = replace(principal, expires_at=expires_at)
            return principal
        name = claims.get(self._name_claim)
        if not isinstance(name, str) or not name.strip():
            raise AuthenticationFailed(f"the bearer token has no name in its claim {self._name_claim!r}")
        about_the_caller = [pair for pair in claims.items() if pair[0] not in _ABOUT_THE_TOKEN]
        if not claims.get("email_verified", True):  # null and [] would be no claim at all, and the address a good one
            about_the_caller.append(("email_verified", False))
        return Principal(name, about_the_caller, "Bearer", expires_at)


def _keys_at(url: str, fetch: Fetch, algorithms: tuple[str, ...]) -> tuple[PublishedKey, ...]:
    return fetch_keys(fetch, url, algorithms)


def _keys_of(issuer: str, fetch: Fetch, algorithms: tuple[str, ...]) -> tuple[PublishedKey, ...]:
    return fetch_keys(fetch, discover_key_set_url(fetch, issuer), algorithms)


def _checked_text(keyword: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"BearerAuth({keyword}=…): give a text that is not empty")
    return value


def _checked_audience(audience: str | Sequence[str]) -> tuple[str, ...]:
    audiences = (audience,) if isinstance(audience, str) else tuple(audience)
    if not audiences:
        raise ConfigurationError("BearerAuth(audience=…): the list is empty")
    return tuple(_checked_text("audience", one) for one in audiences)


def _checked_leeway(leeway: object) -> float:
    if isinstance(leeway, bool) or not isinstance(leeway, int | float) or not 0 <= leeway <= MAX_LEEWAY:
        raise ConfigurationError(f"BearerAuth(leeway=…): give seconds from 0 to {MAX_LEEWAY}")
    return leeway
