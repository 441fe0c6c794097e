"""Upstream requests over HTTP: who is believed, what runs, what the service is answered, and what is refused."""

import asyncio
import dataclasses
import io
import json
import logging
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec
import pytest
from flask import Flask, Response, redirect, request
from flask.typing import ResponseReturnValue
from flask_wtf import CSRFProtect
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse, run_wsgi_app

from flask_signalr import (
    AuthorizationDenied,
    ConfigurationError,
    CookieAuth,
    Hub,
    HubException,
    Invocation,
    Policy,
    Principal,
    ServiceEndpoint,
    ServiceResponse,
    SignalR,
    only,
    require_claim,
    require_role,
)
from flask_signalr.app_services import CLOSE_TIMEOUT
from flask_signalr.app_state import AppState
from flask_signalr.config import Settings
from flask_signalr.stores.memory import MemoryStore
from flask_signalr.stores.store import Store
from flask_signalr.stores.store_settings import StoreSettings
from flask_signalr.testing import FakeService
from flask_signalr.upstream_settings import NO_UPSTREAM_KEYS
from tests.apps import ACCESS_KEY, CONNECTION_STRING, body, create_app, negotiate, service_claims
from tests.recorded_service import ABSENT, BROKEN, DONE, RecordedService
from tests.redis_server import RedisServer
from tests.upstream_calls import CONNECTION_ID, call, completion, connect, disconnect, headers_of, post, signed

OTHER_KEY = "the-other-access-key-of-the-same-service-0123456789="
NAMES = ["add", "a/b", "a//b", "a/", "100%", "a%2Fb", "größe", "a b", "a?b#c", "negotiate", "x/negotiate", "connected"]


class Site:
    """An app whose hub ``chat`` remembers what ran.

    Attributes:
        ran: Every invocation that reached a handler.
        errors: What connections ended with.
    """

    def __init__(self, signalr: SignalR | None = None, **config: Any) -> None:
        self.ran: list[Invocation] = []
        self.errors: list[str | None] = []
        self.signalr = signalr or SignalR()
        self.chat = self.signalr.hub("chat", allow_anonymous=True, claims_filter=only("role"))
        self.chat.on_connected(self.ran.append)
        self.chat.on_disconnected(self._gone)
        for name in NAMES:
            self.chat.method(name)(self._add)
        self.app = create_app(self.signalr, **config)
        self.app.extensions["signalr"].use_transport(RecordedService())

    def _add(self, invocation: Invocation, one: int = 0, other: int = 0) -> int:
        self.ran.append(invocation)
        return one + other

    def _gone(self, invocation: Invocation, error: str | None) -> None:
        self.ran.append(invocation)
        self.errors.append(error)


def assert_refused(answer: TestResponse, status: int, pattern: str) -> None:
    assert (answer.status_code, list(body(answer))) == (status, ["error"])
    assert re.search(pattern, body(answer)["error"])
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"


