"""Clients over real sockets: negotiate, the three transports, and what they are refused."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from flask_signalr.messagepack_protocol import MessagePackHubProtocol
from flask_signalr.messages import InvocationMessage
from tests.emulated import HANDSHAKE, NOW, OTHER_KEY, Wire, bearer, client_token, emulating, records, token, until

CALL = '{"type":1,"invocationId":"0","target":"echo","arguments":["x"]}\x1e'
ADA = client_token("ada")
MESSAGEPACK = MessagePackHubProtocol()
BINARY_HANDSHAKE = b'{"protocol":"messagepack","version":1}\x1e'


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with emulating() as each:
        yield each


async def next_event(stream: aiohttp.ClientResponse) -> list[dict[str, Any]]:
    """Return the messages of the next server-sent event."""
    line = await stream.content.readuntil(b"\r\n")
    assert await stream.content.readuntil(b"\r\n") == b"\r\n"
    assert line.startswith(b"data: ")
    return records(line.removeprefix(b"data: ").removesuffix(b"\r\n"))


async def test_negotiate_offers_every_transport(wire: Wire) -> None:
    answer = await wire.negotiate(ADA)

    assert answer["negotiateVersion"] == 1
    assert answer["connectionId"] != answer["connectionToken"]
    assert answer["availableTransports"] == [
        {"transport": "WebSockets", "transferFormats": ["Text", "Binary"]},
        {"transport": "ServerSentEvents", "transferFormats": ["Text"]},
        {"transport": "LongPolling", "transferFormats": ["Text", "Binary"]},
    ]
    assert "useStatefulReconnect" not in answer


async def test_negotiate_offers_the_transports_that_the_token_allows(wire: Wire) -> None:
    answer = await wire.negotiate(client_token("ada", **{"asrs.s.htt": "4"}))

    assert [each["transport"] for each in answer["availableTransports"]] == ["LongPolling"]


async def test_negotiate_version_0_has_no_token(wire: Wire) -> None:
    """The client signalrcore reconnects with it, and then opens the connection by its id."""
    answer = await wire.negotiate(ADA, version=0)

    assert answer["negotiateVersion"] == 0
    assert "connectionToken" not in answer
    async with wire.session.ws_connect(
        wire.url(f"/client/?hub=chat&id={answer['connectionId']}"), headers=bearer(ADA)
    ) as socket:
        await socket.send_str(HANDSHAKE)
        assert await socket.receive_str() == "{}\x1e"


@pytest.mark.parametrize(
    ("query", "version"),
    [("", 0), ("&negotiateVersion=0", 0), ("&NegotiateVersion=1", 1), ("&negotiateVersion=7", 1)],
)
async def test_a_later_version_is_answered_with_ours(wire: Wire, query: str, version: int) -> None:
    async with wire.request("POST", f"/client/negotiate?hub=chat{query}", ADA) as response:
        assert (await response.json())["negotiateVersion"] == version


@pytest.mark.parametrize("query", ["=x", "=", "=-1", "=%D9%A1", "=1&negotiateVersion=1"])
async def test_a_version_that_is_no_number_is_refused(wire: Wire, query: str) -> None:
    status, body = await wire.status("POST", f"/client/negotiate?hub=chat&negotiateVersion{query}", ADA)

    assert (status, body) == (400, '{"error": "The client requested a non-integer protocol version."}')


async def test_a_hub_named_in_capitals_is_the_same_hub(wire: Wire) -> None:
    async with await wire.websocket(client_token("ada", hub="CHAT"), hub="Chat") as socket:
        await wire.send("hubs/chat", 1)

        assert records(await socket.receive_str()) == [{"type": 1, "target": "news", "arguments": [1]}]


async def test_a_websocket_after_negotiate(wire: Wire) -> None:
    path = await wire.open_id(ADA)

    async with wire.session.ws_connect(wire.url(path), headers=bearer(ADA)) as socket:
        await socket.send_str(HANDSHAKE + '{"type":6}\x1e' + CALL)
        (handshake, completion) = records(await socket.receive_str())

    assert handshake == {}
    assert completion["invocationId"] == "0"
    assert "No upstream" in completion["error"]


async def test_a_websocket_without_negotiate(wire: Wire) -> None:
    """The Python clients open one straight away; browsers put the token into the query."""
    url = wire.url(f"/client?hub=chat&id=&access_token={ADA}")

    async with wire.session.ws_connect(url) as socket:
        await socket.send_bytes(HANDSHAKE.encode())

        assert await socket.receive_str() == "{}\x1e"


async def test_a_websocket_ends_properly_when_the_service_closes(wire: Wire) -> None:
    socket = await wire.websocket(ADA)

    wire.emulator.drop("chat", abruptly=False)

    assert records(await socket.receive_str()) == [{"type": 7, "allowReconnect": True}]
    assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
    assert socket.close_code == 1000


async def test_a_websocket_that_is_dropped_breaks_off(wire: Wire) -> None:
    socket = await wire.websocket(ADA)

    assert wire.emulator.drop("chat", user_id="ada") == 1

    assert (await socket.receive()).type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
    assert socket.close_code == 1006


async def test_a_websocket_that_says_goodbye_is_closed(wire: Wire) -> None:
    socket = await wire.websocket(ADA)

    await socket.send_str('{"type":7}\x1e')

    assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
    assert socket.close_code == 1000


async def test_a_websocket_that_goes_away_is_forgotten() -> None:
    async with emulating(tick=0.01) as wire:
        socket = await wire.websocket(ADA)
        await socket.close()
        await until_nobody_is_connected(wire)


async def until_nobody_is_connected(wire: Wire) -> None:
    await until(lambda: not wire.emulator.service.connections)


async def test_a_frame_beyond_all_bounds_ends_the_connection() -> None:
    async with emulating(message_limit=1000) as wire:
        socket = await wire.websocket(ADA)

        await socket.send_str("x" * 5000)

        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 1009


async def test_a_reader_that_is_stuck_is_dropped_and_holds_nobody_up() -> None:
    """It stops reading, its socket's buffers fill up, then its outbox; the other one hears every message."""
    async with emulating(outbox_limit=100_000) as wire:
        reader = await wire.websocket(client_token("reader"))
        writer = await stuck_client(wire)
        received = 0
        async with asyncio.timeout(60):
            while len(wire.emulator.service.connections) == 2:
                await wire.send("hubs/chat", "x" * 500_000)
                received += len(records(await reader.receive_str()))

        assert received > 0
        assert [c.client.user_id for c in wire.emulator.service.connections] == ["reader"]
        writer.close()
        await reader.close()


