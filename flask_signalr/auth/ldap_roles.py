"""Roles from a directory: the groups that it has an account in."""

import logging
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Literal

from flask_signalr.auth.expiring_cache import ExpiringCache, RoleCaching
from flask_signalr.auth.ldap_directory import LdapDirectory
from flask_signalr.auth.ldap_groups import MEMBER_OF, LdapGroups, check_attribute, check_name
from flask_signalr.auth.ldap_search import Ask, Entry, Search, TooManyEntries, equals
from flask_signalr.auth.windows_identity import WindowsIdentity
from flask_signalr.errors import AuthorizationDenied, ConfigurationError, MissingExtra, Unavailable
from flask_signalr.principal import canonical_user_id

if TYPE_CHECKING:
    from flask_signalr.auth.ldap_connections import LdapConnections

logger = logging.getLogger(__name__)

_CONTROL, _DISABLED = "userAccountControl", 0x2  # [MS-ADTS] §2.2.16


class LdapRoles:
    """Returns the roles of Windows accounts from a directory: a roles provider for `WindowsAuth`.

    An account that the directory has disabled is refused, also one whose ticket is still good. Roles are kept for a
    while, in each process.

    Args:
        directory: Whom to ask.
        accounts: The DN of the subtree with the accounts of each realm. Accounts of other realms have no roles here,
            whatever their names.
        account_attribute: The attribute with an account's name; ``uid`` in most directories but Active Directory.
        groups: Which groups count, and as what roles.
        caching: How long roles are kept.
        if_unknown: Whether an account that is not in its subtree is refused, or goes on without roles.
        if_down: Whether nobody signs on while the directory does not answer, or everybody whose roles are not kept
            goes on without any.

    Raises:
        ConfigurationError: A value cannot be used.
        MissingExtra: The extra ``ldap`` is not installed.
    """

    def __init__(
        self,
        directory: LdapDirectory,
        accounts: Mapping[str, str],
        *,
        account_attribute: str = "sAMAccountName",
        groups: LdapGroups | None = None,
        caching: RoleCaching | None = None,
        if_unknown: Literal["refuse", "continue"] = "refuse",
        if_down: Literal["refuse", "continue"] = "refuse",
    ) -> None:
        if not accounts:
            raise ConfigurationError("LdapRoles(accounts={}): give {'INTRANET.EXAMPLE': 'dc=intranet,dc=example'}")
        for realm, base in accounts.items():
            check_name(f"LdapRoles(accounts=…): the subtree of {realm!r}", base)
        check_attribute("LdapRoles(account_attribute=…)", account_attribute)
        for keyword, choice in (("if_unknown", if_unknown), ("if_down", if_down)):
            if choice not in ("refuse", "continue"):
                raise ConfigurationError(f"LdapRoles({keyword}=…): give 'refuse' or 'continue'")
        self._directory = directory
        self._connections = _connections(directory)
        self._bases = {_without_case(realm): base for realm, base in accounts.items()}
        self._account_attribute = account_attribute
        self._groups = groups or LdapGroups()
        self._cache: ExpiringCache[tuple[str, ...]] = ExpiringCache(caching or RoleCaching())
        self._refuses_unknown = if_unknown == "refuse"
        self._refuses_when_down = if_down == "refuse"

    def __call__(self, identity: WindowsIdentity) -> tuple[str, ...]:
        """Return the roles of an account.

        Raises:
            AuthorizationDenied: The directory does not know it, has disabled it, or has it in too many groups.
            Unavailable: The directory does not answer.
        """
        base = self._bases.get(_without_case(identity.realm.name))
        if base is None:
            logger.debug("the directory has no accounts of %s", identity.realm.name)
            return ()
        try:
            return self._cache.get(identity.principal_name, partial(self._looked_up, identity, base))
        except Unavailable:
            if self._refuses_when_down:
                raise
            logger.warning("the account %.300r goes on without roles: the directory is down", identity.principal_name)
            return ()

    def close(self) -> None:
        """Close the connections to the directory that are not in use."""
        self._connections.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._directory!r})"

    def _looked_up(self, identity: WindowsIdentity, base: str) -> tuple[str, ...]:
        deadline = self._directory.clock() + self._directory.timeout
        ask = partial(self._connections.search, deadline=deadline)
        try:
            account = self._account(identity, base, ask)
            return self._groups.roles(account, base, ask) if account is not None else ()
        except TooManyEntries:
            raise _denied(identity, "it is in more groups than LdapGroups(limit=…) or the directory allow") from None
        except ValueError:
            raise _denied(identity, "the directory tells of it, or of its groups, what cannot be read") from None

    def _account(self, identity: WindowsIdentity, base: str, ask: Ask) -> Entry | None:
        wanted = (self._account_attribute, MEMBER_OF, _CONTROL)
        try:
            found = ask(Search(base, equals(self._account_attribute, identity.name), 1, wanted))
        except TooManyEntries:
            raise _denied(identity, "the directory has several accounts of that name") from None
        # Directories take more letters for the same than people do, so what was found is looked at once more.
        names = [_without_case(name) for account in found for name in account.values(self._account_attribute)]
        if _without_case(identity.name) not in names:
            if self._refuses_unknown:
                raise _denied(identity, "the directory does not know it")
            return None
        account = found[0]
        if any(int(flags) & _DISABLED for flags in account.values(_CONTROL)):
            raise _denied(identity, "the directory has disabled it")
        return account


def _connections(directory: LdapDirectory) -> "LdapConnections":
    try:
        from flask_signalr.auth.ldap_connections import LdapConnections
    except ImportError as exc:
        raise MissingExtra("LdapRoles", "ldap") from exc
    return LdapConnections(directory)


def _without_case(name: str) -> str | None:
    """Return a name in the form in which user ids know no case either."""
    return canonical_user_id(f"{name}@")


def _denied(identity: WindowsIdentity, reason: str) -> AuthorizationDenied:
    logger.info("the account %.300r may not sign on: %s", identity.principal_name, reason)
    return AuthorizationDenied("this account may not connect here")
