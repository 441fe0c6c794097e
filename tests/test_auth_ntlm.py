"""NTLM within Negotiate: only where it is safe, its two requests, and each attack that it refuses."""

import base64
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_signalr import ConfigurationError
from flask_signalr.auth.kerberos_acceptor import Acceptance, SignOnIncomplete, SignOnRefused
from flask_signalr.auth.ntlm import (
    CAPACITY,
    COOKIE,
    LIFETIME,
    Handshakes,
    account_sent,
    is_other_mechanism,
    is_second_token,
)
from flask_signalr.auth.windows_identity import WindowsRealm
from tests.apps import service_claims
from tests.intranet import REALM, Intranet, windows_app

INTRANET = WindowsRealm(REALM, domain="INTRANET")
PASSWORD = "a-password-of-the-tests"


@pytest.fixture
def users(intranet: Intranet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file of users, as pyspnego reads it, where NTLM is safe."""
    file = tmp_path / "users"
    file.write_text(f"INTRANET:alice:{PASSWORD}\nOTHER:alice:{PASSWORD}\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(file))
    monkeypatch.setenv("LM_COMPAT_LEVEL", "5")
    return file


def ntlm_client(user: str = "INTRANET\\alice", password: str = PASSWORD, protocol: str = "ntlm") -> Any:
    import spnego

    return spnego.client(user, password, hostname="localhost", service="HTTP", protocol=protocol)


def send(browser: FlaskClient, token: bytes | None) -> TestResponse:
    value = base64.b64encode(token or b"").decode()
    return browser.post("/chat/negotiate", headers={"Authorization": f"Negotiate {value}"})


def challenge_of(answer: TestResponse) -> bytes:
    scheme, value = answer.headers["WWW-Authenticate"].split()
    assert (answer.status_code, scheme) == (401, "Negotiate")
    return base64.b64decode(value)


def handshake(browser: FlaskClient, client: Any) -> TestResponse:
    return send(browser, client.step(challenge_of(send(browser, client.step()))))


@pytest.mark.usefixtures("users")
@pytest.mark.parametrize("user", ["INTRANET\\alice", "intranet\\ALICE"])
@pytest.mark.parametrize("protocol", ["ntlm", "negotiate"], ids=["bare", "within SPNEGO"])
def test_a_user_signs_on_by_ntlm_where_it_is_asked_for(user: str, protocol: str) -> None:
    """The name comes as the client typed it; it is the user that Kerberos makes of the account."""
    browser = windows_app([INTRANET], ntlm=True).test_client()

    answer = handshake(browser, ntlm_client(user, protocol=protocol))

    claims = service_claims(answer)
    assert (claims["asrs.s.uid"], claims["asrs.s.aut"]) == ("alice@intranet.test", "NTLM")


@pytest.mark.usefixtures("users")
def test_kerberos_still_takes_one_request(intranet: Intranet) -> None:
    browser = windows_app([INTRANET], ntlm=True).test_client()

    assert service_claims(browser.post("/chat/negotiate", headers=intranet.headers()))["asrs.s.aut"] == "Kerberos"


@pytest.mark.usefixtures("users")
def test_the_cookie_of_a_handshake_is_for_this_path_and_no_page() -> None:
    browser = windows_app([INTRANET], ntlm=True).test_client()

    cookie = send(browser, ntlm_client().step()).headers["Set-Cookie"]

    assert cookie.startswith(f"{COOKIE}=")
    assert {"Path=/chat/negotiate", "HttpOnly", "SameSite=Strict", f"Max-Age={LIFETIME}"} <= set(cookie.split("; "))


@pytest.mark.usefixtures("users")
@pytest.mark.parametrize(("scheme", "is_secure"), [("http", False), ("https", True)])
def test_the_cookie_of_a_handshake_stays_on_the_protected_road(scheme: str, is_secure: bool) -> None:
    """Over plain http somebody on the way would read it; where that is all there is, it must come back."""
    browser = windows_app([INTRANET], ntlm=True).test_client()
    value = base64.b64encode(ntlm_client().step()).decode()

    answer = browser.post(
        "/chat/negotiate", base_url=f"{scheme}://localhost", headers={"Authorization": f"Negotiate {value}"}
    )

    assert ("Secure" in answer.headers["Set-Cookie"].split("; ")) is is_secure


@pytest.mark.usefixtures("users")
@pytest.mark.parametrize(
    ("user", "password"), [("INTRANET\\alice", "guessed"), ("INTRANET\\nobody", PASSWORD)], ids=["password", "user"]
)
def test_guessing_tells_nothing_about_accounts(user: str, password: str) -> None:
    """Error oracle: a wrong password and an unknown user read the same."""
    browser = windows_app([INTRANET], ntlm=True).test_client()

    answer = handshake(browser, ntlm_client(user, password))

    assert (answer.status_code, answer.json) == (401, {"error": "Windows sign-on failed"})


@pytest.mark.usefixtures("users")
def test_a_user_of_another_domain_does_not_sign_on() -> None:
    browser = windows_app([INTRANET], ntlm=True).test_client()

    assert handshake(browser, ntlm_client("OTHER\\alice")).status_code == 403


@pytest.mark.usefixtures("users")
def test_sending_the_second_token_again_fails() -> None:
    """A context that is done accepts anything: it must be gone before it is used."""
    browser = windows_app([INTRANET], ntlm=True).test_client()
    client = ntlm_client()
    first = send(browser, client.step())
    second = client.step(challenge_of(first))

    answers = [send(browser, second) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 401]


@pytest.mark.usefixtures("users")
def test_a_second_token_without_its_cookie_fails() -> None:
    """On another connection behind a proxy, it must not meet somebody else's handshake."""
    app = windows_app([INTRANET], ntlm=True)
    client = ntlm_client()
    second = client.step(challenge_of(send(app.test_client(), client.step())))

    assert send(app.test_client(), second).status_code == 401


@pytest.mark.usefixtures("users")
def test_a_second_token_for_somebody_elses_challenge_fails() -> None:
    """Relay: the answer to one challenge opens no other handshake."""
    app = windows_app([INTRANET], ntlm=True)
    alice, mallory = app.test_client(), app.test_client()
    client, other = ntlm_client(), ntlm_client("INTRANET\\mallory")
    second = client.step(challenge_of(send(alice, client.step())))
    send(mallory, other.step())

    assert send(mallory, second).status_code == 401


@pytest.mark.usefixtures("users")
def test_weakening_ntlm_while_the_app_runs_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The level is read at each sign-on: what was safe at the start need not be now."""
    browser = windows_app([INTRANET], ntlm=True).test_client()
    monkeypatch.setenv("LM_COMPAT_LEVEL", "3")

    assert send(browser, ntlm_client().step()).status_code == 500


@pytest.mark.usefixtures("users")
def test_weakening_ntlm_between_the_two_tokens_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one is what is compared, by the level of that moment."""
    handshakes, client = Handshakes(), ntlm_client()
    begun, challenge = handshakes.begin(client.step())
    monkeypatch.setenv("LM_COMPAT_LEVEL", "3")

    with pytest.raises(ConfigurationError, match="LM_COMPAT_LEVEL=5"):
        handshakes.finish(begun, client.step(challenge))


@pytest.mark.parametrize("level", [None, "3", "4", "", "5 "])
def test_ntlm_is_refused_where_its_old_forms_are_accepted(
    users: Path, monkeypatch: pytest.MonkeyPatch, level: str | None
) -> None:
    if level is None:
        monkeypatch.delenv("LM_COMPAT_LEVEL")
    else:
        monkeypatch.setenv("LM_COMPAT_LEVEL", level)

    with pytest.raises(ConfigurationError, match="LM_COMPAT_LEVEL=5"):
        windows_app([INTRANET], ntlm=True)


@pytest.mark.parametrize("file", ["", "/missing/users", "/"])
def test_ntlm_is_refused_where_there_is_nothing_to_compare_with(
    users: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    monkeypatch.setenv("NTLM_USER_FILE", file)

    with pytest.raises(ConfigurationError, match="NTLM_USER_FILE"):
        windows_app([INTRANET], ntlm=True)


def test_on_windows_ntlm_needs_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """There Windows itself checks it."""
    monkeypatch.setattr("sys.platform", "win32")

    assert "signalr" in windows_app([INTRANET], ntlm=True).extensions


@pytest.mark.usefixtures("users")
def test_a_handshake_waits_for_a_while_only() -> None:
    now = [1000.0]
    handshakes = Handshakes(lambda: now[0])
    client = ntlm_client()
    handshake, challenge = handshakes.begin(client.step())
    second = client.step(challenge)
    now[0] += LIFETIME + 1

    with pytest.raises(SignOnRefused, match="not waiting"):
        handshakes.finish(handshake, second)


@pytest.mark.usefixtures("users")
def test_beginning_handshakes_without_end_costs_no_more_memory() -> None:
    """State exhaustion: the oldest goes."""
    handshakes = Handshakes()
    client = ntlm_client()
    oldest, challenge = handshakes.begin(client.step())
    newest = [handshakes.begin(ntlm_client().step())[0] for _ in range(CAPACITY)][-1]

    with pytest.raises(SignOnRefused, match="not waiting"):
        handshakes.finish(oldest, client.step(challenge))
    with pytest.raises(SignOnRefused, match=r"malformed|SpnegoError"):
        handshakes.finish(newest, b"NTLMSSP\0\3\0\0\0")


@pytest.mark.usefixtures("users")
def test_a_handshake_that_goes_on_and_on_is_refused() -> None:
    """A first token where the second belongs."""
    handshakes = Handshakes()
    handshake, _ = handshakes.begin(ntlm_client().step())

    with pytest.raises(SignOnRefused):
        handshakes.finish(handshake, ntlm_client().step())


@pytest.mark.parametrize(
    ("token", "other", "second"),
    [
        (b"NTLMSSP\0\1\0\0\0", True, False),
        (b"NTLMSSP\0\3\0\0\0", True, True),
        (b"\xa1\x81NTLMSSP\0\3\0\0\0", True, True),
        (b"`\x40" + bytes(64) + b"NEGOEXTS", True, False),
        (bytes(600) + b"NTLMSSP\0", False, False),
        (b"", False, False),
    ],
)
def test_the_mechanism_stands_near_the_beginning(token: bytes, other: bool, second: bool) -> None:
    assert is_other_mechanism(token) is other
    assert is_second_token(token) is second


KERBEROS = "1.2.840.113554.1.2.2"
NTLM_SPELT_AS_OID = "1.38.84.76.77.83.83.80.1"
"""Its bytes are those that NTLM's messages begin with, but for the last."""


@pytest.mark.usefixtures("users")
def test_kerberos_that_looks_like_ntlm_is_refused(intranet: Intranet) -> None:
    """By another way in than its own it would miss the check of whom its ticket is for."""
    from spnego._spnego import NegTokenInit

    ticket = base64.b64decode(intranet.token(protocol="kerberos"))
    offer = NegTokenInit([KERBEROS, NTLM_SPELT_AS_OID], mech_token=ticket).pack()
    disguised = offer.replace(b"NTLMSSP\1", b"NTLMSSP\0")

    assert is_other_mechanism(disguised)
    assert send(windows_app([INTRANET]).test_client(), disguised).status_code == 403
    assert send(windows_app([INTRANET], ntlm=True).test_client(), disguised).status_code == 401


@pytest.mark.usefixtures("users")
def test_a_handshake_that_turns_into_kerberos_is_refused(intranet: Intranet) -> None:
    """For the same reason."""
    from spnego._spnego import NegTokenInit, NegTokenResp

    handshakes = Handshakes()
    handshake, _ = handshakes.begin(NegTokenInit([KERBEROS]).pack())
    ticket = base64.b64decode(intranet.token(protocol="kerberos"))

    with pytest.raises(SignOnIncomplete):
        handshakes.finish(handshake, NegTokenResp(response_token=ticket).pack())


@pytest.mark.parametrize(("user", "domain"), [("PARTNER\\", ""), ("PARTNER\\", None), ("\\", ""), ("x\\", "")])
def test_signing_on_under_another_domain_with_the_first_users_password_fails(
    users: Path, user: str, domain: str | None
) -> None:
    """Identity confusion: pyspnego takes a user name apart anew, and an empty one for the first line's."""
    users.write_text(f"INTRANET:alice:{PASSWORD}\nPARTNER:alice:another\n")
    partner = WindowsRealm("PARTNER.TEST", domain="PARTNER")
    browser = windows_app([INTRANET, partner], ntlm=True).test_client()
    client = ntlm_client()
    challenge = challenge_of(send(browser, client.step()))
    client._credential.username, client._credential.domain = user, domain

    answer = send(browser, client.step(challenge))

    assert (answer.status_code, answer.json) == (401, {"error": "Windows sign-on failed"})


@pytest.mark.parametrize("token", [b"", b"NTLMSSP\0\x03\0\0\0", b"NTLMSSP\0" + b"\x01\0\0\0" * 12 + b"\xd8"], ids=repr)
def test_a_token_whose_account_cannot_be_read_is_refused(token: bytes) -> None:
    with pytest.raises(SignOnRefused):
        account_sent(token)


def test_what_was_accepted_shows_no_token() -> None:
    assert "secret" not in repr(Acceptance("alice@INTRANET.TEST", False, "Kerberos", b"secret"))
