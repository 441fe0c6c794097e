"""The road of a negotiation, to servers that answer as apps and services do, and to some that attack the traveller."""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flask_signalr.trace.exchange import Caller
from flask_signalr.trace.negotiation import MAX_REDIRECTS, Credentials, Trace
from flask_signalr.trace.transcript import Stopped, Transcript
from tests.apps import ACCESS_KEY
from tests.certificate import tls_server, write_certificate
from tests.document_server import DocumentServer, answer
from tests.emulated import NOW, token
from tests.live import LONGEST_WAIT

NEGOTIATE = "/chat/negotiate?negotiateVersion=1"
SERVICE_NEGOTIATE = "/client/negotiate?hub=chat&negotiateVersion=1"
CALLERS_TOKEN = "the-callers.own.bearer-token"
READY = {
    "connectionId": "id",
    "connectionToken": "the-secret-of-the-connection",
    "availableTransports": [{"transport": "WebSockets"}, {"transport": "LongPolling"}],
}


@pytest.fixture
def app() -> Iterator[DocumentServer]:
    with DocumentServer() as server:
        yield server


@pytest.fixture
def service() -> Iterator[DocumentServer]:
    with DocumentServer() as server:
        server.documents[SERVICE_NEGOTIATE] = READY
        yield server


def service_token(**claims: Any) -> str:
    usual = {"asrs.s.uid": "ada", "aud": "http://127.0.0.1/client/?hub=chat", "exp": int(time.time()) + 3600}
    return token({**usual, **claims}, ACCESS_KEY)


def negotiation(service: DocumentServer, **claims: Any) -> dict[str, str]:
    """Return what an app answers that sends its clients to a service."""
    return {"url": f"{service.url}/client/?hub=chat", "accessToken": service_token(**claims)}


def refusing(status: int, body: bytes = b"", **headers: str) -> Any:
    return lambda handler: answer(handler, body, status, **headers)


def for_the_signed_in(document: Any, challenge: str = "Bearer") -> Any:
    """Return what an app does that shows a document to nobody but those who bring credentials."""

    def show(handler: Any) -> None:
        if "Authorization" in handler.headers:
            answer(handler, json.dumps(document).encode())
        else:
            answer(handler, b'{"error": "sign in to connect"}', 401, WWW_Authenticate=challenge)

    return show


def trace(
    url: str, credentials: Credentials | None = None, clock: Callable[[], float] = time.time
) -> tuple[str, Stopped | None]:
    """Return what is told of a negotiation, and where it stopped."""
    lines: list[str] = []
    transcript = Transcript(lines.append)
    stopped = None
    try:
        Trace(Caller(transcript, LONGEST_WAIT, clock), transcript).run(url, credentials)
    except Stopped as exc:
        stopped = exc
        lines.append(exc.reason)
    return "\n".join(lines), stopped


def stop(url: str, credentials: Credentials | None = None) -> Stopped:
    """Return where a negotiation stopped."""
    _, stopped = trace(url, credentials)
    assert stopped is not None
    return stopped


def bearer() -> Credentials:
    return Credentials.of_token("the bearer token", CALLERS_TOKEN)


# The road.


def test_each_step_is_told(app: DocumentServer, service: DocumentServer) -> None:
    app.documents[NEGOTIATE] = for_the_signed_in(negotiation(service))

    told, stopped = trace(f"{app.url}/chat", bearer())

    assert stopped is None
    expected = [
        "1. Ask the app, without credentials",
        f"POST {app.url}{NEGOTIATE}",
        "401 Unauthorized, after ",
        "WWW-Authenticate: Bearer",
        "reason: sign in to connect",
        "2. Ask the app, with the bearer token",
        "200 OK, after ",
        "3. Read the answer and its service token",
        f"clients are sent to {service.url}/client/?hub=chat",
        "asrs.s.uid  ada   (the user id)",
        "valid for ",
        "4. Ask the service, with that token",
        f"POST {service.url}{SERVICE_NEGOTIATE}",
        "transports: WebSockets, LongPolling",
        "The service is ready for a connection.",
    ]
    assert [line for line in expected if line not in told] == []
    assert sorted(expected, key=told.index) == expected


def test_the_first_request_brings_nothing_and_the_second_the_token(
    app: DocumentServer, service: DocumentServer
) -> None:
    app.documents[NEGOTIATE] = for_the_signed_in(negotiation(service))

    trace(f"{app.url}/chat", bearer())

    assert [headers["Authorization"] for headers in app.headers] == [None, f"Bearer {CALLERS_TOKEN}"]
    assert str(service.headers[0]["Authorization"]).startswith("Bearer eyJ")


