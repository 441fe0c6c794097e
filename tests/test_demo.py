"""The demo: as the command that somebody types, and as the app whose routes others may attack."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
import urllib3
from flask.testing import FlaskClient
from werkzeug.security import check_password_hash
from werkzeug.test import TestResponse

from demo.app import create_app
from demo.users import DEMO_PASSWORD, USERS
from flask_signalr.emulator import Emulator, EmulatorSettings
from tests.live import LONGEST_WAIT, live_emulator

ROOT = Path(__file__).parent.parent
CONNECTION_STRING = "FLASK_SIGNALR_CONNECTION_STRING"
KEY = "a-key-that-only-tests-use-0123456789-abcdefg"
SERVICE = "https://chat.service.example"
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Demo:
    """A demo that somebody started in a terminal.

    Attributes:
        process: Its process.
        printed: What it printed until it was ready.
    """

    process: subprocess.Popen[str]
    printed: str

    @property
    def url(self) -> str:
        """The page that it says to open, without a slash at the end."""
        return self._found(r"Open +(http://\S+)/ *")

    @property
    def service_url(self) -> str:
        return self._found(r"SignalR +(http://\S+)")

    def _found(self, pattern: str) -> str:
        match = re.search(pattern, self.printed)
        assert match, self.printed
        return match[1]

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> urllib3.BaseHTTPResponse:
        return urllib3.request(method, self.url + path, json=body, headers=headers, timeout=LONGEST_WAIT, retries=False)

    def sign_in(self, name: str) -> str:
        """Return the cookie of a user who signed in."""
        answer = self.call("POST", "/api/session", {"name": name, "password": DEMO_PASSWORD})
        assert answer.status == 200, answer.data
        return answer.headers["Set-Cookie"].partition(";")[0]

    def rest_of_output(self) -> str:
        """Return what it prints until it ends. The pipe is at its end when every process of the demo has ended."""
        assert self.process.stdout is not None
        output = self.process.stdout.read()
        self.process.wait(LONGEST_WAIT)
        return output.strip()


@contextmanager
def started(*arguments: str, connection_string: str = "") -> Iterator[Demo]:
    """Run the demo as a terminal does, in a session of its own, until it says that it is ready."""
    with subprocess.Popen(
        [sys.executable, "-m", "demo", *arguments],
        cwd=ROOT,
        env={**os.environ, CONNECTION_STRING: connection_string},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        printed = ""
        try:
            for line in process.stdout:
                printed += line
                if "Ctrl-C" in line:
                    break
            yield Demo(process, printed)
        finally:
            with suppress(ProcessLookupError):
                process.terminate()


@contextmanager
def taken_port() -> Iterator[int]:
    """Listen on a port that then nobody else can have."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def is_refused(url: str) -> bool:
    parts = urllib3.util.parse_url(url)
    with socket.socket() as probe:
        return probe.connect_ex((parts.host or "", parts.port or 0)) != 0


def test_one_command_starts_page_and_service_and_ctrl_c_ends_both() -> None:
    """A terminal sends Ctrl-C to every process of its foreground group."""
    with started("--port", "0", "--emulator-port", "0") as demo:
        page = demo.call("GET", "/")
        health = urllib3.request("GET", f"{demo.service_url}/api/health", timeout=LONGEST_WAIT)

        os.killpg(demo.process.pid, signal.SIGINT)
        os.killpg(demo.process.pid, signal.SIGINT)  # some are impatient
        output = demo.rest_of_output()

    assert (page.status, health.status) == (200, 200)
    assert (demo.process.returncode, output) == (0, "Stopped.")
    assert is_refused(demo.url)
    assert is_refused(demo.service_url)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_other_ways_to_end_a_program_end_both_too(number: signal.Signals) -> None:
    """SIGTERM comes of ``kill`` and containers, SIGHUP of a terminal window that is closed."""
    with started("--port", "0", "--emulator-port", "0") as demo:
        demo.process.send_signal(number)
        output = demo.rest_of_output()

    assert (demo.process.returncode, output) == (0, "Stopped.")


def test_a_web_server_that_ends_by_itself_ends_the_demo_with_an_error() -> None:
    with started("--port", "0", "--emulator-port", "0") as demo:
        children = Path(f"/proc/{demo.process.pid}/task/{demo.process.pid}/children").read_text().split()

        for child in children:
            os.kill(int(child), signal.SIGTERM)
        output = demo.rest_of_output()

    assert len(children) == 1
    assert (demo.process.returncode, output) == (1, "The demo cannot go on: the web server ended")


