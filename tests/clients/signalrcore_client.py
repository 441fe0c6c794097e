"""Connections of signalrcore: commands come on standard input, events go out, a JSON line each."""

import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from signalrcore.hub_connection_builder import HubConnectionBuilder
from signalrcore.protocol.json_hub_protocol import JsonHubProtocol

TARGETS = ("news", "fence")
RETRY_DELAYS = [0.05] * 100  # seconds

connections: dict[str, Any] = {}
speaking = threading.Lock()


def tell(connection: str, event: str, **facts: Any) -> None:
    with speaking:  # each connection has threads of its own
        print(json.dumps({"connection": connection, "event": event, **facts}), flush=True)


def start(name: str, url: str, headers: dict[str, str]) -> None:
    """Connect once, and again whenever the connection is lost."""
    connection = (
        HubConnectionBuilder()
        .with_url(url, options={"headers": headers})
        .with_hub_protocol(JsonHubProtocol())
        .with_automatic_reconnect({"type": "interval", "intervals": RETRY_DELAYS})
        .build()
    )
    connections[name] = connection
    connection.on_open(lambda: tell(name, "started", id=""))
    connection.on_error(lambda completion: tell(name, "answered", error=completion.error))
    connection.on_reconnect(lambda: tell(name, "reconnected", id=""))
    for target in TARGETS:
        connection.on(
            target, lambda arguments, target=target: tell(name, "message", target=target, arguments=arguments)
        )
    try:
        connection.start()
    except Exception as error:  # noqa: BLE001 -- all that the client raises is told
        tell(name, "failed", kind=type(error).__name__, error=str(error))


def call(name: str) -> None:
    connections[name].send("shout", [{"text": "hello"}], lambda _: tell(name, "answered", error=None))


def stop(name: str) -> None:
    """Stop, which returns when the service has spoken once more."""
    connections[name].stop()
    tell(name, "stopped")


COMMANDS: dict[str, Callable[..., None]] = {"start": start, "call": call, "stop": stop}

for line in sys.stdin:
    command = json.loads(line)
    name = command["connection"]
    arguments = (name, command["url"], command["headers"]) if command["do"] == "start" else (name,)
    threading.Thread(target=COMMANDS[command["do"]], args=arguments, daemon=True).start()
os._exit(0)  # whatever the client still waits for
