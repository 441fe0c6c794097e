"""Claims: immutable pairs, and the names and JSON types that they have in a service token."""

import dataclasses
import enum
from collections.abc import Iterable
from typing import Any

import pytest

from flask_signalr.claims import NO_CLAIMS, RESERVED_TYPES, Claims, customer_claims, merge_claims
from flask_signalr.errors import InvalidClaim

ROLE = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"


class Level(enum.IntEnum):
    HIGH = 3


class Colour(enum.StrEnum):
    RED = "red"


class Fraction(float):
    """A number of another library, as numpy's are."""


class Ragged(dict[str, Any]):
    """A mapping of another library."""


def emitted(source: Any) -> list[tuple[str, Any]]:
    return list(customer_claims(Claims.of(source)))


# Making them.


@pytest.mark.parametrize(
    "source",
    [
        {"role": ["staff", "admin"], "age": 36},
        [("role", "staff"), ("role", "admin"), ("age", 36)],
        (("role", ("staff", "admin")), ("age", 36)),
        iter([("role", "staff"), ("role", "admin"), ("age", 36)]),
        Claims((("role", "staff"), ("role", "admin"), ("age", 36))),
    ],
    ids=["mapping", "pairs", "tuples", "iterator", "claims"],
)
def test_claims_are_made_of_any_listing(source: Any) -> None:
    claims = Claims.of(source)

    assert claims.pairs == (("role", "staff"), ("role", "admin"), ("age", 36))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("text", ["text"]),
        ("", [""]),
        (7, [7]),
        (2**64 - 1, [2**64 - 1]),
        (-(2**63), [-(2**63)]),
        (1.5, [1.5]),
        (True, [True]),
        (None, []),
        ([], []),
        (["a", "a"], ["a", "a"]),
        (("a", 1, False), ["a", 1, False]),
        ({"x"}, ["x"]),
        (frozenset({"x"}), ["x"]),
        ({"street": "Hill 1"}, [{"street": "Hill 1"}]),
        ([{"a": [1, None, {"b": True}]}], [{"a": [1, None, {"b": True}]}]),
        (Colour.RED, ["red"]),
        (Level.HIGH, [3]),
        (Fraction(0.5), [0.5]),
        (Ragged(a=1), [{"a": 1}]),
    ],
    ids=repr,
)
def test_values_keep_what_they_are(given: Any, kept: list[Any]) -> None:
    values = Claims.of({"claim": given}).all("claim")

    assert list(values) == kept
    assert [type(value) for value in values] == [type(value) for value in kept]


def test_what_has_no_json_is_refused_when_the_claims_are_made() -> None:
    """Not in the middle of a negotiate, and never as something else in silence, such as NaN as null."""
    endless: dict[str, Any] = {}
    endless["itself"] = endless
    refused: dict[str, Any] = {
        "object": object(),
        "bytes": b"secret",
        "nested array": [["a"]],
        "infinity": float("inf"),
        "not a number": float("nan"),
        "null in an array": ["a", None],
        "nan in an object": {"a": float("nan")},
        "tuple in an object": {"a": (1, 2)},
        "bytes in an object": {"a": b"secret"},
        "object in an object": {"a": object()},
        "number as a member's name": {1: "a"},
        "surrogate in an object": {"a": "\ud800"},
        "65 bits": 2**64,
        "65 bits and a sign": -(2**64),
        "thousands of digits": 10**5000,
        "thousands of digits in an object": {"a": 10**5000},
        "endless": endless,
    }

    for kind, value in refused.items():
        with pytest.raises(InvalidClaim) as refusal:
            Claims.of({kind: value})

        assert refusal.value.claim_type == kind
        assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("claim_type", ["", None, 5, b"role", ("role",)], ids=repr)
def test_a_type_is_a_text(claim_type: Any) -> None:
    with pytest.raises(InvalidClaim, match="must be a non-empty text"):
        Claims.of([(claim_type, "value")])


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("role", "a str"),
        ("", "a str"),
        (["role"], "a str"),
        (["ab"], "a str"),
        ({"role"}, "a str"),
        ([{"role": "staff", "age": 36}], "a dict"),
        ([("role",)], "a tuple"),
        ([("role", "staff", "admin")], "a tuple"),
        (b"role", "an int"),
        (None, "None"),
        (5, "an int"),
    ],
    ids=repr,
)
def test_what_is_no_listing_of_pairs_is_refused_with_the_form(source: Any, kind: str) -> None:
    """A text of two letters would be a claim of the first, and a longer one an error about unpacking."""
    with pytest.raises(InvalidClaim) as refusal:
        Claims.of(source)

    assert str(refusal.value) == (
        'claim \'(unknown)\': claims are a mapping or (type, value) pairs, such as {"role": ["staff"]}, '
        f"and this is {kind}"
    )


# They do not change.


def test_claims_cannot_be_changed() -> None:
    claims = Claims.of({"role": "staff"})

    with pytest.raises(dataclasses.FrozenInstanceError):
        claims.pairs = ()  # type: ignore[misc]
    with pytest.raises(TypeError):
        claims.pairs[0] = ("role", "admin")  # type: ignore[index]


@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: [value]], ids=["alone", "in a list"])
def test_a_role_slipped_into_an_object_later_is_not_in_the_claims(wrap: Any) -> None:
    """Whoever still holds the object that the claims were made of changes no claim."""
    access = {"roles": ["staff"]}
    claims = Claims.of({"realm_access": wrap(access)})

    access["roles"].append("admin")

    assert claims.get("realm_access") == {"roles": ["staff"]}


# Reading them.


