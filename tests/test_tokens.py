"""Service tokens: signed by us, verified by PyJWT; what does not fit or cannot be written is refused."""

import base64
import json
from collections.abc import Sequence
from typing import Any

import jwt
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from flask_signalr.claims import Claims, ClaimValue, merge_claims
from flask_signalr.errors import AccessTokenTooLong, InvalidClaim
from flask_signalr.principal import Principal
from flask_signalr.token_claims import token_claims
from flask_signalr.tokens import ALGORITHMS, TOKEN_LIMIT, SigningKey, sign_access_token

ACCESS_KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"
KEY = SigningKey(ACCESS_KEY)
AUDIENCE = "http://localhost/client/?hub=chat"
NOW = 1_700_000_000

Pairs = Sequence[tuple[str, ClaimValue]]

SET_BY_US = ("nbf", "exp", "iat", "aud")

# The service's keys are 44 characters long, which PyJWT finds short for HS512.
pytestmark = pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")


def signed(pairs: Pairs, algorithm: str = "HS256", key: SigningKey = KEY) -> str:
    return sign_access_token(key, AUDIENCE, pairs, lifetime=3600, now=NOW, algorithm=algorithm)


def verified(token: str, algorithm: str = "HS256", access_key: str = ACCESS_KEY) -> dict[str, Any]:
    """Return the claims, once PyJWT has verified signature and audience."""
    options = {"verify_exp": False}  # the clock of the tests stands still
    claims: dict[str, Any] = jwt.decode(token, access_key, [algorithm], audience=AUDIENCE, options=options)  # type: ignore[arg-type]
    return claims


def own_claims(token: str, algorithm: str = "HS256") -> dict[str, Any]:
    claims = verified(token, algorithm)
    return {name: claims[name] for name in claims if name not in SET_BY_US}


# Form and signature.

PAYLOAD = (
    "eyJhc3JzLnMudWlkIjoiYWxpY2UiLCJyb2xlIjpbImFkbWluIiwiZWRpdG9yIl0sIm5iZiI6MTcwMDAwMDAwMCwiZXhwIjoxNzAwMDAzNjAwLCJp"
    "YXQiOjE3MDAwMDAwMDAsImF1ZCI6Imh0dHA6Ly9sb2NhbGhvc3QvY2xpZW50Lz9odWI9Y2hhdCJ9"
)


@pytest.mark.parametrize(
    ("algorithm", "header", "signature"),
    [
        ("HS256", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "BtO33NZkdUqGpUCMarqqAaNMXTX5LTbTGGm5CP4aMVI"),
        (
            "HS512",
            "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9",
            "iE3DI4iaicBMjJqnUSzahD-80LN-3VRKG1ZeFqsjAvoJ9zeALGvxTVhZDCXb9n2rQ-auXeas6AdRqvdw2N0Amg",
        ),
    ],
)
def test_a_token_is_that_of_the_sdk_byte_for_byte(algorithm: str, header: str, signature: str) -> None:
    """But for ``kid``, which the SDK makes of a hash that differs from process to process."""
    pairs = [("asrs.s.uid", "alice"), ("role", "admin"), ("role", "editor")]

    assert signed(pairs, algorithm) == f"{header}.{PAYLOAD}.{signature}"


@pytest.mark.parametrize("length", [1, 32, 63, 64, 65, 127, 128, 129, 1000])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_keys_of_any_length_sign_as_hmac_says(algorithm: str, length: int) -> None:
    """RFC 2104: up to a block a key is padded, beyond it is hashed."""
    access_key = "k" * length

    token = signed([("name", "ada")], algorithm, SigningKey(access_key))

    assert verified(token, algorithm, access_key)["name"] == "ada"


def test_a_key_is_its_text_and_is_not_decoded() -> None:
    access_key = base64.b64encode("ключ".encode() * 9).decode() + "ü="

    assert verified(signed([], key=SigningKey(access_key)), access_key=access_key)


def test_one_key_signs_many_tokens() -> None:
    """Its prepared states are copied, not used up."""
    first = [signed([("n", number)]) for number in range(3)]

    assert [signed([("n", number)]) for number in range(3)] == first
    assert [own_claims(token) for token in first] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_a_key_of_entra_id_is_named_in_the_header() -> None:
    token = signed([], key=SigningKey(ACCESS_KEY, "key-7"))

    assert list(jwt.get_unverified_header(token).items()) == [("alg", "HS256"), ("typ", "JWT"), ("kid", "key-7")]
    assert verified(token)


def test_a_key_does_not_show_in_its_repr() -> None:
    assert repr(SigningKey(ACCESS_KEY, "key-7")) == "SigningKey(key_id='key-7')"
    assert ACCESS_KEY not in f"{KEY} {KEY!r}"


# Claims.


def test_the_token_says_from_when_until_when_and_for_what_it_is() -> None:
    assert verified(signed([])) == {"nbf": NOW, "exp": NOW + 3600, "iat": NOW, "aud": AUDIENCE}


