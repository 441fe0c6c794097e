"""What a Windows account is: the forms of its name, its one user id, and names that could be taken for another's."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flask_signalr import ConfigurationError, Principal, by_name
from flask_signalr.auth.windows_accounts import windows_principal
from flask_signalr.auth.windows_identity import Realms, WindowsIdentity, WindowsRealm, by_windows_account

INTRANET = WindowsRealm("INTRANET.TEST", domain="INTRANET", upn_suffix="corp.example")
PARTNER = WindowsRealm("PARTNER.TEST")
REALMS = Realms([INTRANET, PARTNER])
ALICE = WindowsIdentity("alice", INTRANET)


# One person, one user.


@pytest.mark.parametrize(
    "name",
    [
        "INTRANET\\alice",
        "intranet\\ALICE",
        "alice@INTRANET.TEST",
        "Alice@intranet.test",
        "alice@corp.example",
        "ALICE@CORP.EXAMPLE",
        " alice@corp.example ",
    ],
)
@pytest.mark.parametrize("scheme", ["Cookie", "Bearer", "Kerberos", "NTLM"])
def test_one_person_is_one_user_however_it_signs_in(name: str, scheme: str) -> None:
    """A cookie of a login form, a bearer token's claim and a ticket write the same account in different forms."""
    provider = by_windows_account(INTRANET, PARTNER)

    assert provider(Principal(name, scheme=scheme)) == "alice@corp.example"
    assert by_name(windows_principal(ALICE)) == provider(windows_principal(ALICE)) == ALICE.user_id


@pytest.mark.parametrize(
    ("name", "user_id"),
    [
        ("alice", "alice"),
        ("alice@partner.test", "alice@partner.test"),
        ("PARTNER\\alice", "PARTNER\\alice"),
        ("OTHER\\alice", "OTHER\\alice"),
        ("alice@other.test", "alice@other.test"),
        ("INTRANET\\alice@corp.example", "intranet\\alice@corp.example"),
        ("INTRANET\\", "INTRANET\\"),
        ("intranet.test\\alice", "intranet.test\\alice"),
        ("", None),
        (None, None),
    ],
)
def test_other_names_stay_who_they_are(name: str | None, user_id: str | None) -> None:
    """A domain that is not configured is somebody else's."""
    assert by_windows_account(INTRANET, PARTNER)(Principal(name)) == user_id


@pytest.mark.parametrize(
    "lookalike",
    [
        "alice@INTRANET.TEST.EVIL.TEST",
        "alice@EVIL-INTRANET.TEST",
        "alice@INTRANET.TEST.",
        "alice@\u0130NTRANET.TEST",  # I with a dot, whose lower case begins with i
        "alice@INTRANET\u3002TEST",  # a full stop of another script
        "alice@INTRANET.TEST\x00",
        "alice@intranet.test",  # to Kerberos, another realm
        "alice@",
        "alice",
        "@INTRANET.TEST",
        "",
    ],
)
def test_a_realm_that_looks_like_ours_is_another(lookalike: str) -> None:
    assert REALMS.of_principal(lookalike) is None


def test_a_letter_that_only_looks_like_another_is_another() -> None:
    """The Kelvin sign's lower case is a k."""
    kelvin = Realms(["BANK.TEST"]).of_account("alice@BAN\u212a.TEST", "NTLM")

    assert kelvin is None
    assert WindowsIdentity("\u212aarl", INTRANET).user_id != WindowsIdentity("karl", INTRANET).user_id


@pytest.mark.parametrize(
    "name",
    [
        "alice\\@INTRANET.TEST@PARTNER.TEST",
        "alice\\/admin@INTRANET.TEST",
        "alice\\\\@INTRANET.TEST",
        "INTRANET\\\\alice@INTRANET.TEST",
        "alice\\n@INTRANET.TEST",
        "alice\\0@INTRANET.TEST",
        "alice\\t@INTRANET.TEST",
        "alice\\b@INTRANET.TEST",
        " alice@INTRANET.TEST",
        "alice @INTRANET.TEST",
        "al\u200bice@INTRANET.TEST",
        "al\u202eice@INTRANET.TEST",
        "alice\u00a0@INTRANET.TEST",
        "/alice@INTRANET.TEST",
        "HTTP/@INTRANET.TEST",
        "alice@INTRANET\\.TEST",
        "alice@PARTNER.TEST@INTRANET.TEST",
        "a" * 600 + "@INTRANET.TEST",
    ],
)
def test_a_name_that_could_be_taken_for_another_is_nobody(name: str) -> None:
    r"""Escaped signs, blanks at an end, characters that nobody sees; MIT writes a newline as ``\n``."""
    assert REALMS.of_principal(name) is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("alice", "person"),
        ("josé", "person"),
        ("jose\u0301", "person"),
        ("John Smith", "person"),
        ("a.b+c", "person"),
        ("PC7$", "machine"),
        ("HTTP/web", "service"),
        ("carol/admin", "service"),
        ("host/pc7$", "service"),
        ("WELLKNOWN/ANONYMOUS", "service"),
    ],
)
def test_the_kind_of_an_account_stands_in_its_name(name: str, kind: str) -> None:
    identity = REALMS.of_principal(f"{name}@INTRANET.TEST", expires_at=7)

    assert identity == WindowsIdentity(name, INTRANET, kind, "Kerberos", 7)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("account", "kind"),
    [("INTRANET\\alice", "person"), ("intranet\\PC7$", "machine"), ("alice@corp.example", "person")],
)
def test_windows_writes_accounts_in_two_forms(account: str, kind: str) -> None:
    identity = REALMS.of_account(account, "NTLM")

    assert identity is not None
    assert (identity.realm, identity.kind, identity.protocol) == (INTRANET, kind, "NTLM")


