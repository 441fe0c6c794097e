"""One request of a trace, against servers that do what they can to spoil it."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from flask_signalr.errors import SignOnFailed
from flask_signalr.trace.exchange import MAX_BYTES, Caller
from flask_signalr.trace.transcript import Stopped, Transcript
from tests.certificate import tls_server, write_certificate
from tests.document_server import DocumentServer, answer
from tests.live import LONGEST_WAIT

SHORT = 0.3
"""Seconds that a trace waits for a server of these tests that never answers."""


@pytest.fixture
def server() -> Iterator[DocumentServer]:
    with DocumentServer() as running:
        yield running


def caller(timeout: float = LONGEST_WAIT, now: float = 1_700_000_000) -> Caller:
    return Caller(Transcript(lambda line: None), timeout, lambda: now)


def refusal(url: str, timeout: float = LONGEST_WAIT, auth: Any = None) -> Stopped:
    """Return why a URL cannot be asked."""
    with pytest.raises(Stopped) as caught:
        caller(timeout).post(url, auth)
    return caught.value


@contextmanager
def speaking(say: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """Run a server that says something once, whatever it is asked, and yield its URL."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)
                with suppress(OSError):  # when the other side has had enough
                    say(connection, over)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            over.set()
            thread.join()


def saying(text: bytes) -> Callable[[socket.socket, threading.Event], None]:
    return lambda connection, over: connection.sendall(text)


def test_the_request_is_that_of_a_client(server: DocumentServer) -> None:
    server.documents["/"] = b"{}"

    caller().post(f"{server.url}/", None)

    (headers,) = server.headers
    assert headers["Content-Length"] == "0"
    assert headers["X-Requested-With"] == "XMLHttpRequest"
    assert "Authorization" not in headers
    assert "Cookie" not in headers


def test_the_answer_is_told_as_it_came(server: DocumentServer) -> None:
    server.documents["/"] = lambda handler: answer(handler, b"body", 307, WWW_Authenticate="Bearer", Location="/there")

    told = caller().post(f"{server.url}/", None)

    assert (told.status, told.phrase, told.challenges, told.location, told.body) == (
        307,
        "Temporary Redirect",
        ("Bearer",),
        "/there",
        b"body",
    )
    assert server.requested == ["/"]


def test_every_challenge_is_told() -> None:
    text = b"HTTP/1.1 401 No\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0\r\n\r\n"

    with speaking(saying(text)) as url:
        told = caller().post(url, None)

    assert told.challenges == ("Negotiate", "Bearer")


@pytest.mark.parametrize(
    ("date", "offset"),
    [
        ("Tue, 14 Nov 2023 22:13:20 GMT", 0),
        ("Tue, 14 Nov 2023 22:18:20 GMT", 300),
        ("Tue, 14 Nov 2023 22:08:20 -0000", -300),
        ("yesterday", None),
        ("Tue, 99 Nov 2023 22:13:20 GMT", None),
        ("", None),
    ],
)
def test_the_clocks_are_compared_by_the_date(date: str, offset: float | None) -> None:
    with speaking(saying(f"HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n".encode())) as url:
        told = caller().post(url, None)

    assert told.clock_offset == (None if offset is None else pytest.approx(offset, abs=LONGEST_WAIT))


# Servers that spoil it.


def test_a_server_that_never_answers_is_given_up() -> None:
    with speaking(lambda connection, over: saying(b"")(connection, over) if over.wait(LONGEST_WAIT) else None) as url:
        stopped = refusal(url, SHORT)

    assert stopped.reason == "no complete answer within 0.3 s"
    assert stopped.remedy == "--timeout waits longer"


