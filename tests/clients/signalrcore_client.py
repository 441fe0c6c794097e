"""Connections of signalrcore: commands come on standard input, events go out, a JSON line each."""

import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from signalrcore.hub_connection_builder import HubConnectionBuilder
from signalrcore.protocol.json_hub_protocol import JsonHubProtocol
from signalrcore.protocol.messagepack_protocol import MessagePackHubProtocol

TARGETS = ("news", "fence")
PROTOCOLS = {"json": JsonHubProtocol, "messagepack": MessagePackHubProtocol}
RETRY_DELAYS = [0.05] * 100  # seconds

connections: dict[str, Any] = {}
speaking = threading.Lock()


def tell(connection: str, event: str, **facts: Any) -> None:
    with speaking:  # each connection has threads of its own
        print(json.dumps({"connection": connection, "event": event, **facts}), flush=True)


def start(name: str, url: str, headers: dict[str, str], protocol: str = "json") -> None:
    """Connect once, and again whenever the connection is lost."""
    connection = (
        HubConnectionBuilder()
        .with_url(url, options={"headers": headers})
        .with_hub_protocol(PROTOCOLS[protocol]())
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


def invoke(name: str, method: str, arguments: list[Any]) -> None:
    """Call a hub method; an error comes to `on_error`, which is one for all calls."""

    def answered(completion: Any) -> None:
        tell(name, "answered", **({} if completion.result is None else {"result": completion.result}))

    connections[name].send(method, arguments, answered)


def send(name: str, method: str, arguments: list[Any]) -> None:
    connections[name].send(method, arguments)
    tell(name, "sent")


def stop(name: str) -> None:
    """Stop, which returns when the service has spoken once more."""
    connections[name].stop()
    tell(name, "stopped")


COMMANDS: dict[str, Callable[..., None]] = {"start": start, "invoke": invoke, "send": send, "stop": stop}

for line in sys.stdin:
    command = json.loads(line)
    function = COMMANDS[command.pop("do")]
    threading.Thread(target=function, args=[command.pop("connection")], kwargs=command, daemon=True).start()
os._exit(0)  # whatever the client still waits for
