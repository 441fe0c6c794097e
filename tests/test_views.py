"""Negotiate over HTTP: where it is mounted, what it answers, and how it refuses."""

import io
import logging
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask, Request, Response, redirect
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue
from flask_login import LoginManager
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from flask_signalr import (
    AuthenticationFailed,
    AuthorizationDenied,
    AuthScheme,
    BearerAuth,
    CookieAuth,
    IdentityProviderUnavailable,
    InvalidClaim,
    NoServiceEndpoint,
    Policy,
    Principal,
    RouterRefused,
    SignalR,
    SignalRError,
    Unavailable,
    everything,
    require_role,
)
from tests.apps import Says, bearer_headers, body, create_app, negotiate, service_claims
from tests.signing import SECRET

ADA = Principal("ada", {"email": "ada@example.org"}, scheme="Test")


def open_app(**config: Any) -> Flask:
    """Return an app whose hub ``chat`` lets everybody in."""
    signalr = SignalR()
    signalr.hub("chat", allow_anonymous=True)
    return create_app(signalr, **config)


def app_with(outcome: Principal | Exception | None, **options: Any) -> Flask:
    """Return an app whose hub ``chat`` has one scheme, with this outcome for everybody."""
    signalr = SignalR(auth=[Says(outcome)])
    signalr.hub("chat", **options)
    return create_app(signalr)


def assert_refused(answer: TestResponse, status: int, pattern: str) -> None:
    """Check a refusal: its status, SignalR's own form, and that nobody caches it."""
    assert answer.status_code == status
    assert list(body(answer)) == ["error"]
    assert re.search(pattern, body(answer)["error"])
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Origin" in answer.headers["Vary"]
    assert "Location" not in answer.headers


# Where it is mounted.


@pytest.mark.parametrize(
    ("mount", "path"),
    [
        ({}, "/chat/negotiate"),
        ({"url_prefix": "/realtime"}, "/realtime/chat/negotiate"),
        ({"url_prefix": "/a/b"}, "/a/b/chat/negotiate"),
        ({"name": "socket", "url_prefix": "/s"}, "/s/chat/negotiate"),
    ],
    ids=["root", "prefix", "deep prefix", "other name"],
)
def test_a_declared_hub_answers_under_any_prefix(mount: dict[str, Any], path: str) -> None:
    """Options of ``init_app`` are those of Flask's own ``register_blueprint``."""
    signalr = SignalR()
    signalr.hub("chat", allow_anonymous=True)
    app = create_app()
    signalr.init_app(app, **mount)

    answer = app.test_client().post(path)

    assert service_claims(answer)


@pytest.mark.parametrize(
    ("path", "status"), [("/api/chat/negotiate", 200), ("/api/news/negotiate", 401), ("/api/none/negotiate", 404)]
)
def test_the_blueprint_can_be_nested_in_another_one(path: str, status: int) -> None:
    """Its refusals come along: error handlers belong to the blueprint and not to its place."""
    signalr = SignalR()
    signalr.hub("chat", allow_anonymous=True)
    signalr.hub("news")
    app = create_app()
    api = Blueprint("api", __name__, url_prefix="/api")
    api.register_blueprint(signalr.blueprint)
    app.register_blueprint(api)
    signalr.init_app(app, url_prefix="/also")

    answer = app.test_client().post(path)

    assert answer.status_code == status
    assert list(body(answer)) == (["error"] if status != 200 else ["url", "accessToken", "availableTransports"])


def test_the_app_may_lie_below_a_path_of_the_server() -> None:
    answer = negotiate(open_app(), base_url="http://localhost/apps/one")

    assert service_claims(answer)


@pytest.mark.parametrize(
    "hub",
    ["nobody", "Chat", "chat ", "ch%C3%A4t", "%E2%80%8Bchat", "%EF%BD%83hat", "chat%00", "chat%FF", "%F0%9F%92%AC"],
    ids=["unknown", "case", "space", "umlaut", "zero width", "full width", "null", "no UTF-8", "emoji"],
)
def test_an_undeclared_hub_does_not_exist(hub: str) -> None:
    assert_refused(negotiate(open_app(), hub), 404, "no hub of this name")


@pytest.mark.parametrize("verb", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "QUERY"])
def test_other_verbs_are_told_which_ones_there_are(verb: str) -> None:
    answer = open_app().test_client().open("/chat/negotiate", method=verb)

    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


# What it answers.


