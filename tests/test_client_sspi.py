"""Sign-on by SSPI: requests-negotiate-sspi's own code over a stand-in for Windows, which uses a real Kerberos realm."""

import socket
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from demo.kdc import PASSWORD
from flask_signalr.client import sign_on
from flask_signalr.errors import SignOnFailed
from tests.document_server import DocumentServer, answer
from tests.intranet import Intranet, windows_app
from tests.kerberos_site import KerberosSite, kerberos_site
from tests.live import LONGEST_WAIT, serving
from tests.windows_sspi import windows_modules


@pytest.fixture(autouse=True)
def sspi(intranet: Intranet, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[SimpleNamespace]]:
    """This process runs for alice, who is signed in to the intranet; yields what SSPI is asked for."""
    if find_spec("requests_negotiate_sspi") is None:
        pytest.skip("tests of requests-negotiate-sspi: it is missing; pip install --no-deps requests-negotiate-sspi")
    monkeypatch.setenv("KRB5CCNAME", intranet.caches["alice"])
    with windows_modules() as asked:
        yield asked


@pytest.fixture
def site() -> Iterator[KerberosSite]:
    with kerberos_site() as running:
        yield running


@pytest.fixture
def server() -> Iterator[DocumentServer]:
    with DocumentServer() as running:
        yield running


def get(url: str, **options: Any) -> requests.Response:
    return requests.get(url, **{"auth": sign_on(), "timeout": LONGEST_WAIT, **options})


def challenging(challenge: str = "Negotiate") -> Any:
    """Return a document that is never shown to anybody."""
    return lambda handler: answer(handler, b"", 401, WWW_Authenticate=challenge)


def redirecting(location: str) -> Any:
    return lambda handler: answer(handler, b"", 307, Location=location)


# What works.


def test_it_is_chosen_where_it_is_installed() -> None:
    assert type(sign_on()).__name__ == "SspiSignOn"


def test_a_signed_in_user_negotiates_in_two_requests(sspi: list[SimpleNamespace]) -> None:
    """`WindowsAuth` at the other end; the first request is challenged."""
    with serving(windows_app()) as url:
        response = requests.post(
            f"{url.replace('127.0.0.1', 'localhost')}/chat/negotiate", auth=sign_on(), timeout=LONGEST_WAIT
        )

    assert response.status_code == 200
    assert [earlier.status_code for earlier in response.history] == [401]
    assert [(one.scheme, one.targetspn, one.client.authenticated) for one in sspi] == [
        ("Negotiate", "HTTP/localhost", True)
    ]


def test_an_app_that_wants_no_sign_on_gets_none(sspi: list[SimpleNamespace], server: DocumentServer) -> None:
    server.documents["/"] = b"open"

    response = get(f"{server.url}/")

    assert response.content == b"open"
    assert sspi == []


@pytest.mark.parametrize("body", [b"bytes", "text", Path(__file__)], ids=["bytes", "text", "a file"])
def test_a_body_arrives_with_the_second_request(site: KerberosSite, body: Any) -> None:
    expected = body.read_bytes() if isinstance(body, Path) else bytes(body, "ascii") if isinstance(body, str) else body
    data = body.open("rb") if isinstance(body, Path) else body

    response = requests.post(site.url("/echo"), data=data, auth=sign_on(), timeout=LONGEST_WAIT)

    assert (response.status_code, response.content) == (200, expected)
    if isinstance(body, Path):
        data.close()


def test_a_redirect_within_the_app_is_signed_on_again(site: KerberosSite) -> None:
    response = get(site.url("/go?to=/echo"))

    assert response.status_code == 200
    assert site.asked == {"/go": 2, "/echo": 2}


def test_one_object_serves_several_apps(sspi: list[SimpleNamespace], site: KerberosSite) -> None:
    """The package keeps the first host that it saw for the service's name; this realm does not know the second."""
    auth = sign_on()

    get(site.url("/echo"), auth=auth)
    with pytest.raises(SignOnFailed, match=r"cannot sign on to HTTP/127\.0\.0\.1: "):
        get(site.url("/echo", "127.0.0.1"), auth=auth)

    assert [one.targetspn for one in sspi] == ["HTTP/localhost", "HTTP/127.0.0.1"]


@pytest.mark.parametrize(
    ("user", "auth_info"),
    [
        ("INTRANET\\alice", ("alice", "INTRANET", PASSWORD)),
        ("alice@INTRANET.TEST", ("alice@INTRANET.TEST", "", PASSWORD)),
        ("alice", ("alice", ".", PASSWORD)),
    ],
    ids=["of a domain", "user principal name", "of this machine"],
)
def test_a_user_name_is_split_as_windows_wants_it(
    sspi: list[SimpleNamespace], site: KerberosSite, user: str, auth_info: tuple[str, str, str]
) -> None:
    response = get(site.url("/echo"), auth=sign_on(user=user, password=PASSWORD))

    assert response.status_code == 200
    assert [one.auth_info for one in sspi] == [auth_info]


@pytest.mark.parametrize("delegate", [False, True])
def test_delegation_is_asked_for_only_if_told_so(
    sspi: list[SimpleNamespace], site: KerberosSite, delegate: bool
) -> None:
    get(site.url("/echo"), auth=sign_on(delegate=delegate))

    assert [bool(one.client.scflags) for one in sspi] == [delegate]


