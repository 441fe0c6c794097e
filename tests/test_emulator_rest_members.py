"""Who is there, and in which group: what REST calls ask and change."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from flask_signalr.emulator.rest.request import RestRequest
from tests.rest_calls import Rest, code_of, content_of


@pytest.fixture
def rest() -> Rest:
    return Rest()


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_what_exists_is_told_and_what_does_not_by_its_documented_code(rest: Rest, method: str) -> None:
    """The swagger asks with HEAD, the server SDK reads the code of the answer to a GET."""
    ada = rest.connect("a/b")
    rest.call("PUT", f"hubs/chat/groups/g/connections/{ada.id}")
    rest.call("PUT", "hubs/chat/users/eve/groups/h")

    found = [
        rest.call(method, f"hubs/chat/{path}")
        for path in (f"connections/{ada.id}", "users/a%2Fb", "groups/g", "users/eve/groups/h")
    ]
    missing = {
        path: code_of(rest.call(method, f"hubs/chat/{path}"))
        for path in ("connections/x", "users/a", "users/eve", "groups/h", "users/a%2Fb/groups/g", "users/x/groups/h")
    }

    assert [(answer.status, answer.body) for answer in found] == [(200, b"")] * 4
    assert missing == {
        "connections/x": (404, "Warning.Connection.NotExisted"),
        "users/a": (404, "Warning.User.NotExisted"),
        "users/eve": (404, "Warning.User.NotExisted"),
        "groups/h": (404, "Warning.Group.NotExisted"),
        "users/a%2Fb/groups/g": (404, "Info.User.NotInGroup"),
        "users/x/groups/h": (404, "Info.User.NotInGroup"),
    }


def test_the_answer_to_head_has_no_body(rest: Rest) -> None:
    assert rest.call("HEAD", "hubs/chat/users/x").body == b""
    assert content_of(rest.call("GET", "hubs/chat/users/x"))["code"] == "Warning.User.NotExisted"


def test_a_user_is_in_a_group_for_as_long_as_was_said(rest: Rest) -> None:
    rest.call("PUT", "hubs/chat/users/ada/groups/g", ttl=10)

    rest.now = 9
    assert rest.call("HEAD", "hubs/chat/users/ada/groups/g").status == 200
    rest.now = 10
    assert rest.call("HEAD", "hubs/chat/users/ada/groups/g").status == 404


def test_what_exists_in_one_hub_does_not_in_another(rest: Rest) -> None:
    rest.connect("ada", hub="app_chat")

    assert rest.call("HEAD", "hubs/chat/users/ada").status == 404
    assert rest.call("HEAD", "hubs/CHAT/users/ada", application="App").status == 200


def test_a_connection_leaves_all_groups_and_only_that_one(rest: Rest) -> None:
    ada, bob = rest.connect("ada"), rest.connect("bob")
    for group, connection in (("g", ada), ("h", ada), ("h", bob)):
        rest.call("PUT", f"hubs/chat/groups/{group}/connections/{connection.id}")

    assert rest.call("DELETE", f"hubs/chat/connections/{ada.id}/groups").status == 200
    assert rest.call("DELETE", "hubs/chat/connections/nobody/groups").status == 200

    assert rest.call("HEAD", "hubs/chat/groups/g").status == 404
    assert rest.call("HEAD", "hubs/chat/groups/h").status == 200


def pages_of(rest: Rest, path: str, **query: Any) -> list[list[dict[str, str]]]:
    """Return the pages of a list, each found by the link of the one before."""
    pages, request = [], rest.request("GET", path, **query)
    while True:
        answer = rest.answer(request)
        assert answer.status == 200
        content = content_of(answer)
        pages.append(content["value"])
        if "nextLink" not in content:
            return pages
        assert content["nextLink"].startswith("http://127.0.0.1:8888/api/")
        request = RestRequest.to_url("GET", content["nextLink"], dict(request.headers))


@pytest.mark.parametrize(
    ("query", "sizes"),
    [
        ({}, [5]),
        ({"maxpagesize": 2}, [2, 2, 1]),
        ({"maxpagesize": 5}, [5]),
        ({"top": 5, "maxpagesize": 5}, [5]),
        ({"top": 3}, [3]),
        ({"top": 3, "maxpagesize": 2}, [2, 1]),
        ({"top": 4, "maxpagesize": 2}, [2, 2]),
        ({"top": 100, "maxpagesize": 200}, [5]),
    ],
)
def test_the_connections_of_a_group_are_listed_page_by_page(
    rest: Rest, query: dict[str, Any], sizes: list[int]
) -> None:
    """Each once, and no page is empty; the link keeps what the first call asked for."""
    connections = [rest.connect(user, hub="app_chat") for user in ("ada", "ada", "bob", None, "a/b")]
    for connection in connections:
        rest.call("PUT", f"hubs/chat/groups/a%2F%C3%BC/connections/{connection.id}", application="app")

    pages = pages_of(rest, "hubs/chat/groups/a%2F%C3%BC/connections", application="app", **query)

    listed = [(member["connectionId"], member.get("userId")) for page in pages for member in page]
    assert [len(page) for page in pages] == sizes
    assert listed == sorted((each.id, each.client.user_id) for each in connections)[: sum(sizes)]


def test_a_group_that_nobody_is_in_has_an_empty_list(rest: Rest) -> None:
    answer = rest.call("GET", "hubs/chat/groups/g/connections")

    assert (answer.status, content_of(answer)) == (200, {"value": []})


def test_a_page_begins_after_the_one_before_although_its_last_connection_has_gone(rest: Rest) -> None:
    connections = sorted((rest.connect() for _ in range(3)), key=lambda each: each.id)
    for connection in connections:
        rest.call("PUT", f"hubs/chat/groups/g/connections/{connection.id}")
    link = content_of(rest.call("GET", "hubs/chat/groups/g/connections", maxpagesize=2))["nextLink"]
    rest.service.drop(connections[1], rest.now)

    query = {name.replace("-", "_"): value for name, value in parse_qsl(urlsplit(link).query) if name != "api-version"}
    answer = rest.call("GET", "hubs/chat/groups/g/connections", **query)

    assert content_of(answer) == {"value": [{"connectionId": connections[2].id}]}


@pytest.mark.parametrize(
    ("name", "value"),
    [("maxpagesize", value) for value in ("0", "201", "-1", "x", "", "1.5", "%D9%A1")]
    + [("top", value) for value in ("0", "-1", "2147483648", "x", "")],
)
def test_page_sizes_that_are_none_are_refused(rest: Rest, name: str, value: str) -> None:
    answer = rest.call("GET", "hubs/chat/groups/g/connections", **{name: value})

    assert answer.status == 400
    assert f"'{name}'" in content_of(answer)["message"]
