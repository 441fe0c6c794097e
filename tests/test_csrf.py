"""Cross-site request forgery, with Flask-WTF's CSRFProtect on the app: the origin check stands in for form tokens."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask, session
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue
from flask_wtf import CSRFProtect
from werkzeug.test import TestResponse

from flask_signalr import CookieAuth, SignalR
from tests.apps import body, create_app, service_claims


def declared() -> SignalR:
    signalr = SignalR(auth=[CookieAuth(lambda: session.get("user_name"))])
    signalr.hub("chat")
    return signalr


def protected_first() -> Flask:
    app = create_app()
    CSRFProtect(app)
    declared().init_app(app)
    return app


def protected_last() -> Flask:
    app = create_app(declared())
    CSRFProtect(app)
    return app


def in_a_factory() -> Flask:
    csrf, signalr = CSRFProtect(), declared()
    app = create_app()
    csrf.init_app(app)
    signalr.init_app(app)
    return app


def second_app_of_a_factory() -> Flask:
    csrf, signalr = CSRFProtect(), declared()
    for app in (create_app(signalr), second := create_app(signalr)):
        csrf.init_app(app)
    return second


def under_another_name() -> Flask:
    app = create_app()
    CSRFProtect(app)
    declared().init_app(app, name="sockets")
    return app


def nested() -> Flask:
    signalr, app = declared(), create_app()
    api = Blueprint("api", __name__)
    api.register_blueprint(signalr.blueprint)
    app.register_blueprint(api)
    signalr.init_app(app, url_prefix="/also")
    CSRFProtect(app)
    return app


APPS = [protected_first, protected_last, in_a_factory, second_app_of_a_factory, under_another_name, nested]
every_order = pytest.mark.parametrize("make_app", APPS, ids=lambda make: make.__name__)
MakeApp = Callable[[], Flask]


def victim(app: Flask) -> FlaskClient:
    """Return the browser of somebody who is signed in."""
    client = app.test_client()
    with client.session_transaction() as current:
        current["user_name"] = "ada"
    return client


def negotiate(client: FlaskClient, **headers: Any) -> TestResponse:
    return client.post("/chat/negotiate?negotiateVersion=1", headers=headers)


@every_order
def test_negotiate_works_unchanged(make_app: MakeApp) -> None:
    """Clients of the protocol bring no form token and cannot be taught to."""
    answer = negotiate(victim(make_app()), Origin="http://localhost")

    assert service_claims(answer)["asrs.s.uid"] == "ada"


@every_order
def test_forging_a_request_from_a_foreign_page_fails(make_app: MakeApp) -> None:
    """The browser adds the victim's cookie, and its word about where the request comes from."""
    answer = negotiate(victim(make_app()), Origin="https://evil.example", **{"Sec-Fetch-Site": "cross-site"})

    assert answer.status_code == 403
    assert "origin" in body(answer)["error"]
    assert not [name for name, _ in answer.headers if name.startswith("Access-Control-")]


@every_order
@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"])
def test_forging_a_request_with_a_form_fails(make_app: MakeApp, content_type: str) -> None:
    """A form needs no preflight; its ``Origin`` is ``null`` when a sandboxed frame sends it."""
    answer = victim(make_app()).post(
        "/chat/negotiate", headers={"Origin": "null"}, data=b"a=1", content_type=content_type
    )

    assert answer.status_code == 403


@every_order
def test_renewing_a_sign_in_works_without_a_form_token_and_not_from_a_foreign_page(make_app: MakeApp) -> None:
    """It is off in these apps, so that its own refusal says that the request got there."""
    client = victim(make_app())

    own = client.post("/chat/refresh?id=t", headers={"Origin": "http://localhost"})
    foreign = client.post("/chat/refresh?id=t", headers={"Origin": "https://evil.example"})

    assert (own.status_code, body(own)) == (404, {"error": "refresh_disabled"})
    assert foreign.status_code == 403


@every_order
def test_a_refusal_keeps_signalrs_form(make_app: MakeApp) -> None:
    answer = negotiate(make_app().test_client())

    assert (answer.status_code, body(answer)) == (401, {"error": "sign in to connect"})


def test_the_exemption_is_made_at_the_first_request_alone() -> None:
    """A hook that stayed would take its time at every request."""

    class Counting(CSRFProtect):  # type: ignore[misc] # it is published without types
        exempted = 0

        def exempt(self, view: Any) -> Any:
            self.exempted += 1
            return super().exempt(view)

    app = create_app(declared())
    csrf = Counting(app)
    client = victim(app)

    answers = [negotiate(client).status_code for _ in range(3)]

    assert answers == [200, 200, 200]
    assert csrf.exempted == 3  # negotiate, refresh and upstream, each once


@every_order
def test_the_apps_other_views_stay_protected(make_app: MakeApp) -> None:
    """Before and after a negotiate: the exemption is for that view alone."""
    app = make_app()
    others = Blueprint("others", __name__)

    @others.post("/transfer")
    def transfer() -> ResponseReturnValue:
        return "done"

    app.register_blueprint(others)
    client = victim(app)

    before = client.post("/transfer")
    negotiate(client)
    after = client.post("/transfer")

    assert (before.status_code, after.status_code) == (400, 400)


@every_order
def test_a_view_that_an_app_adds_to_the_blueprint_stays_protected(make_app: MakeApp) -> None:
    """Only negotiate is exempted, not all that lies beside it."""
    app = make_app()
    app.add_url_rule("/chat/leave", "signalr.leave", lambda: "done", methods=["POST"])

    assert victim(app).post("/chat/leave").status_code == 400
