"""BearerAuth with published keys: the attacks that come with them, over a real key set on a real web server."""

import hmac
import json
import logging
import sys
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_signalr.auth.bearer import BearerAuth
from flask_signalr.auth.key_set import KeyFetching
from flask_signalr.errors import AuthenticationFailed, ConfigurationError, IdentityProviderUnavailable, MissingExtra
from tests.document_server import DocumentServer, answer
from tests.signing import bearing, ec_key, ed_key, jwk, public_pem, rsa_key, token

ISSUER = "https://login.example/tenant"
GOOD: Mapping[str, Any] = {"iss": ISSUER, "aud": "api://chat"}


@pytest.fixture
def server() -> Iterator[DocumentServer]:
    with DocumentServer() as server:
        server.documents["/keys"] = {"keys": [jwk(rsa_key(), "k1"), jwk(ec_key(), "k2"), jwk(ed_key(), "k3")]}
        yield server


@pytest.fixture
def auth(server: DocumentServer) -> BearerAuth:
    return BearerAuth.jwks(f"{server.url}/keys", issuer=ISSUER, audience="api://chat")


def refusal(auth: BearerAuth, token: str) -> str:
    with pytest.raises(AuthenticationFailed) as refused:
        auth.authenticate(bearing(token))
    return str(refused.value)


def name_of(auth: BearerAuth, token: str) -> str | None:
    principal = auth.authenticate(bearing(token))
    assert principal is not None
    return principal.name


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [
        (rsa_key(), "RS256", "k1"),
        (rsa_key(), "PS512", "k1"),
        (ec_key(), "ES256", "k2"),
        (ed_key(), "EdDSA", "k3"),
    ],
    ids=["RS256", "PS512", "ES256", "EdDSA"],
)
def test_a_token_of_a_published_key_is_accepted(auth: BearerAuth, key: Any, algorithm: str, kid: str) -> None:
    assert name_of(auth, token(key, algorithm, header={"kid": kid}, **GOOD)) == "ada"


def test_a_token_without_kid_is_accepted_if_one_key_fits(auth: BearerAuth) -> None:
    assert name_of(auth, token(ec_key(), "ES256", **GOOD)) == "ada"


def test_the_keys_are_fetched_once_for_many_tokens(auth: BearerAuth, server: DocumentServer) -> None:
    good = token(rsa_key(), "RS256", header={"kid": "k1"}, **GOOD)

    for _ in range(10):
        name_of(auth, good)

    assert server.requested == ["/keys"]


def test_nothing_is_fetched_while_the_app_is_set_up(auth: BearerAuth, server: DocumentServer) -> None:
    assert server.requested == []


# Attacks.


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_hs_token_signed_with_a_published_key_is_refused(
    auth: BearerAuth, server: DocumentServer, algorithm: str
) -> None:
    """RS to HS confusion: everybody has the published key; no algorithm of shared secrets is ever tried."""
    signed = token("x" * 64, algorithm, header={"kid": "k1"}, **GOOD).rpartition(".")[0]
    mac = hmac.digest(public_pem(rsa_key()).encode(), signed.encode(), f"sha{algorithm[2:]}")

    reason = refusal(auth, f"{signed}.{jwt.utils.base64url_encode(mac).decode()}")

    assert "algorithm" in reason
    assert server.requested == []  # and nobody was asked for keys


def test_hs_token_signed_with_a_published_symmetric_key_is_refused(auth: BearerAuth, server: DocumentServer) -> None:
    """A secret in a public document is none."""
    secret = "s" * 64
    published = {"kty": "oct", "k": jwt.utils.base64url_encode(secret.encode()).decode(), "kid": "k9", "alg": "HS256"}
    server.documents["/keys"]["keys"].append(published)

    assert "algorithm" in refusal(auth, token(secret, "HS256", header={"kid": "k9"}, **GOOD))


def test_alg_none_is_refused(auth: BearerAuth) -> None:
    unsigned = jwt.encode({"sub": "ada", "exp": 9_999_999_999, **GOOD}, "", algorithm="none")

    assert "algorithm" in refusal(auth, unsigned)


