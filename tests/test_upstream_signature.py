"""Signatures of upstream requests: the vectors of other implementations, and what no signature is."""

import ast
import hashlib
import hmac
import inspect
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_signalr import InvalidSignature, upstream_signature
from flask_signalr.tokens import SigningKey
from flask_signalr.upstream_signature import MAX_SIGNATURES, connection_signature, verify_signature

CONNECTION_ID = "0f9c97a2f0bf4706afe87a14e0797b11"
FIRST_KEY = "7aab239577fd4f24bc919802fb629f5f"
SECOND_KEY = "a5f2815d0d0c4b00bd27e832432f91ab"
FIRST = "sha256=7767effcb3946f3e1de039df4b986ef02c110b1469d02c0a06f41b3b727ab561"
SECOND = "sha256=d4aefb65547a00a9881fa8ac8bd03d0faf77af9da5205d45c6e57cbda4377760"
LONG_KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"

TEXT = st.text(st.characters(codec="utf-8"), max_size=200)

# Azure/azure-functions-signalrservice-extension:test/SignalRServiceExtension.Tests/Trigger/
# SignalRTriggerResolverTests.cs; the last two computed with OpenSSL.
VECTORS = [
    (FIRST_KEY, CONNECTION_ID, FIRST),
    (SECOND_KEY, CONNECTION_ID, SECOND),
    (LONG_KEY, CONNECTION_ID, "sha256=8805d739a12d46f22bcb15382a8c1c2bf38ae8f04566017bd613d5ef47cafe2c"),
    (LONG_KEY, "cid-1", "sha256=42731383254962F951DDE3EE66239B9501F9963120493657FDCA23C395B5D920".lower()),
]


def keys(*texts: str) -> list[SigningKey | bytes]:
    return [SigningKey(text) for text in texts]


@pytest.mark.parametrize("kind", [SigningKey, str.encode], ids=["prepared key", "bytes"])
@pytest.mark.parametrize(("key", "connection_id", "signature"), VECTORS, ids=["first", "second", "long", "short id"])
def test_a_signature_is_that_of_the_service(
    kind: type[SigningKey], key: str, connection_id: str, signature: str
) -> None:
    assert connection_signature(kind(key), connection_id) == signature


@given(key=TEXT, connection_id=TEXT)
def test_a_prepared_key_signs_as_the_standard_library(key: str, connection_id: str) -> None:
    """Keys longer than a block are hashed first (RFC 2104 §2)."""
    digest = hmac.new(key.encode(), connection_id.encode(), hashlib.sha256).hexdigest()

    assert connection_signature(SigningKey(key), connection_id) == f"sha256={digest}"


@pytest.mark.parametrize(
    ("header", "known"),
    [
        (f"{FIRST},{SECOND}", [FIRST_KEY]),
        (f"{FIRST},{SECOND}", [SECOND_KEY]),
        (FIRST, [SECOND_KEY, FIRST_KEY]),
        (f" {SECOND} ,\t{FIRST}\t", [FIRST_KEY]),
        (FIRST.upper(), [FIRST_KEY]),
        (f"sha1=00,,{FIRST}", [FIRST_KEY]),
        (",".join(["sha256=" + "0" * 64] * (MAX_SIGNATURES - 1) + [FIRST]), [FIRST_KEY]),
    ],
    ids=["first of both", "second of both", "second key here", "blanks", "upper case", "others beside", "as many"],
)
def test_any_listed_value_of_any_key_will_do(header: str, known: Sequence[str]) -> None:
    """Keys are rotated at the service and here at different times."""
    verify_signature(header, CONNECTION_ID, keys(*known))


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        ",",
        "sha256=",
        FIRST[:-1],
        FIRST + "0",
        FIRST.removeprefix("sha256="),
        FIRST.replace("sha256", "sha512"),
        FIRST[:-1] + "g",
        FIRST[:-2] + " 1",
        FIRST[:-1] + "\N{FULLWIDTH DIGIT ONE}",
        "sha256=" + "0" * 64,
        SECOND,
        "\x00",
    ],
)
def test_a_forged_signature_is_refused(header: str | None) -> None:
    with pytest.raises(InvalidSignature):
        verify_signature(header, CONNECTION_ID, keys(FIRST_KEY))


def test_the_signature_of_another_connection_is_refused() -> None:
    with pytest.raises(InvalidSignature):
        verify_signature(FIRST, CONNECTION_ID[:-1] + "2", keys(FIRST_KEY))


def test_a_long_list_of_guesses_is_refused_even_with_a_right_one() -> None:
    """A header line holds hundreds of guesses; none of them is looked at."""
    with pytest.raises(InvalidSignature, match="more than 8"):
        verify_signature(",".join([FIRST] * (MAX_SIGNATURES + 1)), CONNECTION_ID, keys(FIRST_KEY))


def test_without_a_key_everything_is_refused() -> None:
    """An unverifiable request is no verified one."""
    with pytest.raises(InvalidSignature, match="no key is known"):
        verify_signature(FIRST, CONNECTION_ID, [])


@pytest.mark.parametrize("key", [b"", SigningKey("")], ids=["bytes", "prepared"])
def test_what_an_unreadable_value_becomes_matches_no_key(key: SigningKey | bytes) -> None:
    with pytest.raises(InvalidSignature):
        verify_signature("sha256=", CONNECTION_ID, [key])


def test_a_likely_key_that_did_not_sign_hides_none_that_did() -> None:
    verify_signature(SECOND, CONNECTION_ID, keys(FIRST_KEY, SECOND_KEY), keys(FIRST_KEY))


def test_a_likely_key_is_enough() -> None:
    known = keys(FIRST_KEY, SECOND_KEY)

    verify_signature(SECOND, CONNECTION_ID, known, known[1:])


def test_a_forged_signature_is_refused_whatever_keys_are_likely() -> None:
    known = keys(FIRST_KEY, SECOND_KEY)

    with pytest.raises(InvalidSignature, match="the signature is wrong"):
        verify_signature("sha256=" + "0" * 64, CONNECTION_ID, known, known[:1])


def test_a_refusal_shows_neither_key_nor_signature() -> None:
    with pytest.raises(InvalidSignature) as refusal:
        verify_signature(SECOND, CONNECTION_ID, keys(FIRST_KEY))

    shown = f"{refusal.value!r} {SigningKey(FIRST_KEY)!r}"
    assert FIRST_KEY not in shown
    assert FIRST[7:20] not in shown
    assert SECOND[7:20] not in shown


def test_digests_are_compared_in_constant_time_alone() -> None:
    """Timing attack: where a comparison ends tells how much of a guess was right. No clock here would show it."""
    nodes = list(ast.walk(ast.parse(inspect.getsource(upstream_signature))))

    called = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
    equalities = [node for node in nodes if isinstance(node, ast.Eq)]

    assert "hmac.compare_digest" in called
    assert not equalities