async def stuck_client(wire: Wire) -> asyncio.StreamWriter:
    """Connect a client that never reads more than the answer to its handshake."""
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.emulator.settings.port, limit=1024)
    writer.write(
        b"GET /client/?hub=chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
        b"Authorization: Bearer " + client_token("stuck").encode() + b"\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    payload = HANDSHAKE.encode()
    writer.write(bytes([0x81, 0x80 | len(payload)]) + bytes(4) + payload)
    await reader.readexactly(2 + len(b"{}\x1e"))
    return writer


async def test_a_client_that_hears_nothing_else_hears_pings() -> None:
    """The official client gives up after 30 seconds without a message; protocol pings do not count."""
    async with emulating(tick=0.01, keep_alive=0.02) as wire:
        socket = await wire.websocket(ADA)

        assert records(await socket.receive_str()) == [{"type": 6}]


async def test_a_client_that_says_nothing_is_let_go() -> None:
    async with emulating(tick=0.01, client_timeout=0.05) as wire:
        socket = await wire.websocket(ADA)

        (goodbye,) = records(await socket.receive_str())

        assert (goodbye["type"], goodbye["allowReconnect"]) == (7, True)


async def test_events_of_the_service(wire: Wire) -> None:
    path = await wire.open_id(ADA)

    async with wire.request("GET", f"{path}&access_token={ADA}", headers={"Accept": "text/event-stream"}) as stream:
        assert (stream.status, stream.content_type) == (200, "text/event-stream")
        assert await stream.content.readuntil(b"\r\n") == b":\r\n"
        assert await wire.status("POST", path, ADA, data=HANDSHAKE) == (200, "")
        assert await next_event(stream) == [{}]
        assert await wire.status("POST", path, ADA, data=CALL) == (200, "")
        (completion,) = await next_event(stream)
        await wire.send("hubs/chat/users/ada", "\n")
        news = await next_event(stream)
        wire.emulator.drop(abruptly=False)
        goodbye = await next_event(stream)
        rest = await stream.content.read()

    assert completion["invocationId"] == "0"
    assert news == [{"type": 1, "target": "news", "arguments": ["\n"]}]
    assert goodbye == [{"type": 7, "allowReconnect": True}]
    assert rest == b""


async def test_a_stream_that_goes_away_is_forgotten(wire: Wire) -> None:
    path = await wire.open_id(ADA)
    async with wire.request("GET", f"{path}&access_token={ADA}", headers={"Accept": "text/event-stream"}) as stream:
        await stream.content.readuntil(b"\r\n")
        stream.close()

    await until_nobody_is_connected(wire)


async def test_a_stream_that_is_dropped_breaks_off(wire: Wire) -> None:
    path = await wire.open_id(ADA)

    async with wire.request("GET", f"{path}&access_token={ADA}", headers={"Accept": "text/event-stream"}) as stream:
        await stream.content.readuntil(b"\r\n")
        wire.emulator.drop("chat")
        with pytest.raises(aiohttp.ClientPayloadError):
            await stream.content.read()


async def polling(wire: Wire, text: str = ADA) -> str:
    """Return the path of a long-polling connection whose handshake was answered."""
    path = await wire.open_id(text)
    assert await wire.status("GET", f"{path}&_=1", text) == (200, "")
    assert await wire.status("POST", path, text, data=HANDSHAKE) == (200, "")
    assert await wire.status("GET", f"{path}&_=2", text) == (200, "{}\x1e")
    return path


async def test_polls_carry_what_the_service_says(wire: Wire) -> None:
    path = await polling(wire)
    poll = asyncio.create_task(wire.status("GET", path, ADA))

    await wire.send("hubs/chat/users/ada", 1)

    status, body = await poll
    assert status == 200
    assert records(body) == [{"type": 1, "target": "news", "arguments": [1]}]


async def test_a_poll_without_news_ends_empty_and_the_client_polls_again() -> None:
    async with emulating(poll_timeout=0.01) as wire:
        path = await polling(wire)

        assert await wire.status("GET", path, ADA) == (200, "")
        assert await wire.status("GET", path, ADA) == (200, "")


async def listened_to(wire: Wire) -> None:
    """Wait until a poll has arrived."""
    await until(lambda: all(connection.is_listened_to for connection in wire.emulator.service.connections))


async def test_a_newer_poll_releases_the_older_one(wire: Wire) -> None:
    path = await polling(wire)
    older = asyncio.create_task(wire.status("GET", path, ADA))
    await listened_to(wire)

    newer = asyncio.create_task(wire.status("GET", path, ADA))

    assert await older == (204, "")
    await wire.send("hubs/chat", 1)
    assert (await newer)[0] == 200


async def test_the_last_poll_says_that_it_is_over(wire: Wire) -> None:
    path = await polling(wire)
    wire.emulator.drop(abruptly=False)

    goodbye = await wire.status("GET", path, ADA)
    last = await wire.status("GET", path, ADA)
    after = await wire.status("GET", path, ADA)

    assert records(goodbye[1]) == [{"type": 7, "allowReconnect": True}]
    assert last == (204, "")
    assert after[0] == 404


async def test_a_client_ends_its_polls(wire: Wire) -> None:
    path = await polling(wire)
    poll = asyncio.create_task(wire.status("GET", path, ADA))
    await listened_to(wire)

    assert await wire.status("DELETE", path, ADA) == (202, "")

    assert await poll == (204, "")
    assert (await wire.status("DELETE", path, ADA))[0] == 404


async def test_a_client_that_says_goodbye_by_post_may_still_delete(wire: Wire) -> None:
    """The JavaScript client does both, in no fixed order."""
    path = await polling(wire)

    assert await wire.status("POST", path, ADA, data='{"type":7}\x1e') == (200, "")

    assert (await wire.status("POST", path, ADA, data='{"type":6}\x1e'))[0] == 404
    assert await wire.status("DELETE", path, ADA) == (202, "")


async def test_a_client_that_stops_polling_is_forgotten() -> None:
    async with emulating(tick=0.01, poll_gap=0.05) as wire:
        path = await wire.open_id(ADA)
        await wire.status("GET", path, ADA)
        await wire.status("POST", path, ADA, data=HANDSHAKE)

        await until_nobody_is_connected(wire)


async def test_a_negotiated_connection_that_is_never_opened_is_forgotten() -> None:
    async with emulating(tick=0.01, open_within=0.05) as wire:
        path = await wire.open_id(ADA)
        await until_nobody_is_connected(wire)

        assert await wire.status("GET", path, ADA) == (404, '{"error": "No Connection with that ID"}')


async def test_a_token_that_expires_ends_polls_and_posts_and_no_websocket(wire: Wire) -> None:
    """As at the service: a WebSocket is checked when it opens, everything else each time."""
    socket = await wire.websocket(client_token("bob"))
    path = await polling(wire)

    wire.clock.now = NOW + 61

    for method in ("GET", "POST", "DELETE"):
        status, body = await wire.status(method, path, ADA)
        assert status == 401
        assert "expired 1 seconds ago" in body
    await socket.send_str(CALL)
    assert records(await socket.receive_str())[0]["invocationId"] == "0"
    await socket.close()


EVENTS = {"Accept": "text/event-stream"}
UPGRADE = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
}  # fmt: skip