@pytest.mark.parametrize("query", ["", "negotiateVersion=0", "negotiateVersion=1", "negotiateVersion=2", "a=1&b=2&a=3"])
def test_the_answer_sends_the_client_on_to_the_service(query: str) -> None:
    """Two keys and an empty list; ``connectionId`` must not be there, or clients would not go on (2.4)."""
    answer = open_app().test_client().post("/chat/negotiate", query_string=query)

    assert service_claims(answer)["aud"] == "https://chat.service.example/client/?hub=chat"
    assert list(body(answer)) == ["url", "accessToken", "availableTransports"]
    assert body(answer)["url"] == "https://chat.service.example/client/?hub=chat"
    assert body(answer)["availableTransports"] == []


def test_the_answer_is_json_that_no_cache_keeps() -> None:
    answer = negotiate(open_app())

    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Length"] == str(len(answer.data))
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Origin" in answer.headers["Vary"]


def test_the_hub_of_the_token_is_in_lower_case_after_the_apps_name() -> None:
    signalr = SignalR()
    signalr.hub("Chat", allow_anonymous=True)

    answer = negotiate(create_app(signalr, SIGNALR_APPLICATION_NAME="Shop"), "Chat")

    assert service_claims(answer, hub="shop_chat")
    assert body(answer)["url"].endswith("/client/?hub=shop_chat")


def test_the_apps_hooks_run() -> None:
    """Negotiate is a view like any other: limits, audits and headers of the app hold for it."""
    app = open_app()
    seen = []

    @app.before_request
    def before() -> None:
        seen.append("before")

    @app.after_request
    def after(response: Response) -> Response:
        response.headers["X-Frame-Options"] = "DENY"
        response.set_cookie("seen", "1")
        return response

    answer = negotiate(app)

    assert service_claims(answer)
    assert seen == ["before"]
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Set-Cookie"].startswith("seen=1")


def test_a_hook_of_the_app_may_answer_itself() -> None:
    app = open_app()

    @app.before_request
    def maintenance() -> ResponseReturnValue:
        return {"error": "back at noon"}, 503

    answer = negotiate(app)

    assert (answer.status_code, body(answer)) == (503, {"error": "back at noon"})


def test_a_hook_of_the_app_may_change_the_answer() -> None:
    """Compression and envelopes rewrite the body; its length has to follow."""
    app = open_app()

    @app.after_request
    def rewrite(response: Response) -> Response:
        response.set_data(b"{}")
        response.status_code = 203
        return response

    answer = negotiate(app)

    assert answer.status_code == 203
    assert answer.data == b"{}"
    assert answer.headers["Content-Length"] == "2"


def test_a_hook_of_the_app_may_wait_for_the_answer_to_be_sent() -> None:
    """Metrics and traces end there."""
    app = open_app()
    sent = []

    @app.after_request
    def watch(response: Response) -> Response:
        response.call_on_close(lambda: sent.append(response.status_code))
        return response

    answer = negotiate(app)
    answer.close()

    assert service_claims(answer)
    assert sent == [200]


def test_a_hook_of_the_app_may_put_another_body_in_place() -> None:
    app = open_app()

    @app.after_request
    def stream(response: Response) -> Response:
        response.response = iter([b"a", b"b"])
        del response.headers["Content-Length"]
        return response

    assert negotiate(app).data == b"ab"


def test_a_service_token_ends_with_the_sign_in() -> None:
    """The connection must not outlive what it was granted for."""
    end = int(time.time()) + 90

    claims = service_claims(negotiate(app_with(Principal("ada", expires_at=end))))

    assert claims["exp"] == end


def test_a_sign_in_longer_than_the_setting_does_not_prolong_the_token() -> None:
    end = int(time.time()) + 900_000

    claims = service_claims(negotiate(app_with(Principal("ada", expires_at=end), access_token_lifetime=60)))

    assert claims["exp"] - claims["iat"] == 60


# How it refuses.


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (AuthenticationFailed("no such key"), 401),
        (AuthorizationDenied("members only"), 403),
        (InvalidClaim("a", "wrong"), 403),
        (IdentityProviderUnavailable("the provider is down"), 503),
        (NoServiceEndpoint("no endpoint"), 503),
        (RouterRefused("which region?"), 400),
        (RouterRefused("moved away", 410), 410),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_a_refusal_has_signalrs_form_and_the_right_status(error: SignalRError, status: int) -> None:
    """The official clients show the text of ``error`` or of the body (2.5)."""
    assert_refused(negotiate(app_with(error)), status, re.escape(str(error)))


