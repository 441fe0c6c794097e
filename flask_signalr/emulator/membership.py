"""Who is in a hub: its connections, by id, by user and by group."""

from collections.abc import Collection
from typing import NamedTuple

from flask_signalr.emulator.connections import Connection

LASTING_GROUPS = 100
"""Groups that a user can be in without a time limit; of more, the one joined longest ago is forgotten."""

_YEAR = 365 * 24 * 3600.0


class _Stay(NamedTuple):
    """A user's stay in a group."""

    expires_at: float
    is_lasting: bool


class Membership:
    """The connections, users and groups of one hub.

    A connection is in a group until it leaves or is gone. A *user* in a group brings along each connection that the
    user opens later. Users and groups exist while somebody is in them. Times are in seconds of the service's clock.

    Source: Azure/azure-signalr:docs/swagger/V20220601.json.
    """

    def __init__(self) -> None:
        self._connections: dict[str, Connection] = {}
        self._users: dict[str, dict[str, Connection]] = {}
        self._groups: dict[str, dict[str, Connection]] = {}
        self._stays: dict[str, dict[str, _Stay]] = {}

    def everyone(self, excluded: Collection[str] = ()) -> list[Connection]:
        """Return all connections but those with the excluded ids."""
        return _without(self._connections, excluded)

    def of_user(self, user_id: str, excluded: Collection[str] = ()) -> list[Connection]:
        """Return the connections of a user but those with the excluded ids."""
        return _without(self._users.get(user_id, {}), excluded)

    def in_group(self, group: str, excluded: Collection[str] = ()) -> list[Connection]:
        """Return the connections of a group but those with the excluded ids."""
        return _without(self._groups.get(group, {}), excluded)

    def with_id(self, connection_id: str) -> list[Connection]:
        """Return the connection of this id: one, or none."""
        connection = self._connections.get(connection_id)
        return [] if connection is None else [connection]

    def add(self, connection: Connection, now: float) -> None:
        """Let a connection in, as its user and into the groups that the user is in."""
        self._connections[connection.id] = connection
        user_id = connection.client.user_id
        if user_id is not None:
            self._users.setdefault(user_id, {})[connection.id] = connection
            for group in self._current_stays(user_id, now):
                self._groups.setdefault(group, {})[connection.id] = connection

    def discard(self, connection: Connection) -> None:
        """Let a connection go, from all groups too; one that is not here is no error."""
        if self._connections.pop(connection.id, None) is None:
            return
        if connection.client.user_id is not None:
            _remove(self._users, connection.client.user_id, connection)
        self.remove_from_groups(connection.id)

    def add_to_group(self, connection_id: str, group: str) -> bool:
        """Put a connection into a group; ``False`` if there is no such connection."""
        connection = self._connections.get(connection_id)
        if connection is None:
            return False
        self._groups.setdefault(group, {})[connection_id] = connection
        return True

    def remove_from_group(self, connection_id: str, group: str) -> bool:
        """Take a connection out of a group; ``False`` if it was not in it."""
        connection = self._groups.get(group, {}).get(connection_id)
        if connection is None:
            return False
        _remove(self._groups, group, connection)
        return True

    def groups_of(self, connection_id: str) -> list[str]:
        """Return the groups that a connection is in."""
        return [group for group, connections in self._groups.items() if connection_id in connections]

    def remove_from_groups(self, connection_id: str) -> None:
        """Take a connection out of all groups; one that is in none is no error."""
        for group in self.groups_of(connection_id):
            self.remove_from_group(connection_id, group)

    def add_user_to_group(self, user_id: str, group: str, now: float, ttl: float | None = None) -> None:
        """Put a user into a group, with the connections of now and of later.

        Args:
            user_id: The user; need not be connected.
            group: The group.
            now: The time.
            ttl: For how many seconds later connections join; ``None`` for a year and as one of `LASTING_GROUPS`.
        """
        for connection in self.of_user(user_id):
            self._groups.setdefault(group, {})[connection.id] = connection
        stays = self._current_stays(user_id, now)
        stays.pop(group, None)
        stays[group] = _Stay(now + (_YEAR if ttl is None else ttl), ttl is None)
        lasting = [name for name, stay in stays.items() if stay.is_lasting]
        if len(lasting) > LASTING_GROUPS:
            del stays[lasting[0]]
        self._stays[user_id] = stays

    def is_user_in_group(self, user_id: str, group: str, now: float) -> bool:
        """Tell whether a user was put into a group, and for long enough; what single connections joined is theirs."""
        return group in self._current_stays(user_id, now)

    def remove_user_from_group(self, user_id: str, group: str) -> None:
        """Take a user out of a group, with all connections; one that is not in it is no error."""
        self._stays.get(user_id, {}).pop(group, None)
        for connection in self.of_user(user_id):
            _remove(self._groups, group, connection)

    def remove_user_from_groups(self, user_id: str) -> None:
        """Take a user out of all groups, with all connections, also where these had joined alone.

        Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR.Emulator/Controllers/SignalRServiceEmulatorWebApi.cs.
        """
        self._stays.pop(user_id, None)
        for connection in self.of_user(user_id):
            self.remove_from_groups(connection.id)

    def _current_stays(self, user_id: str, now: float) -> dict[str, _Stay]:
        """Return the groups that a user is in, oldest first; those whose time is over are forgotten."""
        stays = {group: stay for group, stay in self._stays.get(user_id, {}).items() if stay.expires_at > now}
        if stays:
            self._stays[user_id] = stays
        else:
            self._stays.pop(user_id, None)
        return stays


def _without(connections: dict[str, Connection], excluded: Collection[str]) -> list[Connection]:
    return [connection for id_, connection in connections.items() if id_ not in excluded]


def _remove(index: dict[str, dict[str, Connection]], name: str, connection: Connection) -> None:
    """Take a connection out of one entry of an index, and the entry with the last one."""
    entry = index.get(name, {})
    if entry.pop(connection.id, None) is not None and not entry:
        del index[name]