@pytest.mark.parametrize(("method", "headers"), [("GET", {}), ("GET", EVENTS), ("POST", {}), ("DELETE", {})])
async def test_a_request_without_an_id_is_refused(wire: Wire, method: str, headers: dict[str, str]) -> None:
    status, body = await wire.status(method, "/client/?hub=chat", ADA, headers=headers)

    assert (status, body) == (400, '{"error": "Connection ID required"}')


@pytest.mark.parametrize(
    ("method", "headers"), [("GET", {}), ("GET", EVENTS), ("GET", UPGRADE), ("POST", {}), ("DELETE", {})]
)
async def test_an_unknown_id_is_refused(wire: Wire, method: str, headers: dict[str, str]) -> None:
    status, body = await wire.status(method, "/client/?hub=chat&id=guess", ADA, headers=headers)

    assert (status, body) == (404, '{"error": "No Connection with that ID"}')


async def test_the_public_id_of_a_connection_does_not_open_it(wire: Wire) -> None:
    """Whoever was told the id, to send to it, must not be able to read along."""
    answer = await wire.negotiate(ADA)

    assert (await wire.status("GET", f"/client/?hub=chat&id={answer['connectionId']}", ADA))[0] == 404


async def test_another_users_connection_token_opens_nothing(wire: Wire) -> None:
    path = await wire.open_id(ADA)

    for thief in (client_token("eve"), client_token()):
        for method in ("GET", "POST", "DELETE"):
            assert (await wire.status(method, path, thief))[0] == 404


