"""WindowsAuth in a real Kerberos realm: who gets in, what is answered, and each attack that it refuses."""

import base64
import logging
import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from demo.kdc import Kdc
from flask_signalr import AuthorizationDenied, ConfigurationError, MissingExtra, Principal, SignalR, everything
from flask_signalr.auth.windows import MAX_TOKEN_SIZE, WindowsAuth
from flask_signalr.auth.windows_identity import WindowsIdentity, WindowsRealm
from tests.apps import create_app, negotiate, service_claims
from tests.intranet import (
    FOREIGN_SERVICE,
    LOOKALIKE,
    OTHER_SERVICE,
    PARTNER,
    REALM,
    SERVICE,
    Intranet,
    sign_on,
    token,
    windows_app,
)
from tests.kdc import environment

pytestmark = pytest.mark.usefixtures("intranet")

LOGGER = "flask_signalr.auth.windows"


def assert_challenged(answer: TestResponse) -> None:
    """Check that a caller may try again: 401, with the bare challenge once."""
    assert answer.status_code == 401
    assert answer.headers.getlist("WWW-Authenticate") == ["Negotiate"]


def assert_denied(answer: TestResponse) -> None:
    """Check that a caller need not try again: another challenge would make its browser ask for a password."""
    assert answer.status_code == 403
    assert "WWW-Authenticate" not in answer.headers


# Who gets in.


@pytest.mark.parametrize("protocol", ["negotiate", "kerberos"], ids=["SPNEGO", "bare Kerberos"])
def test_an_intranet_user_connects_with_one_request(intranet: Intranet, protocol: str) -> None:
    """Browsers wrap their ticket in SPNEGO, requests-kerberos does not."""
    answer = sign_on(windows_app(), intranet.token(protocol=protocol))

    claims = service_claims(answer)
    assert claims["asrs.s.uid"] == "alice@intranet.test"
    assert claims["asrs.s.aut"] == "Kerberos"


def test_the_answer_proves_that_the_service_is_the_right_one(intranet: Intranet) -> None:
    """Mutual authentication: clients that demand it check this token."""
    import spnego

    client = spnego.client(spnego.KerberosCCache(intranet.caches["alice"]), hostname="localhost", service="HTTP")
    answer = sign_on(windows_app(), base64.b64encode(client.step() or b"").decode())

    scheme, reply = answer.headers["WWW-Authenticate"].split()
    client.step(base64.b64decode(reply, validate=True))
    assert scheme == "Negotiate"
    assert client.complete


@pytest.mark.parametrize("scheme", ["negotiate", "NEGOTIATE", "Negotiate  "])
def test_the_scheme_has_no_case(intranet: Intranet, scheme: str) -> None:
    """RFC 9110 §11.1."""
    answer = negotiate(windows_app(), headers={"Authorization": f" {scheme} {intranet.token()} "})

    assert answer.status_code == 200


@pytest.mark.parametrize("header", [None, "", "Negotiate", "Negotiate ", "Basic YWxpY2U6eA==", "NTLM TlRMTVNTUAABAAAA"])
def test_a_request_that_does_not_sign_on_is_challenged(intranet: Intranet, header: str | None) -> None:
    """Without credentials for this scheme, the browser gets to know that it may send some."""
    answer = negotiate(windows_app(), headers={} if header is None else {"Authorization": header})

    assert_challenged(answer)


def test_claims_are_those_of_dotnet_and_the_realm(intranet: Intranet) -> None:
    realm = WindowsRealm(REALM, domain="INTRANET", upn_suffix="corp.example")

    answer = sign_on(windows_app([realm], hub={"claims_filter": everything}), intranet.token())

    claims = service_claims(answer)
    assert claims["asrs.s.uid"] == "alice@corp.example"
    assert claims["name"] == "alice@INTRANET.TEST"
    assert claims["upn"] == "alice@corp.example"
    assert claims["realm"] == "INTRANET.TEST"
    assert claims["winaccountname"] == "INTRANET\\alice"


