"""Access keys are rotated as docs/how-to/rotate-keys.md says, while clients come, call and stay."""

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import urllib3

from flask_signalr import Invocation, SignalRError
from flask_signalr.app_state import AppState
from flask_signalr.emulator.server import RunningEmulator
from flask_signalr.rest.hub_clients import HubClients
from tests.client_process import Client, ClientProcess
from tests.live import LONGEST_WAIT
from tests.serverless import ServerlessSite, serverless_site
from tests.signing import is_signed

TRANSPORTS = ["WebSockets", "ServerSentEvents", "LongPolling"]


def _is_listened_to(emulator: RunningEmulator) -> bool:
    return all(connection.is_listened_to for connection in emulator.service.connections)


class Rotation:
    """A service with two keys, as the portal shows them, and an app that is told of them step by step."""

    def __init__(self, site: ServerlessSite) -> None:
        self.site = site
        self._service = site.emulator.connection_string.partition(";AccessKey=")[0]
        self.keys = {"primary": new_key(), "secondary": new_key()}
        self._replace()
        self.configure("primary", "secondary")

    def regenerate(self, name: str) -> None:
        """Do what the button of the portal does."""
        self.keys[name] = new_key()
        self._replace()

    def configure(self, signing: str, other: str) -> None:
        """Sign with one key, and verify with both."""
        self.site.app.config["SIGNALR_CONNECTION_STRING"] = self._connection_string(signing)
        self.site.app.config["SIGNALR_SECONDARY_KEYS"] = self._connection_string(other)
        self.site.signalr.reload(self.site.app)

    def negotiate(self) -> dict[str, Any]:
        """Return what the app answers a caller."""
        headers = {"Authorization": f"Bearer {self.site.token('visitor')}"}
        answer = post(self.site.hub("/negotiate?negotiateVersion=1"), headers)
        assert answer.status == 200
        return dict(answer.json())

    def is_signed_with(self, name: str) -> bool:
        """Return whether the app signs with this key now."""
        return is_signed(self.negotiate()["accessToken"], self.keys[name])

    @property
    def everybody(self) -> HubClients:
        """The clients, as the app reaches them now."""
        state: AppState = self.site.app.extensions["signalr"]
        return state.service.hub("chat")

    def client(self, node: ClientProcess, transport: str, **options: Any) -> Client:
        token = self.site.token(transport.lower())
        return node.client(self.site.hub(), token=token, transport=transport, **options)

    def wait_until_listened_to(self) -> None:
        """Wait until every client listens: a poll that comes after the key is gone would end its connection."""
        end = time.monotonic() + LONGEST_WAIT
        while not self.site.emulator.call(_is_listened_to):
            assert time.monotonic() < end, "a client does not listen"
            time.sleep(0.01)

    def _connection_string(self, name: str) -> str:
        return f"{self._service};AccessKey={self.keys[name]};Version=1.0;"

    def _replace(self) -> None:
        self.site.emulator.replace_access_keys(*self.keys.values())


class Visitors:
    """Two threads which negotiate, open the service and have a message sent, over and over; a context manager.

    Attributes:
        refusals: What went wrong.
    """

    def __init__(self, rotation: Rotation) -> None:
        self._rotation = rotation
        self._is_over = threading.Event()
        self._changed = threading.Condition()
        self._rounds = [0, 0]
        self._threads = [threading.Thread(target=self._visit, args=[number]) for number in range(2)]
        self.refusals: list[object] = []

    def __enter__(self) -> "Visitors":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def pass_by(self) -> None:
        """Wait until nobody has a token any more that was made before; in production that takes a token's lifetime."""
        with self._changed:
            wanted = [rounds + 2 for rounds in self._rounds]
            assert self._changed.wait_for(
                lambda: all(have >= want for have, want in zip(self._rounds, wanted, strict=True)), LONGEST_WAIT
            )

    def _visit(self, number: int) -> None:
        while not self._is_over.is_set():
            try:
                answer = self._rotation.negotiate()
                url = answer["url"].replace("/client/?", "/client/negotiate?")
                opened = post(url, {"Authorization": f"Bearer {answer['accessToken']}"})
                if opened.status != 200:
                    self.refusals.append((opened.status, opened.data))
                self._rotation.everybody.user("nobody").send("news")
            except (AssertionError, SignalRError) as exc:
                self.refusals.append(exc)
            with self._changed:
                self._rounds[number] += 1
                self._changed.notify_all()


