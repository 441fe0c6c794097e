"""pysignalr and signalrcore call the methods of a Flask hub, over real sockets and both protocols."""

from collections.abc import Iterator

import pytest

from tests.client_process import Client, ClientProcess
from tests.serverless import CALLS, ServerlessSite, serverless_site


@pytest.fixture(scope="module")
def site() -> Iterator[ServerlessSite]:
    with serverless_site() as site:
        yield site


def client(clients: ClientProcess, site: ServerlessSite, user_id: str, protocol: str) -> Client:
    headers = {"Authorization": f"Bearer {site.token(user_id)}"}
    return clients.client(site.hub(), headers=headers, protocol=protocol)


@pytest.mark.parametrize("protocol", ["json", "messagepack"])
def test_calls_are_answered_and_messages_reach_groups_and_users(
    clients: ClientProcess, site: ServerlessSite, protocol: str, request: pytest.FixtureRequest
) -> None:
    """As with the official client, but for what they do not know: they tell no void from null."""
    user_id = f"bob-{request.node.callspec.id}"
    with client(clients, site, "ada", protocol) as ada, client(clients, site, user_id, protocol) as bob:
        answers = [ada.invoke(*call) for call, _ in CALLS]
        ada.invoke("join", "a room")
        bob.invoke("tellGroup", "a room", "for the room")
        ada.invoke("whisper", user_id, "for bob")
        heard = [ada.message(), bob.message()]
        bob.send("tellOthers", "from bob")
        heard += [ada.message()]
        (bob_id,) = site.emulator.call(
            lambda running: [one.id for one in running.service.connections if one.client.user_id == user_id]
        )

    assert answers == [answer for _, answer in CALLS]
    assert heard == [("news", "for the room"), ("news", "ada", "for bob"), ("news", "from bob")]
    assert site.journal.wait_for(bob_id, "disconnected") == [("connected", user_id), ("disconnected", user_id)]