@pytest.mark.parametrize(("retry_after", "header"), [(5, "5"), (120, "120")])
def test_what_is_down_says_when_to_try_again(retry_after: int, header: str) -> None:
    answer = negotiate(app_with(Unavailable("the directory is down", retry_after=retry_after)))

    assert_refused(answer, 503, "the directory is down")
    assert answer.headers["Retry-After"] == header


def test_a_stranger_is_asked_to_sign_in(client: FlaskClient) -> None:
    """Hubs are closed unless they say otherwise."""
    answer = client.post("/chat/negotiate?negotiateVersion=1")

    assert_refused(answer, 401, "sign in to connect")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_hub_without_any_scheme_is_closed() -> None:
    signalr = SignalR()
    signalr.hub("chat")

    assert_refused(negotiate(create_app(signalr)), 401, "sign in to connect")


def test_one_401_has_every_challenge_once_in_order() -> None:
    """Browsers take the strongest that they know (RFC 9110 §11.6.1)."""
    schemes = [
        Says(None, "Negotiate"),
        Says(None),
        Says(None, 'Bearer realm="one"'),
        Says(None, "Negotiate"),
        Says(AuthenticationFailed("no")),
        Says(None, "Basic"),
    ]
    signalr = SignalR(auth=schemes)
    signalr.hub("chat")

    answer = negotiate(create_app(signalr))

    assert answer.headers.getlist("WWW-Authenticate") == ["Negotiate", 'Bearer realm="one"', "Basic"]


@pytest.mark.parametrize("outcome", [AuthorizationDenied("no"), Unavailable("down")])
def test_only_a_401_has_challenges(outcome: SignalRError) -> None:
    signalr = SignalR(auth=[Says(None, "Negotiate"), Says(outcome)])
    signalr.hub("chat")

    assert "WWW-Authenticate" not in negotiate(create_app(signalr)).headers


def test_a_login_page_never_answers() -> None:
    """A SignalR client would take the page's HTML for the answer; it cannot sign in there."""
    signalr = SignalR(auth=[CookieAuth()])
    signalr.hub("chat")
    app = create_app(signalr)
    login = LoginManager(app)
    login.login_view = "/login"
    login.user_loader(lambda _: None)
    login.unauthorized_handler(lambda: redirect("/login"))

    assert_refused(negotiate(app), 401, "sign in to connect")


@pytest.mark.parametrize("kind", [401, Exception, HTTPException, SignalRError, AuthenticationFailed])
@pytest.mark.parametrize("before", [True, False], ids=["before init_app", "after init_app"])
def test_an_error_page_of_the_app_does_not_stand_in_the_place_of_a_refusal(
    kind: int | type[Exception], before: bool
) -> None:
    signalr = SignalR()
    signalr.hub("chat")
    app = create_app(None if before else signalr)
    app.register_error_handler(kind, lambda _: redirect("/login"))
    if before:
        signalr.init_app(app)

    assert_refused(negotiate(app), 401, "sign in to connect")


def test_the_blueprints_own_error_handler_may_take_over() -> None:
    """Who wants another answer says so on the blueprint, on purpose."""
    signalr = SignalR()
    signalr.hub("chat")

    @signalr.blueprint.errorhandler(AuthenticationFailed)
    def in_french(error: AuthenticationFailed) -> ResponseReturnValue:
        return {"error": "connectez-vous"}, 401

    answer = negotiate(create_app(signalr))

    assert (answer.status_code, body(answer)) == (401, {"error": "connectez-vous"})


def test_too_many_claims_are_named_by_their_size() -> None:
    """The service takes 4096 characters of a token; whoever reads the refusal must know what to leave out."""
    claims = {"groups": [f"group-{number}" for number in range(500)], "photo": "x" * 900, "name": "Ada"}

    answer = negotiate(app_with(Principal("ada", claims), claims_filter=everything))

    assert_refused(answer, 413, r"4096.*'groups' \d+, 'photo' \d+, .*fits without 'groups'")


def test_a_claim_that_speaks_for_the_service_is_refused() -> None:
    """User id forgery: whoever can choose a claim's name must not become another user with ``asrs.s.uid``."""
    answer = negotiate(app_with(Principal("eve", {"asrs.s.uid": "ada"}), claims_filter=everything))

    assert_refused(answer, 403, r"asrs\.s\.uid")
    assert "ada" not in answer.text


def test_half_a_character_in_a_claim_is_a_refusal_and_no_crash() -> None:
    answer = negotiate(app_with(Principal("ada", {"na\ud800me": "x\udfff"}), claims_filter=everything))

    assert_refused(answer, 403, "lone surrogate")