async def test_another_hubs_connection_token_opens_nothing(wire: Wire) -> None:
    answer = await wire.negotiate(client_token("ada", hub="other"), hub="other")

    assert (await wire.status("GET", f"/client/?hub=chat&id={answer['connectionToken']}", ADA))[0] == 404


async def test_a_second_websocket_or_stream_is_refused(wire: Wire) -> None:
    path = await wire.open_id(ADA)
    async with wire.session.ws_connect(wire.url(path), headers=bearer(ADA)):
        assert (await wire.status("GET", path, ADA, headers=UPGRADE))[0] == 409
        status, body = await wire.status("GET", path, ADA, headers=EVENTS)
        assert (status, body) == (400, '{"error": "Cannot change transports mid-connection"}')


async def test_a_websocket_takes_no_posts_and_no_delete(wire: Wire) -> None:
    path = await wire.open_id(ADA)
    async with wire.session.ws_connect(wire.url(path), headers=bearer(ADA)):
        async with wire.request("POST", path, ADA, data=CALL) as response:
            assert (response.status, response.headers["Allow"]) == (405, "GET")
        assert (await wire.status("DELETE", path, ADA))[0] == 400


async def test_a_connection_is_opened_before_it_is_posted_to(wire: Wire) -> None:
    path = await wire.open_id(ADA)

    status, body = await wire.status("POST", path, ADA, data=HANDSHAKE)

    assert status == 400
    assert "open it with GET" in body


