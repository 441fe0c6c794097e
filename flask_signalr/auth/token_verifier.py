"""The verifier of bearer tokens: PyJWT verifies, this module sets its rules and puts its refusals into words."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
import msgspec

from flask_signalr.auth.key_set import KeySet
from flask_signalr.auth.verification_key import FixedKey
from flask_signalr.errors import AuthenticationFailed

LAST_SECOND = 253_402_300_799
"""The end of the year 9999 in Unix seconds, the last that Python's datetime can show."""

_REASONS: Mapping[type[Exception], str] = {
    jwt.ExpiredSignatureError: "the bearer token has expired (exp)",
    jwt.ImmatureSignatureError: "the bearer token is not valid yet (nbf or iat)",
    jwt.InvalidAudienceError: "the bearer token is for another audience (aud)",
    jwt.InvalidIssuerError: "the bearer token is from another issuer (iss)",
    jwt.InvalidSignatureError: "the bearer token's signature is wrong",
    jwt.InvalidAlgorithmError: "the bearer token is signed with an algorithm that is not accepted here (alg)",
    jwt.InvalidIssuedAtError: "the bearer token's time of issue is no number (iat)",
    jwt.PyJWTError: "the bearer token is malformed",
}


class _StrictJWT(jwt.PyJWT):
    """PyJWT that reads a payload by the letter of RFC 8259, where Python's ``json`` is lenient."""

    def _decode_payload(self, decoded: dict[str, Any]) -> dict[str, Any]:
        """Return the claims of a token; PyJWT offers this method for overriding.

        Refused are duplicate names (RFC 7519 §4), NaN and numbers out of range, lone surrogates and encodings other
        than UTF-8: what two readers could read differently, and what fails only later when it is written again.
        """
        payload = decoded["payload"]
        try:
            claims = _PAYLOAD.decode(payload)
            _UNIQUE_NAMES.raw_decode(payload.decode().lstrip())  # what follows it has been read above
        except (ValueError, RecursionError) as exc:
            raise jwt.DecodeError("the payload is no JSON object") from exc
        return claims


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a name occurs twice")


_PAYLOAD = msgspec.json.Decoder(dict[str, Any])
_UNIQUE_NAMES = json.JSONDecoder(object_pairs_hook=_unique)
_UNVERIFIED = _StrictJWT()
_VERIFIED = _StrictJWT({"require": ["exp"]})


@dataclass(frozen=True)
class TokenVerifier:
    """What a bearer token must fulfil.

    Attributes:
        keys: The key, or the keys, that may have signed it, and the algorithms that it may name.
        issuer: What ``iss`` must be; ``None`` if it may be anything.
        audience: One of these must be in ``aud``; ``None`` if there must be no ``aud`` (RFC 7519 §4.1.3).
        leeway: Seconds that clocks may differ by.
    """

    keys: FixedKey | KeySet
    issuer: str | None
    audience: tuple[str, ...] | None
    leeway: float

    def verify(self, token: str) -> dict[str, Any] | None:
        """Return the claims of a token, or ``None`` when it is from another issuer than the one demanded.

        Raises:
            AuthenticationFailed: The token is wrong; the text says what is, without a word of the token.
            IdentityProviderUnavailable: The keys are not to be had.
        """
        try:
            key = self.keys.key if isinstance(self.keys, FixedKey) else self._published_key(self.keys, token)
            if key is None:
                return None
            verified = _VERIFIED.decode_complete(
                token, key, self.keys.algorithms, audience=self.audience, issuer=self.issuer, leeway=self.leeway
            )
        except jwt.PyJWTError as exc:
            if self._is_foreign(token):
                return None
            raise AuthenticationFailed(self._reason(exc)) from exc
        if "crit" in verified["header"]:  # RFC 7515 §4.1.11: nothing is understood here that could stand in it
            raise AuthenticationFailed("the bearer token demands an extension that is not supported (crit)")
        claims: dict[str, Any] = verified["payload"]
        expiry = claims["exp"]
        if type(expiry) is not int or not 0 < expiry <= LAST_SECOND:
            raise AuthenticationFailed("the bearer token's expiry must be whole seconds up to the year 9999 (exp)")
        return claims

    def _published_key(self, keys: KeySet, token: str) -> jwt.PyJWK | None:
        """Return the key of a set that a token names, or ``None`` if the token is from another issuer.

        Nothing is fetched for a token of another issuer or algorithm: somebody else's provider may be down.
        """
        unverified = _read(token)
        if self._is_from_another_issuer(unverified["payload"]):
            return None
        algorithm = unverified["header"].get("alg")
        if algorithm not in self.keys.algorithms:
            raise jwt.InvalidAlgorithmError
        return keys.find(unverified["header"].get("kid"), algorithm)

    def _is_foreign(self, token: str) -> bool:
        if self.issuer is None:
            return False
        try:
            return self._is_from_another_issuer(_read(token)["payload"])
        except jwt.PyJWTError:
            return False

    def _is_from_another_issuer(self, claims: Mapping[str, Any]) -> bool:
        return self.issuer is not None and claims.get("iss") != self.issuer

    def _reason(self, failure: jwt.PyJWTError) -> str:
        if isinstance(failure, jwt.MissingRequiredClaimError):
            return f"the bearer token lacks the claim {failure.claim!r}"
        if isinstance(failure, jwt.InvalidAudienceError) and self.audience is None:
            return "the bearer token is for an audience (aud), and none is configured here"
        return next(_REASONS[kind] for kind in type(failure).__mro__ if kind in _REASONS)


def _read(token: str) -> dict[str, Any]:
    """Return what a token says, unverified: good for choosing who verifies it, and for nothing else."""
    return _UNVERIFIED.decode_complete(token, options={"verify_signature": False})