@pytest.mark.parametrize(
    ("beginning", "drop"),
    [(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), (b"HTTP/1.1 200 OK\r\n\r\n", b"x")],
    ids=["headers", "a body"],
)
def test_a_server_that_drips_is_given_up(beginning: bytes, drop: bytes) -> None:
    """Each piece comes in time, and the answer never ends."""

    def drip(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(beginning)
        while not over.wait(SHORT / 10):
            connection.sendall(drop)

    with speaking(drip) as url:
        stopped = refusal(url, SHORT)

    assert stopped.reason == "no complete answer within 0.3 s"


def test_a_sign_on_that_never_ends_is_given_up(server: DocumentServer) -> None:
    """Kerberos asks one KDC after the other for half a minute each."""
    over = threading.Event()

    def wait(request: requests.PreparedRequest) -> requests.PreparedRequest:
        over.wait(LONGEST_WAIT)
        return request

    stopped = refusal(server.url, SHORT, wait)
    over.set()

    assert stopped.reason == "no complete answer within 0.3 s"


@pytest.mark.parametrize("length", [{}, {"Content-Length": "1000000000"}], ids=["as told", "as a part of more"])
def test_a_huge_answer_is_not_read(server: DocumentServer, length: dict[str, Any]) -> None:
    server.documents["/"] = lambda handler: answer(handler, b"x" * (MAX_BYTES + 20_000), **length)

    assert refusal(f"{server.url}/").reason == f"the answer has more than {MAX_BYTES} bytes: this is no negotiation"


def test_a_huge_redirect_is_not_read(server: DocumentServer) -> None:
    """By itself requests reads it whole, to prepare for what may follow."""
    server.documents["/"] = lambda handler: answer(handler, b"x" * (MAX_BYTES + 20_000), 307, Location="/there")

    assert refusal(f"{server.url}/").reason == f"the answer has more than {MAX_BYTES} bytes: this is no negotiation"


def test_a_compressed_bomb_stays_small(server: DocumentServer) -> None:
    """A kilobyte would become a megabyte, or a thousand times as much."""
    import gzip

    packed = gzip.compress(b"x" * 1_000_000)
    server.documents["/"] = lambda handler: answer(handler, packed, Content_Encoding="gzip")

    assert caller().post(f"{server.url}/", None).body == packed


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "no answer: Remote end closed connection without response"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no answer: SSH-2.0-OpenSSH_9.2"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", "no answer: got more than 65536 bytes when reading"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "no answer: got more than 100 headers"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "no answer: "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "no answer: "),
        (b"\x16\x03\x01\x1b[2J\r\n\r\n", "no answer: \\x16\\x03\\x01\\x1b[2J"),
    ],
    ids=["nothing", "SSH", "a huge header", "many headers", "too short", "bad chunks", "control codes"],
)
def test_a_server_of_another_kind_is_told_of_in_a_sentence(text: bytes, reason: str) -> None:
    with speaking(saying(text)) as url:
        stopped = refusal(url)

    assert stopped.reason.startswith(reason)


def test_a_closed_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

    assert refusal(f"http://127.0.0.1:{port}/").reason == "no answer: Connection refused"


def test_an_untrusted_certificate_is_told(tmp_path: Path) -> None:
    with DocumentServer(tls_server(write_certificate(tmp_path))) as server:
        stopped = refusal(f"{server.url}/")

    assert stopped.reason == "the server's certificate is not trusted: self-signed certificate"
    assert stopped.remedy == "REQUESTS_CA_BUNDLE names other CAs"


def test_a_certificate_for_another_name_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = write_certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))

    with DocumentServer(tls_server(certificate)) as server:
        stopped = refusal(f"https://127.0.0.1:{server.port}/")

    assert "IP address mismatch, certificate is not valid for '127.0.0.1'" in stopped.reason


def test_https_where_plain_http_is_spoken_is_told(server: DocumentServer) -> None:
    assert refusal(f"https://127.0.0.1:{server.port}/").reason.startswith("no TLS connection: ")


def test_a_proxy_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("no_proxy", "")

    stopped = refusal("http://app.example/")

    assert stopped.reason == "the proxy does not lead there: Connection refused"


def test_a_sign_on_that_fails_is_told_and_nothing_is_sent(server: DocumentServer) -> None:
    def fail(request: requests.PreparedRequest) -> requests.PreparedRequest:
        raise SignOnFailed("cannot sign on to HTTP/app: no ticket")

    assert refusal(server.url, auth=fail).reason == "cannot sign on to HTTP/app: no ticket"
    assert server.requested == []


def test_passwords_of_a_netrc_file_are_not_sent(
    server: DocumentServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests looks there by itself, and the step is called "without credentials"."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server.documents["/"] = b"{}"

    caller().post(f"{server.url}/", None)

    assert "Authorization" not in server.headers[0]


def test_what_the_request_brings_is_kept_secret(server: DocumentServer) -> None:
    """Before there is an answer, which may hold it."""
    server.documents["/"] = b"{}"
    transcript = Transcript(lambda line: None)

    def bring(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = "Negotiate dGhlLXRva2Vu"
        return request

    Caller(transcript, LONGEST_WAIT).post(f"{server.url}/", bring)

    assert transcript.shown("you sent dGhlLXRva2Vu") == "you sent [redacted]"


def test_a_token_in_a_broken_answer_is_not_shown() -> None:
    """What cannot be read as HTTP is quoted in the reason."""

    def bring(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = "Negotiate dGhlLXRva2Vu"
        return request

    with speaking(saying(b"you sent dGhlLXRva2Vu\r\n\r\n")) as url:
        stopped = refusal(url, auth=bring)

    assert stopped.reason == "no answer: you sent [redacted]"