def test_a_hub_that_is_open_to_all_needs_no_credentials(app: DocumentServer, service: DocumentServer) -> None:
    app.documents[NEGOTIATE] = negotiation(service)

    told, stopped = trace(f"{app.url}/chat")

    assert stopped is None
    assert "The service is ready for a connection." in told
    assert len(app.requested) == 1


def test_an_app_that_holds_its_connections_itself_is_the_end_of_the_road(app: DocumentServer) -> None:
    app.documents[NEGOTIATE] = READY

    told, stopped = trace(f"{app.url}/chat")

    assert stopped is None
    assert "The app holds the connections itself, without a service." in told


def test_a_redirect_within_the_app_is_followed_with_the_credentials(
    app: DocumentServer, service: DocumentServer
) -> None:
    app.documents[NEGOTIATE] = refusing(308, Location="/new/chat/negotiate?negotiateVersion=1")
    app.documents[f"/new{NEGOTIATE}"] = for_the_signed_in(negotiation(service))

    told, stopped = trace(f"{app.url}/chat", bearer())

    assert stopped is None
    assert "Location: /new/chat/negotiate?negotiateVersion=1" in told


@pytest.mark.parametrize(
    ("ahead", "told"),
    [
        (0, "its clock agrees with this machine's"),
        (420, "its clock is (7 min|6 min 5[0-9] s) ahead of this machine's"),
        (-600, "its clock is 10 min( [0-9] s)? behind this machine's"),
    ],
)
def test_the_clock_of_the_app_is_compared(app: DocumentServer, ahead: int, told: str) -> None:
    """Kerberos refuses five minutes, and a service token is not valid before its time."""

    def forbid(handler: Any) -> None:
        handler.date_time_string = lambda: "Tue, 14 Nov 2023 22:13:20 GMT"
        answer(handler, b"", 403)

    app.documents[NEGOTIATE] = forbid

    lines, _ = trace(f"{app.url}/chat", clock=lambda: NOW - ahead)

    assert re.search(told, lines)


# Refusals.


@pytest.mark.parametrize(
    ("challenge", "remedy"),
    [
        ("Negotiate", "sign on with --windows"),
        ("Bearer", "bring a token with --bearer"),
        ('Bearer realm="x", error="y", Negotiate', "sign on with --windows or bring a token with --bearer"),
        ("Cookie", "it asks for none of Negotiate and Bearer: by a cookie, perhaps"),
    ],
)
def test_an_app_that_wants_a_sign_in_says_which(app: DocumentServer, challenge: str, remedy: str) -> None:
    app.documents[NEGOTIATE] = refusing(401, WWW_Authenticate=challenge)

    stopped = stop(f"{app.url}/chat")

    assert (stopped.reason, stopped.remedy) == ("the app wants its callers to sign in", remedy)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (401, b'{"error": "the bearer token has expired"}', "the app answers 401: the bearer token has expired"),
        (403, b"forbidden", "the app answers 403: forbidden"),
        (404, b"<html><h1>Not Found</h1></html>", "the app answers 404"),
        (405, b"", "the app answers 405"),
        (500, b'{"error": 5}', 'the app answers 500: {"error": 5}'),
        (502, b"\xff\xfe", "the app answers 502: \ufffd\ufffd"),
        (204, b"", "the app answers 204"),
    ],
)
def test_a_refusal_of_the_app_is_told_with_its_reason(
    app: DocumentServer, status: int, body: bytes, reason: str
) -> None:
    app.documents[NEGOTIATE] = refusing(status, body)

    stopped = stop(f"{app.url}/chat", bearer())

    assert stopped.reason == reason
    assert stopped.remedy


def test_an_error_in_an_answer_of_200_is_a_refusal(app: DocumentServer) -> None:
    """SignalR's own form; the official clients show that text."""
    app.documents[NEGOTIATE] = {"error": "the hub is closed"}

    assert stop(f"{app.url}/chat").reason == "the app refuses: the hub is closed"


def test_an_app_that_never_stops_challenging_is_asked_twice(app: DocumentServer) -> None:
    app.documents[NEGOTIATE] = refusing(401, WWW_Authenticate="Bearer")

    stopped = stop(f"{app.url}/chat", bearer())

    assert stopped.reason == "the app answers 401"
    assert len(app.requested) == 2


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_to_a_page_is_told(app: DocumentServer, status: int) -> None:
    """Clients follow it with a GET, and then they report something else."""
    app.documents[NEGOTIATE] = refusing(status, Location="/login?next=%2Fchat")

    told, stopped = trace(f"{app.url}/chat", bearer())

    assert stopped is not None
    assert stopped.reason == f"negotiate is redirected with {status}, which a client follows with a GET"
    assert "Location: /login?next=%2Fchat" in told
    assert len(app.requested) == 1


