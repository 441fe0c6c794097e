"""An app whose hub has methods, and the emulator that calls them, over real sockets."""

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
from flask import Flask, send_file

from flask_signalr import (
    BearerAuth,
    Hub,
    HubException,
    Invocation,
    Policy,
    SignalR,
    only,
    require_role,
)
from flask_signalr.emulator import Emulator
from tests.live import AUDIENCE, LONGEST_WAIT, live_emulator, serving

NODE_MODULES = Path(__file__).parent / "node_modules"
SCRIPTS = {
    "signalr.js": "@microsoft/signalr/dist/browser/signalr.min.js",
    "messagepack.js": "@microsoft/signalr-protocol-msgpack/dist/browser/signalr-protocol-msgpack.min.js",
}
PAGE = '<!doctype html><link rel="icon" href="data:,">' + "".join(
    f'<script src="/{name}"></script>' for name in SCRIPTS
)

WAYS = [
    ("WebSockets", "json"),
    ("WebSockets", "messagepack"),
    ("ServerSentEvents", "json"),  # a stream of text: it cannot carry MessagePack
    ("LongPolling", "json"),
    ("LongPolling", "messagepack"),
]
"""Every transport with every hub protocol that it carries."""

_VALUE: dict[str, Any] = {"text": "Ä\u2028\x1e🎉", "many": [1, 2.5, None, True, {"": []}]}
CALLS: list[tuple[list[Any], dict[str, Any]]] = [
    (["shout", "hé"], {"result": "HÉ"}),
    (["SHOUT", "any case"], {"result": "ANY CASE"}),
    (["note", 0], {}),
    (["echo", _VALUE], {"result": _VALUE}),
    (
        ["order", "soup"],
        {"error": "An unexpected error occurred invoking 'order' on the server. HubException: there is no soup left"},
    ),
    (["ban", "bob"], {"error": "Failed to invoke 'ban' because user is unauthorized"}),
    (["nothing like it"], {"error": "Unknown hub method 'nothing like it'"}),
]
"""Calls by somebody without a role, and what each is answered with."""

ODD_NAME = 'Ädé, "the first": x, role: admin, 100 %2C,\r\n\tx-evil: 日本 🎉 '
"""What a display name may hold, and a header cannot; it forges a role."""

Heard = tuple[Any, ...]
"""What a handler wrote down: the connection id, what happened, and more."""


class Journal:
    """What the handlers of an app wrote down, in the order in which they ran."""

    def __init__(self) -> None:
        self._entries: list[Heard] = []
        self._changed = threading.Condition()

    def write(self, connection_id: str, *facts: Any) -> None:
        with self._changed:
            self._entries.append((connection_id, *facts))
            self._changed.notify_all()

    def of(self, connection_id: str) -> list[Heard]:
        """Return what was written of a connection so far, without its id."""
        with self._changed:
            return [tuple(facts) for found, *facts in self._entries if found == connection_id]

    @property
    def connections(self) -> list[str]:
        """The connections of which something was written."""
        with self._changed:
            return list(dict.fromkeys(entry[0] for entry in self._entries))

    def wait_for(self, connection_id: str, kind: str) -> list[Heard]:
        """Wait until this happened to a connection, and return all that was written of it."""

        def happened() -> bool:
            return any(entry[:2] == (connection_id, kind) for entry in self._entries)

        with self._changed:
            assert self._changed.wait_for(happened, LONGEST_WAIT), f"{kind} did not come within {LONGEST_WAIT} s"
        return self.of(connection_id)


def create_app(connection_string: str, bearer_key: str, journal: Journal) -> tuple[Flask, SignalR]:
    """Return an app with the hub ``chat``, and a page that has the official client."""
    app = Flask(__name__)
    app.config["SIGNALR_CONNECTION_STRING"] = connection_string
    signalr = SignalR(app)
    hub = signalr.hub(
        "chat", auth=[BearerAuth(bearer_key, audience=AUDIENCE)], claims_filter=only("role", "display_name", "tag")
    )
    _register_events(hub, journal)
    _register_methods(hub, journal)
    _register_messages(hub)

    @app.get("/")
    def page() -> str:
        return PAGE

    @app.get("/<script>")
    def script(script: str) -> Any:
        return send_file(NODE_MODULES / SCRIPTS[script])

    return app, signalr


def _register_events(hub: Hub, journal: Journal) -> None:
    @hub.on_connected
    def connected(invocation: Invocation) -> None:
        journal.write(invocation.connection_id, "connected", invocation.user_id)
        if "banned" in invocation.claims.all("role"):
            raise HubException("you may not come in")

    @hub.on_disconnected
    def disconnected(invocation: Invocation, error: str | None) -> None:
        journal.write(invocation.connection_id, "disconnected", invocation.user_id)


