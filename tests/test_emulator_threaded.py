"""Running the emulator in a thread of its own."""

import json
import urllib.error
import urllib.request
from dataclasses import replace

import pytest

from flask_signalr.emulator import Emulator, EmulatorSettings
from flask_signalr.endpoints import ServiceEndpoint
from flask_signalr.errors import ConfigurationError, EmulatorUnavailable
from tests.emulated import KEY, NOW, bearer, client_token, health

SETTINGS = EmulatorSettings(port=0, access_keys=(KEY,))


def negotiate(url: str) -> str:
    """Negotiate, and return the connection id."""
    request = urllib.request.Request(
        f"{url}/client/negotiate?hub=chat", method="POST", headers=bearer(client_token("ada"))
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return str(json.load(response)["connectionId"])


def test_an_emulator_in_a_thread_answers_until_it_is_stopped() -> None:
    emulator = Emulator(SETTINGS).start()
    try:
        assert health(emulator.url) == 200
        assert emulator.port != 0
        assert ServiceEndpoint.parse(emulator.connection_string).url == f"http://localhost:{emulator.port}/"
        assert emulator.settings.port == emulator.port
    finally:
        emulator.stop()

    emulator.stop()
    with pytest.raises(urllib.error.URLError):
        health(emulator.url)


def test_an_emulator_in_a_thread_can_be_asked_and_told_from_outside() -> None:
    with Emulator(SETTINGS, clock=lambda: NOW) as emulator:
        connection_id = negotiate(emulator.url)
        connected = emulator.call(lambda running_here: [each.id for each in running_here.service.connections])

        assert connected == [connection_id]
        assert emulator.drop("other") == 0
        assert emulator.drop("chat", user_id="bob") == 0
        assert emulator.drop("Chat", user_id="ada") == 1  # a hub's name in any case, as clients may write it
        assert emulator.drop() == 0


def test_an_emulator_that_does_not_run_says_so() -> None:
    emulator = Emulator(SETTINGS)

    with pytest.raises(EmulatorUnavailable, match="call start"):
        _ = emulator.url


def test_an_emulator_that_runs_no_more_says_so() -> None:
    emulator = Emulator(SETTINGS).start()
    emulator.stop()

    with pytest.raises(EmulatorUnavailable, match="does not run any more"):
        emulator.drop()


def test_whatever_keeps_an_emulator_from_starting_is_told_at_once() -> None:
    """The thread alone knows; who starts it would wait for nothing, and learn of a time-out."""
    with pytest.raises(ValueError, match="null"):
        Emulator(replace(SETTINGS, upstream_settings="\0")).start()


def test_the_app_that_is_told_can_be_named_when_its_address_is_known() -> None:
    """The app needs the emulator's address to start, and the emulator the app's to call it."""
    with Emulator(SETTINGS) as emulator:
        emulator.replace_upstream("http://localhost:5000")

        with pytest.raises(ConfigurationError, match="absolute"):
            emulator.replace_upstream("localhost:5000")

        rules = emulator.call(lambda running_here: running_here.service.upstream.rules)
    assert rules.url("chat", "messages", "say") == "http://localhost:5000/chat/upstream/messages/say"
