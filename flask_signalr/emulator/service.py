"""The service as a state machine: what clients and REST calls do to it, and what it says to the clients.

Nothing here reads a clock or a socket. Bytes come in as arguments, and so does the time; what goes out waits in each
connection until its transport takes it. All calls must come from one thread.
"""

import logging
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask_signalr.emulator.client_calls import OnResult
from flask_signalr.emulator.connections import ClientTransport, Connection, Phase
from flask_signalr.emulator.membership import Membership
from flask_signalr.emulator.settings import EmulatorSettings
from flask_signalr.emulator.tokens import ClientIdentity
from flask_signalr.errors import ProtocolError
from flask_signalr.messages import (
    CancelInvocationMessage,
    CloseMessage,
    CompletionMessage,
    HandshakeRequest,
    HandshakeResponse,
    HubMessage,
    InvocationMessage,
    PingMessage,
    StreamInvocationMessage,
    StreamItemMessage,
)
from flask_signalr.protocol import (
    HUB_PROTOCOLS,
    HubProtocol,
    encode_handshake,
    parse_handshake_request,
    split_handshake,
)

logger = logging.getLogger("flask_signalr.emulator")


class Service:
    """One service with its hubs; they know nothing of each other.

    Args:
        settings: The times and bounds that it keeps.
        protocols: What clients may speak, by name; every message is encoded for all of them.
    """

    def __init__(self, settings: EmulatorSettings, protocols: Mapping[str, HubProtocol] = HUB_PROTOCOLS) -> None:
        self._settings = settings
        self._protocols = protocols
        self._connections: dict[str, Connection] = {}
        self._hubs: dict[str, Membership] = {}

    # What clients do

    def negotiate(self, hub: str, client: ClientIdentity, now: float, version: int = 1) -> Connection:
        """Return a new connection, which must be opened soon.

        Args:
            hub: The hub, with its application's name, in lower case.
            client: Whom the token names.
            now: The time.
            version: The version of the negotiation; in version 0 the connection id is the token too.
        """
        connection_id = secrets.token_urlsafe(16)
        connection = Connection(
            hub=hub,
            client=client,
            id=connection_id,
            token=connection_id if version == 0 else secrets.token_urlsafe(16),
            outbox_limit=self._settings.outbox_limit,
            since=now,
        )
        self._connections[connection.token] = connection
        return connection

    def find(self, hub: str, client: ClientIdentity, token: str) -> Connection | None:
        """Return the connection of a connection token, if it belongs to this hub and this user."""
        connection = self._connections.get(token)
        if connection is None or connection.hub != hub or connection.client.user_id != client.user_id:
            return None
        return connection

    def open(self, connection: Connection, transport: ClientTransport, now: float) -> None:
        """Let a transport carry a connection that was negotiated; the client's handshake comes next."""
        connection.transport = transport
        connection.heard_at = now
        connection.enter(Phase.OPENED, now)

    def receive(self, connection: Connection, data: bytes, now: float) -> None:
        """Do what a client's bytes ask for; bytes that break the protocol close the connection."""
        connection.heard_at = now
        try:
            if connection.phase is Phase.OPENED:
                data = self._shake_hands(connection, data, now)
            for message in connection.read(data):
                if connection.phase is not Phase.CONNECTED:
                    return
                self._handle(connection, message, now)
        except ProtocolError as exc:
            self.close([connection], now, error=str(exc))

    def drop(self, connection: Connection, now: float) -> None:
        """Forget a connection, without a word to its client: the transport is gone, or breaks off at once."""
        self._connections.pop(connection.token, None)
        self._leave(connection)
        connection.enter(Phase.ABORTED, now)

    # What REST calls do

    def members(self, hub: str) -> Membership:
        """Return who is in a hub: connections, users and groups."""
        return self._hubs.setdefault(hub, Membership())

    def send(self, connections: Iterable[Connection], message: HubMessage, now: float) -> None:
        """Send a message to these connections, or to nobody if one of the protocols cannot carry it.

        Raises:
            ProtocolError: The message cannot be encoded.
        """
        self.deliver(connections, self._encoded(message), now)

    def deliver(self, connections: Iterable[Connection], encoded: Mapping[str, bytes], now: float) -> None:
        """Send encoded messages, given by the name of their protocol, to these connections."""
        for connection in connections:
            if connection.protocol is not None:
                connection.queue(encoded[connection.protocol.name], now)

    def close(
        self, connections: Iterable[Connection], now: float, *, error: str | None = None, allow_reconnect: bool = False
    ) -> None:
        """Say goodbye to these connections; their transports end when the last message is delivered.

        Args:
            connections: The connections.
            now: The time.
            error: What the clients are told.
            allow_reconnect: Whether clients that reconnect by themselves shall do so.

        Raises:
            ProtocolError: The error cannot be encoded.
        """
        goodbye = self._encoded(CloseMessage(error=error, allow_reconnect=allow_reconnect or None))
        for connection in list(connections):
            if connection.phase is Phase.NEGOTIATED:
                self.drop(connection, now)
            elif connection.phase is Phase.OPENED:
                response = HandshakeResponse(error or "The connection is closed.")
                self._end(connection, encode_handshake(response), now)
            elif connection.phase is Phase.CONNECTED and connection.protocol is not None:
                self._end(connection, goodbye[connection.protocol.name], now)

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

    # What time does

    @property
    def connections(self) -> list[Connection]:
        """All connections of all hubs, the negotiated ones too."""
        return list(self._connections.values())

    def tick(self, now: float) -> None:
        """Do what is due: pings, and the end of connections that were waited for long enough."""
        for connection in self.connections:
            in_phase = now - connection.since
            match connection.phase:
                case Phase.NEGOTIATED if in_phase >= self._settings.open_within:
                    self.drop(connection, now)
                case Phase.OPENED if in_phase >= self._handshake_within(connection):
                    self.close([connection], now, error="Handshake was canceled.")
                case Phase.CONNECTED:
                    self._look_after(connection, now)
                case Phase.CLOSING if in_phase >= self._settings.close_within:
                    self.drop(connection, now)
                case Phase.ABORTED:
                    self.drop(connection, now)

    def _handshake_within(self, connection: Connection) -> float:
        return connection.client.number("asrs.s.cht", 1, 30) or self._settings.handshake_within

    def _look_after(self, connection: Connection, now: float) -> None:
        silence = now - connection.heard_at
        if connection.transport is ClientTransport.LONG_POLLING:
            gap = connection.client.number("asrs.s.ttl", 1, 300) or self._settings.poll_gap
            if not connection.is_listened_to and silence >= gap:
                self.drop(connection, now)
        elif silence >= self._settings.client_timeout:
            error = f"The client was silent for {self._settings.client_timeout:g} seconds."
            self.close([connection], now, error=error, allow_reconnect=True)
        elif now - connection.sent_at >= self._settings.keep_alive:
            self.send([connection], PingMessage(), now)

    # What messages do

    def _shake_hands(self, connection: Connection, data: bytes, now: float) -> bytes:
        """Answer the handshake once it is complete, and return what follows it.

        The connection is in its hub before the answer can reach the client: who knows it is connected can be reached.
        """
        connection.handshake += data
        parts = split_handshake(connection.handshake, self._settings.message_limit)
        if parts is None:
            return b""
        record, rest = parts
        request = parse_handshake_request(record)
        protocol = _check_handshake(request, self._protocols.get(request.protocol), connection.transport)
        connection.handshake = b""
        connection.speak(protocol, self._settings.message_limit)
        connection.enter(Phase.CONNECTED, now)
        self.members(connection.hub).add(connection, now)
        connection.queue(encode_handshake(HandshakeResponse()), now)
        return rest

    def _handle(self, connection: Connection, message: HubMessage, now: float) -> None:
        """Do what one message asks for; those that answer a question nobody asked are ignored."""
        match message:
            case CloseMessage():
                self._end(connection, b"", now)
            case CompletionMessage():
                connection.calls.complete(message)
            case CancelInvocationMessage(invocation_id=stream_id):
                connection.streams.end(stream_id)
            case InvocationMessage(invocation_id=None):
                logger.info(
                    "connection %s sends %.100r, which is ignored: %s", connection.id, message.target, _NO_UPSTREAM
                )
            case InvocationMessage(invocation_id=str(invocation_id)):
                self.send([connection], CompletionMessage(invocation_id=invocation_id, error=_NO_UPSTREAM), now)
            case StreamInvocationMessage(invocation_id=invocation_id):
                self.send([connection], CompletionMessage(invocation_id=invocation_id, error=_NO_STREAMS), now)

    def _encoded(self, message: HubMessage) -> dict[str, bytes]:
        return {name: protocol.encode(message) for name, protocol in self._protocols.items()}

    def _leave(self, connection: Connection) -> None:
        """Take a connection out of its hub; nobody need wait for it."""
        self.members(connection.hub).discard(connection)
        connection.streams.clear()
        connection.calls.abandon()

    def _end(self, connection: Connection, last_words: bytes, now: float) -> None:
        self._leave(connection)
        if last_words:
            connection.queue(last_words, now)
        if connection.phase is not Phase.ABORTED:
            connection.enter(Phase.CLOSING, now)


_NO_UPSTREAM = "No upstream is configured: the service has nowhere to send what clients call."
_NO_STREAMS = "A service in Serverless mode does not carry streams that clients ask for."


def _check_handshake(
    request: HandshakeRequest, protocol: HubProtocol | None, transport: ClientTransport | None
) -> HubProtocol:
    """Return the protocol that a client asked for.

    Raises:
        ProtocolError: There is none of that name or version, or the transport cannot carry it.

    Source: dotnet/aspnetcore:src/SignalR/server/Core/src/HubConnectionContext.cs.
    """
    if protocol is None:
        raise ProtocolError(f"The protocol '{request.protocol[:50]}' is not supported.")
    if request.version > protocol.version:
        raise ProtocolError(f"The server does not support this version of the '{protocol.name}' protocol.")
    if transport is None or protocol.transfer_format not in transport.formats:
        raise ProtocolError(
            f"Cannot use the '{protocol.name}' protocol on the current transport. "
            f"The transport does not support '{protocol.transfer_format.value}' transfer format."
        )
    return protocol