def test_the_service_token_ends_with_the_ticket(intranet: Intranet) -> None:
    """An account that is disabled keeps its tickets; what Kerberos forgives clocks that differ is not added to them."""
    cache = intranet.kdc.sign_in("alice", "-l", "10m", cache="brief")

    claims = service_claims(sign_on(windows_app(), token(cache, SERVICE, "negotiate")))

    assert 0 < claims["exp"] - claims["iat"] <= 10 * 60


def test_roles_become_claims(intranet: Intranet) -> None:
    app = windows_app(roles_provider={"Alice@intranet.TEST": ["staff", "admin"]}, hub={"claims_filter": everything})

    assert service_claims(sign_on(app, intranet.token()))["role"] == ["staff", "admin"]
    assert "role" not in service_claims(sign_on(app, intranet.token("Carol")))


def test_the_mapper_makes_the_principal(intranet: Intranet) -> None:
    """Such as the user of the app's own database."""

    def numbers(identity: WindowsIdentity) -> Principal | None:
        return Principal("42", {"plan": "free"}) if identity.name == "alice" else None

    app = windows_app(identity_mapper=numbers, hub={"claims_filter": everything})

    claims = service_claims(sign_on(app, intranet.token()))
    assert (claims["asrs.s.uid"], claims["plan"], claims["asrs.s.aut"]) == ("42", "free", "Kerberos")
    assert_denied(sign_on(app, intranet.token("Carol")))


def test_names_arrive_intact_whatever_their_letters(intranet: Intranet) -> None:
    assert service_claims(sign_on(windows_app(), intranet.token("josé")))["asrs.s.uid"] == "josé@intranet.test"


def test_one_person_is_one_user_in_any_case(intranet: Intranet) -> None:
    """Active Directory knows no case; MIT's KDC keeps the one that the user typed."""
    assert service_claims(sign_on(windows_app(), intranet.token("Carol")))["asrs.s.uid"] == "carol@intranet.test"


# Attacks, and accounts that may not sign on.


def test_sending_a_seen_token_again_fails(intranet: Intranet, caplog: pytest.LogCaptureFixture) -> None:
    app, seen = windows_app(), intranet.token()
    assert sign_on(app, seen).status_code == 200

    with caplog.at_level(logging.INFO):
        answer = sign_on(app, seen)

    assert_challenged(answer)
    assert "Request is a replay" in caplog.text


def test_a_ticket_for_another_kind_of_service_fails(intranet: Intranet, tmp_path: Path) -> None:
    """A shared keytab: who can read a ticket for host/ must not be let in to the web app with it."""
    shared = intranet.kdc.folder / "shared.keytab"
    shared.write_bytes(intranet.keytab.read_bytes())
    intranet.kdc.write_keytab("shared.keytab", FOREIGN_SERVICE)
    cache = intranet.kdc.sign_in("alice", cache="of-the-host")

    with environment({"KRB5_KTNAME": f"FILE:{shared}"}):
        app = windows_app()
        answer = sign_on(app, token(cache, FOREIGN_SERVICE, "negotiate"))
        own = sign_on(app, token(cache, SERVICE, "negotiate"))

    assert_challenged(answer)
    assert own.status_code == 200


def test_a_ticket_for_another_service_than_the_pinned_one_fails(intranet: Intranet) -> None:
    app = windows_app(service_principal=SERVICE)

    assert sign_on(app, intranet.token(service=SERVICE)).status_code == 200
    assert_challenged(sign_on(app, intranet.token(service=OTHER_SERVICE)))


def test_without_a_pin_each_web_service_of_the_keytab_will_do(intranet: Intranet) -> None:
    """An app that answers under several names."""
    app = windows_app()

    assert [sign_on(app, intranet.token(service=name)).status_code for name in (SERVICE, OTHER_SERVICE)] == [200, 200]