def test_claims_are_asked_by_type() -> None:
    claims = Claims.of({"role": ["staff", "admin"], "age": 36})

    assert claims.get("role") == "staff"
    assert claims.get("name") is None
    assert claims.get("name", "nobody") == "nobody"
    assert claims.all("role") == ("staff", "admin")
    assert claims.all("name") == ()
    assert claims.types() == ("role", "age")
    assert "role" in claims
    assert "name" not in claims
    assert 5 not in claims
    assert len(claims) == 3
    assert list(claims) == list(claims.pairs)


def test_types_compare_by_case() -> None:
    assert Claims.of({"Role": "admin"}).get("role") is None


def test_claims_are_chosen_and_joined_into_new_ones() -> None:
    claims = Claims.of({"role": ["staff", "admin"], "age": 36})

    chosen = claims.keep(lambda claim_type: claim_type == "role") + Claims.of({"role": "guest"})

    assert chosen.all("role") == ("staff", "admin", "guest")
    assert "age" not in chosen
    assert len(claims) == 3


def test_no_claims_are_none() -> None:
    assert len(NO_CLAIMS) == 0
    assert Claims.of(()) == NO_CLAIMS == Claims()


# Their names in the token.


@pytest.mark.parametrize("claim_type", sorted(RESERVED_TYPES))
def test_a_claim_under_a_name_that_the_token_needs_travels_under_another(claim_type: str) -> None:
    assert emitted({claim_type: "value"}) == [(f"asrs.u.{claim_type}", "value")]


def test_the_reserved_names_are_those_of_the_sdk() -> None:
    assert {"aud", "exp", "iat", "nbf", "iss", "actort", "acr", "azp", "c_hash", "jti", "nonce"} == RESERVED_TYPES


@pytest.mark.parametrize("claim_type", ["Aud", "EXP", "audience", "roles", "asrs.u.aud", "at_hash", "auth_time"])
def test_only_the_very_names_are_reserved(claim_type: str) -> None:
    assert emitted({claim_type: 1}) == [(claim_type, 1)]


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "a"), (7, "7"), (1.5, "1.5"), (True, "true"), (False, "false"), ({"a": [1]}, '{"a":[1]}')],
    ids=repr,
)
def test_a_claim_under_a_reserved_name_becomes_text(value: Any, text: str) -> None:
    """As in the SDK, which makes a plain claim of it."""
    assert emitted({"exp": value}) == [("asrs.u.exp", text)]


@pytest.mark.parametrize(
    ("subjects", "names"),
    [(["a"], ["sub"]), (["a", "b"], ["sub", "asrs.u.sub"]), (["a", "b", "a"], ["sub", "asrs.u.sub", "asrs.u.sub"])],
    ids=["one", "two", "three"],
)
def test_the_first_subject_keeps_its_name(subjects: list[str], names: list[str]) -> None:
    assert emitted({"sub": subjects}) == list(zip(names, subjects, strict=True))


@pytest.mark.parametrize(("value", "text"), [(7, "7"), (True, "true"), (1.5, "1.5"), ({"a": 1}, '{"a":1}')], ids=repr)
def test_a_subject_becomes_text(value: Any, text: str) -> None:
    """RFC 7519 asks for it, and libraries refuse a whole token for a number."""
    assert emitted({"sub": [value, value]}) == [("sub", text), ("asrs.u.sub", text)]


@pytest.mark.parametrize(
    "claim_type",
    ["asrs.s.uid", "asrs.s.", "asrs.s.anything", "ASRS.S.UID", "Asrs.s.Uid", "asrs.S.uid", "aſrs.s.uid", "asrs.ſ.uid"],
)
def test_a_claim_that_forges_the_services_own_is_refused_in_any_case(claim_type: str) -> None:
    """An identity provider's user who may name a claim could be anybody. The SDK lets it pass."""
    with pytest.raises(InvalidClaim, match="the service's own") as refusal:
        emitted([("role", "staff"), (claim_type, "ada")])

    assert refusal.value.claim_type == claim_type
    assert "ada" not in str(refusal.value)


@pytest.mark.parametrize("claim_type", ["asrs.s", "asrs", "asrs.u.role", "x.asrs.s.uid"])
def test_other_prefixes_are_the_apps(claim_type: str) -> None:
    assert emitted({claim_type: "a"}) == [(claim_type, "a")]


def test_reserved_names_are_looked_for_before_long_types_are_shortened() -> None:
    """As in the SDK: a claim of .NET's long type for ``acr`` is a plain ``acr`` in the token."""
    assert emitted({"http://schemas.microsoft.com/claims/authnclassreference": "1"}) == [("acr", "1")]


# Their form in the token.


@pytest.mark.parametrize(
    ("pairs", "payload"),
    [
        ([], {}),
        ([("a", 1)], {"a": 1}),
        ([("a", 1), ("b", 2), ("a", 1)], {"a": [1, 1], "b": 2}),
        ([("a", "z"), ("a", "b"), ("a", "z")], {"a": ["z", "b", "z"]}),
        ([("a", True), ("a", 1), ("a", "1")], {"a": [True, 1, "1"]}),
        ([("a", {"x": 1}), ("a", {"x": 1})], {"a": [{"x": 1}, {"x": 1}]}),
    ],
    ids=["none", "one", "order of types", "order and duplicates", "kinds", "objects"],
)
def test_repeated_types_become_arrays_in_their_order(pairs: Iterable[tuple[str, Any]], payload: dict[str, Any]) -> None:
    merged = merge_claims(pairs)

    assert merged == payload
    assert list(merged) == list(payload)


def test_long_and_short_types_of_one_claim_become_one_array() -> None:
    assert merge_claims(customer_claims(Claims.of([(ROLE, "staff"), ("role", "admin")]))) == {
        "role": ["staff", "admin"]
    }