class Unread(io.RawIOBase):
    """A body that nobody may look at."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        raise AssertionError("the body was read")


# What runs, and what the service is answered.


@pytest.mark.parametrize("target", NAMES)
def test_a_method_of_any_name_is_called(target: str) -> None:
    """The service percent-encodes names in the URL and nowhere else."""
    site = Site()

    assert completion(call(site.app, target, 1, 2)) == {"type": 3, "invocationId": "1", "result": 3}
    assert site.ran[0].target == target


@pytest.mark.parametrize("application", ["", "shop"])
def test_a_hub_whose_name_has_commas_is_called_with_its_claims(application: str) -> None:
    """Names of .NET's generic types have some, and the service prints the token's audience between the claims."""
    signalr = SignalR()
    hub = signalr.hub("Seats`2[Room,Row]")
    hub.method("roles")(lambda invocation: list(invocation.claims.all("role")))
    app = create_app(signalr, SIGNALR_APPLICATION_NAME=application)
    at_service = f"{application}_seats`2[room,row]".removeprefix("_")
    claims = f"asrs.s.uid: ada, role: staff, aud: http://localhost/client/?hub={at_service}, role: admin"
    headers = headers_of("messages", "roles", hub=at_service, user_claims=claims)

    invocation = {"type": 1, "invocationId": "1", "target": "roles", "arguments": []}
    answer = post(app, f"/{at_service}/upstream/messages/roles", headers, invocation)

    assert completion(answer)["result"] == ["staff", "admin"]


def test_a_handler_sees_who_calls_and_no_token() -> None:
    site = Site()

    call(site.app, "add", 1, 2)

    (invocation,) = site.ran
    assert (invocation.hub, invocation.connection_id, invocation.user_id) == ("chat", CONNECTION_ID, "ada")
    assert invocation.claims.pairs == (("role", "staff"),)
    assert invocation.principal.is_authenticated
    assert list(invocation.query.items()) == [("hub", "chat"), ("room", "1")]
    assert (invocation.arguments, invocation.invocation_id) == ((1, 2), "1")


def test_a_call_that_waits_for_nothing_is_answered_with_nothing() -> None:
    site = Site()

    answer = call(site.app, "add", 1, 2, invocation_id=None)

    assert (answer.status_code, answer.data) == (200, b"")
    assert len(site.ran) == 1


def test_a_messagepack_client_is_answered_in_messagepack() -> None:
    site = Site()
    packed = msgspec.msgpack.encode([1, {}, "7", "add", [1, 2], []])

    answer = post(
        site.app,
        "/chat/upstream/messages/add",
        headers_of("messages", "add"),
        packed,
        content_type="application/x-msgpack",
    )

    assert answer.headers["Content-Type"] == "application/x-msgpack"
    assert answer.data[0] == len(answer.data) - 1
    assert msgspec.msgpack.decode(answer.data[1:]) == [3, {}, "7", 3, 3]


def test_the_header_names_the_hub_in_any_case() -> None:
    """The service has hubs without regard to case, and repeats what it was told."""
    assert completion(call(Site().app, "add", 1, 2, hub="CHAT"))["result"] == 3


def test_an_unknown_method_is_an_error_of_the_call() -> None:
    assert completion(call(Site().app, "nothing"))["error"] == "Unknown hub method 'nothing'"


def test_members_may_be_capitalised() -> None:
    site = Site()
    capitals = {"Type": 1, "InvocationId": "1", "Target": "add", "Arguments": [1, 2]}

    answer = post(site.app, "/chat/upstream/messages/add", headers_of("messages", "add"), capitals)

    assert completion(answer)["result"] == 3


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON", "application/json "])
def test_a_content_type_may_have_parameters(content_type: str) -> None:
    answer = post(
        Site().app, "/chat/upstream/connections/connected", headers_of("connections", "connected"), {"type": 10},
        content_type=content_type,
    )  # fmt: skip

    assert answer.status_code == 200


def test_clients_come_and_go() -> None:
    site = Site()

    answers = [connect(site.app), disconnect(site.app), disconnect(site.app, "lost")]

    assert [(answer.status_code, answer.data) for answer in answers] == [(200, b"")] * 3
    assert [invocation.target for invocation in site.ran] == [None] * 3
    assert site.errors == [None, "lost"]


def test_presence_knows_who_came_and_went() -> None:
    site = Site()
    with site.app.app_context():
        connect(site.app)
        there = site.chat.presence.users()
        disconnect(site.app)

        assert [there, site.chat.presence.users()] == [frozenset({"ada"}), frozenset()]


def test_handlers_find_in_presence_whom_they_are_told_of() -> None:
    """One may ask who is there, itself with them: whoever came first, or whose last connection it was."""
    site, there = Site(), list[frozenset[str]]()
    site.chat.on_connected(lambda invocation: there.append(site.chat.presence.users()))
    site.chat.on_disconnected(lambda invocation, error: there.append(site.chat.presence.users()))

    connect(site.app)
    disconnect(site.app)

    assert there == [frozenset({"ada"}), frozenset()]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (AuthorizationDenied("the room is full"), "the room is full"),
        (HubException("the room is closed"), "the room is closed"),
        (ZeroDivisionError("secret"), "unexpected error"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_client_that_a_handler_refuses_is_not_there(error: Exception, text: str) -> None:
    site, _ = refusing_site()

    @site.chat.on_connected
    def refuse(invocation: Invocation) -> None:
        raise error

    answer = connect(site.app, user_id="bob")

    assert_refused(answer, 403, text)
    assert "secret" not in answer.text
    with site.app.app_context():
        assert site.chat.presence.users() == frozenset()


def refusing_site(answer: ServiceResponse = DONE, **config: Any) -> tuple[Site, RecordedService]:
    """Return an app whose handler refuses ada, and the service that it calls."""
    site, service = Site(**config), RecordedService(lambda request: answer)
    state: AppState = site.app.extensions["signalr"]
    state.use_transport(service)

    @site.chat.on_connected
    def refuse(invocation: Invocation) -> None:
        if invocation.user_id == "ada":
            raise HubException("the room is full")

    return site, service


def test_a_refused_connection_that_the_service_keeps_open_calls_nothing() -> None:
    """Attack: a banned client goes on, as a service that does not heed the 403 lets it."""
    site, _ = refusing_site()
    connect(site.app)
    connect(site.app, connection_id="c2", user_id="bob")
    site.ran.clear()

    answers = [call(site.app, "add", 1, 2), call(site.app, "add", invocation_id=None), call(site.app, "nothing")]
    of_another = call(site.app, "add", 1, 2, connection_id="c2", user_id="bob")

    for answer in answers:
        assert_refused(answer, 403, "refused when it connected")
    assert completion(of_another)["result"] == 3
    assert [each.user_id for each in site.ran] == ["bob"]
    with site.app.app_context():
        assert site.chat.presence.users() == {"bob"}


def test_a_refused_connection_under_another_name_calls_nothing() -> None:
    """Attack: the signature covers the connection id alone, so the refusal holds for it whoever it says it is."""
    site, _ = refusing_site()
    connect(site.app)

    assert_refused(call(site.app, "add", user_id="bob", user_claims="role: admin"), 403, "refused when it connected")


def test_a_refused_connection_is_closed_at_the_service_with_the_reason() -> None:
    site, service = refusing_site(SIGNALR_APPLICATION_NAME="App")

    connect(site.app, hub="app_chat")

    (request,) = service.requests
    assert request.method == "DELETE"
    assert urlsplit(request.url).path == f"/api/hubs/chat/connections/{CONNECTION_ID}"
    assert "application=app" in request.url
    assert "reason=the%20room%20is%20full" in request.url
    assert request.timeout <= CLOSE_TIMEOUT


@pytest.mark.parametrize("answer", [BROKEN, ServiceResponse(401, {}), ABSENT], ids=lambda each: str(each.status))
def test_a_refusal_holds_though_the_service_does_not_close(
    answer: ServiceResponse, caplog: pytest.LogCaptureFixture
) -> None:
    site, _ = refusing_site(answer, SIGNALR_REST_RETRIES=0)

    assert_refused(connect(site.app), 403, "the room is full")
    assert_refused(call(site.app, "add"), 403, "refused when it connected")
    assert ("stays open at the service" in caplog.text) == (answer is not ABSENT)  # one that is gone is closed


@pytest.mark.parametrize("event", [{"type": "10"}, {"type": 10, "Type": 10}, b"{"], ids=["type", "twice", "broken"])
def test_slipping_past_the_door_a_connect_that_came_to_nothing_lets_no_call_in(event: Any) -> None:
    """Attack: a client whose connect event the app could not handle calls though ``on_connected`` never saw it."""
    site, service = refusing_site()

    answer = post(site.app, "/chat/upstream/connections/connected", headers_of("connections", "connected"), event)

    assert answer.status_code == 400
    assert_refused(call(site.app, "add"), 403, "connect again")
    assert site.ran == []
    (request,) = service.requests
    assert (request.method, "connect%20again" in request.url) == ("DELETE", True)


@pytest.mark.parametrize("end", [SystemExit, asyncio.CancelledError])
def test_slipping_past_the_door_by_a_handler_that_was_cut_off_fails(end: type[BaseException]) -> None:
    """Attack: what ends a task or a worker is no ``Exception``, and ``on_connected`` was not through all the same."""
    site, service = refusing_site()

    @site.chat.on_connected
    def cut_off(invocation: Invocation) -> None:
        raise end

    with pytest.raises(end):
        connect(site.app, user_id="bob")
    site.ran.clear()

    assert_refused(call(site.app, "add", user_id="bob"), 403, "connect again")
    assert site.ran == []
    assert [request.method for request in service.requests] == ["DELETE"]


def test_slipping_past_the_door_while_the_store_is_full_fails() -> None:
    """Attack: the replay window takes no more, so connect events are answered 503 before a handler sees them."""
    site, service = refusing_site(SIGNALR_UPSTREAM_REPLAY_WINDOW=300)
    state: AppState = site.app.extensions["signalr"]
    state.reload(
        dataclasses.replace(
            state.settings, store=TinyStore(), upstream=dataclasses.replace(state.settings.upstream, replay_window=300)
        )
    )

    answers = [connect(site.app, connection_id=name, user_id="bob") for name in ("c1", "c2")]
    calls = [call(site.app, "add", connection_id=name, user_id="bob") for name in ("c1", "c2")]

    assert [answer.status_code for answer in answers] == [200, 503]
    assert [answer.status_code for answer in calls] == [200, 403]
    assert len(service.requests) == 1


def test_an_end_that_cannot_be_read_refuses_nobody() -> None:
    """The handlers let it in, and nobody knows that it is gone."""
    site, service = refusing_site()
    connect(site.app, user_id="bob")

    answer = post(
        site.app, "/chat/upstream/connections/disconnected", headers_of("connections", "disconnected"), {"type": "11"}
    )

    assert answer.status_code == 400
    assert completion(call(site.app, "add", 1, 2, user_id="bob"))["result"] == 3
    assert service.requests == []


class TinyStore(StoreSettings):
    """A store that takes one key of each purpose."""

    def open(self) -> Store:
        return MemoryStore(max_claims=1)


def test_a_repeated_connect_shuts_nobody_out() -> None:
    """Denial of service: a copy of the event is refused, and the connection that it tells of is none the worse."""
    site, service = refusing_site(SIGNALR_UPSTREAM_REPLAY_WINDOW=300)

    answers = [connect(site.app, user_id="bob") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 409]
    assert call(site.app, "add", user_id="bob").status_code == 200
    assert service.requests == []


def test_with_a_shared_store_a_connection_that_never_connected_calls_nothing(running_redis: RedisServer) -> None:
    """Attack: a client calls whose connect event got lost on its way, which no worker can have refused."""
    site, service = refusing_site(SIGNALR_STORE_URL=running_redis.url, SIGNALR_STORE_PREFIX=uuid4().hex)
    other_worker, _ = refusing_site(
        SIGNALR_STORE_URL=running_redis.url, SIGNALR_STORE_PREFIX=site.app.config["SIGNALR_STORE_PREFIX"]
    )
    connect(site.app, connection_id="c2", user_id="bob")

    assert_refused(call(site.app, "add", user_id="bob"), 403, "connect again")
    assert completion(call(other_worker.app, "add", 1, 2, connection_id="c2", user_id="bob"))["result"] == 3
    assert_refused(call(other_worker.app, "add", user_id="bob"), 403, "connect again")
    assert [each.target for each in site.ran] == [None]
    (request,) = service.requests
    assert "connect%20again" in request.url


def test_a_hub_without_a_door_needs_no_connect_though_the_store_is_shared(running_redis: RedisServer) -> None:
    """The service may be told to send messages alone."""
    signalr = SignalR()
    signalr.hub("chat", allow_anonymous=True).method("add")(lambda invocation: 1)
    app = create_app(signalr, SIGNALR_STORE_URL=running_redis.url, SIGNALR_STORE_PREFIX=uuid4().hex)

    assert completion(call(app, "add"))["result"] == 1


def test_who_comes_while_the_store_is_down_must_come_again(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody could tell other processes that the handlers let it in; and those handlers hear that it is gone."""
    site, service = refusing_site(SIGNALR_STORE_URL="unix:///nowhere/there-is-no-such.sock")

    answers = [connect(site.app, user_id="bob"), disconnect(site.app, user_id="bob")]

    assert [answer.status_code for answer in answers] == [503, 200]
    assert [each.user_id for each in site.ran] == ["bob", "bob"]
    assert "connect%20again" in service.requests[0].url
    assert "nowhere" not in service.requests[0].url