# What fails.


def test_an_error_of_sspi_is_a_sentence_and_no_type_error(intranet: Intranet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package reads the error in a way that Python 3 does not have."""
    monkeypatch.setenv("KRB5CCNAME", intranet.kdc.environment["KRB5CCNAME"])

    with kerberos_site() as site, pytest.raises(SignOnFailed) as caught:
        get(site.url("/echo"))

    assert str(caught.value) == (
        "cannot sign on to HTTP/localhost: No credentials are available in the security package "
        "(InitializeSecurityContext, 0x8009030E); sign in to Windows with an account of the domain"
    )


def test_an_error_before_the_handshake_is_a_sentence_too(site: KerberosSite) -> None:
    """The package does not expect one there."""
    auth = sign_on(user="nobody", password="not-the-password")

    with pytest.raises(SignOnFailed) as caught:
        get(site.url("/echo"), auth=auth)

    assert "(AcquireCredentialsHandle, 0x8009030E)" in str(caught.value)
    assert "not-the-password" not in str(caught.value) + repr(auth)


def test_a_fault_of_another_kind_is_not_dressed_up(site: KerberosSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what Windows said is made a sentence of; the rest is a bug that somebody has to see."""
    monkeypatch.setattr(sys.modules["win32security"], "QuerySecurityPackageInfo", lambda: None)

    with pytest.raises(TypeError, match="positional argument"):
        get(site.url("/echo"))


def test_a_body_that_can_be_read_once_is_not_sent_empty(site: KerberosSite) -> None:
    """The first request has taken it; the package would send nothing in its place, and succeed."""
    with pytest.raises(SignOnFailed, match="give bytes or a file"):
        requests.post(site.url("/echo"), data=iter([b"one", b"two"]), auth=sign_on(), timeout=LONGEST_WAIT)

    assert site.visitors == []


@pytest.mark.parametrize("challenge", ["Negotiate", "Negotiate AAAA", "Negotiate AAAA, Negotiate BBBB"])
def test_an_app_that_never_stops_challenging_is_given_up(server: DocumentServer, challenge: str) -> None:
    server.documents["/"] = challenging(challenge)

    with pytest.raises(SignOnFailed, match="cannot sign on to HTTP/localhost"):
        get(f"http://localhost:{server.port}/")

    assert len(server.requested) == 2


@pytest.mark.parametrize("proof", ["Negotiate A", "Negotiate " + "!" * 5000, "Negotiate AAAA"])
def test_a_garbage_proof_is_a_sentence(server: DocumentServer, proof: str) -> None:
    def answer_in_two(handler: Any) -> None:
        status = 200 if "Authorization" in handler.headers else 401
        answer(handler, b"ok", status, WWW_Authenticate=proof)

    server.documents["/"] = answer_in_two

    with pytest.raises(SignOnFailed, match="cannot sign on to HTTP/localhost"):
        get(f"http://localhost:{server.port}/")


def test_an_app_that_goes_away_meanwhile_is_an_error_of_requests(server: DocumentServer) -> None:
    """Which callers handle already."""

    def break_off(handler: Any) -> None:
        if "Authorization" in handler.headers:
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
        else:
            answer(handler, b"", 401, WWW_Authenticate="Negotiate")

    server.documents["/"] = break_off

    with pytest.raises(requests.ConnectionError):
        get(f"http://localhost:{server.port}/")


def test_redirects_in_a_circle_end(site: KerberosSite) -> None:
    with requests.Session() as session:
        session.max_redirects = 3
        with pytest.raises(requests.TooManyRedirects):
            session.get(site.url("/round"), auth=sign_on(), timeout=LONGEST_WAIT)

    assert site.asked == {"/round": 8}


# Attacks.


def assert_nothing_leaked(server: DocumentServer) -> None:
    assert server.headers
    assert not [headers for headers in server.headers if "Authorization" in headers]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"], ids=["another port", "another host"])
def test_a_server_that_the_app_redirects_to_is_not_signed_on_to(
    sspi: list[SimpleNamespace], site: KerberosSite, server: DocumentServer, host: str
) -> None:
    """It would get a token for the app itself, by the package's first host, and could be the caller there."""
    server.documents["/"] = challenging()

    response = get(site.url(f"/go?to=http://{host}:{server.port}/"))

    assert response.status_code == 401
    assert len(sspi) == 1
    assert_nothing_leaked(server)


def test_what_comes_back_from_another_origin_is_not_signed_on(site: KerberosSite, server: DocumentServer) -> None:
    """Or a server that a caller was once sent to could ask the app for anything, in the caller's name."""
    server.documents["/"] = redirecting(site.url("/echo"))

    response = get(site.url(f"/go?to={server.url}/"))

    assert response.status_code == 401
    assert site.asked == {"/go": 2, "/echo": 1}
    assert_nothing_leaked(server)


@pytest.mark.parametrize("challenge", ["NTLM", "Basic realm=app, NTLM"])
def test_a_challenge_of_ntlm_alone_is_not_answered(
    sspi: list[SimpleNamespace], server: DocumentServer, challenge: str
) -> None:
    """Its answer lets whoever asks guess the password at leisure."""
    server.documents["/"] = challenging(challenge)

    response = get(f"{server.url}/")

    assert response.status_code == 401
    assert sspi == []
    assert_nothing_leaked(server)
