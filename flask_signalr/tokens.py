"""Signing the JWTs that the service asks for. What a caller brings is verified by PyJWT, elsewhere."""

import hashlib
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from flask_signalr.claims import SYSTEM_PREFIX, ClaimValue, merge_claims
from flask_signalr.errors import AccessTokenTooLong, InvalidClaim

ALGORITHMS = ("HS256", "HS512")

TOKEN_LIMIT = 4096
"""Characters of a token that the service accepts (``AuthUtility.cs``)."""

_encode_json = msgspec.json.Encoder().encode
_NOT_JSON = (TypeError, ValueError, OverflowError, RecursionError)


_Prepared = tuple[bytes, Any, Any]
"""The beginning of a token, and the two hashes that HMAC begins with."""


class SigningKey:
    """An access key, made ready to sign.

    HMAC (RFC 2104) hashes its key twice before the message. Both states are computed once and copied for each
    token, which halves the time of a signature.

    Args:
        access_key: The key as it stands in the connection string; it looks like base64 and is not decoded.
        key_id: The ``kid`` of the tokens; none for a local access key.

    Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR.Common/Auth/AuthUtility.cs.
    """

    # An app with many endpoints has many keys, each of which is seldom in the processor's cache: the less of it a
    # signature touches, the better.
    __slots__ = ("_hs256", "_hs512", "_key", "key_id")

    def __init__(self, access_key: str, key_id: str | None = None) -> None:
        self.key_id = key_id
        self._key = access_key.encode()
        self._hs256 = self._prepared("HS256", hashlib.sha256)
        self._hs512: _Prepared | None = None  # hardly anybody asks for it

    def _prepared(self, algorithm: str, new_hash: Callable[[bytes], Any]) -> _Prepared:
        headers = _headers(self.key_id) if self.key_id else _HEADERS
        return (headers[algorithm], *_hmac_states(new_hash, self._key))

    def sign(self, payload: bytes, algorithm: str) -> str:
        """Return the compact JWT (RFC 7519) of a payload, which must be JSON."""
        prepared = self._hs256 if algorithm == "HS256" else self._hs512
        if prepared is None:
            prepared = self._hs512 = self._prepared(algorithm, hashlib.sha512)
        header, inner, outer = prepared
        signing_input = header + _base64url(payload)
        return (signing_input + b"." + _base64url(_hmac(inner, outer, signing_input))).decode()

    def connection_digest(self, connection_id: str) -> bytes:
        """Return what the service signs an upstream request of a connection with: HMAC-SHA256 of the connection id."""
        _, inner, outer = self._hs256
        return _hmac(inner, outer, connection_id.encode())

    def __repr__(self) -> str:
        return f"SigningKey(key_id={self.key_id!r})"


def sign_access_token(
    key: SigningKey,
    audience: str,
    claims: Iterable[tuple[str, ClaimValue]],
    *,
    lifetime: int,
    now: int,
    algorithm: str = "HS256",
) -> str:
    """Return a signed access token for the service.

    Args:
        key: The service endpoint's key.
        audience: The ``aud`` claim: what the token opens.
        claims: The other claims, under the names that they carry in the token; repeated types become arrays.
        lifetime: Seconds that the token is valid, more than 0.
        now: The time, in Unix seconds.
        algorithm: ``HS256`` or ``HS512``.

    Raises:
        InvalidClaim: A claim's type or value cannot be written as JSON, such as a lone surrogate.
        AccessTokenTooLong: The token is longer than the service accepts.

    Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR.Common/Auth/JwtPayload.cs.
    """
    payload = merge_claims(claims)
    payload["nbf"] = now
    payload["exp"] = now + lifetime
    payload["iat"] = now
    payload["aud"] = audience
    try:
        encoded = _encode_json(payload)
    except _NOT_JSON as exc:
        raise _unwritable(payload, exc) from exc
    token = key.sign(encoded, algorithm)
    if len(token) > TOKEN_LIMIT:
        raise _too_long(len(token), len(encoded), payload)
    return token


def _hmac(inner: Any, outer: Any, message: bytes) -> bytes:
    inner = inner.copy()
    inner.update(message)
    outer = outer.copy()
    outer.update(inner.digest())
    digest: bytes = outer.digest()
    return digest


def _hmac_states(new_hash: Callable[[bytes], Any], key: bytes) -> tuple[Any, Any]:
    block_size = new_hash(b"").block_size
    if len(key) > block_size:
        key = new_hash(key).digest()
    block = key.ljust(block_size, b"\0")
    return new_hash(bytes(byte ^ 0x36 for byte in block)), new_hash(bytes(byte ^ 0x5C for byte in block))


_URL_ALPHABET = bytes.maketrans(b"+/", b"-_")


def _base64url(octets: bytes) -> bytes:
    """Encode as RFC 7515 §2 asks: base64url without padding."""
    return b2a_base64(octets, newline=False).translate(_URL_ALPHABET, b"=")


def _headers(key_id: str | None) -> dict[str, bytes]:
    """Return a token's beginning for each algorithm."""
    more = {"kid": key_id} if key_id else {}
    return {name: _base64url(_encode_json({"alg": name, "typ": "JWT"} | more)) + b"." for name in ALGORITHMS}


_HEADERS = _headers(None)


def _unwritable(payload: Mapping[str, Any], fault: Exception) -> InvalidClaim:
    """Return the error for the first claim that cannot be written, which is where the fault was found."""
    claim_type = next(known for known, value in payload.items() if not _is_writable({known: value}))
    if isinstance(fault, UnicodeEncodeError):
        shown = claim_type.encode("ascii", "backslashreplace").decode()
        return InvalidClaim(shown, "it holds a lone surrogate, half of a character, which no token can carry")
    return InvalidClaim(claim_type, f"its value is nothing that JSON can hold ({fault})")


def _is_writable(value: Any) -> bool:
    try:
        _encode_json(value)
    except _NOT_JSON:
        return False
    return True


def _too_long(length: int, payload_length: int, payload: Mapping[str, Any]) -> AccessTokenTooLong:
    """Return the error for a token that is too long; the lengths are the token's and that of its JSON payload."""
    json_sizes = {claim_type: _json_size(claim_type, value) for claim_type, value in payload.items()}
    largest_first = sorted(json_sizes, key=lambda claim_type: -json_sizes[claim_type])
    sizes = [(claim_type, _base64_length(json_sizes[claim_type])) for claim_type in largest_first]
    around_payload = length - _base64_length(payload_length)
    removed: list[str] = []
    for claim_type in largest_first:
        if claim_type in _TIMES_AND_AUDIENCE or claim_type.startswith(SYSTEM_PREFIX):
            continue  # no claims filter can take these away
        removed.append(claim_type)
        payload_length -= json_sizes[claim_type]
        if around_payload + _base64_length(payload_length) <= TOKEN_LIMIT:
            return AccessTokenTooLong(length, TOKEN_LIMIT, sizes, removed)
    return AccessTokenTooLong(length, TOKEN_LIMIT, sizes, ())


_TIMES_AND_AUDIENCE = frozenset({"nbf", "exp", "iat", "aud"})


def _json_size(claim_type: str, value: Any) -> int:
    """Return the bytes that a claim and its comma take in the payload."""
    return len(_encode_json({claim_type: value})) - len("{}") + len(",")


def _base64_length(size: int) -> int:
    """Return the characters of so many bytes: four for three, without padding."""
    return -(-size * 4 // 3)
