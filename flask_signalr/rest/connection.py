"""One connection: messages, questions that it answers, and the streams that it asked for."""

from dataclasses import dataclass
from typing import Any, TypeVar, overload

import msgspec

from flask_signalr.errors import InvalidName
from flask_signalr.names import part
from flask_signalr.rest.caller import HubCaller
from flask_signalr.rest.calls import Call, closing, json_body, message, parameters
from flask_signalr.service_errors import ServiceError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Client:
    """One connection."""

    caller: HubCaller
    connection_id: str

    def send(self, target: str, *arguments: Any) -> None:
        """Call a method of the client, as `Everyone.send` does; one that is gone is no error."""
        self.caller.run(_connection_call(self.connection_id, "POST", "/:send", body=message(target, arguments)))

    @overload
    def invoke(self, target: str, *arguments: Any, result_type: type[T]) -> T: ...
    @overload
    def invoke(self, target: str, *arguments: Any) -> Any: ...
    def invoke(self, target: str, *arguments: Any, result_type: Any = Any) -> Any:
        """Call a method of the client and return its result; `HubClients.using` says how long to wait for it.

        Args:
            target: The method's name, as the client registered it.
            *arguments: What it is called with.
            result_type: What the result is to be; msgspec checks and converts it.

        Raises:
            RecipientNotFound: The connection is gone.
            ClientInvocationFailed: The client answered with an error, or not in time.
            ServiceError: The service refused, could not be reached, or the result is something else.
        """
        call = _connection_call(self.connection_id, "POST", "/:invoke", body=message(target, arguments))
        response = self.caller.reach(call)
        try:
            answer = msgspec.json.decode(response.body, type=dict[str, Any])
            return msgspec.convert(answer.get("result"), result_type)
        except (ValueError, RecursionError) as exc:
            raise ServiceError(
                f"the client's result of {target!r} is not what was asked for: {exc}",
                method=call.method,
                path=self.caller.address.path_of(call),
                status=response.status,
                request_id=response.headers.get("x-ms-request-id"),
            ) from exc

    def exists(self) -> bool:
        """Return whether the connection is there. Raises `ServiceError`."""
        return self.caller.exists(_connection_call(self.connection_id, "HEAD"))

    def close(self, reason: str | None = None) -> None:
        """Close the connection; one that is gone is no error. Raises `ServiceError`."""
        self.caller.run(_connection_call(self.connection_id, "DELETE", query=closing(reason)))

    def remove_from_all_groups(self) -> None:
        """Take the connection out of all groups. Raises `ServiceError`."""
        self.caller.run(_connection_call(self.connection_id, "DELETE", "/groups"))

    def stream(self, stream_id: str | None) -> "ClientStream":
        """Return a stream that the client asked for, by the id of its invocation.

        Raises:
            InvalidName: There is no id: the client invoked without waiting for anything.
        """
        if stream_id is None:
            raise InvalidName("an invocation without an id awaits no stream: a method with stream=True always has one")
        return ClientStream(self.caller, self.connection_id, stream_id)


@dataclass(frozen=True, slots=True)
class ClientStream:
    """A stream that a client asked for."""

    caller: HubCaller
    connection_id: str
    stream_id: str

    def send(self, item: Any, completed: bool = False) -> None:
        """Send an item; with ``completed`` it is the last one.

        Raises:
            RecipientNotFound: The connection or the stream is gone.
            ServiceError: The service refused, or could not be reached.
        """
        query = parameters(completed="true" if completed else None)
        self.caller.reach(self._call("/:send", query, json_body(item)))

    def complete(self, error: str | None = None) -> None:
        """End the stream, with an error for the client to read if there is one. Raises as `send` does."""
        self.caller.reach(self._call("/:complete", parameters(reason=error)))

    def _call(self, operation: str, query: str, body: bytes | None = None) -> Call:
        path = f"/streams/{part('stream', self.stream_id)}{operation}"
        return _connection_call(self.connection_id, "POST", path, query, body)


def _connection_call(
    connection_id: str, method: str, path: str = "", query: str = "", body: bytes | None = None
) -> Call:
    return Call(
        method, f"/connections/{part('connection', connection_id)}{path}", f"connection {connection_id!r}", query, body
    )
