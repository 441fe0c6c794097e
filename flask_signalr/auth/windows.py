"""Windows sign-on: whoever is signed in to the intranet is signed in here, by HTTP's scheme Negotiate (RFC 4559)."""

import logging
import re
import time
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable, Mapping
from functools import partial

from flask import Flask, Request, Response, after_this_request

from flask_signalr.auth.kerberos_acceptor import (
    Acceptance,
    SignOnIncomplete,
    SignOnRefused,
    accept,
    demand_spnego,
    on_windows,
)
from flask_signalr.auth.keytab import http_keys
from flask_signalr.auth.ntlm import COOKIE, LIFETIME, Handshakes, demand_safe_ntlm, is_other_mechanism, is_second_token
from flask_signalr.auth.scheme import AuthScheme
from flask_signalr.auth.windows_accounts import PEOPLE, IdentityMapper, WindowsAccounts, logger, windows_principal
from flask_signalr.auth.windows_identity import AccountKind, Realms, WindowsIdentity, WindowsRealm
from flask_signalr.auth.windows_roles import RolesProvider
from flask_signalr.errors import AuthenticationFailed, AuthorizationDenied, ConfigurationError
from flask_signalr.principal import Principal

DEFAULT_TOKEN_SIZE = 48_000
"""Bytes of the largest token that is looked at: Windows' own default for its MaxTokenSize."""

MAX_TOKEN_SIZE = 65_535
"""Bytes of the largest token that Windows makes."""

_SERVICE_PRINCIPAL = re.compile(r"HTTP/[A-Za-z0-9._-]+", re.ASCII)
_REFUSED = "Windows sign-on failed"  # the same for every cause: which one it was stands in the log


