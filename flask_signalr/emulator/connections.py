"""One client at the service: how far it has come, what it speaks, and what waits to be written to it."""

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from flask_signalr.emulator.client_calls import ClientCalls, ClientStreams
from flask_signalr.emulator.tokens import ClientIdentity
from flask_signalr.messages import HubMessage
from flask_signalr.protocol import HubProtocol, MessageReader, TransferFormat

Listener = Callable[[], None]
"""Called when there is something new to take, or when the connection is over; must not block or raise."""


class ClientTransport(enum.Enum):
    """A way to carry messages; the values are the names of the negotiate answer."""

    WEBSOCKETS = "WebSockets"
    SERVER_SENT_EVENTS = "ServerSentEvents"
    LONG_POLLING = "LongPolling"

    @property
    def formats(self) -> tuple[TransferFormat, ...]:
        """What it can carry."""
        if self is ClientTransport.SERVER_SENT_EVENTS:
            return (TransferFormat.TEXT,)
        return (TransferFormat.TEXT, TransferFormat.BINARY)

    def is_open_to(self, client: ClientIdentity) -> bool:
        """Whether the client's token allows it; a token that does not choose allows all."""
        allowed = client.number("asrs.s.htt", 0, 7)
        return allowed is None or bool(allowed & 1 << list(ClientTransport).index(self))


class Phase(enum.Enum):
    """How far a connection has come."""

    NEGOTIATED = enum.auto()
    OPENED = enum.auto()
    CONNECTED = enum.auto()
    CLOSING = enum.auto()
    ABORTED = enum.auto()


@dataclass(eq=False)
class Connection:
    """One client of one hub.

    Its transport takes what is queued (`take`) whenever the listener calls, and leaves when it `is_over`.

    Attributes:
        hub: The hub, with its application's name.
        client: Whom the client's token named.
        id: What REST calls and other people know the connection by.
        token: What only its owner knows: the ``id`` of the client's requests.
        outbox_limit: Bytes that may wait; the message that comes when there are more aborts the connection.
        since: When it entered its phase, in seconds of the service's clock.
        heard_at: When the client last sent something.
        sent_at: When the client was last sent something.
        handshake: What has arrived before the handshake was complete.
        query: The query of the request that opened it, still percent-encoded; may hold its access token.
        calls: The calls of the client that wait for its result.
        streams: The streams that the client asked for.
    """

    hub: str
    client: ClientIdentity
    id: str
    token: str = field(repr=False)
    outbox_limit: int
    since: float
    heard_at: float = 0
    sent_at: float = 0
    phase: Phase = Phase.NEGOTIATED
    transport: ClientTransport | None = None
    protocol: HubProtocol | None = None
    handshake: bytes = field(default=b"", repr=False)
    query: str = field(default="", repr=False)
    calls: ClientCalls = field(default_factory=ClientCalls, repr=False)
    streams: ClientStreams = field(default_factory=ClientStreams, repr=False)
    _reader: MessageReader | None = field(default=None, repr=False)
    _outbox: list[bytes] = field(default_factory=list, repr=False)
    _waiting: int = 0
    _listener: Listener | None = field(default=None, repr=False)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come: the connection was closed and its last message taken, or it was aborted."""
        return self.phase is Phase.ABORTED or (self.phase is Phase.CLOSING and not self._outbox)

    @property
    def is_listened_to(self) -> bool:
        """Whether a transport waits for news; a long-polling client is away between two polls."""
        return self._listener is not None

    def enter(self, phase: Phase, now: float) -> None:
        """Go on to a phase and tell the listener."""
        self.phase, self.since = phase, now
        if phase is Phase.ABORTED:
            self._outbox.clear()
        self._tell()

    def speak(self, protocol: HubProtocol, message_limit: int) -> None:
        """Read and write messages of this protocol from now on."""
        self.protocol = protocol
        self._reader = MessageReader(protocol, message_limit)

    def read(self, data: bytes) -> Iterator[HubMessage]:
        """Yield the messages that this data completes.

        Raises:
            ProtocolError: One of them is broken or too long.
        """
        return self._reader.feed(data) if self._reader is not None else iter(())

    def queue(self, data: bytes, now: float) -> None:
        """Let encoded messages wait for the transport, unless so much waits already that the client seems stuck."""
        if self._waiting > self.outbox_limit:
            self.enter(Phase.ABORTED, now)
            return
        self._outbox.append(data)
        self._waiting += len(data)
        self.sent_at = now
        self._tell()

    def take(self) -> bytes:
        """Return and forget everything that waits, joined: one frame may hold several messages."""
        data = b"".join(self._outbox)
        self._outbox.clear()
        self._waiting = 0
        return data

    def listen(self, listener: Listener) -> None:
        """Tell this listener of news; the one before it is called a last time, so that it can leave."""
        former, self._listener = self._listener, listener
        if former is not None:
            former()

    def is_heard_by(self, listener: Listener) -> bool:
        """Tell whether this is still the listener."""
        return self._listener is listener

    def stop_listening(self, listener: Listener, now: float) -> None:
        """Forget the listener, unless another has taken its place."""
        if self._listener is listener:
            self._listener = None
            self.heard_at = now

    def _tell(self) -> None:
        if self._listener is not None:
            self._listener()
