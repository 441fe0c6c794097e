"""One call of a hub by a client, as its handlers see it."""

from dataclasses import dataclass
from typing import Any

from werkzeug.datastructures import ImmutableMultiDict

from flask_signalr.claims import Claims
from flask_signalr.principal import Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """A call of a hub method by a client, or the news that a client connected or went.

    Attributes:
        hub: The hub's declared name.
        connection_id: The connection that it came by.
        principal: The caller: its name is the user id, its claims those that the hub's claims filter let through.
        query: The query string that the client connected with, without tokens.
        target: The hub method, under its declared name; ``None`` when a client connected or went.
        arguments: What the client sent, as the hub protocol carried it.
        invocation_id: What the client calls the answer by; ``None`` when it waits for none.
        is_stream: Whether the client asks for a stream of items.
    """

    hub: str
    connection_id: str
    principal: Principal
    query: ImmutableMultiDict[str, str] = ImmutableMultiDict()  # noqa: RUF009 - it cannot be changed
    target: str | None = None
    arguments: tuple[Any, ...] = ()
    invocation_id: str | None = None
    is_stream: bool = False

    @property
    def user_id(self) -> str | None:
        """The text that the service routes by; ``None`` for a client that connected without one."""
        return self.principal.name

    @property
    def claims(self) -> Claims:
        """The caller's claims that the hub's claims filter let into the service token."""
        return self.principal.claims
