"""The clients of one hub: where every message begins."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import msgspec

from flask_signalr.error_text import kind_of
from flask_signalr.errors import ConfigurationError, InvalidName
from flask_signalr.names import check_new_user_id
from flask_signalr.negotiation import ClientAccess
from flask_signalr.rest.caller import HubCaller
from flask_signalr.rest.calls import Call, json_body, message, parameters
from flask_signalr.rest.commands import Command
from flask_signalr.rest.connection import Client
from flask_signalr.rest.recipients import Everyone, Group, User
from flask_signalr.service_errors import ServiceError

_LONGEST_TRACING_ID = 2**64 - 1


class HasConnection(Protocol):
    """What came by a connection: an invocation."""

    @property
    def connection_id(self) -> str:
        """The connection."""


@dataclass(frozen=True, slots=True)
class Several:
    """Several users or groups. They are told at once, and each whatever becomes of the others."""

    caller: HubCaller
    recipients: tuple[User, ...] | tuple[Group, ...]

    def send(self, target: str, *arguments: Any) -> None:
        """Call a method of all their clients, as `Everyone.send` does.

        Raises:
            PartialFailure: The service could not be told for some of them, or no call can name them; its
                ``failures`` names them.
        """
        body = message(target, arguments)
        self._run(lambda recipient: recipient.sending(body))

    def close(self, reason: str | None = None) -> None:
        """Close all their connections. Raises `PartialFailure`."""
        self._run(lambda recipient: recipient.closing(reason))

    def _run(self, call_for: Callable[[User | Group], Call]) -> None:
        """Make a call for each; one whom no call can name keeps none of the others from theirs."""
        calls, refused = [], {}
        for recipient in self.recipients:
            try:
                calls.append(call_for(recipient))
            except InvalidName as exc:
                refused[recipient.subject] = exc
        self.caller.run(*calls, refused=refused)


class _Token(msgspec.Struct):
    token: str


@dataclass(frozen=True, slots=True)
class HubClients:
    """The clients of one hub, in a request or outside of one. ``hub.clients`` and `ServiceClient.hub` return it.

    Attributes:
        caller: Makes the calls.
    """

    caller: HubCaller

    @property
    def all(self) -> Everyone:
        """All connections."""
        return Everyone(self.caller)

    def all_except(self, *connection_ids: str) -> Everyone:
        """Return all connections but these."""
        return Everyone(self.caller, connection_ids)

    def others(self, invocation: HasConnection) -> Everyone:
        """Return all connections but the one that an invocation came by.

        Raises:
            InvalidName: It is no invocation.
        """
        connection_id: object = getattr(invocation, "connection_id", None)
        if not isinstance(connection_id, str):
            raise InvalidName(
                f"others() takes an invocation, not {kind_of(invocation)}: all_except() takes connection ids"
            )
        return Everyone(self.caller, (connection_id,))

    def client(self, connection_id: str) -> Client:
        """Return one connection."""
        return Client(self.caller, connection_id)

    def user(self, user_id: str) -> User:
        """Return a user's connections."""
        return User(self.caller, user_id)

    def users(self, *user_ids: str) -> Several:
        """Return the connections of several users."""
        return Several(self.caller, tuple(User(self.caller, user_id) for user_id in user_ids))

    def group(self, name: str, *excluded: str) -> Group:
        """Return the connections in a group, but the excluded ones."""
        return Group(self.caller, name, excluded)

    def groups(self, *names: str) -> Several:
        """Return the connections in several groups; who is in two of them is told twice."""
        return Several(self.caller, tuple(Group(self.caller, name) for name in names))

    def using(self, *, timeout: float | None = None, tracing_id: int | None = None) -> "HubClients":
        """Return the same clients, for calls that are made in another way.

        Args:
            timeout: Seconds that a call may take, with its repetitions, at all service endpoints and for all
                recipients that it names; the client's result of an ``invoke`` included. A list of members takes
                them for each page.
            tracing_id: The number, below 2**64, that the service's logs shall know the messages by.

        Raises:
            ConfigurationError: The timeout is no time.
            InvalidName: The tracing id is no such number.
        """
        caller = self.caller
        if timeout is not None:
            caller = replace(caller, timeout=check_timeout(timeout))
        if tracing_id is not None:
            if type(tracing_id) is not int or not 0 <= tracing_id <= _LONGEST_TRACING_ID:
                raise InvalidName(f"tracing_id= takes a number from 0 to 2**64 - 1, not {tracing_id!r}")
            caller = replace(caller, tracing_id=tracing_id)
        return HubClients(caller)

    def execute(self, *commands: Command, filter: str | None = None) -> None:  # noqa: A002 -- the API's word
        """Let the service carry out commands on each connection that a filter chooses.

        Args:
            *commands: What to do, in this order.
            filter: An OData filter, such as ``startswith(userId, 'listener-')``; ``None`` for all connections. Texts
                from outside have no place in it, unless their ``'`` are doubled.

        Raises:
            ServiceError: The service refused, or could not be reached.
        """
        body = json_body(commands)
        query = parameters(filter=filter)
        self.caller.run(Call("POST", "/:execute", "everyone", query, body, knows_application=False))

    def generate_token(self, user_id: str | None = None, minutes: int = 60) -> ClientAccess:
        """Return what a client needs to connect, with a token that the service itself signs.

        It carries no claims: ``hub.negotiate`` signs without asking the service, and takes claims. Of several service
        endpoints it leads to the first.

        Args:
            user_id: What the service routes by; ``None`` connects without one.
            minutes: How long the token is valid.

        Raises:
            InvalidName: Nobody may connect under the user id, as nobody could send to it.
            ServiceError: The service refused, or could not be reached.
        """
        if user_id is not None:
            check_new_user_id(user_id)
        endpoint = self.caller.endpoints[0]
        query = parameters(userId=user_id, minutesToExpire=minutes)
        call = Call("POST", "/:generateToken", "a client's token", query, knows_application=False)
        response = self.caller.answer(endpoint, call)
        try:
            token = msgspec.json.decode(response.body if response else b"", type=_Token).token
        except (ValueError, RecursionError) as exc:
            raise ServiceError(
                "the service's answer holds no token: check the Endpoint",
                method=call.method,
                path=self.caller.address.path_of(call),
            ) from exc
        hub = self.caller.address.prefixed_path.removeprefix("api/hubs/")
        return ClientAccess(f"{endpoint.endpoint.client_base_url}client/?hub={hub}", token)


def check_timeout(timeout: object) -> float:
    """Return the seconds that a call may take; raises `ConfigurationError` for what is no time."""
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= 3600:
        raise ConfigurationError(f"timeout= takes seconds, more than 0 and up to 3600, not {timeout!r}")
    return timeout
