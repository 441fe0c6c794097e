"""Connections of pysignalr: commands come on standard input, events go out, a JSON line each."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

from pysignalr.client import SignalRClient
from pysignalr.protocol.json import JSONProtocol
from pysignalr.protocol.messagepack import MessagepackProtocol

TARGETS = ("news", "fence")
PROTOCOLS = {"json": JSONProtocol, "messagepack": MessagepackProtocol}

clients: dict[str, SignalRClient] = {}
connections: dict[str, asyncio.Task[None]] = {}


def tell(connection: str, event: str, **facts: Any) -> None:
    print(json.dumps({"connection": connection, "event": event, **facts}), flush=True)


async def start(name: str, url: str, headers: dict[str, str], protocol: str = "json") -> None:
    """Keep a client connected; it reconnects by itself."""
    client = clients[name] = SignalRClient(url, PROTOCOLS[protocol](), headers)
    openings = count()

    async def opened() -> None:
        tell(name, "reconnected" if next(openings) else "started", id="")

    async def refused(completion: Any) -> None:
        """Leave it to who called; a client without this function breaks off at an error."""

    client.on_open(opened)
    client.on_error(refused)
    for target in TARGETS:
        client.on(target, hearer(name, target))
    try:
        await client.run()
    except Exception as error:  # noqa: BLE001 -- all that the client raises is told
        tell(name, "failed", kind=type(error).__name__, error=str(error))


def hearer(name: str, target: str) -> Any:
    async def hear(arguments: list[Any]) -> None:
        tell(name, "message", target=target, arguments=arguments)

    return hear


async def invoke(name: str, method: str, arguments: list[Any]) -> None:
    async def answered(completion: Any) -> None:
        facts = {"result": completion.result, "error": completion.error}
        tell(name, "answered", **{fact: value for fact, value in facts.items() if value is not None})

    await clients[name].send(method, arguments, answered)


async def send(name: str, method: str, arguments: list[Any]) -> None:
    await clients[name].send(method, arguments)
    tell(name, "sent")


async def stop(name: str) -> None:
    connections[name].cancel()
    await asyncio.wait([connections[name]])
    tell(name, "stopped")


COMMANDS: dict[str, Callable[..., Awaitable[None]]] = {"invoke": invoke, "send": send, "stop": stop}


async def main() -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        command = json.loads(line)
        name, what = command.pop("connection"), command.pop("do")
        if what == "start":
            connections[name] = asyncio.create_task(start(name, **command))
        else:
            await COMMANDS[what](name, **command)
    os._exit(0)  # whatever the client still waits for


asyncio.run(main())