@pytest.mark.parametrize("seconds", [0, -1, -1_000_000_000])
def test_an_expired_sign_in_connects_nobody(seconds: int) -> None:
    """Outliving one's sign-in: a scheme's own check may be minutes old, as with a cached session."""
    principal = Principal("ada", expires_at=int(time.time()) + seconds)

    assert_refused(negotiate(app_with(principal)), 401, "expired")


# What is not SignalR's request.


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data; boundary=x", "~"])
def test_a_body_is_refused(content_type: str) -> None:
    answer = negotiate(open_app(), data=b"{}", content_type=content_type)

    assert_refused(answer, 400, "no body")


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain;charset=UTF-8", "application/x-www-form-", ""]
)
def test_a_content_type_without_content_does_no_harm(content_type: str) -> None:
    """Some HTTP libraries send one with every POST."""
    assert service_claims(negotiate(open_app(), data=b"", content_type=content_type))


@pytest.mark.parametrize("length", ["-1", "1.5", "99999999999999999999", "x", "0, 0", "+0"])
def test_a_garbled_content_length_is_refused(length: str) -> None:
    assert_refused(negotiate(open_app(), environ_overrides={"CONTENT_LENGTH": length}), 400, "no body")


def test_an_error_text_that_no_answer_can_hold_is_a_refusal_all_the_same() -> None:
    """A scheme of the app's may quote what it was sent, half of a character too."""
    signalr = SignalR(auth=[Says(AuthenticationFailed("\ud83d"))])
    signalr.hub("chat")

    assert_refused(negotiate(create_app(signalr)), 401, "ud83d")


class Stalled(io.BytesIO):
    """What a server hands over for a chunked body whose first chunk does not come."""

    def readinto(self, buffer: object) -> int:
        raise AssertionError("reading would wait for ever")

    def read(self, size: int | None = -1) -> bytes:
        raise AssertionError("reading would wait for ever")