def test_a_ticket_for_a_service_without_a_key_here_fails(intranet: Intranet, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, LOGGER):
        answer = sign_on(windows_app(), intranet.token(service=FOREIGN_SERVICE))

    assert_challenged(answer)
    assert "the keytab has no key for the name in the URL" in caplog.text
    assert caplog.records[0].levelno == logging.WARNING


def test_keys_rotate_without_a_restart(intranet: Intranet, caplog: pytest.LogCaptureFixture) -> None:
    """Old keys stay in the keytab for the tickets that are out; new ones are used from the next request on."""
    kdc = intranet.kdc
    kdc.add_service("HTTP/rotating.localhost")
    keytab = kdc.write_keytab("rotating.keytab", "HTTP/rotating.localhost")
    old_ticket = kdc.sign_in("alice", cache="old-ticket")
    kdc.fetch_ticket(old_ticket, "HTTP/rotating.localhost")
    old_keys = keytab.read_bytes()

    with environment({"KRB5_KTNAME": f"FILE:{keytab}"}):
        app = windows_app()
        kdc.write_keytab("rotating.keytab", "HTTP/rotating.localhost")
        new_ticket = kdc.sign_in("alice", cache="new-ticket")
        by_old, by_new = (
            sign_on(app, token(cache, "HTTP/rotating.localhost", "negotiate")) for cache in (old_ticket, new_ticket)
        )
        keytab.write_bytes(old_keys)
        with caplog.at_level(logging.INFO, LOGGER):
            too_old = sign_on(app, token(new_ticket, "HTTP/rotating.localhost", "negotiate"))

    assert (by_old.status_code, by_new.status_code) == (200, 200)
    assert_challenged(too_old)
    assert "the keytab is older than the service's password" in caplog.text


@pytest.mark.parametrize(
    ("time", "reason"),
    [("+6m", "Clock skew too great"), ("-6m", "Ticket not yet valid"), ("+2h", "Ticket expired")],
    ids=["clock ahead", "clock behind", "expired ticket"],
)
def test_a_token_of_another_time_fails(intranet: Intranet, time: str, reason: str) -> None:
    cache = intranet.kdc.sign_in("alice", "-l", "1h", cache="of-another-time")

    output = intranet.ask_at(time, token(cache, SERVICE, "negotiate"))

    assert reason in output
    assert "status 401" in output


def test_clocks_may_differ_by_a_few_minutes(intranet: Intranet) -> None:
    assert "status 200" in intranet.ask_at("+4m", intranet.token())


@pytest.mark.parametrize("account", ["carol/admin", "PC7$"], ids=["service", "machine"])
def test_services_and_machines_do_not_sign_on(intranet: Intranet, account: str) -> None:
    """Whoever administers a machine holds its key, and would be a user of the app."""
    assert_denied(sign_on(windows_app(), intranet.token(account)))


def test_services_and_machines_sign_on_where_they_are_asked_for(intranet: Intranet) -> None:
    app = windows_app(accounts=["service", "machine"])

    assert service_claims(sign_on(app, intranet.token("carol/admin")))["asrs.s.uid"] == "carol/admin@intranet.test"
    assert service_claims(sign_on(app, intranet.token("PC7$")))["asrs.s.uid"] == "pc7$@intranet.test"
    assert_denied(sign_on(app, intranet.token("alice")))


def test_a_name_with_a_realm_in_it_is_nobody(intranet: Intranet) -> None:
    r"""An account named ``alice\@PARTNER.TEST`` must not pass for alice of the partner."""
    assert_denied(sign_on(windows_app([REALM, PARTNER]), intranet.token("alice@PARTNER.TEST")))


