"""Signing out of the app, with Flask-Login, ends what the user left open; it never fails because of that."""

import logging
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from flask import Flask
from flask_login import LoginManager, UserMixin, login_user, logout_user

from flask_signalr import BearerAuth, CookieAuth, Principal, SignalR, by_email
from flask_signalr.app_state import AppState
from flask_signalr.errors import InvalidName
from flask_signalr.rest.exchange import ServiceRequest, ServiceResponse
from flask_signalr.service_errors import ServiceError
from flask_signalr.testing import FakeService
from tests.apps import CONNECTION_STRING, NameAuth, create_app
from tests.signing import SECRET


class User(UserMixin):  # type: ignore[misc] # published without types
    def __init__(self, name: str, active: bool = True) -> None:
        self.id = name
        self.email = f"{name.capitalize()}@Example.org"
        self.active = active

    @property
    def is_active(self) -> bool:
        return self.active


class Wire:
    """Carries REST calls to a service that says yes to all, and remembers them."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.requests: list[ServiceRequest] = []

    def __call__(self, request: ServiceRequest) -> ServiceResponse:
        self.requests.append(request)
        return ServiceResponse(self.status, {}, b"")

    @property
    def closed(self) -> list[str]:
        return [unquote(urlsplit(request.url).path) for request in self.requests]


def site(wire: Wire, signalr: SignalR, **config: Any) -> Flask:
    app = create_app(signalr, **config)
    users = {"ada": User("ada"), "eve": User("eve")}
    LoginManager(app).user_loader(users.get)
    state: AppState = app.extensions["signalr"]
    state.use_transport(wire)

    @app.post("/login/<name>")
    def sign_in(name: str) -> str:
        login_user(users[name])
        return ""

    @app.post("/logout")
    def sign_out() -> str:
        logout_user()
        return "bye"

    @app.post("/ban-and-logout")
    def ban() -> str:
        users["ada"].active = False
        logout_user()
        return "bye"

    return app


def signed_out(app: Flask, name: str | None = "ada", path: str = "/logout") -> str:
    client = app.test_client()
    if name is not None:
        client.post(f"/login/{name}")
    answer = client.post(path)
    answer.close()  # as a server does when it has sent it
    assert answer.status_code == 200
    return answer.text


def test_signing_out_closes_the_users_connections_on_every_hub_with_cookies() -> None:
    signalr, wire = SignalR(auth=[CookieAuth()]), Wire()
    signalr.hub("chat")
    signalr.hub("news", user_id_provider=by_email)
    signalr.hub("robots", auth=[BearerAuth(SECRET)])
    app = site(wire, signalr)

    signed_out(app)

    assert wire.closed == [
        "/api/hubs/chat/users/ada/:closeConnections",
        "/api/hubs/news/users/ada@example.org/:closeConnections",
    ]
    assert all("signed out" in unquote(request.url).replace("+", " ") for request in wire.requests)


def test_a_hub_declared_later_counts_too() -> None:
    signalr, wire = SignalR(), Wire()
    app = site(wire, signalr)
    signalr.hub("chat", auth=[CookieAuth()])

    signed_out(app)

    assert wire.closed == ["/api/hubs/chat/users/ada/:closeConnections"]


def test_connections_are_closed_when_the_browser_has_lost_its_cookie() -> None:
    """Attack: a client that reconnects at once, with the session cookie that it still has."""
    signalr, wire = SignalR(auth=[CookieAuth()]), Wire()
    signalr.hub("chat")
    client = site(wire, signalr).test_client()
    client.post("/login/ada")

    answer = client.post("/logout")
    before_it_was_sent = list(wire.requests)
    answer.close()

    assert before_it_was_sent == []
    assert len(wire.requests) == 1


def test_nothing_is_closed_for_somebody_who_was_not_signed_in() -> None:
    signalr, wire = SignalR(auth=[CookieAuth()]), Wire()
    signalr.hub("chat", allow_anonymous=True, user_id_provider=lambda principal: principal.name or "guest")
    app = site(wire, signalr)

    signed_out(app, name=None)

    assert wire.requests == []


def test_a_guest_who_signs_out_closes_no_other_guests_connections() -> None:
    """Attack: anybody may ask for the sign-out page; an app may make one principal of all who are nobody."""
    signalr, wire = SignalR(auth=[CookieAuth(to_principal=lambda user: Principal("guest"))]), Wire()
    signalr.hub("chat")
    app = site(wire, signalr)

    signed_out(app, name=None)

    assert wire.requests == []


def test_a_user_without_a_user_id_closes_nothing() -> None:
    signalr, wire = SignalR(auth=[CookieAuth()]), Wire()
    signalr.hub("chat", user_id_provider=lambda principal: None)
    app = site(wire, signalr)

    signed_out(app)

    assert wire.requests == []


def test_a_user_who_was_made_inactive_meanwhile_loses_them_too() -> None:
    """Flask-Login calls such a user unauthenticated."""
    signalr, wire = SignalR(auth=[CookieAuth()]), Wire()
    signalr.hub("chat")
    app = site(wire, signalr)

    signed_out(app, path="/ban-and-logout")

    assert len(wire.requests) == 1


def test_signing_out_closes_nobody_elses_connections() -> None:
    """Attack: eve signs in by another way with ada's user id, which the guard forbids, and signs out."""
    signalr, wire = SignalR(auth=[CookieAuth()]), Wire()
    signalr.hub(
        "chat",
        user_id_provider=lambda principal: "ada",
        collision_guard=lambda user_id, principal: principal.name == user_id,
    )
    app = site(wire, signalr)

    signed_out(app, "eve")

    assert wire.requests == []


