"""Cookie sessions: whoever is signed in to the app is signed in here."""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Request, current_app

from flask_signalr.auth.scheme import AuthScheme
from flask_signalr.errors import AuthenticationFailed, ConfigurationError, MissingExtra
from flask_signalr.principal import Principal


def user_principal(user: Any) -> Principal:
    """Return the principal of a user object.

    A text is the name itself. Of any other object the name is Flask-Login's ``get_id()``; the attributes ``email``,
    ``name`` (else ``username``) and ``roles`` become the claims ``email``, ``name`` and ``role``, where they are
    there; a role is a text or has a ``name``.

    Raises:
        TypeError: The object has no ``get_id``.
    """
    if isinstance(user, str):
        return Principal(user, scheme=CookieAuth.scheme)
    if not hasattr(user, "get_id"):
        raise TypeError(f"a {type(user).__name__} has no get_id(): give CookieAuth(to_principal=…) a function for it")
    claims: list[tuple[str, str]] = []
    for claim_type, value in (
        ("email", getattr(user, "email", None)),
        ("name", getattr(user, "name", None) or getattr(user, "username", None)),
    ):
        if isinstance(value, str):
            claims.append((claim_type, value))
    roles = getattr(user, "roles", ())
    if isinstance(roles, Iterable) and not isinstance(roles, str):
        names = (getattr(role, "name", role) for role in roles)
        claims.extend(("role", name) for name in names if isinstance(name, str))
    return Principal(str(user.get_id()), claims, scheme=CookieAuth.scheme)


class CookieAuth(AuthScheme):
    """Signs on whom the app's own session knows: Flask-Login's current user, or what a callable finds.

    With Flask-Login all that the app has set up holds: remember-me, ``request_loader``, session protection. Its
    login page is never redirected to: SignalR clients get a 401 that they can show.

    Args:
        load_user: Returns the signed-in user within a request, or ``None``; Flask-Login's current user by default.
        to_principal: Makes a principal of a user; `user_principal` by default.

    Raises:
        MissingExtra: Neither Flask-Login nor ``load_user`` is there.
    """

    scheme = "Cookie"

    def __init__(
        self,
        load_user: Callable[[], Any] | None = None,
        *,
        to_principal: Callable[[Any], Principal] = user_principal,
    ) -> None:
        self._load_user = load_user or _flask_login_user()
        self._to_principal = to_principal

    def authenticate(self, request: Request) -> Principal | None:
        """Return the signed-in user's principal, or ``None`` when nobody is signed in.

        Raises:
            AuthenticationFailed: The user is signed in and its account is not active (Flask-Login's ``is_active``).
        """
        user = self._load_user()
        if user is None or not getattr(user, "is_authenticated", True):
            return None
        if not getattr(user, "is_active", True):
            raise AuthenticationFailed("this account is not active")
        return self._to_principal(user)


def _flask_login_user() -> Callable[[], Any]:
    try:
        from flask_login import current_user  # noqa: PLC0415 -- an extra, loaded when it is used
    except ImportError as exc:
        raise MissingExtra("CookieAuth()", "login") from exc

    def load_user() -> Any:
        if not hasattr(current_app, "login_manager"):
            raise ConfigurationError("CookieAuth() asks Flask-Login, which this app has not set up: LoginManager(app)")
        return current_user._get_current_object()  # the user itself: each access through the proxy looks it up anew

    return load_user
