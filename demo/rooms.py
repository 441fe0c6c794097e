"""Rooms: which connections are in them. The service knows its groups, too, but not whose connections those are."""

import threading

MOST_ROOMS = 200
MOST_ROOMS_EACH = 10
"""Rooms that one connection may be in."""
MOST_CONNECTIONS = 1_000
"""Connections that one room has place for."""


class RoomsFull(Exception):
    """There is no place; the text is for who wants to come in."""


class Rooms:
    """Remembers, in this process and for as long as it runs. A room is there while somebody is in it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rooms: dict[str, dict[str, str]] = {}

    def join(self, room: str, connection_id: str, user_id: str) -> None:
        """Let a connection into a room.

        Raises:
            RoomsFull: There are too many rooms, or too many connections in it; or it is in too many.
        """
        with self._lock:
            if self._is_in(room, connection_id):
                return
            if sum(connection_id in members for members in self._rooms.values()) >= MOST_ROOMS_EACH:
                raise RoomsFull(f"you are in {MOST_ROOMS_EACH} rooms already: leave one first")
            if room not in self._rooms and len(self._rooms) >= MOST_ROOMS:
                raise RoomsFull(f"there are {MOST_ROOMS} rooms already: choose one of them")
            if len(self._rooms.get(room, ())) >= MOST_CONNECTIONS:
                raise RoomsFull("this room is full")
            self._rooms.setdefault(room, {})[connection_id] = user_id

    def leave(self, room: str, connection_id: str) -> bool:
        """Take a connection out of a room; return whether it was in it."""
        with self._lock:
            if not self._is_in(room, connection_id):
                return False
            self._take(room, connection_id)
            return True

    def leave_all(self, connection_id: str) -> list[str]:
        """Take a connection out of every room; return the rooms that it was in."""
        with self._lock:
            left = [room for room, members in self._rooms.items() if connection_id in members]
            for room in left:
                self._take(room, connection_id)
            return left

    def holds(self, room: str, connection_id: str) -> bool:
        """Return whether a connection is in a room."""
        with self._lock:
            return self._is_in(room, connection_id)

    def members(self, room: str) -> list[str]:
        """Return the user ids in a room."""
        with self._lock:
            return sorted(set(self._rooms.get(room, {}).values()))

    def _take(self, room: str, connection_id: str) -> None:
        del self._rooms[room][connection_id]
        if not self._rooms[room]:
            del self._rooms[room]

    def _is_in(self, room: str, connection_id: str) -> bool:
        return connection_id in self._rooms.get(room, {})
