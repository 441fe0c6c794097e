"""Sign-on of Python callers by Kerberos, in a real realm and over real sockets."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.auth import AuthBase

from demo.kdc import PASSWORD
from flask_signalr import ConfigurationError, MissingExtra
from flask_signalr.client import sign_on
from flask_signalr.errors import SignOnFailed
from tests.certificate import tls_server, write_certificate
from tests.document_server import DocumentServer, answer
from tests.intranet import Intranet, windows_app
from tests.kerberos_site import KerberosSite, kerberos_site
from tests.live import LONGEST_WAIT, serving

ROOT = Path(__file__).parent.parent


@pytest.fixture
def alice(intranet: Intranet, monkeypatch: pytest.MonkeyPatch) -> Intranet:
    """This process runs for alice, who is signed in to the intranet."""
    monkeypatch.setenv("KRB5CCNAME", intranet.caches["alice"])
    return intranet


@pytest.fixture
def site(intranet: Intranet) -> Iterator[KerberosSite]:
    with kerberos_site() as running:
        yield running


@pytest.fixture
def elsewhere() -> Iterator[DocumentServer]:
    """A server of somebody else's that wants to be signed on to."""
    with DocumentServer() as server:
        server.documents["/"] = challenge
        yield server


def challenge(handler: Any) -> None:
    answer(handler, b"", 401, WWW_Authenticate="Negotiate")


def get(url: str, **options: Any) -> requests.Response:
    return requests.get(url, **{"auth": sign_on(), "timeout": LONGEST_WAIT, **options})


def post(url: str, **options: Any) -> requests.Response:
    return requests.post(url, **{"auth": sign_on(), "timeout": LONGEST_WAIT, **options})


def assert_nothing_leaked(server: DocumentServer) -> None:
    """Check that a server was asked, and by nobody in particular."""
    assert server.headers
    for headers in server.headers:
        assert "Authorization" not in headers
        assert "Negotiate" not in str(headers)


# What works.


def test_a_signed_in_user_negotiates_without_being_challenged(alice: Intranet) -> None:
    """`WindowsAuth` at the other end; the first request is answered."""
    with serving(windows_app()) as url:
        response = post(f"{url.replace('127.0.0.1', 'localhost')}/chat/negotiate?negotiateVersion=1")

    assert response.status_code == 200
    assert response.history == []
    assert response.json()["url"] == "https://chat.service.example/client/?hub=chat"


def test_what_it_returns_is_an_auth_object_of_requests(intranet: Intranet) -> None:
    """Libraries on top of requests ask for that class."""
    assert isinstance(sign_on(), AuthBase)
    assert type(sign_on()).__name__ == "KerberosSignOn"


def test_a_body_that_can_be_read_once_arrives(alice: Intranet, site: KerberosSite) -> None:
    """Sign-on that waits for the challenge sends an empty one the second time, and says nothing."""
    response = post(site.url("/echo"), data=iter([b"one ", b"two"]))

    assert (response.status_code, response.content) == (200, b"one two")
    assert site.asked == {"/echo": 1}


def test_each_request_of_a_session_brings_a_token_of_its_own(alice: Intranet, site: KerberosSite) -> None:
    """A token opens one request: the second time it is a replay."""
    with requests.Session() as session:
        session.auth = sign_on()
        responses = [session.get(site.url("/echo"), timeout=LONGEST_WAIT) for _ in range(3)]

    assert [response.status_code for response in responses] == [200, 200, 200]
    assert [name for name, _ in site.visitors] == ["alice@INTRANET.TEST"] * 3


def test_a_redirect_within_the_app_is_followed_with_a_token_of_its_own(alice: Intranet, site: KerberosSite) -> None:
    """The body comes along (307); requests would send the old token again."""
    response = post(site.url("/go?to=/echo"), data=b"body")

    assert (response.status_code, response.content) == (200, b"body")
    assert site.asked == {"/go": 1, "/echo": 1}


def test_a_user_name_and_a_password_sign_on_as_somebody_else(alice: Intranet, site: KerberosSite) -> None:
    response = get(site.url("/echo"), auth=sign_on(user="Carol@INTRANET.TEST", password=PASSWORD))

    assert response.status_code == 200
    assert [name for name, _ in site.visitors] == ["Carol@INTRANET.TEST"]


def test_a_host_names_the_service_of_an_app_that_has_another_name(alice: Intranet, site: KerberosSite) -> None:
    """An address, say, or a name that only a load balancer knows."""
    response = get(site.url("/echo", "127.0.0.1"), auth=sign_on(host="localhost"))

    assert response.status_code == 200


