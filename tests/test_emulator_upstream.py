"""The emulator's calls to an app over real sockets: order, refusals, time-outs, hot reload, keys, hostile answers."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from flask_signalr.emulator import Emulator, EmulatorSettings
from flask_signalr.emulator.upstream_calls import sign_connection
from flask_signalr.emulator.upstream_file import UpstreamFile
from flask_signalr.errors import ConfigurationError
from tests.emulated import KEY, OTHER_KEY, Wire, client_token, emulating, records, token, until

ADA = client_token("ada")
Answer = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]


@dataclass
class Upstream:
    """An app as the emulator sees it; a test chooses how it answers messages."""

    url: str = ""
    answer: Answer | None = None
    status: int = 200
    events: list[tuple[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.events.append((request.headers["X-ASRS-Connection-Id"], request.headers["X-ASRS-Event"]))
        self.headers.append(dict(request.headers))
        self.bodies.append(body)
        if self.answer is not None and request.headers["X-ASRS-Category"] == "messages":
            return await self.answer(request, body)
        return web.Response(status=self.status)

    @property
    def names(self) -> list[str]:
        return [name for _, name in self.events]


@asynccontextmanager
async def upstream_app() -> AsyncIterator[Upstream]:
    upstream = Upstream()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", upstream.handle)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    upstream.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield upstream
    finally:
        await runner.cleanup()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with upstream_app() as each:
        yield each


@pytest.fixture
async def wire(upstream: Upstream) -> AsyncIterator[Wire]:
    async with emulating(upstream=upstream.url, upstream_timeout=30, tick=0.01) as each:
        yield each


def call(target: str, invocation_id: str | None = None, *arguments: Any) -> str:
    message = {"type": 1, "target": target, "arguments": arguments}
    return json.dumps(message | ({"invocationId": invocation_id} if invocation_id else {})) + "\x1e"


def echo(body: bytes) -> web.Response:
    message = json.loads(body)
    completion = {"type": 3, "invocationId": message["invocationId"], "result": message["arguments"]}
    return web.Response(body=json.dumps(completion).encode() + b"\x1e")


async def echoing(request: web.Request, body: bytes) -> web.Response:
    return echo(body)


async def result_of(socket: aiohttp.ClientWebSocketResponse, target: str = "say") -> dict[str, Any]:
    await socket.send_str(call(target, "7"))
    (message,) = records(await socket.receive_str())
    return message


async def test_what_a_client_calls_is_answered_by_the_app(wire: Wire, upstream: Upstream) -> None:
    upstream.answer = echoing
    socket = await wire.websocket(client_token("Zoë 東"))
    connection_id = wire.connection_id("Zoë 東")

    await socket.send_str(call("add/é", "7", 1, 2))

    assert records(await socket.receive_str()) == [{"type": 3, "invocationId": "7", "result": [1, 2]}]
    assert upstream.names == ["connected", "add/é"]
    told = upstream.headers[1]
    assert told["X-ASRS-User-Id"] == "Zoë 東"
    assert told["X-ASRS-Signature"] == sign_connection(connection_id, KEY)
    assert told["X-ASRS-Client-Query"] == "?hub=chat"
    assert told["Content-Type"] == "application/json"


async def test_the_app_that_closes_nothing_hears_of_every_end_once(wire: Wire, upstream: Upstream) -> None:
    goodbye, broken = await wire.websocket(ADA), await wire.websocket(client_token("bob"))
    bob = wire.connection_id("bob")

    await goodbye.close()
    assert broken._response.connection is not None
    assert broken._response.connection.transport is not None
    broken._response.connection.transport.abort()
    await until(lambda: upstream.names.count("disconnected") == 2)

    ends = {event[0]: json.loads(body) for event, body in zip(upstream.events, upstream.bodies, strict=True)}
    assert "broke the connection off" in ends.pop(bob)["error"]
    assert list(ends.values()) == [{"type": 11}]


async def test_each_connection_keeps_its_order_under_load(upstream: Upstream) -> None:
    """A thousand calls on ten connections, answered after uneven times: none lost, none overtakes another."""

    async def uneven(request: web.Request, body: bytes) -> web.Response:
        for _ in range(len(upstream.events) % 7):
            await asyncio.sleep(0)
        return echo(body)

    upstream.answer = uneven
    async with emulating(upstream=upstream.url) as wire:
        sockets = [await wire.websocket(client_token(f"u{n}")) for n in range(10)]
        for socket in sockets:
            await socket.send_str("".join(call(f"m{n:03}", str(n), n) for n in range(100)))
        for socket in sockets:
            results: list[Any] = []
            while len(results) < 100:
                results += [message["result"] for message in records(await socket.receive_str())]
            assert results == [[n] for n in range(100)]
            await socket.close()
        await until(lambda: upstream.names.count("disconnected") == 10)

    for connection_id in {each for each, _ in upstream.events}:
        told = [name for each, name in upstream.events if each == connection_id]
        assert told == ["connected", *(f"m{n:03}" for n in range(100)), "disconnected"]


async def test_a_client_that_the_app_refuses_is_closed_with_a_reason(wire: Wire, upstream: Upstream) -> None:
    upstream.status = 403

    socket = await wire.websocket(ADA)

    assert records(await socket.receive_str()) == [{"type": 7, "error": "The app refused the connection."}]
    assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_an_app_that_hangs_is_given_up(upstream: Upstream) -> None:
    forever = asyncio.Event()

    async def hang(request: web.Request, body: bytes) -> web.Response:
        await forever.wait()
        return web.Response()

    upstream.answer = hang
    async with emulating(upstream=upstream.url, upstream_timeout=0.1) as wire:
        socket = await wire.websocket(ADA)
        assert (await result_of(socket))["error"] == "Invocation failed, response cancelled."
        await socket.close()
    forever.set()


async def test_an_app_that_is_not_there_refuses_everybody() -> None:
    """Nobody can be let in by an app that does not run; the log says why."""
    async with upstream_app() as gone:
        url = gone.url
    async with emulating(upstream=url) as wire:
        socket = await wire.websocket(ADA)
        (message,) = records(await socket.receive_str())
    assert message["error"] == "The app refused the connection."


async def test_no_proxy_of_the_environment_gets_to_see_the_calls(
    wire: Wire, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They hold the claims of users, and the app is on this machine as a rule."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    upstream.answer = echoing

    socket = await wire.websocket(ADA)

    assert (await result_of(socket))["result"] == []


async def test_a_cookie_of_one_answer_is_not_part_of_the_next_call(wire: Wire, upstream: Upstream) -> None:
    """It would make one user's session everybody's."""

    async def with_cookie(request: web.Request, body: bytes) -> web.Response:
        answer = echo(body)
        answer.set_cookie("session", "of ada")
        return answer

    upstream.answer = with_cookie
    wire.emulator.replace_upstream(upstream.url.replace("127.0.0.1", "localhost"))  # addresses have no cookies anyway
    socket = await wire.websocket(ADA)

    results = [(await result_of(socket))["result"] for _ in range(2)]

    assert results == [[], []]
    assert not [headers for headers in upstream.headers if "Cookie" in headers]


async def test_a_redirect_is_not_followed(wire: Wire, upstream: Upstream) -> None:
    """The attack: an answer that sends the signed request, claims and all, to another host."""

    async def redirect(request: web.Request, body: bytes) -> web.Response:
        return web.Response(status=307, headers={"Location": f"{upstream.url}/elsewhere"})

    upstream.answer = redirect
    socket = await wire.websocket(ADA)

    assert (await result_of(socket))["error"] == "Invocation failed, status code 307"
    assert upstream.names == ["connected", "say"]


async def test_cookies_are_not_kept(wire: Wire, upstream: Upstream) -> None:
    """They would carry one user's session into another user's call."""

    async def set_cookie(request: web.Request, body: bytes) -> web.Response:
        response = web.Response()
        response.set_cookie("session", "ada")
        return response

    upstream.answer = set_cookie
    socket = await wire.websocket(ADA)

    await result_of(socket)
    await result_of(socket)

    assert not [headers for headers in upstream.headers if "Cookie" in headers]


async def test_an_endless_answer_is_cut_off(wire: Wire, upstream: Upstream) -> None:
    """The attack: an answer without an end fills the memory of the service."""

    async def endless(request: web.Request, body: bytes) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b" " * 2**20)
        except ConnectionError:
            return response

    upstream.answer = endless
    socket = await wire.websocket(ADA)

    assert (await result_of(socket))["error"] == "Invocation failed, response too large."


async def test_a_compressed_answer_is_not_unpacked(wire: Wire, upstream: Upstream) -> None:
    """The attack: a small answer that unpacks to gigabytes."""

    async def bomb(request: web.Request, body: bytes) -> web.Response:
        return web.Response(body=b"\x1f\x8b" + b"x" * 100, headers={"Content-Encoding": "gzip"})

    upstream.answer = bomb
    socket = await wire.websocket(ADA)

    assert "no completion of this invocation" in (await result_of(socket))["error"]
    assert {headers["Accept-Encoding"] for headers in upstream.headers} == {"identity"}


async def test_an_answer_that_breaks_off_is_an_error(wire: Wire, upstream: Upstream) -> None:
    async def half(request: web.Request, body: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"type":3')
        assert request.transport is not None
        request.transport.close()
        return response

    upstream.answer = half
    socket = await wire.websocket(ADA)

    assert (await result_of(socket))["error"] == "Invocation failed, error: the answer broke off."


async def test_what_the_emulator_logs_holds_no_token(
    upstream: Upstream, caplog: pytest.LogCaptureFixture, wire: Wire
) -> None:
    caplog.set_level("DEBUG")

    async def fail(request: web.Request, body: bytes) -> web.Response:
        return web.Response(status=500)

    upstream.answer = fail
    socket = await wire.session.ws_connect(wire.url(f"/client/?hub=chat&access_token={ADA}"))
    await socket.send_str('{"protocol":"json","version":1}\x1e')
    await socket.receive_str()

    await result_of(socket)

    assert ADA in upstream.headers[1]["X-ASRS-Client-Query"]
    assert "did not accept" in caplog.text
    assert ADA not in caplog.text
    assert "sha256=" not in caplog.text


async def test_another_app_can_be_told_from_now_on(wire: Wire, upstream: Upstream) -> None:
    async with upstream_app() as other:
        upstream.answer = other.answer = echoing
        socket = await wire.websocket(ADA)
        await result_of(socket, "before")

        wire.emulator.replace_upstream(other.url)
        await result_of(socket, "after")

    assert upstream.names == ["connected", "before"]
    assert other.names == ["after"]


async def test_the_rules_of_a_file_hold_as_soon_as_they_are_written(
    upstream: Upstream, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A broken file changes nothing, and the log says what is wrong with it."""
    caplog.set_level("INFO")
    path = tmp_path / "settings.json"

    def write(template: str) -> None:
        path.write_text(json.dumps({"UpstreamSettings": {"Templates": [{"UrlTemplate": template}]}}))

    write(f"{upstream.url}/one/{{event}}")
    async with emulating(upstream_settings=str(path), tick=0.01) as wire:
        upstream.answer = echoing
        socket = await wire.websocket(ADA)
        service = wire.emulator.service

        path.write_text("{broken")
        await until(lambda: "the upstream rules stay as they were" in caplog.text)
        assert (await result_of(socket))["result"] == []
        before = service.upstream.rules
        write(f"{upstream.url}/three/{{event}}")
        await until(lambda: service.upstream.rules != before)
        assert (await result_of(socket))["result"] == []

    assert caplog.text.count("stay as they were") == 1
    assert f"{path}: not JSON" in caplog.text
    assert service.upstream.rules.url("chat", "messages", "x") == f"{upstream.url}/three/x"


