"""Who is in a hub: users, groups, and how long they last."""

from collections.abc import Iterable

from flask_signalr.emulator.connections import Connection
from flask_signalr.emulator.membership import LASTING_GROUPS, Membership
from flask_signalr.emulator.tokens import ClientIdentity

YEAR = 365 * 24 * 3600


def connection(name: str, user_id: str | None = None) -> Connection:
    return Connection(hub="chat", client=ClientIdentity(user_id), id=name, token="", outbox_limit=0, since=0)


def members_of(*connections: Connection) -> Membership:
    members = Membership()
    for each in connections:
        members.add(each, now=0)
    return members


def ids(connections: Iterable[Connection]) -> list[str]:
    return [each.id for each in connections]


def test_connections_are_found_by_id_and_by_user() -> None:
    members = members_of(connection("1", "ada"), connection("2", "ada"), connection("3", "bob"), connection("4"))

    assert ids(members.everyone()) == ["1", "2", "3", "4"]
    assert ids(members.of_user("ada")) == ["1", "2"]
    assert ids(members.with_id("3")) == ["3"]


def test_what_nobody_is_in_is_empty() -> None:
    members = members_of(connection("1"))

    assert members.of_user("ada") == members.in_group("g") == members.with_id("2") == []


def test_excluded_connections_are_left_out_everywhere() -> None:
    members = members_of(connection("1", "ada"), connection("2", "ada"))
    members.add_user_to_group("ada", "g", now=0)

    for chosen in (members.everyone(["1"]), members.of_user("ada", ["1"]), members.in_group("g", ["1"])):
        assert ids(chosen) == ["2"]


def test_an_anonymous_connection_is_not_the_user_called_none() -> None:
    members = members_of(connection("1"))

    assert members.of_user("None") == members.of_user("") == []


def test_a_connection_that_leaves_is_nowhere() -> None:
    ada = connection("1", "ada")
    members = members_of(ada, connection("2", "ada"))
    members.add_to_group("1", "g")

    members.discard(ada)
    members.discard(ada)

    assert ids(members.everyone()) == ["2"]
    assert ids(members.of_user("ada")) == ["2"]
    assert members.in_group("g") == []


def test_an_anonymous_connection_that_leaves_is_nowhere() -> None:
    anonymous = connection("1")
    members = members_of(anonymous)

    members.discard(anonymous)

    assert members.everyone() == []


def test_a_connection_joins_and_leaves_a_group() -> None:
    members = members_of(connection("1"), connection("2"))

    assert members.add_to_group("1", "g")
    assert ids(members.in_group("g")) == ["1"]
    assert members.remove_from_group("1", "g")
    assert members.in_group("g") == []


def test_what_is_not_there_can_neither_join_nor_leave() -> None:
    members = members_of(connection("1"))

    assert not members.add_to_group("2", "g")
    assert not members.remove_from_group("1", "g")


def test_a_user_in_a_group_brings_connections_of_now_and_of_later() -> None:
    members = members_of(connection("1", "ada"), connection("2", "bob"))

    members.add_user_to_group("ada", "g", now=0)
    members.add(connection("3", "ada"), now=YEAR - 1)
    members.add(connection("4", "bob"), now=YEAR - 1)

    assert ids(members.in_group("g")) == ["1", "3"]


def test_a_user_joins_a_group_before_connecting() -> None:
    members = Membership()

    members.add_user_to_group("ada", "g", now=0)
    members.add(connection("1", "ada"), now=1)

    assert ids(members.in_group("g")) == ["1"]


def test_a_time_limit_ends_what_later_connections_join() -> None:
    """Those that are in the group stay: source, the service's own emulator."""
    members = members_of(connection("1", "ada"))

    members.add_user_to_group("ada", "g", now=0, ttl=10)
    members.add(connection("2", "ada"), now=9)
    members.add(connection("3", "ada"), now=10)

    assert ids(members.in_group("g")) == ["1", "2"]


def test_no_time_at_all_is_for_the_connections_of_now() -> None:
    members = members_of(connection("1", "ada"))
    members.add_user_to_group("ada", "g", now=0)

    members.add_user_to_group("ada", "g", now=0, ttl=0)
    members.add(connection("2", "ada"), now=0)

    assert ids(members.in_group("g")) == ["1"]


def test_a_user_is_in_no_more_groups_for_ever_than_the_service_keeps() -> None:
    """A bound, and the service's own: the group joined or renewed longest ago is forgotten."""
    members = Membership()
    for number in range(LASTING_GROUPS):
        members.add_user_to_group("ada", f"g{number}", now=0)
    members.add_user_to_group("ada", "limited", now=0, ttl=100)

    members.add_user_to_group("ada", "g0", now=1)
    members.add_user_to_group("ada", "one more", now=1)
    members.add(connection("1", "ada"), now=2)

    assert members.in_group("g1") == []
    for group in ("g0", "g2", "one more", "limited"):
        assert ids(members.in_group(group)) == ["1"]


def test_a_user_leaves_a_group_with_all_connections() -> None:
    members = members_of(connection("1", "ada"), connection("2", "bob"))
    for user in ("ada", "bob"):
        members.add_user_to_group(user, "g", now=0)

    members.remove_user_from_group("ada", "g")
    members.remove_user_from_group("eve", "g")
    members.add(connection("3", "ada"), now=0)

    assert ids(members.in_group("g")) == ["2"]


def test_a_user_leaves_all_groups_also_where_a_connection_joined_alone() -> None:
    members = members_of(connection("1", "ada"), connection("2", "bob"))
    members.add_user_to_group("ada", "g", now=0)
    members.add_to_group("1", "h")
    members.add_to_group("2", "h")

    members.remove_user_from_groups("ada")
    members.remove_user_from_groups("eve")
    members.add(connection("3", "ada"), now=0)

    assert members.in_group("g") == []
    assert ids(members.in_group("h")) == ["2"]


def test_a_connection_leaves_all_its_groups_and_the_user_stays() -> None:
    members = members_of(connection("1", "ada"), connection("2"))
    members.add_user_to_group("ada", "g", now=0)
    for each in ("1", "2"):
        members.add_to_group(each, "h")
    assert members.groups_of("1") == ["g", "h"]

    members.remove_from_groups("1")
    members.remove_from_groups("nobody")

    assert members.groups_of("1") == []
    assert ids(members.in_group("h")) == ["2"]
    assert members.is_user_in_group("ada", "g", now=0)


def test_a_user_is_in_a_group_while_the_time_lasts() -> None:
    members = members_of(connection("1", "ada"))
    members.add_user_to_group("ada", "g", now=0, ttl=5)
    members.add_to_group("1", "h")

    assert members.is_user_in_group("ada", "g", now=4.9)
    assert not members.is_user_in_group("ada", "g", now=5)
    assert not members.is_user_in_group("ada", "h", now=0)
    assert not members.is_user_in_group("bob", "g", now=0)
