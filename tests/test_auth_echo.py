"""The echo: a client that reconnects sends our own service token back, and it must count as nothing at all."""

import time
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from flask import Flask, Request, request
from flask_login import LoginManager, UserMixin
from hypothesis import given
from hypothesis import strategies as st

from flask_signalr import AuthenticationFailed, AuthScheme, BearerAuth, CookieAuth, Principal, SignalR
from flask_signalr.auth.echo import forget_credential, is_service_token
from tests.apps import (
    CONNECTION_STRING,
    OTHER_ENDPOINT,
    Says,
    bearer_headers,
    body,
    create_app,
    negotiate,
    service_claims,
    service_token,
)
from tests.signing import SECRET, request_with, sign, token

BASE_URLS = frozenset({"https://chat.service.example/"})
PLACES = pytest.mark.parametrize("place", ["header", "query", "both"])


def bringing(credential: str, place: str) -> dict[str, Any]:
    """Return the options of a request that brings a bearer token in its header, its query, or both."""
    options: dict[str, Any] = {}
    if place in ("header", "both"):
        options["headers"] = {"Authorization": f"Bearer {credential}"}
    if place in ("query", "both"):
        options["query_string"] = f"negotiateVersion=1&access_token={credential}"
    return options


def app_with(*schemes: AuthScheme, **options: Any) -> Flask:
    signalr = SignalR(auth=list(schemes))
    signalr.hub("chat", **options)
    return create_app(signalr)


def post(app: Flask, options: dict[str, Any]) -> Any:
    return app.test_client().post("/chat/negotiate", **options)


class ReadsTheHeader(AuthScheme):
    """A scheme of an app that looks for bearer tokens by itself, wherever they may stand."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def authenticate(self, request: Request) -> Principal | None:
        found = [
            request.headers.get("Authorization"),
            request.authorization,
            request.args.get("access_token"),
            request.values.get("access_token"),
            *(text for text in (request.url, request.full_path, str(request.query_string)) if "access_token" in text),
        ]
        self.seen = [value for value in found if value is not None]
        if self.seen:
            raise AuthenticationFailed("unknown key")
        return None


# What is one.


@pytest.mark.parametrize(
    "echo",
    [
        service_token(),
        service_token("other-hub"),
        service_token(exp=int(time.time()) - 5),
        service_token(key="the-old-key-before-the-keys-were-changed-123"),
        service_token().rpartition(".")[0] + ".",
    ],
    ids=["fresh", "another hub", "expired", "old key", "no signature"],
)
def test_our_own_service_token_is_known(echo: str) -> None:
    """Also when it has expired, or its key is gone: a laptop wakes up, a key is changed, and clients reconnect."""
    assert is_service_token(echo, BASE_URLS)


@pytest.mark.parametrize("length", range(1, 7))
def test_our_own_service_token_is_known_wherever_the_audience_begins(length: int) -> None:
    """In base64 the same text looks different by its place, in three ways."""
    base_url = f"https://{'h' * length}/"
    payload = urlsafe_b64encode(b'{"aud":"%sclient/?hub=c"}' % base_url.encode()).decode()

    assert is_service_token(f"x.{payload}.", frozenset({base_url}))


@pytest.mark.parametrize(
    "credential",
    [
        service_token(endpoint=OTHER_ENDPOINT),
        service_token(endpoint="https://chat.service.example.evil"),
        service_token(endpoint="http://chat.service.example"),
        service_token(aud="https://chat.service.example/api/hubs/chat"),
        service_token(aud="https://chat.service.example/"),
        service_token(aud=["https://chat.service.example/client/?hub=chat"]),
        service_token(aud=...),
        service_token(aud=None),
        service_token(aud={"https://chat.service.example/client/?hub=": 1}),
        token(),
    ],
    ids=["other service", "suffix", "scheme", "REST", "base", "list", "none", "null", "object", "caller's"],
)
def test_what_is_for_somebody_else_is_not_our_service_token(credential: str) -> None:
    assert not is_service_token(credential, BASE_URLS)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"https://chat.service.example/client/?hub=chat"',
        b'{"aud": "\xff"}',
        b'{"aud": "\\ud800"}',
        b'{"aud": 7}',
        b'{"a": ' + b"[" * 9000 + b"]" * 9000 + b"}",
        b"[" * 9000,
        b'{"aud": ' + b"9" * 9000 + b"}",
    ],
    ids=lambda payload: payload[:12].decode("latin-1"),
)
def test_a_payload_that_cannot_be_read_is_not_our_service_token(payload: bytes) -> None:
    """The deep ones are an attack on the reader's stack."""
    assert not is_service_token(sign(payload), BASE_URLS)


@given(st.text(alphabet="abcXYZ019._~+/-=", max_size=60) | st.binary(max_size=60).map(lambda raw: f"a.{_b64(raw)}.c"))
def test_any_text_is_an_echo_or_none(text: str) -> None:
    assert is_service_token(text, BASE_URLS) is False


def _b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


# What it counts as.


@PLACES
def test_a_reconnecting_stranger_stays_a_stranger(place: str) -> None:
    """Replay: the token is no way in, at any hub, however genuine it is."""
    answer = post(app_with(BearerAuth(SECRET)), bringing(service_token(), place))

    assert (answer.status_code, body(answer)["error"]) == (401, "sign in to connect")


@PLACES
def test_a_reconnecting_anonymous_caller_connects_again(place: str) -> None:
    answer = post(app_with(allow_anonymous=True), bringing(service_token(), place))

    assert "asrs.s.uid" not in service_claims(answer)


@PLACES
def test_a_reconnecting_cookie_user_connects_again(place: str) -> None:
    """The official client sends the token beside the cookie, and no page can make it stop."""
    app = app_with(BearerAuth(SECRET), CookieAuth(lambda: "bob"))

    answer = post(app, bringing(service_token(), place))

    assert service_claims(answer)["asrs.s.uid"] == "bob"


