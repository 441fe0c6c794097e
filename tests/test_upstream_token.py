"""The token of the service's managed identity, against an identity provider on this machine."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from flask_signalr import ConfigurationError, MissingExtra
from flask_signalr.upstream_settings import UpstreamToken
from flask_signalr.upstream_token import UpstreamTokenCheck
from tests.apps import body
from tests.document_server import DocumentServer
from tests.signing import jwk, rsa_key, token
from tests.test_upstream_views import Site
from tests.upstream_calls import CONNECTION_ID, headers_of, post, signed

APP_ID = "3b1c5e3e-0000-4000-8000-00000000000a"
AUDIENCE = "api://chat-upstream"


@pytest.fixture(scope="module")
def provider() -> Iterator[DocumentServer]:
    with DocumentServer() as server:
        server.documents["/.well-known/openid-configuration"] = {"issuer": server.url, "jwks_uri": f"{server.url}/keys"}
        server.documents["/keys"] = {"keys": [jwk(rsa_key())]}
        yield server


@pytest.fixture
def site(provider: DocumentServer) -> Site:
    return Site(
        SIGNALR_UPSTREAM_ISSUER=provider.url, SIGNALR_UPSTREAM_AUDIENCE=AUDIENCE, SIGNALR_UPSTREAM_APP_ID=APP_ID
    )


def identity_token(provider: DocumentServer, **changes: Any) -> str:
    """Return a token of the service's identity; a change to ``...`` leaves a claim out."""
    usual = {"iss": provider.url, "aud": AUDIENCE, "appid": APP_ID, "sub": ...}
    return token(rsa_key(), "RS256", header={"kid": "k1"}, **(usual | changes))


def status_with(site: Site, bearer: str | None, signature: str | None = signed()) -> int:
    headers = headers_of("messages", "add", signature=signature)
    if bearer is not None:
        headers["Authorization"] = f"Bearer {bearer}"
    content = {"type": 1, "target": "add", "invocationId": "1", "arguments": []}
    answer = post(site.app, "/chat/upstream/messages/add", headers, content)
    if answer.status_code == 401:
        assert list(body(answer)) == ["error"]
        assert answer.headers.get("WWW-Authenticate") == ("Bearer" if signature == signed() else None)
        assert not bearer or bearer[:40] not in answer.text or len(bearer) < 40
    assert (answer.status_code == 200) == (len(site.ran) == 1)
    return answer.status_code


@pytest.mark.parametrize(
    "changes",
    [{}, {"appid": ..., "azp": APP_ID}, {"azp": APP_ID}, {"aud": [AUDIENCE, "other"]}],
    ids=["version 1", "version 2", "both", "several audiences"],
)
def test_the_services_identity_is_let_in(site: Site, provider: DocumentServer, changes: dict[str, Any]) -> None:
    assert status_with(site, identity_token(provider, **changes)) == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"appid": "another"},
        {"appid": ...},
        {"azp": "another"},
        {"appid": "another", "azp": APP_ID},
        {"appid": [APP_ID]},
        {"aud": "api://other"},
        {"aud": ...},
        {"iss": "https://login.example/"},
        {"exp": 1},
        {"exp": ...},
        {"nbf": 4_000_000_000},
    ],
    ids=str,
)
def test_the_token_of_another_app_is_refused(site: Site, provider: DocumentServer, changes: dict[str, Any]) -> None:
    """Any app of the directory gets tokens for any audience; the application id says whose it is."""
    assert status_with(site, identity_token(provider, **changes)) == 401


def test_a_token_that_somebody_else_signed_is_refused(site: Site, provider: DocumentServer) -> None:
    claims = {"iss": provider.url, "aud": AUDIENCE, "appid": APP_ID}

    assert status_with(site, token(rsa_key("second"), "RS256", header={"kid": "k1"}, **claims)) == 401
    assert status_with(site, token("x" * 64, "HS256", header={"kid": "k1"}, **claims)) == 401


@pytest.mark.parametrize("bearer", [None, "", "x", "a.b.c"])
def test_without_a_token_a_signature_is_not_enough(site: Site, bearer: str | None) -> None:
    """Whoever has seen one request has a signature for ever."""
    assert status_with(site, bearer) == 401


def test_without_a_signature_a_token_is_not_enough(site: Site, provider: DocumentServer) -> None:
    """The service's identity may also be used by others who administer it."""
    assert status_with(site, identity_token(provider), signature=None) == 401


@pytest.mark.parametrize("authorization", [None, "Basic eDp5"], ids=["alone", "beside another scheme"])
def test_a_token_in_the_url_is_no_token(site: Site, provider: DocumentServer, authorization: str | None) -> None:
    """It would stand in the log of everything on the way; the target ends like a path that takes one."""
    content = {"type": 1, "target": "x/negotiate", "invocationId": "1", "arguments": []}
    path = f"/chat/upstream/messages/x%2Fnegotiate?access_token={identity_token(provider)}"

    headers = headers_of("messages", "x/negotiate") | ({"Authorization": authorization} if authorization else {})
    answer = post(site.app, path, headers, content)

    assert answer.status_code == 401
    assert site.ran == []


def test_an_identity_provider_that_is_down_is_no_reason_to_let_in(provider: DocumentServer) -> None:
    with DocumentServer() as down:
        site = Site(
            SIGNALR_UPSTREAM_ISSUER=down.url, SIGNALR_UPSTREAM_AUDIENCE=AUDIENCE, SIGNALR_UPSTREAM_APP_ID=APP_ID
        )

        assert status_with(site, identity_token(provider, iss=down.url)) == 503


@pytest.mark.parametrize("issuer", ["login.example", "http://login.example", "https://login.example/?a=1", "ftp://x"])
def test_an_issuer_that_keys_cannot_be_fetched_from_is_refused_by_its_key(issuer: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^SIGNALR_UPSTREAM_ISSUER: (?!BearerAuth)"):
        UpstreamTokenCheck(UpstreamToken(issuer, AUDIENCE, APP_ID))


def test_the_connection_is_the_one_that_was_signed(site: Site, provider: DocumentServer) -> None:
    other = signed(CONNECTION_ID + "x")

    assert status_with(site, identity_token(provider), signature=other) == 401


def test_without_cryptography_the_configuration_names_the_key_and_the_extra() -> None:
    program = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from flask import Flask\n"
        "from flask_signalr import SignalR\n"
        "from flask_signalr.errors import MissingExtra\n"
        "app = Flask('x')\n"
        "app.config['SIGNALR_CONNECTION_STRING'] = 'Endpoint=https://a;AccessKey=' + 'x' * 40\n"
        "app.config['SIGNALR_UPSTREAM_ISSUER'] = 'https://login.example/tenant'\n"
        "app.config['SIGNALR_UPSTREAM_AUDIENCE'] = 'api://chat'\n"
        "app.config['SIGNALR_UPSTREAM_APP_ID'] = 'x'\n"
        "try: SignalR(app)\n"
        "except MissingExtra as exc: print(exc)"
    )

    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert run.stdout == f"{MissingExtra('SIGNALR_UPSTREAM_ISSUER', 'jwks')}\n"
