"""Running the emulator: where it cannot listen, how it ends, and what it needs."""

import asyncio
import logging
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from flask_signalr import emulator as package
from flask_signalr.emulator import Emulator, EmulatorSettings, running
from flask_signalr.errors import EmulatorUnavailable
from tests.emulated import HANDSHAKE, KEY, NOW, Clock, Wire, client_token, health, until

SETTINGS = EmulatorSettings(port=0, access_keys=(KEY,))


def test_a_port_in_use_is_one_sentence_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(
            EmulatorUnavailable, match=f"port {port} of 127.0.0.1: another program listens there"
        ) as caught:
            Emulator(EmulatorSettings(port=port)).start()

    assert "choose another port" in str(caught.value)


def test_localhost_is_refused_when_another_program_has_half_of_it() -> None:
    """A browser may try the IPv6 address first, and would talk to the other program."""
    try:
        other = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with other, pytest.raises(EmulatorUnavailable, match="of ::1: another program"):
        Emulator(EmulatorSettings(port=other.getsockname()[1])).start()


def test_localhost_is_both_of_its_addresses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with Emulator(EmulatorSettings(port=port)) as emulator:
        assert health(emulator.url) == health(f"http://127.0.0.1:{port}") == 200


def test_an_address_of_another_machine_is_refused_with_the_reason() -> None:
    with pytest.raises(EmulatorUnavailable, match=r"port 0 of 203\.0\.113\.1: Cannot assign requested address"):
        Emulator(EmulatorSettings(host="203.0.113.1", port=0)).start()


async def test_stopping_asks_every_client_to_come_back() -> None:
    """At once, and not when the streams and polls that are open run into a time-out."""
    clock = Clock()
    settings = replace(SETTINGS, poll_timeout=3600, close_within=3600)
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):
        async with running(settings, clock=clock) as emulator:
            wire = Wire(emulator, session, clock)
            ada, bob, eve = (client_token(user) for user in ("ada", "bob", "eve"))
            websocket = await wire.websocket(ada)
            stream_path, poll_path = await wire.open_id(bob), await wire.open_id(eve)
            headers = {"Accept": "text/event-stream"}
            stream = await wire.request("GET", f"{stream_path}&access_token={bob}", headers=headers)
            await wire.status("POST", stream_path, bob, data=HANDSHAKE)
            await wire.status("GET", poll_path, eve)
            await wire.status("POST", poll_path, eve, data=HANDSHAKE)
            await wire.status("GET", poll_path, eve)
            answers = asyncio.gather(websocket.receive_str(), stream.text(), wire.status("GET", poll_path, eve))
            await until(lambda: all(each.is_listened_to for each in emulator.service.connections))

        in_frame, in_stream, in_poll = await answers

    goodbye = '{"type":7,"allowReconnect":true}\x1e'
    assert in_frame == goodbye
    assert in_stream.endswith(f"data: {goodbye}\r\n\r\n")
    assert in_poll == (200, goodbye)


async def test_a_connection_is_closed_when_its_sign_in_ends_by_the_clock_of_the_tokens() -> None:
    """And the client may come again; one whose token does not ask for it stays."""
    clock = Clock()
    async with (
        aiohttp.ClientSession() as session,
        asyncio.timeout(60),
        running(replace(SETTINGS, tick=0.001), clock=clock) as emulator,
    ):
        wire = Wire(emulator, session, clock)
        end = {"asrs.s.aeo": str(NOW + 10)}
        closing = await wire.websocket(client_token("ada", **end, **{"asrs.s.coae": "true"}))
        staying = await wire.websocket(client_token("bob", **end))
        clock.now = NOW + 9
        await wire.send("hubs/chat", "before")
        before = await closing.receive_str()

        clock.now = NOW + 10
        goodbye = await closing.receive_str()
        await wire.send("hubs/chat", "after")
        heard = [await staying.receive_str(), await staying.receive_str()]

    assert '"before"' in before
    assert goodbye == '{"type":7,"error":"The sign-in has expired.","allowReconnect":true}\x1e'
    assert ['"before"' in heard[0], '"after"' in heard[1]] == [True, True]


async def test_an_error_of_its_own_is_not_hidden(caplog: pytest.LogCaptureFixture) -> None:
    """The filter that keeps requests out of the log keeps nothing else out."""
    logger = logging.getLogger("flask_signalr.emulator.http")

    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        logger.exception("failed")

    assert "ZeroDivisionError" in caplog.text


def test_the_state_machine_needs_no_extra() -> None:
    """Tests of an app run without a network, and without what a network needs."""
    output = without_aiohttp("import flask_signalr.testing, flask_signalr.emulator")

    assert output == ""


def test_a_missing_extra_is_named() -> None:
    output = without_aiohttp("from flask_signalr.emulator import Emulator")

    assert "MissingExtra" in output
    assert "pip install 'flask-signalr[emulator]'" in output


def without_aiohttp(program: str) -> str:
    """Run a program where aiohttp is not installed, and return what it writes to its standard error."""
    lines = f"import sys; sys.modules['aiohttp'] = None\n{program}"
    command = [sys.executable, "-c", lines]
    done = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=False)
    return done.stderr


def test_what_does_not_exist_is_not_taken_for_a_missing_extra() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing
