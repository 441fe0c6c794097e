"""The data-plane REST API over real sockets."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from urllib.parse import quote

import aiohttp
import pytest

from tests.emulated import API, NOW, OTHER_KEY, Wire, client_token, emulating, records, token

MESSAGE = '{"target":"news","arguments":[1]}'


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with emulating() as each:
        yield each


class Audience:
    """Clients that are connected, by their user ids."""

    def __init__(self, sockets: dict[str, aiohttp.ClientWebSocketResponse], wire: Wire) -> None:
        self._sockets = sockets
        self._wire = wire

    async def who_hears(self, path: str, query: str = API) -> list[str]:
        """Send a message to a path of the API, and another to everyone; return who heard both."""
        await self._wire.send(path, "here", query=query)
        await self._wire.send("hubs/chat", "everywhere")
        return [user for user, socket in self._sockets.items() if await self._heard(socket) == ["here", "everywhere"]]

    async def _heard(self, socket: aiohttp.ClientWebSocketResponse) -> list[str]:
        heard: list[str] = []
        while "everywhere" not in heard:
            heard += [message["arguments"][0] for message in records(await socket.receive_str())]
        return heard


@pytest.fixture
async def audience(wire: Wire) -> AsyncIterator[Audience]:
    async with AsyncExitStack() as stack:
        sockets = {
            user: await stack.enter_async_context(await wire.websocket(client_token(user)))
            for user in ("ada", "bob", "eve", "a/b")
        }
        yield Audience(sockets, wire)


async def test_headers_and_urls_are_as_long_as_the_service_takes_them(wire: Wire) -> None:
    """16 KB; a server's default is half of that.

    Source: MicrosoftDocs/azure-docs:articles/azure-signalr/signalr-reference-data-plane-rest-api.md.
    """
    long_query = f"{API}&{'&'.join(f'excluded={number:0>200}' for number in range(55))}"

    answers = [
        await wire.rest("POST", "hubs/chat/:send", headers={"X-Long": "x" * 15_000}, json={"target": "x"}),
        await wire.rest("POST", "hubs/chat/:send", long_query, json={"target": "x"}),
    ]

    assert answers == [(202, ""), (202, "")]


@pytest.mark.parametrize("host", ["build.example:8888", "[::1]:5"])
async def test_a_link_leads_to_where_the_caller_was(wire: Wire, audience: Audience, host: str) -> None:
    """What stands before the emulator may have another name."""
    assert await link_for(wire, host) == f"http://{host}"


@pytest.mark.parametrize("host", ["evil.example/x?", "user@evil.example", "evil.example#", "a b", "\u00e9.example", ""])
async def test_header_injection_a_link_holds_no_host_that_is_none(wire: Wire, audience: Audience, host: str) -> None:
    assert await link_for(wire, host) == wire.emulator.settings.url


async def link_for(wire: Wire, host: str) -> str:
    """Return where the link to the next page leads, up to the path."""
    path = "hubs/chat/groups/g"
    for user in ("ada", "bob"):
        assert (await wire.rest("PUT", f"{path}/connections/{wire.connection_id(user)}"))[0] == 200
    query = "api-version=2024-12-01&maxpagesize=1"
    status, body = await wire.rest("GET", f"{path}/connections", query, headers={"Host": host})
    assert status == 200
    return str(json.loads(body)["nextLink"]).partition("/api/")[0]


async def test_a_message_to_the_hub_reaches_everyone(audience: Audience) -> None:
    assert await audience.who_hears("hubs/chat") == ["ada", "bob", "eve", "a/b"]


async def test_a_message_to_the_hub_leaves_out_the_excluded(wire: Wire, audience: Audience) -> None:
    query = f"{API}&excluded={wire.connection_id('ada')}&excluded={wire.connection_id('bob')}"

    assert await audience.who_hears("hubs/chat", query) == ["eve", "a/b"]


async def test_a_message_to_a_user_reaches_that_user(audience: Audience) -> None:
    assert await audience.who_hears("hubs/chat/users/bob") == ["bob"]


async def test_a_message_to_a_connection_reaches_that_connection(wire: Wire, audience: Audience) -> None:
    assert await audience.who_hears(f"hubs/chat/connections/{wire.connection_id('eve')}") == ["eve"]


@pytest.mark.parametrize("group", ["lobby", "a/b", "a%b", "\u00fc \u2603", "..", ":send", "{group}"])
async def test_a_message_to_a_group_reaches_its_members(wire: Wire, audience: Audience, group: str) -> None:
    """A group may have almost any name, and an encoded slash in it is no end of it."""
    path = f"hubs/chat/groups/{quote(group, safe='')}"
    for user in ("ada", "bob"):
        assert await wire.rest("PUT", f"{path}/connections/{wire.connection_id(user)}") == (200, "")

    assert await audience.who_hears(path) == ["ada", "bob"]
    assert await audience.who_hears(path, f"{API}&excluded={wire.connection_id('ada')}") == ["bob"]
    assert await wire.rest("DELETE", f"{path}/connections/{wire.connection_id('ada')}") == (200, "")
    assert await audience.who_hears(path) == ["bob"]


async def test_a_user_with_a_slash_is_one_user(audience: Audience) -> None:
    assert await audience.who_hears("hubs/chat/users/a%2Fb") == ["a/b"]


async def test_a_user_joins_and_leaves_groups(wire: Wire, audience: Audience) -> None:
    for group in ("g", "h"):
        assert (await wire.rest("PUT", f"hubs/chat/users/ada/groups/{group}"))[0] == 200
    assert await audience.who_hears("hubs/chat/groups/g") == ["ada"]

    assert (await wire.rest("DELETE", "hubs/chat/users/ada/groups/g"))[0] == 204
    assert await audience.who_hears("hubs/chat/groups/g") == []
    assert await audience.who_hears("hubs/chat/groups/h") == ["ada"]

    assert (await wire.rest("DELETE", "hubs/chat/users/ada/groups"))[0] == 204
    assert await audience.who_hears("hubs/chat/groups/h") == []


async def test_a_user_joins_for_a_time(wire: Wire) -> None:
    """Zero seconds are for the connections of now: there is none yet."""
    await wire.rest("PUT", "hubs/chat/users/ada/groups/gone", f"{API}&ttl=0")
    await wire.rest("PUT", "hubs/chat/users/ada/groups/here", f"{API}&ttl=2147483647")

    async with await wire.websocket(client_token("ada")) as socket:
        await wire.send("hubs/chat/groups/gone", "gone")
        await wire.send("hubs/chat/groups/here", "here")

        assert records(await socket.receive_str())[0]["arguments"] == ["here"]


@pytest.mark.parametrize("ttl", ["-1", "x", "", "1.5", "2147483648", "9" * 5000, "%D9%A1", "1&ttl=2"])
async def test_a_time_that_is_none_is_refused(wire: Wire, ttl: str) -> None:
    status, body = await wire.rest("PUT", "hubs/chat/users/ada/groups/g", f"{API}&ttl={ttl}")

    assert status == 400
    assert "'ttl'" in body


async def test_what_is_not_there_is_told_by_its_documented_code(wire: Wire) -> None:
    """The server SDK reads the header, and takes some of these for success."""
    for method, path, code in (
        ("DELETE", "hubs/chat/connections/nobody", "Warning.Connection.NotExisted"),
        ("PUT", "hubs/chat/groups/g/connections/nobody", "Error.Connection.NotExisted"),
        ("DELETE", "hubs/chat/groups/g/connections/nobody", "Error.Connection.NotExisted"),
    ):
        text = token({"aud": f"http://localhost/api/{path}"})
        async with wire.request(method, f"/api/{path}?{API}", text) as response:
            assert response.status == 404
            assert response.headers["x-ms-error-code"] == code
            assert (await response.json())["code"] == code


async def test_sending_to_nobody_is_no_error(wire: Wire) -> None:
    """The service accepts messages; it does not promise that somebody is there."""
    for path in ("hubs/chat", "hubs/chat/users/x", "hubs/chat/groups/x", "hubs/chat/connections/x"):
        await wire.send(path)


async def test_a_connection_is_closed_with_a_reason_and_may_come_back(wire: Wire) -> None:
    async with await wire.websocket(client_token("ada")) as socket:
        status, _ = await wire.rest(
            "DELETE", f"hubs/chat/connections/{wire.connection_id('ada')}", f"{API}&reason=go%20away%1E"
        )

        assert status == 200
        assert records(await socket.receive_str()) == [{"type": 7, "error": "go away\x1e", "allowReconnect": True}]


async def test_connections_are_closed_but_the_excluded(wire: Wire) -> None:
    async with (
        await wire.websocket(client_token("ada")) as ada,
        await wire.websocket(client_token("bob")) as bob,
    ):
        status, _ = await wire.rest(
            "POST", "hubs/chat/:closeConnections", f"{API}&excluded={wire.connection_id('bob')}"
        )
        await wire.send("hubs/chat", 1)

        assert status == 204
        assert records(await ada.receive_str())[0]["type"] == 7
        assert records(await bob.receive_str())[0]["type"] == 1


async def test_a_users_and_a_groups_connections_are_closed(wire: Wire) -> None:
    async with (
        await wire.websocket(client_token("ada")) as ada,
        await wire.websocket(client_token("bob")) as bob,
    ):
        await wire.rest("PUT", "hubs/chat/users/bob/groups/g")

        assert (await wire.rest("POST", "hubs/chat/users/ada/:closeConnections"))[0] == 204
        assert (await wire.rest("POST", "hubs/chat/groups/g/:closeConnections"))[0] == 204

        assert records(await ada.receive_str())[0]["type"] == 7
        assert records(await bob.receive_str())[0]["type"] == 7


async def test_a_send_to_one_hub_is_not_heard_in_another(wire: Wire) -> None:
    """Hubs of one service are strangers, and so are equal hubs of two applications."""
    async with (
        await wire.websocket(client_token("ada", hub="app_chat"), hub="app_chat") as app,
        await wire.websocket(client_token("ada"), hub="chat") as plain,
    ):
        await wire.send("hubs/chat/users/ada", "plain")
        await wire.send("hubs/CHAT/users/ada", "app", query=f"{API}&application=App")

        assert records(await app.receive_str())[0]["arguments"] == ["app"]
        assert records(await plain.receive_str())[0]["arguments"] == ["plain"]


@pytest.mark.parametrize("version", ["2022-06-01", "2024-12-01"])
async def test_the_versions_of_the_api(wire: Wire, version: str) -> None:
    await wire.send("hubs/chat", query=f"api-version={version}")


@pytest.mark.parametrize("query", ["", "api-version=", "api-version=1", f"{API}&{API}", "Api-Version=2022-06-01"])
async def test_other_versions_are_refused_with_those_that_work(wire: Wire, query: str) -> None:
    status, body = await wire.rest("POST", "hubs/chat/:send", query, json={"target": "x"})

    assert status == 400
    assert "'api-version'" in body


async def test_anyone_may_ask_for_its_health(wire: Wire) -> None:
    assert await wire.status("HEAD", f"/api/health?{API}") == (200, "")
    assert await wire.status("GET", "/api/health") == (200, "")


@pytest.mark.parametrize(
    "path",
    ["", "hubs", "hubs/chat", "hubs//:send", "hubs/chat/users//:send", "hubs/chat/users/a/b/:send", "x/chat/:send",
     "hubs/chat/:send/", "hubs%2Fchat/:send"],
)  # fmt: skip
async def test_unknown_operations_are_not_found(wire: Wire, path: str) -> None:
    status, body = await wire.rest("POST", path, json={"target": "x"})

    assert (status, json.loads(body)["message"]) == (404, "There is no such operation.")


async def test_other_methods_are_refused_with_those_that_work(wire: Wire) -> None:
    async with wire.request("GET", "/api/hubs/chat/groups/g/connections/x") as response:
        assert (response.status, response.headers["Allow"]) == (405, "DELETE,PUT")


@pytest.mark.parametrize("name", ["my-chat", "1", "a%2Fb", "%20", "%00", "x" * 129])
async def test_hub_and_application_names_are_checked(wire: Wire, name: str) -> None:
    assert (await wire.rest("POST", f"hubs/{name}/:send", json={"target": "x"}))[0] == 400
    assert (await wire.rest("POST", "hubs/chat/:send", f"{API}&application={name}", json={"target": "x"}))[0] == 400


@pytest.mark.parametrize("group", ["%20", "%E2%80%83", "x" * 1025], ids=["blank", "em space", "too long"])
async def test_group_names_are_checked_by_every_operation(wire: Wire, group: str) -> None:
    for method, path in (
        ("POST", f"groups/{group}/:send"),
        ("POST", f"groups/{group}/:closeConnections"),
        ("PUT", f"groups/{group}/connections/x"),
        ("DELETE", f"groups/{group}/connections/x"),
        ("PUT", f"users/x/groups/{group}"),
        ("DELETE", f"users/x/groups/{group}"),
    ):
        status, body = await wire.rest(method, f"hubs/chat/{path}", json={"target": "x"})
        assert status == 400
        assert "Invalid group name" in body


@pytest.mark.parametrize("path", ["hubs/chat/users/%FF/:send", "hubs/chat/groups/%ED%A0%BD/:send"])
async def test_a_path_that_is_no_text_is_refused(wire: Wire, path: str) -> None:
    status, body = await wire.rest("POST", path, json={"target": "x"})

    assert (status, json.loads(body)["message"]) == (400, "The path is not UTF-8.")


async def test_a_bad_token_is_refused_with_the_check_that_failed(wire: Wire) -> None:
    path = "/api/hubs/chat/users/ada/:send"
    audience = f"http://localhost{path}"
    for text, reason in (
        (None, "there is no access token"),
        (token({"aud": audience}, OTHER_KEY), "signature"),
        (token({"aud": audience, "exp": NOW}), "exp"),
        (token({"aud": audience, "nbf": NOW + 1}), "nbf"),
        (token({"aud": audience.replace("ada", "bob")}), "aud"),
        (token({"aud": f"{audience}?application=other"}), "aud"),
        (client_token("ada"), "aud"),
    ):
        async with wire.request("POST", f"{path}?{API}", text, data=MESSAGE) as response:
            answer = await response.json()
            assert (response.status, response.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert answer["code"] == "Unauthorized"
            assert reason in answer["message"]


async def test_a_token_in_the_query_opens_nothing(wire: Wire) -> None:
    path = "/api/hubs/chat/:send"
    text = token({"aud": f"http://localhost{path}"})

    status, _ = await wire.status("POST", f"{path}?{API}&access_token={text}", data=MESSAGE)

    assert status == 401


@pytest.mark.parametrize("audience", ["{base}{path}", "{base}{path}?{query}", "http://localhost{path}/"])
async def test_the_audiences_that_callers_make(wire: Wire, audience: str) -> None:
    path = "/api/hubs/chat/users/a%2Fb/:send"
    text = token({"aud": audience.format(base=wire.base, path=path, query=API)})

    status, _ = await wire.status("POST", f"{path}?{API}", text, json={"target": "x"})

    assert status == 202


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "x", ""])
async def test_another_content_type_is_refused(wire: Wire, content_type: str) -> None:
    status, body = await wire.rest("POST", "hubs/chat/:send", data=MESSAGE, headers={"Content-Type": content_type})

    assert status == 415
    assert "The body must be application/json or " in json.loads(body)["message"]


async def test_a_content_type_may_name_its_charset(wire: Wire) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}

    assert (await wire.rest("POST", "hubs/chat/:send", data=MESSAGE, headers=headers))[0] == 202


async def test_a_body_beyond_the_limit_is_refused() -> None:
    async with emulating(message_limit=1000) as wire:
        status, body = await wire.rest("POST", "hubs/chat/:send", json={"target": "x" * 1000})

        assert (status, json.loads(body)["message"]) == (413, "The body is longer than 1000 bytes.")


async def test_a_body_as_large_as_the_service_takes_is_delivered(wire: Wire) -> None:
    body = '{"target":"x","arguments":["%s"]}'
    body %= "x" * (2**20 - len(body) + 2)
    async with await wire.websocket(client_token("ada")) as socket:
        status, _ = await wire.rest("POST", "hubs/chat/:send", data=body, headers={"Content-Type": "application/json"})

        assert (status, len(body)) == (202, 2**20)
        assert len(records(await socket.receive_str())[0]["arguments"][0]) == len(body) - 31


BROKEN = {
    "nothing": b"",
    "blanks": b" \n",
    "no JSON": b"{",
    "no object": b"[]",
    "null": b"null",
    "no target": b'{"arguments":[]}',
    "empty target": b'{"target":"","arguments":[]}',
    "null target": b'{"Target":null,"Arguments":null}',
    "target is a number": b'{"target":1}',
    "arguments are an object": b'{"target":"x","arguments":{}}',
    "arguments are text": b'{"target":"x","arguments":"x"}',
    "two targets": b'{"target":"x","Target":"y"}',
    "NaN": b'{"target":"x","arguments":[NaN]}',
    "Infinity": b'{"target":"x","arguments":[-Infinity]}',
    "beyond a double": b'{"target":"x","arguments":[1e999]}',
    "lone surrogate": rb'{"target":"x","arguments":["\ud83d"]}',
    "lone surrogate in a name": rb'{"target":"\ude00"}',
    "invalid UTF-8": b'{"target":"\xff"}',
    "too deep": b'{"target":"x","arguments":' + b"[" * 100_000,
    "UTF-16": '{"target":"x"}'.encode("utf-16"),
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
async def test_a_broken_body_is_refused_and_nobody_is_disconnected(wire: Wire, body: bytes) -> None:
    """What the service passes on, every client must be able to read."""
    async with await wire.websocket(client_token("ada")) as socket:
        headers = {"Content-Type": "application/json"}
        status, answer = await wire.rest("POST", "hubs/chat/:send", data=body, headers=headers)
        await wire.send("hubs/chat", "still here")

        assert status == 400
        assert json.loads(answer)["code"] == "Error.Request.Invalid"
        assert records(await socket.receive_str())[0]["arguments"] == ["still here"]


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1], ids=["beyond 64 bits", "below 64 bits"])
async def test_integers_that_some_client_cannot_read_are_refused(wire: Wire, value: int) -> None:
    status, answer = await wire.rest("POST", "hubs/chat/:send", json={"target": "x", "arguments": [value]})

    assert status == 400
    assert "64 bits" in json.loads(answer)["message"]
