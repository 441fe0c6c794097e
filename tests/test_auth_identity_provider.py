"""An identity provider's documents, fetched from real web servers of every kind of badness."""

import gzip
import json
import socket
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
import urllib3

from flask_signalr.auth.identity_provider import (
    MAX_BYTES,
    HttpFetch,
    check_url,
    discover_key_set_url,
    fetch_keys,
)
from flask_signalr.auth.verification_key import ASYMMETRIC, MAX_KEYS
from flask_signalr.errors import ConfigurationError, IdentityProviderUnavailable, MissingExtra
from tests.document_server import DocumentServer, answer
from tests.signing import ec_key, jwk, rsa_key

FETCH = HttpFetch(timeout=30)
HASTY = HttpFetch(timeout=0.2)
DISCOVERY = "/.well-known/openid-configuration"


@pytest.fixture
def server() -> Iterator[DocumentServer]:
    with DocumentServer() as server:
        yield server


def test_a_document_is_fetched(server: DocumentServer) -> None:
    server.documents["/keys"] = b"anything"

    assert FETCH(f"{server.url}/keys") == b"anything"


def test_an_answer_in_pieces_is_put_together(server: DocumentServer) -> None:
    def in_pieces(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for piece in (b"any", b"thi", b"ng"):
            handler.wfile.write(piece)
            handler.wfile.flush()

    server.documents["/keys"] = in_pieces

    assert FETCH(f"{server.url}/keys") == b"anything"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirecting_provider_is_not_followed(server: DocumentServer, status: int) -> None:
    """A redirect could lead from https to http, or into the network that the app stands in."""
    server.documents["/keys"] = lambda handler: answer(handler, b"", status, Location=f"{server.url}/elsewhere")
    server.documents["/elsewhere"] = {"keys": [jwk(rsa_key())]}

    with pytest.raises(IdentityProviderUnavailable, match=f"answered {status}"):
        FETCH(f"{server.url}/keys")

    assert server.requested == ["/keys"]


@pytest.mark.parametrize("status", [201, 204, 400, 401, 403, 404, 429, 500, 503])
def test_any_status_but_200_is_a_failure(server: DocumentServer, status: int) -> None:
    """And it is not tried again at once: the key set has its own pace."""
    server.documents["/keys"] = lambda handler: answer(handler, b"", status)

    with pytest.raises(IdentityProviderUnavailable, match=f"answered {status}"):
        FETCH(f"{server.url}/keys")

    assert server.requested == ["/keys"]


def test_an_oversize_document_is_not_read_to_its_end(server: DocumentServer) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while not server.is_over.is_set():
                handler.wfile.write(b" " * 65536)
        except OSError:
            return

    server.documents["/keys"] = endless

    with pytest.raises(IdentityProviderUnavailable, match=f"more than {MAX_BYTES} bytes"):
        FETCH(f"{server.url}/keys")


def test_a_compressed_bomb_is_not_unpacked(server: DocumentServer) -> None:
    packed = gzip.compress(b" " * 10_000_000)
    server.documents["/keys"] = lambda handler: answer(handler, packed, Content_Encoding="gzip")

    assert FETCH(f"{server.url}/keys") == packed


def test_a_silent_provider_costs_the_timeout(server: DocumentServer) -> None:
    server.documents["/keys"] = lambda _: server.is_over.wait(60)

    with pytest.raises(urllib3.exceptions.TimeoutError):
        HASTY(f"{server.url}/keys")


@pytest.mark.parametrize("begins", [b"HTTP/1.1 200 OK\r\nX-", b"HTTP/1.1 200 OK\r\n\r\n"], ids=["headers", "body"])
def test_a_dripping_provider_costs_the_timeout_in_all(server: DocumentServer, begins: bytes) -> None:
    """Every byte comes in time and the document never ends: with its thread all others would wait for their keys."""

    def dripping(handler: BaseHTTPRequestHandler) -> None:
        try:
            handler.wfile.write(begins)
            for _ in range(300):
                handler.wfile.write(b" ")
                if server.is_over.wait(0.01):
                    return
        except OSError:
            return

    server.documents["/keys"] = dripping

    with pytest.raises(urllib3.exceptions.TimeoutError):
        HASTY(f"{server.url}/keys")


def test_a_dead_provider_is_a_failure() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))

        with pytest.raises(urllib3.exceptions.HTTPError):
            FETCH(f"http://127.0.0.1:{unused.getsockname()[1]}/keys")


def test_a_provider_with_an_unknown_certificate_is_a_failure(server: DocumentServer) -> None:
    """What does not speak TLS at all fails in the same way as what speaks it with a forged certificate."""
    with pytest.raises(urllib3.exceptions.SSLError):
        FETCH(f"https{server.url.removeprefix('http')}/keys")


def test_fetching_without_urllib3_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "urllib3", None)

    with pytest.raises(MissingExtra, match=r"flask-signalr\[jwks\]"):
        HttpFetch(timeout=1)