def test_a_refused_connection_that_ends_is_none_to_those_who_never_saw_it_come() -> None:
    """As in ASP.NET; whoever counts those who come would count one too few for ever."""
    site, _ = refusing_site()
    connect(site.app)
    connect(site.app, connection_id="c2", user_id="bob")

    answers = [disconnect(site.app), disconnect(site.app, connection_id="c2", user_id="bob")]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert len(site.errors) == 1


def test_calls_are_refused_while_nobody_knows_whether_their_connection_was(caplog: pytest.LogCaptureFixture) -> None:
    """The store is down; a connection that ends is told all the same, as that lets nobody in."""
    site, service = refusing_site(SIGNALR_STORE_URL="unix:///nowhere/there-is-no-such.sock")

    answers = [connect(site.app), call(site.app, "add"), disconnect(site.app)]

    assert [answer.status_code for answer in answers] == [403, 503, 200]
    assert len(service.requests) == 1
    assert [each.target for each in site.ran] == [None, None]
    assert "a refused connection is not remembered" in caplog.text


def test_a_hub_that_refuses_nobody_asks_no_store_about_it(caplog: pytest.LogCaptureFixture) -> None:
    """A store that is down would refuse its calls, and one that is there would cost each of them a while."""
    signalr = SignalR()
    signalr.hub("chat", allow_anonymous=True).method("add")(lambda invocation: 1)
    app = create_app(signalr, SIGNALR_STORE_URL="unix:///nowhere/there-is-no-such.sock")

    assert completion(call(app, "add"))["result"] == 1
    assert connect(app).status_code == 200
    assert disconnect(app).status_code == 200
    assert {record.name for record in caplog.records} == {"flask_signalr.presence"}


