"""Who is in which room of the demo."""

import pytest

from demo import rooms as limits
from demo.rooms import Rooms, RoomsFull


def test_two_pages_of_one_user_are_one_member_until_both_left() -> None:
    rooms = Rooms()
    rooms.join("lobby", "first", "ada")
    rooms.join("lobby", "second", "ada")
    rooms.join("lobby", "second", "ada")

    left = rooms.leave("lobby", "second")

    assert left
    assert rooms.members("lobby") == ["ada"]
    assert rooms.leave_all("first") == ["lobby"]
    assert rooms.leave_all("second") == []
    assert rooms.members("lobby") == []


def test_who_is_in_no_room_leaves_none() -> None:
    assert not Rooms().leave("lobby", "first")


def test_memory_exhaustion_one_connection_has_a_bound_of_rooms() -> None:
    rooms = Rooms()
    for number in range(limits.MOST_ROOMS_EACH):
        rooms.join(f"room {number}", "first", "ada")

    with pytest.raises(RoomsFull, match="leave one first"):
        rooms.join("one more", "first", "ada")

    rooms.leave("room 0", "first")
    rooms.join("one more", "first", "ada")
    assert rooms.holds("one more", "first")


def test_memory_exhaustion_there_is_a_bound_of_rooms_and_who_leaves_makes_place() -> None:
    rooms = Rooms()
    for number in range(limits.MOST_ROOMS):
        rooms.join(f"room {number}", str(number), "ada")

    with pytest.raises(RoomsFull, match="choose one of them"):
        rooms.join("one more", "first", "ada")

    rooms.leave("room 0", "0")
    rooms.join("one more", "first", "ada")
    assert rooms.members("one more") == ["ada"]


def test_memory_exhaustion_a_room_has_a_bound_of_connections() -> None:
    rooms = Rooms()
    for number in range(limits.MOST_CONNECTIONS):
        rooms.join("lobby", str(number), "ada")

    with pytest.raises(RoomsFull, match="this room is full"):
        rooms.join("lobby", "one more", "ada")
