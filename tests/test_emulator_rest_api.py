"""The REST API as a whole: which calls are admitted, and what all answers have in common."""

import logging
from dataclasses import replace

import msgspec
import pytest

from flask_signalr.emulator.rest.request import RestRequest
from flask_signalr.messages import InvocationMessage
from tests.emulated import NOW
from tests.rest_calls import Rest, code_of, content_of, heard

MESSAGE = {"target": "news", "arguments": [1]}
NEWS = InvocationMessage(target="news", arguments=(1,))


@pytest.fixture
def rest() -> Rest:
    return Rest()


def test_an_operation_is_there_from_its_version_on(rest: Rest) -> None:
    """What an app asks of the emulator, the service must have under the same version."""
    for path, body, status, since, older in (
        ("hubs/chat/:generateToken", None, 200, "2022-11-01", "2022-06-01"),
        ("hubs/chat/:execute", [], 202, "2023-07-01", "2022-11-01"),
        ("hubs/chat/connections/x/:invoke", MESSAGE, 404, "2024-12-01", "2023-07-01"),
    ):
        assert rest.call("POST", path, body, version=since).status == status
        answer = rest.call("POST", path, body, version=older)
        assert answer.status == 400
        assert since in content_of(answer)["message"]
        assert older not in content_of(answer)["message"]


@pytest.mark.parametrize("operation", [":execute", ":generateToken"])
def test_an_application_is_not_silently_left_out(rest: Rest, operation: str) -> None:
    """The service has no such parameter for these, and would act on the hub of another application."""
    answer = rest.call("POST", f"hubs/chat/{operation}", [], application="app")

    assert answer.status == 400
    assert "application_hub" in content_of(answer)["message"]


def test_a_message_reaches_clients_of_both_protocols_whatever_it_came_as(rest: Rest) -> None:
    clients = [rest.connect(protocol=protocol) for protocol in ("json", "messagepack")]
    packed = rest.request("POST", "hubs/chat/:send", msgspec.msgpack.encode(MESSAGE))
    headers = tuple((n, v.replace("json", "x-msgpack") if n == "Content-Type" else v) for n, v in packed.headers)

    assert rest.call("POST", "hubs/chat/:send", MESSAGE).status == 202
    assert rest.answer(replace(packed, headers=headers)).status == 202

    assert [heard(client) for client in clients] == [[NEWS, NEWS], [NEWS, NEWS]]


def test_a_framed_message_reaches_those_that_it_was_framed_for(rest: Rest) -> None:
    clients = [rest.connect(protocol=protocol) for protocol in ("json", "messagepack")]
    frame = b'{"type":1,"target":"news","arguments":[1]}\x1e'
    call = rest.request("POST", "hubs/chat/:send", msgspec.msgpack.encode({"json": frame}))
    headers = tuple((n, v.replace("json", "octet-stream") if n == "Content-Type" else v) for n, v in call.headers)

    assert rest.answer(replace(call, headers=headers)).status == 202

    assert [heard(client) for client in clients] == [[NEWS], []]


def test_a_body_beyond_the_limit_is_refused() -> None:
    answer = Rest(message_limit=10).call("POST", "hubs/chat/:send", MESSAGE)

    assert (answer.status, content_of(answer)["message"]) == (413, "The body is longer than 10 bytes.")


def test_every_answer_has_an_id_of_its_own(rest: Rest) -> None:
    answers = [rest.call("POST", "hubs/chat/:send", MESSAGE) for _ in range(2)]
    answers += [rest.call("GET", "nowhere"), rest.call("PATCH", "hubs/chat/:send"), rest.call("HEAD", "health")]

    assert [answer.status for answer in answers] == [202, 202, 404, 405, 200]
    assert len({answer.headers["x-ms-request-id"] for answer in answers}) == 5


def test_a_caller_without_a_token_learns_nothing_but_that(rest: Rest) -> None:
    request = replace(rest.request("HEAD", "hubs/chat/users/ada"), headers=())

    answer = rest.answer(request)

    assert code_of(answer) == (401, "Unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("query", ["x=%FF", "api-version=%ED%A0%BD"])
def test_a_query_that_is_no_text_is_refused(rest: Rest, query: str) -> None:
    request = rest.request("POST", "hubs/chat/:send", MESSAGE)

    answer = rest.answer(replace(request, query=query))

    assert (answer.status, content_of(answer)["message"]) == (400, "The query is not UTF-8.")


def test_no_token_is_shown(rest: Rest, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    request = rest.request("POST", "hubs/chat/:send", b"{")
    secret = dict(request.headers)["Authorization"]

    answer = rest.api.answer(request, 0, NOW)
    refused = rest.api.answer(request, 0, NOW + 100)

    for shown in (repr(request), repr(answer), repr(refused), caplog.text):
        assert secret not in shown
    assert "was refused" in caplog.text


def test_a_request_of_an_url_is_cut_where_the_service_cuts_it() -> None:
    request = RestRequest.to_url("GET", "https://h.example:1/api/hubs/a%2Fb?x=%20&x=2#f", {"A": "1"})

    assert (request.origin, request.path, request.each("x")) == ("https://h.example:1", "/api/hubs/a%2Fb", [" ", "2"])
    assert request.header("a") == ["1"]
