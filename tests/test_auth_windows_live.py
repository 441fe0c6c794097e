"""Windows sign-on over real sockets: Python's clients, several worker processes, and headers of 64 kB."""

import base64
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from flask import Flask
from werkzeug.serving import WSGIRequestHandler

from tests.apps import service_token
from tests.intranet import OTHER_SERVICE, Intranet, windows_app
from tests.live import LONGEST_WAIT, serving
from tests.server_process import ROOT

WORKERS = [
    *(sys.executable, "-m", "gunicorn", "--workers", "3", "--bind", "127.0.0.1:0", "--no-control-socket"),
    *("--limit-request-field_size", "131072", "tests.intranet:windows_app()"),
]
CHALLENGE, REPLY = "Negotiate", re.compile(r"Negotiate [A-Za-z0-9+/]{100,}=*")


class KeepAlive(WSGIRequestHandler):
    """Serves several requests on one connection, as production servers do."""

    protocol_version = "HTTP/1.1"


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """Serve an app in threads and yield the URL of its hub, under the name that the tickets are for."""
    with serving(app, KeepAlive) as url:
        yield f"{url.replace('127.0.0.1', 'localhost')}/chat/negotiate?negotiateVersion=1"


@contextmanager
def gunicorn_with_three_workers() -> Iterator[str]:
    process = subprocess.Popen(WORKERS, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        lines = iter(process.stderr.readline, "")
        port = next(found[1] for line in lines if (found := re.search(r"Listening at: \S+:([0-9]+)", line)))
        yield f"http://localhost:{port}/chat/negotiate?negotiateVersion=1"
    finally:
        process.terminate()
        process.communicate()


def post(url: str, **options: Any) -> requests.Response:
    return requests.post(url, timeout=LONGEST_WAIT, **options)


def gssapi_auth(intranet: Intranet, user: str = "alice", **options: Any) -> Any:
    """Return requests-gssapi's sign-on of a user."""
    import gssapi
    import requests_gssapi

    credentials = gssapi.Credentials(usage="initiate", store={"ccache": intranet.caches[user]})
    return requests_gssapi.HTTPSPNEGOAuth(creds=credentials, **options)


@pytest.mark.parametrize("at_once", [False, True], ids=["challenged", "at once"])
@pytest.mark.parametrize("mutual", [1, 2, 3], ids=["required", "optional", "off"])
def test_requests_gssapi_signs_on(intranet: Intranet, at_once: bool, mutual: int) -> None:
    """By the challenge or at once; with mutual authentication it checks our reply."""
    auth = gssapi_auth(intranet, opportunistic_auth=at_once, mutual_authentication=mutual)

    with served(windows_app()) as url:
        answer = post(url, auth=auth)

    assert answer.status_code == 200
    assert REPLY.fullmatch(answer.headers["WWW-Authenticate"])
    assert [earlier.headers["WWW-Authenticate"] for earlier in answer.history] == ([] if at_once else [CHALLENGE])


def test_requests_kerberos_signs_on_and_demands_our_reply(intranet: Intranet, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default it raises without one."""
    import requests_kerberos

    monkeypatch.setenv("KRB5CCNAME", intranet.caches["alice"])

    with served(windows_app()) as url:
        answer = post(url, auth=requests_kerberos.HTTPKerberosAuth())

    assert answer.status_code == 200


def test_pyspnego_signs_on_at_once(intranet: Intranet) -> None:
    with served(windows_app()) as url:
        answer = post(url, headers=intranet.headers())

    assert (answer.status_code, len(answer.history)) == (200, 0)


def test_a_session_signs_on_anew_with_each_request(intranet: Intranet) -> None:
    """Identity is never remembered for a connection: behind a proxy that would make it somebody else's."""
    with served(windows_app()) as url, requests.Session() as session:
        alice = session.post(url, auth=gssapi_auth(intranet, opportunistic_auth=True), timeout=LONGEST_WAIT)
        nobody = session.post(url, timeout=LONGEST_WAIT)
        carol = session.post(url, auth=gssapi_auth(intranet, "Carol", opportunistic_auth=True), timeout=LONGEST_WAIT)

    assert [answer.status_code for answer in (alice, nobody, carol)] == [200, 401, 200]
    assert alice.json()["accessToken"] != carol.json()["accessToken"]


def test_a_client_that_brings_back_its_service_token_reconnects(intranet: Intranet) -> None:
    """It is challenged as if it brought nothing, and signs on again."""
    with served(windows_app()) as url:
        answer = post(url, headers={"Authorization": f"Bearer {service_token()}"}, auth=gssapi_auth(intranet))

    assert answer.status_code == 200
    assert [earlier.status_code for earlier in answer.history] == [401]


def test_without_a_ticket_a_client_gets_the_challenge(intranet: Intranet, monkeypatch: pytest.MonkeyPatch) -> None:
    import requests_gssapi

    monkeypatch.setenv("KRB5CCNAME", "FILE:/missing.cc")

    with served(windows_app()) as url:
        answer = post(url, auth=requests_gssapi.HTTPSPNEGOAuth())

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == CHALLENGE


def test_a_ticket_for_another_name_is_refused_as_a_whole(intranet: Intranet) -> None:
    """The client asked for another service than it reached."""
    with served(windows_app(service_principal=OTHER_SERVICE)) as url:
        answer = post(url, headers=intranet.headers())

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == CHALLENGE


@pytest.mark.parametrize("server", ["werkzeug", "gunicorn"])
def test_a_header_of_64_kb_signs_on(intranet: Intranet, server: str) -> None:
    """Members of many groups bring such ones; servers in front must let them through."""
    large = base64.b64encode(base64.b64decode(intranet.token()).ljust(48_000, b"\0")).decode()

    with served(windows_app()) if server == "werkzeug" else gunicorn_with_three_workers() as url:
        answer = post(url, headers={"Authorization": f"Negotiate {large}"})

    assert len(large) == 64_000
    assert answer.status_code == 200


def test_a_header_of_more_than_that_is_refused(intranet: Intranet) -> None:
    """Where the server lets it through, too."""
    with gunicorn_with_three_workers() as url:
        answer = post(url, headers={"Authorization": f"Negotiate {'A' * 70_000}"})

    assert answer.status_code == 401


def test_any_worker_process_takes_a_sign_on_and_none_takes_it_twice(intranet: Intranet) -> None:
    """Each connection may reach another process; what they share is the replay cache of the host."""
    with gunicorn_with_three_workers() as url:
        tokens = [intranet.token() for _ in range(12)]
        first = [post(url, headers={"Authorization": f"Negotiate {token}"}).status_code for token in tokens]
        again = [post(url, headers={"Authorization": f"Negotiate {token}"}).status_code for token in tokens]

    assert first == [200] * 12
    assert again == [401] * 12
