"""Any request that a server can hand over: a 2xx or a 4xx in SignalR's form, never a 500, and nothing secret logged.

The servers check little of what they are sent: whatever Latin-1 can write may stand in the environ (PEP 3333).
"""

import io
import json
import logging
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, Request
from flask_cors import CORS
from flask_login import LoginManager, UserMixin
from flask_wtf import CSRFProtect
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from werkzeug.test import run_wsgi_app

from flask_signalr import AuthenticationFailed, AuthScheme, BearerAuth, CookieAuth, Principal, SignalR, everything
from tests.apps import ACCESS_KEY, create_app, service_token
from tests.signing import SECRET, sign, token

API_KEY = "the-key-of-the-robot-that-cleans"
SESSION_SECRET = "a-secret-that-signs-the-sessions-of-this-test"
GOOD = token(name="Ada", role=["staff"], aud="chat")
ECHO = service_token("open")


class ApiKeyAuth(AuthScheme):
    """Reads what apps read: a header, the query, and the parsed credentials."""

    def authenticate(self, request: Request) -> Principal | None:
        key = request.headers.get("X-Api-Key") or request.args.get("key")
        if request.authorization is not None and request.authorization.type == "basic":
            key = request.authorization.password
        if key is None:
            return None
        if key != API_KEY:
            raise AuthenticationFailed("unknown API key")
        return Principal(request.args.get("name") or "robot", {"url": request.url}, scheme="ApiKey")


def app_with_every_scheme() -> Flask:
    bearer = [
        BearerAuth(SECRET, issuer="https://login.example", audience="chat"),
        BearerAuth(SECRET, audience="chat"),
    ]
    signalr = SignalR(auth=[CookieAuth(), *bearer, ApiKeyAuth()], allowed_origins=["https://page.example"])
    signalr.hub("closed")
    signalr.hub("open", allow_anonymous=True, claims_filter=everything)
    signalr.hub("bare", auth=[], allow_anonymous=True)
    app = create_app(signalr, SECRET_KEY=SESSION_SECRET)
    login = LoginManager(app)
    login.login_view = "/login"
    login.user_loader(lambda user_id: UserMixin() if user_id else None)
    login.request_loader(lambda _: None)
    CSRFProtect(app)
    CORS(app, origins=["https://cors.example"])
    return app


APP = app_with_every_scheme()