class WindowsAuth(AuthScheme):
    """Signs on intranet users by Kerberos, without a prompt: browsers send a ticket for ``HTTP/<the name in the URL>``.

    Every sign-on is one request with one token. Nothing is kept between requests, so any number of worker processes
    will do, and a keytab with new keys is used at once. NTLM is refused unless asked for.

    The keytab is the process's own: the environment variable ``KRB5_KTNAME`` names it. On Windows there is none:
    the account that runs the process must own the service principal name (``setspn -S``).

    Args:
        realms: The realms whose accounts may sign on, each by its name or as `WindowsRealm`; by default those of the
            keytab's ``HTTP/`` keys. Required on Windows, with ``WindowsRealm(…, domain=…)``.
        service_principal: The one service that tickets must be for, ``HTTP/app.intranet.example``; by default any
            ``HTTP/`` service of the keytab. Not on Windows, where the account decides.
        identity_mapper: Makes the principal of an account, or returns ``None`` to refuse it.
        roles_provider: Returns an account's roles, or holds them: ``{"alice@INTRANET.EXAMPLE": ["staff"]}``.
        accounts: What may sign on: ``person``, ``service`` or ``machine``.
        ntlm: Also accepts NTLM, where that is safe. Its handshake has two requests, which must reach one process;
            outside of Windows it knows only the users of a file.
        max_token_size: Bytes of the largest token that is looked at.

    Raises:
        ConfigurationError: A keyword cannot be used; `init_app` also raises it for a keytab that will not do.
        MissingExtra: The extra ``windows`` is not installed.
    """

    def __init__(
        self,
        realms: Iterable[str | WindowsRealm] | None = None,
        *,
        service_principal: str | None = None,
        identity_mapper: IdentityMapper = windows_principal,
        roles_provider: RolesProvider | Mapping[str, Iterable[str]] | None = None,
        accounts: Collection[AccountKind] = PEOPLE,
        ntlm: bool = False,
        max_token_size: int = DEFAULT_TOKEN_SIZE,
    ) -> None:
        demand_spnego()
        if service_principal is not None and not _SERVICE_PRINCIPAL.fullmatch(service_principal):
            raise ConfigurationError(
                "WindowsAuth(service_principal=…): give HTTP/<the name in the URL>, without a realm or a port"
            )
        if not isinstance(ntlm, bool):
            raise ConfigurationError("WindowsAuth(ntlm=…): give True or False")
        if type(max_token_size) is not int or not 0 < max_token_size <= MAX_TOKEN_SIZE:
            raise ConfigurationError(f"WindowsAuth(max_token_size=…): give bytes from 1 to {MAX_TOKEN_SIZE}")
        self._realms = Realms(realms) if realms is not None else None
        self._service_principal = service_principal
        self._accounts = WindowsAccounts(accounts, identity_mapper, roles_provider)
        self._handshakes = Handshakes() if ntlm else None
        self._max_length = (max_token_size + 2) // 3 * 4

    def init_app(self, app: Flask) -> None:
        """Check that sign-on can work here, and keep pyspnego from logging tokens.

        Raises:
            ConfigurationError: The keytab cannot be read or lacks a key, NTLM would not be safe, or, on Windows, a
                keyword is missing or cannot be used.
        """
        logging.getLogger("spnego").setLevel(logging.INFO)  # at DEBUG it writes out every token
        if self._handshakes is not None:
            demand_safe_ntlm()
        if on_windows():
            self._check_for_windows()
            return
        keys = http_keys()
        wanted = self._service_principal
        if wanted is not None and wanted.lower() not in [key.name.lower() for key in keys]:
            names = ", ".join(key.name for key in keys)
            raise ConfigurationError(f"WindowsAuth(service_principal={wanted!r}): the keytab has only {names}")
        if self._realms is None:
            self._realms = Realms(dict.fromkeys(key.realm for key in keys))

    def authenticate(self, request: Request) -> Principal | None:
        """Return the principal of the account that signs on; ``None`` when the request does not try to.

        Raises:
            AuthenticationFailed: The token proves nothing.
            AuthorizationDenied: It is of another mechanism than Kerberos, or the account may not sign on: another
                challenge would only make the browser ask for a password.
        """
        token = self._token(request)
        if token is None:
            return None
        try:
            accepted = self._accept(request, token)
        except SignOnRefused as exc:
            logger.log(logging.WARNING if exc.is_ours else logging.INFO, "a sign-on token was refused: %s", exc.reason)
            if isinstance(exc, SignOnIncomplete):
                raise AuthorizationDenied(_REFUSED) from None
            raise AuthenticationFailed(_REFUSED) from None
        after_this_request(partial(_reply, accepted.reply))
        return self._accounts.principal(accepted.name, self._identity(accepted))

    def challenge(self) -> str:
        """Return the challenge of RFC 4559 §4.1."""
        return "Negotiate"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._realms!r})"

    def _token(self, request: Request) -> bytes | None:
        scheme, *rest = request.environ.get("HTTP_AUTHORIZATION", "").split(maxsplit=1) or [""]
        if scheme.lower() != "negotiate" or not rest:
            return None
        value = rest[0].rstrip()
        if len(value) > self._max_length:
            logger.warning(
                "a sign-on token has %d characters and max_token_size=… allows %d", len(value), self._max_length
            )
            raise AuthenticationFailed(_REFUSED)
        try:
            return b64decode(value, validate=True)
        except ValueError:
            logger.info("a sign-on token was refused: it is not base64")
            raise AuthenticationFailed(_REFUSED) from None

    def _accept(self, request: Request, token: bytes) -> Acceptance:
        if not is_other_mechanism(token):
            return accept(token, self._service_principal)
        if self._handshakes is None:
            logger.info("a client without a Kerberos ticket offered NTLM, which is not accepted")
            raise AuthorizationDenied("NTLM is not accepted: sign on with a Kerberos ticket of the intranet")
        handshake = request.cookies.get(COOKIE)
        if handshake is not None and is_second_token(token):
            return self._handshakes.finish(handshake, token)
        handshake, answer = self._handshakes.begin(token)
        after_this_request(partial(_go_on, request, handshake, answer))
        raise AuthenticationFailed("the sign-on goes on")

    def _identity(self, accepted: Acceptance) -> WindowsIdentity | None:
        if self._realms is None:
            raise ConfigurationError("this WindowsAuth is not set up: give it to SignalR(auth=…) or hub(auth=…)")
        expires_at = None if accepted.lifetime is None else int(time.time()) + accepted.lifetime
        read = self._realms.of_account if accepted.is_account else self._realms.of_principal
        return read(accepted.name, accepted.protocol, expires_at)

    def _check_for_windows(self) -> None:
        if self._service_principal is not None:
            raise ConfigurationError("WindowsAuth(service_principal=…): on Windows setspn decides, leave it out")
        if self._realms is None or not self._realms.have_domains:
            raise ConfigurationError(
                "WindowsAuth(realms=…): on Windows give [WindowsRealm('INTRANET.EXAMPLE', domain='INTRANET')]"
            )


def _reply(token: bytes, response: Response) -> Response:
    """Let the client check that it reached the right service; a refusal has nothing to prove."""
    if token and response.status_code < 300:
        response.headers["WWW-Authenticate"] = f"Negotiate {b64encode(token).decode()}"
    return response


def _go_on(request: Request, handshake: str, answer: bytes, response: Response) -> Response:
    """Ask for the second token of a handshake."""
    response.headers["WWW-Authenticate"] = f"Negotiate {b64encode(answer).decode()}"
    response.set_cookie(
        COOKIE,
        handshake,
        max_age=LIFETIME,
        path=request.root_path + request.path,
        secure=request.is_secure,
        httponly=True,
        samesite="Strict",
    )
    return response
