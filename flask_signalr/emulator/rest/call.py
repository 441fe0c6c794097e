"""A call of the REST API that was understood and admitted: what an operation works with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask_signalr.emulator.connections import Connection
from flask_signalr.emulator.membership import Membership
from flask_signalr.emulator.names import group_name
from flask_signalr.emulator.rest.request import RestRequest
from flask_signalr.emulator.rest.response import PendingResult, RestResponse
from flask_signalr.emulator.service import Service
from flask_signalr.emulator.settings import EmulatorSettings


@dataclass(frozen=True)
class RestCall:
    """One call of the API, understood and admitted.

    Attributes:
        service: The service that it is for.
        settings: The service's times, bounds and keys.
        hub: The hub's name inside the service, with the application's name; empty if the path names no hub.
        names: What stands in the path for the placeholders of its route.
        request: The request.
        now: The time, in seconds of the service's clock.
        unix_now: The time, in Unix seconds, for tokens.
    """

    service: Service
    settings: EmulatorSettings
    hub: str
    names: Mapping[str, str]
    request: RestRequest
    now: float
    unix_now: float

    @property
    def members(self) -> Membership:
        """Who is in the hub."""
        return self.service.members(self.hub)

    @property
    def connection_id(self) -> str:
        """The connection that the path names."""
        return self.names["connectionId"]

    @property
    def user_id(self) -> str:
        """The user that the path names."""
        return self.names["user"]

    @property
    def group(self) -> str:
        """The group that the path names.

        Raises:
            BadRequest: It is no name of a group.
        """
        return group_name(self.names["group"])

    @property
    def connection(self) -> Connection | None:
        """The connection that the path names, if it is here."""
        return next(iter(self.members.with_id(self.connection_id)), None)

    @property
    def recipients(self) -> list[Connection]:
        """The connections that the path names, but those that the query excludes.

        Raises:
            BadRequest: The group is no name of one.
        """
        excluded = frozenset(self.request.each("excluded"))
        if "connectionId" in self.names:
            return self.members.with_id(self.connection_id)
        if "group" in self.names:
            return self.members.in_group(self.group, excluded)
        if "user" in self.names:
            return self.members.of_user(self.user_id, excluded)
        return self.members.everyone(excluded)


Operation = Callable[[RestCall], RestResponse | PendingResult]
"""What a route does; it raises `BadRequest` and its like for what the caller got wrong."""
