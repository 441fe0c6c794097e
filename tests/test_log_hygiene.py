"""No token, cookie or key is in what an app and the emulator write, whatever clients do and however much is logged."""

import json
import logging
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
import urllib3

from tests.client_process import ClientProcess, Refused, missing_node_client, missing_python_clients
from tests.live import ADA, AUDIENCE, LONGEST_WAIT, Site, live_config, live_emulator, read_record
from tests.server_process import ServerProcess

TRANSPORTS = ["WebSockets", "ServerSentEvents", "LongPolling"]


class Listener(logging.Handler):
    """Writes down what this process logs, at any level.

    The HTTP client of the tests is left out: it logs the URLs that the tests make it open.

    Attributes:
        lines: The records, formatted, with their tracebacks.
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith("urllib3"):
            self.lines.append(self.format(record))


@pytest.fixture
def listener(caplog: pytest.LogCaptureFixture) -> Iterator[Listener]:
    caplog.set_level(logging.DEBUG)
    listener = Listener()
    logging.getLogger().addHandler(listener)
    yield listener
    logging.getLogger().removeHandler(listener)


@pytest.mark.parametrize("server", ["werkzeug", "gunicorn", "granian"])
def test_a_whole_run_writes_down_nothing_that_opens_a_door(
    server: str, listener: Listener, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every client, every transport, every refusal, requests that cannot be read, and a fault of the app's own."""
    for missing in (missing_node_client(), missing_python_clients()):
        if missing:
            pytest.skip(f"the search of all logs: {missing}")
    record = tmp_path / "record"
    with live_emulator() as emulator:
        config = live_config(emulator.connection_string, record)
        with ServerProcess(server, config | {"LOG_EVERYTHING": "true"}) as app:
            site = Site(app.url, config, emulator)
            seen = [*drive_node(site), *drive_python_clients(site), *send_by_hand(site)]

    minted = [one.answer["accessToken"] for one in read_record(record) if one.status == 200]
    keys = [config["SECRET_KEY"], config["BEARER_KEY"], emulator.settings.access_keys[0]]
    searched = {
        "the app's output": "".join(app.output),
        "the emulator's log": "\n".join(listener.lines),
        "this process's output": "".join(capfd.readouterr()),
        "the clients' errors": "\n".join(seen),
    }

    number_of_tokens = len(minted)
    assert number_of_tokens > 20
    assert "/cookie/negotiate" in searched["the app's output"]
    assert "access_token=[redacted]" in searched["the app's output"]
    assert "a fault of the app's own" in searched["the app's output"]
    assert "opened over ServerSentEvents" in searched["the emulator's log"]
    assert "sign in to connect" in searched["the clients' errors"]
    assert found(searched, [*minted, *keys, *site.credentials, *site.rest.tokens]) == []


def found(searched: dict[str, str], secrets: list[str]) -> list[str]:
    """Return the lines that hold a secret, or the part of a token that tells whom it is for or proves it.

    The secrets are blotted out: a test's output is a log too.
    """
    pieces = {piece for secret in secrets for piece in (secret, *secret.split(".")[1:]) if len(piece) > 8}
    anyone = re.compile("|".join(re.escape(piece) for piece in sorted(pieces, key=len, reverse=True)))
    return [
        f"{place}: {anyone.sub('#', line)[:200]}"
        for place, text in searched.items()
        for line in text.splitlines()
        if anyone.search(line)
    ]


def drive_node(site: Site) -> list[str]:
    """Connect in every way over every transport, reconnect, be refused; return what the client says about refusals."""
    refusals = []
    with ClientProcess.node() as node:
        for transport in TRANSPORTS:
            for options in (
                {"url": site.hub("mixed"), "headers": site.sign_in(ADA)},
                {"url": site.hub("mixed"), "token": site.bearer(ADA)},
                {"url": site.hub("mixed", f"?access_token={site.bearer(ADA)}")},
            ):
                with node.client(**options, transport=transport, reconnect=True) as ada:
                    site.rest.send("mixed", "news", to=("users", ADA))
                    ada.message()
                    ada.call()
                    site.emulator.drop("mixed")
                    ada.expect("reconnecting")
                    ada.expect("reconnected")
        for options in (
            {"url": site.hub("cookie")},
            {"url": site.hub("bearer"), "token": site.bearer(ADA, lifetime=-1)},
            {"url": site.hub("bearer", f"?access_token={site.bearer(ADA, lifetime=-1)}")},
            {"url": site.hub("nowhere"), "token": site.bearer(ADA), "headers": site.sign_in(ADA)},
            {"url": site.hub("broken"), "headers": site.sign_in(ADA)},
            {"url": site.hub("broken", f"?access_token={site.bearer(ADA)}")},
        ):
            with pytest.raises(Refused) as refused:
                node.client(**options).__enter__()
            refusals.append(str(refused.value))
    return refusals