@pytest.mark.parametrize(
    "account",
    [
        "alice",
        "\\alice",
        "INTRANET\\",
        "INTRANET\\a/b",
        "INTRANET\\a\\b",
        "INTRANET\\a@b",
        "X\\alice",
        "alice@x.test",
        "",
        "INTRANET\\" + "a" * 600,
    ],
)
def test_an_account_without_a_domain_of_ours_is_nobody(account: str) -> None:
    """NTLM lets the client type any domain."""
    assert REALMS.of_account(account, "NTLM") is None


@given(st.text(max_size=40), st.sampled_from(["INTRANET.TEST", "PARTNER.TEST"]))
@example("alice\\@INTRANET.TEST", "PARTNER.TEST")
@example("\\1", "INTRANET.TEST")
def test_whatever_the_name_its_realm_stays(name: str, realm: str) -> None:
    """No name moves its owner into another realm, and no two names are one unless only their case differs."""
    identity = REALMS.of_principal(f"{name}@{realm}")

    if identity is not None:
        assert identity.realm.name == realm
        assert identity.name == name
        assert identity.user_id.rpartition("@")[2] == (identity.realm.upn_suffix or realm).lower()


def test_every_form_of_a_name_is_told() -> None:
    assert ALICE.principal_name == "alice@INTRANET.TEST"
    assert ALICE.upn == "alice@corp.example"
    assert ALICE.account_name == "INTRANET\\alice"
    assert WindowsIdentity("alice", PARTNER).upn == "alice@PARTNER.TEST"
    assert WindowsIdentity("alice", PARTNER).account_name is None


def test_a_domain_without_a_netbios_name_has_no_such_claim() -> None:
    assert windows_principal(WindowsIdentity("alice", PARTNER)).claims.types() == ("name", "upn", "realm")
    assert windows_principal(ALICE).claims.get("winaccountname") == "INTRANET\\alice"


# Realms.


@pytest.mark.parametrize(
    "names",
    [
        {"name": ""},
        {"name": "alice@INTRANET.TEST"},
        {"name": "A/B"},
        {"name": "INTRANET TEST"},
        {"name": ".TEST"},
        {"name": "\u0130NTRANET.TEST"},
        {"name": "INTRANET.TEST", "domain": ""},
        {"name": "INTRANET.TEST", "domain": "INTRANET\\"},
        {"name": "INTRANET.TEST", "domain": "A" * 16},
        {"name": "INTRANET.TEST", "upn_suffix": "@corp.example"},
        {"name": "INTRANET.TEST", "upn_suffix": ""},
        {"name": None},
    ],
)
def test_a_name_that_is_none_is_an_error(names: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="is not a"):
        WindowsRealm(**names)


@pytest.mark.parametrize(
    "realms",
    [
        ["A.TEST", "a.test"],
        ["A.TEST", "A.TEST"],
        [WindowsRealm("A.TEST", domain="X"), WindowsRealm("B.TEST", domain="x")],
        [WindowsRealm("A.TEST", upn_suffix="corp.example"), WindowsRealm("B.TEST", upn_suffix="corp.example")],
        [WindowsRealm("A.TEST", upn_suffix="b.test"), "B.TEST"],
    ],
    ids=["case", "twice", "domain", "suffix", "suffix and realm"],
)
def test_two_realms_under_one_name_are_an_error(realms: list[str | WindowsRealm]) -> None:
    """Otherwise the one realm's alice would be the other's."""
    with pytest.raises(ConfigurationError, match="two people would be one user"):
        Realms(realms)


def test_a_realm_may_have_its_own_name_as_suffix() -> None:
    realms = Realms([WindowsRealm("A.TEST", upn_suffix="a.test")])

    assert realms.of_account("alice@a.test", "NTLM") is not None
    assert repr(realms) == "Realms(A.TEST)"


@pytest.mark.parametrize("name", ["\u00a0alice@intranet.test", "\u2003INTRANET\\alice", "alice@intranet.test\x85"])
def test_an_account_with_odd_blanks_does_not_pass_for_another(name: str) -> None:
    """An app may let people choose their names: such a one is another name, and must stay another user."""
    user_id = by_windows_account(WindowsRealm("INTRANET.TEST", domain="INTRANET", upn_suffix="intranet.test"))

    assert user_id(Principal(name)) != "alice@intranet.test"
