"""The settings of groups, and what they make of answers; `test_auth_ldap_roles` asks a real directory."""

from typing import Any

import pytest

from flask_signalr.auth.ldap_groups import LdapGroups
from flask_signalr.auth.ldap_search import Entry, Search, TooManyEntries
from flask_signalr.errors import ConfigurationError

BASE = "dc=intranet,dc=example"


def not_asked(search: Search) -> list[Entry]:
    raise AssertionError(f"nothing is to be looked up, but {search}")


def account(*groups: str) -> Entry:
    return Entry(f"cn=alice,{BASE}", {"memberof": groups})


def test_the_role_of_a_group_is_its_common_name() -> None:
    roles = LdapGroups().roles(
        account(f"cn=staff,{BASE}", rf"cn=R\2CD,ou=chat,{BASE}", f"ou=unit,{BASE}"), BASE, not_asked
    )

    assert roles == ("R,D", "staff")


def test_groups_of_one_role_give_it_once() -> None:
    groups = LdapGroups(role_names=lambda dn: "staff" if "staff" in dn else None)

    assert groups.roles(account(f"cn=staff-a,{BASE}", f"cn=staff-b,{BASE}", f"cn=c,{BASE}"), BASE, not_asked) == (
        "staff",
    )


def test_a_mapping_names_groups_as_directories_do() -> None:
    """Nobody remembers the case and the blanks of a DN; all groups that are not in the mapping are no roles."""
    groups = LdapGroups(role_names={"CN=Chat Moderators, OU=Groups, DC=intranet, DC=example": "moderator"})

    roles = groups.roles(account(f"cn=chat moderators,ou=groups,{BASE}", f"cn=moderator,{BASE}"), BASE, not_asked)

    assert roles == ("moderator",)


def test_a_group_of_the_same_name_elsewhere_is_no_role() -> None:
    """Attack: whoever may create groups somewhere creates one that is called as a role is."""
    groups = LdapGroups(base=f"ou=chat,{BASE}")
    forged = [f"cn=admin,{BASE}", f"cn=admin,ou=printers,{BASE}", rf"cn=admin\,ou=chat,{BASE}", "cn=admin,ou=chat"]

    assert groups.roles(account(*forged, f"cn=staff,ou=chat,{BASE}"), BASE, not_asked) == ("staff",)


def test_active_directory_follows_the_chain_of_groups_by_its_own_matching_rule() -> None:
    """One search, however deep the groups lie. Source: [MS-ADTS] §3.1.1.3.4.4.3."""
    asked = []

    def answered(search: Search) -> list[Entry]:
        asked.append(search)
        return [Entry(f"cn=outer,{BASE}", {}), Entry(f"cn=inner,{BASE}", {})]

    roles = LdapGroups(nested="in-chain", limit=7).roles(account("cn=ignored"), BASE, answered)

    assert roles == ("inner", "outer")
    who = r"cn\3dalice\2cdc\3dintranet\2cdc\3dexample"
    assert asked == [Search(BASE, f"(member:1.2.840.113556.1.4.1941:={who})", 7)]


def test_a_walk_ends_at_the_limit() -> None:
    """Attack: groups within groups without end."""
    asked = []

    def one_more(search: Search) -> list[Entry]:
        asked.append(search)
        assert len(asked) < 10
        return [Entry(f"cn=group {len(asked)},{BASE}", {})]

    with pytest.raises(TooManyEntries):
        LdapGroups(nested="walk", limit=3).roles(account(), BASE, one_more)

    assert len(asked) == 4


def test_a_wide_level_is_walked_in_parts() -> None:
    """Servers bound the size of a filter."""
    asked = []

    def groups(search: Search) -> list[Entry]:
        asked.append(search.filter.count("(member="))
        return [Entry(f"cn=group {number},{BASE}", {}) for number in range(120)]

    LdapGroups(nested="walk").roles(account(), BASE, groups)

    assert asked == [1, 50, 50, 20]


@pytest.mark.parametrize(
    "options",
    [
        {"base": "groups"},
        {"base": ""},
        {"base": 7},
        {"nested": "yes"},
        {"nested": True},
        {"member_attribute": "member)(cn=*"},
        {"member_attribute": ""},
        {"member_attribute": None},
        {"role_names": {"staff": "staff"}},
        {"role_names": {"cn=staff": ""}},
        {"role_names": {"cn=staff": None}},
        {"role_names": "cn"},
        {"limit": 0},
        {"limit": 1001},
        {"limit": "10"},
    ],
    ids=str,
)
def test_a_value_that_cannot_be_used_is_named(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=rf"LdapGroups\({next(iter(options))}=…\): "):
        LdapGroups(**options)