def drive_python_clients(site: Site) -> list[str]:
    """Connect and call, which puts the service token into a message; return the errors that the calls end in."""
    errors = []
    for name in ("pysignalr", "signalrcore"):
        headers = {"Authorization": f"Bearer {site.bearer(ADA)}"}
        with ClientProcess.python(name) as process, process.client(site.hub("mixed"), headers=headers) as client:
            errors.append(client.call() or "")
    return errors


def send_by_hand(site: Site) -> list[str]:
    """Send what no client sends, with credentials in all places, to the app and to the service; return the answers."""
    bearer = site.bearer(ADA)
    claims = {"sub": ADA, "aud": AUDIENCE, "exp": int(time.time()) + 600, "pad": "x" * 30_000}
    long_bearer = jwt.encode(claims, site.config["BEARER_KEY"])
    site.credentials.append(long_bearer)
    access = json.loads(ask("POST", f"{site.hub('bearer')}/negotiate?access_token={bearer}"))
    token = access["accessToken"]
    service, hub = access["url"].split("?")
    connection = json.loads(ask("POST", f"{service}negotiate?{hub}&negotiateVersion=1", token))
    site.credentials.append(connection["connectionToken"])
    of_the_connection = f"{service}?{hub}&id={connection['connectionToken']}"
    answers = [
        ask("GET", of_the_connection, token),
        ask("POST", of_the_connection, token, "no handshake\x1e"),
        ask("DELETE", of_the_connection, token),
        ask("GET", of_the_connection, token),
        ask("POST", f"{of_the_connection}&access_token={token}"),
        ask("GET", f"{service}?{hub}&access_token={token}&access_token={bearer}"),
        ask("GET", f"{service}elsewhere?access_token={token}"),
        ask("PUT", f"{service}?{hub}&access_token={token}", token),
        ask("POST", f"{site.hub('bearer')}/negotiate?access_token={bearer}&access_token={token}"),
        ask("POST", f"{site.hub('bearer')}/negotiate", f"{bearer},{token}"),
        ask("POST", f"{site.hub('bearer')}/negotiate", bearer, "a body"),
        ask("GET", f"{site.hub('bearer')}/negotiate?access_token={bearer}", bearer),
        ask("POST", f"{site.hub('elsewhere')}?access_token={bearer}"),
    ]
    for url in (f"{site.hub('bearer')}/negotiate", service):
        for request in unreadable_requests(urlsplit(url).path, [bearer, token, long_bearer]):
            send_bytes(url, request)  # the server answers by itself, and may quote the request to its sender
    return [answer for answer in answers if "accessToken" not in answer]  # which is what a token is handed out in


def unreadable_requests(path: str, credentials: list[str]) -> list[str]:
    """Return requests that are no HTTP, or too long for a server."""
    return [
        request
        for credential in credentials
        for request in (
            f"POST {path}?access_token={credential} HTTP/9.9\r\n\r\n",
            f"POST {path}?access_token={credential} and more HTTP/1.1\r\n\r\n",
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {credential}\x01\r\n\r\n",
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization Bearer {credential}\r\n\r\n",
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {credential}\r\nContent-Length: x\r\n\r\n",
        )
    ]


def ask(method: str, url: str, token: str | None = None, body: str = "") -> str:
    headers: dict[str, Any] = {} if token is None else {"Authorization": f"Bearer {token}"}
    return urllib3.request(method, url, headers=headers, body=body, timeout=LONGEST_WAIT, retries=False).data.decode()


def send_bytes(url: str, request: str) -> None:
    """Send a request that no HTTP client would, and wait until the server hangs up."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), LONGEST_WAIT) as connection, suppress(ConnectionError):
        connection.sendall(request.encode())
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
