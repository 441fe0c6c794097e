"""Roles of a real directory: whose they are, what they are, and when nobody gets any."""

import logging
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from flask_signalr import AuthorizationDenied, ConfigurationError, MissingExtra, SignalR, Unavailable
from flask_signalr.auth.expiring_cache import RoleCaching
from flask_signalr.auth.frontend import FrontEndAuth
from flask_signalr.auth.ldap_directory import LdapDirectory
from flask_signalr.auth.ldap_groups import LdapGroups
from flask_signalr.auth.ldap_roles import LdapRoles
from flask_signalr.auth.windows_identity import WindowsIdentity, WindowsRealm
from tests.apps import create_app
from tests.emulated import Clock
from tests.slapd import (
    ELSEWHERE,
    FEW,
    GROUPS,
    LIMITED_READER,
    LONGEST_WAIT,
    PEOPLE,
    READER,
    READER_PASSWORD,
    SUFFIX,
    Slapd,
)

REALM = WindowsRealm("INTRANET.EXAMPLE")
PARTNER = WindowsRealm("PARTNER.EXAMPLE")
ACCOUNTS = {"INTRANET.EXAMPLE": SUFFIX}

Provide = Callable[..., LdapRoles]


@pytest.fixture
def provide() -> Iterator[Provide]:
    """Return what makes a provider for a directory; its connections are closed when the test is over."""
    made: list[LdapRoles] = []

    def provider(server: Slapd, reader: str = READER, timeout: float = LONGEST_WAIT, **options: Any) -> LdapRoles:
        directory = LdapDirectory(server.url, reader, READER_PASSWORD, timeout=timeout)
        made.append(LdapRoles(directory, **({"accounts": ACCOUNTS} | options)))
        return made[-1]

    yield provider
    for roles in made:
        roles.close()


@pytest.fixture(scope="module")
def victor(directory_server: Slapd) -> None:
    """An account whom others try to be taken for."""
    directory_server.add_group("victors", directory_server.add_person("Victor"))


def person(name: str, realm: WindowsRealm = REALM) -> WindowsIdentity:
    return WindowsIdentity(name, realm)


def refusal(roles: LdapRoles, name: str, caplog: pytest.LogCaptureFixture) -> str:
    """Return why an account is refused, as the log has it; the caller does not learn it."""
    with (
        caplog.at_level(logging.INFO),
        pytest.raises(AuthorizationDenied, match=r"^this account may not connect here$"),
    ):
        roles(person(name))
    return caplog.messages[-1].partition(" may not sign on: ")[2]


def searches(server: Slapd, name: str) -> int:
    """Return how often a server was asked for an account, of the few letters that no filter escapes."""
    return server.log.count(f'filter="(sAMAccountName={name})"')


# Whose roles, and which.


def test_roles_are_the_names_of_the_groups(directory_server: Slapd, provide: Provide) -> None:
    ada = directory_server.add_person("ada")
    directory_server.add_group("staff", ada)
    directory_server.add_group("admins of the chat", ada)
    directory_server.add_group("others", directory_server.add_person("other"))

    assert provide(directory_server)(person("ada")) == ("admins of the chat", "staff")


def test_an_account_without_groups_has_no_roles(directory_server: Slapd, provide: Provide) -> None:
    directory_server.add_person("loner")

    assert provide(directory_server)(person("loner")) == ()


@pytest.mark.parametrize("nested", [None, "walk"], ids=str)
@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("josé", "Équipe Ⅳ, Δ"),
        ("日本", "開発 (チャット)"),
        ('o\'neil, "jr"', 'quoted "all", + <some>; of = it\\'),
        ("star*", "#1 (*)"),
        ("paren(theses)", " blanks "),
    ],
)
def test_names_of_any_letters_are_found(
    directory_server: Slapd, provide: Provide, nested: Any, name: str, group: str
) -> None:
    unique = f"{name}{nested}"
    directory_server.add_group(f"{group}{nested}", directory_server.add_person(unique))

    roles = provide(directory_server, groups=LdapGroups(nested=nested))

    assert roles(person(unique)) == (f"{group}{nested}",)


