"""The clients of a hub: whom a call goes to, and how it looks on the wire."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import jwt
import pytest

from flask_signalr import (
    CloseConnection,
    ConfigurationError,
    HubClients,
    InvalidName,
    JoinGroup,
    LeaveGroup,
    SendMessage,
    ServiceClient,
    ServiceError,
    ServiceResponse,
)
from flask_signalr.rest.commands import Command
from tests.apps import ACCESS_KEY
from tests.recorded_service import DONE, EAST, RecordedService
from tests.rest_hub import call, live_hub, received

CHAT = "east.example/api/hubs/chat"


@dataclass
class Call:
    connection_id: str


def test_a_call_carries_a_token_for_just_its_resource_and_says_who_calls() -> None:
    service = RecordedService()

    service.hub().group("a/b", "c").send("news", 1)

    (request,) = service.requests
    scheme, _, token = request.headers["Authorization"].partition(" ")
    claims = jwt.decode(token, ACCESS_KEY, ["HS256"], options={"verify_aud": False})
    assert request.url == f"https://{CHAT}/groups/a%2Fb/:send?api-version=2024-12-01&excluded=c"
    assert (scheme, claims["aud"]) == ("Bearer", f"https://{CHAT}/groups/a%2Fb/:send?api-version=2024-12-01")
    assert request.headers["Content-Type"] == "application/json; charset=utf-8"
    assert request.headers["Asrs-User-Agent"].startswith("flask_signalr (Python/3.")
    assert "X-ASRS-Message-Tracing-Id" not in request.headers
    assert (request.body, request.timeout) == (b'{"target":"news","arguments":[1]}', 10)


def test_the_others_are_all_but_the_caller() -> None:
    service = RecordedService()

    service.hub().others(Call("c/1")).send("news")

    assert service.calls == [f"POST {CHAT}/:send?v&excluded=c%2F1"]


def test_others_of_a_connection_id_are_named_otherwise() -> None:
    with pytest.raises(InvalidName, match=r"not a str: all_except\(\)"):
        RecordedService().hub().others("c1")  # type: ignore[arg-type]  # it is wrong


def test_a_command_to_send_is_made_by_its_own_method() -> None:
    with pytest.raises(TypeError, match=r"SendMessage\.of"):
        SendMessage("news", 1)


async def test_several_users_and_groups_are_told() -> None:
    async with live_hub() as hub, await hub.connect("ada") as ada, await hub.connect("bob") as bob:
        await call(hub.clients.group("g").add, hub.connection_id("ada"))
        await call(hub.clients.users("ada", "bob").send, "users")
        await call(hub.clients.groups("g", "h").send, "groups")
        await call(hub.clients.users("bob", "ada").close, "bye")

        assert [(await received(ada)).get("target") for _ in range(3)] == ["users", "groups", None]
        assert [(await received(bob)).get("target") for _ in range(2)] == ["users", None]


def test_groups_are_closed_too() -> None:
    service = RecordedService()

    service.hub().groups("g", "h").close("bye")

    assert service.calls == [f"POST {CHAT}/groups/{name}/:closeConnections?v&reason=bye" for name in "gh"]


def test_an_invocation_without_an_id_awaits_no_stream() -> None:
    with pytest.raises(InvalidName, match="stream=True"):
        RecordedService().hub().client("c").stream(None)


def test_streams_are_fed_and_ended() -> None:
    service = RecordedService()
    stream = service.hub().client("c").stream("s/1")

    stream.send({"n": 1})
    stream.send(None, completed=True)
    stream.complete()
    stream.complete("no more")

    assert service.calls == sorted(
        f"POST {CHAT}/connections/c/streams/s%2F1/{rest}"
        for rest in (":send?v", ":send?v&completed=true", ":complete?v", ":complete?v&reason=no%20more")
    )
    assert [request.body for request in service.requests] == [b'{"n":1}', b"null", None, None]


def test_commands_are_executed_in_their_order() -> None:
    service = RecordedService()
    commands: list[Command] = [
        SendMessage.of("news", 1),
        JoinGroup("a"),
        LeaveGroup("b"),
        CloseConnection(),
        CloseConnection("bye"),
    ]

    service.hub().execute(*commands, filter="startswith(userId, 'listener-')")

    (request,) = service.requests
    assert service.calls == [f"POST {CHAT}/:execute?v&filter=startswith%28userId%2C%20%27listener-%27%29"]
    assert json.loads(request.body or b"") == [
        {"type": "SendMessage", "message": {"target": "news", "arguments": [1]}},
        {"type": "JoinGroup", "group": "a"},
        {"type": "LeaveGroup", "group": "b"},
        {"type": "CloseConnection"},
        {"type": "CloseConnection", "reason": "bye"},
    ]


async def test_a_generated_token_lets_a_client_connect() -> None:
    async with live_hub() as hub:
        access = await call(hub.clients.generate_token, "ada", minutes=5)
        (wire,) = hub.wires
        assert access.url == f"{wire.base}/client/?hub=chat"
        async with await wire.websocket(access.token):
            assert await call(hub.clients.user("ada").exists)

        assert access.token not in repr(access)


@pytest.mark.parametrize("user_id", ["", "..", "é" * 700, "a\r\nb"], ids=["empty", "dots", "long", "line break"])
def test_no_token_lets_in_whom_nobody_could_ban(user_id: str) -> None:
    service = RecordedService()

    with pytest.raises(InvalidName):
        service.hub().generate_token(user_id)

    assert not service.requests


def test_an_answer_without_a_token_is_an_error() -> None:
    with pytest.raises(ServiceError, match="holds no token"):
        RecordedService(lambda request: ServiceResponse(200, {}, b"{}")).hub().generate_token("ada")


@pytest.mark.parametrize(
    "ask",
    [
        lambda hub: hub.generate_token("ada"),
        lambda hub: list(hub.group("lobby").connections()),
        lambda hub: hub.client("c").invoke("where", result_type=int),
    ],
    ids=["generate_token", "connections", "invoke"],
)
def test_an_answer_that_cannot_be_used_is_told_by_the_path_that_was_asked(ask: Callable[[HubClients], object]) -> None:
    """Whoever counts errors by their path finds those of one operation together."""
    service = RecordedService(lambda request: ServiceResponse(200, {}, b'{"value": 7}'))
    client = ServiceClient(EAST, "acme", transport=service)

    with pytest.raises(ServiceError) as failure:
        ask(client.hub("chat"))

    assert failure.value.path == urlsplit(service.requests[0].url).path


def test_a_call_may_take_other_times_and_be_traced() -> None:
    service = RecordedService()

    service.hub().using(timeout=2.5, tracing_id=7).user("ada").send("news")
    service.hub().using(timeout=3).all.send("news")

    first, second = service.requests
    assert (first.timeout, first.headers["X-ASRS-Message-Tracing-Id"]) == (2.5, "7")
    assert (second.timeout, second.headers.get("X-ASRS-Message-Tracing-Id")) == (3, None)


@pytest.mark.parametrize("timeout", [0, -1, 3601, float("nan"), True, "7"])
def test_what_is_no_time_is_refused(timeout: float) -> None:
    with pytest.raises(ConfigurationError, match="timeout= takes seconds"):
        RecordedService().hub().using(timeout=timeout)


@pytest.mark.parametrize("tracing_id", [-1, 2**64, 1.5, True, "7\r\nX: y"])
def test_what_is_no_tracing_id_is_refused(tracing_id: int) -> None:
    """Header injection: a text from outside would add headers of its own."""
    with pytest.raises(InvalidName, match="tracing_id="):
        RecordedService().hub().using(tracing_id=tracing_id)


def test_the_application_is_named_in_each_call() -> None:
    service = RecordedService()
    hub = ServiceClient(EAST, "App", transport=service).hub("Chat")

    hub.all.send("news")
    hub.execute(JoinGroup("g"))

    assert service.calls == [
        "POST east.example/api/hubs/app_chat/:execute?v",
        f"POST {CHAT}/:send?application=app&v",
    ]


def test_neither_key_nor_token_shows_in_what_is_printed() -> None:
    service = RecordedService(lambda request: DONE)
    hub = service.hub()
    hub.all.send("news")

    shown = repr(hub) + repr(hub.all) + repr(hub.group("g")) + repr(service.requests)
    assert ACCESS_KEY not in shown
    assert "Bearer" not in shown
