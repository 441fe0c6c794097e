"""Who a Windows or Kerberos account is: its realm, its forms of name, and the one user id that they come to."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from flask_signalr.errors import ConfigurationError
from flask_signalr.principal import Principal, UserIdProvider, canonical_user_id

AccountKind = Literal["person", "service", "machine"]
"""What signs on: a ``person``, a ``service`` (its name has parts: ``HTTP/web``), a ``machine`` (its name ends in $)."""

MAX_LENGTH = 512
"""Characters of the longest account that is looked at: Active Directory's names have 256 and its realms 255 at most."""

_DNS_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9])?", re.ASCII)
_NETBIOS_NAME = re.compile(r"[A-Za-z0-9!#$%&'()._{}~^-]{1,15}", re.ASCII)
# As krb5_unparse_name writes it: a backslash stands before @, / and \ that belong to a name.
_PRINCIPAL = re.compile(r"((?:[^\\@]|\\[\\@/ntb0])+)@([^\\@]+)", re.DOTALL)  # with the escapes that MIT writes
_PIECE = re.compile(r"\\.|[^\\]", re.DOTALL)
_ESCAPED = {r"\n": "\n", r"\t": "\t", r"\b": "\b", r"\0": "\0"}


@dataclass(frozen=True)
class WindowsRealm:
    r"""A realm, or Active Directory domain, whose accounts may sign on, with the other names that it goes by.

    Attributes:
        name: The realm, which is the domain's DNS name: ``INTRANET.EXAMPLE``.
        domain: Its NetBIOS name, as in ``INTRANET\alice``; ``None`` if that form is not known here.
        upn_suffix: What stands behind the @ of its users' principal names, where it is not the realm itself.

    Raises:
        ConfigurationError: A name cannot be one.
    """

    name: str
    domain: str | None = None
    upn_suffix: str | None = None

    def __post_init__(self) -> None:
        _check_name(self.name, _DNS_NAME, "a realm such as INTRANET.EXAMPLE")
        if self.domain is not None:
            _check_name(self.domain, _NETBIOS_NAME, "a domain's NetBIOS name such as INTRANET")
        if self.upn_suffix is not None:
            _check_name(self.upn_suffix, _DNS_NAME, "a UPN suffix such as intranet.example")


@dataclass(frozen=True)
class WindowsIdentity:
    """An account that proved itself.

    Attributes:
        name: The account's name within its realm, in the case that it came in: ``alice``, ``HTTP/web``, ``PC7$``.
        realm: Its realm.
        kind: What it is.
        protocol: How it proved itself, .NET's authentication type: ``Kerberos``, ``NTLM``, or that of a front end.
        expires_at: When its ticket ends, in Unix seconds; ``None`` where that is not known.
    """

    name: str
    realm: WindowsRealm
    kind: AccountKind = "person"
    protocol: str = "Kerberos"
    expires_at: int | None = None

    @property
    def principal_name(self) -> str:
        """The name with its realm: ``alice@INTRANET.EXAMPLE``."""
        return f"{self.name}@{self.realm.name}"

    @property
    def upn(self) -> str:
        """The user principal name: ``alice@intranet.example``, with the realm where no suffix is configured."""
        return f"{self.name}@{self.realm.upn_suffix or self.realm.name}"

    @property
    def account_name(self) -> str | None:
        r"""The form ``INTRANET\alice``; ``None`` if the domain's NetBIOS name is not configured."""
        return f"{self.realm.domain}\\{self.name}" if self.realm.domain else None

    @property
    def user_id(self) -> str:
        """The one form of all of these, without case: Active Directory knows none."""
        return canonical_user_id(self.upn) or self.upn


