"""An emulator over real sockets, and callers of it that say exactly what a test wants said."""

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import jwt
from yarl import URL

from flask_signalr.emulator import EmulatorSettings, RunningEmulator, running

KEY = "a-key-of-the-emulator-0123456789-abcdefghij"
OTHER_KEY = "another-key-of-nobody-0123456789-abcdefghij"
NOW = 1_700_000_000
HANDSHAKE = '{"protocol":"json","version":1}\x1e'
API = "api-version=2022-06-01"


def token(claims: dict[str, Any], key: str = KEY, algorithm: str = "HS256") -> str:
    """Return a signed token; it expires in a minute unless the claims say otherwise, ``...`` leaves a claim out."""
    complete = {"exp": NOW + 60, **claims}
    present = {name: value for name, value in complete.items() if value is not ...}
    return jwt.encode(present, key, algorithm)


def health(url: str) -> int:
    """Return the status with which an emulator says how it is."""
    with urllib.request.urlopen(f"{url}/api/health", timeout=10) as response:
        return int(response.status)


def client_token(user_id: str | None = None, hub: str = "chat", **claims: Any) -> str:
    """Return the token of a client of a hub."""
    user = {} if user_id is None else {"asrs.s.uid": user_id}
    return token({**user, "aud": f"http://localhost/client/?hub={hub}", **claims})


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def records(data: str | bytes) -> list[dict[str, Any]]:
    """Return the messages of a frame or a body."""
    text = data if isinstance(data, str) else data.decode()
    assert text == "" or text.endswith("\x1e")
    return [json.loads(record) for record in text.split("\x1e")[:-1]]


class Clock:
    """The time of the access tokens; it stands still until a test moves it."""

    def __init__(self) -> None:
        self.now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class Wire:
    """One emulator, and a session to talk to it."""

    emulator: RunningEmulator
    session: aiohttp.ClientSession
    clock: Clock

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.emulator.settings.port}"

    def url(self, path: str) -> URL:
        """Return a URL with just this path and query, not made tidy."""
        return URL(f"{self.base}{path}", encoded=True)

    def request(self, method: str, path: str, text: str | None = None, **options: Any) -> Any:
        """Send a request, with an access token if one is given."""
        headers = (bearer(text) if text is not None else {}) | options.pop("headers", {})
        return self.session.request(method, self.url(path), headers=headers, allow_redirects=False, **options)

    async def status(self, method: str, path: str, text: str | None = None, **options: Any) -> tuple[int, str]:
        """Return the status and the body of an answer."""
        async with self.request(method, path, text, **options) as response:
            return response.status, await response.text()

    async def rest(self, method: str, path: str, query: str = API, **options: Any) -> tuple[int, str]:
        """Call the REST API with the token that is right for the call."""
        text = token({"aud": f"http://localhost/api/{path}"})
        return await self.status(method, f"/api/{path}?{query}", text, **options)

    async def send(self, path: str, *arguments: Any, query: str = API) -> None:
        """Send the message ``news`` to a place of the REST API."""
        status, body = await self.rest("POST", f"{path}/:send", query, json={"target": "news", "arguments": arguments})
        assert (status, body) == (202, "")

    async def negotiate(self, text: str, hub: str = "chat", version: int = 1) -> dict[str, Any]:
        query = f"hub={hub}&negotiateVersion={version}"
        async with self.request("POST", f"/client/negotiate?{query}", text) as response:
            assert response.status == 200
            return dict(await response.json())

    async def open_id(self, text: str, hub: str = "chat") -> str:
        """Return the path and query of a new connection."""
        answer = await self.negotiate(text, hub)
        return f"/client/?hub={hub}&id={answer['connectionToken']}"

    async def websocket(self, text: str, hub: str = "chat") -> aiohttp.ClientWebSocketResponse:
        """Return a WebSocket whose handshake was answered."""
        socket = await self.session.ws_connect(self.url(f"/client/?hub={hub}"), headers=bearer(text))
        await socket.send_str(HANDSHAKE)
        assert await socket.receive_str() == "{}\x1e"
        return socket

    def connection_id(self, user_id: str) -> str:
        """Return the id of the only connection of a user."""
        (connection,) = [c for c in self.emulator.service.connections if c.client.user_id == user_id]
        return connection.id


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is true of the emulator, which runs in this event loop."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 -- the state machine has no events, and shall have none for tests
            await asyncio.sleep(0)


@asynccontextmanager
async def emulating(**settings: Any) -> AsyncIterator[Wire]:
    """Run an emulator on a free port, with the key of these tests."""
    clock = Clock()
    chosen = EmulatorSettings(**{"host": "127.0.0.1", "port": 0, "access_keys": (KEY,), **settings})
    async with aiohttp.ClientSession() as session, running(chosen, clock=clock) as emulator:
        yield Wire(emulator, session, clock)
