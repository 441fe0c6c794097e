"""The server SDK's URL: what it tells the service about the request, and what it keeps to itself.

`tests.test_vectors` has the SDK's own data.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from flask_signalr import BearerAuth, ConfigurationError, Invocation, ServerSdkUrl, SignalR
from flask_signalr.server_sdk_url import client_query, new_request_id
from tests.apps import ENDPOINT, bearer_headers, body, create_app, service_claims
from tests.client_process import ClientProcess
from tests.live import live_emulator, serving
from tests.serverless import ServerlessSite, serverless_site
from tests.signing import SECRET

OURS = f"{ENDPOINT}/client/?hub=chat"


def app_with(choice: bool | ServerSdkUrl = True, **mount: Any) -> Flask:
    signalr = SignalR(allow_anonymous=True, auth=[BearerAuth(SECRET)])
    signalr.hub("chat", server_sdk_url=choice)
    app = create_app()
    signalr.init_app(app, **mount)
    return app


def ask(app: Flask, query: str = "", path: str = "/chat/negotiate", **options: Any) -> TestResponse:
    return app.test_client().post(path, query_string=query, **options)


def told(app: Flask, query: str = "", **options: Any) -> list[tuple[str, str]]:
    """Return the parameters of the URL that a client is given."""
    answer = ask(app, query, **options)
    service_claims(answer)
    url = body(answer)["url"]
    assert url.startswith(OURS)
    return parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)


# On and off.


@pytest.mark.parametrize("options", [{}, {"server_sdk_url": False}], ids=repr)
def test_unless_it_is_asked_for_the_url_has_the_hub_alone(options: dict[str, bool]) -> None:
    """As the Management SDK's: what the service need not know, it is not told."""
    signalr = SignalR(allow_anonymous=True)
    signalr.hub("chat", **options)  # type: ignore[arg-type]

    answer = ask(create_app(signalr), "room=1&negotiateVersion=1")

    assert body(answer)["url"] == OURS


def test_the_url_tells_the_hubs_path_the_clients_query_and_a_name_for_the_request() -> None:
    parameters = told(app_with(), "room=1&negotiateVersion=1")

    assert parameters[:4] == [("hub", "chat"), ("asrs.op", "/chat"), ("room", "1"), ("negotiateVersion", "1")]
    assert [name for name, _ in parameters[4:]] == ["asrs_request_id"]


def test_every_request_has_a_name_of_its_own() -> None:
    app = app_with()

    names = {dict(told(app))["asrs_request_id"] for _ in range(100)}

    assert len(names) == 100
    assert {len(name) for name in names} == {len(new_request_id())} == {12}


def test_the_path_has_the_prefix_of_the_hubs_and_not_that_of_the_app() -> None:
    """As ASP.NET leaves its PathBase out."""
    app = app_with(url_prefix="/live")

    answer = ask(app, path="/live/chat/negotiate", environ_overrides={"SCRIPT_NAME": "/app"})

    assert "&asrs.op=%2Flive%2Fchat&" in body(answer)["url"]


def test_an_access_that_no_client_asked_for_has_the_plain_url() -> None:
    """``hub.negotiate()`` is the Management SDK's call, in a request too."""
    signalr = SignalR(server_sdk_url=True)
    chat = signalr.hub("chat")
    app = create_app(signalr)

    with app.test_request_context("/chat/negotiate?room=1", method="POST"):
        assert chat.negotiate("ada").url == OURS


# What the app says itself.


def test_the_app_names_requests_and_cultures() -> None:
    choice = ServerSdkUrl(request_id=lambda: "a&b", culture=lambda: "de-DE", ui_culture=lambda: "en")

    assert told(app_with(choice))[2:] == [("asrs_request_id", "a&b"), ("asrs_lang", "de-DE"), ("asrs_ui_lang", "en")]


@pytest.mark.parametrize(("culture", "found"), [("de_DE", [("asrs_lang", "de-DE")]), ("", []), (None, [])])
def test_a_culture_is_told_as_net_writes_it_or_not_at_all(culture: str | None, found: list[tuple[str, str]]) -> None:
    choice = ServerSdkUrl(request_id=lambda: "x", culture=lambda: culture)

    assert told(app_with(choice))[3:] == found


def test_a_culture_adds_no_parameter_whoever_chose_it() -> None:
    """An app may take it from a header that anybody can write."""
    choice = ServerSdkUrl(request_id=lambda: "x", culture=lambda: "de&hub=admin#")

    assert told(app_with(choice))[3:] == [("asrs_lang", "de&hub=admin#")]


def test_functions_may_be_async() -> None:
    async def request_id() -> str:
        return "x"

    class Culture:
        async def __call__(self) -> str:
            return "de"

    choice = ServerSdkUrl(request_id=request_id, culture=Culture())  # type: ignore[arg-type]

    assert told(app_with(choice))[2:] == [("asrs_request_id", "x"), ("asrs_lang", "de")]


