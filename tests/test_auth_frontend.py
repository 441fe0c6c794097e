"""FrontEndAuth: whose word is taken for who the caller is, and each way to forge it."""

import json
from base64 import b64encode
from typing import Any

import pytest
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import TestResponse

from flask_signalr import ConfigurationError, Policy, SignalR, everything, require_role
from flask_signalr.auth.easy_auth import MAX_CLAIMS, MAX_LENGTH
from flask_signalr.auth.frontend import FrontEndAuth
from flask_signalr.auth.windows_identity import WindowsRealm
from tests.apps import create_app, negotiate, service_claims

INTRANET = WindowsRealm("INTRANET.TEST", domain="INTRANET")
PROXY, STRANGER = "10.1.2.3", "203.0.113.9"
OBJECT_ID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
ROLE = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"


def app_with(scheme: FrontEndAuth, **options: Any) -> Flask:
    signalr = SignalR()
    signalr.hub("chat", auth=[scheme], claims_filter=everything, **options)
    return create_app(signalr)


def ask(app: Flask, environ: Any = None, *, peer: str = PROXY, **headers: Any) -> TestResponse:
    """Return the answer to a negotiate request that came from a peer; ``X_Header`` stands for ``X-Header``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return negotiate(app, headers=named, environ_overrides={"REMOTE_ADDR": peer, **(environ or {})})


def user_id(answer: TestResponse) -> Any:
    return service_claims(answer)["asrs.s.uid"]


# REMOTE_USER.


@pytest.mark.parametrize(
    ("name", "expected"),
    [("alice", "alice"), ("Alice@corp.example", "alice@corp.example"), (" alice ", "alice"), ("jos\xc3\xa9", "josé")],
)
def test_the_web_servers_user_is_signed_in(name: str, expected: str) -> None:
    """PEP 3333 hands the name's bytes over as Latin-1."""
    answer = ask(app_with(FrontEndAuth()), {"REMOTE_USER": name})

    assert user_id(answer) == expected
    assert service_claims(answer)["asrs.s.aut"] == "FrontEnd"


@pytest.mark.parametrize("environ", [{}, {"REMOTE_USER": ""}])
def test_without_a_user_nobody_is_signed_in(environ: dict[str, str]) -> None:
    answer = ask(app_with(FrontEndAuth()), environ)

    assert answer.status_code == 401
    assert "WWW-Authenticate" not in answer.headers


@pytest.mark.parametrize("header", ["Remote_User", "X_Remote_User", "REMOTE_USER", "X_Forwarded_User"])
def test_a_client_cannot_set_remote_user_by_a_header(header: str) -> None:
    """A header ``Remote-User`` is ``HTTP_REMOTE_USER`` to WSGI, another thing."""
    answer = ask(app_with(FrontEndAuth()), **{header: "admin"})

    assert answer.status_code == 401


@pytest.mark.parametrize(
    "name", ["\xff", "   ", "a\nb", "a\x00", "al\xe2\x80\x8bice", "alice\xc2\xa0", "a" * 513], ids=repr
)
def test_an_unreadable_name_is_refused(name: str) -> None:
    """Never taken for nobody: then the next scheme would be asked, or the hub be open."""
    answer = ask(app_with(FrontEndAuth(), allow_anonymous=True), {"REMOTE_USER": name})

    assert answer.status_code == 401
    assert name not in answer.text


@pytest.mark.parametrize("name", ["INTRANET\\alice", "alice@INTRANET.TEST", "ALICE@intranet.test"])
def test_a_windows_account_is_the_user_that_windows_sign_on_makes_of_it(name: str) -> None:
    """IIS writes the one form, mod_auth_gssapi the other."""
    answer = ask(
        app_with(FrontEndAuth(realms=[INTRANET], roles_provider={"alice@INTRANET.TEST": ["staff"]})),
        {"REMOTE_USER": name},
    )

    claims = service_claims(answer)
    assert (claims["asrs.s.uid"], claims["role"]) == ("alice@intranet.test", "staff")


@pytest.mark.parametrize(
    "name", ["OTHER\\alice", "alice@OTHER.TEST", "alice", "INTRANET\\PC7$", "HTTP/web@INTRANET.TEST"]
)
def test_an_account_that_windows_sign_on_refuses_is_refused(name: str) -> None:
    assert ask(app_with(FrontEndAuth(realms=[INTRANET])), {"REMOTE_USER": name}).status_code == 403


