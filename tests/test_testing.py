"""FakeService: tests of an app's real-time side read as specifications."""

from collections.abc import Mapping
from typing import Any

import pytest
from flask import Blueprint, Flask, Response, request, session

from flask_signalr import CookieAuth, Invocation, QueryRouter, SignalR, everything
from flask_signalr.emulator import EmulatorSettings
from flask_signalr.emulator.service import Service
from flask_signalr.endpoints import ServiceEndpoint
from flask_signalr.errors import (
    AccessTokenRefused,
    ConfigurationError,
    InvocationFailed,
    NegotiationRefused,
    ProtocolError,
)
from flask_signalr.rest.exchange import ServiceRequest
from flask_signalr.testing import FakeService
from flask_signalr.testing.exchange import Exchange
from flask_signalr.testing.rest_road import RestRoad
from tests import apps
from tests.apps import CONNECTION_STRING, OTHER_CONNECTION_STRING, NameAuth, named


def create_app(mount: Mapping[str, Any] | None = None, outer: Blueprint | None = None, **config: Any) -> Flask:
    """Return an app with two hubs, mounted as said, and in another blueprint before, if one is given."""
    app = Flask(__name__, subdomain_matching=True)
    app.config.update({"SIGNALR_CONNECTION_STRING": CONNECTION_STRING, **config})
    signalr = SignalR(auth=[NameAuth()])
    signalr.hub("chat", claims_filter=everything)
    signalr.hub("news")
    if outer is not None:
        outer.register_blueprint(signalr.blueprint, url_prefix="/inner")
        app.register_blueprint(outer)
    signalr.init_app(app, **mount or {})
    return app


@pytest.fixture
def service() -> FakeService:
    return FakeService(create_app())


def test_a_connection_is_the_user_that_the_app_signed_in(service: FakeService) -> None:
    ada = service.connect("chat", headers=named("ada", "staff", "admin"))

    assert ada.user_id == "ada"
    assert ada.claims["role"] == ["staff", "admin"]
    assert ada.claims["aud"] == "https://chat.service.example/client/?hub=chat"
    assert ada.received == []


def test_a_message_to_all_reaches_every_connection_of_the_hub(service: FakeService) -> None:
    ada, bob = (service.connect("chat", headers=named(name)) for name in ("ada", "bob"))
    elsewhere = service.connect("news", headers=named("ada"))

    service.send_to_all("chat", "newMessage", "ada", {"text": "hello"})

    assert ada.received == bob.received == [("newMessage", "ada", {"text": "hello"})]
    assert elsewhere.received == []


def test_what_the_app_sends_over_a_reload_still_reaches_the_connections_of_a_test() -> None:
    """Or it would go to the service that the configuration names. What is kept is as of a request being answered."""
    app = Flask(__name__)
    app.config["SIGNALR_CONNECTION_STRING"] = CONNECTION_STRING
    signalr = SignalR(app, allow_anonymous=True)
    hub = signalr.hub("chat")
    somebody = FakeService(app).connect("chat")
    kept = [hub.clients]

    third = "Endpoint=https://third.example;AccessKey=" + "k" * 44
    for text in (CONNECTION_STRING, OTHER_CONNECTION_STRING, third):
        app.config["SIGNALR_CONNECTION_STRING"] = text
        signalr.reload(app)
        kept.append(hub.clients)
    for clients in kept:
        clients.all.send("news", "after the reload")

    assert somebody.received == [("news", "after the reload")] * 4


def app_with_a_method() -> tuple[Flask, SignalR]:
    """Return an app whose clients tell each other what they say."""
    app = Flask(__name__)
    app.config["SIGNALR_CONNECTION_STRING"] = CONNECTION_STRING
    signalr = SignalR(app, allow_anonymous=True)
    hub = signalr.hub("chat")

    @hub.method("say")
    def say(invocation: Invocation, text: str) -> None:
        hub.clients.all.send("said", text)

    return app, signalr


def test_keys_are_rotated_in_a_test_as_often_as_one_likes() -> None:
    """The service of a test has the keys that its app names."""
    app, signalr = app_with_a_method()
    service = FakeService(app)
    clients = [service.connect("chat")]
    for rotation in range(10):
        app.config["SIGNALR_CONNECTION_STRING"] = (
            f"Endpoint=https://chat.service.example;AccessKey={rotation}{'x' * 40}"
        )

        signalr.reload(app)
        clients[0].invoke("say", f"after rotation {rotation}")
        clients.append(service.connect("chat"))

    assert clients[0].received == [("said", f"after rotation {rotation}") for rotation in range(10)]
    assert clients[-2].received == clients[0].received[-1:]


