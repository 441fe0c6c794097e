"""The demo's app: its sign-in, its page and its routes, which others may attack."""

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.security import check_password_hash
from werkzeug.test import TestResponse

from demo.app import create_app
from demo.users import DEMO_PASSWORD, USERS

KEY = "a-key-that-only-tests-use-0123456789-abcdefg"
SERVICE = "https://chat.service.example"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def client() -> FlaskClient:
    """A caller of a demo whose service nobody reaches."""
    return create_app({"SIGNALR_CONNECTION_STRING": f"Endpoint={SERVICE};AccessKey={KEY}"}).test_client()


def signed_in(client: FlaskClient, name: str = "ada") -> FlaskClient:
    answer = client.post("/api/session", json={"name": name, "password": DEMO_PASSWORD})
    assert answer.status_code == 200
    return client


def error(answer: TestResponse) -> tuple[int, str]:
    assert answer.json is not None
    assert answer.json.keys() == {"error"}
    return answer.status_code, answer.json["error"]


def test_the_printed_password_is_everybodys_and_is_kept_as_hashes() -> None:
    hashes = {user.password_hash for user in USERS.values()}

    assert len(hashes) == len(USERS)
    assert all(check_password_hash(one, DEMO_PASSWORD) for one in hashes)
    assert not any(DEMO_PASSWORD in one for one in hashes)
    assert not any(one in repr(USERS) for one in hashes)


def test_account_enumeration_an_unknown_name_and_a_wrong_password_are_told_alike(client: FlaskClient) -> None:
    unknown = client.post("/api/session", json={"name": "mallory", "password": DEMO_PASSWORD})
    wrong = client.post("/api/session", json={"name": "ada", "password": "guessed"})

    assert error(unknown) == error(wrong)
    assert unknown.status_code == 401


@pytest.mark.parametrize("path", ["/api/session", "/api/token"])
@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"name":"ada"}', b'{"name":1,"password":"x"}', b'"\xff"', b"[" * 10_000], ids=repr
)
def test_credentials_that_cannot_be_read_are_a_fault_of_the_caller(client: FlaskClient, path: str, body: bytes) -> None:
    status, reason = error(client.post(path, data=body, headers=JSON))

    assert status == 400
    assert reason.startswith("the body cannot be read")


def test_the_session_cookie_is_kept_from_scripts_and_other_sites(client: FlaskClient) -> None:
    """And from other apps of this host: cookies know no ports."""
    answer = client.post("/api/session", json={"name": "ada", "password": DEMO_PASSWORD})

    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("flask_signalr_demo=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_session_fixation_what_a_session_held_before_the_sign_in_is_gone(client: FlaskClient) -> None:
    with client.session_transaction() as session:
        session["left"] = "by somebody else"

    signed_in(client)

    with client.session_transaction() as session:
        assert "left" not in session
        assert "_user_id" in session


def test_signing_out_takes_the_session_away(client: FlaskClient) -> None:
    signed_in(client)

    client.delete("/api/session")

    assert client.get("/api/session").json == {"user": None}
    assert client.post("/chat/negotiate").status_code == 401


def test_each_demo_has_keys_of_its_own(client: FlaskClient) -> None:
    """A cookie or token of one demo is worth nothing at another one."""
    other = create_app({"SIGNALR_CONNECTION_STRING": f"Endpoint={SERVICE};AccessKey={KEY}"})
    issued = client.post("/api/token", json={"name": "ada", "password": DEMO_PASSWORD}).json or {}
    bearer = {"Authorization": f"Bearer {issued['accessToken']}"}

    here = client.post("/chat/negotiate", headers=bearer)
    there = other.test_client().post("/chat/negotiate", headers=bearer)

    assert (here.status_code, there.status_code) == (200, 401)
    assert client.application.secret_key != other.secret_key


CHANGES = [
    ("POST", "/api/session", {"name": "ada", "password": DEMO_PASSWORD}),
    ("POST", "/api/token", {"name": "ada", "password": DEMO_PASSWORD}),
    ("DELETE", "/api/session", None),
]
every_change = pytest.mark.parametrize(("method", "path", "body"), CHANGES, ids=["sign in", "token", "sign out"])


@every_change
@pytest.mark.parametrize(
    "origin", ["http://localhost:5001", "https://localhost", "http://evil.example", "null"], ids=repr
)
def test_cross_site_request_forgery_no_page_of_another_origin_changes_anything(
    client: FlaskClient, method: str, path: str, body: Any, origin: str
) -> None:
    """Another port is another origin, though its requests carry the cookie. Signing somebody in is forgery too."""
    signed_in(client)

    answer = client.open(path, method=method, json=body, headers={"Origin": origin, "Sec-Fetch-Site": "same-site"})

    assert error(answer) == (403, "this page's origin may not use the demo")
    assert client.get("/api/session").json != {"user": None}


@pytest.mark.parametrize("path", ["/api/session", "/api/token"])
@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data", ""])
def test_cross_site_request_forgery_what_a_form_can_send_is_not_read(
    client: FlaskClient, path: str, content_type: str
) -> None:
    """For browsers so old that they tell no origin."""
    signed_in(client)
    body = b'{"name":"ada","password":"signalr"}'

    assert error(client.post(path, data=body, headers={"Content-Type": content_type}))[0] == 415


def test_dns_rebinding_a_foreign_name_for_this_machine_is_no_host_of_the_demo(client: FlaskClient) -> None:
    """A page of evil.example, whose name now leads here, would be of the same origin as what it asks."""
    assert client.get("/api/session", headers={"Host": "evil.example:5000"}).status_code == 400
    assert client.post("/chat/negotiate", headers={"Host": "evil.example:5000"}).status_code == 400


def test_the_page_may_load_its_own_and_talk_to_app_and_service_only(client: FlaskClient) -> None:
    answer = client.get("/")

    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["img-src"] == policy["form-action"] == "'self'"
    assert policy["connect-src"] == f"'self' {SERVICE} wss://chat.service.example"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "://" not in answer.text


@pytest.mark.parametrize(
    ("key", "path"),
    [("DEMO_CLIENT", "/signalr.min.js"), ("DEMO_MESSAGEPACK", "/signalr-protocol-msgpack.min.js")],
    ids=["client", "MessagePack"],
)
def test_without_the_client_the_page_says_what_to_run(tmp_path: Path, key: str, path: str) -> None:
    connection_string = f"Endpoint={SERVICE};AccessKey={KEY}"
    app = create_app({"SIGNALR_CONNECTION_STRING": connection_string, key: str(tmp_path / "missing.js")})

    page, script = app.test_client().get("/"), app.test_client().get(path)

    assert "run <code>make demo</code>" in page.text
    assert "<script" not in page.text
    assert error(script)[0] == 404


def test_a_body_that_is_too_large_is_not_read(client: FlaskClient) -> None:
    body = {"name": "x" * 20_000, "password": DEMO_PASSWORD}

    assert error(client.post("/api/session", json=body))[0] == 413
