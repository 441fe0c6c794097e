"""How hub messages look in MessagePack: arrays, with the type of the message as their first item.

Source: dotnet/aspnetcore:src/SignalR/docs/specs/HubProtocol.md.
"""

from typing import Any, Literal

import msgspec

from flask_signalr.messages import (
    CancelInvocationMessage,
    CloseMessage,
    CompletionMessage,
    HubMessage,
    InvocationMessage,
    PingMessage,
    StreamInvocationMessage,
    StreamItemMessage,
)

_ERROR, _VOID, _RESULT = 1, 2, 3


class _Array(msgspec.Struct, frozen=True, array_like=True, tag_field="type"):
    """What all messages have in common: how they look in MessagePack. Items that are missing have a default."""


class _Invocation(_Array, frozen=True, tag=1):
    headers: dict[str, str] | None
    invocation_id: str | None
    target: str
    arguments: tuple[Any, ...]
    stream_ids: tuple[str, ...] | None = None

    def message(self) -> HubMessage:
        return InvocationMessage(invocation_id=self.invocation_id, **_call(self))


class _StreamItem(_Array, frozen=True, tag=2):
    headers: dict[str, str] | None
    invocation_id: str
    item: Any

    def message(self) -> HubMessage:
        return StreamItemMessage(headers=self.headers or None, invocation_id=self.invocation_id, item=self.item)


class _Completion(_Array, frozen=True, tag=3):
    headers: dict[str, str] | None
    invocation_id: str
    kind: Literal[1, 2, 3]
    value: Any = msgspec.UNSET

    def message(self) -> HubMessage:
        error = result = None
        if self.kind == _ERROR:
            error, result = msgspec.convert(self.value, str), msgspec.UNSET
        elif self.kind == _VOID:
            result = msgspec.UNSET
        elif self.value is msgspec.UNSET:
            raise msgspec.ValidationError("a completion of kind 3 has no result")
        else:
            result = self.value
        return CompletionMessage(
            headers=self.headers or None, invocation_id=self.invocation_id, result=result, error=error
        )


class _StreamInvocation(_Array, frozen=True, tag=4):
    headers: dict[str, str] | None
    invocation_id: str
    target: str
    arguments: tuple[Any, ...]
    stream_ids: tuple[str, ...] | None = None

    def message(self) -> HubMessage:
        return StreamInvocationMessage(invocation_id=self.invocation_id, **_call(self))


class _CancelInvocation(_Array, frozen=True, tag=5):
    headers: dict[str, str] | None
    invocation_id: str

    def message(self) -> HubMessage:
        return CancelInvocationMessage(headers=self.headers or None, invocation_id=self.invocation_id)


class _Ping(_Array, frozen=True, tag=6):
    def message(self) -> HubMessage:
        return PingMessage()


class _Close(_Array, frozen=True, tag=7):
    error: str | None = None
    allow_reconnect: bool | None = None

    def message(self) -> HubMessage:
        return CloseMessage(error=self.error, allow_reconnect=self.allow_reconnect)


def _call(array: _Invocation | _StreamInvocation) -> dict[str, Any]:
    return {
        "headers": array.headers or None,
        "target": array.target,
        "arguments": array.arguments,
        "stream_ids": array.stream_ids or (),
    }


AnyArray = _Invocation | _StreamItem | _Completion | _StreamInvocation | _CancelInvocation | _Ping | _Close


def items_of(message: HubMessage) -> tuple[Any, ...]:
    """Return the array that a message is written as; its first item is the type."""
    tag = message.__struct_config__.tag
    if isinstance(message, PingMessage):
        return (tag,)
    if isinstance(message, CloseMessage):
        error = (tag, message.error)
        return error if message.allow_reconnect is None else (*error, message.allow_reconnect)
    head = (tag, message.headers or {}, message.invocation_id)
    if isinstance(message, InvocationMessage | StreamInvocationMessage):
        return (*head, message.target, message.arguments, message.stream_ids)
    if isinstance(message, StreamItemMessage):
        return (*head, message.item)
    if isinstance(message, CancelInvocationMessage):
        return head
    if message.error is not None:
        return (*head, _ERROR, message.error)
    return (*head, _VOID) if message.result is msgspec.UNSET else (*head, _RESULT, message.result)
