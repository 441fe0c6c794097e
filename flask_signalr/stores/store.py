"""What the processes of an app share: claims that are made once, and who is connected."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from flask_signalr.errors import ConfigurationError

MAX_LIFETIME = 366 * 24 * 3600
"""Seconds that anything is kept at most."""


@dataclass(frozen=True)
class Connection:
    """One client's connection to a hub.

    Attributes:
        connection_id: The service's name for it, which it never gives again.
        user_id: Whose it is; ``None`` for a guest without a user id.
    """

    connection_id: str
    user_id: str | None = None


class Store(Protocol):
    """A small store with atomic operations, for all threads and, where it says so, all processes.

    A hub is given by a key that the caller makes of its name. Times are Unix seconds that the caller reads, so that
    every process has to have about the same time; lifetimes are whole seconds.

    Every method raises `StoreUnavailable` when the store cannot be reached or takes nothing more.

    Attributes:
        is_shared: Whether all processes of the app see the same; else each knows what it was told itself.
    """

    is_shared: bool

    def claim(self, key: str, lifetime: int) -> bool:
        """Add a key if it is absent.

        What stands before the first colon of a key, if it has one, is its purpose. Where a store has bounds, each
        purpose has its own: one that is full of one still takes the others. What stands before the last colon of a
        key with two is its owner, and no owner gets more of what is left than it leaves to the others.

        Returns:
            Whether this call added it: of all that claim a key within its lifetime exactly one gets ``True``.
        """

    def confirm(self, hub: str, connection: Connection, now: float, lifetime: int) -> bool:
        """Add a connection, or note that it was alive at a time; forget those not confirmed within the lifetime.

        Returns:
            Whether it is kept: ``False`` for one that `remove` was told of before.
        """

    def remove(self, hub: str, connection_id: str, remembered: int) -> None:
        """Forget a connection, and do not add it again for so many seconds, as events may come late; 0 for none.

        Where a store has bounds, the removals of a hub have one of their own, and beyond it the oldest gives way.
        """

    def note(self, kind: str, connection_id: str, text: str, lifetime: int) -> None:
        """Write a text down about a connection, in the place of what this kind of note said of it before.

        Where a store has bounds, each kind has one of its own, and beyond it the oldest gives way.
        """

    def noted(self, kind: str, connection_id: str, lifetime: int) -> str | None:
        """Return what is noted about a connection, and keep it for so many seconds from now; ``None`` for nothing."""

    def connections(self, hub: str, user_id: str | None = None) -> Sequence[Connection]:
        """Return the connections of one user, or of all, in no order."""

    def users(self, hub: str) -> frozenset[str]:
        """Return the user ids that have a connection."""

    def count(self, hub: str) -> int:
        """Return the number of connections."""

    def take_unconfirmed(
        self, hub: str, before: float, now: float, lifetime: int, limit: int, user_id: str | None = None
    ) -> list[Connection]:
        """Return connections that were neither confirmed nor taken since a time, and note that they are taken now.

        So each is handed to one caller, who verifies it; a caller who dies meanwhile only delays that. Being taken
        confirms nothing: those not confirmed within the lifetime are forgotten first, and none of them is returned.

        Args:
            hub: Whose connections.
            before: The time.
            now: The time that they are marked with.
            lifetime: As for `confirm`.
            limit: The most that are returned; those neither confirmed nor taken for the longest come first.
            user_id: Only this user's.
        """


def check_lifetime(lifetime: object) -> int:
    """Return a lifetime, so that every store takes the same.

    Raises:
        ConfigurationError: It is not a whole number of seconds from 1 to `MAX_LIFETIME`.
    """
    if isinstance(lifetime, bool) or not isinstance(lifetime, int) or not 1 <= lifetime <= MAX_LIFETIME:
        raise ConfigurationError(f"a lifetime is a whole number of seconds from 1 to {MAX_LIFETIME}, not {lifetime!r}")
    return lifetime