@pytest.mark.parametrize("delegate", [False, True])
def test_the_app_may_act_for_the_user_only_if_told_so(
    intranet: Intranet, site: KerberosSite, monkeypatch: pytest.MonkeyPatch, delegate: bool
) -> None:
    """Even where the user's tickets could be passed on."""
    monkeypatch.setenv("KRB5CCNAME", intranet.kdc.sign_in("alice", "-f", cache="forwardable"))

    response = get(site.url("/echo"), auth=sign_on(delegate=delegate))

    assert response.status_code == 200
    assert site.visitors == [("alice@INTRANET.TEST", delegate)]


# What fails.


def test_a_machine_without_a_ticket_says_so_and_sends_nothing(intranet: Intranet, site: KerberosSite) -> None:
    with pytest.raises(SignOnFailed) as caught:
        get(site.url("/echo"))

    text = str(caught.value)
    assert text.startswith("cannot sign on to HTTP/localhost: No Kerberos credentials available (default cache: ")
    assert text.endswith("; `klist` shows this account's tickets, `kinit` gets one")
    assert site.asked == {}


def test_a_host_that_the_realm_does_not_know_is_named(alice: Intranet, site: KerberosSite) -> None:
    with pytest.raises(SignOnFailed) as caught:
        get(site.url("/echo"), auth=sign_on(host="unknown.localhost"))

    assert str(caught.value) == (
        "cannot sign on to HTTP/unknown.localhost: Server HTTP/unknown.localhost@INTRANET.TEST not found in Kerberos "
        "database; ask the directory's administrators for that name (setspn), or give sign_on(host=…) the one it has"
    )
    assert site.asked == {}


def test_a_wrong_password_is_not_shown(intranet: Intranet, site: KerberosSite) -> None:
    auth = sign_on(user="alice", password="not-the-password")

    with pytest.raises(SignOnFailed) as caught:
        get(site.url("/echo"), auth=auth)

    assert "cannot sign on to HTTP/localhost: " in str(caught.value)
    assert "not-the-password" not in str(caught.value) + repr(auth)
    assert site.asked == {}