class Everything(logging.Handler):
    """Keeps every record as it would be written, traceback and all."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture(scope="module")
def log() -> Iterator[Everything]:
    """All that is logged, by anybody, at any level."""
    handler, root = Everything(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


# What requests are made of.

latin_1 = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=40)
"""What servers let through in a header and a query; they stop line breaks."""

any_latin_1 = st.text(st.characters(max_codepoint=255), max_size=40)
"""What a path may hold, in which the server has resolved the percent signs."""


def encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
claim_names = st.sampled_from(
    ["sub", "name", "exp", "nbf", "iat", "aud", "iss", "role", "email", "asrs.s.uid", "asrs.u.x", "crit", "jti"]
)
claims = st.dictionaries(claim_names | st.text(max_size=10), json_values, max_size=6)
payloads = claims.map(lambda found: json.dumps(found).encode()) | st.binary(max_size=60)
tokens = (
    st.sampled_from([GOOD, ECHO, GOOD[:-2] + "AA", "a.b.c", "...", "eyJ", ""])
    | payloads.map(sign)
    | claims.map(lambda found: sign(json.dumps({"aud": "chat", "sub": "ada", "exp": 4e9 // 1, **found}).encode()))
    | st.builds("{}.{}.{}".format, payloads.map(encoded), payloads.map(encoded), latin_1)
    | st.integers(1, 3000).map(lambda depth: f"{encoded(b'{}')}.{encoded(b'[' * depth * 3)}.x")
    | st.integers(1, 3000).map(lambda depth: f"{encoded(b'[' * depth * 3)}.{encoded(b'{}')}.x")
    | latin_1
)
authorizations = (
    st.builds("{}{}{}".format, st.sampled_from(["Bearer ", "bearer  ", "Bearer\t", "Basic "]), tokens, latin_1)
    | tokens.map("Bearer {}".format)
    | tokens.map(lambda found: f"Basic {encoded(found.encode())}")
    | st.sampled_from(["Negotiate YII=", "Basic =", "Basic /w==", 'Digest username="', "Bearer", ", Bearer a"])
    | latin_1
)  # fmt: skip
origins = st.sampled_from(
    ["https://page.example", "https://cors.example", "http://localhost", "null", "https://evil.example", "http://"]
)
cookies = (
    st.builds("{}={}".format, st.sampled_from(["session", "remember_token", "x"]), latin_1)
    | st.sampled_from(["remember_token=ada|\xe4", 'remember_token="ada|\\303\\244"', "session=.eJw.x.y", "=;=;=", '"'])
    | st.builds("remember_token={}|{}; session={}".format, latin_1, latin_1, latin_1)
)
HEADERS: dict[str, st.SearchStrategy[str]] = {
    "HTTP_AUTHORIZATION": authorizations,
    "HTTP_ORIGIN": origins | latin_1,
    "HTTP_SEC_FETCH_SITE": st.sampled_from(["same-origin", "cross-site", "none", ""]) | latin_1,
    "HTTP_HOST": st.sampled_from(["localhost", "localhost:80", "[::1]", "", "a b", "a:b:c", "ä.example"]) | latin_1,
    "HTTP_COOKIE": cookies | latin_1,
    "CONTENT_LENGTH": st.sampled_from(["0", "", "00", "-1", "1", "99999999999999999999", "²"]) | latin_1,
    "CONTENT_TYPE": st.sampled_from(["", "application/json", "multipart/form-data", "text/plain; charset=x"]) | latin_1,
    "HTTP_TRANSFER_ENCODING": st.sampled_from(["chunked", "identity", "gzip, chunked"]) | latin_1,
    "HTTP_ACCESS_CONTROL_REQUEST_METHOD": st.sampled_from(["POST", "DELETE", ""]) | latin_1,
    "HTTP_ACCESS_CONTROL_REQUEST_HEADERS": st.sampled_from(["authorization", "a, b", "a: b"]) | latin_1,
    "HTTP_X_API_KEY": st.just(API_KEY) | latin_1,
    "HTTP_X_FORWARDED_FOR": latin_1,
    "HTTP_USER_AGENT": latin_1,
    "HTTP_REFERER": latin_1,
    "HTTP_X_CSRFTOKEN": latin_1,
    "REMOTE_ADDR": st.sampled_from(["127.0.0.1", "::1", ""]),
}
other_headers = st.dictionaries(st.from_regex(r"HTTP_[A-Z_]{1,12}", fullmatch=True), latin_1, max_size=2)
queries = (
    latin_1
    | st.sampled_from(["", "negotiateVersion=1", "negotiateVersion=%31", "negotiateVersion=1&negotiateVersion=2"])
    | tokens.map("negotiateVersion=1&access_token={}".format)
    | st.builds("access_token={}&{}".format, tokens, latin_1)
    | st.builds("{}&key={}&name={}".format, latin_1, st.just(API_KEY) | latin_1, latin_1)
    | st.lists(st.sampled_from(["a=1", "access_token=a", "access_token", "%ff=%ff", "=", "&", ";", "\xff"])).map(
        "&".join
    )
)
paths = st.sampled_from(["/closed/negotiate", "/open/negotiate", "/bare/negotiate"]) | any_latin_1.map(
    lambda name: f"/{name}/negotiate"
)


@st.composite
def environs(draw: st.DrawFn) -> dict[str, Any]:
    """Return the environ of a request, as any server may hand it over."""
    chosen = draw(st.sets(st.sampled_from(sorted(HEADERS)), max_size=5))
    return {
        "REQUEST_METHOD": draw(st.sampled_from(["POST", "POST", "POST", "OPTIONS"])),
        "SCRIPT_NAME": draw(st.sampled_from(["", "", "/app", "/\xe4"])),
        "PATH_INFO": draw(paths),
        "QUERY_STRING": draw(queries),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": draw(st.sampled_from(["http", "https"])),
        "wsgi.input": io.BytesIO(draw(st.binary(max_size=20))),
        "wsgi.errors": io.StringIO(),
        "wsgi.input_terminated": draw(st.booleans()),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **draw(other_headers),
        **{name: draw(HEADERS[name]) for name in sorted(chosen)},
    }


def request_to(path: str = "/open/negotiate", query: str = "", **changes: Any) -> dict[str, Any]:
    """Return the environ of a request that went wrong once."""
    return {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        **changes,
    }


@settings(max_examples=1000)
@given(environs())
@example(request_to(query="negotiateVersion=1&x=\xff"))
@example(request_to(HTTP_AUTHORIZATION=f"Bearer {encoded(b'{}')}.{encoded(b'[' * 9000)}.x"))
@example(request_to(HTTP_AUTHORIZATION="Basic YTpi\xe4"))
@example(request_to(HTTP_COOKIE="remember_token=ada|\xe4"))
@example(request_to(query=f"key={API_KEY}&name=%ed%a0%80"))
@example(request_to("/closed/negotiate", query=f"\xff&access_token={ECHO}"))
@example(request_to("/closed/negotiate", HTTP_AUTHORIZATION=f"Bearer {ECHO}", HTTP_HOST="a b"))
def test_any_request_is_answered_and_nothing_secret_is_logged(log: Everything, environ: dict[str, Any]) -> None:
    """A 500 is a fault of ours that strangers can bring about at will; what they send may be somebody's credential."""
    log.lines.clear()
    brought = secrets_in(environ)

    content, status, headers = run_wsgi_app(APP, environ, buffered=True)

    body = b"".join(content)
    code = int(status.split()[0])
    assert 200 <= code < 500, (status, log.lines)
    if headers.get("Content-Type") == "application/json":
        check_answer(code, json.loads(body))
        brought += [json.loads(body).get("accessToken", "x" * 99)]
    else:
        assert code == 204 or is_flasks_own(environ, code), (status, body)
    assert not [name for name, value in headers if "\n" in value or "\r" in value]
    written = "\n".join(log.lines)
    assert not [secret for secret in brought if secret in written]


