"""Everyone, users and groups, at an emulator over sockets."""

import pytest

from flask_signalr import InvalidName, ServiceRefusedCall
from tests.rest_hub import call, live_hub, received

ODD_NAMES = ["DOMAIN\\user", "a/b", "é", "%2F", "../..", ":closeConnections", "a?b#c", "a b&c=d", "\U0001f600", "-"]


async def test_everyone_is_told() -> None:
    async with live_hub() as hub, await hub.connect("ada") as ada, await hub.connect() as nobody:
        await call(hub.clients.all.send, "news", 1, {"id": 7}, b"\x00")

        message = {"type": 1, "target": "news", "arguments": [1, {"id": 7}, "AA=="]}
        assert [await received(ada), await received(nobody)] == [message, message]


async def test_the_excluded_are_not_told() -> None:
    async with live_hub() as hub, await hub.connect("ada") as ada, await hub.connect("bob") as bob:
        await call(hub.clients.all_except(hub.connection_id("ada")).send, "first")
        await call(hub.clients.all.send, "second")

        assert (await received(bob))["target"] == "first"
        assert (await received(ada))["target"] == "second"


@pytest.mark.parametrize("user_id", ODD_NAMES)
async def test_only_the_user_is_told_whatever_its_name(user_id: str) -> None:
    """A name that leads the call elsewhere shows a private message to others, or closes their connections."""
    async with live_hub() as hub, await hub.connect(user_id) as user, await hub.connect("other") as other:
        await call(hub.clients.user(user_id).send, "private")
        await call(hub.clients.all.send, "public")

        assert (await received(user))["target"] == "private"
        assert (await received(other))["target"] == "public"


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_only_the_group_is_told_whatever_its_name(name: str) -> None:
    async with live_hub() as hub, await hub.connect("ada") as ada, await hub.connect("bob") as bob:
        group = hub.clients.group(name)
        await call(group.add, hub.connection_id("ada"))
        await call(group.send, "inside")
        await call(hub.clients.all.send, "public")

        assert (await received(ada))["target"] == "inside"
        assert (await received(bob))["target"] == "public"


async def test_a_group_has_members_and_loses_them() -> None:
    async with live_hub() as hub, await hub.connect("ada"), await hub.connect("bob"):
        group, ada, bob = hub.clients.group("lobby"), hub.connection_id("ada"), hub.connection_id("bob")
        assert not await call(group.exists)

        await call(group.add, ada)
        await call(group.add_user, "bob")

        assert await call(group.exists)
        assert await call(group.has_user, "bob")
        assert not await call(group.has_user, "eve")
        members = {(member.connection_id, member.user_id) for member in await call(lambda: list(group.connections()))}
        assert members == {(ada, "ada"), (bob, "bob")}

        await call(group.remove, ada)
        await call(group.remove_user, "bob")

        assert not await call(group.exists)
        assert not await call(group.has_user, "bob")


async def test_a_user_goes_in_and_out_of_groups() -> None:
    async with live_hub() as hub, await hub.connect("ada"):
        ada = hub.clients.user("ada")

        await call(ada.add_to, "a", ttl=600)
        await call(ada.add_to, "b")

        assert await call(ada.is_in, "a")
        await call(ada.remove_from, "a")
        assert not await call(ada.is_in, "a")
        assert await call(ada.is_in, "b")
        await call(ada.remove_from_all_groups)
        assert not await call(ada.is_in, "b")


async def test_a_user_exists_while_it_is_connected() -> None:
    async with live_hub() as hub, await hub.connect("ada"):
        assert await call(hub.clients.user("ada").exists)
        assert not await call(hub.clients.user("ad").exists)


async def test_who_is_gone_is_no_error() -> None:
    """Clients leave while they are spoken of; nothing can be done about it."""
    async with live_hub() as hub:
        group = hub.clients.group("lobby")

        for action in (group.add, group.remove):
            await call(action, "gone")
        await call(group.send, "news")
        await call(group.close)
        await call(hub.clients.user("gone").send, "news")
        await call(hub.clients.user("gone").close)


@pytest.mark.parametrize("whom", ["user", "group", "all"])
async def test_connections_are_closed_with_a_reason_but_the_excluded_ones(whom: str) -> None:
    async with live_hub() as hub, await hub.connect("ada") as ada, await hub.connect("bob") as bob:
        first, second = hub.connection_id("ada"), hub.connection_id("bob")
        if whom == "user":
            await call(hub.clients.user("ada").close, "see you & bye")
        elif whom == "group":
            for connection_id in (first, second):
                await call(hub.clients.group("lobby").add, connection_id)
            await call(hub.clients.group("lobby", second).close, "see you & bye")
        else:
            await call(hub.clients.all_except(second).close, "see you & bye")
        await call(hub.clients.all.send, "still here")

        assert (await received(ada))["error"] == "see you & bye"
        assert (await received(bob))["target"] == "still here"


async def test_a_group_may_exclude() -> None:
    async with live_hub() as hub, await hub.connect("ada") as ada, await hub.connect("bob") as bob:
        for user_id in ("ada", "bob"):
            await call(hub.clients.group("lobby").add, hub.connection_id(user_id))
        await call(hub.clients.group("lobby", hub.connection_id("ada")).send, "first")
        await call(hub.clients.group("lobby").send, "second")

        assert (await received(bob))["target"] == "first"
        assert (await received(ada))["target"] == "second"


async def test_a_message_that_is_too_large_is_refused_by_its_size() -> None:
    async with live_hub() as hub:
        with pytest.raises(ServiceRefusedCall, match="too large for the service") as refusal:
            await call(hub.clients.all.send, "news", "x" * 1_100_000)

    assert refusal.value.status == 413


async def test_a_private_message_to_dot_dot_reaches_nobody() -> None:
    """Path traversal: it would be a broadcast."""
    async with live_hub() as hub, await hub.connect("ada") as ada:
        with pytest.raises(InvalidName):
            await call(hub.clients.user("..").send, "private")
        await call(hub.clients.all.send, "public")

        assert (await received(ada))["target"] == "public"