@pytest.mark.parametrize("header", ["jku", "x5u", "jwk", "x5c"])
def test_a_key_that_the_token_itself_brings_is_ignored(auth: BearerAuth, server: DocumentServer, header: str) -> None:
    """Whoever forges a token can publish the key to it."""
    mine = jwk(rsa_key("attacker"), "k1")
    server.documents["/attacker"] = {"keys": [mine]}
    brought = {"jwk": mine, "x5c": ["MIIB"]}.get(header, f"{server.url}/attacker")

    reason = refusal(auth, token(rsa_key("attacker"), "RS256", header={"kid": "k1", header: brought}, **GOOD))

    assert reason == "the bearer token's signature is wrong"
    assert server.requested == ["/keys"]


@pytest.mark.parametrize(
    "kid",
    ["../../../dev/null", "/keys", "https://evil.example/key", "' OR '1'='1", "\x00", "k1\n", "K1", "", " k1"],
    ids=repr,
)
def test_kid_injection_finds_no_key(auth: BearerAuth, kid: str) -> None:
    """A key id is compared and nothing else: it is no path, no URL and no query."""
    assert "does not publish" in refusal(auth, token(rsa_key(), "RS256", header={"kid": kid}, **GOOD))


def test_another_published_keys_id_is_refused(auth: BearerAuth) -> None:
    assert "does not publish" in refusal(auth, token(rsa_key(), "RS256", header={"kid": "k2"}, **GOOD))


def test_a_key_of_another_provider_is_refused(auth: BearerAuth) -> None:
    assert "signature" in refusal(auth, token(rsa_key("other"), "RS256", header={"kid": "k1"}, **GOOD))


@pytest.mark.parametrize(("use", "alg"), [("enc", None), ("sig", "RSA-OAEP"), ("sig", "RS512")])
def test_a_key_is_used_for_nothing_but_its_purpose(server: DocumentServer, use: str, alg: str | None) -> None:
    member = jwk(rsa_key("second"), "k9", use=use) | ({"alg": alg} if alg else {})
    server.documents["/keys"]["keys"].append(member)
    auth = BearerAuth.jwks(f"{server.url}/keys", issuer=ISSUER, audience="api://chat")

    assert "does not publish" in refusal(auth, token(rsa_key("second"), "RS256", header={"kid": "k9"}, **GOOD))


def test_an_algorithm_that_is_not_on_the_list_is_refused(server: DocumentServer) -> None:
    auth = BearerAuth.jwks(f"{server.url}/keys", issuer=ISSUER, audience="api://chat", algorithms=["ES256"])

    assert "algorithm" in refusal(auth, token(rsa_key(), "RS256", header={"kid": "k1"}, **GOOD))
    assert name_of(auth, token(ec_key(), "ES256", header={"kid": "k2"}, **GOOD)) == "ada"


@pytest.mark.parametrize("algorithm", [None, 7, [], {}, ["RS256"]], ids=repr)
def test_an_algorithm_that_is_no_text_is_refused(auth: BearerAuth, algorithm: Any) -> None:
    header, payload, signature = token(rsa_key(), "RS256", **GOOD).split(".")
    header = jwt.utils.base64url_encode(json.dumps({"alg": algorithm}).encode()).decode()

    assert "algorithm" in refusal(auth, f"{header}.{payload}.{signature}")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"aud": "api://other"}, "another audience"),
        ({"aud": ["api://other"]}, "another audience"),
        ({"aud": ...}, "lacks the claim 'aud'"),
        ({"exp": 1}, "expired"),
        ({"exp": ...}, "lacks the claim 'exp'"),
        ({"nbf": 9_999_999_999}, "not valid yet"),
    ],
    ids=repr,
)
def test_a_token_with_wrong_claims_is_refused(auth: BearerAuth, changes: Mapping[str, Any], reason: str) -> None:
    wrong = token(rsa_key(), "RS256", header={"kid": "k1"}, **{**GOOD, **changes})

    assert reason in refusal(auth, wrong)


@pytest.mark.parametrize("issuer", ["https://evil.example", ISSUER + "/", ..., None, 7], ids=repr)
def test_a_token_of_a_foreign_issuer_costs_no_fetch(auth: BearerAuth, server: DocumentServer, issuer: Any) -> None:
    """Another scheme may know it; and this one's provider may be down."""
    foreign = token(rsa_key(), "RS256", header={"kid": "k1"}, aud="api://chat", iss=issuer)

    assert auth.authenticate(bearing(foreign)) is None
    assert server.requested == []