def test_a_refusal_without_words_is_one_too() -> None:
    site, service = refusing_site()

    class Mute(AuthorizationDenied):
        def __str__(self) -> str:
            raise ValueError("no text")

    @site.chat.on_connected
    def refuse(invocation: Invocation) -> None:
        raise Mute("")

    assert_refused(connect(site.app, user_id="bob"), 403, "^Mute$")
    assert "reason=Mute" in service.requests[0].url


def test_async_handlers_run_as_async_views_do() -> None:
    site = Site()

    @site.chat.method("later")
    async def later(invocation: Invocation) -> str:
        return request.path

    assert completion(call(site.app, "later"))["result"] == "/chat/upstream/messages/later"


def test_guests_are_nobody() -> None:
    """Without a user id nobody was proven; with the mark of a guest neither."""
    site = Site()

    call(site.app, "add", user_id=None, user_claims="role: staff")
    call(site.app, "add", user_id="guest-7", user_claims="asrs.s.uid: guest-7, asrs.u.anonymous: true")

    assert [(each.user_id, each.principal.is_authenticated) for each in site.ran] == [(None, False), ("guest-7", False)]
    assert len(site.ran[1].claims) == 0


# Where it is mounted.


@pytest.mark.parametrize("path_hub", ["chat", "CHAT", "app_chat", "App_Chat"])
def test_the_url_may_name_a_hub_with_or_without_the_applications_name(path_hub: str) -> None:
    site = Site(SIGNALR_APPLICATION_NAME="App")

    answer = post(
        site.app,
        f"/{path_hub}/upstream/connections/connected",
        headers_of("connections", "connected", hub="app_chat"),
        {"type": 10},
    )

    assert answer.status_code == 200
    assert site.ran[0].hub == "chat"


