"""Roles of Windows accounts: where they come from."""

from collections.abc import Callable, Iterable, Mapping

from flask_signalr.auth.windows_identity import WindowsIdentity
from flask_signalr.errors import ConfigurationError
from flask_signalr.principal import canonical_user_id

RolesProvider = Callable[[WindowsIdentity], Iterable[str]]
"""Returns the roles of an account that signed on; each becomes a claim of the type ``role``.

It runs at every sign-on, so it keeps what is slow to find. When it cannot tell, it raises: `Unavailable` for a
directory that is down (503), `AuthorizationDenied` for an account that may not come in (403).
"""


def static_roles(roles: Mapping[str, Iterable[str]]) -> RolesProvider:
    """Return a provider that knows its roles beforehand.

    Args:
        roles: The roles of each account, by its principal name or UPN: ``{"alice@INTRANET.EXAMPLE": ["staff"]}``.
            Case does not matter.

    Raises:
        ConfigurationError: A key is no such name, is there twice, or has something else than a list of texts.
    """
    known: dict[str, tuple[str, ...]] = {}
    for account, names in roles.items():
        key = canonical_user_id(str(account))
        if key is None or "@" not in key:
            raise ConfigurationError(f"roles_provider=…: {account!r} is no account such as 'alice@INTRANET.EXAMPLE'")
        if key in known:
            raise ConfigurationError(f"roles_provider=…: {account!r} is there twice; case does not matter")
        try:
            known[key] = checked_roles(names)
        except TypeError as exc:
            raise ConfigurationError(f"roles_provider=…: the roles of {account!r} are no list of texts") from exc

    def roles_of(identity: WindowsIdentity) -> Iterable[str]:
        return known.get(identity.user_id) or known.get(canonical_user_id(identity.principal_name) or "", ())

    return roles_of


def checked_roles(names: object) -> tuple[str, ...]:
    """Return role names as a provider gave them.

    Raises:
        TypeError: They are something else than a list of texts; one text would be a role for each letter.
    """
    if isinstance(names, Iterable) and not isinstance(names, str):
        roles = tuple(names)
        if all(isinstance(name, str) for name in roles):
            return roles
    raise TypeError(f"a roles provider returns a list of texts, not this {type(names).__name__}")
