"""Apps without access keys: what they answer, what they keep when configured anew, what must be installed."""

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask import Flask

from flask_signalr import ConfigurationError, MissingExtra, ServiceEndpoint, ServiceResponse, SignalR
from flask_signalr.entra.entra_access import EntraAccess
from flask_signalr.entra.entra_settings import EntraSettings
from tests.apps import ACCESS_KEY, body, create_app, negotiate
from tests.document_server import DocumentServer
from tests.entra import TOKEN, Clock, Credential, KeyService, join_fetches
from tests.test_entra_credentials import self_signed

WITHOUT_KEY = "Endpoint=https://chat.service.example;AuthType=azure;"
FAR = 4_000_000_000.0
ROOT = Path(__file__).parent.parent
ANY_APP = "ClientId=c;TenantId=t"


def credential() -> Credential:
    """Return a credential whose tokens last until long after this test."""
    return Credential(Clock(FAR))


def site(service: KeyService, given: object = None, **config: Any) -> tuple[Flask, SignalR]:
    signalr = SignalR(allow_anonymous=True, credential=given)
    signalr.hub("chat")
    app = create_app(signalr, **{"SIGNALR_CONNECTION_STRING": WITHOUT_KEY, **config})
    app.extensions["signalr"].use_transport(service)
    return app, signalr


def key_id(app: Flask) -> str:
    """Return the id of the key that signed the token of an answer."""
    found: str = jwt.get_unverified_header(body(negotiate(app))["accessToken"])["kid"]
    join_fetches()
    return found


@pytest.mark.parametrize("way", ["keyword", "configuration"])
def test_a_client_gets_a_token_that_the_services_key_signed(way: str) -> None:
    service = KeyService()
    app, _ = site(service, credential()) if way == "keyword" else site(service, SIGNALR_CREDENTIAL=credential())

    assert key_id(app) == "key-1"
    assert service.requests[0].headers["Authorization"] == f"Bearer {TOKEN}"


def test_the_keyword_comes_before_the_configuration() -> None:
    ours, theirs = credential(), credential()
    app, _ = site(KeyService(), ours, SIGNALR_CREDENTIAL=theirs)

    key_id(app)

    assert (len(ours.scopes), len(theirs.scopes)) == (1, 0)


# Without a key: 503, and nothing more for the caller.


def test_without_a_key_the_caller_learns_when_to_come_again_and_the_log_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    service = KeyService(exchange=lambda: ServiceResponse(403, {}, b'{"code":"c","message":"tenant 5a6b4c8e"}'))
    app, _ = site(service, credential())

    answer = negotiate(app, headers={"Origin": "http://localhost"})

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert body(answer) == {"error": "the service gave no key to sign with, please try again later"}
    assert "assign it the role 'SignalR Service Owner'" in caplog.text
    assert "tenant 5a6b4c8e" in caplog.text
    assert TOKEN not in caplog.text


def test_the_caller_does_not_learn_what_the_identity_provider_said() -> None:
    own = credential()
    own.fault = RuntimeError("AADSTS700016: Application 0c1d2e3f was not found in the directory")
    app, _ = site(KeyService(), own)

    answer = negotiate(app)

    assert answer.status_code == 503
    assert b"AADSTS" not in answer.data
    assert b"0c1d2e3f" not in answer.data


# Calls of the service.


def test_calls_and_keys_share_one_token() -> None:
    service, own = KeyService(), credential()
    app, signalr = site(service, own)
    hub = signalr.hub("news")

    key_id(app)
    with app.app_context():
        hub.clients.all.send("news", 1)

    assert [request.headers["Authorization"] for request in service.requests] == [f"Bearer {TOKEN}"] * 2
    assert len(own.scopes) == 1


# Configured anew.


def test_a_key_stays_when_other_things_are_configured_anew() -> None:
    service = KeyService()
    app, signalr = site(service, credential())
    key_id(app)
    app.config["SIGNALR_ACCESS_TOKEN_LIFETIME"] = 60

    signalr.reload(app)

    assert key_id(app) == "key-1"
    assert service.exchanges == 1


def test_another_credential_fetches_its_own_key() -> None:
    service = KeyService()
    app, signalr = site(service, SIGNALR_CREDENTIAL=credential())
    key_id(app)
    app.config["SIGNALR_CREDENTIAL"] = other = credential()

    signalr.reload(app)
    key_id(app)

    assert service.exchanges == 2
    assert len(other.scopes) == 1


def test_a_new_certificate_in_the_old_ones_place_is_taken_on(tmp_path: Path) -> None:
    """Where secrets are mounted the path stays, and a credential reads its file once."""
    path = tmp_path / "app.pem"
    path.write_bytes(self_signed())
    string = f"Endpoint=https://chat.service.example;AuthType=azure.app;{ANY_APP};ClientCert={path}"
    facts = ([ServiceEndpoint.parse(string)], EntraSettings(), "", 10.0, 3)
    access = EntraAccess(*facts)
    assert access.is_made_of(*facts)

    os.utime(path, ns=(0, 0))
    assert not access.is_made_of(*facts)

    path.unlink()
    assert not access.is_made_of(*facts), "or it would not be told that the file is gone"
    with pytest.raises(ConfigurationError, match=r"app\.pem\): No such file"):
        EntraAccess(*facts)


