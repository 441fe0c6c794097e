"""Who is banned from the demo, and what it remembers of its users."""

import pytest

from demo import moderation as limits
from demo.moderation import Moderation, TooManyBans
from flask_signalr import AuthorizationContext, Principal

BOB = "bob@example.org"


def test_a_banned_user_is_known_at_the_door_and_at_each_call() -> None:
    """At the door by the claim that becomes the user id, whatever its case; afterwards by the user id."""
    moderation = Moderation()
    at_the_door = AuthorizationContext(Principal("bob", {"email": "Bob@Example.org"}), "chat")
    at_a_call = AuthorizationContext(Principal(BOB), "chat", "sendToAll")
    before = moderation.admits(at_the_door), moderation.admits(at_a_call)

    moderation.ban(BOB)

    assert before == (True, True)
    assert (moderation.admits(at_the_door), moderation.admits(at_a_call)) == (False, False)
    assert moderation.admits(AuthorizationContext(Principal("ada@example.org"), "chat", "sendToAll"))


def test_a_ban_can_be_lifted_once() -> None:
    moderation = Moderation()
    moderation.ban(BOB)

    lifted = moderation.lift_ban(BOB), moderation.lift_ban(BOB)

    assert lifted == (True, False)
    assert not moderation.is_banned(BOB)


def test_memory_exhaustion_the_latest_texts_of_the_latest_users_are_kept() -> None:
    moderation = Moderation()
    for number in range(limits.KEPT_TEXTS + 1):
        moderation.remember(BOB, str(number), "lobby")
    kept = [said.text for said in moderation.history(BOB)]

    for number in range(limits.KEPT_USERS):
        moderation.remember(f"user {number}", "hello")

    assert kept == [str(number) for number in range(1, limits.KEPT_TEXTS + 1)]
    assert moderation.history(BOB) == []
    assert [said.text for said in moderation.history("user 0")] == ["hello"]


def test_memory_exhaustion_there_is_a_bound_of_bans() -> None:
    moderation = Moderation()
    for number in range(limits.KEPT_USERS):
        moderation.ban(f"user {number}")

    with pytest.raises(TooManyBans, match="lift a ban first"):
        moderation.ban(BOB)

    moderation.ban("user 0")  # again
    assert not moderation.is_banned(BOB)