def _register_methods(hub: Hub, journal: Journal) -> None:
    @hub.method("shout")
    def shout(invocation: Invocation, text: str) -> str:
        return text.upper()

    @hub.method("note")
    async def note(invocation: Invocation, number: int) -> None:
        journal.write(invocation.connection_id, "note", number)

    @hub.method("double")
    def double(invocation: Invocation, number: int) -> int:
        journal.write(invocation.connection_id, "double", number)
        return number * 2

    @hub.method("echo")
    def echo(invocation: Invocation, value: Any) -> Any:
        return value

    @hub.method("tomorrow")
    def tomorrow(invocation: Invocation, day: datetime, data: bytes) -> tuple[datetime, bytes]:
        return day + timedelta(days=1), data[::-1]

    @hub.method("order")
    def order(invocation: Invocation, dish: str) -> str:
        raise HubException(f"there is no {dish} left")

    @hub.method("crash")
    def crash(invocation: Invocation) -> None:
        raise RuntimeError("the password is swordfish")

    @hub.method("ban", policy=Policy(require_role("admin")))
    def ban(invocation: Invocation, user_id: str) -> str:
        journal.write(invocation.connection_id, "ban", user_id)
        return f"banned {user_id}"

    @hub.method("whoami")
    def whoami(invocation: Invocation) -> dict[str, Any]:
        claims = [list(pair) for pair in invocation.claims.pairs]
        return {"user": invocation.user_id, "claims": claims, "query": invocation.query.to_dict(flat=False)}


def _register_messages(hub: Hub) -> None:
    @hub.method("join")
    def join(invocation: Invocation, group: str) -> None:
        hub.clients.group(group).add(invocation.connection_id)

    @hub.method("leave")
    def leave(invocation: Invocation, group: str) -> None:
        hub.clients.group(group).remove(invocation.connection_id)

    @hub.method("tellGroup")
    def tell_group(invocation: Invocation, group: str, text: str) -> None:
        hub.clients.group(group).send("news", text)

    @hub.method("whisper")
    def whisper(invocation: Invocation, user_id: str, text: str) -> None:
        hub.clients.user(user_id).send("news", invocation.user_id, text)

    @hub.method("tellOthers")
    def tell_others(invocation: Invocation, text: str) -> None:
        hub.clients.others(invocation).send("news", text)

    @hub.method("ask")
    def ask(invocation: Invocation, connection_id: str, question: str) -> str:
        """Ask a client, which may be the one that called and that waits for this answer."""
        return f"it says {hub.clients.client(connection_id).invoke('answer', question, result_type=str)}"

    @hub.method("count", stream=True)
    def count(invocation: Invocation, numbers: int) -> None:
        stream = hub.clients.client(invocation.connection_id).stream(invocation.invocation_id)
        for number in range(numbers):
            stream.send(number)
        stream.complete("that is too many" if numbers > 3 else None)


@dataclass(frozen=True)
class ServerlessSite:
    """An app that runs, and the emulator that tells it what clients do.

    Attributes:
        url: Its base URL, without a slash at the end.
        app: The app.
        signalr: What is mounted in it.
        emulator: The service beside it.
        journal: What its handlers wrote down.
        bearer_key: What its visitors' tokens are signed with.
    """

    url: str
    app: Flask
    signalr: SignalR
    emulator: Emulator = field(repr=False)
    journal: Journal
    bearer_key: str = field(repr=False)

    def hub(self, query: str = "") -> str:
        """Return the URL that a client is given."""
        return f"{self.url}/chat{query}"

    def token(self, user_id: str, **claims: Any) -> str:
        """Return the bearer token of a user."""
        complete = {"sub": user_id, "aud": AUDIENCE, "exp": int(time.time()) + 600, **claims}
        return jwt.encode(complete, self.bearer_key)


@contextmanager
def serverless_site() -> Iterator[ServerlessSite]:
    """Run the app on werkzeug's server in threads, and an emulator that posts to it.

    The emulator ends first: what it still has to tell, it tells before.
    """
    journal, bearer_key = Journal(), secrets.token_urlsafe(32)
    with live_emulator() as emulator:
        app, signalr = create_app(emulator.connection_string, bearer_key, journal)
        with serving(app) as url:
            emulator.replace_upstream(url)
            try:
                yield ServerlessSite(url, app, signalr, emulator, journal, bearer_key)
            finally:
                emulator.stop()
