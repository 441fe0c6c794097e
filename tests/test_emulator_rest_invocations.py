"""REST calls that ask a client for a result."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from flask_signalr.errors import ProtocolError
from flask_signalr.messages import CompletionMessage, InvocationMessage
from tests.emulated import client_token, emulating, records
from tests.rest_calls import Rest, code_of, content_of, heard

ASK = {"target": "ask", "arguments": ["how many?"]}


@pytest.mark.parametrize(
    ("protocol", "result", "content"),
    [
        ("json", {"a": [1, None]}, {"result": {"a": [1, None]}}),
        ("json", None, {"result": None}),
        ("json", msgspec.UNSET, {}),
        ("messagepack", [1, "x"], {"result": [1, "x"]}),
        ("messagepack", b"\x00\x01", {"result": "AAE="}),
        ("messagepack", datetime(2024, 12, 1, tzinfo=UTC), {"result": "2024-12-01T00:00:00Z"}),
    ],
)
def test_the_clients_result_is_the_answer(protocol: str, result: Any, content: object) -> None:
    rest = Rest()
    ada = rest.connect("ada", protocol=protocol)

    pending = rest.pending(f"hubs/chat/connections/{ada.id}/:invoke", ASK)
    (asked,) = heard(ada)
    assert isinstance(asked, InvocationMessage)
    assert asked.invocation_id is not None
    rest.say(ada, CompletionMessage(invocation_id=asked.invocation_id, result=result))

    assert (asked.target, asked.arguments) == ("ask", ("how many?",))
    assert pending.response is not None
    assert (pending.response.status, content_of(pending.response)) == (200, content)


def test_the_clients_error_is_no_error_of_the_service() -> None:
    rest = Rest()
    ada = rest.connect("ada")

    pending = rest.pending(f"hubs/chat/connections/{ada.id}/:invoke", ASK)
    rest.say(ada, CompletionMessage(invocation_id=asked_id(ada), error="I will not say"))

    assert pending.response is not None
    assert code_of(pending.response) == (400, "Error.Connection.Invalid")
    assert content_of(pending.response)["message"] == "I will not say"


def asked_id(connection: Any) -> str:
    (asked,) = heard(connection)
    assert isinstance(asked, InvocationMessage)
    return str(asked.invocation_id)


def test_a_call_that_cannot_be_written_leaves_nobody_waiting() -> None:
    rest = Rest()
    ada = rest.connect("ada")
    told: list[object] = []

    with pytest.raises(ProtocolError):
        rest.service.invoke(ada, "ask", [object()], rest.now, told.append)
    rest.service.drop(ada, rest.now)

    assert told == []


def test_a_client_that_leaves_owes_nothing_more() -> None:
    rest = Rest()
    ada = rest.connect("ada")

    pending = rest.pending(f"hubs/chat/connections/{ada.id}/:invoke", ASK)
    rest.service.drop(ada, rest.now)

    assert pending.response is not None
    assert code_of(pending.response) == (404, "Error.Connection.NotExisted")


def test_a_client_that_is_not_there_cannot_be_asked() -> None:
    answer = Rest().call("POST", "hubs/chat/connections/nobody/:invoke", ASK)

    assert code_of(answer) == (404, "Error.Connection.NotExisted")


def test_what_cannot_be_read_is_not_asked() -> None:
    rest = Rest()
    ada = rest.connect("ada")

    answer = rest.call("POST", f"hubs/chat/connections/{ada.id}/:invoke", {"target": "ask", "arguments": [2**64]})

    assert answer.status == 400
    assert heard(ada) == []


def test_only_the_first_answer_counts() -> None:
    """The caller has gone when the second one comes, and the client is not to blame."""
    rest = Rest()
    ada = rest.connect("ada")

    pending = rest.pending(f"hubs/chat/connections/{ada.id}/:invoke", ASK)
    late = pending.give_up()
    rest.say(ada, CompletionMessage(invocation_id=asked_id(ada), result=1))

    assert code_of(late) == (504, "Error.Connection.Unknown")
    assert pending.response is None


async def test_a_client_is_asked_over_the_wire() -> None:
    async with emulating() as wire, await wire.websocket(client_token("ada")) as ada:
        path = f"hubs/chat/connections/{wire.connection_id('ada')}/:invoke"
        asking = asyncio.create_task(wire.rest("POST", path, "api-version=2024-12-01", json=ASK))
        (asked,) = records(await ada.receive_str())
        await ada.send_str(json.dumps({"type": 3, "invocationId": asked["invocationId"], "result": 7}) + "\x1e")

        status, body = await asking

        assert (status, json.loads(body)) == (200, {"result": 7})


async def test_a_client_that_does_not_answer_is_not_waited_for_for_ever() -> None:
    async with emulating(invoke_within=0.01) as wire, await wire.websocket(client_token("ada")):
        path = f"hubs/chat/connections/{wire.connection_id('ada')}/:invoke"

        status, body = await wire.rest("POST", path, "api-version=2024-12-01", json=ASK)

        assert status == 504
        assert "did not answer within 0.01 seconds" in json.loads(body)["message"]
