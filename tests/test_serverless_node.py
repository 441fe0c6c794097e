"""The official JavaScript client in Node calls the methods of a Flask hub, over real sockets and both protocols."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.client_process import Client, ClientProcess, Refused
from tests.serverless import CALLS, ODD_NAME, WAYS, ServerlessSite, serverless_site

over_every_way = pytest.mark.parametrize(("transport", "protocol"), WAYS)


@pytest.fixture(scope="module")
def site() -> Iterator[ServerlessSite]:
    with serverless_site() as site:
        yield site


def client(node: ClientProcess, site: ServerlessSite, user_id: str, way: tuple[str, str], **claims: Any) -> Client:
    transport, protocol = way
    return node.client(site.hub(), token=site.token(user_id, **claims), transport=transport, protocol=protocol)


@over_every_way
def test_calls_are_answered_as_the_client_s_own_server_would(
    node: ClientProcess, site: ServerlessSite, transport: str, protocol: str
) -> None:
    """Each kind of answer, on one connection: none of them spoils it for the next."""
    with client(node, site, "ada", (transport, protocol)) as ada:
        answers = [ada.invoke(*call) for call, _ in CALLS]
        nothing = ada.invoke("echo", None)
        wrong = [ada.invoke("double"), ada.invoke("double", 1, 2), ada.invoke("double", "two")]
        crashed = ada.invoke("crash")["error"]
        carried_by = site.emulator.call(
            lambda running: [(c.transport, c.protocol) for c in running.service.connections if c.id == ada.id]
        )

    failed = "Failed to invoke 'double' due to an error on the server. "
    assert answers == [answer for _, answer in CALLS]
    assert nothing == {"result": None}
    assert wrong[0] == {"error": failed + "Invocation provides 0 argument(s) but target expects 1."}
    assert wrong[1] == {"error": failed + "Invocation provides 2 argument(s) but target expects 1."}
    assert wrong[2]["error"].startswith(failed)
    assert "two" not in wrong[2]["error"]
    assert crashed.startswith("An unexpected error occurred invoking 'crash' on the server. (error id ")
    assert "swordfish" not in crashed
    assert ("ban", "bob") not in site.journal.of(ada.id)
    assert [(each.value, spoken.name) for each, spoken in carried_by if each and spoken] == [(transport, protocol)]


def test_messagepack_carries_dates_and_bytes_as_such(node: ClientProcess, site: ServerlessSite) -> None:
    with client(node, site, "ada", ("WebSockets", "messagepack")) as ada:
        answer = ada.invoke("tomorrow", {"date": "2026-02-28T12:00:00.250Z"}, {"bytes": [0, 127, 255]})

    assert answer == {"result": [{"date": "2026-03-01T12:00:00.250Z"}, {"bytes": [255, 127, 0]}]}


def test_a_policy_lets_pass_whom_it_is_for(node: ClientProcess, site: ServerlessSite) -> None:
    with client(node, site, "ada", WAYS[0], role=["staff", "admin"]) as ada:
        assert ada.invoke("ban", "bob") == {"result": "banned bob"}


@over_every_way
def test_messages_reach_groups_users_and_others(
    node: ClientProcess, site: ServerlessSite, transport: str, protocol: str
) -> None:
    """Each hears what is for it and nothing in between, the sender of a message for others included."""
    way = (transport, protocol)
    users = [f"{name}@{transport}-{protocol}".lower() for name in ("ada", "bob", "eve")]
    with (
        client(node, site, users[0], way) as ada,
        client(node, site, users[1], WAYS[0]) as bob,
        client(node, site, users[2], way) as eve,
    ):
        ada.invoke("join", "a room")
        eve.invoke("join", "a room")
        eve.invoke("leave", "a room")
        bob.invoke("tellGroup", "a room", "for the room")
        heard = [ada.message()]
        ada.invoke("whisper", users[1], "for bob")
        heard += [bob.message()]
        bob.send("tellOthers", "for others")
        heard += [ada.message(), eve.message()]
        eve.send("tellOthers", "fence")
        heard += [bob.message()]

    assert heard == [
        ("news", "for the room"),
        ("news", users[0], "for bob"),
        ("news", "for others"),
        ("news", "for others"),
        ("news", "fence"),
    ]


@over_every_way
def test_the_app_asks_a_client_and_gets_its_answer(
    node: ClientProcess, site: ServerlessSite, transport: str, protocol: str
) -> None:
    """Also the one whose own call is under way meanwhile: it need not wait for itself."""
    with client(node, site, "ada", (transport, protocol)) as ada, client(node, site, "bob", WAYS[0]) as bob:
        of_itself, of_another = ada.invoke("ask", ada.id, "Ready"), bob.invoke("ask", ada.id, "Sure")

    assert [of_itself, of_another] == [{"result": "it says Ready? Yes."}, {"result": "it says Sure? Yes."}]


@over_every_way
def test_a_method_streams_its_items_to_the_client(
    node: ClientProcess, site: ServerlessSite, transport: str, protocol: str
) -> None:
    """The items come by REST while the call is under way; a stream is none to those who ask for a result."""
    with client(node, site, "ada", (transport, protocol)) as ada:
        streams = [ada.stream("count", 3), ada.stream("count", 0), ada.stream("count", 4), ada.stream("shout", "hé")]
        invoked = ada.invoke("count", 3)
        afterwards = ada.invoke("shout", "hé")

    refused = "The client attempted to invoke the {} method with a {} invocation."
    assert streams == [
        {"items": [0, 1, 2]},
        {"items": []},
        {"items": [0, 1, 2, 3], "error": "that is too many"},
        {"items": [], "error": refused.format("non-streaming 'shout'", "streaming")},
    ]
    assert invoked == {"error": refused.format("streaming 'count'", "non-streaming")}
    assert afterwards == {"result": "HÉ"}


def test_two_thousand_calls_at_once_are_answered_and_in_order(node: ClientProcess, site: ServerlessSite) -> None:
    """One connection of each kind: all of its calls come to the app, in its order, and every answer to its call."""
    count = 2000 // len(WAYS)
    with ExitStack() as stack:
        clients = [stack.enter_context(client(node, site, f"user {n}", way)) for n, way in enumerate(WAYS)]

        for each in clients:
            each.begin_each("double", [[number] for number in range(count)])

        answers = [each.answer() for each in clients]

    for each, answer in zip(clients, answers, strict=True):
        assert answer["outcomes"] == [{"result": number * 2} for number in range(count)]
        assert answer["order"] == list(range(count))
        handled = [facts for facts in site.journal.of(each.id) if facts[0] == "double"]
        assert handled == [("double", number) for number in range(count)]


def test_calls_without_an_answer_all_arrive_in_order_before_the_end(node: ClientProcess, site: ServerlessSite) -> None:
    """The client does not wait for any of them: they are between its coming and its going."""
    with client(node, site, "ada", WAYS[1]) as ada:
        for number in range(50):
            ada.send("note", number)
        ada.send("crash")
        ada.send("nothing like it")

    noted = [("note", number) for number in range(50)]
    assert site.journal.wait_for(ada.id, "disconnected") == [("connected", "ada"), *noted, ("disconnected", "ada")]


def test_claims_and_query_reach_the_methods_as_they_were(node: ClientProcess, site: ServerlessSite) -> None:
    """Forged roles in a display name are a part of the name; the bearer token in the query is nobody's business."""
    token = site.token("ada", display_name=ODD_NAME, tag=["a,b", "", "é: ü"], secret="is filtered out")
    with node.client(site.hub(f"?room=a%20b&room=%C3%A9&access_token={token}")) as ada:
        answer = ada.invoke("whoami")["result"]
        refused = ada.invoke("ban", "bob")

    assert answer["user"] == "ada"
    assert sorted(answer["claims"]) == sorted(
        [["display_name", ODD_NAME], ["tag", "a,b"], ["tag", ""], ["tag", "é: ü"]]
    )
    assert answer["query"].keys().isdisjoint({"access_token", "id"})
    assert refused == {"error": "Failed to invoke 'ban' because user is unauthorized"}