def test_an_unknown_kid_flood_makes_one_fetch(auth: BearerAuth, server: DocumentServer) -> None:
    forged = [token(rsa_key("attacker"), "RS256", header={"kid": f"forged-{i}"}, **GOOD) for i in range(50)]

    reasons = {refusal(auth, one) for one in forged}

    assert reasons == {"the bearer token is signed with a key that its issuer does not publish (kid)"}
    assert server.requested == ["/keys"]


@given(st.text(max_size=20).filter(lambda kid: kid not in {"k1", "k2", "k3"}), st.binary(max_size=100))
def test_any_kid_and_signature_are_refused(kid: str, signature: bytes) -> None:
    keys = json.dumps({"keys": [jwk(rsa_key(), "k1")]}).encode()
    fetching = KeyFetching(fetch=lambda _: keys)
    auth = BearerAuth.jwks("https://login.example/keys", issuer=ISSUER, audience="api://chat", fetching=fetching)
    for key_id in (kid, "k1"):
        signed = token(rsa_key(), "RS256", header={"kid": key_id}, **GOOD).rpartition(".")[0]

        assert refusal(auth, f"{signed}.{jwt.utils.base64url_encode(signature).decode()}")


# A provider in trouble: 503, never 500, never success.


@pytest.mark.parametrize(
    "document",
    [
        b"<html>",
        b'{"keys": []}',
        b"\xff",
        b"[" * 100_000,
        lambda handler: answer(handler, b"", 500),
        lambda handler: answer(handler, b"", 302, Location="/elsewhere"),
        lambda handler: answer(handler, b" " * 300_000),
        lambda handler: handler.wfile.write(b"nonsense\r\n\r\n"),
        lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"),
        lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{"),
        lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n{}"),
        lambda handler: handler.connection.close(),
    ],
    ids=[
        "a page", "no keys", "not UTF-8", "deep", "500", "a redirect", "oversize", "no HTTP", "negative length",
        "broken chunks", "cut short", "500 headers", "hung up",
    ],
)  # fmt: skip
def test_a_provider_that_answers_garbage_is_unavailable(
    auth: BearerAuth, server: DocumentServer, document: Any
) -> None:
    server.documents["/keys"] = document

    with pytest.raises(IdentityProviderUnavailable, match="try again") as failure:
        auth.authenticate(bearing(token(rsa_key(), "RS256", header={"kid": "k1"}, **GOOD)))

    assert 1 <= failure.value.retry_after <= 30


def test_a_slow_provider_is_unavailable_and_asked_once(server: DocumentServer) -> None:
    def silent(_: BaseHTTPRequestHandler) -> None:
        server.is_over.wait(60)

    server.documents["/keys"] = silent
    auth = BearerAuth.jwks(
        f"{server.url}/keys", issuer=ISSUER, audience="api://chat", fetching=KeyFetching(timeout=0.2)
    )

    for _ in range(5):
        with pytest.raises(IdentityProviderUnavailable):
            auth.authenticate(bearing(token(rsa_key(), "RS256", header={"kid": "k1"}, **GOOD)))

    assert server.requested == ["/keys"]


def test_a_dead_provider_is_unavailable() -> None:
    with DocumentServer() as server:
        url = f"{server.url}/keys"
    auth = BearerAuth.jwks(url, issuer=ISSUER, audience="api://chat")

    with pytest.raises(IdentityProviderUnavailable):
        auth.authenticate(bearing(token(rsa_key(), "RS256", header={"kid": "k1"}, **GOOD)))


@pytest.mark.parametrize("failure", [OSError("down"), RuntimeError("bug"), KeyError("x"), RecursionError()], ids=repr)
def test_a_fetch_of_the_apps_own_that_fails_is_unavailable(failure: Exception) -> None:
    def fetch(url: str) -> bytes:
        raise failure

    fetching = KeyFetching(fetch=fetch)
    auth = BearerAuth.jwks("https://login.example/keys", issuer=ISSUER, audience="api://chat", fetching=fetching)

    with pytest.raises(IdentityProviderUnavailable):
        auth.authenticate(bearing(token(rsa_key(), "RS256", header={"kid": "k1"}, **GOOD)))


def test_a_fetch_of_the_apps_own_that_gives_no_bytes_is_unavailable() -> None:
    fetching = KeyFetching(fetch=lambda _: None)  # type: ignore[arg-type,return-value] # the mistake at hand
    auth = BearerAuth.oidc("https://login.example", audience="api://chat", fetching=fetching)

    with pytest.raises(IdentityProviderUnavailable):
        auth.authenticate(bearing(token(rsa_key(), "RS256", iss="https://login.example", aud="api://chat")))


def test_no_token_stands_in_the_log(auth: BearerAuth, server: DocumentServer, caplog: pytest.LogCaptureFixture) -> None:
    server.documents["/keys"] = b"<html>"
    good = token(rsa_key(), "RS256", header={"kid": "k1"}, **GOOD)
    with caplog.at_level(logging.DEBUG), pytest.raises(IdentityProviderUnavailable):
        auth.authenticate(bearing(good))

    assert "is no JSON object" in caplog.text
    assert not any(part in caplog.text for part in good.split("."))


# Discovery.


def test_discovery_waits_for_the_first_token(server: DocumentServer) -> None:
    server.documents["/.well-known/openid-configuration"] = {"issuer": server.url, "jwks_uri": f"{server.url}/keys"}
    auth = BearerAuth.oidc(server.url, audience="api://chat")
    assert server.requested == []

    name_of(auth, token(rsa_key(), "RS256", header={"kid": "k1"}, iss=server.url, aud="api://chat"))

    assert server.requested == ["/.well-known/openid-configuration", "/keys"]


def test_a_provider_whose_document_names_another_issuer_is_unavailable(
    server: DocumentServer, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of configuration that only the provider's answer shows: the log says what to do."""
    server.documents["/.well-known/openid-configuration"] = {"issuer": ISSUER, "jwks_uri": f"{server.url}/keys"}
    auth = BearerAuth.oidc(server.url, audience="api://chat")

    with pytest.raises(IdentityProviderUnavailable):
        auth.authenticate(bearing(token(rsa_key(), "RS256", iss=server.url, aud="api://chat")))

    assert "names another issuer; configure the one it names" in caplog.text


# What cannot be configured.


@pytest.mark.parametrize("keyword", ["issuer", "audience"])
@pytest.mark.parametrize("value", [None, "", []], ids=repr)
def test_a_key_set_demands_issuer_and_audience(keyword: str, value: Any) -> None:
    """Without them any token of a provider with many customers would do."""
    keywords: dict[str, Any] = {"issuer": ISSUER, "audience": "api://chat"} | {keyword: value}

    with pytest.raises(ConfigurationError, match=rf"BearerAuth\({keyword}=…\)"):
        BearerAuth.jwks("https://login.example/keys", **keywords)


@pytest.mark.parametrize("audience", [None, "", []], ids=repr)
def test_discovery_demands_an_audience(audience: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"BearerAuth\(audience=…\)"):
        BearerAuth.oidc("https://login.example", audience=audience)


@pytest.mark.parametrize(
    "issuer", ["http://login.example", "login.example", "https://login.example/?tenant=1", "", None], ids=repr
)
def test_an_unsafe_issuer_is_refused(issuer: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"BearerAuth\(issuer=…\)"):
        BearerAuth.oidc(issuer, audience="api://chat")


def test_an_unsafe_key_set_url_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"BearerAuth\(url=…\): plain http"):
        BearerAuth.jwks("http://login.example/keys", issuer=ISSUER, audience="api://chat")


@pytest.mark.parametrize("algorithms", [["HS256"], ["RS256", "HS256"], ["none"], [], "RS256"], ids=repr)
def test_a_key_set_never_goes_with_shared_secret_algorithms(algorithms: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"BearerAuth\(algorithms=…\)"):
        BearerAuth.oidc("https://login.example", audience="api://chat", algorithms=algorithms)


@pytest.mark.parametrize("module", ["urllib3", "cryptography"])
def test_a_key_set_without_its_extra_fails_while_the_app_is_set_up(
    monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(MissingExtra, match=r"flask-signalr\[jwks\]"):
        BearerAuth.oidc("https://login.example", audience="api://chat")