def test_a_connection_is_renewed_after_the_keys_were_rotated() -> None:
    app = Flask(__name__)
    app.config.update(SIGNALR_CONNECTION_STRING=CONNECTION_STRING, SIGNALR_REFRESH=True)
    signalr = SignalR(app, auth=[NameAuth()])
    signalr.hub("chat")
    service = FakeService(app)
    ada = service.connect("chat", headers=named("ada"))
    app.config["SIGNALR_CONNECTION_STRING"] = f"Endpoint=https://chat.service.example;AccessKey={'x' * 40}"
    signalr.reload(app)

    lifetime = service.refresh("chat", ada, headers=named("ada"))

    assert lifetime == 3600


def test_a_renewal_that_the_service_would_not_accept_is_found() -> None:
    app = Flask(__name__)
    app.config.update(SIGNALR_CONNECTION_STRING=CONNECTION_STRING, SIGNALR_REFRESH=True)
    SignalR(app, auth=[NameAuth()]).hub("chat")

    @app.after_request
    def spoil(response: Response) -> Response:
        if request.path.endswith("/refresh"):
            response.set_data(response.get_data().replace(b"eyJ", b"eyK"))
        return response

    service = FakeService(app)
    ada = service.connect("chat", headers=named("ada"))

    with pytest.raises(AccessTokenRefused):
        service.refresh("chat", ada, headers=named("ada"))


@pytest.mark.parametrize("token", ["", "Bearer x", "Bearer e30.e30.e30"])
def test_the_road_of_a_test_asks_for_the_token_that_the_service_asks_for(token: str) -> None:
    """Or a test would not find an app that signs with another key."""
    app, _ = app_with_a_method()
    endpoint = ServiceEndpoint.parse(CONNECTION_STRING)
    settings = EmulatorSettings()
    exchange = Exchange(app, Service(settings), lambda: 0)
    road = RestRoad(exchange, lambda: [endpoint], settings, lambda: 0, {})
    url = f"{endpoint.server_base_url}api/hubs/chat/:send?api-version=2022-06-01"

    answer = road(ServiceRequest("POST", url, {"Authorization": token} if token else {}, b"{}", 1))

    assert answer.status == 401


def test_an_app_moves_to_another_service_in_a_test() -> None:
    """The former one has a key that the app knows no more, as it would in production."""
    app, signalr = app_with_a_method()
    service = FakeService(app)
    stayed = service.connect("chat")
    app.config["SIGNALR_CONNECTION_STRING"] = f"Endpoint=https://other.example;AccessKey={'x' * 40}"

    signalr.reload(app)
    moved = service.connect("chat")
    moved.invoke("say", "hello")

    assert moved.received == [("said", "hello")]
    with pytest.raises(InvocationFailed, match="status code 401"):
        stayed.invoke("say", "nobody listens")


def test_each_service_endpoint_of_a_test_signs_with_its_own_key() -> None:
    """As in production, where an app refuses a request that lists more signatures than a service has keys."""
    app = Flask(__name__)
    app.config["SIGNALR_ENDPOINTS"] = {
        f"e{number}": f"Endpoint=https://e{number}.example;AccessKey={number}{'x' * 40}" for number in range(12)
    }
    signalr = SignalR(app, allow_anonymous=True, endpoint_router=QueryRouter())
    hub = signalr.hub("chat")

    @hub.method("echo")
    def echo(invocation: Invocation, text: str) -> str:
        return text

    service = FakeService(app)

    clients = [service.connect("chat", query={"endpoint": f"e{number}"}) for number in range(12)]

    assert [client.invoke("echo", "x") for client in clients] == ["x"] * 12


def test_a_message_to_a_user_reaches_that_users_connections(service: FakeService) -> None:
    phone, laptop = (service.connect("chat", headers=named("ada")) for _ in range(2))
    bob = service.connect("chat", headers=named("bob"))

    service.send_to_user("chat", "ada", "first")
    service.send_to_user("chat", "ada", "second", 2)

    assert phone.received == laptop.received == [("first",), ("second", 2)]
    assert bob.received == []
    assert phone.connection_id != laptop.connection_id