async def test_a_file_that_is_gone_changes_nothing(upstream: Upstream, tmp_path: Path) -> None:
    """Editors replace a file in two steps."""
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"UpstreamSettings": {"Templates": [{"UrlTemplate": f"{upstream.url}/{{event}}"}]}}))
    async with emulating(upstream_settings=str(path), tick=0.001) as wire:
        path.unlink()
        upstream.answer = echoing
        socket = await wire.websocket(ADA)

        assert (await result_of(socket))["result"] == []


def test_a_file_that_cannot_be_read_any_more_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And not with each tick, once a second."""
    path = tmp_path / "settings.json"
    path.write_text('{"UpstreamSettings": {"Templates": []}}')
    file = UpstreamFile(str(path))
    file.load()
    path.unlink()
    path.mkdir()

    reloaded = [file.reload(), file.reload()]

    assert reloaded == [None, None]
    assert caplog.text.count("cannot be read: Is a directory") == 1


@pytest.mark.parametrize("text", [None, "{}"])
def test_an_emulator_does_not_start_with_a_file_that_cannot_be_used(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "settings.json"
    if text is not None:
        path.write_text(text)

    with pytest.raises(ConfigurationError, match=r"settings\.json: "):
        Emulator(EmulatorSettings(port=0, upstream_settings=str(path))).start()


async def test_keys_change_while_the_emulator_runs(wire: Wire, upstream: Upstream) -> None:
    """Connections live on; what is signed from now on, in both directions, is signed with the new keys."""
    upstream.answer = echoing
    socket = await wire.websocket(ADA)
    connection_id = wire.connection_id("ada")

    wire.emulator.replace_access_keys(OTHER_KEY, KEY)
    await result_of(socket)
    wire.emulator.replace_access_keys(OTHER_KEY)
    await result_of(socket)

    new, old = sign_connection(connection_id, OTHER_KEY), sign_connection(connection_id, KEY)
    assert [headers["X-ASRS-Signature"] for headers in upstream.headers] == [old, f"{new},{old}", new]
    with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
        await wire.websocket(ADA)
    renewed = token({"asrs.s.uid": "ada", "aud": "http://localhost/client/?hub=chat"}, OTHER_KEY)
    assert (await wire.websocket(renewed)).closed is False


async def test_useless_keys_replace_nothing(wire: Wire) -> None:
    with pytest.raises(ConfigurationError, match="access_keys"):
        wire.emulator.replace_access_keys()

    assert list(wire.emulator.service.access_keys) == [KEY]


async def test_calls_under_way_are_bounded(upstream: Upstream) -> None:
    """Thirty clients call at once; the app sees three of them at a time."""
    here, most = 0, 0

    async def count(request: web.Request, body: bytes) -> web.Response:
        nonlocal here, most
        here += 1
        most = max(most, here)
        await asyncio.sleep(0)
        here -= 1
        return echo(body)

    upstream.answer = count
    async with emulating(upstream=upstream.url, upstream_calls=3) as wire:
        sockets = [await wire.websocket(client_token(f"u{n}")) for n in range(30)]
        for socket in sockets:
            await socket.send_str(call("say", "7"))
        for socket in sockets:
            await socket.receive_str()

    assert 1 <= most <= 3


async def test_an_emulator_that_stops_says_that_its_clients_are_gone(upstream: Upstream) -> None:
    async with emulating(upstream=upstream.url) as wire:
        await wire.websocket(ADA)

    assert upstream.names == ["connected", "disconnected"]


async def test_a_user_id_with_control_characters_is_refused(wire: Wire) -> None:
    """The attack: the user `ada` followed by a line break would be told to the app as another user, or header."""
    with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
        await wire.websocket(client_token("ada\r\nX-ASRS-User-Id: root"))
