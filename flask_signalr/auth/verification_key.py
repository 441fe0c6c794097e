"""Keys that verify bearer tokens: a shared secret, a PEM public key, or the members of a JSON Web Key Set."""

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jwt
import msgspec
from jwt.algorithms import HMACAlgorithm

from flask_signalr.errors import ConfigurationError, MissingExtra

if TYPE_CHECKING:
    from jwt.algorithms import AllowedPublicKeys

_HASHES = {"HS256": HMACAlgorithm.SHA256, "HS384": HMACAlgorithm.SHA384, "HS512": HMACAlgorithm.SHA512}

# Which algorithms a key fits, by its type and curve (RFC 7518 §3.1, RFC 8037); the first is the default of a PEM key.
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_FITTING: Mapping[tuple[str, str | None], tuple[str, ...]] = {
    ("RSA", None): _RSA,
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
    ("OKP", "Ed448"): ("EdDSA",),
}

SYMMETRIC = tuple(_HASHES)
"""Algorithms of a shared secret."""

ASYMMETRIC = (*_RSA, "ES256", "ES384", "ES512", "EdDSA")
"""Algorithms of public keys."""

MAX_KEYS = 100
"""Keys that a key set may have; identity providers publish a handful."""

_MIN_RSA_BITS = 2048  # RFC 7518 §3.3

_PEM_REMEDY = (
    "give the block from '-----BEGIN PUBLIC KEY-----' on; 'openssl pkey -pubout' prints it for a private key, "
    "'openssl x509 -pubkey -noout' for a certificate"
)


@dataclass(frozen=True)
class FixedKey:
    """A key that is given in code, with the algorithms that a token may name.

    Attributes:
        key: What PyJWT verifies with.
        algorithms: At least one, all of the key's own kind.
    """

    key: "jwt.PyJWK | AllowedPublicKeys | bytes" = field(repr=False)
    algorithms: tuple[str, ...]

    @classmethod
    def of(cls, key: str | bytes, algorithms: Sequence[str] | None = None) -> "FixedKey":
        """Return the key of a shared secret or of a PEM public key.

        Raises:
            ConfigurationError: The key is unusable, or an algorithm does not go with it. A public key is refused as
                a shared secret: everybody knows it, so everybody could sign with it.
            MissingExtra: A PEM key needs the extra ``jwks``.
        """
        octets = _octets(key)
        names = checked_algorithms(algorithms) if algorithms is not None else None
        if b"-----BEGIN" in octets:
            return cls._of_pem(octets, names)
        return cls._of_secret(octets, names or SYMMETRIC[:1])

    @classmethod
    def _of_secret(cls, secret: bytes, algorithms: tuple[str, ...]) -> "FixedKey":
        _demand_fitting(algorithms, SYMMETRIC, "a shared secret")
        for name in algorithms:
            size = _HASHES[name]().digest_size
            if len(secret) < size:
                raise ConfigurationError(
                    f"BearerAuth: the shared secret has {len(secret)} bytes and {name} needs {size} or more "
                    f"(RFC 7518 §3.2); \"python -c 'import secrets; print(secrets.token_urlsafe({size}))'\" makes one"
                )
        if _is_bare_public_key(secret):
            raise ConfigurationError(
                "BearerAuth: the key is a public key without its frame, and everybody knows it; write it as PEM, "
                "with a line '-----BEGIN PUBLIC KEY-----' before it and '-----END PUBLIC KEY-----' behind it"
            )
        try:
            HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
        except jwt.PyJWTError as exc:
            raise ConfigurationError(f"BearerAuth: the key cannot be a shared secret: {exc}") from exc
        return cls(_prepared(secret, algorithms[0]) if len(algorithms) == 1 else secret, algorithms)

    @classmethod
    def _of_pem(cls, pem: bytes, algorithms: tuple[str, ...] | None) -> "FixedKey":
        if algorithms is not None:
            _demand_fitting(algorithms, ASYMMETRIC, "a public key")
        demand_cryptography("BearerAuth with a public key")
        key, fitting = _load_pem(pem)
        if algorithms is not None:
            _demand_fitting(algorithms, fitting, "this public key")
        return cls(key, algorithms or fitting[:1])


def _is_bare_public_key(secret: bytes) -> bool:
    """Return whether a text is the base64 of an ASN.1 sequence that fills it, as key pages show public keys."""
    try:
        der = b64decode(b"".join(secret.split()), validate=True)
    except ValueError:
        return False
    if len(der) < 4 or der[0] != 0x30:
        return False
    if der[1] < 0x80:
        return der[1] == len(der) - 2
    width = der[1] & 0x7F
    return int.from_bytes(der[2 : 2 + width]) == len(der) - 2 - width


@dataclass(frozen=True)
class PublishedKey:
    """A usable member of a JSON Web Key Set.

    Attributes:
        kid: Its key id; ``None`` if it has none.
        by_algorithm: What PyJWT verifies with, one for each algorithm that the key may be used with.
    """

    kid: str | None
    by_algorithm: Mapping[str, jwt.PyJWK] = field(repr=False)


