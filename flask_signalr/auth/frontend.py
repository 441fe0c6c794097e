"""Front ends: whoever the web server, or what stands in front of it, has signed in is signed in here."""

import logging
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self, TypedDict, Unpack

from flask import Flask, Request

from flask_signalr.auth.easy_auth import HEADER, read_client_principal
from flask_signalr.auth.scheme import AuthScheme
from flask_signalr.auth.trusted_peers import TrustedPeers
from flask_signalr.auth.windows_accounts import PEOPLE, IdentityMapper, WindowsAccounts, windows_principal
from flask_signalr.auth.windows_identity import MAX_LENGTH, Realms, WindowsRealm
from flask_signalr.auth.windows_roles import RolesProvider
from flask_signalr.errors import AuthenticationFailed, ConfigurationError
from flask_signalr.principal import Principal

logger = logging.getLogger("flask_signalr.auth.frontend")

_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,99}", re.ASCII)
_OTHERS_HEADERS = frozenset({"authorization", "cookie", "host", "origin"})


class AccountOptions(TypedDict, total=False):
    """Keywords of a front end that signs Windows accounts on; `WindowsAuth` tells their meaning."""

    realms: Iterable[str | WindowsRealm]
    identity_mapper: IdentityMapper
    roles_provider: RolesProvider | Mapping[str, Iterable[str]]


@dataclass(frozen=True)
class _Source:
    """Where the name of the caller stands in the WSGI environ, and whose word is taken for it."""

    key: str
    peers: TrustedPeers | None = None
    is_easy_auth: bool = False

    @classmethod
    def header(cls, name: str, peers: TrustedPeers | None, *, is_easy_auth: bool = False) -> "_Source":
        return cls(f"HTTP_{name.upper().replace('-', '_')}", peers, is_easy_auth)


class FrontEndAuth(AuthScheme):
    r"""Believes ``REMOTE_USER``, which the web server sets and no client can: IIS, or Apache with mod_wsgi.

    A header is another thing, because everybody can send one: `header` and `easy_auth` believe theirs from trusted
    peers only, and take one from anybody else for an attack.

    Args:
        **options: With ``realms=…``, names are Windows accounts (``INTRANET\alice``, ``alice@intranet.example``):
            those of other realms are refused, and the user id is the one that `WindowsAuth` makes. Without it, names
            are taken as they are.

    Raises:
        ConfigurationError: A keyword cannot be used.
    """

    def __init__(self, **options: Unpack[AccountOptions]) -> None:
        if unknown := options.keys() - AccountOptions.__annotations__.keys():
            raise ConfigurationError(f"FrontEndAuth: {', '.join(sorted(unknown))}= is no keyword of it")
        if options and not options.get("realms"):
            raise ConfigurationError("FrontEndAuth: identity_mapper=… and roles_provider=… need realms=[…]")
        self._realms = Realms(options["realms"]) if options else None
        self._accounts = WindowsAccounts(
            PEOPLE, options.get("identity_mapper", windows_principal), options.get("roles_provider")
        )
        self._source = _Source("REMOTE_USER")

    @classmethod
    def header(cls, name: str, *, trusted_peers: Iterable[str], **options: Unpack[AccountOptions]) -> Self:
        """Return a scheme that believes a header with the name of the signed-in user.

        The front end must overwrite the header in every request, also in the spelling with underscores: some servers
        make no difference between ``X-Remote-User`` and ``X_Remote_User``.

        Args:
            name: The header's: ``X-Remote-User``.
            trusted_peers: The front end's addresses, as `TrustedPeers` takes them.
            **options: As in `FrontEndAuth`.

        Raises:
            ConfigurationError: A keyword cannot be used.
        """
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OTHERS_HEADERS:
            raise ConfigurationError(f"FrontEndAuth.header({name!r}): give a header's name such as 'X-Remote-User'")
        scheme = cls(**options)
        scheme._source = _Source.header(name, TrustedPeers(trusted_peers))
        return scheme

    @classmethod
    def easy_auth(cls, *, trusted_peers: Iterable[str] | None = None) -> Self:
        """Return a scheme that believes Azure App Service's own sign-in (Easy Auth).

        App Service takes the header out of what clients send, so there every peer may bring it; elsewhere name the
        peers.

        Args:
            trusted_peers: The addresses of what sets the header, as `TrustedPeers` takes them; without it, the app
                must run on App Service with its authentication turned on.

        Raises:
            ConfigurationError: An address cannot be read.
        """
        scheme = cls()
        peers = TrustedPeers(trusted_peers) if trusted_peers is not None else None
        scheme._source = _Source.header(HEADER, peers, is_easy_auth=True)
        return scheme

    def init_app(self, app: Flask) -> None:
        """Check that nobody but App Service can set its header.

        Raises:
            ConfigurationError: The app does not run there, or anybody may enter (``WEBSITE_AUTH_ENABLED``).
        """
        on_app_service = os.environ.get("WEBSITE_AUTH_ENABLED", "").lower() == "true"
        if self._source.is_easy_auth and self._source.peers is None and not on_app_service:
            raise ConfigurationError(
                "FrontEndAuth.easy_auth(): this is no App Service with authentication turned on, so anybody could send "
                f"{HEADER}; turn it on, or name who sets the header: trusted_peers=['10.1.2.3']"
            )

    def authenticate(self, request: Request) -> Principal | None:
        """Return the principal that the front end names; ``None`` when it names nobody.

        Raises:
            AuthenticationFailed: The name is unreadable, or came from a peer that is not trusted.
            AuthorizationDenied: The account may not sign on.
        """
        source = self._source
        value = request.environ.get(source.key)
        if not value:
            return None
        if source.peers is not None and not source.peers.has_sent(request.environ):
            logger.warning("%s came from a peer that is not in trusted_peers=…: it is not believed", source.key)
            raise AuthenticationFailed("the sign-in did not come from the front end")
        try:
            return read_client_principal(value) if source.is_easy_auth else self._principal(value)
        except ValueError as exc:
            logger.warning("%s cannot be read: %s", source.key, exc)
            raise AuthenticationFailed("the front end's sign-in cannot be read") from None

    def _principal(self, value: str) -> Principal:
        if len(value) > MAX_LENGTH:
            raise ValueError(f"it is longer than {MAX_LENGTH} bytes")
        name = value.encode("latin-1").decode().strip(" \t")  # PEP 3333 hands bytes over as Latin-1
        if not name or not name.isprintable():
            raise ValueError("it is blank or has characters that nobody sees")
        if self._source.peers is not None and "," in name:
            raise ValueError("it has a comma, as when the header was sent twice")
        if self._realms is None:
            return Principal(name, {"name": name}, "FrontEnd")
        return self._accounts.principal(name, self._realms.of_account(name, "FrontEnd"))