@pytest.mark.parametrize(
    ("header", "path"),
    [("other_chat", "other_chat"), ("other_chat", "chat"), ("chat", "chat"), ("app_news", "app_chat")],
)
def test_a_hub_of_another_app_is_none_of_ours(header: str, path: str) -> None:
    """Both apps use one service, whose key signs for both; a client of the other one may be anybody's ada."""
    site = Site(SIGNALR_APPLICATION_NAME="app")

    answer = post(
        site.app,
        f"/{path}/upstream/connections/connected",
        headers_of("connections", "connected", hub=header),
        {"type": 10},
    )

    assert answer.status_code in {400, 404}
    assert site.ran == []


def test_the_name_at_the_service_wins_over_an_equal_name_here() -> None:
    signalr = SignalR()
    ran = []
    for name in ("b", "a_b"):
        signalr.hub(name).on_connected(lambda invocation: ran.append(invocation.hub))
    app = create_app(signalr, SIGNALR_APPLICATION_NAME="a")

    for name in ("a_b", "a_a_b"):
        headers = headers_of("connections", "connected", hub=name)
        post(app, f"/{name}/upstream/connections/connected", headers, {"type": 10})

    assert ran == ["b", "a_b"]


def test_an_undeclared_hub_is_not_there() -> None:
    headers = headers_of("connections", "connected", hub="news")

    assert_refused(post(Site().app, "/news/upstream/connections/connected", headers, {"type": 10}), 404, "no hub")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_there_is_nothing_but_post(method: str) -> None:
    """No preflight is answered: no page has any business here."""
    answer = Site().app.test_client().open(
        "/chat/upstream/messages/add", method=method, headers={"Origin": "https://page.example"}
    )  # fmt: skip

    assert answer.status_code == 405
    assert "Access-Control-Allow-Origin" not in answer.headers


# Forgeries. Nothing may run, and nothing of the body may be read.


def attempt(site: Site, **changes: str | None) -> TestResponse:
    """Send a call whose body nobody may look at."""
    return site.app.test_client().post(
        "/chat/upstream/messages/add",
        headers=headers_of("messages", "add", **changes),
        content_type="application/json",
        environ_overrides={"wsgi.input": Unread(), "CONTENT_LENGTH": "20"},
    )  # fmt: skip


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        "sha256=",
        "sha256=" + "0" * 64,
        signed(key="guessed"),
        signed("another-connection"),
        ",".join(["x"] * 50),
    ],
    ids=["missing", "empty", "no digits", "guessed", "of another key", "of another connection", "many"],
)
def test_a_forged_signature_is_refused_before_the_body_is_read(signature: str | None) -> None:
    site = Site()

    assert_refused(attempt(site, signature=signature), 401, "signature")
    assert site.ran == []


def test_a_good_signature_lets_the_body_be_read() -> None:
    """The counterpart of the test above: such a body fails if it is looked at."""
    with pytest.raises(AssertionError, match="the body was read"):
        attempt(Site(TESTING=True))


@pytest.mark.parametrize("name", ["connection_id", "hub", "category", "event"])
def test_an_empty_header_is_refused_before_the_body_is_read(name: str) -> None:
    """An empty connection id has a valid signature too."""
    site = Site()
    good = signed("")

    answers = [attempt(site, signature=good, **{name: value}) for value in ("", None)]

    assert {answer.status_code for answer in answers} <= {400, 401}
    assert site.ran == []


def test_claims_without_a_signature_are_nobodys() -> None:
    site = Site()

    answer = call(site.app, "add", signature=None, user_id="root", user_claims="role: admin")

    assert answer.status_code == 401
    assert site.ran == []


def test_a_display_name_forges_no_role() -> None:
    """`x, role: admin` as a user id is printed into the claims as it is; it must not come back as a role."""
    site = Site()

    call(site.app, "add", user_id="x, role: admin", user_claims="asrs.s.uid: x, role: admin")

    assert "role" not in site.ran[0].claims


def test_an_event_for_a_quiet_url_does_not_call_another_method() -> None:
    """A rule of the service, or a proxy, may let some events pass and others not: it sees the URL."""
    site = Site()
    calls_add = {"type": 1, "target": "add", "arguments": []}

    in_body = post(site.app, "/chat/upstream/messages/other", headers_of("messages", "other"), calls_add)
    in_url = post(site.app, "/chat/upstream/messages/other", headers_of("messages", "add"), calls_add)
    in_case = post(site.app, "/chat/upstream/messages/Add", headers_of("messages", "Add"), calls_add)
    in_category = post(
        site.app, "/chat/upstream/connections/connected", headers_of("messages", "connected"), {"type": 10}
    )

    assert [answer.status_code for answer in (in_body, in_url, in_case, in_category)] == [400] * 4
    assert site.ran == []