def new_key() -> str:
    return secrets.token_urlsafe(32)


def post(url: str, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
    return urllib3.request("POST", url, headers=headers, timeout=LONGEST_WAIT, retries=False)


@contextmanager
def rotating() -> Iterator[Rotation]:
    with serverless_site() as site:
        yield Rotation(site)


def test_both_keys_are_renewed_and_no_client_is_refused(node: ClientProcess) -> None:
    """Clients come all the time, one over WebSockets stays throughout, the others from the change-over on."""
    with rotating() as rotation, Visitors(rotation) as visitors, ExitStack() as connected:
        clients = [connected.enter_context(rotation.client(node, "WebSockets"))]
        answers: list[dict[str, Any]] = []

        def everybody_calls() -> None:
            answers.extend(client.invoke("double", 1) for client in clients)

        everybody_calls()
        signing = [rotation.is_signed_with("primary")]

        rotation.regenerate("secondary")
        everybody_calls()
        clients[0].begin_each("double", [[1]] * 200)
        rotation.configure("secondary", "primary")
        signing.append(rotation.is_signed_with("secondary"))
        in_flight = clients[0].answer()["outcomes"]
        clients += [connected.enter_context(rotation.client(node, transport)) for transport in TRANSPORTS]
        everybody_calls()
        visitors.pass_by()

        rotation.regenerate("primary")
        everybody_calls()
        clients[0].begin_each("double", [[1]] * 200)
        rotation.configure("secondary", "primary")
        signing.append(rotation.is_signed_with("secondary"))
        in_flight += clients[0].answer()["outcomes"]
        everybody_calls()
        visitors.pass_by()

    assert visitors.refusals == []
    assert answers == [{"result": 2}] * 14
    assert in_flight == [{"result": 2}] * 400
    assert signing == [True, True, True]


def test_a_call_that_began_before_a_reload_is_answered_after_it(node: ClientProcess) -> None:
    """It sends with the key that it began with, which is good until no worker signs with it any more."""
    began, may_end = threading.Event(), threading.Event()
    with rotating() as rotation:
        slow = rotation.site.signalr.hub("slow", allow_anonymous=True)

        @slow.method("wait")
        def wait(invocation: Invocation) -> str:
            began.set()
            assert may_end.wait(LONGEST_WAIT)
            slow.clients.client(invocation.connection_id).send("news", "on the way")
            return "done"

        with node.client(f"{rotation.site.url}/slow", transport="WebSockets") as ada:
            ada.begin_each("wait", [[]])
            assert began.wait(LONGEST_WAIT)
            rotation.regenerate("secondary")
            rotation.configure("secondary", "primary")
            may_end.set()
            heard = ada.message()
            answer = ada.answer()

    assert heard == ("news", "on the way")
    assert answer["outcomes"] == [{"result": "done"}]


def test_a_key_that_was_regenerated_too_early_costs_no_call_of_who_is_connected(node: ClientProcess) -> None:
    """The app knows the service by its other key. What the app signs is refused until it signs with that one."""
    with rotating() as rotation, rotation.client(node, "WebSockets") as ada:
        rotation.regenerate("primary")
        call = ada.invoke("double", 1)
        with pytest.raises(SignalRError, match="AccessKey"):
            rotation.everybody.all.send("news")
        rotation.configure("secondary", "primary")
        rotation.everybody.all.send("news", "again")
        heard = ada.message()

    assert call == {"result": 2}
    assert heard == ("news", "again")


@pytest.mark.parametrize("transport", ["ServerSentEvents", "LongPolling"])
def test_who_has_a_token_of_the_old_key_comes_back_with_a_new_one(node: ClientProcess, transport: str) -> None:
    """These transports bring their token with every request; the end of their connection makes them negotiate."""
    with rotating() as rotation, rotation.client(node, transport, reconnect=True) as ada:
        former = ada.id
        rotation.configure("secondary", "primary")
        rotation.wait_until_listened_to()
        rotation.regenerate("primary")
        refused = ada.invoke("double", 1)
        rotation.everybody.all.close("new keys")
        ada.wait_for("reconnecting")
        ada.expect("reconnected")
        call = ada.invoke("double", 1)

    assert "401" in refused["error"]
    assert ada.id != former
    assert call == {"result": 2}