def test_a_message_to_a_group_reaches_its_members(service: FakeService) -> None:
    ada, bob = (service.connect("chat", headers=named(name)) for name in ("ada", "bob"))

    service.add_to_group("chat", "lobby", ada)
    service.send_to_group("chat", "lobby", "welcome")

    assert ada.received == [("welcome",)]
    assert bob.received == []


def test_a_connection_of_another_hub_cannot_join(service: FakeService) -> None:
    ada = service.connect("news", headers=named("ada"))

    with pytest.raises(ValueError, match="is not in hub 'chat'"):
        service.add_to_group("chat", "lobby", ada)


def test_a_connection_that_left_hears_nothing(service: FakeService) -> None:
    ada = service.connect("chat", headers=named("ada"))

    ada.close()
    service.send_to_all("chat", "x")

    assert ada.received == []


def test_a_test_may_send_any_amount(service: FakeService) -> None:
    """What is received is taken at once, so the bound of a real client's outbox is never met."""
    ada = service.connect("chat", headers=named("ada"))

    for _ in range(5):
        service.send_to_all("chat", "x", "x" * 1_000_000)

    assert len(ada.received) == 5


def test_what_no_client_could_read_fails_in_the_test_too(service: FakeService) -> None:
    service.connect("chat", headers=named("ada"))

    with pytest.raises(ProtocolError):
        service.send_to_all("chat", "x", 2**70)


@pytest.mark.parametrize(
    ("hub", "headers", "status", "error"),
    [
        ("chat", {}, 401, "sign"),
        ("chat", {"X-User": "nobody"}, 401, "nobody is not allowed"),
        ("other", {"X-User": "ada"}, 404, "no hub of this name"),
        ("chat", {"X-User": "ada", "Origin": "https://evil.example"}, 403, "SIGNALR_ALLOWED_ORIGINS"),
    ],
    ids=["stranger", "refused", "unknown hub", "foreign page"],
)
def test_a_refusal_says_why(service: FakeService, hub: str, headers: dict[str, str], status: int, error: str) -> None:
    with pytest.raises(NegotiationRefused) as caught:
        service.connect(hub, headers=headers)

    assert caught.value.status == status
    assert error in caught.value.error
    assert str(status) in str(caught.value)


def answered_with(answer: Any) -> FakeService:
    """Return the service of an app whose negotiate is answered by somebody else."""
    app = create_app()

    @app.before_request
    def intercept() -> Any:
        return answer

    return FakeService(app)


def test_an_answer_that_is_no_negotiation_is_shown() -> None:
    """A hook of the app's may answer in the place of the view."""
    service = answered_with(Response("Not Found", 404))

    with pytest.raises(NegotiationRefused, match=r"404: this is no negotiation: .*Not Found"):
        service.connect("chat", headers=named("ada"))


@pytest.mark.parametrize(
    "answer",
    [{"accessToken": "secret"}, {"error": "full"}, [], Response("sign in, please")],
    ids=["half", "error", "list", "page"],
)
def test_status_200_alone_is_no_negotiation(answer: Any) -> None:
    with pytest.raises(NegotiationRefused) as caught:
        answered_with(answer).connect("chat")

    assert caught.value.status == 200
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["https://evil.example/client/?hub=chat", "https://chat.service.example.evil.example/client/?hub=chat", ""],
)
def test_a_client_sent_to_a_strange_service_is_noticed(url: str) -> None:
    with pytest.raises(AccessTokenRefused, match="no service endpoint of the app"):
        answered_with({"url": url, "accessToken": "x"}).connect("chat")


def test_a_token_that_the_service_would_refuse_is_noticed() -> None:
    with pytest.raises(AccessTokenRefused, match="not a JSON Web Token"):
        answered_with({"url": "https://chat.service.example/client/?hub=chat", "accessToken": "x"}).connect("chat")


def test_a_token_that_has_expired_is_noticed() -> None:
    service = FakeService(create_app(), clock=lambda: 10_000_000_000)

    with pytest.raises(AccessTokenRefused, match="expired"):
        service.connect("chat", headers=named("ada"))