@pytest.mark.parametrize("name", SET_BY_US)
def test_a_claim_that_forges_time_or_audience_is_overwritten(name: str) -> None:
    """Those of an app never come here under these names; this is the second lock."""
    assert verified(signed([(name, 0), (name, 9_999_999_999)])) == verified(signed([]))


def test_claims_keep_their_order_and_json_types() -> None:
    pairs: Pairs = [("b", True), ("a", 1), ("c", 1.5), ("a", "1"), ("d", {"x": [None]}), ("e", "")]

    claims = own_claims(signed(pairs))

    assert json.dumps(claims) == '{"b": true, "a": [1, "1"], "c": 1.5, "d": {"x": [null]}, "e": ""}'


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))
VALUES = st.one_of(
    ANY_TEXT,
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.dictionaries(ANY_TEXT, JSON, max_size=3),
)


@given(st.lists(st.tuples(ANY_TEXT, VALUES), max_size=8), st.sampled_from(ALGORITHMS))
def test_every_token_verifies_with_the_very_claims_or_is_refused(pairs: Pairs, algorithm: str) -> None:
    """Under any name but those that we set ourselves, and those that are always texts: `customer_claims` sees to it."""
    pairs = [(name, value) for name, value in pairs if name not in (*SET_BY_US, "sub", "jti", "iss")]

    token = outcome(pairs, algorithm)

    if isinstance(token, AccessTokenTooLong):
        assert token.length > TOKEN_LIMIT
    elif isinstance(token, InvalidClaim):
        assert not is_encodable(pairs)
        assert "lone surrogate" in str(token)
        assert str(token).isascii()
    else:
        assert is_encodable(pairs)
        assert typed(own_claims(token, algorithm)) == typed(merge_claims(pairs))


NAMES_OF_MEANING = st.sampled_from(
    ["sub", "nameid", "aud", "exp", "nbf", "iat", "iss", "jti", "asrs.u.sub", "role", "ü"]
)
USER_IDS = st.none() | st.text()


@given(USER_IDS, st.lists(st.tuples(NAMES_OF_MEANING, VALUES | st.lists(VALUES, max_size=3)), max_size=8))
def test_claims_under_names_of_meaning_break_no_token(user_id: str | None, source: list[tuple[str, Any]]) -> None:
    """Whatever an identity provider puts into ``exp``, ``aud`` or ``sub``, the token stays the one that we meant."""
    try:
        pairs = token_claims(user_id, Claims.of(source), Principal("ada"))
    except InvalidClaim as refusal:
        event(f"refused: {refusal.reason[:20]}")
        return

    token = outcome(pairs)

    if isinstance(token, str):
        claims = verified(token)
        assert [claims[name] for name in SET_BY_US] == [NOW, NOW + 3600, NOW, AUDIENCE]
        assert claims.get("asrs.s.uid") == user_id
        assert user_id is not None or not {"sub", "nameid"} & set(claims)
        assert typed(own_claims(token)) == typed(merge_claims(pairs))
    else:
        assert isinstance(token, AccessTokenTooLong) or not is_encodable(pairs)


def outcome(pairs: Pairs, algorithm: str = "HS256") -> str | InvalidClaim | AccessTokenTooLong:
    try:
        return signed(pairs, algorithm)
    except (InvalidClaim, AccessTokenTooLong) as refusal:
        return refusal


def is_encodable(pairs: Pairs) -> bool:
    try:
        json.dumps(pairs, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def typed(claims: Any) -> str:
    """Return a text that tells 1, 1.0 and True apart, and no order of members."""
    return json.dumps(claims, sort_keys=True)


# What cannot be written.


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("name", "a\ud800", "name"),
        ("name", "\udfff", "name"),
        ("na\udc00me", "a", "na\\udc00me"),
        ("profile", {"name": "\ud83d"}, "profile"),
        ("profile", {"\ud83d": 1}, "profile"),
    ],
    ids=ascii,
)
def test_half_a_character_is_refused_and_its_claim_named(name: str, value: Any, shown: str) -> None:
    with pytest.raises(InvalidClaim, match="lone surrogate") as refusal:
        signed([("role", "staff"), (name, value), ("other", "b")])

    assert refusal.value.claim_type == shown
    assert str(refusal.value).isascii()


@pytest.mark.parametrize(
    "value",
    [object(), 10**5000, {"a": object()}, {1: {2: {3: object()}}}],
    ids=["object", "digits", "in an object", "deep"],
)
def test_a_value_without_json_is_refused_and_its_claim_named(value: Any) -> None:
    """`Claims.of` refuses it before; a claims filter may make claims by other ways."""
    with pytest.raises(InvalidClaim, match="claim 'odd': its value is nothing that JSON can hold"):
        signed([("role", "staff"), ("odd", value)])


def test_a_value_without_end_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["itself"] = endless

    with pytest.raises(InvalidClaim, match="claim 'endless'"):
        signed([("endless", endless)])


