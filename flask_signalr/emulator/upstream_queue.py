"""What clients do, on its way to the app: one event of a connection after the other, and what comes back.

Nothing here does I/O: a call that is to be made is handed out as a value, and its reply is handed in.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from flask_signalr.emulator.connections import Connection, Phase
from flask_signalr.emulator.upstream_calls import (
    UpstreamAnswer,
    UpstreamCall,
    UpstreamFailure,
    UpstreamReply,
    completion_of,
    event_headers,
    unframed,
)
from flask_signalr.emulator.upstream_rules import UpstreamRules
from flask_signalr.errors import ProtocolError
from flask_signalr.messages import InvocationMessage, StreamInvocationMessage

logger = logging.getLogger("flask_signalr.emulator")

_OVERHEAD = 512
"""Bytes that an event counts for besides its body, so that many empty ones have a bound too."""

_NO_UPSTREAM = "No upstream is configured: the service has nowhere to send what clients call."
_NO_RULE = (
    "No upstream rule fits, where case counts and hubs are in lower case: the service has nowhere to send this call."
)
_NO_UPLOADS = "A service in Serverless mode does not carry streams that clients send."
_REFUSED = "The app refused the connection."

_HINTS = (
    (300, 399, ": does a before_request function of the app demand a sign-in of the service?"),
    (404, 404, ": is this the URL template that `flask signalr hubs` shows, and is the hub declared?"),
)
"""What statuses, from and to, are likely to mean."""


@dataclass(frozen=True)
class _Event:
    """Something that a client did.

    Attributes:
        category: ``connections`` or ``messages``.
        name: ``connected``, ``disconnected``, or the method that is called.
        body: What the app is told.
        content_type: The media type of the body.
        invocation_id: What the completion must name, ``None`` if none is owed.
        is_stream: Whether the client asked for a stream.
    """

    category: str
    name: str
    body: bytes = field(repr=False)
    content_type: str = "application/json"
    invocation_id: str | None = None
    is_stream: bool = False

    @property
    def size(self) -> int:
        return len(self.body) + _OVERHEAD


@dataclass(eq=False)
class _Queue:
    """The events of one connection that the app has not answered; the first of them may be under way."""

    connection: Connection
    events: deque[_Event] = field(default_factory=deque)
    waiting: int = 0
    under_way: _Event | None = None
    is_over: bool = False

    def add(self, event: _Event) -> None:
        self.events.append(event)
        self.waiting += event.size

    def take(self) -> _Event:
        event = self.events.popleft()
        self.waiting -= event.size
        return event

    def clear(self) -> None:
        self.events.clear()
        self.waiting = 0


class Upstream:
    """The way from a service's clients to the app.

    ``connected`` comes first and is awaited; then messages, one at a time; ``disconnected`` comes last and once, after
    every message that had arrived. A connection that ``connected`` did not let in has no ``disconnected``.

    Args:
        access_keys: The keys that sign, all of them, whatever they are at the time; see ``keys_of``.
        refuse: Closes a connection with an error text.
        limit: Bytes that may wait for the app, for each connection.

    Attributes:
        rules: Where events go; may be replaced at any time.
        keys_of: Returns the keys that sign what is told of a connection.
        post: Makes a call, and sees to it that `answered` is called later; must not do so at once, block or raise.
    """

    def __init__(
        self, access_keys: Iterable[str], refuse: Callable[[Connection, str, float], None], limit: int
    ) -> None:
        self.rules = UpstreamRules()
        self.post: Callable[[UpstreamCall], None] = _cannot_post
        self.keys_of: Callable[[Connection], Iterable[str]] = lambda connection: access_keys
        self._refuse = refuse
        self._limit = limit
        self._queues: dict[str, _Queue] = {}
        self._under_way: dict[UpstreamCall, _Queue] = {}

    def connected(self, connection: Connection, now: float) -> None:
        """Tell the app that a client has connected."""
        queue = self._queues[connection.token] = _Queue(connection)
        queue.add(_Event("connections", "connected", b'{"type":10}'))
        self._go_on(queue, now)

    def called(self, connection: Connection, message: InvocationMessage | StreamInvocationMessage, now: float) -> None:
        """Tell the app that a client calls a method.

        Raises:
            ProtocolError: More waits for the app than may, or the message breaks the rules of streams.
        """
        queue = self._queues.get(connection.token)
        if queue is None or connection.protocol is None:
            return
        body = unframed(connection.protocol, msgspec.structs.replace(message, headers=None))
        is_stream = isinstance(message, StreamInvocationMessage)
        kind = connection.protocol.content_type
        event = _Event("messages", message.target, body, kind, message.invocation_id, is_stream)
        if queue.waiting + event.size > self._limit:
            raise ProtocolError(f"more than {self._limit} bytes of messages wait for the app: send more slowly")
        if isinstance(message, StreamInvocationMessage):
            connection.streams.open(message.invocation_id)
        if message.stream_ids:
            self._hand_over(connection, event, UpstreamFailure(_NO_UPLOADS, _NO_UPLOADS), now)
        else:
            queue.add(event)
            self._go_on(queue, now)

    def gone(self, connection: Connection, error: str | None, now: float) -> None:
        """Tell the app that a client is gone, once it was told all else; more than the first word is ignored."""
        queue = self._queues.pop(connection.token, None)
        if queue is None:
            return
        queue.is_over = True
        body = msgspec.json.encode({"type": 11} if error is None else {"type": 11, "error": error})
        queue.add(_Event("connections", "disconnected", body))
        self._go_on(queue, now)

    def answered(self, call: UpstreamCall, reply: UpstreamReply, now: float) -> None:
        """Do what the app's reply to a call asks for, and go on to the next event of that connection."""
        queue = self._under_way.pop(call, None)
        if queue is None or queue.under_way is None:
            return
        event, queue.under_way = queue.under_way, None
        if not (isinstance(reply, UpstreamAnswer) and reply.is_good):
            logger.warning("the upstream did not accept %s of %s: %s", call.event, queue.connection.id, _shown(reply))
            if event.name == "connected" and event.category == "connections":
                self._turn_away(queue, now)
                return
        self._hand_over(queue.connection, event, reply, now)
        self._go_on(queue, now)

    def _turn_away(self, queue: _Queue, now: float) -> None:
        """End a connection that the app did not let in: what it sent meanwhile is forgotten, and so is its end."""
        queue.clear()
        self._queues.pop(queue.connection.token, None)
        if not queue.is_over:
            self._refuse(queue.connection, _REFUSED, now)

    def _go_on(self, queue: _Queue, now: float) -> None:
        """Make the next call of a connection, unless one is under way; what no rule fits is answered here."""
        while queue.events and queue.under_way is None:
            event = queue.take()
            connection = queue.connection
            url = self.rules.url(connection.hub, event.category, event.name)
            if url is not None:
                queue.under_way = event
                call = self._call(connection, event, url)
                self._under_way[call] = queue
                self.post(call)
            elif event.category == "messages":
                reason = _NO_RULE if self.rules.rules else _NO_UPSTREAM
                logger.info("connection %s calls %.100a, which goes nowhere: %s", connection.id, event.name, reason)
                self._hand_over(connection, event, UpstreamFailure(reason, reason), now)

    def _call(self, connection: Connection, event: _Event, url: str) -> UpstreamCall:
        headers = event_headers(connection, event.category, event.name, self.keys_of(connection), event.content_type)
        shown = f"{event.category}/{event.name:.100} on hub {connection.hub}"
        return UpstreamCall(url, headers, event.body, ascii(shown))

    def _hand_over(self, connection: Connection, event: _Event, reply: UpstreamReply, now: float) -> None:
        """Give a client the completion that it waits for, if it does; a stream goes on unless there is an error."""
        if connection.phase is not Phase.CONNECTED or connection.protocol is None or event.invocation_id is None:
            return
        completion, encoded = completion_of(connection.protocol, event.invocation_id, reply)
        if event.is_stream and (completion.error is None or not connection.streams.end(event.invocation_id)):
            return
        connection.queue(encoded, now)


def _cannot_post(call: UpstreamCall) -> None:
    raise NotImplementedError("nobody makes the calls of this service")


def _shown(reply: UpstreamReply) -> str:
    if not isinstance(reply, UpstreamAnswer):
        return reply.reason
    hint = next((hint for first, last, hint in _HINTS if first <= reply.status <= last), "")
    return f"status {reply.status}{hint}"