@pytest.mark.parametrize(
    ("category", "event"), [("connections", "joined"), ("other", "connected"), ("Connections", "connected")]
)
def test_there_are_no_other_events(category: str, event: str) -> None:
    site = Site()

    answer = post(site.app, f"/chat/upstream/{category}/{event}", headers_of(category, event), {"type": 10})

    assert_refused(answer, 400, "no such event")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [("text/plain", 415), ("", 415), ("application/x-www-form-urlencoded", 415), ("application/jsonx", 415)],
)
def test_another_kind_of_body_is_refused(content_type: str, status: int) -> None:
    """Forms are what a page of another site could send without asking."""
    site = Site()

    answer = post(
        site.app, "/chat/upstream/connections/connected", headers_of("connections", "connected"), {"type": 10},
        content_type=content_type,
    )  # fmt: skip

    assert_refused(answer, status, "application/json or application/x-msgpack")
    assert site.ran == []


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff", b'{"type":6}', b'{"type":99}', b'{"type":1,"target":"add"}', b"[" * 100_000,
     b'{"type":1,"target":"add","Target":"add","arguments":[]}', b'{"type":3,"invocationId":"1"}'],
    ids=lambda content: ascii(content[:30]),
)  # fmt: skip
def test_a_body_that_is_no_invocation_is_refused(content: bytes) -> None:
    site = Site()

    answer = post(site.app, "/chat/upstream/messages/add", headers_of("messages", "add"), content)

    assert answer.status_code == 400
    assert list(body(answer)) == ["error"]
    assert site.ran == []


@pytest.mark.parametrize("event", ["connected", "disconnected"])
@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b'{"type":1}', b'{"type":"10"}', b'{"type":10.0}', b'{"type":true}', b'{"type":11,"error":5}',
     b'{"type":10,"Type":11}', b'{"type":12}'],
    ids=lambda content: ascii(content[:30]),
)  # fmt: skip
def test_a_body_of_another_event_is_refused(event: str, content: bytes) -> None:
    site = Site()

    answer = post(site.app, f"/chat/upstream/connections/{event}", headers_of("connections", event), content)

    assert answer.status_code == 400
    assert site.ran == []


# Size.


def test_a_body_that_says_it_is_too_long_is_not_read() -> None:
    """Before anything is verified: the size is free to look at."""
    site = Site(SIGNALR_UPSTREAM_BODY_LIMIT=19)

    assert_refused(attempt(site), 413, "more than 19 bytes")


def chunked(site: Site, content: io.RawIOBase | io.BytesIO) -> int:
    """Send a body without a length, as a server hands over ``Transfer-Encoding: chunked``."""
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/chat/upstream/messages/add",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.errors": io.StringIO(),
        "wsgi.input": content,
        "wsgi.input_terminated": True,
        "HTTP_TRANSFER_ENCODING": "chunked",
        "CONTENT_TYPE": "application/json",
        **{f"HTTP_{name.upper().replace('-', '_')}": text for name, text in headers_of("messages", "add").items()},
    }
    _, status, _ = run_wsgi_app(site.app, environ, buffered=True)
    return int(status.split()[0])


class Endless(io.RawIOBase):
    """A body without an end; it counts what is taken of it."""

    taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), 7)
        buffer[:size] = b" " * size
        self.taken += size
        return size


def test_an_oversized_chunked_body_is_read_no_further_than_the_limit() -> None:
    site, endless = Site(SIGNALR_UPSTREAM_BODY_LIMIT=1000), Endless()

    assert chunked(site, endless) == 413
    assert endless.taken == 1001
    assert site.ran == []


def test_a_chunked_body_of_the_largest_size_is_read() -> None:
    content = json.dumps({"type": 1, "target": "add", "arguments": []}).encode()
    site = Site(SIGNALR_UPSTREAM_BODY_LIMIT=len(content))

    assert chunked(site, io.BytesIO(content)) == 200
    assert len(site.ran) == 1


def test_the_apps_own_limit_holds_too() -> None:
    site = Site(MAX_CONTENT_LENGTH=10)

    assert_refused(call(site.app, "add"), 413, "MAX_CONTENT_LENGTH")


def test_a_body_that_breaks_off_is_refused() -> None:
    site = Site()

    answer = site.app.test_client().post(
        "/chat/upstream/messages/add", headers=headers_of("messages", "add"), content_type="application/json",
        content_length=500, input_stream=io.BytesIO(b'{"type":1,'),
    )  # fmt: skip

    assert_refused(answer, 400, "is no JSON object")


def test_a_body_that_the_app_has_read_already_is_still_there() -> None:
    site = Site()
    site.app.before_request(lambda: request.get_data() and None)

    assert completion(call(site.app, "add", 1, 2))["result"] == 3


# Keys.


def test_a_secondary_key_verifies_and_does_not_sign() -> None:
    site = Site(SIGNALR_SECONDARY_KEYS=f"third;{OTHER_KEY}")

    answers = [call(site.app, "add", signature=signed(key=key)) for key in (ACCESS_KEY, OTHER_KEY, "third", "fourth")]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 401]
    assert service_claims(negotiate(site.app))["aud"].endswith("hub=chat")  # verified with the access key


def test_keys_can_be_rotated_while_the_app_runs() -> None:
    """Old key, both, new key: at each step whoever signs with what the service signs with is let in."""
    site = Site()
    new = CONNECTION_STRING.replace(ACCESS_KEY, OTHER_KEY)
    seen = []

    for config in (
        {},
        {"SIGNALR_SECONDARY_KEYS": OTHER_KEY},
        {"SIGNALR_CONNECTION_STRING": new, "SIGNALR_SECONDARY_KEYS": ACCESS_KEY},
        {"SIGNALR_CONNECTION_STRING": new, "SIGNALR_SECONDARY_KEYS": None},
    ):
        site.app.config.update(config)
        site.signalr.reload(site.app)
        seen.append([call(site.app, "add", signature=signed(key=key)).status_code for key in (ACCESS_KEY, OTHER_KEY)])

    assert seen == [[200, 401], [200, 200], [200, 200], [401, 200]]