def check_answer(code: int, answer: dict[str, Any]) -> None:
    if code == 200:
        assert list(answer) == ["url", "accessToken", "availableTransports"]
    else:
        assert list(answer) == ["error"]
        assert answer["error"]
        assert len(answer["error"]) < 1000


def is_flasks_own(environ: dict[str, Any], code: int) -> bool:
    """Return whether Flask answers before any view: other paths, with too many slashes perhaps; impossible hosts."""
    name = environ["PATH_INFO"].removeprefix("/").removesuffix("/negotiate")
    other_path = not name or "/" in name or environ["PATH_INFO"].startswith("//")
    return (other_path and code in (404, 405, 308)) or (code == 400 and "HTTP_HOST" in environ)


def secrets_in(environ: dict[str, Any]) -> list[str]:
    """Return the credentials of a request, and the keys of the app, as far as they are long enough to be told apart."""
    places = ("HTTP_AUTHORIZATION", "HTTP_COOKIE", "HTTP_X_API_KEY", "QUERY_STRING")
    texts = [piece for place in places for piece in environ.get(place, "").replace("&", " ").replace("=", " ").split()]
    found = [text for text in texts if len(text) > 20 and text not in environ["PATH_INFO"]]
    return [*found, *(part for text in found for part in text.split(".") if len(part) > 40),
            ACCESS_KEY, SECRET, SESSION_SECRET, API_KEY]  # fmt: skip


@settings(max_examples=200)
@given(st.sampled_from(["/closed/negotiate", "/open/negotiate"]), claims)
def test_any_claims_of_a_good_token_connect_or_are_refused(log: Everything, path: str, claims: dict[str, Any]) -> None:
    """An identity provider may put anything into its tokens, and its users choose some of it."""
    log.lines.clear()
    credential = sign(json.dumps({"aud": "chat", "sub": "ada", "exp": 4_000_000_000} | claims).encode())
    assume(len(credential) < 16_000)

    content, status, _ = run_wsgi_app(APP, request_to(path, HTTP_AUTHORIZATION=f"Bearer {credential}"), buffered=True)

    code = int(status.split()[0])
    check_answer(code, json.loads(b"".join(content)))
    assert code in (200, 401, 403, 413)
    assert credential.split(".")[1] not in "\n".join(log.lines)