def test_a_stalled_chunked_body_holds_no_worker() -> None:
    """Denial of service: a few callers, not signed in, who announce a body and send none, would occupy all workers."""
    answer = negotiate(
        open_app(),
        input_stream=Stalled(),
        environ_overrides={"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True},
    )

    assert service_claims(answer)


def test_an_empty_chunked_body_does_no_harm() -> None:
    """Proxies send it for an HTTP/2 request that came without a length."""
    answer = negotiate(
        open_app(),
        environ_overrides={"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True},
    )

    assert service_claims(answer)


@pytest.mark.parametrize(
    ("query", "pattern"),
    [
        ("negotiateVersion=x", "non-integer"),
        ("negotiateVersion=", "non-integer"),
        ("negotiateVersion", "non-integer"),
        ("negotiateVersion=1.0", "non-integer"),
        ("negotiateVersion=-1", "non-integer"),
        ("negotiateVersion=%D9%A1", "non-integer"),
        ("negotiateVersion=%C2%B2", "non-integer"),
        ("negotiateVersion=1&negotiateVersion=1", "several negotiateVersion"),
        ("negotiateVersion=0&x=1&negotiateVersion=1", "several negotiateVersion"),
        ("\xff", "not UTF-8"),
        ("negotiateVersion=1&x=\xc3", "not UTF-8"),
    ],
)
def test_a_query_that_no_client_sends_is_refused(query: str, pattern: str) -> None:
    answer = open_app().test_client().post("/chat/negotiate", environ_overrides={"QUERY_STRING": query})

    assert_refused(answer, 400, pattern)


@pytest.mark.parametrize("query", ["negotiateVersion=" + "9" * 5000, "&".join(["a=1"] * 5000), "=&&=;&%&%zz"])
def test_an_odd_query_does_no_harm(query: str) -> None:
    assert service_claims(open_app().test_client().post("/chat/negotiate", query_string=query))


def test_a_server_may_leave_out_what_is_empty() -> None:
    """PEP 3333: ``QUERY_STRING`` and ``CONTENT_LENGTH`` may be absent from the environ."""
    app = open_app()
    started: list[str] = []

    def start_response(status: str, headers: object, exc_info: object = None) -> Callable[[bytes], object]:
        started.append(status)
        return lambda _: None

    with app.test_request_context("/chat/negotiate", method="POST") as context:
        environ = {key: value for key, value in context.request.environ.items() if not key.startswith("werkzeug.")}
    del environ["QUERY_STRING"]
    environ.pop("CONTENT_LENGTH", None)

    content = b"".join(app.wsgi_app(environ, start_response))

    assert started == ["200 OK"]
    assert b"accessToken" in content


@pytest.mark.parametrize("place", ["header", "query"])
def test_a_megabyte_of_token_is_refused(client: FlaskClient, place: str) -> None:
    giant = "a" * 1_000_000
    headers = {"Authorization": f"Bearer {giant}"} if place == "header" else {}
    query = f"access_token={giant}" if place == "query" else ""

    answer = client.post("/chat/negotiate", headers=headers, query_string=query)

    assert_refused(answer, 401, "longer than")
    assert len(answer.data) < 200


# What the app gets wrong.


class WrongProgram(AuthScheme):
    def authenticate(self, request: Request) -> Principal | None:
        raise KeyError("the-password-of-the-database")


@pytest.mark.parametrize(
    ("scheme", "detail"),
    [(CookieAuth(), "LoginManager"), (WrongProgram(), "the-password-of-the-database")],
    ids=["misconfigured", "faulty"],
)
def test_the_apps_own_fault_is_a_500_that_tells_the_caller_nothing(
    scheme: AuthScheme, detail: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The developer finds the reason in the log; a stranger does not read it."""
    signalr = SignalR(auth=[scheme])
    signalr.hub("chat", allow_anonymous=True)

    answer = negotiate(create_app(signalr))

    assert answer.status_code == 500
    assert detail not in answer.text
    assert "accessToken" not in answer.text
    assert detail in caplog.text


# What is logged.


def test_a_refusal_is_logged_with_its_reason_and_without_the_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    signalr = SignalR(auth=[BearerAuth(SECRET, issuer="https://login.example")])
    signalr.hub("chat")
    headers = bearer_headers("ada", iss="https://evil.example")

    negotiate(create_app(signalr), headers=headers)

    refusals = [record.getMessage() for record in caplog.records if record.name == "flask_signalr.negotiate"]
    assert refusals == [
        "hub 'chat' refused with 401: nobody here accepts this bearer token: its issuer may be another one"
    ]
    assert headers["Authorization"].removeprefix("Bearer ") not in caplog.text


def test_a_policys_refusal_is_logged_where_negotiate_logs_with_the_requirement(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Who switches on the log of negotiate sees all of it."""
    caplog.set_level(logging.INFO, "flask_signalr.negotiate")
    signalr = SignalR(auth=[CookieAuth(lambda: "eve")])
    signalr.hub("chat", policy=Policy(require_role("staff")))

    answer = negotiate(create_app(signalr))

    assert answer.status_code == 403
    assert caplog.record_tuples == [
        ("flask_signalr.negotiate", logging.INFO, "hub 'chat', 'connect': denied by require_role('staff')"),
        ("flask_signalr.negotiate", logging.INFO, "hub 'chat' refused with 403: this sign-in may not do this"),
    ]


def test_log_forging_by_what_a_scheme_quotes_fails(caplog: pytest.LogCaptureFixture) -> None:
    """Log injection: an app's own auth scheme may say what it was brought."""
    caplog.set_level(logging.INFO, "flask_signalr")

    class Tickets(AuthScheme):
        def authenticate(self, request: Request) -> Principal | None:
            raise AuthenticationFailed(f"no ticket {request.args['ticket']}")

    signalr = SignalR(auth=[Tickets()])
    signalr.hub("chat")
    create_app(signalr).test_client().post("/chat/negotiate?ticket=7%0AINFO%20ada%20signed%20in%0D%1B[2J")

    (record,) = caplog.records
    assert record.getMessage().endswith(r"no ticket 7\nINFO ada signed in\r\x1b[2J")


def test_log_forging_by_a_hubs_name_fails(caplog: pytest.LogCaptureFixture) -> None:
    """Log injection: a line break in the path must not begin a line of its own."""
    caplog.set_level(logging.INFO, "flask_signalr")

    negotiate(open_app(), "x%0AINFO%20root%20ada%20signed%20in%0D%1B[2J")

    (record,) = caplog.records
    assert record.getMessage().isprintable()


def test_a_hubs_giant_name_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "flask_signalr")

    negotiate(open_app(), "x" * 100_000)

    assert len(caplog.records[0].getMessage()) < 300


def test_a_success_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "flask_signalr")

    negotiate(app_with(ADA))

    assert not caplog.records


def test_a_blueprint_that_was_registered_by_hand_says_what_is_missing(caplog: pytest.LogCaptureFixture) -> None:
    signalr = SignalR()
    signalr.hub("chat", allow_anonymous=True)
    app = create_app()
    app.register_blueprint(signalr.blueprint)

    assert negotiate(app).status_code == 500
    assert "without signalr.init_app(app)" in caplog.text