def test_a_malformed_configuration_is_not_taken_on() -> None:
    site = Site()
    site.app.config["SIGNALR_UPSTREAM_BODY_LIMIT"] = "much"

    with pytest.raises(ConfigurationError, match=r"^SIGNALR_UPSTREAM_BODY_LIMIT: "):
        site.signalr.reload()

    assert call(site.app, "add").status_code == 200


def test_a_request_in_flight_keeps_the_settings_it_had() -> None:
    site = Site(SIGNALR_DETAILED_ERRORS=True)

    @site.chat.method("slow")
    def slow(invocation: Invocation) -> None:
        site.app.config["SIGNALR_DETAILED_ERRORS"] = False
        site.signalr.reload()
        raise ZeroDivisionError("a detail")

    first, second = call(site.app, "slow"), call(site.app, "slow")

    assert "a detail" in completion(first)["error"]
    assert "a detail" not in completion(second)["error"]


def test_reloading_keeps_who_is_there() -> None:
    site = Site()
    connect(site.app)

    site.signalr.reload()

    with site.app.app_context():
        assert site.chat.presence.users() == {"ada"}


def test_another_apps_signalr_cannot_be_reloaded() -> None:
    with pytest.raises(ConfigurationError, match="not mounted in that app"):
        SignalR().reload(Site().app)


def test_without_any_key_everything_is_refused_and_the_remedy_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A connection string with an AuthType alone: what cannot be verified is not waved through."""
    site = Site()
    state: AppState = site.app.extensions["signalr"]
    entra = ServiceEndpoint.parse("Endpoint=https://chat.service.example;AuthType=azure;")
    state.reload(dataclasses.replace(state.settings, endpoints=(entra,), upstream=NO_UPSTREAM_KEYS))

    assert_refused(attempt(site), 401, "no key is known")
    assert_refused(attempt(site, signature=signed(key="")), 401, "no key is known")
    assert site.ran == []
    assert "SIGNALR_SECONDARY_KEYS" in caplog.text
    assert "SIGNALR_UPSTREAM_ISSUER" in caplog.text


# Replay.


def test_within_the_window_a_call_comes_once() -> None:
    site = Site(SIGNALR_UPSTREAM_REPLAY_WINDOW=300)

    first, second = call(site.app, "add"), call(site.app, "add")
    other_call, other_connection = call(site.app, "add", invocation_id="2"), call(site.app, "add", connection_id="c2")

    assert_refused(second, 409, "repetition")
    assert [answer.status_code for answer in (first, other_call, other_connection)] == [200, 200, 200]
    assert len(site.ran) == 3


def test_within_the_window_a_client_comes_and_goes_once() -> None:
    site = Site(SIGNALR_UPSTREAM_REPLAY_WINDOW=300)

    answers = [connect(site.app), connect(site.app), disconnect(site.app), disconnect(site.app)]

    assert [answer.status_code for answer in answers] == [200, 409, 200, 409]
    assert len(site.ran) == 2


def test_within_the_window_nothing_comes_of_a_connection_that_is_gone() -> None:
    """Not even messages that wait for no answer, which have no id to be known by."""
    site = Site(SIGNALR_UPSTREAM_REPLAY_WINDOW=300)
    connect(site.app)
    before = [call(site.app, "add", invocation_id=None).status_code for _ in range(2)]
    disconnect(site.app)

    after = [call(site.app, "add", invocation_id=None), call(site.app, "add", invocation_id="9"), connect(site.app)]

    assert before == [200, 200]
    assert [answer.status_code for answer in after] == [409, 409, 409]


def test_a_refused_forgery_does_not_use_up_an_invocation_id() -> None:
    """Denial of service: whoever guesses the next id would stop the call that is meant."""
    site = Site(SIGNALR_UPSTREAM_REPLAY_WINDOW=300)

    call(site.app, "add", signature=None)

    assert call(site.app, "add").status_code == 200


def test_without_a_window_nothing_is_remembered() -> None:
    site = Site()

    assert [call(site.app, "add").status_code for _ in range(2)] == [200, 200]


def test_a_store_that_is_down_lets_nothing_through() -> None:
    """Nobody knows whether this was handled before."""
    site = Site(
        SIGNALR_UPSTREAM_REPLAY_WINDOW=300, SIGNALR_STORE_URL="unix:///nowhere/there-is-no-such.sock"
    )  # fmt: skip

    answer = call(site.app, "add")

    assert answer.status_code == 503
    assert site.ran == []


# The app around it.


def test_the_apps_error_pages_do_not_stand_in_the_place_of_an_answer() -> None:
    site = Site()

    def login_page(error: Exception) -> ResponseReturnValue:
        return redirect("/login")

    for code in (400, 401, 403, 404, 409, 413, 415, 503):
        site.app.register_error_handler(code, login_page)
    site.app.register_error_handler(HTTPException, login_page)
    site.app.register_error_handler(Exception, login_page)

    assert_refused(call(site.app, "add", signature=None), 401, "signature")
    assert completion(call(site.app, "add", 1, 2))["result"] == 3


@pytest.mark.parametrize("is_first", [True, False])
def test_the_service_brings_no_form_token(is_first: bool) -> None:
    signalr = SignalR()
    signalr.hub("chat")
    app = create_app()
    for extension in [CSRFProtect, signalr.init_app][:: 1 if is_first else -1]:
        extension(app)

    assert connect(app).status_code == 200


def test_no_page_can_read_a_refusal() -> None:
    """No origin is checked, as the service sends none, and none is let in: this is nothing for pages."""
    site = Site(SIGNALR_ALLOWED_ORIGINS="https://page.example")
    headers = headers_of("messages", "add", signature=None) | {"Origin": "https://page.example"}

    answer = post(site.app, "/chat/upstream/messages/add", headers, {})

    assert answer.status_code == 401
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_refusal_is_logged_with_its_reason_and_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        call(Site().app, "add", signature=signed(key="guessed"))

    assert "refused with 401: the signature is wrong" in caplog.text
    assert signed(key="guessed")[10:] not in caplog.text
    assert "eyJ" not in caplog.text


# Policies of methods and of hubs.


def test_a_methods_policy_is_checked_at_each_call() -> None:
    site = Site()
    site.chat.method("ban", policy=Policy(require_role("admin")))(lambda invocation: "banned")

    staff, admin = call(site.app, "ban"), call(site.app, "ban", user_claims="role: staff, role: admin")

    assert completion(staff)["error"] == "Failed to invoke 'ban' because user is unauthorized"
    assert completion(admin)["result"] == "banned"


Declare = Callable[[Hub], Any]


@pytest.mark.parametrize("claims_filter", [None, only("email")], ids=["nothing", "only others"])
def test_a_policy_that_can_never_hold_is_reported_when_it_is_declared(claims_filter: Any) -> None:
    hub = SignalR().hub("chat", **({} if claims_filter is None else {"claims_filter": claims_filter}))

    with pytest.raises(ConfigurationError, match=r"hub 'chat', method 'ban': .*'role'.* drops them"):
        hub.method("ban", policy=Policy(require_role("admin")))(lambda invocation: None)


@pytest.mark.parametrize(("claim_type", "read_as"), [("roles", "role"), ("sub", "nameid"), ("sid", "sid")])
def test_what_opens_the_door_opens_the_method_under_whatever_name_the_claim_comes_back(
    claim_type: str, read_as: str
) -> None:
    """A denial of whoever was let in by the same requirement would be nobody's intention."""
    policy = Policy(require_claim(claim_type, "Task.Write"))
    ada = Principal("ada", {claim_type: "Task.Write"}, scheme="Cookie")
    signalr = SignalR(auth=[CookieAuth(lambda: "ada", to_principal=lambda name: ada)])
    hub = signalr.hub("chat", policy=policy, claims_filter=only(claim_type))
    hub.method("types", policy=policy)(lambda invocation: list(invocation.claims.types()))

    types = FakeService(create_app(signalr)).connect("chat").invoke("types")

    assert types == [read_as]