@pytest.mark.parametrize("name", ["VICTOR", "victor", "Victor"])
@pytest.mark.usefixtures("victor")
def test_the_case_of_a_name_makes_no_difference(directory_server: Slapd, provide: Provide, name: str) -> None:
    """As for the user id: Active Directory and people do not care."""
    assert provide(directory_server)(person(name)) == ("victors",)


@pytest.mark.parametrize(
    "name", ["*", "Victor)(cn=*", "*)(objectClass=*", "Victor)(|(cn=*", "Victor*", "V\\69ctor", "Victor\0", "&"]
)
@pytest.mark.usefixtures("victor")
def test_a_name_cannot_inject_a_filter(
    directory_server: Slapd, provide: Provide, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Attack: an account called as a filter is written, to be taken for somebody else."""
    assert refusal(provide(directory_server), name, caplog) == "the directory does not know it"


@pytest.mark.parametrize(
    "name", ["ｖｉｃｔｏｒ", "victor ", "vi\u00adctor"], ids=["full width", "blank", "soft hyphen"]
)
@pytest.mark.usefixtures("victor")
def test_a_name_that_only_the_directory_takes_for_another_is_refused(
    directory_server: Slapd, provide: Provide, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Attack: directories compare names as RFC 4518 prepares them, Kerberos byte by byte: these are two accounts."""
    assert refusal(provide(directory_server), name, caplog) == "the directory does not know it"


def test_a_namesake_of_another_realm_gets_no_roles(own_directory_server: Slapd, provide: Provide) -> None:
    """Attack: a trusted realm gives somebody the name of one of ours."""
    own_directory_server.add_group("staff", own_directory_server.add_person("alice"))
    roles = provide(own_directory_server)

    stranger, alice = roles(person("alice", PARTNER)), roles(person("alice"))

    own_directory_server.stop()
    assert (stranger, alice) == ((), ("staff",))
    assert searches(own_directory_server, "alice") == 1


def test_namesakes_of_two_realms_do_not_share_roles(directory_server: Slapd, provide: Provide) -> None:
    """Attack: the same, in a directory with both realms; nor may the cache mix them up."""
    theirs = f"cn=namesake,{ELSEWHERE}"
    directory_server.add(theirs, {"objectClass": "user", "sn": "namesake", "sAMAccountName": "namesake"})
    directory_server.add_group("namesakes here", directory_server.add_person("namesake"))
    directory_server.add_group("namesakes elsewhere", theirs)
    both = {"INTRANET.EXAMPLE": PEOPLE, "PARTNER.EXAMPLE": ELSEWHERE}

    roles = provide(directory_server, accounts=both, groups=LdapGroups(base=GROUPS))

    assert roles(person("namesake")) == ("namesakes here",)
    assert roles(person("namesake", PARTNER)) == ("namesakes elsewhere",)


def test_a_group_of_the_same_name_elsewhere_is_no_role(directory_server: Slapd, provide: Provide) -> None:
    """Attack: whoever may create groups in one place creates one there that is called as a role is."""
    eve = directory_server.add_person("eve")
    directory_server.add_group("rulers of all", eve, ou=ELSEWHERE)
    directory_server.add_group("guests", eve)

    for nested in (None, "walk"):
        assert provide(directory_server, groups=LdapGroups(base=GROUPS, nested=nested))(person("eve")) == ("guests",)


def test_an_alias_does_not_bring_in_an_account_from_elsewhere(directory_server: Slapd, provide: Provide) -> None:
    """Attack: whoever may create entries among the people points one at an account that is none of them."""
    ghost = f"cn=ghost,{ELSEWHERE}"
    directory_server.add(ghost, {"objectClass": "user", "sn": "ghost", "sAMAccountName": "ghost"})
    alias: dict[str, str | list[str]] = {"objectClass": ["alias", "extensibleObject"], "aliasedObjectName": ghost}
    directory_server.add(f"cn=ghost,{PEOPLE}", alias)

    with pytest.raises(AuthorizationDenied):
        provide(directory_server, accounts={"INTRANET.EXAMPLE": PEOPLE})(person("ghost"))


def test_another_attribute_may_hold_the_name(directory_server: Slapd, provide: Provide) -> None:
    directory_server.add_group("unixers", directory_server.add_person("Ken Thompson", uid="ken"))

    assert provide(directory_server, account_attribute="uid")(person("ken")) == ("unixers",)


# Groups within groups.


def test_groups_within_groups_are_walked_and_circles_do_not_matter(directory_server: Slapd, provide: Provide) -> None:
    inner = directory_server.add_group("inner", directory_server.add_person("nested"))
    middle = directory_server.add_group("middle", inner)
    outer = directory_server.add_group("outer", middle, inner)
    directory_server.replace_values(inner, "member", directory_server.add_person("nested too"), outer)
    directory_server.add_group("also inner", outer, f"cn=nested,ou=people,{SUFFIX}")

    roles = provide(directory_server, groups=LdapGroups(nested="walk"))

    assert roles(person("nested too")) == ("also inner", "inner", "middle", "outer")
    assert roles(person("nested")) == ("also inner",)


def test_groups_within_groups_do_not_count_unless_asked_for(directory_server: Slapd, provide: Provide) -> None:
    directory_server.add_group("direct", directory_server.add_person("flat"))
    directory_server.add_group("indirect", f"cn=direct,{GROUPS}")

    assert provide(directory_server)(person("flat")) == ("direct",)


def test_active_directory_is_asked_to_follow_the_chain_itself(own_directory_server: Slapd, provide: Provide) -> None:
    """OpenLDAP has no such matching rule, finds nothing by it, and notes it as undefined."""
    own_directory_server.add_group("staff", own_directory_server.add_person("chained"))

    roles = provide(own_directory_server, groups=LdapGroups(nested="in-chain"))(person("chained"))

    own_directory_server.stop()
    assert roles == ()
    assert f'SRCH base="{SUFFIX}" scope=2 deref=0 filter="(?=undefined)"' in own_directory_server.log


# Bounds.


@pytest.mark.parametrize("nested", [None, "walk"], ids=str)
def test_a_thousand_groups_are_the_most(
    directory_server: Slapd, provide: Provide, nested: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Attack: more groups than anybody wants to look at; and some of the roles must not pass for all of them."""
    name = f"joiner{nested}"
    joiner = directory_server.add_person(name)
    directory_server.add_groups([f"group {number} of {name}" for number in range(1000)], joiner)

    roles = provide(directory_server, groups=LdapGroups(nested=nested))(person(name))
    directory_server.add_group(f"one more of {name}", joiner)
    reason = refusal(provide(directory_server, groups=LdapGroups(nested=nested)), name, caplog)

    assert len(roles) == 1000
    assert reason == "it is in more groups than LdapGroups(limit=…) or the directory allow"


def test_groups_of_all_levels_count_towards_the_limit(directory_server: Slapd, provide: Provide) -> None:
    member = directory_server.add_person("climber")
    for level in range(4):
        member = directory_server.add_group(f"level {level}", member)

    assert len(provide(directory_server, groups=LdapGroups(nested="walk", limit=4))(person("climber"))) == 4
    with pytest.raises(AuthorizationDenied):
        provide(directory_server, groups=LdapGroups(nested="walk", limit=3))(person("climber"))


def test_what_the_server_cuts_off_is_refused(directory_server: Slapd, provide: Provide) -> None:
    """Servers have limits of their own."""
    sorted_out = directory_server.add_person("sorted out")
    directory_server.add_groups([f"group {number} of some" for number in range(FEW + 1)], sorted_out)

    with pytest.raises(AuthorizationDenied):
        provide(directory_server, LIMITED_READER, groups=LdapGroups(nested="walk"))(person("sorted out"))


# Accounts that may not sign on.


def test_an_account_that_the_directory_does_not_know_is_refused(directory_server: Slapd, provide: Provide) -> None:
    """Its ticket is still good for hours when an account is deleted."""
    with pytest.raises(AuthorizationDenied, match=r"^this account may not connect here$"):
        provide(directory_server)(person("nobody"))


def test_an_unknown_account_may_go_on_without_roles(directory_server: Slapd, provide: Provide) -> None:
    assert provide(directory_server, if_unknown="continue")(person("nobody")) == ()


@pytest.mark.parametrize("flags", ["514", "66050", "-2147483134", "unreadable"])
def test_a_disabled_account_is_refused_although_its_ticket_is_good(
    directory_server: Slapd, provide: Provide, flags: str
) -> None:
    """Attack: somebody who was let go still has a ticket."""
    name = f"leaver {flags}"
    directory_server.add_group(f"group of {name}", directory_server.add_person(name, userAccountControl=flags))

    with pytest.raises(AuthorizationDenied):
        provide(directory_server, if_unknown="continue")(person(name))


def test_an_enabled_account_is_not_refused(directory_server: Slapd, provide: Provide) -> None:
    directory_server.add_group("enabled ones", directory_server.add_person("enabled", userAccountControl="512"))

    assert provide(directory_server)(person("enabled")) == ("enabled ones",)


def test_two_accounts_of_one_name_are_refused(
    directory_server: Slapd, provide: Provide, caplog: pytest.LogCaptureFixture
) -> None:
    """Attack: whoever may create accounts in one place creates a namesake there."""
    directory_server.add_person("twin")
    directory_server.add_person("impostor", sAMAccountName="Twin")

    reason = refusal(provide(directory_server, if_unknown="continue"), "twin", caplog)

    assert reason == "the directory has several accounts of that name"


# The cache.


def test_roles_are_kept_and_outlast_the_directory(own_directory_server: Slapd, provide: Provide) -> None:
    own_directory_server.add_group("staff", own_directory_server.add_person("alice"))
    clock = Clock()
    roles = provide(own_directory_server, caching=RoleCaching(clock=clock))
    roles(person("alice"))
    own_directory_server.stop()

    clock.now += 599

    assert roles(person("alice")) == ("staff",)
    clock.now += 600
    with pytest.raises(Unavailable):
        roles(person("alice"))


def test_a_group_that_somebody_left_is_no_role_after_an_hour(own_directory_server: Slapd, provide: Provide) -> None:
    alice, bob = own_directory_server.add_person("alice"), own_directory_server.add_person("bob")
    staff = own_directory_server.add_group("staff", alice, bob)
    clock = Clock()
    roles = provide(own_directory_server, caching=RoleCaching(clock=clock))
    roles(person("alice"))
    own_directory_server.replace_values(staff, "member", bob)
    answers = []

    for _ in range(7):
        clock.now += 599
        answers.append(roles(person("alice")))

    assert answers == [*[("staff",)] * 6, ()]


def test_the_directory_is_asked_once_however_many_sign_on_at_the_same_time(
    own_directory_server: Slapd, provide: Provide
) -> None:
    """Attack: a page that reconnects in a loop must not become a load on the directory."""
    own_directory_server.add_group("staff", own_directory_server.add_person("alice"))
    roles = provide(own_directory_server)

    with ThreadPoolExecutor(8) as threads:
        with own_directory_server.paused():
            asked = [threads.submit(roles, person("alice")) for _ in range(8)]
        answers = [thread.result(LONGEST_WAIT) for thread in asked]

    own_directory_server.stop()
    assert answers == [("staff",)] * 8
    assert searches(own_directory_server, "alice") == 1


def test_whoever_is_known_does_not_wait_for_a_slow_directory(own_directory_server: Slapd, provide: Provide) -> None:
    own_directory_server.add_group(
        "staff", own_directory_server.add_person("alice"), own_directory_server.add_person("bob")
    )
    roles = provide(own_directory_server)
    roles(person("bob"))

    with ThreadPoolExecutor(2) as threads, own_directory_server.paused():
        alice = threads.submit(roles, person("alice"))
        bobs_roles = threads.submit(roles, person("bob")).result(LONGEST_WAIT)
        alice_waits = not alice.done()

    assert bobs_roles == ("staff",)
    assert alice_waits
    assert alice.result(LONGEST_WAIT) == ("staff",)


# When the directory is down.


def test_nobody_signs_on_while_the_directory_is_down(own_directory_server: Slapd, provide: Provide) -> None:
    """It is not the client's fault, and it may try again: 503."""
    own_directory_server.stop()
    signalr = SignalR(auth=[FrontEndAuth(realms=["INTRANET.EXAMPLE"], roles_provider=provide(own_directory_server))])
    signalr.hub("chat")

    answer = (
        create_app(signalr)
        .test_client()
        .post("/chat/negotiate", environ_overrides={"REMOTE_USER": "alice@INTRANET.EXAMPLE"})
    )

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "10"
    assert answer.json == {"error": "the directory of roles gives no answer; try again"}


def test_sign_ons_may_go_on_without_roles_until_the_directory_is_back(
    own_directory_server: Slapd, provide: Provide, caplog: pytest.LogCaptureFixture
) -> None:
    own_directory_server.add_group("staff", own_directory_server.add_person("alice"))
    roles = provide(own_directory_server, if_down="continue", timeout=0.2)

    with own_directory_server.paused():
        without = roles(person("alice"))
    restored = provide(own_directory_server, if_down="continue")(person("alice"))

    assert (without, restored) == ((), ("staff",))
    assert "'alice@INTRANET.EXAMPLE' goes on without roles: the directory is down" in caplog.text


# Set-up.


def test_the_password_is_not_shown(directory_server: Slapd, provide: Provide) -> None:
    roles = provide(directory_server)

    assert READER in repr(roles)
    assert READER_PASSWORD not in repr(roles)


def test_the_password_stays_out_of_all_logs(
    own_directory_server: Slapd, provide: Provide, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    own_directory_server.add_person("alice")
    roles = provide(own_directory_server)

    roles(person("alice"))
    roles(person("alice", PARTNER))
    with pytest.raises(AuthorizationDenied):
        roles(person("nobody"))
    own_directory_server.stop()
    with pytest.raises(Unavailable):
        roles(person("bob"))

    assert caplog.text
    assert READER_PASSWORD not in caplog.text


def test_a_missing_library_is_told_while_the_app_is_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "flask_signalr.auth.ldap_connections", raising=False)
    monkeypatch.setitem(sys.modules, "ldap3", None)

    with pytest.raises(MissingExtra, match=r"^LdapRoles needs .*pip install 'flask-signalr\[ldap\]'$"):
        LdapRoles(LdapDirectory("ldaps://dc1.intranet.example"), ACCOUNTS)


@pytest.mark.parametrize(
    ("keyword", "options"),
    [
        ("accounts", {"accounts": {}}),
        ("accounts", {"accounts": {"INTRANET.EXAMPLE": "intranet.example"}}),
        ("accounts", {"accounts": {"INTRANET.EXAMPLE": ""}}),
        ("accounts", {"accounts": {"INTRANET.EXAMPLE": None}}),
        ("account_attribute", {"account_attribute": "uid=*)(cn"}),
        ("if_unknown", {"if_unknown": "ignore"}),
        ("if_down", {"if_down": True}),
    ],
    ids=str,
)
def test_a_value_that_cannot_be_used_is_named(keyword: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=rf"LdapRoles\({keyword}="):
        LdapRoles(LdapDirectory("ldaps://dc1.intranet.example"), **({"accounts": ACCOUNTS} | options))
