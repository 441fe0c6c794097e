"""The end of a session: how long the app's own session of a signed-in user lasts if nobody uses it."""

from flask import Flask, Request, session
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from itsdangerous import BadData
from itsdangerous.encoding import base64_decode, bytes_to_int


def session_ends_at(app: Flask, request: Request, now: int) -> int | None:
    """Return when the session of this request ends, in Unix seconds; ``None`` if nobody here can tell.

    Flask's own session is a signed cookie that holds for ``PERMANENT_SESSION_LIFETIME`` from its signature on, also
    where the browser would forget it earlier. It is signed anew by every answer that sets it: where the session was
    changed, and of a permanent one by every answer at all (``SESSION_REFRESH_EACH_REQUEST``). Of a session that the
    app keeps elsewhere only a permanent one has a known bound, and one that no cookie carries on has no other request.

    Args:
        app: The current app.
        request: The current request; the session is its.
        now: The time, in Unix seconds.

    Source: pallets/flask:src/flask/sessions.py, SecureCookieSessionInterface.
    """
    current: SessionMixin = session._get_current_object()  # type: ignore[attr-defined] # a proxy looks up each time anew
    if not current:  # the app knows its users by something else
        return None
    lifetime = int(app.permanent_session_lifetime.total_seconds())
    interface = app.session_interface
    if not _is_flasks_own(type(interface)):
        return now + lifetime if current.permanent else None
    if interface.should_set_cookie(app, current):
        return now + lifetime
    signed_at = _signed_at(request.cookies.get(interface.get_cookie_name(app), ""))
    return None if signed_at is None else signed_at + lifetime


def _is_flasks_own(interface: type[object]) -> bool:
    return interface is SecureCookieSessionInterface or all(
        getattr(interface, name, None) is getattr(SecureCookieSessionInterface, name)
        for name in ("open_session", "get_signing_serializer")
    )


def _signed_at(cookie: str) -> int | None:
    """Return the time in a signed cookie, in Unix seconds; ``None`` if it has none.

    Flask has verified it, unless the app filled the session of this request without one that is good.

    Source: pallets/itsdangerous:src/itsdangerous/timed.py, TimestampSigner.
    """
    try:
        return bytes_to_int(base64_decode(cookie.rsplit(".", 2)[1]))
    except (IndexError, BadData):
        return None
