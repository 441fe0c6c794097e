"""A client of a test."""

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import msgspec

from flask_signalr.emulator.connections import ClientTransport, Connection
from flask_signalr.errors import InvocationFailed
from flask_signalr.hub_protocols import HUB_PROTOCOLS
from flask_signalr.messages import (
    CloseMessage,
    CompletionMessage,
    HandshakeRequest,
    HubMessage,
    InvocationMessage,
    StreamInvocationMessage,
    StreamItemMessage,
)
from flask_signalr.protocol import MessageReader, encode_handshake
from flask_signalr.testing.exchange import Exchange

_JSON = HUB_PROTOCOLS["json"]
_MESSAGE_LIMIT = 2**24
_NO_HANDLER = "Client didn't provide a result."

Handler = Callable[..., Any]


class FakeConnection:
    """A client that `FakeService.connect` let in.

    Args:
        exchange: Where it speaks to the service.
        connection: What it negotiated there.
        query: The query of the URL that it was given.

    Attributes:
        received: What the service has called so far: the method and its arguments, in one tuple each.
        is_closed: Whether the connection is over.
        error: Why the service closed it, if it said so.
    """

    def __init__(self, exchange: Exchange, connection: Connection, query: str = "") -> None:
        self.received: list[tuple[Any, ...]] = []
        self.is_closed = False
        self.error: str | None = None
        self._exchange = exchange
        self._connection = connection
        self._reader = MessageReader(_JSON, _MESSAGE_LIMIT)
        self._ids = map(str, count())
        self._completions: dict[str, CompletionMessage] = {}
        self._items: dict[str, list[Any]] = {}
        self._handlers: dict[str, Handler] = {}
        exchange.step(lambda service, now: service.open(connection, ClientTransport.WEBSOCKETS, now, query))
        exchange.step(lambda service, now: self._shake_hands(service.receive, now))
        exchange.settle()

    @property
    def connection_id(self) -> str:
        """What the service and other people know the connection by."""
        return self._connection.id

    @property
    def token(self) -> str:
        """What only its client and the service know the connection by."""
        return self._connection.token

    @property
    def user_id(self) -> str | None:
        """The user id that the service routes by, ``None`` for an anonymous client."""
        return self._connection.client.user_id

    @property
    def claims(self) -> Mapping[str, Any]:
        """The claims of the service token, its own ones too."""
        return self._connection.client.claims

    def invoke(self, target: str, *arguments: Any) -> Any:
        """Return the result of a hub method; ``None`` for one without.

        Raises:
            InvocationFailed: The app refused the call, or it failed; the text is what a client gets to read.
        """
        completion = self._complete(
            InvocationMessage(target=target, arguments=arguments, invocation_id=next(self._ids))
        )
        return None if completion.result is msgspec.UNSET else completion.result

    def stream(self, target: str, *arguments: Any) -> list[Any]:
        """Return the items that a hub method streams, when the stream has ended.

        Raises:
            InvocationFailed: The app refused the call, or the stream ended with an error, or not at all.
        """
        invocation_id = next(self._ids)
        try:
            self._complete(StreamInvocationMessage(target=target, arguments=arguments, invocation_id=invocation_id))
        finally:
            items = self._items.pop(invocation_id, [])
        return items

    def send(self, target: str, *arguments: Any) -> None:
        """Call a hub method that owes no answer; an error of the method is not told to anybody."""
        self._write(InvocationMessage(target=target, arguments=arguments))
        self._exchange.settle()

    def on(self, target: str, handler: Handler) -> None:
        """Answer calls of a method that owe a result with what a handler returns, an error if it raises.

        The case of the method's name does not matter, as with the official clients.
        """
        self._handlers[target.lower()] = handler

    def close(self) -> None:
        """Leave the service, as a client does whose page is closed; the app has been told when this returns."""
        self.is_closed = True
        self._exchange.step(lambda service, now: service.drop(self._connection, now))
        self._exchange.settle()

    def _shake_hands(self, receive: Callable[[Connection, bytes, float], None], now: float) -> None:
        receive(self._connection, encode_handshake(HandshakeRequest(_JSON.name, _JSON.version)), now)
        self._connection.take()  # the answer to the handshake
        self._connection.listen(self._read)

    def _complete(self, message: InvocationMessage | StreamInvocationMessage) -> CompletionMessage:
        invocation_id = str(message.invocation_id)
        self._write(message)
        self._exchange.wait_for(lambda: invocation_id in self._completions or self.is_closed)
        self._exchange.settle()
        completion = self._completions.pop(invocation_id, None)
        if completion is None:
            reason = self.error or ("the connection is closed" if self.is_closed else "the app did not answer")
            raise InvocationFailed(reason)
        if completion.error is not None:
            raise InvocationFailed(completion.error)
        return completion

    def _write(self, message: HubMessage) -> None:
        if self.is_closed:
            raise InvocationFailed(self.error or "the connection is closed")
        data = _JSON.encode(message)
        self._exchange.step(lambda service, now: service.receive(self._connection, data, now))

    def _read(self) -> None:
        for message in self._reader.feed(self._connection.take()):
            match message:
                case InvocationMessage():
                    self.received.append((message.target, *message.arguments))
                    self._answer_later(message)
                case CompletionMessage():
                    self._completions[message.invocation_id] = message
                case StreamItemMessage():
                    self._items.setdefault(message.invocation_id, []).append(message.item)
                case CloseMessage():
                    self.error = message.error
        self.is_closed = self.is_closed or self._connection.is_over

    def _answer_later(self, call: InvocationMessage) -> None:
        if call.invocation_id is not None:
            invocation_id = call.invocation_id
            self._exchange.later(lambda: self._answer(invocation_id, call))

    def _answer(self, invocation_id: str, call: InvocationMessage) -> None:
        """Answer a call as the official clients do, which tell the service of whatever goes wrong."""
        try:
            handler = self._handlers.get(call.target.lower())
            if handler is None:
                completion = CompletionMessage(invocation_id=invocation_id, error=_NO_HANDLER)
            else:
                completion = CompletionMessage(invocation_id=invocation_id, result=handler(*call.arguments))
            _JSON.encode(completion)
        except Exception as exc:  # noqa: BLE001 -- the handler is the test's own, and its error the client's answer
            completion = CompletionMessage(invocation_id=invocation_id, error=f"{type(exc).__name__}: {exc}")
        if not self.is_closed:
            self._write(completion)
