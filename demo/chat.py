"""The hub: what pages may call, and what they are told."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta

from demo.moderation import Moderation, Said, TooManyBans
from demo.rooms import Rooms, RoomsFull
from flask_signalr import (
    Hub,
    HubException,
    Invocation,
    Policy,
    ServiceError,
    SignalR,
    canonical_user_id,
    require_role,
)

SHOWN_USERS = 200
"""Users that a page is told of at once."""

logger = logging.getLogger("demo.chat")

Text = Annotated[str, Meta(min_length=1, max_length=500)]
UserId = Annotated[str, Meta(min_length=1, max_length=128)]
RoomName = Annotated[str, Meta(max_length=40, pattern=r"^\w[\w -]*\Z")]


@dataclass(frozen=True)
class Chat:
    """The hub, and what it remembers.

    Attributes:
        hub: The hub.
        rooms: Who is in which room.
        moderation: Who is banned, and who wrote what.
        member: The policy of what everybody may who is not banned.
        moderator: The policy of what only moderators may.
        telling: Held while a list is made and sent, so that no older list arrives after a newer one.
    """

    hub: Hub
    rooms: Rooms
    moderation: Moderation
    member: Policy
    moderator: Policy
    telling: threading.Lock = field(default_factory=threading.Lock)

    def tell_online(self, send: Callable[..., None]) -> None:
        """Tell who is online."""
        with self.telling:
            send("online", sorted(self.hub.presence.users())[:SHOWN_USERS])

    def tell_members(self, room: str) -> None:
        """Tell who is in a room, to all who are."""
        with self.telling:
            self.hub.clients.group(room).send("members", room, self.rooms.members(room)[:SHOWN_USERS])


def declare_chat(signalr: SignalR) -> None:
    """Declare the hub ``chat``."""
    moderation = Moderation()
    chat = Chat(
        signalr.hub("chat", policy=Policy(moderation.admits)),
        Rooms(),
        moderation,
        member=Policy(moderation.admits),  # a ban closes connections; a call may be faster
        moderator=Policy(moderation.admits, require_role("moderator")),
    )
    _add_presence(chat)
    _add_messages(chat)
    _add_rooms(chat)
    _add_moderation(chat)


def _add_presence(chat: Chat) -> None:
    hub = chat.hub

    @hub.on_connected
    def came(invocation: Invocation) -> None:
        if chat.moderation.is_banned(invocation.user_id):  # since it negotiated
            raise HubException("a moderator has banned you")
        try:
            chat.tell_online(hub.clients.all.send)
        except ServiceError as exc:  # no reason to turn anybody away
            logger.warning("nobody was told who came: %s", exc)

    @hub.on_disconnected
    def went(invocation: Invocation, error: str | None) -> None:
        left = chat.rooms.leave_all(invocation.connection_id)  # before anybody is told: the service may be down
        for room in left:
            chat.tell_members(room)
        chat.tell_online(hub.clients.all.send)

    @hub.method("online", policy=chat.member)
    def online(invocation: Invocation) -> None:
        chat.tell_online(hub.clients.client(invocation.connection_id).send)


def _add_messages(chat: Chat) -> None:
    hub = chat.hub

    @hub.method("sendToAll", policy=chat.member)
    def send_to_all(invocation: Invocation, text: Text) -> None:
        sender = _user_id(invocation)
        chat.moderation.remember(sender, text)
        hub.clients.all.send("newMessage", sender, text, None)

    @hub.method("sendToUser", policy=chat.member)
    def send_to_user(invocation: Invocation, to: UserId, text: Text) -> None:
        sender, recipient = _user_id(invocation), _named(to)
        if not hub.presence.is_online(recipient):
            raise HubException(f"{recipient} is not online")
        hub.clients.users(*{recipient, sender}).send("newMessage", sender, text, recipient)


def _add_rooms(chat: Chat) -> None:
    hub, rooms = chat.hub, chat.rooms

    @hub.method("join", policy=chat.member)
    def join(invocation: Invocation, room: RoomName) -> None:
        try:
            rooms.join(room, invocation.connection_id, _user_id(invocation))
        except RoomsFull as exc:
            raise HubException(str(exc)) from exc
        hub.clients.group(room).add(invocation.connection_id)
        chat.tell_members(room)

    @hub.method("leave", policy=chat.member)
    def leave(invocation: Invocation, room: RoomName) -> None:
        if rooms.leave(room, invocation.connection_id):
            hub.clients.group(room).remove(invocation.connection_id)
            chat.tell_members(room)

    @hub.method("sendToRoom", policy=chat.member)
    def send_to_room(invocation: Invocation, room: RoomName, text: Text) -> None:
        if not rooms.holds(room, invocation.connection_id):
            raise HubException(f"join the room {room} to write in it")
        sender = _user_id(invocation)
        chat.moderation.remember(sender, text, room)
        hub.clients.group(room).send("roomMessage", room, sender, text)


def _add_moderation(chat: Chat) -> None:
    hub, moderation = chat.hub, chat.moderation

    @hub.method("viewUserHistory", policy=chat.moderator)
    def view_user_history(invocation: Invocation, user_id: UserId) -> list[Said]:
        return moderation.history(_named(user_id))

    @hub.method("banUser", policy=chat.moderator)
    def ban_user(invocation: Invocation, user_id: UserId) -> None:
        banned = _named(user_id)
        if banned == invocation.user_id:
            raise HubException("you cannot ban yourself")
        try:
            moderation.ban(banned)
        except TooManyBans as exc:
            raise HubException(str(exc)) from exc
        hub.disconnect_user(banned, "a moderator has banned you")

    @hub.method("liftBan", policy=chat.moderator)
    def lift_ban(invocation: Invocation, user_id: UserId) -> bool:
        return moderation.lift_ban(_named(user_id))


def _user_id(invocation: Invocation) -> str:
    if invocation.user_id is None:
        raise HubException("this sign-in has no address, so nobody could know who writes")
    return invocation.user_id


def _named(text: str) -> str:
    """Return a user id that somebody typed, in the form that the service routes by."""
    user_id = canonical_user_id(text)
    if user_id is None:
        raise HubException("there is no such user id")
    return user_id