@pytest.mark.parametrize("realm", [PARTNER, LOOKALIKE], ids=["partner", "look-alike"])
def test_users_of_a_trusted_realm_do_not_sign_on_unless_it_is_named(
    intranet: Intranet, tmp_path: Path, realm: str
) -> None:
    """The KDC gives them tickets for our services; one realm's alice is not the other's, whatever its case."""
    with Kdc(tmp_path, realm) as partner:
        partner.add_user("alice")
        intranet.kdc.trust(partner)
        with environment(partner.environment):
            cache = partner.sign_in("alice")
            partner.fetch_ticket(cache, f"{SERVICE}@{REALM}")

        by_default = sign_on(windows_app(), token(cache, SERVICE, "negotiate"))
        named = sign_on(windows_app([realm]), token(cache, SERVICE, "negotiate"))

    assert_denied(by_default)
    assert service_claims(named)["asrs.s.uid"] == f"alice@{realm.lower()}"


def test_refusing_an_account_tells_nothing_about_it(intranet: Intranet) -> None:
    """Error oracle: unknown realm, wrong kind and the mapper's refusal read the same."""

    def nobody(identity: WindowsIdentity) -> None:
        return None

    answers = [
        sign_on(windows_app([PARTNER]), intranet.token()),
        sign_on(windows_app(), intranet.token("PC7$")),
        sign_on(windows_app(identity_mapper=nobody), intranet.token()),
    ]

    assert {answer.text for answer in answers} == {'{"error":"this account may not connect here"}'}


def test_a_refusal_brings_no_token(intranet: Intranet) -> None:
    """Whoever may not connect has nothing to check."""

    def refuse(principal: Principal) -> str | None:
        raise AuthorizationDenied("not today")

    assert_denied(sign_on(windows_app(hub={"user_id_provider": refuse}), intranet.token()))


@pytest.mark.parametrize(
    "value",
    ["!", "=", "abc", "YWJj, Bearer x", "YWJj YWJj", "Ä", "YII\x00", "a" * 70_000, "YIIC+wYGKwYBBQUCoIIC7zCCAuugDTAL"],
    ids=["sign", "padding", "length", "two", "blank", "letter", "null", "too long", "cut short"],
)
def test_a_malformed_token_is_challenged(intranet: Intranet, value: str) -> None:
    environ = {"HTTP_AUTHORIZATION": f"Negotiate {value}"}  # past the client's own checks

    assert_challenged(negotiate(windows_app(), environ_overrides=environ))


@pytest.mark.parametrize("cut", [1, 4, 40, 400, 700])
def test_a_truncated_token_is_challenged(intranet: Intranet, cut: int) -> None:
    whole = base64.b64decode(intranet.token())

    assert_challenged(sign_on(windows_app(), base64.b64encode(whole[:cut]).decode()))


def test_a_token_may_be_as_large_as_windows_makes_them(intranet: Intranet) -> None:
    """Members of many groups have tickets of 48,000 bytes; what follows the sign-on's own structure is ignored."""
    whole = base64.b64decode(intranet.token())

    answer = sign_on(windows_app(), base64.b64encode(whole.ljust(48_000, b"\0")).decode())

    assert answer.status_code == 200


def test_a_token_larger_than_that_is_not_looked_at(intranet: Intranet, caplog: pytest.LogCaptureFixture) -> None:
    """Denial of service; a larger limit can be set, and the log says so."""
    large = base64.b64encode(base64.b64decode(intranet.token()).ljust(1200, b"\0")).decode()

    with caplog.at_level(logging.INFO, LOGGER):
        answer = sign_on(windows_app(max_token_size=1197), large)

    assert_challenged(answer)
    assert "max_token_size" in caplog.text
    assert sign_on(windows_app(max_token_size=1200), large).status_code == 200


def test_ntlm_is_refused_without_another_challenge(intranet: Intranet) -> None:
    """A Windows client without a ticket offers it; a 401 would make its browser ask for a password."""
    bare = b"NTLMSSP\0\1\0\0\0" + bytes(28)

    assert_denied(sign_on(windows_app(), base64.b64encode(bare).decode()))


