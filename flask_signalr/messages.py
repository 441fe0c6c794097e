"""The messages of the hub protocol, as values; `flask_signalr.hub_protocols` reads and writes them.

Source: dotnet/aspnetcore:src/SignalR/docs/specs/HubProtocol.md.
"""

from typing import Any

import msgspec


class HandshakeRequest(msgspec.Struct, frozen=True):
    """The first message of a client: which protocol it speaks from now on."""

    protocol: str
    version: int


class HandshakeResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to it; an error ends the connection."""

    error: str | None = None


class _Message(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", tag_field="type"):
    """What all messages have in common: how they look in JSON."""


class InvocationMessage(_Message, frozen=True, kw_only=True, tag=1):
    """A call of a method; with an ``invocation_id`` a `CompletionMessage` is owed."""

    headers: dict[str, str] | None = None
    invocation_id: str | None = None
    target: str
    arguments: tuple[Any, ...]
    stream_ids: tuple[str, ...] = ()


class StreamItemMessage(_Message, frozen=True, kw_only=True, tag=2):
    """One item of a stream."""

    headers: dict[str, str] | None = None
    invocation_id: str
    item: Any


class CompletionMessage(_Message, frozen=True, kw_only=True, tag=3):
    """The end of an invocation or a stream: a result, an error, or neither. A result may be ``None``."""

    headers: dict[str, str] | None = None
    invocation_id: str
    result: Any = msgspec.UNSET
    error: str | None = None

    def __post_init__(self) -> None:
        if self.error is not None and self.result is not msgspec.UNSET:
            raise ValueError("a completion holds a result or an error, not both")


class StreamInvocationMessage(_Message, frozen=True, kw_only=True, tag=4):
    """A call of a method that answers with a stream."""

    headers: dict[str, str] | None = None
    invocation_id: str
    target: str
    arguments: tuple[Any, ...]
    stream_ids: tuple[str, ...] = ()


class CancelInvocationMessage(_Message, frozen=True, kw_only=True, tag=5):
    """The caller wants no more items of a stream."""

    headers: dict[str, str] | None = None
    invocation_id: str


class PingMessage(_Message, frozen=True, tag=6):
    """A sign of life."""


class CloseMessage(_Message, frozen=True, kw_only=True, tag=7):
    """The sender closes the connection; ``allow_reconnect`` tells a client to come again."""

    error: str | None = None
    allow_reconnect: bool | None = None


HubMessage = (
    InvocationMessage
    | StreamItemMessage
    | CompletionMessage
    | StreamInvocationMessage
    | CancelInvocationMessage
    | PingMessage
    | CloseMessage
)
