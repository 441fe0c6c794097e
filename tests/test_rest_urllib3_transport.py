"""Requests over real sockets, and what goes wrong with them."""

import logging
import os
import threading
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from flask_signalr import ServiceError, ServiceRequest, ServiceUnreachable
from flask_signalr.rest.urllib3_transport import LONGEST_BODY, Urllib3Transport
from tests.certificate import tls_server, write_certificate
from tests.scripted_server import Answer, ScriptedServer, dripping, endless, http, reset, silence

TOKEN = "Bearer a.secret.token"
OK, BUSY = http(200, b"{}"), http(503)
LONG, SHORT = 60.0, 0.3  # seconds: that is never waited for; that is waited for to the end


def request_to(server: ScriptedServer, method: str = "POST", timeout: float = LONG) -> ServiceRequest:
    return ServiceRequest(method, f"{server.origin}/api/hubs/chat/:send?a=1", {"Authorization": TOKEN}, b"{}", timeout)


def status_of(method: str, *answers: Answer, retries: int = 3) -> tuple[int, int]:
    """Return the status that a caller sees, and how many requests it took."""
    with ScriptedServer(answers) as server:
        response = Urllib3Transport(retries)(request_to(server, method))
        return response.status, len(server.received)


def test_a_request_arrives_as_it_was_given() -> None:
    with ScriptedServer([http(202, b'{"a":1}', X_Ms_Request_Id="7")]) as server:
        response = Urllib3Transport()(request_to(server))

    (received,) = server.received
    assert received.line == "POST /api/hubs/chat/:send?a=1 HTTP/1.1"
    assert (received.headers["authorization"], received.body) == (TOKEN, b"{}")
    assert (response.status, response.body, response.headers["x-ms-request-id"]) == (202, b'{"a":1}', "7")


def test_an_escaped_path_arrives_escaped() -> None:
    """A path that is made tidy on its way is another path."""
    path = "/api/hubs/chat/users/a%2F..%2Fb%25%5C%C3%A9/:send"
    with ScriptedServer([OK]) as server:
        Urllib3Transport()(ServiceRequest("POST", f"{server.origin}{path}?a=%2F", {}, None, LONG))

    assert server.received[0].line == f"POST {path}?a=%2F HTTP/1.1"


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_what_the_service_refused_as_busy_is_repeated(method: str, status: int) -> None:
    assert status_of(method, http(status, Retry_After="0"), http(status), OK) == (200, 3)


def test_what_may_not_be_repeated_is_tried_once() -> None:
    with ScriptedServer([BUSY, OK]) as server:
        response = Urllib3Transport()(replace(request_to(server), may_repeat=False))

    assert (response.status, len(server.received)) == (503, 1)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_failure_of_the_service_is_repeated_where_that_does_no_harm(method: str, status: int) -> None:
    assert status_of(method, http(status), OK) == (200, 2)


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_message_that_the_service_may_have_sent_is_not_sent_again(status: int) -> None:
    assert status_of("POST", http(status), OK) == (status, 1)


@pytest.mark.parametrize("status", [400, 401, 404, 413])
def test_a_refusal_is_not_argued_with(status: int) -> None:
    assert status_of("PUT", http(status), OK) == (status, 1)


def test_tries_come_to_an_end() -> None:
    assert status_of("POST", BUSY, retries=2) == (503, 3)
    assert status_of("POST", BUSY, retries=0) == (503, 1)