async def test_a_transport_that_the_token_forbids_is_refused(wire: Wire) -> None:
    text = client_token("ada", **{"asrs.s.htt": "4"})

    status, body = await wire.status("GET", "/client/?hub=chat", text, headers=UPGRADE)

    assert status == 404
    assert "WebSockets transport not supported" in body


async def test_messagepack_is_spoken_over_websockets(wire: Wire) -> None:
    """The handshake is JSON all the same, and comes in a binary frame as everything else."""
    async with wire.session.ws_connect(wire.url("/client/?hub=chat"), headers=bearer(ADA)) as socket:
        await socket.send_bytes(BINARY_HANDSHAKE)
        handshake = await socket.receive_bytes()
        await wire.send("hubs/chat", {"a": [1, None]})
        news = await socket.receive_bytes()

    assert handshake == b"{}\x1e"
    [payload], _ = MESSAGEPACK.split(news)
    assert MESSAGEPACK.parse(payload) == InvocationMessage(target="news", arguments=({"a": [1, None]},))


async def test_messagepack_is_spoken_over_long_polling(wire: Wire) -> None:
    connection = (await wire.negotiate(ADA))["connectionToken"]
    path = f"/client/?hub=chat&id={connection}"
    await wire.status("GET", path, ADA)

    await wire.status("POST", path, ADA, data=BINARY_HANDSHAKE)
    async with wire.request("GET", path, ADA) as poll:
        handshake = await poll.read()
    await wire.send("hubs/chat", "ß")
    async with wire.request("GET", path, ADA) as poll:
        news = await poll.read()

    assert handshake == b"{}\x1e"
    [payload], _ = MESSAGEPACK.split(news)
    assert MESSAGEPACK.parse(payload) == InvocationMessage(target="news", arguments=("ß",))


async def test_messagepack_does_not_fit_into_server_sent_events(wire: Wire) -> None:
    connection = (await wire.negotiate(ADA))["connectionToken"]
    path = f"/client/?hub=chat&id={connection}"

    async with wire.request("GET", path, ADA, headers={"Accept": "text/event-stream"}) as stream:
        await stream.content.readuntil(b":\r\n")
        await wire.status("POST", path, ADA, data=BINARY_HANDSHAKE)
        [answer] = await next_event(stream)

    assert "does not support 'Binary' transfer format" in answer["error"]


async def test_half_a_websocket_handshake_is_refused(wire: Wire) -> None:
    headers = {"Connection": "Upgrade", "Upgrade": "websocket"}

    assert (await wire.status("GET", "/client/?hub=chat", ADA, headers=headers))[0] == 400


@pytest.mark.parametrize("path", ["/client/negotiate", "/client/", "/client"])
@pytest.mark.parametrize("method", ["PUT", "PATCH", "TRACE"])
async def test_other_methods_are_refused(wire: Wire, path: str, method: str) -> None:
    assert (await wire.status(method, f"{path}?hub=chat", ADA))[0] == 405