# What does not fit.


def test_a_token_of_exactly_4096_characters_is_allowed_and_the_next_longer_one_is_not() -> None:
    allowed, refused = [], []
    for size in range(2880, 2960):
        try:
            allowed.append(len(signed([("filler", "x" * size)])))
        except AccessTokenTooLong as refusal:
            refused.append(refusal.length)

    assert max(allowed) == 4096
    assert min(refused) == 4097


def test_a_hundred_claims_are_too_many() -> None:
    """Source: Azure/azure-signalr, AuthUtilityTests.cs."""
    pairs = [(f"ClaimSubject{number}", f"ClaimValue{number}") for number in range(100)]

    with pytest.raises(AccessTokenTooLong) as refusal:
        sign_access_token(KEY, "https://localhost/aspnetclient?hub=testhub", pairs, lifetime=3600, now=NOW)

    assert refusal.value.limit == TOKEN_LIMIT == 4096
    assert refusal.value.length > 4096
    assert len(refusal.value.sizes) == 104


def too_long(pairs: Pairs) -> AccessTokenTooLong:
    with pytest.raises(AccessTokenTooLong) as refusal:
        signed(pairs)
    return refusal.value


def without(pairs: Pairs, names: Sequence[str]) -> Pairs:
    return [(name, value) for name, value in pairs if name not in names]


def test_claims_are_listed_by_what_they_take_in_the_token_largest_first() -> None:
    pairs = [("small", "s"), ("groups", "g" * 500), ("groups", "h" * 900), ("asrs.s.uid", "ada"), ("big", "b" * 2500)]

    refusal = too_long(pairs)

    assert [name for name, _ in refusal.sizes] == ["big", "groups", "aud", "asrs.s.uid", "nbf", "exp", "iat", "small"]
    assert refusal.length - len(signed(without(pairs, ["big"]))) == pytest.approx(dict(refusal.sizes)["big"], abs=1)


def test_the_text_names_claims_and_shows_no_value() -> None:
    secret = "the-value-of-a-claim-"
    refusal = too_long([("asrs.s.uid", "ada@example.org"), ("groups", secret * 200), ("photo", secret * 10)])

    assert refusal.fits_without == ("groups",)
    assert "it fits without 'groups'" in str(refusal)
    assert "claims_filter" in str(refusal)
    assert secret not in str(refusal)
    assert "ada@example.org" not in str(refusal)


def test_nobody_is_advised_to_leave_out_what_the_service_needs() -> None:
    """The claims filter chooses the app's claims; it cannot take the user id away."""
    refusal = too_long([("asrs.s.uid", "u" * 2000), ("asrs.s.nt", "n" * 800), ("role", "r" * 400)])

    assert refusal.fits_without == ("role",)


def test_a_user_id_that_leaves_no_room_is_named_as_the_reason() -> None:
    refusal = too_long([("asrs.s.uid", "u" * 4000), ("role", "r" * 400)])

    assert refusal.fits_without == ()
    assert refusal.sizes[0][0] == "asrs.s.uid"
    assert str(refusal).endswith("no choice of claims makes it fit: shorten the user id")


def test_the_advice_is_true_to_the_character() -> None:
    """What is left after it has at most 4096 characters, and exactly 4096 will do."""
    left = set()
    for size in range(2880, 2960):
        pairs = [("big", "b" * 3500), ("filler", "x" * size)]

        advice = too_long(pairs).fits_without

        rest = outcome(without(pairs, ["big"]))
        assert advice == (("big",) if isinstance(rest, str) else ("big", "filler"))
        left.add(len(rest) if isinstance(rest, str) else 0)

    assert TOKEN_LIMIT in left
    assert 0 in left


NAMES = st.sampled_from(["asrs.s.uid", "role", "groups", "name", "photo", "ü", "a" * 40, "\n"])
LONG_VALUES = st.builds(
    lambda unit, count: unit * count, st.sampled_from(["x", "ü", '"', "\n", "ab"]), st.integers(0, 1200)
)


@given(st.lists(st.tuples(NAMES, LONG_VALUES), min_size=3, max_size=12))
def test_the_advice_is_true_and_asks_for_no_more_than_needed(pairs: Pairs) -> None:
    refusal = outcome(pairs)

    if isinstance(refusal, AccessTokenTooLong):
        sizes = [size for _, size in refusal.sizes]
        own_names = [name for name, _ in refusal.sizes if name not in (*SET_BY_US, "asrs.s.uid")]
        advice = refusal.fits_without
        assert sizes == sorted(sizes, reverse=True)
        assert list(advice) == own_names[: len(advice)]
        if advice:
            assert len(signed(without(pairs, advice))) <= TOKEN_LIMIT
            assert too_long(without(pairs, advice[:-1])).length > TOKEN_LIMIT
        else:
            assert too_long(without(pairs, own_names)).length > TOKEN_LIMIT