class _Facts(msgspec.Struct):
    """What decides whether a JSON Web Key may verify a token (RFC 7517 §4)."""

    kty: str
    crv: str | None = None
    kid: str | None = None
    use: str | None = None
    alg: str | None = None
    key_ops: list[str] | None = None
    d: Any = None


def checked_algorithms(names: Sequence[str]) -> tuple[str, ...]:
    """Return a list of algorithms as given in code, after a check that it is one.

    Raises:
        ConfigurationError: It is empty, no list, or names what no key here may be used with, such as ``none``.
    """
    if isinstance(names, str) or not names:
        raise ConfigurationError(f"BearerAuth(algorithms=…): give a list such as ['RS256'], not {names!r}")
    for name in names:
        if name not in SYMMETRIC + ASYMMETRIC:
            known = ", ".join(SYMMETRIC + ASYMMETRIC)
            raise ConfigurationError(f"BearerAuth(algorithms=…): {name!r} is not one of {known}")
    return tuple(names)


def key_set_algorithms(names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the algorithms of a key set: those given in code, or all of public keys.

    Raises:
        ConfigurationError: One of them is symmetric: with it, whoever reads the published keys could sign.
    """
    if names is None:
        return ASYMMETRIC
    algorithms = checked_algorithms(names)
    _demand_fitting(algorithms, ASYMMETRIC, "a published key set")
    return algorithms


def usable_keys(members: Sequence[Any], algorithms: Sequence[str]) -> Iterator[PublishedKey]:
    """Yield the keys of a JSON Web Key Set that may verify tokens; pass over the others, as RFC 7517 §5 asks.

    Passed over are keys for encryption, symmetric keys, keys published with their private half, short RSA keys, and
    what is malformed.
    """
    for member in members:
        try:
            facts = msgspec.convert(member, _Facts)
            if (key := _published_key(member, facts, algorithms)) is not None:
                yield key
        except (msgspec.ValidationError, jwt.PyJWTError, TypeError, ValueError):
            continue


def demand_cryptography(feature: str) -> None:
    """Check that public keys can be used at all.

    Raises:
        MissingExtra: The package cryptography is not installed.
    """
    try:
        import cryptography  # noqa: F401 - asked only whether it is there
    except ImportError as exc:
        raise MissingExtra(feature, "jwks") from exc


class _PreparedHMAC(HMACAlgorithm):
    """HMAC with a key that was checked when it was given; PyJWT would search it for PEM and JWK at every token."""

    def prepare_key(self, key: str | bytes) -> bytes:
        return key  # type: ignore[return-value] # `_prepared` gives bytes


def _octets(key: object) -> bytes:
    if isinstance(key, str | bytes) and key:
        return key.encode() if isinstance(key, str) else key
    raise ConfigurationError("BearerAuth: the key is missing; give a shared secret or a PEM public key")


def _prepared(secret: bytes, algorithm: str) -> jwt.PyJWK:
    encoded = urlsafe_b64encode(secret).rstrip(b"=").decode()
    key = jwt.PyJWK({"kty": "oct", "k": encoded}, algorithm)
    key.Algorithm = _PreparedHMAC(_HASHES[algorithm])
    return key


def _demand_fitting(algorithms: Sequence[str], fitting: Sequence[str], key: str) -> None:
    for name in algorithms:
        if name not in fitting:
            raise ConfigurationError(
                f"BearerAuth(algorithms=…): {name} does not go with {key}; what does: {', '.join(fitting)}"
            )


def _load_pem(pem: bytes) -> "tuple[AllowedPublicKeys, tuple[str, ...]]":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    curves = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise ConfigurationError(f"BearerAuth: the key is not a PEM public key; {_PEM_REMEDY}") from exc
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _MIN_RSA_BITS:
        return key, _RSA
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in curves:
        return key, _FITTING["EC", curves[key.curve.name]]
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return key, _FITTING["OKP", "Ed25519"]
    raise ConfigurationError(
        f"BearerAuth: give an RSA key of {_MIN_RSA_BITS} bits or more, an EC key on P-256, P-384 or P-521, "
        "Ed25519 or Ed448"
    )


def _published_key(member: Any, facts: _Facts, algorithms: Sequence[str]) -> PublishedKey | None:
    is_private = facts.d is not None
    is_for_signatures = facts.use in (None, "sig") and (facts.key_ops is None or "verify" in facts.key_ops)
    if is_private or not is_for_signatures:
        return None
    fitting = _FITTING.get((facts.kty, facts.crv), ())
    chosen = [name for name in algorithms if name in fitting and facts.alg in (None, name)]
    keys = {name: jwt.PyJWK(member, name) for name in chosen}
    is_short = facts.kty == "RSA" and any(key.key.key_size < _MIN_RSA_BITS for key in keys.values())
    if not keys or is_short:
        return None
    return PublishedKey(facts.kid, keys)
