"""Keys, tokens and requests for the tests of bearer tokens."""

import json
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from flask import Request
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

SECRET = "a-shared-secret-that-only-tests-use-0123456789-0123456789-abcdef"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_CURVES: Mapping[str, ec.EllipticCurve] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
    "secp256k1": ec.SECP256K1(),
}


@cache
def rsa_key(name: str = "first", bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return an RSA key, the same one for the same name."""
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(curve: str = "P-256") -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(_CURVES[curve])


@cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def public_pem(key: PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def private_pem(key: PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def jwk(key: PrivateKey, kid: str | None = "k1", **members: Any) -> dict[str, Any]:
    """Return the public JSON Web Key of a key, with further members."""
    if isinstance(key, rsa.RSAPrivateKey):
        facts: dict[str, Any] = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        del facts["key_ops"]
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        facts = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    else:
        facts = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return facts | ({"kid": kid} if kid is not None else {}) | members


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a token that is good for ten minutes; a change to ``...`` leaves a claim out."""
    usual = {"sub": "ada", "exp": int(time.time()) + 600}
    return {name: value for name, value in (usual | changes).items() if value is not ...}


def token(
    key: PrivateKey | str = SECRET,
    algorithm: str = "HS256",
    *,
    header: Mapping[str, Any] | None = None,
    **changes: Any,
) -> str:
    """Return a signed token with `claims`."""
    return sign(json.dumps(claims(**changes)).encode(), key, algorithm, header)


def sign(
    payload: bytes,
    key: PrivateKey | str = SECRET,
    algorithm: str = "HS256",
    header: Mapping[str, Any] | None = None,
) -> str:
    """Return a signed token with a payload of any bytes."""
    return jwt.PyJWS().encode(payload, key, algorithm, headers=dict(header or {}))


def bearing(token: str) -> Request:
    """Return a negotiate request with a bearer token in its header."""
    return request_with({"Authorization": f"Bearer {token}"})


def request_with(headers: Mapping[str, str] | None = None, query: str = "negotiateVersion=1") -> Request:
    builder = EnvironBuilder("/chat/negotiate", method="POST", query_string=query, headers=Headers(dict(headers or {})))
    return Request(builder.get_environ())


def is_signed(token: str, key: str) -> bool:
    """Return whether a service token was signed with this access key."""
    try:
        jwt.decode(token, key, ["HS256", "HS512"], options={"verify_aud": False})
    except jwt.InvalidSignatureError:
        return False
    return True