@pytest.mark.parametrize("wait", ["3600", "9" * 30, "9" * 5000, "soon", "-1", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_no_retry_after_holds_a_caller_longer_than_its_own_timeout(wait: str) -> None:
    """Denial of service: a header decides how long the threads of an app stand still."""
    with ScriptedServer([http(503, Retry_After=wait)]) as server:
        response = Urllib3Transport(1)(request_to(server, timeout=SHORT * 10))

    assert response.status == 503


def test_a_retry_after_is_waited_for_or_not_tried_at_all() -> None:
    """The service wants to be left alone for an hour: asking it sooner is what it asked not to happen."""
    with ScriptedServer([http(429, Retry_After="3600"), OK]) as server:
        response = Urllib3Transport()(request_to(server))

    assert response.status == 429
    assert len(server.received) == 1


def test_a_broken_connection_is_tried_again_where_that_does_no_harm() -> None:
    assert status_of("PUT", reset, OK) == (200, 2)


def test_a_message_on_a_connection_that_breaks_is_not_sent_again() -> None:
    """The service may have read it before it fell over; nobody wants to be paid twice."""
    with ScriptedServer([reset, OK]) as server, pytest.raises(ServiceUnreachable) as failure:
        Urllib3Transport()(request_to(server))

    assert len(server.received) == 1
    assert failure.value.may_have_arrived
    assert failure.value.path == "/api/hubs/chat/:send"


def test_a_service_that_is_not_there_is_certain_to_have_received_nothing() -> None:
    with ScriptedServer([OK]) as server:
        request = request_to(server, timeout=SHORT)

    with pytest.raises(ServiceUnreachable, match=r"cannot be connected to .*: check its address") as failure:
        Urllib3Transport()(request)

    assert not failure.value.may_have_arrived


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_service_that_never_answers_costs_no_more_than_the_timeout(method: str) -> None:
    with (
        ScriptedServer([silence]) as server,
        pytest.raises(ServiceUnreachable, match=r"did not answer within 0\.3 s") as failure,
    ):
        Urllib3Transport()(request_to(server, method, SHORT))

    assert failure.value.may_have_arrived


def test_a_certificate_that_nobody_vouches_for_is_told(tmp_path: Path) -> None:
    """Logs have the text alone, and not its cause; trying again would not help."""
    with (
        ScriptedServer([OK], tls_server(write_certificate(tmp_path))) as server,
        pytest.raises(ServiceUnreachable, match=r"over TLS .*check .*SSL_CERT_FILE.*certificate verify failed"),
    ):
        Urllib3Transport()(request_to(server))


def test_a_body_that_never_ends_is_not_read_to_its_end() -> None:
    """Denial of service: memory that grows with what the other side sends."""
    with ScriptedServer([endless]) as server, pytest.raises(ServiceError, match=f"more than {LONGEST_BODY} bytes"):
        Urllib3Transport()(request_to(server))


@pytest.mark.parametrize("is_tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize(
    ("first", "drop"),
    [
        (b"HTTP/1.1 200 ", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 X\r\nX-Long: ", b"x"),
        (b"HTTP/1.1 200 X\r\nContent-Length: 1000000\r\n\r\n", b" "),
        (b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (b"HTTP/1.1 503 X\r\nContent-Length: 1000000\r\n\r\n", b" "),
    ],
    ids=["status", "interim answers", "headers", "body", "chunks", "body before another try"],
)
def test_an_answer_that_drips_is_cut_off_at_the_deadline(
    first: bytes, drop: bytes, is_tls: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Denial of service: each byte comes in time, and all of them never, while a thread of the app stands still."""
    tls = None
    if is_tls:
        certificate = write_certificate(tmp_path)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        tls = tls_server(certificate)

    with (
        ScriptedServer([dripping(first, drop)], tls) as server,
        pytest.raises(ServiceUnreachable, match="did not answer within") as failure,
    ):
        Urllib3Transport()(request_to(server, timeout=SHORT))

    assert failure.value.may_have_arrived


def test_the_time_for_an_answer_does_not_begin_anew_on_a_kept_connection() -> None:
    """The second answer has the time of the second request, not what the first one left over."""
    transport = Urllib3Transport()
    with ScriptedServer([OK]) as server:
        transport(request_to(server, timeout=SHORT))
        threading.Event().wait(SHORT)
        response = transport(request_to(server, timeout=SHORT))

    assert response.status == 200
    assert {received.connection for received in server.received} == {1}


def test_a_compressed_body_is_left_compressed() -> None:
    """A small answer cannot become a large one."""
    with ScriptedServer([http(200, b"\x1f\x8b", Content_Encoding="gzip")]) as server:
        response = Urllib3Transport()(request_to(server))

    assert response.body == b"\x1f\x8b"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_redirect_does_not_carry_the_token_away(method: str, status: int) -> None:
    with ScriptedServer([OK]) as thief, ScriptedServer([http(status, Location=f"{thief.origin}/")]) as server:
        response = Urllib3Transport()(request_to(server, method))

    assert response.status == status
    assert not thief.received


def test_a_proxy_of_the_environment_does_not_see_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer([OK]) as proxy, ScriptedServer([OK]) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.origin)
        Urllib3Transport()(request_to(server))

    assert not proxy.received
    assert len(server.received) == 1


def test_connections_are_kept_alive() -> None:
    transport = Urllib3Transport()
    with ScriptedServer([http(202)]) as server:
        for _ in range(5):
            transport(request_to(server))

    assert {received.connection for received in server.received} == {1}


def test_threads_share_the_transport() -> None:
    transport = Urllib3Transport()
    statuses: list[int] = []
    with ScriptedServer([OK]) as server:

        def work() -> None:
            statuses.extend(transport(request_to(server)).status for _ in range(20))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert statuses == [200] * 160
    assert len({received.connection for received in server.received}) <= 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_opens_its_own_connection() -> None:
    """Two processes on one socket read each other's answers: one user's result would go to another."""
    transport = Urllib3Transport()
    with ScriptedServer([OK]) as server:
        transport(request_to(server))
        child = os.fork()
        if child == 0:
            os._exit(0 if transport(request_to(server)).status == 200 else 1)
        _, status = os.waitpid(child, 0)
        transport(request_to(server))

    assert os.waitstatus_to_exitcode(status) == 0
    assert [received.connection for received in server.received] == [1, 2, 1]


def test_no_log_and_no_error_holds_the_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with ScriptedServer([BUSY, reset]) as server:
        request = request_to(server)
        with pytest.raises(ServiceUnreachable) as failure:
            Urllib3Transport()(request)

    assert "secret" not in caplog.text + str(failure.value) + repr(failure.value) + repr(request)


# Proxies of the environment. The service's name is known to nobody, so no request gets past the proxy.


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Return what names proxies to this process, which has no others."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "request_method"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch.setenv


def to_service(scheme: str = "http") -> ServiceRequest:
    return ServiceRequest("GET", f"{scheme}://service.invalid/api/health?a=1", {"Authorization": TOKEN}, None, LONG)


def test_a_proxy_for_plain_http_reads_the_whole_url(proxied: Callable[[str, str], None]) -> None:
    with ScriptedServer([OK]) as proxy:
        proxied("http_proxy", proxy.origin)

        response = Urllib3Transport()(to_service())

    assert response.status == 200
    assert proxy.received[0].line == "GET http://service.invalid/api/health?a=1 HTTP/1.1"


def test_a_proxy_for_https_reads_the_host_and_never_the_token(proxied: Callable[[str, str], None]) -> None:
    with ScriptedServer([http(407)]) as proxy:
        proxied("https_proxy", proxy.origin.replace("//", "//ada:p%40ss@"))

        with pytest.raises(ServiceUnreachable, match=r"through the proxy .* HTTPS_PROXY and NO_PROXY") as raised:
            Urllib3Transport(retries=0)(to_service("https"))

    (asked,) = proxy.received
    assert asked.line.startswith("CONNECT service.invalid:443 ")
    assert asked.headers["proxy-authorization"] == "Basic YWRhOnBAc3M="
    assert "authorization" not in asked.headers
    assert not raised.value.may_have_arrived
    assert "p%40ss" not in str(raised.value)
    assert "p@ss" not in str(raised.value)


def test_a_proxy_without_a_scheme_is_one_of_plain_http(proxied: Callable[[str, str], None]) -> None:
    with ScriptedServer([OK]) as proxy:
        proxied("http_proxy", proxy.origin.removeprefix("http://"))

        assert Urllib3Transport()(to_service()).status == 200


@pytest.mark.parametrize(
    "proxy",
    [
        "socks5://ada:p4ssw0rd@proxy.example:1080",
        "http://ada:p4ssw0rd@[::1",
        "http://ada:p4ssw0rd@proxy.example:99999",
        "http://ada:p4ssw0rd#1@proxy.example:80",
        "http://ada:p4ssw0rd/1@proxy.example:80",
    ],
)
def test_a_proxy_that_is_none_is_told_without_its_password(proxy: str, proxied: Callable[[str, str], None]) -> None:
    """An app logs the whole chain of errors."""
    proxied("https_proxy", proxy)

    with pytest.raises(ServiceUnreachable, match=r"through the proxy .*: check HTTPS_PROXY") as raised:
        Urllib3Transport()(to_service("https"))

    told = "".join(traceback.format_exception(raised.value))
    assert "a proxy is http://host:port" in told
    assert "p4ss" not in told


def test_a_proxys_name_that_is_none_is_told_without_its_password(proxied: Callable[[str, str], None]) -> None:
    proxied("https_proxy", "http://ada:p4ssw0rd@proxy..example:80")

    with pytest.raises(ServiceUnreachable, match=r"check the host names in the .* and in HTTPS_PROXY") as raised:
        Urllib3Transport()(to_service("https"))

    assert not raised.value.may_have_arrived
    assert "p4ss" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("exception", ["service.invalid", ".invalid", "*"])
def test_no_proxy_leaves_hosts_out(exception: str, proxied: Callable[[str, str], None]) -> None:
    with ScriptedServer([OK]) as proxy:
        proxied("http_proxy", proxy.origin)
        proxied("no_proxy", exception)

        with pytest.raises(ServiceUnreachable, match="cannot be connected to"):
            Urllib3Transport(retries=0)(to_service())

    assert not proxy.received


def test_this_machine_is_reached_without_a_proxy(proxied: Callable[[str, str], None]) -> None:
    """No proxy elsewhere can reach an emulator that listens here alone."""
    with ScriptedServer([http(500)]) as proxy, ScriptedServer([OK]) as server:
        proxied("http_proxy", proxy.origin)

        assert Urllib3Transport()(request_to(server)).status == 200

    assert not proxy.received


def test_a_header_named_proxy_of_a_cgi_request_names_no_proxy(proxied: Callable[[str, str], None]) -> None:
    """The attack called httpoxy: CGI makes ``HTTP_PROXY`` of a client's header ``Proxy``."""
    with ScriptedServer([OK]) as proxy:
        proxied("REQUEST_METHOD", "POST")
        proxied("HTTP_PROXY", proxy.origin)

        with pytest.raises(ServiceUnreachable, match="cannot be connected to"):
            Urllib3Transport(retries=0)(to_service())

    assert not proxy.received
