"""One connection, at an emulator over sockets."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from flask_signalr import ClientInvocationFailed, RecipientNotFound, ServiceError, ServiceUnreachable
from tests.rest_hub import LiveHub, call, live_hub, received


@dataclass
class Position:
    x: int
    y: int = 0


async def answer(socket: aiohttp.ClientWebSocketResponse, **completion: object) -> dict[str, object]:
    """Answer the next invocation; return it."""
    invocation = await received(socket)
    completed = {"type": 3, "invocationId": invocation["invocationId"], **completion}
    await socket.send_str(json.dumps(completed) + "\x1e")
    return invocation


async def invoked(
    hub: LiveHub, socket: aiohttp.ClientWebSocketResponse, completion: dict[str, object], **options: Any
) -> Any:
    client = hub.clients.client(hub.connection_id("ada"))
    result, invocation = await asyncio.gather(call(client.invoke, "where", 7, **options), answer(socket, **completion))
    assert (invocation["target"], invocation["arguments"]) == ("where", [7])
    return result


async def test_one_connection_is_told() -> None:
    async with live_hub() as hub, await hub.connect("ada") as ada:
        await call(hub.clients.client(hub.connection_id("ada")).send, "news", 1)

        assert (await received(ada))["arguments"] == [1]


async def test_a_client_gives_its_result() -> None:
    async with live_hub() as hub, await hub.connect("ada") as ada:
        assert await invoked(hub, ada, {"result": [1, "two"]}) == [1, "two"]


async def test_a_result_becomes_what_was_asked_for() -> None:
    async with live_hub() as hub, await hub.connect("ada") as ada:
        result = await invoked(hub, ada, {"result": {"x": 3}}, result_type=Position)

    assert result == Position(3)


async def test_a_void_result_is_none() -> None:
    async with live_hub() as hub, await hub.connect("ada") as ada:
        assert await invoked(hub, ada, {}) is None


async def test_a_result_of_another_kind_is_an_error_that_names_the_fault() -> None:
    """A client says what it likes: whatever it is, the app gets what it asked for or an error."""
    async with live_hub() as hub, await hub.connect("ada") as ada:
        with pytest.raises(ServiceError, match=r"result of 'where' is not what was asked for: .*\$\.x"):
            await invoked(hub, ada, {"result": {"x": "three"}}, result_type=Position)


async def test_a_clients_error_is_told_in_its_words() -> None:
    async with live_hub() as hub, await hub.connect("ada") as ada:
        with pytest.raises(ClientInvocationFailed, match="no position today"):
            await invoked(hub, ada, {"error": "no position today"})


async def test_a_client_that_is_gone_gives_no_result() -> None:
    async with live_hub() as hub:
        with pytest.raises(RecipientNotFound, match="nothing was delivered"):
            await call(hub.clients.client("gone").invoke, "where")


async def test_a_client_that_never_answers_costs_no_more_than_the_timeout() -> None:
    async with live_hub() as hub, await hub.connect("ada"):
        client = hub.clients.using(timeout=0.2).client(hub.connection_id("ada"))

        with pytest.raises(ServiceUnreachable, match=r"within 0\.2 s"):
            await call(client.invoke, "where")


async def test_a_connection_exists_until_it_is_closed() -> None:
    async with live_hub() as hub, await hub.connect("ada") as ada:
        client = hub.clients.client(hub.connection_id("ada"))
        assert await call(client.exists)

        await call(client.close, "bye")

        assert (await received(ada))["error"] == "bye"
        assert not await call(client.exists)
        await call(client.close)  # as it is gone already


async def test_a_connection_leaves_all_groups() -> None:
    async with live_hub() as hub, await hub.connect("ada"):
        client = hub.clients.client(hub.connection_id("ada"))
        for name in ("a", "b"):
            await call(hub.clients.group(name).add, client.connection_id)

        await call(client.remove_from_all_groups)

        assert not await call(hub.clients.group("a").exists)
        assert not await call(hub.clients.group("b").exists)


async def test_a_stream_that_nobody_asked_for_is_not_found() -> None:
    async with live_hub() as hub, await hub.connect("ada"):
        stream = hub.clients.client(hub.connection_id("ada")).stream("1")

        with pytest.raises(RecipientNotFound):
            await call(stream.send, {"n": 1})
        with pytest.raises(RecipientNotFound):
            await call(stream.complete, "too late")
