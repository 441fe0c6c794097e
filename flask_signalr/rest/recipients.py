"""Whom an app speaks to, and what it can say and do to them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from flask_signalr.names import LONGEST_NAME, part
from flask_signalr.rest.caller import HubCaller
from flask_signalr.rest.calls import Call, closing, exclusions, message, time_to_live
from flask_signalr.rest.group_members import GroupMembers

_SHOWN_CHARACTERS = 50


@dataclass(frozen=True, slots=True)
class Everyone:
    """All connections of a hub, but the excluded ones."""

    caller: HubCaller
    excluded: tuple[str, ...] = ()

    def send(self, target: str, *arguments: Any) -> None:
        """Call a method of all clients.

        Args:
            target: The method's name, as the clients registered it.
            *arguments: What it is called with; whatever msgspec can write as JSON.

        Raises:
            ServiceError: The service refused, or could not be reached.
            ProtocolError: JSON cannot hold an argument.
            InvalidName: An excluded connection cannot be named in a URL.
        """
        body = message(target, arguments)
        self.caller.run(Call("POST", "/:send", "everyone", exclusions(self.excluded), body))

    def close(self, reason: str | None = None) -> None:
        """Close the connections; the clients get to read the reason, and may come again. Raises `ServiceError`."""
        self.caller.run(Call("POST", "/:closeConnections", "everyone", closing(reason, self.excluded)))


@dataclass(frozen=True, slots=True)
class User:
    """All connections of one user."""

    caller: HubCaller
    user_id: str

    @property
    def subject(self) -> str:
        """What an error calls the user."""
        return f"user {_shown(self.user_id)}"

    def send(self, target: str, *arguments: Any) -> None:
        """Call a method of the user's clients, as `Everyone.send` does; nobody there is no error."""
        self.caller.run(self.sending(message(target, arguments)))

    def sending(self, body: bytes) -> Call:
        """Return the call that sends a message."""
        return _user_call(self.user_id, "POST", "/:send", body=body)

    def closing(self, reason: str | None, excluded: Iterable[str] = ()) -> Call:
        """Return the call that closes the connections."""
        return _user_call(self.user_id, "POST", "/:closeConnections", closing(reason, excluded))

    def exists(self) -> bool:
        """Return whether the user is connected. Raises `ServiceError`."""
        return self.caller.exists(_user_call(self.user_id, "HEAD"))

    def close(self, reason: str | None = None, excluded: Iterable[str] = ()) -> None:
        """Close the user's connections, but the excluded ones. Raises `ServiceError`."""
        self.caller.run(self.closing(reason, excluded))

    def add_to(self, group: str, ttl: int | None = None) -> None:
        """Put the user, with connections to come, into a group; see `Group.add_user`."""
        Group(self.caller, group).add_user(self.user_id, ttl=ttl)

    def remove_from(self, group: str) -> None:
        """Take the user out of a group. Raises `ServiceError`."""
        Group(self.caller, group).remove_user(self.user_id)

    def is_in(self, group: str) -> bool:
        """Return whether the user was put into a group. Raises `ServiceError`."""
        return Group(self.caller, group).has_user(self.user_id)

    def remove_from_all_groups(self) -> None:
        """Take the user out of all groups. Raises `ServiceError`."""
        self.caller.run(_user_call(self.user_id, "DELETE", "/groups"))


@dataclass(frozen=True, slots=True)
class Group:
    """The connections in a group, but the excluded ones."""

    caller: HubCaller
    name: str
    excluded: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """What an error calls the group."""
        return f"group {_shown(self.name)}"

    def send(self, target: str, *arguments: Any) -> None:
        """Call a method of the clients in the group, as `Everyone.send` does; nobody there is no error."""
        self.caller.run(self.sending(message(target, arguments)))

    def sending(self, body: bytes) -> Call:
        """Return the call that sends a message."""
        return _group_call(self.name, "POST", "/:send", exclusions(self.excluded), body)

    def closing(self, reason: str | None) -> Call:
        """Return the call that closes the connections."""
        return _group_call(self.name, "POST", "/:closeConnections", closing(reason, self.excluded))

    def exists(self) -> bool:
        """Return whether any connection is in the group. Raises `ServiceError`."""
        return self.caller.exists(_group_call(self.name, "HEAD"))

    def close(self, reason: str | None = None) -> None:
        """Close the connections in the group. Raises `ServiceError`."""
        self.caller.run(self.closing(reason))

    def connections(self, page_size: int | None = None, top: int | None = None) -> GroupMembers:
        """Return the connections in the group, which are asked for as they are looked at.

        Args:
            page_size: How many to ask for at once, 1 to 200.
            top: How many to return at most; ``None`` for all.
        """
        return GroupMembers(self.caller, _group_call(self.name, "GET", "/connections"), page_size, top)

    def add(self, connection_id: str) -> None:
        """Put a connection into the group; one that is gone is no error. Raises `ServiceError`."""
        self.caller.run(_group_call(self.name, "PUT", f"/connections/{part('connection', connection_id)}"))

    def remove(self, connection_id: str) -> None:
        """Take a connection out of the group; one that is not in it is no error. Raises `ServiceError`."""
        self.caller.run(_group_call(self.name, "DELETE", f"/connections/{part('connection', connection_id)}"))

    def add_user(self, user_id: str, ttl: int | None = None) -> None:
        """Put a user into the group, with the connections that it has and will have.

        Args:
            user_id: The user.
            ttl: Seconds for which it is a member; 0 for the connections of this moment alone; ``None`` for a year,
                in the 100 groups that were named last.

        Raises:
            ServiceError: The service refused, or could not be reached.
        """
        self.caller.run(_user_call(user_id, "PUT", f"/groups/{part('group', self.name)}", time_to_live(ttl)))

    def remove_user(self, user_id: str) -> None:
        """Take a user out of the group. Raises `ServiceError`."""
        self.caller.run(_user_call(user_id, "DELETE", f"/groups/{part('group', self.name)}"))

    def has_user(self, user_id: str) -> bool:
        """Return whether a user was put into the group. Raises `ServiceError`."""
        return self.caller.exists(_user_call(user_id, "HEAD", f"/groups/{part('group', self.name)}"))


def _user_call(user_id: str, method: str, path: str = "", query: str = "", body: bytes | None = None) -> Call:
    return Call(method, f"/users/{part('user', user_id)}{path}", f"user {user_id!r}", query, body)


def _group_call(name: str, method: str, path: str = "", query: str = "", body: bytes | None = None) -> Call:
    return Call(method, f"/groups/{part('group', name)}{path}", f"group {name!r}", query, body)


def _shown(name: object) -> str:
    """Return a name for the reader of an error, who may be told of one that is longer than any can be."""
    return repr(name) if len(str(name)) <= LONGEST_NAME else f"{str(name)[:_SHOWN_CHARACTERS]!r} and so on"
