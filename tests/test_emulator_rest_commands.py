"""REST calls that do several things to the connections of a filter."""

from typing import Any
from urllib.parse import quote

import pytest

from flask_signalr.messages import CloseMessage, InvocationMessage
from tests.rest_calls import Rest, content_of, heard

JOIN = {"type": "JoinGroup", "group": "g"}
NEWS = {"type": "SendMessage", "message": {"target": "news", "arguments": [1]}}


@pytest.fixture
def rest() -> Rest:
    return Rest()


def test_commands_are_done_in_order_to_the_chosen_connections(rest: Rest) -> None:
    ada, bob = rest.connect("ada"), rest.connect("bob")
    rest.call("PUT", f"hubs/chat/groups/h/connections/{ada.id}")
    commands = [JOIN, NEWS, {"type": "LeaveGroup", "group": "h"}, {"type": "CloseConnection", "reason": "bye"}, NEWS]

    joined = rest.call("POST", "hubs/chat/:execute", [JOIN], filter=quote("userId eq 'ada'"))
    group = content_of(rest.call("GET", "hubs/chat/groups/g/connections"))["value"]
    done = rest.call("POST", "hubs/chat/:execute", commands, filter=quote("'g' in groups"))

    assert (joined.status, done.status, done.body) == (202, 202, b"")
    assert group == [{"connectionId": ada.id, "userId": "ada"}]
    assert heard(ada) == [
        InvocationMessage(target="news", arguments=(1,)),
        CloseMessage(error="bye", allow_reconnect=True),
    ]
    assert heard(bob) == []
    assert rest.call("HEAD", "hubs/chat/groups/h").status == 404


@pytest.mark.parametrize("query", [{}, {"filter": ""}])
def test_without_a_filter_all_connections_are_meant(rest: Rest, query: dict[str, str]) -> None:
    connections = [rest.connect("ada"), rest.connect()]
    stranger = rest.connect("ada", hub="news")

    assert rest.call("POST", "hubs/chat/:execute", [NEWS], **query).status == 202

    assert [len(heard(each)) for each in (*connections, stranger)] == [1, 1, 0]


WRONG: dict[str, Any] = {
    "no array": {},
    "null": None,
    "no object": [1],
    "no type": [{}],
    "an unknown type": [{"type": "Explode"}],
    "a type in other case": [{"type": "joinGroup", "group": "g"}],
    "no group": [{"type": "JoinGroup"}],
    "blank group": [{"type": "LeaveGroup", "group": " "}],
    "group is a number": [{"type": "JoinGroup", "group": 1}],
    "no message": [{"type": "SendMessage"}],
    "no target": [{"type": "SendMessage", "message": {}}],
    "reason is a number": [{"type": "CloseConnection", "reason": 1}],
    "what no client can read": [{"type": "SendMessage", "message": {"target": "x", "arguments": [2**64]}}],
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_nothing_is_done_if_one_command_is_wrong(rest: Rest, wrong: Any) -> None:
    ada = rest.connect("ada")
    commands = [NEWS, *wrong] if isinstance(wrong, list) else wrong

    answer = rest.call("POST", "hubs/chat/:execute", b"null" if commands is None else commands)

    assert answer.status == 400
    assert heard(ada) == []


def test_a_wrong_filter_is_refused(rest: Rest) -> None:
    answer = rest.call("POST", "hubs/chat/:execute", [NEWS], filter="everyone")

    assert answer.status == 400
    assert "'filter'" in content_of(answer)["message"]
