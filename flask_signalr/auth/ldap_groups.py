"""Groups of a directory: which ones an account is in, and what roles they stand for."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from flask_signalr.auth.distinguished_name import DistinguishedName, UnreadableName, common_name
from flask_signalr.auth.keyword_checks import check_count
from flask_signalr.auth.ldap_search import Ask, Entry, Search, TooManyEntries, any_of, equals
from flask_signalr.errors import ConfigurationError

RoleName = Callable[[str], str | None]
"""Returns the role that a group's DN stands for, or ``None`` for none."""

MEMBER_OF = "memberOf"
MAX_GROUPS = 1000
"""The most groups that an account may be in: Active Directory's MaxPageSize, more it does not list at once."""

_IN_CHAIN = "1.2.840.113556.1.4.1941"  # LDAP_MATCHING_RULE_IN_CHAIN: [MS-ADTS] §3.1.1.3.4.4.3
_GROUPS_A_SEARCH = 50
_ATTRIBUTE = re.compile("[A-Za-z][A-Za-z0-9-]*", re.ASCII)


@dataclass(frozen=True)
class LdapGroups:
    """Which groups count, and as what roles.

    Attributes:
        base: The DN of the subtree whose groups count; by default the one of the account's realm. Whoever may create
            groups there can create roles, so name the narrowest one.
        nested: How groups within groups are found. ``None``: not at all, the account's ``memberOf`` says it all.
            ``in-chain``: by Active Directory itself, in one search. ``walk``: by the groups' members, in any
            directory, with a search for each level and for each 50 groups of it.
        member_attribute: The attribute of a group that names its members.
        role_names: What the groups' roles are: a mapping of DNs, and all other groups are none, or a callable. By
            default the role of a group is its ``cn``.
        limit: The most groups that an account may be in.

    Raises:
        ConfigurationError: A value cannot be used.
    """

    base: str | None = None
    nested: Literal["in-chain", "walk"] | None = None
    member_attribute: str = "member"
    role_names: Mapping[str, str] | RoleName = common_name
    limit: int = MAX_GROUPS

    def __post_init__(self) -> None:
        if self.base is not None:
            check_name("LdapGroups(base=…)", self.base)
        if self.nested not in (None, "in-chain", "walk"):
            raise ConfigurationError("LdapGroups(nested=…): give 'in-chain', 'walk' or None")
        check_attribute("LdapGroups(member_attribute=…)", self.member_attribute)
        if isinstance(self.role_names, Mapping):
            names: Mapping[Any, Any] = self.role_names
            for dn, role in names.items():
                check_name("LdapGroups(role_names=…)", dn)
                if not isinstance(role, str) or not role:
                    raise ConfigurationError(f"LdapGroups(role_names=…): the role of {dn!r} is no text")
        elif not callable(self.role_names):
            raise ConfigurationError("LdapGroups(role_names=…): give a mapping of DNs to roles, or a callable")
        check_count("LdapGroups(limit=…)", self.limit)
        if self.limit > MAX_GROUPS:
            raise ConfigurationError(f"LdapGroups(limit=…): give {MAX_GROUPS} at most")

    def roles(self, account: Entry, realm_base: str, ask: Ask) -> tuple[str, ...]:
        """Return the roles of an account, sorted.

        Args:
            account: Its entry, with its `MEMBER_OF`.
            realm_base: The DN of the subtree of its realm.
            ask: Searches the directory.

        Raises:
            TooManyEntries: It is in more than `limit` groups, or in more than the server lists at once.
            UnreadableName: The directory calls a group what cannot be a name.
            Unavailable: The directory does not answer.
        """
        base = self.base or realm_base
        top = DistinguishedName.parse(base)
        groups: Sequence[str]
        if self.nested is None:
            groups = account.values(MEMBER_OF)
        elif self.nested == "walk":
            groups = self._walked(account.dn, base, ask)
        else:
            found = ask(Search(base, equals(f"{self.member_attribute}:{_IN_CHAIN}:", account.dn), self.limit))
            groups = [group.dn for group in found]
        if len(groups) > self.limit:
            raise TooManyEntries
        role_name = self._role_name()
        roles = {role_name(group) for group in groups if DistinguishedName.parse(group).is_below(top)}
        return tuple(sorted(role for role in roles if role))

    def _walked(self, account: str, base: str, ask: Ask) -> list[str]:
        """Return an account's groups, the groups of these, and so on; a circle of groups is walked once."""
        found: dict[DistinguishedName, str] = {}
        level = [account]
        while level:
            members, level = level, []
            for start in range(0, len(members), _GROUPS_A_SEARCH):
                some = members[start : start + _GROUPS_A_SEARCH]
                groups = any_of([equals(self.member_attribute, member) for member in some])
                for group in ask(Search(base, groups, self.limit)):
                    name = DistinguishedName.parse(group.dn)
                    if name not in found:
                        found[name] = group.dn
                        level.append(group.dn)
                if len(found) > self.limit:
                    raise TooManyEntries
        return list(found.values())

    def _role_name(self) -> RoleName:
        if not isinstance(self.role_names, Mapping):
            return self.role_names
        roles = {DistinguishedName.parse(dn): role for dn, role in self.role_names.items()}
        return lambda dn: roles.get(DistinguishedName.parse(dn))


def check_name(keyword: str, dn: Any) -> None:
    """Check a distinguished name.

    Raises:
        ConfigurationError: It is none.
    """
    try:
        DistinguishedName.parse(dn)
    except (UnreadableName, TypeError) as exc:
        raise ConfigurationError(f"{keyword}: {dn!r} is no distinguished name such as 'ou=groups,dc=example'") from exc


def check_attribute(keyword: str, name: object) -> None:
    """Check the name of an attribute.

    Raises:
        ConfigurationError: It is none.
    """
    if not isinstance(name, str) or not _ATTRIBUTE.fullmatch(name):
        raise ConfigurationError(f"{keyword}: {name!r} is no name of an attribute")
