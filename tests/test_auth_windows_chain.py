"""Cookie, bearer token and Windows sign-on on one hub: who wins, what is advertised, and what never gets as far."""

import logging
from collections.abc import Mapping
from typing import Any

import pytest
from flask import Flask
from flask_login import LoginManager, UserMixin
from werkzeug.test import TestResponse

from flask_signalr import BearerAuth, CookieAuth, SignalR
from flask_signalr.auth.frontend import FrontEndAuth
from flask_signalr.auth.windows import WindowsAuth
from flask_signalr.auth.windows_identity import WindowsRealm, by_windows_account
from tests.apps import bearer_headers, create_app, service_claims, service_token
from tests.intranet import REALM, Intranet
from tests.signing import SECRET

INTRANET = WindowsRealm(REALM, domain="INTRANET", upn_suffix="corp.example")
PAGE = "https://page.example"


class User(UserMixin):  # type: ignore[misc]
    def __init__(self, user_id: str) -> None:
        self.id = user_id


def chained_app(**options: Any) -> Flask:
    """Return an app whose hub ``chat`` knows all three ways to sign in, and one canonical user id for them."""
    signalr = SignalR(allowed_origins=[PAGE])
    schemes = [CookieAuth(), BearerAuth(SECRET), WindowsAuth([INTRANET])]
    signalr.hub("chat", **{"auth": schemes, "user_id_provider": by_windows_account(INTRANET), **options})
    app = create_app(signalr)
    LoginManager(app).user_loader(User)
    return app


def cookie_of(app: Flask, user_id: str) -> dict[str, str]:
    """Return the header of a browser whose user signed in to the app by a form."""
    with app.test_client() as browser:
        with browser.session_transaction() as session:
            session["_user_id"], session["_fresh"] = user_id, True
        cookie = browser.get_cookie("session")
    assert cookie is not None
    return {"Cookie": f"session={cookie.value}"}


def negotiate(app: Flask, headers: Mapping[str, str] | None = None) -> TestResponse:
    """Return the answer to a client that brings exactly these headers, its cookies among them."""
    return app.test_client(use_cookies=False).post("/chat/negotiate", headers=dict(headers or {}))


def user_id(answer: TestResponse) -> Any:
    return service_claims(answer)["asrs.s.uid"]


def test_one_person_is_one_user_by_cookie_bearer_token_and_windows(intranet: Intranet) -> None:
    app = chained_app()
    answers = [
        negotiate(app, headers=cookie_of(app, "INTRANET\\Alice")),
        negotiate(app, headers=bearer_headers("Alice@Corp.Example")),
        negotiate(app, headers=intranet.headers()),
    ]

    assert [user_id(answer) for answer in answers] == ["alice@corp.example"] * 3
    assert [service_claims(answer).get("asrs.s.aut") for answer in answers] == ["Cookie", None, "Kerberos"]


def test_the_first_scheme_wins(intranet: Intranet) -> None:
    """A browser that has both sends both: the app's order decides."""
    app = chained_app()

    answer = negotiate(app, headers={**cookie_of(app, "ada"), **intranet.headers()})

    assert user_id(answer) == "ada"


def test_a_sign_on_token_is_not_used_up_by_a_scheme_before(intranet: Intranet) -> None:
    app = chained_app()
    headers = intranet.headers()
    negotiate(app, headers={**cookie_of(app, "ada"), **headers})

    assert user_id(negotiate(app, headers=headers)) == "alice@corp.example"


def test_one_401_has_every_challenge_once(intranet: Intranet) -> None:
    scheme = WindowsAuth()

    answer = negotiate(chained_app(auth=[scheme, BearerAuth(SECRET), scheme, FrontEndAuth()]))

    assert answer.status_code == 401
    assert answer.headers.getlist("WWW-Authenticate") == ["Negotiate", "Bearer"]


def test_a_wrong_sign_on_token_ends_the_search(intranet: Intranet) -> None:
    """Fall-through: it must pass neither as no credentials nor for the next scheme's."""
    app = chained_app(auth=[WindowsAuth(), CookieAuth()], allow_anonymous=True)

    answer = negotiate(app, headers={**cookie_of(app, "ada"), "Authorization": "Negotiate YWJj"})

    assert answer.status_code == 401


def test_an_open_hub_knows_who_signs_on_and_challenges_nobody(intranet: Intranet) -> None:
    app = chained_app(allow_anonymous=True)

    assert "asrs.s.uid" not in service_claims(negotiate(app))
    assert user_id(negotiate(app, headers=intranet.headers())) == "alice@corp.example"


def test_a_preflight_is_not_challenged(intranet: Intranet) -> None:
    """Browsers send it without credentials, and take a 401 for a no."""
    headers = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}

    answer = chained_app().test_client().options("/chat/negotiate", headers=headers)

    assert answer.status_code == 204
    assert "WWW-Authenticate" not in answer.headers
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
    ids=["foreign", "null", "hidden"],
)
def test_a_foreign_page_is_refused_before_its_visitor_is_challenged(
    intranet: Intranet, headers: dict[str, str]
) -> None:
    """The browser would sign its user on to any site of the intranet, whoever's page asks."""
    answer = negotiate(chained_app(), headers=headers)

    assert answer.status_code == 403
    assert "WWW-Authenticate" not in answer.headers


def test_a_foreign_page_that_rides_on_a_sign_on_is_refused(
    intranet: Intranet, caplog: pytest.LogCaptureFixture
) -> None:
    """Cross-site request forgery with the token that the browser adds by itself; it is not even looked at."""
    app, headers = chained_app(), intranet.headers()

    with caplog.at_level(logging.INFO):
        forged = negotiate(app, headers={**headers, "Origin": "https://evil.example"})

    assert forged.status_code == 403
    assert "Access-Control-Allow-Origin" not in forged.headers
    assert negotiate(app, headers=headers).status_code == 200, "the token was not used"


def test_an_allowed_page_reads_the_refusal(intranet: Intranet) -> None:
    answer = negotiate(chained_app(), headers={"Origin": PAGE})

    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.headers.getlist("WWW-Authenticate") == ["Bearer", "Negotiate"]


@pytest.mark.parametrize("by_header", [True, False], ids=["header", "query"])
def test_a_client_that_reconnects_with_its_service_token_is_asked_to_sign_on(
    intranet: Intranet, by_header: bool
) -> None:
    """Taken for a wrong bearer token, it would be refused for good; so it is one 401 and a sign-on, as at first."""
    app = chained_app()
    echo = service_token()
    request: dict[str, Any] = (
        {"headers": {"Authorization": f"Bearer {echo}"}}
        if by_header
        else {"query_string": f"negotiateVersion=1&access_token={echo}"}
    )

    challenged = app.test_client().post("/chat/negotiate", **request)
    again = app.test_client().post("/chat/negotiate", **{**request, "headers": intranet.headers()})

    assert challenged.status_code == 401
    assert challenged.json == {"error": "sign in to connect"}
    assert "Negotiate" in challenged.headers.getlist("WWW-Authenticate")
    assert user_id(again) == "alice@corp.example"