def test_the_mapper_decides_here_too() -> None:
    assert (
        ask(
            app_with(FrontEndAuth(realms=[INTRANET], identity_mapper=lambda identity: None)),
            {"REMOTE_USER": "INTRANET\\alice"},
        ).status_code
        == 403
    )


# A header.


def header_app(*peers: str) -> Flask:
    return app_with(FrontEndAuth.header("X-Remote-User", trusted_peers=peers or [PROXY]))


def test_a_trusted_front_ends_header_is_believed() -> None:
    assert user_id(ask(header_app(), X_Remote_User="alice")) == "alice"


def test_a_header_from_anybody_else_is_an_attack() -> None:
    answer = ask(header_app(), peer=STRANGER, X_Remote_User="admin")

    assert answer.status_code == 401
    assert answer.json == {"error": "the sign-in did not come from the front end"}


def test_an_open_hub_does_not_take_the_attacker_for_anybody() -> None:
    app = app_with(FrontEndAuth.header("X-Remote-User", trusted_peers=[PROXY]), allow_anonymous=True)

    assert ask(app, peer=STRANGER, X_Remote_User="admin").status_code == 401


@pytest.mark.parametrize("number", [1, 2])
def test_pretending_by_x_forwarded_for_to_be_the_front_end_fails(number: int) -> None:
    """ProxyFix puts the client that the header names in the peer's place: the real peer counts."""
    app = header_app()
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=number)  # type: ignore[method-assign]

    answer = ask(app, peer=STRANGER, X_Remote_User="admin", X_Forwarded_For=f"{PROXY}, {PROXY}")

    assert answer.status_code == 401


def test_a_front_end_that_names_its_client_is_still_believed() -> None:
    app = header_app()
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]

    assert user_id(ask(app, X_Remote_User="alice", X_Forwarded_For=STRANGER)) == "alice"


@pytest.mark.parametrize("value", ["alice,admin", "admin, alice"])
def test_a_second_header_beside_the_front_ends_own_fails(value: str) -> None:
    """Servers join headers of the same name with a comma, in the order in which they came."""
    assert ask(header_app(), X_Remote_User=value).status_code == 401


@pytest.mark.parametrize("other", ["X_Remote_Users", "Remote_User", "X_Forwarded_User"])
def test_no_other_header_is_looked_at(other: str) -> None:
    assert ask(header_app(), **{other: "admin"}).status_code == 401


@pytest.mark.parametrize(
    "name", ["", "X Remote", "X_Remote_User", "X-Remote-User:", "Authorization", "cookie", "Host", "a" * 101]
)
def test_a_name_that_no_front_end_header_has_is_an_error(name: str) -> None:
    with pytest.raises(ConfigurationError, match="header's name"):
        FrontEndAuth.header(name, trusted_peers=[PROXY])


# Azure Easy Auth.


def client_principal(**changes: Any) -> str:
    principal = {
        "auth_typ": "aad",
        "claims": [
            {"typ": "name", "val": "Alice A"},
            {"typ": "preferred_username", "val": "alice@corp.example"},
            {"typ": OBJECT_ID, "val": "7f3a"},
            {"typ": "roles", "val": "staff"},
            {"typ": "roles", "val": "admin"},
        ],
        "name_typ": "preferred_username",
        "role_typ": "roles",
    }
    return b64encode(json.dumps(principal | changes).encode()).decode()


def easy_auth_app(**options: Any) -> Flask:
    return app_with(FrontEndAuth.easy_auth(trusted_peers=[PROXY]), **options)


def test_easy_auths_user_is_signed_in_with_claims_and_roles() -> None:
    claims = service_claims(ask(easy_auth_app(), X_MS_CLIENT_PRINCIPAL=client_principal()))

    assert claims["asrs.s.uid"] == "alice@corp.example"
    assert claims["asrs.s.aut"] == "aad"
    assert claims["role"] == ["staff", "admin"]
    assert (claims["name"], claims["oid"]) == ("Alice A", "7f3a")


def test_on_app_service_every_peer_may_bring_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    """App Service takes it out of what clients send."""
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")
    app = app_with(FrontEndAuth.easy_auth())

    assert user_id(ask(app, peer=STRANGER, X_MS_CLIENT_PRINCIPAL=client_principal())) == "alice@corp.example"