def test_another_app_is_left_alone() -> None:
    signalr, wire, other_signalr, other_wire = (
        SignalR(auth=[CookieAuth()]),
        Wire(),
        SignalR(auth=[CookieAuth()]),
        Wire(),
    )
    signalr.hub("chat")
    other_signalr.hub("chat")
    app, other = site(wire, signalr), site(other_wire, other_signalr)

    signed_out(app)

    assert (len(wire.requests), len(other_wire.requests)) == (1, 0)
    assert other.extensions["signalr"] is not app.extensions["signalr"]


def test_it_can_be_switched_off() -> None:
    signalr, wire = SignalR(auth=[CookieAuth()]), Wire()
    signalr.hub("chat")
    app = site(wire, signalr, SIGNALR_CLOSE_ON_SIGN_OUT=False)

    signed_out(app)

    assert wire.requests == []


@pytest.mark.parametrize(
    ("setting", "outcome"),
    [
        ("True", "MissingExtra serverless SIGNALR_CLOSE_ON_SIGN_OUT needs an optional dependency: "),
        ("'true'", "MissingExtra serverless SIGNALR_CLOSE_ON_SIGN_OUT needs an optional dependency: "),
        ("False", "started"),
        ("None", "started"),
    ],
)
def test_closing_that_is_demanded_and_cannot_be_done_stops_the_start(setting: str, outcome: str) -> None:
    """Else people would sign out for weeks and stay connected; the default is to close where that can be done."""
    program = (
        "import sys; sys.modules['urllib3'] = None\n"
        "from flask import Flask\n"
        "from flask_signalr import CookieAuth, MissingExtra, SignalR\n"
        "app = Flask('app')\n"
        f"app.config.update(SIGNALR_CONNECTION_STRING={CONNECTION_STRING!r}, SIGNALR_CLOSE_ON_SIGN_OUT={setting})\n"
        "try:\n"
        "    SignalR(auth=[CookieAuth()]).init_app(app)\n"
        "except MissingExtra as exc: print('MissingExtra', exc.extra, exc)\n"
        "else: print('started')"
    )

    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert run.stdout.startswith(outcome)
    assert ("pip install 'flask-signalr[serverless]'" in run.stdout) == (outcome != "started")


def raise_value_error(principal: object) -> Any:
    raise ValueError("a fault of the app's")


def broken_by_service() -> tuple[SignalR, Wire]:
    return SignalR(auth=[CookieAuth()]), Wire(400)


def broken_by_provider() -> tuple[SignalR, Wire]:
    return SignalR(auth=[CookieAuth()], user_id_provider=raise_value_error), Wire()


def broken_by_principal() -> tuple[SignalR, Wire]:
    return SignalR(auth=[CookieAuth(to_principal=raise_value_error)]), Wire()


@pytest.mark.parametrize("broken", [broken_by_service, broken_by_provider, broken_by_principal])
def test_whatever_fails_signing_out_goes_on_and_it_is_logged(
    broken: Callable[[], tuple[SignalR, Wire]], caplog: pytest.LogCaptureFixture
) -> None:
    signalr, wire = broken()
    signalr.hub("chat")
    signalr.hub("news")
    app = site(wire, signalr)

    answer = signed_out(app)

    assert answer == "bye"
    told = [record for record in caplog.records if record.name == "flask_signalr.sign_out"]
    assert [record.levelno >= logging.WARNING for record in told] == [True, True]
    assert "'chat'" in told[0].getMessage()


# One call.


def test_one_call_disconnects_a_user() -> None:
    signalr, wire = SignalR(), Wire()
    chat = signalr.hub("chat")
    app = site(wire, signalr)

    with app.app_context():
        chat.disconnect_user("DOMAIN\\ada", "your role has changed")

    assert wire.closed == ["/api/hubs/chat/users/DOMAIN\\ada/:closeConnections"]


@pytest.mark.parametrize(
    "user_id", ["x" * 1024, "é" * 341, "a/b?c#d", "Lovelace, Ada", "..."], ids=lambda name: ascii(name[:5])
)
def test_whoever_connects_can_be_disconnected(user_id: str) -> None:
    """Evasion: the connections of a banned user would stay open."""
    signalr = SignalR(auth=[NameAuth()], allow_anonymous=True, user_id_provider=lambda _: user_id)
    chat = signalr.hub("chat")
    app = create_app(signalr)
    service = FakeService(app)
    client, other = service.connect("chat"), service.connect("chat")

    with app.app_context():
        chat.disconnect_user(user_id, "banned")

    assert client.user_id == user_id
    assert client.is_closed
    assert other.is_closed


@pytest.mark.parametrize("user_id", [None, "", 7, b"ada"])
def test_no_user_is_disconnected_by_mistake(user_id: Any) -> None:
    """``None`` and an empty text are what a guest has; a path without a user could mean all."""
    signalr, wire = SignalR(), Wire()
    chat = signalr.hub("chat")
    app = site(wire, signalr)

    with app.app_context(), pytest.raises(InvalidName):
        chat.disconnect_user(user_id)

    assert wire.requests == []


def test_a_call_that_the_service_refuses_says_so() -> None:
    signalr, wire = SignalR(), Wire(400)
    chat = signalr.hub("chat")
    app = site(wire, signalr)

    with app.app_context(), pytest.raises(ServiceError):
        chat.disconnect_user("ada")
