"""The service as a state machine: what clients and REST calls do to it, and what it says to the clients.

Nothing here reads a clock or a socket. Bytes come in as arguments, and so does the time; what goes out waits in each
connection until its transport takes it. All calls must come from one thread.
"""

import secrets
from collections.abc import Iterable, Mapping

from flask_signalr.emulator.access_keys import AccessKeys
from flask_signalr.emulator.connections import ClientTransport, Connection, Phase
from flask_signalr.emulator.exchanged_keys import ExchangedKeys
from flask_signalr.emulator.handshakes import check_handshake
from flask_signalr.emulator.membership import Membership
from flask_signalr.emulator.patience import Forgotten, due
from flask_signalr.emulator.settings import EmulatorSettings
from flask_signalr.emulator.speaker import Speaker
from flask_signalr.emulator.tokens import ClientIdentity
from flask_signalr.emulator.upstream_queue import Upstream
from flask_signalr.emulator.upstream_rules import UpstreamRules
from flask_signalr.errors import ProtocolError
from flask_signalr.hub_protocols import HUB_PROTOCOLS
from flask_signalr.messages import (
    CancelInvocationMessage,
    CloseMessage,
    CompletionMessage,
    HandshakeResponse,
    HubMessage,
    InvocationMessage,
    PingMessage,
    StreamInvocationMessage,
)
from flask_signalr.protocol import (
    HubProtocol,
    encode_handshake,
    parse_handshake_request,
    split_handshake,
)


class Service(Speaker):
    """One service with its hubs; they know nothing of each other.

    Args:
        settings: The times and bounds that it keeps, its first access keys and its upstream.
        protocols: What clients may speak, by name; every message is encoded for all of them.

    Attributes:
        access_keys: Its access keys.
        exchanged_keys: The keys that it handed out to callers with a Microsoft Entra token.
        upstream: The way to the app.
    """

    def __init__(self, settings: EmulatorSettings, protocols: Mapping[str, HubProtocol] = HUB_PROTOCOLS) -> None:
        super().__init__(protocols)
        self._settings = settings
        self._connections: dict[str, Connection] = {}
        self._hubs: dict[str, Membership] = {}
        self.access_keys = AccessKeys(settings.access_keys)
        self.exchanged_keys = ExchangedKeys(settings.entra_key_lifetime)
        self.upstream = Upstream(self.access_keys, self._refuse, settings.upstream_limit)
        if settings.upstream is not None:
            self.upstream.rules = UpstreamRules.to(settings.upstream)

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

    def with_token(self, hub: str, token: str) -> Connection | None:
        """Return the live connection of a connection token, whoever asks; one whose token is its id has none."""
        connection = self._connections.get(token)
        if connection is None or connection.hub != hub or connection.token == connection.id:
            return None
        return None if connection.phase in {Phase.CLOSING, Phase.ABORTED} else connection

    def open(self, connection: Connection, transport: ClientTransport, now: float, query: str = "") -> None:
        """Let a transport carry a connection that was negotiated; the client's handshake comes next.

        Args:
            connection: The connection.
            transport: What carries it.
            now: The time.
            query: The query of the client's request, still percent-encoded.
        """
        connection.transport = transport
        connection.query = query
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

    def drop(self, connection: Connection, now: float, error: str | None = None) -> None:
        """Forget a connection, without a word to its client: the transport is gone, or breaks off at once.

        Args:
            connection: The connection.
            now: The time.
            error: What the app is told; ``None`` if the client went as clients go.
        """
        self._connections.pop(connection.token, None)
        self._leave(connection, now, _ABORTED if error is None and connection.phase is Phase.ABORTED else error)
        connection.enter(Phase.ABORTED, now)

    # What REST calls do

    def members(self, hub: str) -> Membership:
        """Return who is in a hub: connections, users and groups."""
        return self._hubs.setdefault(hub, Membership())

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
        goodbye = self.encoded(CloseMessage(error=error, allow_reconnect=allow_reconnect or None))
        for connection in list(connections):
            if connection.phase is Phase.NEGOTIATED:
                self.drop(connection, now)
            elif connection.phase is Phase.OPENED:
                response = HandshakeResponse(error or "The connection is closed.")
                self._end(connection, encode_handshake(response), now)
            elif connection.phase is Phase.CONNECTED and connection.protocol is not None:
                self._end(connection, goodbye[connection.protocol.name], now, error)

    # What time does

    @property
    def connections(self) -> list[Connection]:
        """All connections of all hubs, the negotiated ones too."""
        return list(self._connections.values())

    def tick(self, now: float) -> None:
        """Do what is due: pings, and the end of connections that were waited for long enough."""
        for connection in self.connections:
            match due(connection, self._settings, now):
                case CloseMessage(error=error, allow_reconnect=allow_reconnect):
                    self.close([connection], now, error=error, allow_reconnect=bool(allow_reconnect))
                case PingMessage() as ping:
                    self.send([connection], ping, now)
                case Forgotten():
                    self.drop(connection, now)

    def close_expired(self, now: float, unix_now: float) -> None:
        """Close the connections whose sign-in has ended, if their tokens ask for that; clients may come again.

        Args:
            now: The time, in seconds of the service's clock.
            unix_now: The time, in Unix seconds, which tokens speak of.
        """
        expired = [
            connection
            for connection in self.connections
            if (end := connection.client.closes_at) is not None and end <= unix_now
        ]
        self.close(expired, now, error=_EXPIRED, allow_reconnect=True)

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
        protocol = check_handshake(request, self._protocols.get(request.protocol), connection.transport)
        connection.handshake = b""
        connection.speak(protocol, self._settings.message_limit)
        connection.enter(Phase.CONNECTED, now)
        self.members(connection.hub).add(connection, now)
        connection.queue(encode_handshake(HandshakeResponse()), now)
        self.upstream.connected(connection, now)
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
            case InvocationMessage() | StreamInvocationMessage():
                self.upstream.called(connection, message, now)

    def _refuse(self, connection: Connection, error: str, now: float) -> None:
        self.close([connection], now, error=error)

    def _leave(self, connection: Connection, now: float, error: str | None) -> None:
        """Take a connection out of its hub; nobody need wait for it, and the app is told."""
        self.members(connection.hub).discard(connection)
        self.upstream.gone(connection, error, now)
        connection.streams.clear()
        connection.calls.abandon()

    def _end(self, connection: Connection, last_words: bytes, now: float, error: str | None = None) -> None:
        self._leave(connection, now, error)
        if last_words:
            connection.queue(last_words, now)
        if connection.phase is not Phase.ABORTED:
            connection.enter(Phase.CLOSING, now)


_EXPIRED = "The sign-in has expired."
_ABORTED = "The connection was aborted: the client did not read what it was sent."