@pytest.mark.parametrize(
    ("app", "url"),
    [
        (create_app(), "http://localhost/chat/negotiate"),
        (create_app({"url_prefix": "/rt"}), "http://localhost/rt/chat/negotiate"),
        (create_app({"url_prefix": "/rt", "name": "sockets"}), "http://localhost/rt/chat/negotiate"),
        (
            create_app(outer=Blueprint("o", __name__, url_prefix="/outer")),
            "http://localhost/outer/inner/chat/negotiate",
        ),
        (create_app(APPLICATION_ROOT="/app"), "http://localhost/app/chat/negotiate"),
        (create_app({"subdomain": "rt"}, SERVER_NAME="a.example"), "http://rt.a.example/chat/negotiate"),
    ],
    ids=["plain", "prefix", "name", "nested", "root", "subdomain"],
)
def test_clients_find_the_hubs_where_the_app_mounts_them(app: Flask, url: str) -> None:
    asked: list[str] = []
    app.before_request(lambda: asked.append(request.base_url))

    ada = FakeService(app).connect("chat", headers=named("ada"))

    assert ada.user_id == "ada"
    assert asked == [url, url.replace("negotiate", "upstream/connections/connected")]


def test_an_app_without_the_extension_is_told_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match=r"this app has no SignalR: call init_app\(app\)"):
        FakeService(Flask(__name__))


def test_an_application_name_and_a_client_endpoint_are_followed() -> None:
    connection_string = f"{CONNECTION_STRING}ClientEndpoint=https://front.example/signalr;Port=8443"
    app = create_app(SIGNALR_CONNECTION_STRING=connection_string, SIGNALR_APPLICATION_NAME="Shop")
    service = FakeService(app)

    ada = service.connect("chat", headers=named("ada"))
    service.send_to_user("chat", "ada", "x")

    assert ada.claims["aud"] == "https://chat.service.example/client/?hub=shop_chat"
    assert ada.received == [("x",)]


def test_a_test_client_that_signed_in_before_is_used() -> None:
    """Its cookies come along, as the page's do."""
    app = Flask(__name__)
    app.config.update({"SIGNALR_CONNECTION_STRING": CONNECTION_STRING, "SECRET_KEY": "of-the-session"})
    signalr = SignalR(app, auth=[CookieAuth(lambda: session.get("user"))])
    signalr.hub("chat")

    @app.post("/sign-in")
    def sign_in() -> str:
        session["user"] = request.form["user"]
        return "welcome"

    client = app.test_client()
    client.post("/sign-in", data={"user": "ada"})
    service = FakeService(app)

    assert service.connect("chat", client=client).user_id == "ada"
    with pytest.raises(NegotiationRefused):
        service.connect("chat")


# The query.


def test_a_client_negotiates_with_the_query_of_its_url() -> None:
    """Where a router asks for it, nobody could connect without."""
    signalr = SignalR(allow_anonymous=True, endpoint_router=QueryRouter())
    signalr.hub("chat")
    app = apps.create_app(signalr)

    assert not FakeService(app).connect("chat", query={"endpoint": "any"}).is_closed
    with pytest.raises(NegotiationRefused, match="the query has no endpoint"):
        FakeService(app).connect("chat")


@pytest.mark.parametrize(("tells", "room"), [(True, "b ü&"), (False, None)])
def test_hub_methods_read_what_the_clients_url_tells_the_service(tells: bool, room: str | None) -> None:
    signalr = SignalR(allow_anonymous=True, server_sdk_url=tells)
    chat = signalr.hub("chat")

    @chat.method("room")
    def tell_room(invocation: Invocation) -> str | None:
        return invocation.query.get("room")

    connection = FakeService(apps.create_app(signalr)).connect("chat", query={"room": "b ü&"})

    assert connection.invoke("room") == room


def test_a_method_that_cannot_be_called_is_told_when_a_client_connects() -> None:
    """And not as a page for status 500."""
    app, signalr = Flask(__name__), SignalR(auth=[NameAuth()])
    app.config["SIGNALR_CONNECTION_STRING"] = CONNECTION_STRING
    signalr.init_app(app)

    def add(invocation: Invocation, point: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    signalr.hub("chat").method("add")(add)

    with pytest.raises(ConfigurationError, match="hub method 'add': the annotation 'Nowhere'"):
        FakeService(app).connect("chat")
