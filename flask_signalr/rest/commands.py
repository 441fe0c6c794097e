"""The commands of ``:execute``, which the service carries out on each connection that a filter chooses.

Source: Azure/azure-signalr:docs/swagger/v20241201.json, SignalRCommand.
"""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec


class _Message(msgspec.Struct, frozen=True):
    target: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True, init=False)
class SendMessage:
    """Call a method of the client; `SendMessage.of` makes it."""

    message: _Message
    type: Literal["SendMessage"]

    def __init__(self, *arguments: object, **keywords: object) -> None:
        raise TypeError("SendMessage.of(target, *arguments) makes this command")

    @classmethod
    def of(cls, target: str, *arguments: Any) -> "SendMessage":
        """Return the command that calls a method with these arguments."""
        command = object.__new__(cls)
        object.__setattr__(command, "message", _Message(target, arguments))
        object.__setattr__(command, "type", "SendMessage")
        return command


class JoinGroup(msgspec.Struct, frozen=True, tag_field="type", tag="JoinGroup"):
    """Put the connection into a group."""

    group: str


class LeaveGroup(msgspec.Struct, frozen=True, tag_field="type", tag="LeaveGroup"):
    """Take the connection out of a group."""

    group: str


class CloseConnection(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="CloseConnection"):
    """Close the connection; the client gets to read the reason."""

    reason: str | None = None


Command = SendMessage | JoinGroup | LeaveGroup | CloseConnection