@over_every_way
def test_whom_the_app_refuses_is_turned_away_and_calls_nothing(
    node: ClientProcess, site: ServerlessSite, transport: str, protocol: str
) -> None:
    """The hub's handler says no once the service has let the client in; nobody is told that it went.

    The client reads the reason, unless its first ping comes too late: then that is what it complains of.
    """
    user_id = f"banned@{transport}-{protocol}".lower()
    banned = client(node, site, user_id, (transport, protocol), role="banned")

    try:
        banned.__enter__()
    except Refused:
        reason = None
    else:
        reason = banned.wait_for("closed")["error"]

    assert reason is None or "you may not come in" in reason
    histories = [site.journal.of(connection) for connection in site.journal.connections]
    assert [history for history in histories if history[0][1] == user_id] == [[("connected", user_id)]]


def test_a_connection_ends_once_however_it_ends(node: ClientProcess) -> None:
    """Stopped by the client, broken off, closed by the service, or still there when the service goes away."""
    ends = ["stopped", "dropped", "closed", "left"]
    with ExitStack() as left, serverless_site() as site:
        for way in WAYS:
            for end in ends:
                with ExitStack() as stopped:
                    until = stopped if end == "stopped" else left
                    until.enter_context(client(node, site, end, way)).invoke("note", 1)
        site.emulator.drop(user_id="dropped")
        site.emulator.drop(user_id="closed", abruptly=False)

    histories = [site.journal.of(connection) for connection in site.journal.connections]
    assert len(histories) == len(WAYS) * len(ends)
    for (event, user_id), *others in histories:
        assert [event, *others] == ["connected", ("note", 1), ("disconnected", user_id)]


def test_keys_are_rotated_while_clients_are_connected(node: ClientProcess) -> None:
    """The app knows one of the service's keys at each moment, so no call is refused; one of another key is none.

    Over WebSockets: the other transports bring their token, which a former key signed, with every message.
    """
    first, second, third, unknown = (secrets.token_urlsafe(32) for _ in range(4))

    with serverless_site() as site:
        service = site.emulator.connection_string.partition(";AccessKey=")[0]

        def rotate(*keys: str) -> None:
            site.emulator.replace_access_keys(*keys)

        def configure(primary: str, secondary: str) -> None:
            connection_string = f"{service};AccessKey={primary};Version=1.0;"
            site.app.config.update(SIGNALR_CONNECTION_STRING=connection_string, SIGNALR_SECONDARY_KEYS=secondary)
            site.signalr.reload(site.app)

        rotate(first, second)
        configure(first, second)
        with client(node, site, "ada", WAYS[0]) as ada, client(node, site, "bob", WAYS[1]) as bob:
            for each in (ada, bob):
                each.begin_each("double", [[number] for number in range(200)])
            rotate(second)  # the first is taken back under way
            configure(second, third)
            rotate(second, third)
            answers = [ada.answer(), bob.answer()]
            with client(node, site, "eve", WAYS[1]) as eve:
                assert eve.invoke("double", 1) == {"result": 2}
            rotate(unknown)
            refused = ada.invoke("double", 1000)

    for answer in answers:
        assert answer["outcomes"] == [{"result": number * 2} for number in range(200)]
    assert refused == {"error": "Invocation failed, status code 401"}
    assert ("double", 1000) not in site.journal.of(ada.id)