@pytest.mark.parametrize("wrong", [{"request_id": "x"}, {"request_id": None}, {"culture": "de"}, {"ui_culture": "de"}])
def test_what_cannot_be_called_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=rf"^ServerSdkUrl\({next(iter(wrong))}=…\) takes a function"):
        ServerSdkUrl(**wrong)


# What is not passed on.


def test_the_callers_bearer_token_is_not_handed_on_to_the_service() -> None:
    """The service would write it into its logs, and whoever has it is the caller, here and elsewhere."""
    token = bearer_headers()["Authorization"].removeprefix("Bearer ")

    answer = ask(app_with(), f"room=1&access_token={token}&z=2")

    assert service_claims(answer)["asrs.s.uid"] == "ada"
    assert token not in answer.text
    assert "&room=1&z=2&asrs_request_id=" in body(answer)["url"]


@pytest.mark.parametrize("name", ["ACCESS_TOKEN", "access%5Ftoken", "%61ccess_token"])
def test_a_token_under_a_disguised_name_is_not_handed_on(name: str) -> None:
    """The name means the same to who decodes it, or reads it in any case."""
    assert client_query(f"a=1&{name}=secret".encode()) == "a=1"


@pytest.mark.parametrize("parameter", ["hub=admin", "HUB=admin", "%68ub=admin", "id=stolen", "hub"])
def test_a_link_cannot_choose_the_hub_or_the_connection(parameter: str) -> None:
    """A page may pass its own query on to the hub, and anybody can send its user a link to the page."""
    parameters = told(app_with(), f"{parameter}&room=1&negotiateVersion=1")

    assert [value for name, value in parameters if name == "hub"] == ["chat"]
    assert {name for name, _ in parameters} == {"hub", "asrs.op", "room", "negotiateVersion", "asrs_request_id"}


@pytest.mark.parametrize(
    "parameter", ["asrs.op=%2Fadmin", "asrs_request_id=1", "ASRS_lang=x", "asrs%2Eop=x", "asrs.new"]
)
def test_a_client_does_not_speak_for_the_app_to_the_service(parameter: str) -> None:
    assert client_query(f"{parameter}&a=1".encode()) == "a=1"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "a=1&b",
        "a=1&a=2",
        "&&a=&",
        "x=%C3%A9+1&negotiateVersion=1",
        "a=b=c",
        "hubs=1&idea=2&asrsx=3",
        "-._~!$'()*,/:;?@",
    ],
)
def test_what_is_the_clients_own_is_passed_on_as_it_came(query: str) -> None:
    assert client_query(query.encode()) == query


@pytest.mark.parametrize(
    ("query", "escaped"),
    [(b"a=\xc3\xa9", "a=%C3%A9"), (b'a="<> #', "a=%22%3C%3E%20%23"), (b"a=1\r\nX: 2\x00", "a=1%0D%0AX:%202%00")],
)
def test_what_cannot_stand_in_a_url_is_escaped(query: bytes, escaped: str) -> None:
    """Some servers pass on what no client should have sent."""
    assert client_query(query) == escaped


# The official client.


@pytest.mark.parametrize("transport", ["WebSockets", "ServerSentEvents", "LongPolling"])
def test_the_official_client_connects_and_comes_back(node: ClientProcess, transport: str) -> None:
    """It negotiates again at this URL, whose ``negotiateVersion`` it must not add once more."""
    signalr = SignalR(allow_anonymous=True, server_sdk_url=True)
    signalr.hub("chat")
    with live_emulator() as emulator:
        app = create_app(signalr, SIGNALR_CONNECTION_STRING=emulator.connection_string)
        with (
            serving(app) as url,
            node.client(f"{url}/chat?room=b%20%C3%BC", transport=transport, reconnect=True) as client,
        ):
            first = emulator.call(lambda running: [one.query for one in running.service.connections])
            emulator.drop("chat")
            client.expect("reconnecting")
            client.expect("reconnected")

    (query,) = first
    parameters = parse_qsl(query)
    assert [value for name, value in parameters if name == "negotiateVersion"] == ["1"]
    assert ("asrs.op", "/chat") in parameters
    assert ("room", "b ü") in parameters


@pytest.fixture
def serverless() -> Iterator[ServerlessSite]:
    with serverless_site() as site:
        yield site


def test_hub_methods_read_the_query_that_the_client_negotiated_with(
    node: ClientProcess, serverless: ServerlessSite
) -> None:
    """The service passes on the query of the URL that it was opened with, and this one has the client's in it."""
    hub = serverless.signalr.hub("rooms", allow_anonymous=True, server_sdk_url=True)

    @hub.method("room")
    def room(invocation: Invocation) -> str | None:
        return invocation.query.get("room")

    with node.client(f"{serverless.url}/rooms?room=7", transport="WebSockets") as client:
        assert client.invoke("room") == {"result": "7"}