def test_turning_ntlm_on_by_an_environment_variable_fails(
    intranet: Intranet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Downgrade: pyspnego accepts NTLM as soon as NTLM_USER_FILE is set."""
    import spnego

    users = tmp_path / "users"
    users.write_text("INTRANET:alice:secret\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(users))
    client = spnego.client("INTRANET\\alice", "secret", protocol="ntlm")

    assert_denied(sign_on(windows_app(), base64.b64encode(client.step() or b"").decode()))


def test_a_negotiation_without_a_ticket_is_denied(intranet: Intranet) -> None:
    """SPNEGO's offer of mechanisms without a token of the first one would need a second request."""
    from spnego._spnego import NegTokenInit

    offer = NegTokenInit(["1.2.840.113554.1.2.2"]).pack()

    assert_denied(sign_on(windows_app(), base64.b64encode(offer).decode()))


def test_claiming_to_be_done_fails(intranet: Intranet) -> None:
    """SPNEGO's answer 'accept-completed', sent by the client as its first token."""
    from spnego._spnego import NegState, NegTokenResp

    done = NegTokenResp(neg_state=NegState.accept_complete, supported_mech="1.2.840.113554.1.2.2").pack()

    assert_challenged(sign_on(windows_app(), base64.b64encode(done).decode()))


# What goes into the log.


def test_no_part_of_a_token_is_logged(intranet: Intranet, caplog: pytest.LogCaptureFixture) -> None:
    """Not even by pyspnego, which writes out every token at DEBUG."""
    caplog.set_level(logging.DEBUG)
    app = windows_app()
    good, foreign = intranet.token(), intranet.token(service=FOREIGN_SERVICE)

    for value in (good, good, foreign, good[:400], "YWJj" * 20):
        sign_on(app, value)

    assert len(caplog.records) > 5
    for value in (good, foreign):
        pieces = {value[start : start + 24] for start in range(0, len(value) - 24, 12)}
        assert not any(piece in caplog.text for piece in pieces)


def test_the_real_reason_is_logged_and_not_told(intranet: Intranet, caplog: pytest.LogCaptureFixture) -> None:
    app, seen = windows_app(), intranet.token()
    sign_on(app, seen)

    with caplog.at_level(logging.INFO, LOGGER):
        answers = [sign_on(app, value) for value in (seen, intranet.token(service=FOREIGN_SERVICE), "YWJj")]

    assert {answer.text for answer in answers} == {'{"error":"Windows sign-on failed"}'}
    assert "replay" in caplog.text
    assert "not found in keytab" in caplog.text
    assert "it is malformed (" in caplog.text


def test_a_replay_cache_that_cannot_be_written_is_logged_with_the_remedy(
    intranet: Intranet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It stops every sign-on, as it must: without it, tokens could be sent again."""
    app = windows_app()
    monkeypatch.setenv("KRB5RCACHEDIR", str(tmp_path / "missing"))

    answer = sign_on(app, intranet.token())

    assert_challenged(answer)
    assert "KRB5RCACHEDIR" in caplog.text


def test_a_keytab_that_is_gone_is_logged_with_the_remedy(
    intranet: Intranet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = windows_app()
    monkeypatch.setenv("KRB5_KTNAME", "FILE:/missing.keytab")

    answer = sign_on(app, intranet.token())

    assert_challenged(answer)
    assert "KRB5_KTNAME" in caplog.text


def test_the_repr_shows_the_realms() -> None:
    assert repr(WindowsAuth([REALM])) == "WindowsAuth(Realms(INTRANET.TEST))"


# Configuration.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"realms": []}, "name a realm"),
        ({"realms": REALM}, "takes a list"),
        ({"realms": ["a@b"]}, "is not a realm"),
        ({"service_principal": "host/app"}, "service_principal"),
        ({"service_principal": "HTTP/app@REALM"}, "service_principal"),
        ({"ntlm": "no"}, "ntlm"),
        ({"max_token_size": 0}, "max_token_size"),
        ({"max_token_size": MAX_TOKEN_SIZE + 1}, "max_token_size"),
        ({"max_token_size": True}, "max_token_size"),
        ({"identity_mapper": "name"}, "identity_mapper"),
        ({"roles_provider": "staff"}, "roles_provider"),
        ({"accounts": "person"}, "accounts"),
        ({"accounts": []}, "accounts"),
        ({"accounts": ["people"]}, "accounts"),
    ],
)
def test_a_keyword_that_cannot_be_used_is_an_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        WindowsAuth(**options)


def mount(scheme: WindowsAuth) -> None:
    signalr = SignalR()
    signalr.hub("chat", auth=[scheme])
    create_app(signalr)


def test_a_missing_keytab_stops_init_app_with_the_remedy(intranet: Intranet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRB5_KTNAME", "FILE:/missing.keytab")

    with pytest.raises(ConfigurationError, match=r"keytab cannot be read.*KRB5_KTNAME"):
        mount(WindowsAuth())


def test_a_missing_keytab_stops_a_hub_that_is_declared_later(
    intranet: Intranet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRB5_KTNAME", "FILE:/missing.keytab")
    signalr = SignalR(create_app())

    with pytest.raises(ConfigurationError, match="KRB5_KTNAME"):
        signalr.hub("chat", auth=[WindowsAuth()])


def test_a_keytab_without_a_web_service_stops_init_app(intranet: Intranet, monkeypatch: pytest.MonkeyPatch) -> None:
    intranet.kdc.add_service("cifs/localhost")
    keytab = intranet.kdc.write_keytab("cifs.keytab", "cifs/localhost")
    monkeypatch.setenv("KRB5_KTNAME", f"FILE:{keytab}")

    with pytest.raises(ConfigurationError, match="has no key of an HTTP/ service"):
        mount(WindowsAuth())


def test_a_pin_that_is_not_in_the_keytab_stops_init_app(intranet: Intranet) -> None:
    with pytest.raises(ConfigurationError, match=r"the keytab has only HTTP/localhost, HTTP/other\.localhost"):
        mount(WindowsAuth(service_principal="HTTP/typo.localhost"))


@pytest.mark.parametrize("package", ["spnego", "gssapi", "krb5"])
def test_a_missing_package_stops_configuration(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Else pyspnego would say so at the first sign-on."""
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(MissingExtra, match=r"flask-signalr\[windows\]"):
        WindowsAuth()


def test_a_scheme_that_was_never_set_up_lets_nobody_in(intranet: Intranet) -> None:
    scheme = WindowsAuth()
    app = Flask(__name__)

    with (
        app.test_request_context(headers=intranet.headers()) as context,
        pytest.raises(ConfigurationError, match="not set up"),
    ):
        scheme.authenticate(context.request)


# On Windows, whose SSPI does not run here: what can be told apart without it.


@pytest.fixture
def on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")


@pytest.mark.usefixtures("on_windows")
def test_on_windows_no_keytab_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRB5_KTNAME", "FILE:/missing.keytab")

    mount(WindowsAuth([WindowsRealm(REALM, domain="INTRANET")]))


@pytest.mark.usefixtures("on_windows")
@pytest.mark.parametrize("realms", [None, [REALM]], ids=["none", "without domains"])
def test_on_windows_realms_are_named_with_their_domains(realms: list[str] | None) -> None:
    r"""There, accounts come as ``INTRANET\alice``."""
    with pytest.raises(ConfigurationError, match="domain='INTRANET'"):
        mount(WindowsAuth(realms))


@pytest.mark.usefixtures("on_windows")
def test_on_windows_the_account_decides_the_service() -> None:
    with pytest.raises(ConfigurationError, match="setspn"):
        mount(WindowsAuth([WindowsRealm(REALM, domain="INTRANET")], service_principal=SERVICE))


def test_on_windows_accounts_are_read_as_windows_writes_them(
    intranet: Intranet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A UPN, here; the tables of names are the same for the other form."""
    app = windows_app([WindowsRealm(REALM, domain="INTRANET")])
    value = intranet.token()
    monkeypatch.setattr(sys, "platform", "win32")

    answer = sign_on(app, value)

    assert service_claims(answer)["asrs.s.uid"] == "alice@intranet.test"
