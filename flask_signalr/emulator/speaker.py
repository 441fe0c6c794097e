"""What the service says to clients that are connected: messages, calls that owe a result, and items of streams."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask_signalr.emulator.client_calls import OnResult
from flask_signalr.emulator.connections import Connection, Phase
from flask_signalr.errors import ProtocolError
from flask_signalr.messages import CompletionMessage, HubMessage, InvocationMessage, StreamItemMessage
from flask_signalr.protocol import HubProtocol


class Speaker:
    """Speaks to each client in the client's own protocol.

    Args:
        protocols: What clients may speak, by name; every message is encoded for all of them.
    """

    def __init__(self, protocols: Mapping[str, HubProtocol]) -> None:
        self._protocols = protocols

    def send(self, connections: Iterable[Connection], message: HubMessage, now: float) -> None:
        """Send a message to these connections, or to nobody if one of the protocols cannot carry it.

        Raises:
            ProtocolError: The message cannot be encoded.
        """
        self.deliver(connections, self.encoded(message), now)

    def deliver(self, connections: Iterable[Connection], encoded: Mapping[str, bytes], now: float) -> None:
        """Send encoded messages, given by the name of their protocol, to these connections."""
        for connection in connections:
            if connection.protocol is not None:
                connection.queue(encoded[connection.protocol.name], now)

    def invoke(
        self, connection: Connection, target: str, arguments: Sequence[Any], now: float, on_result: OnResult
    ) -> str:
        """Call a method of one client that owes a result, and return the invocation id.

        Args:
            connection: The client.
            target: The method.
            arguments: Its arguments.
            now: The time.
            on_result: Called once with the completion that the client sends, or with ``None`` when the connection ends
                without one: at once if it is not connected. After `forget_result`, never.

        Raises:
            ProtocolError: The call cannot be encoded, or too many wait for results of this client.
        """
        invocation_id = connection.calls.add(on_result)
        if connection.phase is not Phase.CONNECTED:
            connection.calls.abandon()
            return invocation_id
        message = InvocationMessage(invocation_id=invocation_id, target=target, arguments=tuple(arguments))
        try:
            self.send([connection], message, now)
        except ProtocolError:
            self.forget_result(connection, invocation_id)
            raise
        return invocation_id

    def forget_result(self, connection: Connection, invocation_id: str) -> None:
        """Wait no longer for the result of a call; a completion that comes later is ignored."""
        connection.calls.forget(invocation_id)

    def send_item(self, connection: Connection, stream_id: str, item: Any, now: float) -> bool:
        """Send an item of a stream that the client asked for; ``False`` if there is no such stream, or it has ended.

        Raises:
            ProtocolError: The item cannot be encoded.
        """
        if stream_id not in connection.streams:
            return False
        self.send([connection], StreamItemMessage(invocation_id=stream_id, item=item), now)
        return True

    def end_stream(self, connection: Connection, stream_id: str, error: str | None, now: float) -> bool:
        """End a stream that the client asked for; ``False`` if there is no such stream, or it has ended.

        Raises:
            ProtocolError: The error cannot be encoded.
        """
        if stream_id not in connection.streams:
            return False
        self.send([connection], CompletionMessage(invocation_id=stream_id, error=error), now)
        return connection.streams.end(stream_id)

    def encoded(self, message: HubMessage) -> dict[str, bytes]:
        """Return a message in every protocol, by name.

        Raises:
            ProtocolError: One of them cannot carry it.
        """
        return {name: protocol.encode(message) for name, protocol in self._protocols.items()}
