"""Principals, the user ids made of them, and the claims of them that pass."""

import dataclasses
import sys
from collections import defaultdict
from typing import Any

import pytest

from flask_signalr.claims import NO_CLAIMS, Claims
from flask_signalr.errors import ConfigurationError
from flask_signalr.principal import (
    ANONYMOUS,
    Principal,
    by_claim,
    by_email,
    by_name,
    canonical_user_id,
    everything,
    nothing,
    only,
    rename,
)

EMAIL = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
ROLE = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"


# The principal.


def test_a_principal_cannot_be_changed() -> None:
    ada = Principal("ada", {"role": "staff"})

    with pytest.raises(dataclasses.FrozenInstanceError):
        ada.name = "grace"  # type: ignore[misc]
    with pytest.raises((AttributeError, TypeError)):
        ada.roles = ["admin"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("claims", [{"role": ["staff"]}, [("role", "staff")], Claims((("role", "staff"),))])
def test_claims_are_given_in_any_form(claims: Any) -> None:
    assert Principal("ada", claims).claims == Claims((("role", "staff"),))


def test_a_principal_is_a_bearer_unless_its_scheme_says_otherwise() -> None:
    assert Principal("ada") == Principal("ada", NO_CLAIMS, "Bearer", None)
    assert Principal("ada", scheme="Cookie", expires_at=5) == Principal("ada", {}, "Cookie", 5)
    assert Principal("ada") != Principal("ada", scheme="Cookie")


def test_principals_can_be_told_apart_in_a_set() -> None:
    assert len({Principal("ada", {"role": "a"}), Principal("ada", {"role": "a"}), Principal("ada")}) == 2


@pytest.mark.parametrize("scheme", ["Bearer", "Cookie", ""])
def test_whoever_a_scheme_proved_is_authenticated(scheme: str) -> None:
    assert Principal("ada", scheme=scheme).is_authenticated


def test_anonymous_is_nobody() -> None:
    assert not ANONYMOUS.is_authenticated
    assert (ANONYMOUS.name, ANONYMOUS.claims, ANONYMOUS.expires_at) == (None, NO_CLAIMS, None)
    assert by_name(ANONYMOUS) is None
    assert by_email(ANONYMOUS) is None
    assert by_claim("oid")(ANONYMOUS) is None


# The form of a user id.


@pytest.mark.parametrize(
    ("text", "user_id"),
    [
        (None, None),
        ("", None),
        ("  \t\r\n", None),
        ("ada", "ada"),
        ("  ada ", "ada"),
        ("Ada", "Ada"),
        ("ADA LOVELACE", "ADA LOVELACE"),
        ("Ada@Example.ORG", "ada@example.org"),
        (" ada@example.org\n", "ada@example.org"),
        ("ÄDA@EXAMPLE.ORG", "äda@example.org"),
        ("АДА@ПОЧТА.РФ", "ада@почта.рф"),
        ("DOMAIN\\Ada", "DOMAIN\\Ada"),
        ("@", "@"),
    ],
    ids=repr,
)
def test_one_person_has_one_user_id(text: str | None, user_id: str | None) -> None:
    """However the sign-in spells it; only an address knows no case."""
    assert canonical_user_id(text) == user_id


@pytest.mark.parametrize("text", ["Ada@Example.ORG", "straße@a", "ΟΔΟΣ@a", "ǅ@a", "İ@a", "\N{KELVIN SIGN}@a"])
def test_a_user_id_of_a_user_id_is_itself(text: str) -> None:
    once = canonical_user_id(text)

    assert canonical_user_id(once) == once


@pytest.mark.parametrize(
    ("mailbox", "look_alike"),
    [
        ("straße@example.org", "strasse@example.org"),
        ("STRAẞE@example.org", "STRASSE@example.org"),
        ("ſteve@example.org", "steve@example.org"),
        ("\N{KELVIN SIGN}ate@example.org", "kate@example.org"),
        ("\N{ANGSTROM SIGN}sa@example.org", "åsa@example.org"),
        ("\N{OHM SIGN}@example.org", "ω@example.org"),
        ("\N{LATIN SMALL LETTER DOTLESS I}da@example.org", "ida@example.org"),
        ("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}da@example.org", "ida@example.org"),
        ("ﬁona@example.org", "fiona@example.org"),
        ("οδος@example.org", "οδοσ@example.org"),
        ("µ@example.org", "μ@example.org"),
        ("аda@example.org", "ada@example.org"),
        ("ａda@example.org", "ada@example.org"),
        ("ada@example．org", "ada@example.org"),
        ("a\N{SOFT HYPHEN}da@example.org", "ada@example.org"),
        ("a\u200bda@example.org", "ada@example.org"),
        ("e\N{COMBINING ACUTE ACCENT}@example.org", "é@example.org"),
    ],
    ids=ascii,
)
def test_a_look_alike_address_does_not_become_another_user(mailbox: str, look_alike: str) -> None:
    """Whoever can register the one address must not receive what is sent to the other."""
    assert canonical_user_id(mailbox) != canonical_user_id(look_alike)


def test_no_two_letters_become_one_unless_they_are_each_others_upper_and_lower_case() -> None:
    """All of Unicode, so that no attack depends on whether somebody thought of its letter."""
    alphabet = "@" + "".join(map(chr, range(sys.maxunicode + 1))) + "@"
    canonical = canonical_user_id(alphabet) or ""

    letters_of = defaultdict(set)
    for letter, form in zip(alphabet, canonical, strict=True):
        letters_of[form].add(letter)
    merged = [letters for letters in letters_of.values() if len(letters) > 1]

    assert len(merged) > 1000
    assert all(is_one_letter_in_both_cases(letters) for letters in merged)


def is_one_letter_in_both_cases(letters: set[str]) -> bool:
    first, second = sorted(letters)
    return (first.lower() == second and second.upper() == first) or (
        second.lower() == first and first.upper() == second
    )


# User id providers.


@pytest.mark.parametrize(("name", "user_id"), [("ada", "ada"), (" Ada@Example.org ", "ada@example.org"), (" ", None)])
def test_by_name_takes_the_canonical_name(name: str, user_id: str | None) -> None:
    assert by_name(Principal(name)) == user_id


@pytest.mark.parametrize(
    ("claims", "user_id"),
    [
        ({}, None),
        ({"email": ""}, None),
        ({"email": "Ada@Example.org "}, "ada@example.org"),
        ({"email": ["a@example.org", "b@example.org"]}, "a@example.org"),
        ({EMAIL: "Ada@Example.org"}, "ada@example.org"),
        ({"Email": "ada@example.org"}, None),
        ({"email": "a@example.org", "email_verified": True}, "a@example.org"),
        ({"email": "a@example.org", "email_verified": "true"}, "a@example.org"),
        ({"email": "a@example.org", "email_verified": "True"}, "a@example.org"),
    ],
    ids=repr,
)
def test_by_email_takes_the_canonical_address(claims: dict[str, Any], user_id: str | None) -> None:
    assert by_email(Principal("ada", claims)) == user_id


@pytest.mark.parametrize(
    "verified", [False, "false", "", 0, "no", "1", "TRUE ", {"email": True}, [True, False], [False, True]], ids=repr
)
def test_an_unverified_address_is_no_user_id(verified: Any) -> None:
    """Whoever can type any address into a profile must not become its owner; unreadable is unverified."""
    assert by_email(Principal("mallory", {"email": "ada@example.org", "email_verified": verified})) is None


@pytest.mark.parametrize(
    ("claims", "user_id"),
    [
        ({"oid": "8F"}, "8F"),
        ({"oid": 42}, "42"),
        ({"oid": 0}, "0"),
        ({"oid": 2**64 - 1}, "18446744073709551615"),
        ({"oid": 1.5}, "1.5"),
        ({"oid": ["a", "b"]}, "a"),
        ({"oid": "Ada@Example.org"}, "ada@example.org"),
        ({"oid": ""}, None),
        ({"http://schemas.microsoft.com/identity/claims/objectidentifier": "8F"}, "8F"),
        ({"sub": "8F"}, None),
    ],
    ids=repr,
)
def test_by_claim_takes_the_first_value_of_a_type(claims: dict[str, Any], user_id: str | None) -> None:
    assert by_claim("oid")(Principal("ada", claims)) == user_id


@pytest.mark.parametrize("value", [True, False, {"id": "ada"}, {}], ids=repr)
def test_a_boolean_or_an_object_is_no_user_id(value: Any) -> None:
    """Half of all users would be ``True``."""
    assert by_claim("flag")(Principal("ada", {"flag": value})) is None


def test_by_claim_knows_a_long_type_by_the_name_that_was_given() -> None:
    assert by_claim(EMAIL)(Principal("ada", {EMAIL: "ada@example.org"})) == "ada@example.org"


# Claims filters.

ADA = Principal("ada", [("role", "staff"), (ROLE, "admin"), ("email", "ada@example.org"), ("level", 3)])


def test_nothing_passes_by_default_and_everything_on_request() -> None:
    assert nothing(ADA) == NO_CLAIMS
    assert everything(ADA) == ADA.claims


def test_only_what_is_named_passes() -> None:
    assert only("role")(ADA).pairs == (("role", "staff"), (ROLE, "admin"))
    assert only(ROLE)(ADA).pairs == ((ROLE, "admin"),)
    assert only("role", "level")(ADA).types() == ("role", ROLE, "level")
    assert only("Role", "emai", "")(ADA) == NO_CLAIMS
    assert only()(ADA) == NO_CLAIMS


def test_rename_lets_exactly_the_renamed_claims_pass() -> None:
    assert rename({"email": "mail", "level": "rank"})(ADA).pairs == (("mail", "ada@example.org"), ("rank", 3))


def test_rename_changes_names_in_what_another_filter_chooses() -> None:
    chosen = rename({"level": "rank"}, only("role", "level"))(ADA)

    assert chosen.pairs == (("role", "staff"), (ROLE, "admin"), ("rank", 3))


def test_rename_knows_long_types_by_their_short_name() -> None:
    """As `only` does: a renamed role is renamed however the identity provider spells it."""
    assert rename({"role": "group"})(ADA).pairs == (("group", "staff"), ("group", "admin"))


@pytest.mark.parametrize("claim_types", [(["role", "email"],), (("role", "email"),), ("role", None), (ANONYMOUS,)])
def test_only_takes_types_one_by_one(claim_types: Any) -> None:
    """A tuple would be a type that no claim has, and nothing would pass."""
    with pytest.raises(ConfigurationError, match=r'only\("role", "email"\); (a \w+|None) is no claim type'):
        only(*claim_types)


@pytest.mark.parametrize("arguments", [("role",), (["role"],), ({"a": 1},), ({1: "a"},), (ANONYMOUS,)])
def test_rename_takes_a_mapping_of_texts(arguments: Any) -> None:
    with pytest.raises(ConfigurationError, match=r'rename\({"groups": "role"}\)'):
        rename(*arguments)


def test_rename_takes_a_filter_that_can_be_called() -> None:
    with pytest.raises(ConfigurationError, match="a callable of one principal"):
        rename({"groups": "role"}, ["groups"])  # type: ignore[arg-type]


def test_rename_keeps_to_what_it_was_told_at_first() -> None:
    names = {"email": "mail"}
    claims_filter = rename(names)

    names["email"] = "role"

    assert claims_filter(ADA).types() == ("mail",)


@pytest.mark.parametrize("claim_type", ["email", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"])
def test_claiming_somebody_elses_address_by_its_claim_fails(claim_type: str) -> None:
    """An unverified address is none, whichever of the two providers is asked for it."""
    mallory = Principal("mallory", {"email": "ada@example.org", "email_verified": False})

    assert by_claim(claim_type)(mallory) is None


@pytest.mark.parametrize("name", ["ada\u2028", "\xa0ada", "ada\x1f"])
def test_a_name_with_odd_blanks_does_not_pass_for_another(name: str) -> None:
    assert by_name(Principal(name)) == name


@pytest.mark.parametrize(
    "keywords",
    [{"name": 42}, {"name": b"ada"}, {"scheme": 1}, {"expires_at": "soon"}, {"expires_at": True}],
    ids=repr,
)
def test_a_principal_is_made_of_what_it_says(keywords: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(keywords))):
        Principal(**{"name": "ada", **keywords})


def test_a_sign_in_ends_at_a_whole_second() -> None:
    """``time.time() + 100`` is natural to write, and JWTs of the service have whole seconds."""
    assert Principal("ada", expires_at=1_700_000_000.9).expires_at == 1_700_000_000