def test_an_app_can_move_to_access_keys_and_back() -> None:
    service = KeyService()
    app, signalr = site(service, credential())
    key_id(app)
    app.config["SIGNALR_CONNECTION_STRING"] = f"Endpoint=https://chat.service.example;AccessKey={ACCESS_KEY}"
    signalr.reload(app)
    assert negotiate(app).status_code == 200
    app.config["SIGNALR_CONNECTION_STRING"] = WITHOUT_KEY
    signalr.reload(app)

    assert key_id(app) == "key-1"
    assert service.exchanges == 2


# What must be installed.


def test_without_azure_identity_the_app_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity", None)

    with pytest.raises(MissingExtra, match=r"an AuthType in the connection string .*\[entra\]"):
        create_app(SignalR(), SIGNALR_CONNECTION_STRING=WITHOUT_KEY)


def test_without_urllib3_the_app_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flask_signalr.rest.urllib3_transport", None)

    with pytest.raises(MissingExtra, match=r"an AuthType in the connection string .*\[entra\]"):
        create_app(SignalR(credential=credential()), SIGNALR_CONNECTION_STRING=WITHOUT_KEY)


def test_an_app_with_access_keys_loads_nothing_of_this() -> None:
    program = (
        "import sys, json; from flask import Flask; from flask_signalr import SignalR\n"
        "app = Flask('a'); app.config['SIGNALR_CONNECTION_STRING'] = 'Endpoint=https://a.example;AccessKey=k'\n"
        "SignalR(app)\n"
        "print(json.dumps([name for name in sys.modules if name.split('.')[0] in ('azure', 'msal', 'requests')]))"
    )

    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert json.loads(run.stdout) == []


STARTED = """
import json, sys
from flask import Flask
from flask_signalr import SignalR
app = Flask("a")
app.config["SIGNALR_CONNECTION_STRING"] = sys.argv[1]
SignalR(app, allow_anonymous=True).hub("chat")
loaded = ["azure.identity" in sys.modules]
status = app.test_client().post("/chat/negotiate?negotiateVersion=1").status_code
print(json.dumps([*loaded, status, "azure.identity" in sys.modules]))
"""
"""Starts an app, and lets a client negotiate; tells when azure-identity was imported."""


@pytest.mark.parametrize(
    ("auth_type", "status"),
    [
        ("azure", 200),
        ("azure.msi", 200),
        ("azure.msi;ClientId=c", 200),
        ("aad", 200),
        (f"azure.app;{ANY_APP};ClientSecret=s", 503),
        (f"azure.app;{ANY_APP};ClientCert={{path}}", 503),
    ],
)
def test_azure_identity_is_imported_by_the_first_negotiation_and_not_by_the_start(
    auth_type: str, status: int, tmp_path: Path
) -> None:
    """Its import takes a second or two, in each worker and each command of ``flask``.

    The real azure-identity finds the token service of an App Service; no application gets past the proxy.
    """
    (tmp_path / "app.pem").write_bytes(self_signed())
    with DocumentServer() as service:
        given = {"access_token": TOKEN, "expires_on": str(int(FAR)), "resource": "r", "token_type": "Bearer"}
        query = "api-version=2019-08-01&resource=https://signalr.azure.com"
        service.documents[f"/msi?{query}"] = service.documents[f"/msi?{query}&client_id=c"] = given
        service.documents["/api/v1/auth/accessKey"] = {"KeyId": "key-1", "AccessKey": "a" * 44}
        machine = {"IDENTITY_ENDPOINT": f"{service.url}/msi", "IDENTITY_HEADER": "h", "HTTPS_PROXY": service.url}
        others = re.compile(r"AZURE_.*|.*_proxy", re.IGNORECASE)
        environment = {name: text for name, text in os.environ.items() if not others.fullmatch(name)} | machine
        string = f"Endpoint={service.url};AuthType={auth_type.format(path=tmp_path / 'app.pem')}"

        run = subprocess.run(
            [sys.executable, "-c", STARTED, string],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )

    assert json.loads(run.stdout) == [False, status, True], run.stderr


def test_a_certificate_that_is_none_is_a_503_for_clients_and_told_to_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its file is read at the first use, so that an app starts at once."""
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "app.pem"
    path.write_text(ACCESS_KEY)
    string = f"Endpoint=https://chat.service.example;AuthType=azure.app;{ANY_APP};ClientCert={path}"
    app, _ = site(KeyService(), SIGNALR_CONNECTION_STRING=string)

    answer = negotiate(app)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert body(answer) == {"error": "the service gave no key to sign with, please try again later"}
    told = [record.getMessage() for record in caplog.records if "Microsoft Entra token" in record.getMessage()]
    assert len(told) == 1
    assert f"AuthType ({path}) cannot be made: ValueError: " in told[0]
    assert told[0].endswith("give a PEM file with the certificate and its RSA key, without a password")
    assert ACCESS_KEY not in caplog.text


@pytest.mark.parametrize(
    ("keyword", "configured", "name"), [("text", None, "credential="), (None, "text", "SIGNALR_CREDENTIAL")]
)
def test_a_credential_that_is_none_is_named(keyword: Any, configured: Any, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name}: a credential has get_token"):
        create_app(SignalR(credential=keyword), SIGNALR_CONNECTION_STRING=WITHOUT_KEY, SIGNALR_CREDENTIAL=configured)


def test_a_credential_does_not_show_in_a_repr() -> None:
    own = credential()

    assert repr(own) not in repr(EntraSettings(own))
