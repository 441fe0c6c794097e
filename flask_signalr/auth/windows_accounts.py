"""Which Windows accounts may sign on, and the principals that they become."""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import get_args

from flask_signalr.auth.windows_identity import AccountKind, WindowsIdentity
from flask_signalr.auth.windows_roles import RolesProvider, checked_roles, static_roles
from flask_signalr.claims import Claims
from flask_signalr.errors import AuthorizationDenied, ConfigurationError
from flask_signalr.principal import Principal

logger = logging.getLogger("flask_signalr.auth.windows")

IdentityMapper = Callable[[WindowsIdentity], Principal | None]
"""Makes the principal of an account; ``None`` refuses it. The principal never outlives the account's ticket."""

PEOPLE: tuple[AccountKind, ...] = ("person",)
"""The accounts that may sign on unless others are named."""


def windows_principal(identity: WindowsIdentity) -> Principal:
    r"""Return the principal of an account, named by its UPN.

    Its claims are ``name``, the name that .NET shows (``alice@INTRANET.EXAMPLE``), ``upn``, ``realm`` and, where the
    domain's NetBIOS name is configured, ``winaccountname`` (``INTRANET\alice``). The last three are the short names
    of .NET's types, but for ``realm``, which .NET has none for.
    """
    claims = [("name", identity.principal_name), ("upn", identity.upn), ("realm", identity.realm.name)]
    if identity.account_name is not None:
        claims.append(("winaccountname", identity.account_name))
    return Principal(identity.upn, claims, identity.protocol, identity.expires_at)


class WindowsAccounts:
    """The accounts that may sign on.

    Args:
        kinds: What may sign on.
        identity_mapper: Makes the principal, or refuses.
        roles_provider: Tells the roles, or holds them; ``None`` if there are none.

    Raises:
        ConfigurationError: A value cannot be used.
    """

    def __init__(
        self,
        kinds: Collection[AccountKind],
        identity_mapper: IdentityMapper,
        roles_provider: RolesProvider | Mapping[str, Iterable[str]] | None,
    ) -> None:
        known = get_args(AccountKind)
        if isinstance(kinds, str) or not kinds or not all(kind in known for kind in kinds):
            raise ConfigurationError(f"accounts= takes a list of {', '.join(known)}")
        if not callable(identity_mapper):
            raise ConfigurationError("identity_mapper= takes a callable of a WindowsIdentity")
        if isinstance(roles_provider, Mapping):
            roles_provider = static_roles(roles_provider)
        elif roles_provider is not None and not callable(roles_provider):
            raise ConfigurationError("roles_provider= takes a callable of a WindowsIdentity, or a mapping")
        self._kinds = frozenset(kinds)
        self._identity_mapper = identity_mapper
        self._roles_provider = roles_provider

    def principal(self, name: str, identity: WindowsIdentity | None) -> Principal:
        """Return the principal of an account.

        Args:
            name: As it came in, for the log.
            identity: Who that is; ``None`` if it is of no realm that may sign on.

        Raises:
            AuthorizationDenied: The account may not sign on. The text does not say why: the log does.
            TypeError: The mapper or the roles provider returned something that it must not.
        """
        if identity is None:
            raise self._denied(name, "it is of no realm in realms=…, or its name cannot be told from another's")
        if identity.kind not in self._kinds:
            raise self._denied(name, f"it is the account of a {identity.kind}, and accounts=… does not list these")
        principal: object = self._identity_mapper(identity)
        if principal is None:
            raise self._denied(name, "the identity mapper refused it")
        if not isinstance(principal, Principal) or not principal.is_authenticated:
            raise TypeError(f"an identity mapper returns a signed-in Principal or None, not {type(principal).__name__}")
        return replace(
            principal,
            claims=principal.claims + Claims(tuple(("role", role) for role in self._roles(identity))),
            scheme=identity.protocol,
            expires_at=_earlier(principal.expires_at, identity.expires_at),
        )

    def _roles(self, identity: WindowsIdentity) -> Iterable[str]:
        return checked_roles(self._roles_provider(identity)) if self._roles_provider is not None else ()

    def _denied(self, name: str, reason: str) -> AuthorizationDenied:
        logger.info("the account %.300r may not sign on: %s", name, reason)
        return AuthorizationDenied("this account may not connect here")


def _earlier(first: int | None, second: int | None) -> int | None:
    ends = [end for end in (first, second) if end is not None]
    return min(ends, default=None)