class Realms:
    """The realms whose accounts may sign on; it reads every form of an account's name.

    Args:
        realms: Each by its name, or as `WindowsRealm` with the other names that it goes by.

    Raises:
        ConfigurationError: There is none, or two of them share a name: then two people would be one user.
    """

    def __init__(self, realms: Iterable[str | WindowsRealm]) -> None:
        if isinstance(realms, str | WindowsRealm):
            raise ConfigurationError("realms= takes a list of realms, as realms=['INTRANET.EXAMPLE']")
        self._by_name: dict[str, WindowsRealm] = {}
        self._by_suffix: dict[str, WindowsRealm] = {}
        self._by_domain: dict[str, WindowsRealm] = {}
        for entry in realms:
            realm = entry if isinstance(entry, WindowsRealm) else WindowsRealm(entry)
            _add(self._by_name, realm.name, realm)
            for suffix in {_fold(realm.name), _fold(realm.upn_suffix or realm.name)}:
                _add(self._by_suffix, suffix, realm)
            if realm.domain:
                _add(self._by_domain, realm.domain, realm)
        if not self._by_name:
            raise ConfigurationError("realms=[]: nobody could sign on; name a realm, as realms=['INTRANET.EXAMPLE']")

    @property
    def have_domains(self) -> bool:
        """Whether the NetBIOS name of every realm is known."""
        return len(self._by_domain) == len(self._by_name)

    def of_principal(
        self, text: str, protocol: str = "Kerberos", expires_at: int | None = None
    ) -> WindowsIdentity | None:
        """Return the identity of a Kerberos principal as MIT's library writes it, ``alice@INTRANET.EXAMPLE``.

        ``None`` for another realm's, and for names that could be taken for another account's: with an @ or a slash
        of their own, with blanks at an end, with characters that nobody sees.
        """
        match = _PRINCIPAL.fullmatch(text) if len(text) <= MAX_LENGTH else None
        realm = self._by_name.get(_fold(match[2])) if match else None
        if match is None or realm is None or realm.name != match[2]:  # to Kerberos, another case is another realm
            return None
        parts = _parts(match[1])
        if not all(map(_is_plain, parts)):
            return None
        return WindowsIdentity("/".join(parts), realm, _kind(parts), protocol, expires_at)

    def of_account(self, text: str, protocol: str, expires_at: int | None = None) -> WindowsIdentity | None:
        r"""Return the identity of an account as Windows writes it, ``INTRANET\alice`` or ``alice@intranet.example``.

        ``None`` as in `of_principal`, and for an account without its domain.
        """
        domain, backslash, name = text.partition("\\")
        if backslash:
            realm = self._by_domain.get(_fold(domain))
        else:
            name, _, suffix = text.rpartition("@")
            realm = self._by_suffix.get(_fold(suffix))
        if realm is None or len(text) > MAX_LENGTH or not _is_plain(name):
            return None
        return WindowsIdentity(name, realm, _kind([name]), protocol, expires_at)

    def __repr__(self) -> str:
        return f"Realms({', '.join(realm.name for realm in self._by_name.values())})"


def by_windows_account(*realms: str | WindowsRealm) -> UserIdProvider:
    r"""Return a user id provider that knows every form of an account's name, however its owner signed in.

    ``INTRANET\alice`` of a cookie, ``Alice@Intranet.Example`` of a bearer token and ``alice@INTRANET.EXAMPLE`` of
    Kerberos are one user. Other names are taken as `by_name` takes them.

    Args:
        *realms: As in `WindowsAuth`, with the same names.

    Raises:
        ConfigurationError: As in `Realms`.
    """
    known = Realms(realms)

    def by_this_account(principal: Principal) -> str | None:
        identity = known.of_account((principal.name or "").strip(" \t\r\n"), str(principal.scheme))
        return canonical_user_id(principal.name) if identity is None else identity.user_id

    return by_this_account


def _check_name(value: object, form: re.Pattern[str], what: str) -> None:
    if not isinstance(value, str) or not form.fullmatch(value):
        raise ConfigurationError(f"realms=…: {value!r} is not {what}")


def _add(table: dict[str, WindowsRealm], name: str, realm: WindowsRealm) -> None:
    if table.setdefault(_fold(name), realm) is not realm:
        raise ConfigurationError(f"realms=…: {name!r} names two realms, so that two people would be one user")


def _fold(name: str) -> str:
    """Return a realm's name without case: of ASCII only, or a look-alike such as the Kelvin sign would become a K."""
    return name.lower() if name.isascii() else name


def _parts(escaped: str) -> list[str]:
    parts = [""]
    for piece in _PIECE.findall(escaped):
        if piece == "/":
            parts.append("")
        else:
            parts[-1] += _ESCAPED.get(piece, piece[-1])
    return parts


def _is_plain(name: str) -> bool:
    """Return whether a name, or a part of one, can be taken for no other account."""
    return bool(name) and name.isprintable() and name == name.strip() and not any(sign in name for sign in "@/\\")


def _kind(parts: list[str]) -> AccountKind:
    if len(parts) > 1:
        return "service"
    return "machine" if parts[0].endswith("$") else "person"