def test_the_token_of_one_answer_is_the_echo_of_the_next_request() -> None:
    """With a name for the app, a path in the endpoint and another algorithm, as a deployment may have them."""
    signalr = SignalR(auth=[Says(Principal("ada"))], access_token_algorithm="HS512")
    signalr.hub("Chat")
    endpoint = CONNECTION_STRING.replace("service.example;", "service.example:8443/region/;")
    app = create_app(signalr, SIGNALR_CONNECTION_STRING=endpoint, SIGNALR_APPLICATION_NAME="Shop")
    echo = body(negotiate(app, "Chat"))["accessToken"]

    answer = negotiate(app, "Chat", headers={"Authorization": f"Bearer {echo}"})

    assert answer.status_code == 200


@PLACES
def test_a_scheme_that_reads_the_request_itself_does_not_see_the_echo(place: str) -> None:
    scheme = ReadsTheHeader()

    answer = post(app_with(scheme, allow_anonymous=True), bringing(service_token(), place))

    assert scheme.seen == []
    assert answer.status_code == 200


@PLACES
def test_flask_logins_request_loader_does_not_see_the_echo(place: str) -> None:
    """It reads Flask's global request, and would refuse what it takes for an unknown key."""
    app = app_with(CookieAuth())
    seen = []

    def load(loaded_from: Request) -> UserMixin | None:
        seen.append((loaded_from.headers.get("Authorization"), loaded_from.args.get("access_token")))
        return None

    LoginManager(app).request_loader(load)

    answer = post(app, bringing(service_token(), place))

    assert seen == [(None, None)]
    assert body(answer)["error"] == "sign in to connect"


def test_what_a_hook_of_the_app_read_before_does_not_keep_the_echo() -> None:
    """Flask keeps what it has parsed; the scheme must not get the old copy."""
    scheme = ReadsTheHeader()
    app = app_with(scheme, allow_anonymous=True)

    @app.before_request
    def audit() -> None:
        assert request.authorization
        assert request.args["access_token"]
        assert request.values["access_token"]
        assert "access_token" in request.url
        assert "access_token" in request.full_path

    answer = post(app, bringing(service_token(), "both"))

    assert answer.status_code == 200
    assert scheme.seen == []


# What it must not be used for.


@PLACES
def test_forging_an_echo_grants_nothing(place: str) -> None:
    """Anybody can write our audience into a token; all it does is take that token away."""
    forged = token("a-key-of-the-attackers-own-choice-0123456789", aud="https://chat.service.example/client/?hub=chat")

    answer = post(app_with(BearerAuth(SECRET)), bringing(forged, place))

    assert (answer.status_code, body(answer)["error"]) == (401, "sign in to connect")


def test_signing_with_the_bearer_secret_for_our_audience_grants_nothing() -> None:
    """A scheme without an audience could take it for its own; nobody gets to ask it."""
    credential = token(SECRET, aud="https://chat.service.example/client/?hub=chat")
    bearer = BearerAuth(SECRET, audience="https://chat.service.example/client/?hub=chat")

    answer = post(app_with(bearer), bringing(credential, "header"))

    assert answer.status_code == 401


@PLACES
@pytest.mark.parametrize("allow_anonymous", [True, False])
def test_the_service_token_of_another_service_is_refused(allow_anonymous: bool, place: str) -> None:
    """It is some bearer token that nobody here accepts."""
    app = app_with(Says(None), allow_anonymous=allow_anonymous)

    answer = post(app, bringing(service_token(endpoint=OTHER_ENDPOINT), place))

    assert answer.status_code == 401
    assert "nobody here accepts this bearer token" in body(answer)["error"]


def test_an_echo_in_the_header_does_not_hide_the_querys_token() -> None:
    """A page that was given a URL with a token in it adds its echo to the header and goes on sending that URL."""
    good = bearer_headers("ada")["Authorization"].removeprefix("Bearer ")
    options = bringing(service_token(), "header") | {"query_string": f"access_token={good}"}

    answer = post(app_with(BearerAuth(SECRET)), options)

    assert service_claims(answer)["asrs.s.uid"] == "ada"


@pytest.mark.parametrize("allow_anonymous", [True, False])
def test_hiding_a_broken_token_behind_an_echo_fails(allow_anonymous: bool) -> None:
    options = bringing(service_token(), "header") | {"query_string": "access_token=broken"}

    answer = post(app_with(BearerAuth(SECRET), allow_anonymous=allow_anonymous), options)

    assert answer.status_code == 401


def test_an_echo_in_the_query_behind_a_good_token_does_not_matter() -> None:
    options = {"headers": bearer_headers("ada"), "query_string": f"access_token={service_token()}"}

    answer = post(app_with(BearerAuth(SECRET)), options)

    assert service_claims(answer)["asrs.s.uid"] == "ada"


# How it is taken away.


@pytest.mark.parametrize("header", [None, "Basic YWRhOmFkYQ=="])
def test_credentials_of_another_kind_stay(header: str | None) -> None:
    current = request_with({"Authorization": header} if header else {}, query=f"access_token={service_token()}")

    forget_credential(current)

    assert current.headers.get("Authorization") == header
    assert "access_token" not in current.args


def test_the_rest_of_the_query_stays() -> None:
    current = request_with({"X-Key": "1"}, query=f"a=1&a=2&access_token={service_token()}&b=%C3%A4%26&c=&d=x+y")

    forget_credential(current)

    assert current.args.to_dict(flat=False) == {"a": ["1", "2"], "b": ["ä&"], "c": [""], "d": ["x y"]}
    assert current.headers["X-Key"] == "1"