@pytest.mark.parametrize("value", [None, "", "False", "0"])
def test_away_from_app_service_everybody_could_send_the_header(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("WEBSITE_AUTH_ENABLED", raising=False)
    if value is not None:
        monkeypatch.setenv("WEBSITE_AUTH_ENABLED", value)

    with pytest.raises(ConfigurationError, match="trusted_peers"):
        app_with(FrontEndAuth.easy_auth())


def test_a_principal_from_a_stranger_is_an_attack() -> None:
    assert ask(easy_auth_app(), peer=STRANGER, X_MS_CLIENT_PRINCIPAL=client_principal()).status_code == 401


@pytest.mark.parametrize("header", ["X_MS_CLIENT_PRINCIPAL_NAME", "X_MS_CLIENT_PRINCIPAL_ID"])
def test_the_other_headers_prove_nothing(header: str) -> None:
    assert ask(easy_auth_app(), **{header: "admin"}).status_code == 401


@pytest.mark.parametrize(
    ("provider", "role_type", "forged"),
    [("aad", "roles", "role"), ("aad", "roles", ROLE), ("custom", ROLE, "role"), ("custom", ROLE, "roles")],
)
def test_a_claim_that_looks_like_a_role_is_none(provider: str, role_type: str, forged: str) -> None:
    """Attack: whoever can name a claim of a provider puts a role there. Policies take each of these names for one."""
    principal = client_principal(
        auth_typ=provider,
        role_typ=role_type,
        claims=[{"typ": forged, "val": "admin"}, {"typ": "preferred_username", "val": "mallory"}],
    )

    answer = ask(easy_auth_app(policy=Policy(require_role("admin"))), X_MS_CLIENT_PRINCIPAL=principal)

    assert answer.status_code == 403
    assert {"role", "roles", ROLE}.isdisjoint(service_claims(ask(easy_auth_app(), X_MS_CLIENT_PRINCIPAL=principal)))


def test_app_roles_of_entra_are_roles_whatever_app_service_calls_the_type() -> None:
    """It says that roles have .NET's long type, and leaves those of the app registration under ``roles``."""
    principal = client_principal(role_typ=ROLE)

    answer = ask(easy_auth_app(policy=Policy(require_role("admin"))), X_MS_CLIENT_PRINCIPAL=principal)

    assert service_claims(answer)["role"] == ["staff", "admin"]


@pytest.mark.parametrize(
    "header",
    [
        "!",
        "e30",
        b64encode(b"{}").decode(),
        b64encode(b"[]").decode(),
        b64encode(b"\xff").decode(),
        b64encode(b"[" * 5000).decode(),
        client_principal(claims=None),
        client_principal(claims=[{"typ": "name"}]),
        client_principal(claims=[{"typ": "", "val": "x"}]),
        client_principal(claims=[]),
        client_principal(name_typ="sub"),
        client_principal(name_typ=None),
        client_principal(auth_typ=""),
        client_principal(auth_typ="a" * 65),
        client_principal(claims=[{"typ": "preferred_username", "val": " "}]),
        client_principal(claims=[{"typ": "preferred_username", "val": "a\nb"}]),
        client_principal(claims=[{"typ": "a", "val": "b"}] * (MAX_CLAIMS + 1)),
        client_principal(claims=[{"typ": "preferred_username", "val": "a" * MAX_LENGTH}]),
        f"{client_principal()},{client_principal()}",
        "\xff",
    ],
)
def test_an_unreadable_principal_is_refused(header: str) -> None:
    app = easy_auth_app(allow_anonymous=True)

    answer = ask(app, {"HTTP_X_MS_CLIENT_PRINCIPAL": header})

    assert answer.status_code == 401
    assert answer.json == {"error": "the front end's sign-in cannot be read"}


# Configuration.


@pytest.mark.parametrize("options", [{"realms": []}, {"roles_provider": {}}, {"identity_mapper": str}])
def test_what_needs_realms_says_so(options: Any) -> None:
    with pytest.raises(ConfigurationError, match="need realms"):
        FrontEndAuth(**options)


@pytest.mark.parametrize("keyword", ["identity_maper", "role_provider", "accounts", "ntlm"])
def test_a_refusal_under_a_misspelt_keyword_is_not_dropped_in_silence(keyword: str) -> None:
    options: dict[str, Any] = {"realms": [INTRANET], keyword: None}

    with pytest.raises(ConfigurationError, match=f"{keyword}= is no keyword"):
        FrontEndAuth(**options)


@pytest.mark.parametrize("name", ["\u00a0alice", "alice\u2003", "\u3000INTRANET\\alice"])
def test_a_name_with_odd_blanks_does_not_pass_for_another(name: str) -> None:
    sent = name.encode().decode("latin-1")

    assert ask(app_with(FrontEndAuth()), {"REMOTE_USER": sent}).status_code == 401