def test_a_service_that_refuses_is_told_with_its_reason(app: DocumentServer, service: DocumentServer) -> None:
    """Azure's own words stand in the challenge."""
    app.documents[NEGOTIATE] = negotiation(service)
    challenge = 'Bearer error="invalid_token", error_description="The signature key was not found"'
    service.documents[SERVICE_NEGOTIATE] = refusing(401, WWW_Authenticate=challenge)

    told, stopped = trace(f"{app.url}/chat")

    assert stopped is not None
    assert stopped.reason == "the service answers 401: The signature key was not found"
    assert "connection string" in stopped.remedy
    assert "not in force" not in told


def test_a_token_that_is_expired_at_the_service_is_told(app: DocumentServer, service: DocumentServer) -> None:
    """This machine's clock may be as wrong as the app's: here it stands in the year 2023."""
    app.documents[NEGOTIATE] = negotiation(service, exp=NOW + 60)
    service.documents[SERVICE_NEGOTIATE] = refusing(401)

    told, _ = trace(f"{app.url}/chat", clock=lambda: NOW)

    assert "valid for 1 min, by this machine's clock" in told
    assert "by the service's clock the token is not in force: compare the clocks" in told


# Garbage.


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "the app's answer is no JSON object; it begins with ''"),
        (b"<html>", "the app's answer is no JSON object; it begins with '<html>'"),
        (b"[1]", "the app's answer is no JSON object; it begins with '[1]'"),
        (b"[" * 50_000, "the app's answer is no JSON object; it begins with '[[["),
        (b"1" * 5000, "the app's answer is no JSON object; it begins with '111"),
        ({}, "the answer names neither a URL to go on to nor a connection: this is no negotiation"),
        ({"connectionId": 7}, "the answer names neither"),
        ({"url": "https://s.example/"}, "the answer names a URL and no access token to go with it"),
        ({"url": 7, "accessToken": "x"}, "the answer names a URL and no access token"),
        ({"url": "ftp://s.example/", "accessToken": "x"}, "no client can go to that URL: it is no absolute URL"),
        (
            {"url": "https://ada:pw@s.example/", "accessToken": "x"},
            "no client can go to that URL: it holds a user name",
        ),
        ({"url": "https://s.example/", "accessToken": "x"}, "the access token is unusable: it is no JSON Web Token"),
    ],
)
def test_a_garbage_answer_is_told_in_a_sentence(app: DocumentServer, document: Any, reason: str) -> None:
    app.documents[NEGOTIATE] = document

    assert stop(f"{app.url}/chat").reason.startswith(reason)


@pytest.mark.parametrize("transports", [None, 7, [], ["WebSockets"], [{"transport": 7}]])
def test_odd_transports_are_shown_as_they_are(app: DocumentServer, transports: Any) -> None:
    app.documents[NEGOTIATE] = {**READY, "availableTransports": transports}

    told, stopped = trace(f"{app.url}/chat")

    assert stopped is None
    assert "transports: " in told


@pytest.mark.parametrize("location", ["http://[::1/", "ftp://a.example/", "http://ada:pw@a.example/"])
def test_a_location_that_cannot_be_followed_is_told(app: DocumentServer, location: str) -> None:
    app.documents[NEGOTIATE] = refusing(307, Location=location)

    assert stop(f"{app.url}/chat").reason.startswith("no client can follow that redirect: ")


# Attacks.


def test_redirects_in_a_circle_end(app: DocumentServer) -> None:
    app.documents[NEGOTIATE] = refusing(307, Location=NEGOTIATE)

    assert stop(f"{app.url}/chat").reason == f"one redirect follows the other: {MAX_REDIRECTS + 1} so far"
    assert len(app.requested) == MAX_REDIRECTS + 1


def test_a_service_that_sends_on_to_itself_ends(app: DocumentServer, service: DocumentServer) -> None:
    app.documents[NEGOTIATE] = negotiation(service)
    service.documents[SERVICE_NEGOTIATE] = negotiation(service)

    assert stop(f"{app.url}/chat").reason == f"clients are sent on, again and again: {MAX_REDIRECTS} times so far"
    assert len(service.requested) == MAX_REDIRECTS


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"], ids=["another port", "another host"])
def test_a_redirect_to_another_origin_gets_no_token(app: DocumentServer, service: DocumentServer, host: str) -> None:
    port = service.port
    app.documents[NEGOTIATE] = refusing(307, Location=f"http://{host}:{port}/collect")
    service.documents["/collect"] = refusing(401, WWW_Authenticate="Bearer")

    told, stopped = trace(f"{app.url}/chat", bearer())

    assert stopped is not None
    assert service.requested == ["/collect", "/collect"]
    assert [headers["Authorization"] for headers in service.headers] == [None, None]
    assert "the credentials are not sent there: it is another origin" in told


