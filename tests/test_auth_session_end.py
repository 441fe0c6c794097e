"""A service token never outlives the session that it was given for, whatever kind of session that is."""

import time
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask, Request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionInterface, SessionMixin
from flask.testing import FlaskClient
from flask.wrappers import Response
from flask_login import LoginManager, UserMixin
from itsdangerous import TimestampSigner

from flask_signalr import CookieAuth, Principal, SignalR
from tests.apps import create_app, negotiate, service_claims

LIFETIME = 1200
"""Seconds that the sessions of these tests last."""


class User(UserMixin):  # type: ignore[misc] # published without types
    def __init__(self, user_id: str) -> None:
        self.id = user_id


def session_app(auth: CookieAuth | None = None, **config: Any) -> Flask:
    """Return an app whose users stand in its session under ``_user_id``, as Flask-Login keeps them."""
    signalr = SignalR(auth=[auth or CookieAuth()], close_on_expiry=True)
    signalr.hub("chat")
    app = create_app(signalr, PERMANENT_SESSION_LIFETIME=timedelta(seconds=LIFETIME), **config)
    LoginManager(app).user_loader(User)
    return app


def browser(app: Flask, signed_at: float, **more: Any) -> FlaskClient:
    """Return the browser of somebody whose session cookie was signed at that time."""

    class ThenSigner(TimestampSigner):
        def get_timestamp(self) -> int:
            return int(signed_at)

    interface = app.session_interface
    assert isinstance(interface, SecureCookieSessionInterface)
    serializer = interface.get_signing_serializer(app)
    assert serializer is not None
    serializer.signer = ThenSigner
    client = app.test_client()
    client.set_cookie("session", str(serializer.dumps({"_user_id": "ada", "_fresh": False, **more})))
    return client


def claims_of(client: FlaskClient) -> dict[str, Any]:
    return service_claims(client.post("/chat/negotiate?negotiateVersion=1"))


def test_a_token_ends_with_a_browser_session_that_nothing_prolongs() -> None:
    """The browser may keep it open for months; the cookie's signature holds no longer than the configuration says."""
    signed_at = int(time.time()) - LIFETIME + 100

    claims = claims_of(browser(session_app(), signed_at))

    assert claims["exp"] == signed_at + LIFETIME
    assert claims["asrs.s.aeo"] == str(signed_at + LIFETIME)


def test_a_token_ends_with_a_permanent_session_that_is_not_renewed_at_each_request() -> None:
    signed_at = int(time.time()) - LIFETIME + 100

    claims = claims_of(browser(session_app(SESSION_REFRESH_EACH_REQUEST=False), signed_at, _permanent=True))

    assert claims["exp"] == signed_at + LIFETIME


def test_a_sliding_session_lasts_from_the_answer_that_renews_it() -> None:
    """The negotiate itself is a request that keeps the session alive, and its answer sets the cookie."""
    client = browser(session_app(), int(time.time()) - LIFETIME + 100, _permanent=True)
    began = int(time.time())

    answer = client.post("/chat/negotiate?negotiateVersion=1")

    assert began + LIFETIME <= service_claims(answer)["exp"] <= int(time.time()) + LIFETIME
    assert answer.headers["Set-Cookie"].startswith("session=")


def test_a_session_that_has_ended_connects_nobody() -> None:
    client = browser(session_app(), int(time.time()) - LIFETIME - 1, _permanent=True)

    assert client.post("/chat/negotiate").status_code == 401


def test_a_token_of_the_remember_me_cookie_ends_with_the_session_that_it_began() -> None:
    app = session_app()

    @app.post("/sign-in")
    def sign_in() -> str:
        from flask_login import login_user

        login_user(User("ada"), remember=True)
        return ""

    client = app.test_client()
    client.post("/sign-in")
    client.delete_cookie("session")
    began = int(time.time())

    claims = claims_of(client)

    assert claims["asrs.s.uid"] == "ada"
    assert began + LIFETIME <= claims["exp"] <= int(time.time()) + LIFETIME


def test_a_principal_that_ends_before_its_session_keeps_its_own_end() -> None:
    soon = int(time.time()) + 60
    app = session_app(
        CookieAuth(lambda: session["_user_id"], to_principal=lambda name: Principal(name, {}, "Cookie", soon))
    )

    assert claims_of(browser(app, time.time()))["exp"] == soon


def test_a_principal_that_would_outlive_its_session_does_not() -> None:
    later, signed_at = int(time.time()) + 86_400, int(time.time()) - 100
    auth = CookieAuth(lambda: session["_user_id"], to_principal=lambda name: Principal(name, {}, "Cookie", later))

    assert claims_of(browser(session_app(auth), signed_at))["exp"] == signed_at + LIFETIME


def test_users_whom_no_session_knows_have_no_end_of_a_session() -> None:
    claims = service_claims(negotiate(session_app(CookieAuth(lambda: "ada"))))

    assert claims["exp"] - claims["iat"] == 3600
    assert "asrs.s.aeo" not in claims


class InMemory(SessionInterface):
    """Sessions that stand on the server, as Flask-Session's; the cookie says nothing of their end."""

    def __init__(self, content: dict[str, Any]) -> None:
        self._content = content

    def open_session(self, app: Flask, request: Request) -> SessionMixin:
        return SecureCookieSession(self._content)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        pass


@pytest.mark.parametrize(("permanent", "lifetime"), [(True, LIFETIME), (False, 3600)])
def test_a_session_that_the_app_keeps_elsewhere_is_bounded_where_it_is_permanent(
    permanent: bool, lifetime: int
) -> None:
    app = session_app()
    app.session_interface = InMemory({"_user_id": "ada", "_permanent": permanent})

    claims = claims_of(app.test_client())

    assert claims["exp"] - claims["iat"] == lifetime


def caller_without_session(cookie: str | None) -> FlaskClient:
    """Return a caller whom the app signs in for one request, whatever cookie it sends."""
    app = session_app(CookieAuth(lambda: session.get("name")))

    @app.before_request
    def begin() -> None:
        session["name"] = "ada"
        session.modified = False

    client = app.test_client()
    if cookie is not None:
        client.set_cookie("session", cookie)
    return client


@pytest.mark.parametrize("cookie", [None, "", "x", "a.b", "a.b.c"])
def test_a_session_that_the_app_begins_and_sends_no_cookie_of_has_no_end(cookie: str | None) -> None:
    """Such as that of a caller with an API key."""
    claims = claims_of(caller_without_session(cookie))

    assert claims["asrs.s.uid"] == "ada"
    assert "asrs.s.aeo" not in claims


def test_a_forged_cookie_beside_such_a_session_prolongs_nothing() -> None:
    answer = caller_without_session("a.MTIz.c").post("/chat/negotiate?negotiateVersion=1")

    assert answer.status_code == 401
