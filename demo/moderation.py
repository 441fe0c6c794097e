"""Moderation: what people wrote where others read it, and who may not come in any more."""

import threading
from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import UTC, datetime

from flask_signalr import AuthorizationContext, by_email

KEPT_TEXTS = 50
"""Texts that are kept of each user, the latest ones."""
KEPT_USERS = 1_000
"""Users whose texts are kept, and users who can be banned."""


@dataclass(frozen=True)
class Said:
    """A text that somebody wrote.

    Attributes:
        text: The text.
        room: The room that it was written in; ``None`` if it was for everyone.
        at: When.
    """

    text: str
    room: str | None
    at: datetime


class TooManyBans(Exception):
    """No more users can be banned."""


class Moderation:
    """Remembers, in this process and for as long as it runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._said: OrderedDict[str, deque[Said]] = OrderedDict()
        self._banned: set[str] = set()

    def admits(self, context: AuthorizationContext) -> bool:
        """Say whether a user is not banned: a requirement of the hub, at its door, and of each of its methods."""
        at_the_door = context.method is None  # there the principal is not named by its user id yet
        user_id = by_email(context.principal) if at_the_door else context.principal.name
        return not self.is_banned(user_id)

    def is_banned(self, user_id: str | None) -> bool:
        """Return whether a user is banned."""
        with self._lock:
            return user_id in self._banned

    def ban(self, user_id: str) -> None:
        """Ban a user.

        Raises:
            TooManyBans: There are too many already.
        """
        with self._lock:
            if len(self._banned) >= KEPT_USERS and user_id not in self._banned:
                raise TooManyBans(f"{KEPT_USERS} users are banned already: lift a ban first")
            self._banned.add(user_id)

    def lift_ban(self, user_id: str) -> bool:
        """Let a user in again; return whether there was a ban."""
        with self._lock:
            was_banned = user_id in self._banned
            self._banned.discard(user_id)
            return was_banned

    def remember(self, user_id: str, text: str, room: str | None = None) -> None:
        """Keep a text; whoever wrote nothing for the longest time is forgotten when there are too many."""
        with self._lock:
            texts = self._said.setdefault(user_id, deque(maxlen=KEPT_TEXTS))
            texts.append(Said(text, room, datetime.now(UTC)))
            self._said.move_to_end(user_id)
            if len(self._said) > KEPT_USERS:
                self._said.popitem(last=False)

    def history(self, user_id: str) -> list[Said]:
        """Return what a user wrote, the latest last."""
        with self._lock:
            return list(self._said.get(user_id, ()))
