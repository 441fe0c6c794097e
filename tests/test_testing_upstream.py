"""FakeService: what clients do reaches the app's hub methods, and what these send reaches the clients."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from flask_signalr import (
    ClientInvocationFailed,
    ConfigurationError,
    Hub,
    HubException,
    Invocation,
    Policy,
    RecipientNotFound,
    SignalR,
    by_email,
    everything,
    require_role,
)
from flask_signalr.errors import ConnectRefused, InvocationFailed
from flask_signalr.method_names import LONGEST_NAME
from flask_signalr.testing import FakeService
from tests.apps import CONNECTION_STRING, NameAuth, named
from tests.upstream_calls import call


def create_app(mount: Mapping[str, Any] | None = None, **config: Any) -> tuple[Flask, Hub]:
    """Return an app, and its hub for a test to give methods to."""
    app = Flask(__name__)
    app.config.update({"SIGNALR_CONNECTION_STRING": CONNECTION_STRING, "TESTING": True, **config})
    signalr = SignalR(auth=[NameAuth()])
    chat = signalr.hub("chat", user_id_provider=by_email, claims_filter=everything)
    signalr.init_app(app, **mount or {})
    return app, chat


def test_everyone_hears_ada() -> None:
    app, chat = create_app()

    @chat.method("sendMessage")
    def send_message(invocation: Invocation, text: str) -> int:
        chat.clients.all.send("newMessage", invocation.user_id, text)
        return len(text)

    service = FakeService(app)
    ada = service.connect("chat", headers=named("ada"))
    bob = service.connect("chat", headers=named("bob"))

    length = ada.invoke("sendMessage", "hello")

    assert length == 5
    assert ("newMessage", "ada@example.org", "hello") in bob.received


def test_a_refusal_is_an_error_with_the_text_that_clients_read() -> None:
    app, chat = create_app()

    @chat.method("say")
    def say(invocation: Invocation) -> None:
        raise HubException("a message needs text")

    @chat.method("clear", policy=Policy(require_role("moderator")))
    def clear(invocation: Invocation) -> None: ...

    ada = FakeService(app).connect("chat", headers=named("ada"))

    with pytest.raises(InvocationFailed, match="a message needs text"):
        ada.invoke("say")
    with pytest.raises(InvocationFailed, match="Failed to invoke 'clear' because user is unauthorized"):
        ada.invoke("clear")
    with pytest.raises(InvocationFailed, match="Unknown hub method 'nothing'"):
        ada.invoke("nothing")


def test_a_method_without_a_result_gives_none() -> None:
    app, chat = create_app()

    @chat.method("nothing")
    def nothing(invocation: Invocation) -> None: ...

    assert FakeService(app).connect("chat", headers=named("ada")).invoke("nothing") is None


@pytest.mark.parametrize("name", ["...", "./a", "a/", "日本", "🎉" * LONGEST_NAME, "a\\b"], ids=ascii)
def test_every_name_that_a_method_may_have_is_called(name: str) -> None:
    app, chat = create_app()
    chat.method(name)(lambda invocation: invocation.target)

    assert FakeService(app).connect("chat", headers=named("ada")).invoke(name) == name


def test_a_method_streams_its_items() -> None:
    app, chat = create_app()

    @chat.method("count", stream=True)
    def count(invocation: Invocation, numbers: int) -> None:
        stream = chat.clients.client(invocation.connection_id).stream(str(invocation.invocation_id))
        for number in range(numbers):
            stream.send(number)
        stream.complete("that is too many" if numbers > 3 else None)

    chat.method("add")(lambda invocation: 1)
    ada = FakeService(app).connect("chat", headers=named("ada"))

    assert [ada.stream("count", 3), ada.stream("count", 0)] == [[0, 1, 2], []]
    with pytest.raises(InvocationFailed, match=r"^that is too many$"):
        ada.stream("count", 4)
    with pytest.raises(InvocationFailed, match="non-streaming 'add'"):
        ada.stream("add")
    with pytest.raises(InvocationFailed, match="streaming 'count'"):
        ada.invoke("count", 3)
    assert ada.invoke("add") == 1


def test_comings_and_goings_are_told_once_and_in_order() -> None:
    app, chat = create_app()
    told: list[tuple[str, str | None]] = []

    @chat.on_connected
    def joined(invocation: Invocation) -> None:
        told.append(("joined", invocation.user_id))
        chat.clients.group("lobby").add(invocation.connection_id)

    @chat.on_disconnected
    def left(invocation: Invocation, error: str | None) -> None:
        told.append(("left", invocation.user_id))
        chat.clients.group("lobby").send("left", invocation.user_id)

    @chat.method("say")
    def say(invocation: Invocation, text: str) -> None:
        told.append((text, invocation.user_id))

    service = FakeService(app)
    ada, bob = (service.connect("chat", headers=named(name)) for name in ("ada", "bob"))

    ada.send("say", "hello")
    ada.close()
    ada.close()

    assert told == [
        ("joined", "ada@example.org"),
        ("joined", "bob@example.org"),
        ("hello", "ada@example.org"),
        ("left", "ada@example.org"),
    ]
    assert bob.received == [("left", "ada@example.org")]


def test_a_connection_that_the_app_refuses_raises() -> None:
    app, chat = create_app()

    @chat.on_connected
    def joined(invocation: Invocation) -> None:
        raise HubException("full")

    with pytest.raises(ConnectRefused, match="full"):
        FakeService(app).connect("chat", headers=named("ada"))


def test_a_refused_client_whose_connection_lives_on_calls_nothing() -> None:
    """Attack: the service does not heed the refusal, nor the call that closes, and hands on what the client calls."""
    app, chat = create_app()
    ran: list[Invocation] = []

    @chat.on_connected
    def joined(invocation: Invocation) -> None:
        ran.append(invocation)
        raise HubException("full")

    chat.method("clear")(ran.append)
    with pytest.raises(ConnectRefused):
        FakeService(app).connect("chat", headers=named("ada"))

    answer = call(app, "clear", connection_id=ran[0].connection_id)

    assert answer.status_code == 403
    assert len(ran) == 1


def test_the_app_may_close_a_connection_from_within_its_own_call() -> None:
    """The call's answer finds nobody, and the app is told that the client is gone after it has answered."""
    app, chat = create_app()
    told: list[str] = []

    @chat.method("leave")
    def leave(invocation: Invocation) -> None:
        chat.clients.client(invocation.connection_id).close("bye")
        told.append("answered")

    @chat.on_disconnected
    def left(invocation: Invocation, error: str | None) -> None:
        told.append(f"gone: {error}")

    ada = FakeService(app).connect("chat", headers=named("ada"))

    with pytest.raises(InvocationFailed, match="bye"):
        ada.invoke("leave")

    assert told == ["answered", "gone: bye"]
    assert ada.is_closed


