"""Cookie sessions: whoever is signed in to the app is signed in here."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from inspect import iscoroutine, iscoroutinefunction
from typing import Any, cast

from flask import Flask, Request, current_app, request

from flask_signalr.auth.scheme import AuthScheme
from flask_signalr.auth.session_end import session_ends_at
from flask_signalr.claims import NO_CLAIMS
from flask_signalr.error_text import kind_of
from flask_signalr.errors import AuthenticationFailed, ConfigurationError, MissingExtra
from flask_signalr.handler_check import accept_for, to_call
from flask_signalr.principal import Principal


def user_principal(user: Any) -> Principal:
    """Return the principal of a user object.

    A text is the name itself. Of any other object the name is Flask-Login's ``get_id()``; the attributes ``email``,
    ``name`` (else ``username``) and ``roles`` become the claims ``email``, ``name`` and ``role``, where they are
    there; a role is a text or has a ``name``.

    Raises:
        TypeError: The object has no ``get_id``, or no id yet: all of those would be one user.
    """
    if isinstance(user, str):
        return Principal(user, scheme=CookieAuth.scheme)
    if not hasattr(user, "get_id"):
        raise TypeError(f"{kind_of(user)} has no get_id(): give CookieAuth(to_principal=…) a function for it")
    name = user.get_id()
    if name in (None, "", "None"):  # Flask-Login's UserMixin makes a text of an id that is None
        raise TypeError(f"get_id() of {kind_of(user)} returned {name!r}, which names nobody")
    claims: list[tuple[str, str]] = []
    for claim_type, value in (
        ("email", getattr(user, "email", None)),
        ("name", getattr(user, "name", None) or getattr(user, "username", None)),
    ):
        if isinstance(value, str):
            claims.append((claim_type, value))
    roles = getattr(user, "roles", None)
    if roles is not None and isinstance(roles, Iterable) and not isinstance(roles, str):
        names = (getattr(role, "name", role) for role in roles)
        claims.extend(("role", name) for name in names if isinstance(name, str))
    return Principal(str(name), claims or NO_CLAIMS, scheme=CookieAuth.scheme)


class CookieAuth(AuthScheme):
    """Signs on whom the app's own session knows: Flask-Login's current user, or what a callable finds.

    With Flask-Login all that the app has set up holds: remember-me, ``request_loader``, session protection. Its
    login page is never redirected to: SignalR clients get a 401 that they can show.

    The sign-in ends with the session (`flask_signalr.auth.session_end`). A remember-me cookie tells no end and begins
    a new session when there is none.

    Args:
        load_user: Returns the signed-in user within a request, or ``None``; Flask-Login's current user by default. It
            may be async.
        to_principal: Makes a principal of a user; `user_principal` by default.

    Attributes:
        to_principal: As given.

    Raises:
        ConfigurationError: A keyword is no function.
        MissingExtra: Neither Flask-Login nor ``load_user`` is there.
    """

    scheme = "Cookie"

    def __init__(
        self,
        load_user: Callable[[], Any] | None = None,
        *,
        to_principal: Callable[[Any], Principal] = user_principal,
    ) -> None:
        self._load_user = _flask_login_user() if load_user is None else to_call(load_user)
        self._is_async = iscoroutinefunction(self._load_user)
        self.to_principal = to_principal
        for function in (self._load_user, self.to_principal):
            if not callable(cast("object", function)):
                raise ConfigurationError(f"CookieAuth(load_user, to_principal=…) takes functions, not {function!r}")

    def init_app(self, app: Flask) -> None:
        """Check that the app can run ``load_user``.

        Raises:
            ConfigurationError: It is async, and the app cannot run async functions.
        """
        accept_for(app)("CookieAuth(load_user)", self._load_user)

    def authenticate(self, request: Request) -> Principal | None:
        """Return the signed-in user's principal, or ``None`` when nobody is signed in.

        Raises:
            AuthenticationFailed: The user is signed in and its account is not active (Flask-Login's ``is_active``).
        """
        app: Flask = current_app._get_current_object()  # type: ignore[attr-defined] # a proxy looks up each time anew
        user = app.ensure_sync(self._load_user)() if self._is_async else self._load_user()
        if iscoroutine(user):  # true, whoever it would have found
            raise TypeError("CookieAuth(load_user) returned a coroutine: give it the async def function itself")
        if not user:  # None, and what sessions hold of nobody: "", 0, {}
            return None
        authenticated = getattr(user, "is_authenticated", True)
        if not authenticated and getattr(user, "is_anonymous", True):
            return None
        if not getattr(user, "is_active", True):  # UserMixin calls such a user neither authenticated nor anonymous
            raise AuthenticationFailed("this account is not active")
        if not authenticated:
            return None
        principal = self.to_principal(user)
        return _until(session_ends_at(app, request, int(time.time())), principal)


def _until(end: int | None, principal: Principal) -> Principal:
    """Return the principal, which does not outlive the session that it was found by."""
    if end is None or (principal.expires_at is not None and principal.expires_at <= end):
        return principal
    return replace(principal, expires_at=end)


def _flask_login_user() -> Callable[[], Any]:
    try:
        from flask_login import COOKIE_NAME, current_user
    except ImportError as exc:
        raise MissingExtra("CookieAuth()", "login") from exc

    def load_user() -> Any:
        if not hasattr(current_app, "login_manager"):
            raise ConfigurationError("CookieAuth() asks Flask-Login, which this app has not set up: LoginManager(app)")
        try:
            return current_user._get_current_object()  # the user itself: each access through the proxy looks it up anew
        except TypeError as exc:
            # Flask-Login compares the cookie's digest as it came, and hmac.compare_digest wants ASCII.
            if not request.cookies.get(current_app.config.get("REMEMBER_COOKIE_NAME", COOKIE_NAME), "").isascii():
                raise AuthenticationFailed("the remember-me cookie is malformed") from exc
            raise

    return load_user
