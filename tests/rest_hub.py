"""The clients of a hub at an emulator over sockets, as an app sees them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp

from flask_signalr import HubClients, ServiceClient, ServiceEndpoint
from tests.emulated import KEY, Wire, client_token, emulating, records

T = TypeVar("T")


@dataclass
class LiveHub:
    """A hub at one or several emulators.

    Attributes:
        service: Calls all of them.
        clients: The hub's clients, as the app sees them.
        wires: One for each emulator.
    """

    service: ServiceClient
    clients: HubClients
    wires: list[Wire]

    async def connect(self, user_id: str | None = None, at: int = 0) -> aiohttp.ClientWebSocketResponse:
        """Return the WebSocket of a client at one of the emulators."""
        wire = self.wires[at]
        return await wire.websocket(client_token(user_id, exp=int(wire.clock.now) + 60))

    def connection_id(self, user_id: str, at: int = 0) -> str:
        return self.wires[at].connection_id(user_id)


async def call(function: Callable[..., T], *arguments: Any, **keywords: Any) -> T:
    """Call what blocks, while the emulator's event loop goes on."""
    return await asyncio.to_thread(function, *arguments, **keywords)


async def received(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    """Return the next message that is no ping."""
    while True:
        for record in records(await socket.receive_str()):
            if record["type"] != 6:
                return record


@asynccontextmanager
async def live_hub(count: int = 1, **options: Any) -> AsyncIterator[LiveHub]:
    """Run so many emulators with the hub ``chat``."""
    async with AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(emulating()) for _ in range(count)]
        for wire in wires:
            wire.clock.now = time.time() + 30  # it stands still, and no token may come from its future
        endpoints = [
            ServiceEndpoint.parse(f"Endpoint={wire.base};AccessKey={KEY};Version=1.0;", f"e{number}")
            for number, wire in enumerate(wires)
        ]
        service = ServiceClient(endpoints, **options)
        yield LiveHub(service, service.hub("chat"), wires)