def test_a_hub_method_may_send_from_many_threads_at_once() -> None:
    """A fan-out waits for its threads while the service waits for the method: neither may hold the other up."""
    app, chat = create_app()

    @chat.method("fan")
    def fan(invocation: Invocation) -> int:
        with app.app_context():
            clients = chat.clients
        with ThreadPoolExecutor(8) as pool:
            return len(list(pool.map(lambda n: clients.all.send("n", n), range(50))))

    ada = FakeService(app).connect("chat", headers=named("ada"))

    assert ada.invoke("fan") == 50
    assert sorted(ada.received) == [("n", n) for n in range(50)]


def test_clients_may_call_from_many_threads_at_once() -> None:
    app, chat = create_app()
    together = threading.Barrier(4)

    @chat.method("meet")
    def meet(invocation: Invocation) -> str | None:
        together.wait(10)
        return invocation.user_id

    service = FakeService(app)
    clients = [service.connect("chat", headers=named(name)) for name in ("ada", "bob", "cleo", "dan")]

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda client: client.invoke("meet"), clients))

    assert results == [client.user_id for client in clients]


def test_the_app_asks_a_client_for_a_result() -> None:
    app, chat = create_app()

    @chat.method("ask")
    def ask(invocation: Invocation, connection_id: str, question: str) -> Any:
        return chat.clients.client(connection_id).invoke(question, 2)

    service = FakeService(app)
    ada, bob = (service.connect("chat", headers=named(name)) for name in ("ada", "bob"))
    bob.on("double", lambda number: 2 * number)

    assert ada.invoke("ask", bob.connection_id, "double") == 4
    assert ada.invoke("ask", bob.connection_id, "DOUBLE") == 4  # the official clients do not mind the case
    with app.app_context():
        assert chat.clients.client(bob.connection_id).invoke("double", 4) == 8
        with pytest.raises(ClientInvocationFailed, match="Client didn't provide a result"):
            chat.clients.client(bob.connection_id).invoke("unknown")


def test_a_client_may_leave_in_the_place_of_an_answer() -> None:
    app, chat = create_app()
    bob = FakeService(app).connect("chat", headers=named("bob"))
    bob.on("leave", bob.close)

    with app.app_context(), pytest.raises(RecipientNotFound):
        chat.clients.client(bob.connection_id).invoke("leave")

    assert bob.is_closed


@pytest.mark.parametrize("application", [None, "shop"])
def test_an_applications_name_is_no_obstacle(application: str | None) -> None:
    app, chat = create_app(None, **({"SIGNALR_APPLICATION_NAME": application} if application else {}))

    @chat.method("echo/é %2F")
    def echo(invocation: Invocation, text: str) -> str:
        return text

    assert FakeService(app).connect("chat", headers=named("ada")).invoke("echo/é %2F", "x") == "x"


def test_claims_arrive_as_they_were() -> None:
    app, chat = create_app()

    @chat.method("roles")
    def roles(invocation: Invocation) -> list[str]:
        return list(map(str, invocation.claims.all("role")))

    assert FakeService(app).connect("chat", headers=named("ada", "staff, role: admin")).invoke("roles") == [
        "staff, role: admin"
    ]


def test_an_app_that_is_mounted_below_a_tenant_is_tested_as_one_tenants() -> None:
    """A service has one upstream URL for an app: it belongs to one tenant, and so does the fake."""
    app, chat = create_app({"url_prefix": "/<tenant>"})
    seen: list[Any] = []

    @app.url_value_preprocessor
    def take_tenant(endpoint: str | None, values: dict[str, Any] | None) -> None:
        seen.append((values or {}).pop("tenant", None))

    @chat.method("echo")
    def echo(invocation: Invocation, text: str) -> str:
        return text

    service = FakeService(app, url_values={"tenant": "acme"})

    assert service.connect("chat", headers=named("ada")).invoke("echo", "x") == "x"
    assert seen == ["acme", "acme", "acme"]


def test_a_tenant_without_a_value_is_told_so() -> None:
    app, _ = create_app({"url_prefix": "/<tenant>"})

    with pytest.raises(ConfigurationError, match=r"url_values=\{...\}.*tenant"):
        FakeService(app)


def test_a_closed_connection_cannot_call() -> None:
    app, _ = create_app()
    ada = FakeService(app).connect("chat", headers=named("ada"))

    ada.close()

    with pytest.raises(InvocationFailed, match="the connection is closed"):
        ada.invoke("say")