def test_ports_in_use_are_left_to_their_owners_and_the_others_are_printed() -> None:
    with ExitStack() as stack:
        port, service_port = stack.enter_context(taken_port()), stack.enter_context(taken_port())

        demo = stack.enter_context(started("--port", str(port), "--emulator-port", str(service_port)))

        assert f"port {port} is in use" in demo.printed
        assert f"port {service_port} is in use" in demo.printed
        assert demo.call("GET", "/").status == 200
        negotiation = demo.call("POST", "/chat/negotiate?negotiateVersion=1", Cookie=demo.sign_in("ada")).json()
        assert negotiation["url"] == f"{demo.service_url}/client/?hub=chat"


def test_a_user_of_the_demo_negotiates_at_the_app_and_then_at_the_service() -> None:
    with started("--port", "0", "--emulator-port", "0") as demo:
        cookie = demo.sign_in("ada")

        access = demo.call("POST", "/chat/negotiate?negotiateVersion=1", Cookie=cookie).json()
        admitted = urllib3.request(
            "POST",
            access["url"].replace("/client/?", "/client/negotiate?negotiateVersion=1&"),
            headers={"Authorization": f"Bearer {access['accessToken']}"},
            timeout=LONGEST_WAIT,
        )

    claims = jwt.decode(access["accessToken"], options={"verify_signature": False})
    assert claims["asrs.s.uid"] == "ada@example.org"
    assert claims["role"] == ["staff", "moderator"]
    assert "email" not in claims
    assert admitted.status == 200
    assert admitted.json()["connectionId"]


def test_a_connection_string_in_the_environment_is_used_in_place_of_the_emulator() -> None:
    """It says so, and never shows the key."""
    with live_emulator() as elsewhere, started("--port", "0", connection_string=elsewhere.connection_string) as demo:
        cookie = demo.sign_in("ada")

        access = demo.call("POST", "/chat/negotiate", Cookie=cookie).json()
        sent = demo.call("POST", "/api/messages", {"text": "hello"}, Cookie=cookie)
        demo.process.terminate()
        output = demo.printed + demo.rest_of_output()

    assert access["url"] == f"{elsewhere.url}/client/?hub=chat"
    assert sent.status == 202
    assert f"{elsewhere.url} (from {CONNECTION_STRING})" in output
    assert "emulator" not in output
    assert elsewhere.settings.access_keys[0] not in output


@pytest.mark.parametrize(
    ("arguments", "connection_string", "told"),
    [
        ((), f"Endpoint=nonsense;AccessKey={KEY}", "The demo cannot start: SIGNALR_CONNECTION_STRING: "),
        (("--port", "http"), "", "'http' is no port: give a number from 0 (any free one) to 65535"),
        (("--port", "65536"), "", "'65536' is no port"),
        (("--host", "example.org"), "", "'example.org' is no IPv4 address, such as 127.0.0.1"),
        (("--host", "0.0.0.0"), "", "name that one"),
        (("--host", "::1"), "", "'::1' is no IPv4 address"),
        (("--host", "192.0.2.1"), "", "The demo cannot start: the emulator cannot listen"),
        (("--host", "192.0.2.1"), f"Endpoint={SERVICE};AccessKey={KEY}", "does not let it listen on 192.0.2.1"),
    ],
    ids=["connection string", "port", "large port", "name", "every address", "IPv6", "foreign", "foreign with service"],
)
def test_a_mistake_is_told_in_one_sentence(arguments: tuple[str, ...], connection_string: str, told: str) -> None:
    """No traceback, and no part of a key."""
    with started(*arguments, connection_string=connection_string) as demo:
        output = demo.printed + demo.rest_of_output()

    assert demo.process.returncode in (1, 2)
    assert told in output
    assert "Traceback" not in output
    assert KEY not in output


def test_help_teaches_what_can_be_chosen() -> None:
    with started("--help") as demo:
        output = demo.printed + demo.rest_of_output()

    assert demo.process.returncode == 0
    for word in ("--host", "--port", "--emulator-port", CONNECTION_STRING, "Ctrl-C", "default 5000", "default 8888"):
        assert word in output


# The app's own routes


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
