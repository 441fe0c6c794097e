"""The headers of an upstream request: which event of which connection it tells of.

Nothing in them can be believed before the signature is verified, and even then it vouches for the connection id alone.

Source: Azure/azure-signalr, the emulator's HttpUpstreamTrigger.cs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

from werkzeug.datastructures import ImmutableMultiDict

from flask_signalr.errors import BadRequest

MAX_QUERY_PARAMETERS = 200
"""Parameters that a client's query may have."""

CONNECTIONS_KEPT_IN_MIND = 512
"""What the headers of so many connections mean is not read anew: a connection says the same at every call."""

_LONGEST_CONNECTION_ID = 256
_NAMES = ("Connection-Id", "Hub", "Category", "Event", "User-Id", "User-Claims", "Client-Query", "Signature")
_KEYS = {f"X-ASRS-{name}": f"HTTP_X_ASRS_{name.upper().replace('-', '_')}" for name in _NAMES}
"""What a WSGI environ calls the headers."""

_SECRET_PARAMETERS = frozenset({"access_token", "id"})
"""The service token, and the secret half of a connection's identity: handlers need neither and logs would show them."""


@dataclass(frozen=True)
class UpstreamHeaders:
    """What the headers of an upstream request say.

    Attributes:
        connection_id: The connection that the event is about.
        hub: The name that the service knows the hub by.
        category: ``connections`` or ``messages``.
        event: ``connected``, ``disconnected``, or the target of a message.
        user_id: The user id that the connection was made with; ``None`` without one.
        claims: The text that lists the claims; empty without any.
        query: The query string that the client connected with; it may hold a token.
        signature: The listed signatures; ``None`` without the header.
    """

    connection_id: str
    hub: str
    category: str
    event: str
    user_id: str | None
    claims: str = field(repr=False)
    query: str = field(repr=False)
    signature: str | None = field(repr=False)

    @classmethod
    def of(cls, environ: Mapping[str, Any]) -> "UpstreamHeaders":
        """Return the headers of a WSGI request (PEP 3333).

        Raises:
            BadRequest: One that must be there is missing or empty, or one is not UTF-8.
        """
        connection_id = _required(environ, "X-ASRS-Connection-Id")
        if len(connection_id) > _LONGEST_CONNECTION_ID:
            raise BadRequest(f"the header X-ASRS-Connection-Id has more than {_LONGEST_CONNECTION_ID} characters")
        return cls(
            connection_id=connection_id,
            hub=_required(environ, "X-ASRS-Hub"),
            category=_required(environ, "X-ASRS-Category"),
            event=_required(environ, "X-ASRS-Event"),
            user_id=_text(environ, "X-ASRS-User-Id") or None,
            claims=_text(environ, "X-ASRS-User-Claims") or "",
            query=_text(environ, "X-ASRS-Client-Query") or "",
            signature=_text(environ, "X-ASRS-Signature"),
        )


def client_query(query: str) -> ImmutableMultiDict[str, str]:
    """Return the parameters that a client connected with, without the token and the secret id of the connection.

    Args:
        query: The query string, with or without its ``?``.

    Raises:
        BadRequest: It is not UTF-8, or has more than `MAX_QUERY_PARAMETERS` parameters.
    """
    if not query:
        return ImmutableMultiDict()
    parameters = query.removeprefix("?").split("&", MAX_QUERY_PARAMETERS)
    if len(parameters) > MAX_QUERY_PARAMETERS:
        raise BadRequest(f"the client's query has more than {MAX_QUERY_PARAMETERS} parameters")
    is_escaped = "%" in query or "+" in query
    pairs = []
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if is_escaped:
            name, value = _unescape(name), _unescape(value)
        if parameter and name.strip().lower() not in _SECRET_PARAMETERS:
            pairs.append((name, value))
    return ImmutableMultiDict(pairs)


def _unescape(text: str) -> str:
    try:
        return unquote_plus(text, errors="strict")
    except UnicodeDecodeError as exc:
        raise BadRequest("the client's query (X-ASRS-Client-Query) is not UTF-8") from exc


def _required(environ: Mapping[str, Any], name: str) -> str:
    value = _text(environ, name)
    if not value:
        raise BadRequest(f"the header {name} is missing or empty")
    return value


def _text(environ: Mapping[str, Any], name: str) -> str | None:
    """Return a header's text: WSGI decodes the bytes as Latin-1, and they are UTF-8."""
    value = environ.get(_KEYS[name])
    if value is None or value.isascii():
        return value
    try:
        return str(value.encode("latin-1").decode())
    except UnicodeError as exc:
        raise BadRequest(f"the header {name} is not UTF-8") from exc