@pytest.mark.parametrize(
    "url",
    [
        "https://login.example/tenant/v2.0",
        "https://login.example:8443/keys?appid=1",
        "http://localhost:8080/realms/chat",
        "http://127.0.0.1:8080/",
        "http://127.9.9.9/",
        "http://[::1]:8080/keys",
    ],
)
def test_a_safe_url_is_accepted(url: str) -> None:
    assert check_url(url, "url").geturl() == url


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://login.example/keys", "plain http"),
        ("http://10.0.0.1/keys", "plain http"),
        ("http://127.0.0.1.login.example/keys", "plain http"),
        ("http://localhost.login.example/keys", "plain http"),
        ("http://169.254.169.254/keys", "plain http"),
        ("HTTP://login.example", "plain http"),
        ("file:///etc/passwd", "absolute URL"),
        ("ftp://login.example/keys", "absolute URL"),
        ("login.example/keys", "absolute URL"),
        ("//login.example/keys", "absolute URL"),
        ("/keys", "absolute URL"),
        ("https:///keys", "absolute URL"),
        ("", "absolute URL"),
        ("https://user:password@login.example/keys", "no user name"),
        ("http://127.0.0.1@login.example/keys", "no user name"),
        ("https://login.example/keys#x", "fragment"),
        ("https://login.example/a b", "spaces"),
        ("https://login.example/\u00e9", "non-ASCII"),
        ("https://l\u00f6gin.example/", "non-ASCII"),
        ("https://[::1/keys", "Invalid IPv6"),
        ("https://login.example:port/keys", "Port"),
        ("https://login.example:99999/keys", "Port"),
        (None, "URL as text"),
        (b"https://login.example", "URL as text"),
    ],
)
def test_an_unsafe_url_is_refused(url: Any, fault: str) -> None:
    """Over plain http anybody on the way could put in keys of their own."""
    with pytest.raises(ConfigurationError, match=rf"BearerAuth\(url=…\).*{fault}") as refusal:
        check_url(url, "url")

    assert "password" not in str(refusal.value)


@pytest.mark.parametrize("slash", ["", "/"])
def test_discovery_finds_the_key_set(server: DocumentServer, slash: str) -> None:
    """OpenID Connect Discovery 1.0 §4.1: a slash at the issuer's end goes before the path is put behind."""
    issuer = f"{server.url}/tenant{slash}"
    server.documents[f"/tenant{DISCOVERY}"] = {"issuer": issuer, "jwks_uri": f"{server.url}/keys", "more": [1]}

    assert discover_key_set_url(FETCH, issuer) == f"{server.url}/keys"


@pytest.mark.parametrize(
    "issuer", ["https://login.example", "{issuer}/", "{issuer}x", "{ISSUER}", None, 7, ["{issuer}"]], ids=repr
)
def test_discovery_of_another_issuer_is_refused(server: DocumentServer, issuer: Any) -> None:
    """To the letter: or one tenant's document could stand in for another's."""
    if isinstance(issuer, str):
        issuer = issuer.replace("{issuer}", server.url).replace("{ISSUER}", server.url.upper())
    server.documents[DISCOVERY] = {"issuer": issuer, "jwks_uri": f"{server.url}/keys"}

    with pytest.raises(IdentityProviderUnavailable, match="names another issuer"):
        discover_key_set_url(FETCH, server.url)


@pytest.mark.parametrize(
    "key_set_url", ["http://login.example/keys", "file:///etc/passwd", "/keys", "", None, 7, ["x"], {}], ids=repr
)
def test_discovery_of_an_unsafe_key_set_is_refused(server: DocumentServer, key_set_url: Any) -> None:
    server.documents[DISCOVERY] = {"issuer": server.url, "jwks_uri": key_set_url}

    with pytest.raises(IdentityProviderUnavailable, match="unusable jwks_uri"):
        discover_key_set_url(FETCH, server.url)


def test_an_issuer_on_the_internet_cannot_send_us_to_this_machine() -> None:
    """Plain http to this machine is for providers on this machine; others must not make us ask our own services."""
    document = {"issuer": "https://login.example", "jwks_uri": "http://127.0.0.1:8500/v1/kv"}

    with pytest.raises(IdentityProviderUnavailable, match="plain http"):
        discover_key_set_url(lambda _: json.dumps(document).encode(), "https://login.example")


def test_the_usable_keys_of_a_key_set_are_taken(server: DocumentServer) -> None:
    server.documents["/keys"] = {"keys": [jwk(rsa_key(), "k1"), {"kty": "new"}, jwk(ec_key(), "k2")]}

    assert [key.kid for key in fetch_keys(FETCH, f"{server.url}/keys", ASYMMETRIC)] == ["k1", "k2"]


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<html>sign in to the hotel's network</html>",
        b"\xff\xfe{",
        b'{"keys": NaN}',
        b"[" * 100_000,
        b'{"keys":' * 20_000,
        [],
        7,
        {},
        {"keys": {}},
        {"keys": "x"},
        {"keys": None},
        {"keys": [jwk(ec_key())] * (MAX_KEYS + 1)},
        {"keys": []},
        {"keys": [None]},
        {"keys": [{"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}]},
    ],
    ids=[
        "nothing", "a page", "UTF-16", "NaN", "deep array", "deep object", "an array", "a number", "no keys",
        "an object", "a text", "null", "too many", "empty", "null keys", "a symmetric key",
    ],
)  # fmt: skip
def test_garbage_is_no_key_set(server: DocumentServer, document: Any) -> None:
    server.documents["/keys"] = document

    with pytest.raises(IdentityProviderUnavailable, match=r"no JSON object|no key set|no key that may verify"):
        fetch_keys(FETCH, f"{server.url}/keys", ASYMMETRIC)