@pytest.mark.parametrize("claim_type", ["sub", "nameid"])
def test_a_user_id_with_a_comma_costs_no_claim_that_names_the_user(claim_type: str) -> None:
    """Beside such an id the service's own print of it is believed in no part."""
    ada = Principal("Lovelace, Ada", {claim_type: "7f3a"}, scheme="Cookie")
    signalr = SignalR(auth=[CookieAuth(lambda: "ada", to_principal=lambda name: ada)])
    hub = signalr.hub("chat", claims_filter=only(claim_type))
    hub.method("claims")(lambda invocation: list(invocation.claims))

    claims = FakeService(create_app(signalr)).connect("chat").invoke("claims")

    assert claims == [[claim_type, "7f3a"]]


def test_a_policy_that_the_defaults_filter_suits_is_fine() -> None:
    hub = SignalR(claims_filter=only("role")).hub("chat")

    hub.method("ban", policy=Policy(require_role("admin")))(lambda invocation: None)


def test_decorators_leave_the_function_as_it_is() -> None:
    """A handler is tested by calling it."""
    hub = SignalR().hub("chat")

    def handler(invocation: Invocation, error: str | None = None) -> Response | None:
        return None

    for decorator in (hub.on_connected, hub.on_disconnected, hub.method("x")):
        assert decorator(handler) is handler


def test_settings_without_upstream_keys_are_not_those_of_a_connection_string() -> None:
    settings = Settings.from_config({"SIGNALR_CONNECTION_STRING": CONNECTION_STRING})

    assert len(settings.upstream.keys) == 1
    assert ACCESS_KEY not in repr(settings)


def test_an_app_without_init_app_is_told_so() -> None:
    app = Flask(__name__)
    app.testing = True
    app.register_blueprint(SignalR().blueprint)

    with pytest.raises(ConfigurationError, match=r"without signalr\.init_app"):
        connect(app)