def test_what_comes_back_from_another_origin_brings_no_token(app: DocumentServer, service: DocumentServer) -> None:
    app.documents[NEGOTIATE] = refusing(307, Location=f"{service.url}/there")
    service.documents["/there"] = refusing(307, Location=f"{app.url}/back")
    app.documents["/back"] = refusing(401)

    trace(f"{app.url}/chat", bearer())

    assert app.requested == [NEGOTIATE, "/back", NEGOTIATE, "/back"]
    assert [headers["Authorization"] for headers in app.headers] == [None, None, f"Bearer {CALLERS_TOKEN}", None]


@pytest.mark.parametrize("how", ["redirect", "answer"])
def test_a_downgrade_from_https_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Whoever is on the way would read the service token; browsers refuse it too."""
    certificate = write_certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with DocumentServer(tls_server(certificate)) as app:
        plain = {"url": "http://app.example/client/?hub=chat", "accessToken": service_token()}
        app.documents[NEGOTIATE] = refusing(307, Location=plain["url"]) if how == "redirect" else plain

        stopped = stop(f"https://localhost:{app.port}/chat", bearer())

    assert "from https to plain http, which browsers refuse" in stopped.reason


def test_the_callers_token_does_not_reach_the_service(app: DocumentServer, service: DocumentServer) -> None:
    app.documents[NEGOTIATE] = for_the_signed_in(negotiation(service))

    trace(f"{app.url}/chat", bearer())

    assert CALLERS_TOKEN not in str([headers.items() for headers in service.headers])


def test_a_token_over_plain_http_is_warned_of(monkeypatch: pytest.MonkeyPatch, app: DocumentServer) -> None:
    """Here a proxy stands for the host in question."""
    monkeypatch.setenv("http_proxy", app.url)
    monkeypatch.setenv("no_proxy", "")
    app.documents[f"http://app.example{NEGOTIATE}"] = refusing(401)

    told, _ = trace("http://app.example/chat", bearer())

    assert told.count("warning: over plain http, others on the way can read what is sent") == 1


def test_servers_that_echo_every_secret_get_them_redacted(app: DocumentServer, service: DocumentServer) -> None:
    """In the reason, the phrase, the challenge, the redirect: wherever a server's words are shown."""
    given = negotiation(service)

    def echo(handler: Any) -> None:
        if "Authorization" not in handler.headers:
            answer(handler, json.dumps(given).encode())
            return
        brought = str(handler.headers["Authorization"])
        handler.send_response(401, f"No {brought}")
        handler.send_header("WWW-Authenticate", f'Bearer error_description="{brought}"')
        handler.end_headers()
        handler.wfile.write(json.dumps({"error": brought}).encode())

    app.documents[NEGOTIATE] = echo
    service.documents[SERVICE_NEGOTIATE] = echo

    told = trace(f"{app.url}/chat", bearer())[0] + trace(f"{app.url}/chat")[0]

    assert told.count("[redacted]") >= 6
    for secret in (CALLERS_TOKEN, given["accessToken"], given["accessToken"].rpartition(".")[2]):
        assert secret not in told


def test_a_signature_alone_is_redacted_too(app: DocumentServer, service: DocumentServer) -> None:
    """The claims are shown, so with the signature anybody could put the token together."""
    given = negotiation(service)
    signature = given["accessToken"].rpartition(".")[2]
    given["url"] += f"&trace={signature}"
    app.documents[NEGOTIATE] = for_the_signed_in(given)
    service.documents[f"/client/negotiate?hub=chat&trace={signature}&negotiateVersion=1"] = refusing(
        403, f"not {signature} and not {CALLERS_TOKEN.rpartition('.')[2]}".encode()
    )

    told, stopped = trace(f"{app.url}/chat", bearer())

    assert stopped is not None
    assert stopped.reason == "the service answers 403: not [redacted] and not [redacted]"
    assert signature not in told


def test_the_secret_of_the_connection_is_not_shown(app: DocumentServer) -> None:
    app.documents[NEGOTIATE] = READY

    assert str(READY["connectionToken"]) not in trace(f"{app.url}/chat")[0]


def test_credentials_hide_their_token() -> None:
    assert CALLERS_TOKEN not in repr(bearer())