def test_a_ticket_that_ends_meanwhile_is_told_of(alice: Intranet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the first request and the one that it is redirected to."""

    def sign_out(handler: Any) -> None:
        monkeypatch.setenv("KRB5CCNAME", alice.kdc.environment["KRB5CCNAME"])
        answer(handler, b"", 307, Location="/there")

    with DocumentServer() as server:
        server.documents["/"] = sign_out

        with pytest.raises(SignOnFailed, match="No Kerberos credentials available"):
            get(f"http://localhost:{server.port}/")

    assert server.requested == ["/"]


def test_a_url_without_a_host_is_refused(intranet: Intranet) -> None:
    """Adapters for other schemes than http have such."""
    request = requests.PreparedRequest()

    with pytest.raises(SignOnFailed, match="there is no host to sign on to"):
        sign_on()(request)


def test_a_ticket_for_another_service_is_the_apps_to_refuse(alice: Intranet, site: KerberosSite) -> None:
    """The caller gets the answer as it is."""
    alice.kdc.add_service("HTTP/neighbour.localhost")

    response = get(site.url("/echo"), auth=sign_on(host="neighbour.localhost"))

    assert response.status_code == 403


def test_an_app_that_never_stops_challenging_is_asked_once(alice: Intranet, site: KerberosSite) -> None:
    response = get(site.url("/never"))

    assert response.status_code == 401
    assert site.asked == {"/never": 1}


def test_redirects_in_a_circle_end(alice: Intranet, site: KerberosSite) -> None:
    with requests.Session() as session:
        session.max_redirects = 3
        with pytest.raises(requests.TooManyRedirects):
            session.get(site.url("/round"), auth=sign_on(), timeout=LONGEST_WAIT)

    assert site.asked == {"/round": 4}


@pytest.mark.parametrize("proof", ["Negotiate", "Negotiate !!!", "Negotiate " + "A" * 60_000, "\x80"])
def test_a_garbage_proof_does_not_stand_in_the_way_of_the_answer(alice: Intranet, proof: str) -> None:
    """Other clients fail on it; it would not make the answer any truer."""
    with DocumentServer() as server:
        server.documents["/"] = lambda handler: answer(handler, b"ok", 200, WWW_Authenticate=proof)

        response = get(f"http://localhost:{server.port}/")

    assert (response.status_code, response.content) == (200, b"ok")


# Attacks.


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"], ids=["another port", "another host"])
def test_a_redirect_to_another_origin_gets_no_token(
    alice: Intranet, site: KerberosSite, elsewhere: DocumentServer, host: str
) -> None:
    """An app, or who answers in its place, sends the caller on to a server that collects tokens."""
    response = get(site.url(f"/go?to=http://{host}:{elsewhere.port}/"))

    assert response.status_code == 401
    assert_nothing_leaked(elsewhere)


def test_another_origin_that_redirects_within_itself_gets_no_token(
    alice: Intranet, site: KerberosSite, elsewhere: DocumentServer
) -> None:
    """Its second redirect stays where it is, and nobody has signed on there."""
    elsewhere.documents["/first"] = lambda handler: answer(handler, b"", 307, Location="/")

    get(site.url(f"/go?to=http://localhost:{elsewhere.port}/first"))

    assert elsewhere.requested == ["/first", "/"]
    assert_nothing_leaked(elsewhere)


@pytest.mark.parametrize("path", ["//{server}/", "http://localhost\\@{server}/", "http://localhost@{server}/"])
def test_a_redirect_that_looks_like_home_gets_no_token(alice: Intranet, elsewhere: DocumentServer, path: str) -> None:
    """Locations that one reader takes for another host than the next reader does."""
    with DocumentServer() as server:
        location = path.format(server=f"127.0.0.1:{elsewhere.port}")
        server.documents["/"] = lambda handler: answer(handler, b"", 307, Location=location)

        get(f"http://localhost:{server.port}/")

    assert_nothing_leaked(elsewhere)


def test_a_redirect_from_https_to_plain_http_gets_no_token(
    alice: Intranet, elsewhere: DocumentServer, tmp_path: Path
) -> None:
    """There anybody on the way could read it."""
    certificate = write_certificate(tmp_path)
    with DocumentServer(tls_server(certificate)) as server:
        location = f"http://localhost:{elsewhere.port}/"
        server.documents["/"] = lambda handler: answer(handler, b"", 307, Location=location)

        get(f"https://localhost:{server.port}/", verify=str(certificate))

    assert "Negotiate " in str(server.headers[0]["Authorization"])
    assert_nothing_leaked(elsewhere)


def test_what_comes_back_from_another_origin_gets_no_token(alice: Intranet, site: KerberosSite) -> None:
    """Or a server that a caller was once sent to could ask the app for anything, in the caller's name."""
    with DocumentServer() as server:
        back = site.url("/echo")
        server.documents["/"] = lambda handler: answer(handler, b"", 307, Location=back)

        response = get(site.url(f"/go?to={server.url}/"))

    assert response.status_code == 401
    assert site.asked == {"/go": 1, "/echo": 1}
    assert_nothing_leaked(server)


@pytest.mark.parametrize("location", ["http://localhost:99999/", "http://[::1/"])
def test_a_location_that_cannot_be_read_gets_no_token(alice: Intranet, location: str) -> None:
    with DocumentServer() as server:
        server.documents["/"] = lambda handler: answer(handler, b"", 307, Location=location)

        with pytest.raises((requests.RequestException, ValueError)) as caught:
            get(f"http://localhost:{server.port}/")

    assert len(server.requested) == 1
    assert not isinstance(caught.value, SignOnFailed)


def test_logs_hold_no_token(alice: Intranet, site: KerberosSite, caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG pyspnego writes out whole tokens."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "spnego")  # whatever another test left there

    response = get(site.url("/echo"))

    token = str(response.request.headers["Authorization"]).split()[1]
    assert response.status_code == 200
    assert token[:40] not in caplog.text


# Set-up.


@pytest.mark.parametrize(
    ("keywords", "error"),
    [
        ({"user": "alice"}, "give both"),
        ({"password": "secret-word"}, "give both"),
        ({"user": "", "password": "secret-word"}, "user=…): give a text"),
        ({"user": "alice", "password": b"secret-word"}, "password=…): give a text"),
        ({"host": "https://app.example"}, "host=…): give the host name alone"),
        ({"host": "app.example:8443"}, "host=…): give the host name alone"),
        ({"host": "HTTP/app.example"}, "host=…): give the host name alone"),
        ({"host": "app.example@EVIL.TEST"}, "host=…): give the host name alone"),
        ({"host": 7}, "host=…): give a text"),
    ],
)
def test_keywords_that_cannot_work_are_refused_at_once(keywords: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        sign_on(**keywords)

    assert error in str(caught.value)
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize("package", ["requests", "spnego", "gssapi", "krb5"])
def test_a_missing_extra_is_named_at_once(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at the first request: pyspnego alone would only notice then."""
    monkeypatch.delitem(sys.modules, "flask_signalr.client.kerberos", raising=False)
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(MissingExtra, match=r"flask-signalr\[client\]"):
        sign_on()


def test_nothing_is_loaded_before_it_is_used() -> None:
    program = "import sys, flask_signalr.client; print({'requests', 'spnego', 'gssapi'} & set(sys.modules))"

    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert run.stdout == "set()\n"
