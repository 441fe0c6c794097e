"""The demo's app: its sign-in, its page and its routes, which others may attack."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.security import check_password_hash
from werkzeug.test import TestResponse

from demo.app import create_app
from demo.users import DEMO_PASSWORD, USERS
from flask_signalr.emulator import Emulator, EmulatorSettings
from tests.demo_site import taken_port
from tests.live import live_emulator

KEY = "a-key-that-only-tests-use-0123456789-abcdefg"
SERVICE = "https://chat.service.example"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def client() -> FlaskClient:
    """A caller of a demo whose service nobody reaches."""
    return create_app({"SIGNALR_CONNECTION_STRING": f"Endpoint={SERVICE};AccessKey={KEY}"}).test_client()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with live_emulator() as running:
        yield running


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
    ("POST", "/api/messages", {"text": "hello"}),
]
every_change = pytest.mark.parametrize(
    ("method", "path", "body"), CHANGES, ids=["sign in", "token", "sign out", "send"]
)


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


@pytest.mark.parametrize("path", ["/api/session", "/api/token", "/api/messages"])
@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data", ""])
def test_cross_site_request_forgery_what_a_form_can_send_is_not_read(
    client: FlaskClient, path: str, content_type: str
) -> None:
    """For browsers so old that they tell no origin."""
    signed_in(client)
    body = b'{"name":"ada","password":"signalr","text":"hello"}'

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


def test_without_the_client_the_page_says_what_to_run(tmp_path: Path) -> None:
    connection_string = f"Endpoint={SERVICE};AccessKey={KEY}"
    app = create_app({"SIGNALR_CONNECTION_STRING": connection_string, "DEMO_CLIENT": str(tmp_path / "missing.js")})

    page, script = app.test_client().get("/"), app.test_client().get("/signalr.min.js")

    assert "run <code>make demo</code>" in page.text
    assert "<script" not in page.text
    assert error(script)[0] == 404


# Sending


def test_a_stranger_cannot_send(client: FlaskClient) -> None:
    assert error(client.post("/api/messages", json={"text": "hello"})) == (401, "sign in to send")


def test_nobody_can_send_in_the_name_of_another_user(client: FlaskClient) -> None:
    """The sender is who signed in; a name in the body is not looked at, and a wrong token is not overlooked."""
    answer = client.post("/api/messages", json={"text": "hello"}, headers={"Authorization": "Bearer not.a.token"})

    assert answer.status_code == 401


@pytest.mark.parametrize("user_id", [".", "..", " .. "], ids=repr)
def test_path_traversal_a_user_id_of_dots_does_not_reach_everyone(client: FlaskClient, user_id: str) -> None:
    """``users/../:send`` is ``:send`` to whoever resolves the dots: a message for one would go to all."""
    answer = signed_in(client).post("/api/messages", json={"text": "hello", "to": user_id})

    assert error(answer) == (400, "there is no such user id")


@pytest.mark.parametrize(
    "body",
    [{}, {"text": ""}, {"text": "x" * 501}, {"text": 1}, {"text": "x", "to": ""}, {"text": "x", "to": "a" * 129}],
    ids=["nothing", "empty", "too long", "a number", "empty user id", "long user id"],
)
def test_a_message_that_cannot_be_sent_is_refused_with_the_reason(client: FlaskClient, body: dict[str, Any]) -> None:
    status, reason = error(signed_in(client).post("/api/messages", json=body))

    assert status == 400
    assert reason.startswith("the body cannot be read")


def test_a_body_that_is_too_large_is_not_read(client: FlaskClient) -> None:
    assert error(signed_in(client).post("/api/messages", json={"text": "x" * 20_000}))[0] == 413


def test_a_service_that_is_down_is_told_without_its_keys(caplog: pytest.LogCaptureFixture) -> None:
    with taken_port() as port:
        pass
    connection_string = EmulatorSettings(host="127.0.0.1", port=port, access_keys=(KEY,)).connection_string
    client = signed_in(create_app({"SIGNALR_CONNECTION_STRING": connection_string}).test_client())

    answer = client.post("/api/messages", json={"text": "hello"})

    assert error(answer) == (502, "the SignalR service cannot be reached")
    assert KEY not in caplog.text
    assert "eyJ" not in caplog.text


def test_a_service_that_refuses_is_told_without_its_keys(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    """Such as with the key of another service."""
    wrong = emulator.connection_string.replace(emulator.settings.access_keys[0], KEY)
    client = signed_in(create_app({"SIGNALR_CONNECTION_STRING": wrong}).test_client())

    answer = client.post("/api/messages", json={"text": "hello"})

    assert error(answer) == (502, "the SignalR service refused the message (status 401)")
    assert "signature does not match" in caplog.text
    assert "eyJ" not in caplog.text


@pytest.mark.parametrize("to", [None, "ADA@example.org ", "a/b", "a%2Fb?c#d", "日本"], ids=repr)
@pytest.mark.parametrize("application", ["", "Shop"], ids=["no application name", "application name"])
def test_the_service_takes_what_is_sent(emulator: Emulator, to: str | None, application: str) -> None:
    """Each address must be the same in the URL and in its token."""
    config = {"SIGNALR_CONNECTION_STRING": emulator.connection_string, "SIGNALR_APPLICATION_NAME": application}
    client = signed_in(create_app(config).test_client())

    answer = client.post("/api/messages", json={"text": "hello"} | ({"to": to} if to else {}))

    assert answer.status_code == 202
