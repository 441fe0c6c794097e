"""Keys that verify tokens: which are accepted, with which algorithms, and the confusions that are refused."""

import json
import sys
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from flask_signalr.auth.verification_key import (
    ASYMMETRIC,
    FixedKey,
    PublishedKey,
    demand_cryptography,
    key_set_algorithms,
    usable_keys,
)
from flask_signalr.errors import ConfigurationError, MissingExtra
from tests.signing import SECRET, PrivateKey, ec_key, ed_key, jwk, private_pem, public_pem, rsa_key

MEMBERS = ["kty", "crv", "kid", "use", "alg", "key_ops", "n", "e", "x", "y", "d"]
X25519_PEM = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VuAyEAhSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=
-----END PUBLIC KEY-----
"""


def test_a_shared_secret_verifies_hs256_unless_told_otherwise() -> None:
    assert FixedKey.of(SECRET).algorithms == ("HS256",)
    assert FixedKey.of(SECRET.encode(), ["HS384", "HS512"]).algorithms == ("HS384", "HS512")


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (rsa_key(), "RS256"),
        (ec_key("P-256"), "ES256"),
        (ec_key("P-384"), "ES384"),
        (ec_key("P-521"), "ES512"),
        (ed_key(), "EdDSA"),
    ],
    ids=["RSA", "P-256", "P-384", "P-521", "Ed25519"],
)
def test_a_public_key_verifies_what_goes_with_its_type(key: PrivateKey, algorithm: str) -> None:
    assert FixedKey.of(public_pem(key)).algorithms == (algorithm,)
    assert FixedKey.of(public_pem(key).encode(), [algorithm]).algorithms == (algorithm,)


@pytest.mark.parametrize("algorithms", [["HS256"], ["HS256", "RS256"], ["RS256", "HS512"]])
def test_a_public_key_as_shared_secret_is_refused(algorithms: Sequence[str]) -> None:
    """Key confusion: everybody knows the public key, so everybody could sign with it."""
    with pytest.raises(ConfigurationError, match="does not go with a public key"):
        FixedKey.of(public_pem(rsa_key()), algorithms)


@pytest.mark.parametrize("algorithms", [["RS256"], ["HS256", "RS256"], ["ES256"], ["EdDSA"]])
def test_a_shared_secret_never_goes_with_public_key_algorithms(algorithms: Sequence[str]) -> None:
    with pytest.raises(ConfigurationError, match="does not go with a shared secret"):
        FixedKey.of(SECRET, algorithms)


@pytest.mark.parametrize(
    ("key", "algorithms"),
    [(rsa_key(), ["ES256"]), (ec_key("P-256"), ["ES384"]), (ec_key("P-256"), ["RS256"]), (ed_key(), ["ES256"])],
)
def test_a_public_key_never_goes_with_another_types_algorithm(key: PrivateKey, algorithms: Sequence[str]) -> None:
    with pytest.raises(ConfigurationError, match="does not go with this public key; what does"):
        FixedKey.of(public_pem(key), algorithms)


@pytest.mark.parametrize(
    "algorithms", ["HS256", [], ["none"], ["HS256", "none"], ["NONE"], ["hs256"], [None], [["HS256"]]]
)
def test_an_unknown_algorithm_is_refused(algorithms: Any) -> None:
    """Above all ``none``, which would accept every token."""
    with pytest.raises(ConfigurationError, match=r"algorithms=…"):
        FixedKey.of(SECRET, algorithms)
    with pytest.raises(ConfigurationError, match=r"algorithms=…"):
        key_set_algorithms(algorithms)


@pytest.mark.parametrize(("algorithm", "octets"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_guessable_short_secret_is_refused(algorithm: str, octets: int) -> None:
    """RFC 7518 §3.2: a key as long as the hash, or the token can be used to guess it offline."""
    with pytest.raises(
        ConfigurationError, match=rf"has {octets - 1} bytes and {algorithm} needs {octets}.*secrets\.token"
    ):
        FixedKey.of("s" * (octets - 1), [algorithm])

    FixedKey.of("s" * octets, [algorithm])


@pytest.mark.parametrize("key", ["", b"", None, 7, ["secret"]], ids=repr)
def test_a_missing_key_is_refused(key: Any) -> None:
    """An environment variable that is not set comes as ``None``."""
    with pytest.raises(ConfigurationError, match="the key is missing"):
        FixedKey.of(key)


@pytest.mark.parametrize(
    "key",
    [
        json.dumps(jwk(rsa_key())),
        json.dumps({"keys": [jwk(ec_key())]}),
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIUg8AmJMKdUdIt93LQ+91oNvzoNJjga9OukqY6qm05q",
        b64decode("".join(public_pem(rsa_key()).splitlines()[1:-1])),
    ],
    ids=["JSON Web Key", "key set", "SSH", "DER"],
)
def test_a_public_key_in_another_form_is_no_shared_secret(key: str | bytes) -> None:
    with pytest.raises(ConfigurationError, match="cannot be a shared secret"):
        FixedKey.of(key)


@pytest.mark.parametrize(
    "pem",
    [
        private_pem(rsa_key()),
        "-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----\n",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    ],
    ids=["private", "nonsense", "certificate"],
)
def test_what_is_no_public_key_is_refused_with_the_remedy(pem: str) -> None:
    """A private key has no place where tokens are only verified."""
    with pytest.raises(ConfigurationError, match="openssl pkey -pubout") as refusal:
        FixedKey.of(pem)

    assert pem.splitlines()[1] not in str(refusal.value)


@pytest.mark.parametrize(
    "pem",
    [public_pem(rsa_key(bits=1024)), public_pem(ec_key("secp256k1")), X25519_PEM],
    ids=["RSA-1024", "K-256", "X25519"],
)
def test_a_weak_or_strange_public_key_is_refused(pem: str) -> None:
    with pytest.raises(ConfigurationError, match="2048 bits or more"):
        FixedKey.of(pem)


@pytest.mark.parametrize("key", [SECRET, public_pem(rsa_key())], ids=["secret", "PEM"])
def test_a_key_stays_out_of_its_repr(key: str) -> None:
    shown = repr(FixedKey.of(key)) + repr(FixedKey.of(SECRET, ["HS256", "HS512"]))

    assert key not in shown
    assert SECRET not in shown


def test_public_keys_without_cryptography_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)

    with pytest.raises(MissingExtra, match=r"flask-signalr\[jwks\]"):
        FixedKey.of(public_pem(rsa_key()))
    with pytest.raises(MissingExtra, match="BearerAuth with a key set"):
        demand_cryptography("BearerAuth with a key set")


def test_a_key_set_goes_with_all_algorithms_of_public_keys_or_the_given_ones() -> None:
    assert key_set_algorithms(None) == ASYMMETRIC
    assert key_set_algorithms(["ES256", "RS256"]) == ("ES256", "RS256")


@pytest.mark.parametrize("algorithms", [["HS256"], ["RS256", "HS256"]])
def test_a_key_set_with_symmetric_algorithms_is_refused(algorithms: Sequence[str]) -> None:
    with pytest.raises(ConfigurationError, match="does not go with a published key set"):
        key_set_algorithms(algorithms)


def private_jwk(member: dict[str, Any]) -> dict[str, Any]:
    """Return a key whose private half was published by mistake."""
    return {name: value for name, value in member.items() if name != "key_ops"} | {"kid": "k1"}


def published(*members: Any, algorithms: Sequence[str] = ASYMMETRIC) -> list[PublishedKey]:
    return list(usable_keys(members, algorithms))


@pytest.mark.parametrize(
    ("member", "algorithms"),
    [
        (jwk(rsa_key()), {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
        (jwk(rsa_key(), alg="PS256"), {"PS256"}),
        (jwk(rsa_key(), use="sig", x5t="x", x5c=["y"], issuer="https://login.example/{tenantid}/v2.0"), {"RS256"}),
        (jwk(rsa_key(), key_ops=["verify"]), {"RS256"}),
        (jwk(ec_key("P-256")), {"ES256"}),
        (jwk(ec_key("P-384")), {"ES384"}),
        (jwk(ec_key("P-521")), {"ES512"}),
        (jwk(ed_key()), {"EdDSA"}),
    ],
    ids=["RSA", "RSA with alg", "as Entra has it", "RSA with key_ops", "P-256", "P-384", "P-521", "Ed25519"],
)
def test_a_published_key_verifies_what_goes_with_it(member: Any, algorithms: set[str]) -> None:
    (key,) = published(member)

    assert key.kid == "k1"
    assert algorithms <= set(key.by_algorithm)
    assert all(prepared.algorithm_name == name for name, prepared in key.by_algorithm.items())


def test_a_published_key_is_limited_to_the_algorithms_given_in_code() -> None:
    (key,) = published(jwk(rsa_key()), jwk(ec_key()), algorithms=["RS512"])

    assert set(key.by_algorithm) == {"RS512"}


UNUSABLE: dict[str, Any] = {
    "symmetric": {"kty": "oct", "k": "c2VjcmV0" * 8, "kid": "k1", "alg": "HS256"},
    "symmetric that says RS256": {"kty": "oct", "k": "c2VjcmV0" * 8, "kid": "k1", "alg": "RS256"},
    "private RSA": private_jwk(RSAAlgorithm.to_jwk(rsa_key(), as_dict=True)),
    "private EC": private_jwk(ECAlgorithm.to_jwk(ec_key(), as_dict=True)),
    "for encryption": jwk(rsa_key(), use="enc"),
    "for encryption by key_ops": jwk(rsa_key(), key_ops=["encrypt"]),
    "for encryption by alg": jwk(rsa_key(), alg="RSA-OAEP"),
    "RSA for HS256": jwk(rsa_key(), alg="HS256"),
    "RSA for none": jwk(rsa_key(), alg="none"),
    "RSA for ES256": jwk(rsa_key(), alg="ES256"),
    "short RSA": jwk(rsa_key(bits=1024)),
    "a strange curve": jwk(ec_key("secp256k1")),
    "another curve than it says": jwk(ec_key("P-256")) | {"crv": "P-384"},
    "not on its curve": jwk(ec_key("P-256")) | {"x": "AAAA"},
    "another type than it says": jwk(rsa_key()) | {"kty": "EC", "crv": "P-256"},
    "a number as modulus": jwk(rsa_key()) | {"n": 7},
    "no Base64": jwk(rsa_key()) | {"n": "*"},
    "empty modulus": jwk(rsa_key()) | {"n": ""},
    "exponent 0": jwk(rsa_key()) | {"e": "AA"},
    "a number as kid": jwk(rsa_key()) | {"kid": 7},
    "a text as key_ops": jwk(rsa_key()) | {"key_ops": "verify"},
    "RSA without a modulus": {"kty": "RSA"},
    "a list as type": {"kty": ["RSA"]},
    "an empty object": {},
    "null": None,
    "a text": "key",
    "an array": [],
}


@pytest.mark.parametrize("member", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_an_unusable_member_is_passed_over(member: Any) -> None:
    """A symmetric key that is published is known to all, and so is a private one; neither proves anything."""
    (key,) = published(member, jwk(ed_key(), "good"))

    assert key.kid == "good"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3)
)


@given(
    st.sampled_from([jwk(rsa_key()), jwk(ec_key()), jwk(ed_key())]),
    st.dictionaries(st.sampled_from(MEMBERS), json_values),
)
def test_any_member_is_a_usable_key_or_passed_over(member: dict[str, Any], changes: dict[str, Any]) -> None:
    """What a provider publishes must never make an error of another kind, which would answer 500."""
    for key in usable_keys([member | changes], ASYMMETRIC):
        assert all(isinstance(prepared, jwt.PyJWK) for prepared in key.by_algorithm.values())


@pytest.mark.parametrize("separator", ["", "\n"], ids=["one line", "lines"])
@pytest.mark.parametrize(
    "key", [rsa_key(), ec_key(), ec_key("P-521"), ed_key()], ids=["RSA", "P-256", "P-521", "Ed25519"]
)
def test_signing_with_a_public_key_that_was_pasted_without_its_frame_fails(key: PrivateKey, separator: str) -> None:
    """Key confusion: pages show public keys as bare base64, which would do for a shared secret that all know."""
    lines = public_pem(key).strip().splitlines()[1:-1]

    with pytest.raises(ConfigurationError, match="BEGIN PUBLIC KEY"):
        FixedKey.of(separator.join(lines))


@pytest.mark.parametrize(
    "secret", [b"0" * 31 + b"!", b"MAAA" * 10, b64encode(b"0" * 33), b64encode(bytes(40))], ids=repr
)
def test_a_secret_that_looks_like_base64_stays_a_secret(secret: bytes) -> None:
    assert FixedKey.of(secret).algorithms == ("HS256",)
