"""The demo as the command that somebody types: started, configured and stopped in a process of its own."""

import json
import os
import signal
from contextlib import ExitStack
from pathlib import Path

import jwt
import pytest
import urllib3

from tests.demo_process import CONNECTION_STRING, is_refused, started
from tests.demo_site import taken_port
from tests.live import LONGEST_WAIT, live_emulator
from tests.upstream_calls import headers_of, signed

KEY = "a-key-that-only-tests-use-0123456789-abcdefg"
SERVICE = "https://chat.service.example"
CALL = {"type": 1, "invocationId": "1", "target": "sendToAll", "arguments": ["hello"]}


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


def test_what_a_client_calls_reaches_the_app_through_its_own_service() -> None:
    """By long polling, which needs no client library."""
    with started("--port", "0", "--emulator-port", "0") as demo:
        access = demo.call("POST", "/chat/negotiate?negotiateVersion=1", Cookie=demo.sign_in("ada")).json()
        token = {"Authorization": f"Bearer {access['accessToken']}"}

        def ask(method: str, path: str, *messages: object) -> bytes:
            body = b"".join(json.dumps(message).encode() + b"\x1e" for message in messages)
            url = f"{demo.service_url}/client/{path}"
            return urllib3.request(method, url, headers=token, body=body, timeout=LONGEST_WAIT, retries=False).data

        negotiated = json.loads(ask("POST", "negotiate?negotiateVersion=1&hub=chat"))
        connection = f"?hub=chat&id={negotiated['connectionToken']}"
        ask("GET", connection)
        ask("POST", connection, {"protocol": "json", "version": 1}, CALL)
        heard = ask("GET", connection)
        while b'"type":3' not in heard:
            more = ask("GET", connection)
            assert more, heard
            heard += more

    messages = [json.loads(text) for text in heard.split(b"\x1e") if text]
    assert {"type": 3, "invocationId": "1"} in messages
    assert ["newMessage", "ada@example.org", "hello", None] in [
        [message["target"], *message["arguments"]] for message in messages if message.get("type") == 1
    ]


def test_a_connection_string_in_the_environment_is_used_in_place_of_the_emulator() -> None:
    """It says so, and never shows the key."""
    with live_emulator() as elsewhere, started("--port", "0", connection_string=elsewhere.connection_string) as demo:
        cookie = demo.sign_in("ada")

        access = demo.call("POST", "/chat/negotiate", Cookie=cookie).json()
        headers = headers_of("messages", "sendToAll", signature=signed(key=elsewhere.settings.access_keys[0]))
        sent = demo.call("POST", "/chat/upstream/messages/sendToAll", CALL, **headers)
        demo.process.terminate()
        output = demo.printed + demo.rest_of_output()

    assert access["url"] == f"{elsewhere.url}/client/?hub=chat"
    assert sent.status == 200
    assert "error" not in json.loads(sent.data[:-1])  # the service delivered it
    assert "to be set there: https://" in output
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
        (("--windows", "--host", "192.0.2.1"), "", "so leave out --host"),
        (("--host", "::1"), "", "'::1' is no IPv4 address"),
        (("--host", "192.0.2.1"), "", "The demo cannot start: the emulator cannot listen"),
        (("--host", "192.0.2.1"), f"Endpoint={SERVICE};AccessKey={KEY}", "does not let it listen on 192.0.2.1"),
    ],
    ids=[
        "connection string",
        "port",
        "large port",
        "name",
        "every address",
        "intranet",
        "IPv6",
        "foreign",
        "foreign with service",
    ],
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