async def test_negotiate_is_a_post(wire: Wire) -> None:
    assert (await wire.status("GET", "/client/negotiate?hub=chat", ADA))[0] == 405


@pytest.mark.parametrize("query", ["", "hub=", "hub=a%2Fb", "hub=my-chat", "hub=%FF", "hub=%00"])
async def test_a_hub_without_a_proper_name_is_refused(wire: Wire, query: str) -> None:
    status, body = await wire.status("POST", f"/client/negotiate?{query}", ADA)

    assert status == 400
    assert "Invalid hub name" in body


@pytest.mark.parametrize("name", ["hub", "id", "access_token"])
async def test_a_parameter_given_twice_is_refused(wire: Wire, name: str) -> None:
    """Two readers of one URL must not see two hubs; Azure refuses a second hub too."""
    query = f"hub=chat&id=x&access_token={ADA}&{name}=y"
    headers = UPGRADE if name == "access_token" else UPGRADE | bearer(ADA)

    status, body = await wire.status("GET", f"/client/?{query}", headers=headers)

    assert status == 400
    assert f"'{name}' is given more than once" in body


BAD_TOKENS = {
    "no token": (None, "there is no access token"),
    "wrong key": (token({"aud": "http://localhost/client/?hub=chat"}, OTHER_KEY), "signature does not match"),
    "wrong audience": (client_token(hub="admin"), "hub=admin"),
    "expired": (client_token(exp=NOW - 1), "(claim exp)"),
    "not yet valid": (client_token(nbf=NOW + 9), "(claim nbf)"),
    "too long": (client_token(x="x" * 4000), "4096"),
    "no token at all": ("hello", "not a JSON Web Token"),
}


@pytest.mark.parametrize(("text", "reason"), BAD_TOKENS.values(), ids=BAD_TOKENS)
async def test_a_bad_token_is_refused_everywhere_with_the_check_that_failed(
    wire: Wire, text: str | None, reason: str
) -> None:
    for method, path, headers in (
        ("POST", "/client/negotiate?hub=chat", {}),
        ("GET", "/client/?hub=chat", UPGRADE),
        ("GET", "/client/?hub=chat&id=x", EVENTS),
        ("GET", "/client/?hub=chat&id=x", {}),
        ("POST", "/client/?hub=chat&id=x", {}),
        ("DELETE", "/client/?hub=chat&id=x", {}),
    ):
        async with wire.request(method, path, text, headers=headers) as response:
            body = await response.text()
            assert (response.status, response.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert reason in body
            assert not text or text not in body


async def test_a_token_in_the_query_counts_only_where_browsers_need_it(wire: Wire) -> None:
    """URLs end up in logs and histories, so whoever can send a header must."""
    for method, path in (("POST", "/client/negotiate"), ("POST", "/client/"), ("GET", "/client/")):
        status, body = await wire.status(method, f"{path}?hub=chat&id=x&access_token={ADA}")

        assert status == 401
        assert "there is no access token" in body


@pytest.mark.parametrize("value", ["Basic YTpi", "Bearer", "", f"Token {ADA}"])
async def test_another_kind_of_authorization_is_refused(wire: Wire, value: str) -> None:
    """Also when the query holds a good token: the header was meant, and is wrong."""
    headers = {"Authorization": value, **UPGRADE}

    assert (await wire.status("GET", f"/client/?hub=chat&access_token={ADA}", headers=headers))[0] == 401


async def test_a_body_beyond_the_limit_is_refused() -> None:
    async with emulating(message_limit=1000) as wire:
        path = await polling(wire)

        status, body = await wire.status("POST", path, ADA, data=b"x" * 1001)

        assert (status, body) == (413, '{"error": "The body is longer than 1000 bytes."}')


async def test_a_compressed_body_is_refused(wire: Wire) -> None:
    """A small one may unfold to any size."""
    path = await polling(wire)

    assert (await wire.status("POST", path, ADA, data=b"x", headers={"Content-Encoding": "gzip"}))[0] == 415
