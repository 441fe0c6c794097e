"""The operations of the data-plane REST API 2024-12-01, as values: what to call, before it is known where.

Source: Azure/azure-signalr:docs/swagger/v20241201.json.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from flask_signalr.errors import InvalidName, ProtocolError
from flask_signalr.names import escaped, part

API_VERSION = "2024-12-01"
LARGEST_PAGE = 200
"""Members of a group that one answer lists at most."""

_LARGEST_INT32 = 2**31 - 1
_encode_json = msgspec.json.Encoder().encode
_NOT_JSON = (TypeError, ValueError, OverflowError, RecursionError)


@dataclass(frozen=True, slots=True)
class Call:
    """One operation on a hub.

    Attributes:
        method: The HTTP method.
        path: What follows the hub's own path, escaped.
        subject: What it is about, for the reader of an error.
        query: What follows the ``api-version``, escaped; empty or begins with ``&``.
        body: The JSON body; ``None`` for none.
        knows_application: Whether the operation takes the application's name; else it is a part of the hub's.
    """

    method: str
    path: str
    subject: str
    query: str = ""
    body: bytes | None = None
    knows_application: bool = True


@dataclass(frozen=True, slots=True)
class HubAddress:
    """A hub as the URLs of the REST API name it.

    Attributes:
        path: Its path below a service endpoint.
        query: What every call says in its query: the application and the version.
        prefixed_path: The path of a hub whose name begins with the application's.
    """

    path: str
    query: str
    prefixed_path: str

    @classmethod
    def of(cls, hub: str, application_name: str = "") -> "HubAddress":
        """Return the address of a hub.

        Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR.Management/RestApiProvider.cs.
        """
        hub_part, application = quote(hub.lower(), safe=""), quote(application_name.lower(), safe="")
        prefix, parameter = (f"{application}_", f"application={application}&") if application else ("", "")
        return cls(f"api/hubs/{hub_part}", f"?{parameter}api-version={API_VERSION}", f"api/hubs/{prefix}{hub_part}")

    def resource(self, call: Call) -> str:
        """Return path and query of a call without its own parameters: what the call's token is made for."""
        if call.knows_application:
            return f"{self.path}{call.path}{self.query}"
        return f"{self.prefixed_path}{call.path}?api-version={API_VERSION}"

    def path_of(self, call: Call) -> str:
        """Return the path of a call as errors tell it."""
        return "/" + self.resource(call).partition("?")[0]


def parameters(**values: object) -> str:
    """Return what these add to a query; ``None`` adds nothing.

    Raises:
        InvalidName: A text cannot be written into a URL.
    """
    return "".join(f"&{name}={escaped(str(value))}" for name, value in values.items() if value is not None)


def exclusions(connection_ids: Iterable[str]) -> str:
    """Return what excludes connections; raises `InvalidName` for what names none."""
    excluded = [connection_ids] if isinstance(connection_ids, str) else list(connection_ids)
    return "".join(f"&excluded={part('connection', each)}" for each in excluded)


def closing(reason: str | None, excluded: Iterable[str] = ()) -> str:
    """Return what tells why connections are closed, and which are not."""
    return exclusions(excluded) + parameters(reason=reason)


def time_to_live(seconds: int | None) -> str:
    """Return what limits a user's membership; raises `InvalidName` for what is no number of seconds."""
    if seconds is not None and (type(seconds) is not int or not 0 <= seconds <= _LARGEST_INT32):
        raise InvalidName(f"ttl= takes whole seconds, 0 to {_LARGEST_INT32}, not {seconds!r}")
    return parameters(ttl=seconds)


def message(target: object, arguments: Sequence[Any]) -> bytes:
    """Return the body of a message: bytes become base64 text and times ISO 8601, as .NET's JSON has them.

    Raises:
        ProtocolError: There is no target, or JSON cannot hold an argument.
    """
    if not isinstance(target, str) or not target:
        raise ProtocolError("send(target, …) begins with the name of the clients' method, as text")
    return json_body({"target": target, "arguments": arguments})


def json_body(content: object) -> bytes:
    """Return a body of JSON; raises `ProtocolError` for what JSON cannot hold."""
    try:
        return _encode_json(content)
    except _NOT_JSON as exc:
        raise ProtocolError(f"JSON cannot hold what is to be sent: {exc}") from exc
