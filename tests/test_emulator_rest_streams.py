"""REST calls that feed the streams that clients asked for."""

import pytest

from flask_signalr.emulator.connections import Connection
from flask_signalr.messages import CompletionMessage, StreamItemMessage
from tests.rest_calls import Rest, code_of, heard


@pytest.fixture
def rest() -> Rest:
    return Rest()


@pytest.fixture
def ada(rest: Rest) -> Connection:
    """A client that asked for the stream ``1``."""
    connection = rest.connect("ada")
    connection.streams.open("1")
    return connection


def stream(connection: Connection, stream_id: str = "1") -> str:
    return f"hubs/chat/connections/{connection.id}/streams/{stream_id}"


def test_items_reach_the_client_until_the_stream_is_complete(rest: Rest, ada: Connection) -> None:
    statuses = [
        rest.call("POST", f"{stream(ada)}/:send", {"a": 1}).status,
        rest.call("POST", f"{stream(ada)}/:send", b"null").status,
        rest.call("POST", f"{stream(ada)}/:complete").status,
    ]

    assert statuses == [202, 202, 202]
    assert heard(ada) == [
        StreamItemMessage(invocation_id="1", item={"a": 1}),
        StreamItemMessage(invocation_id="1", item=None),
        CompletionMessage(invocation_id="1"),
    ]
    assert code_of(rest.call("POST", f"{stream(ada)}/:send", 2)) == (404, "Error.Unknown.NotExisted")
    assert code_of(rest.call("POST", f"{stream(ada)}/:complete")) == (404, "Error.Unknown.NotExisted")


@pytest.mark.parametrize(("completed", "is_open"), [("true", False), ("True", False), ("false", True), ("", True)])
def test_an_item_may_be_the_last_one(rest: Rest, ada: Connection, completed: str, is_open: bool) -> None:
    assert rest.call("POST", f"{stream(ada)}/:send", 1, completed=completed).status == 202

    assert ("1" in ada.streams) is is_open
    assert len(heard(ada)) == (1 if is_open else 2)


def test_a_stream_may_end_with_an_error(rest: Rest, ada: Connection) -> None:
    assert rest.call("POST", f"{stream(ada)}/:complete", reason="no%20more").status == 202

    assert heard(ada) == [CompletionMessage(invocation_id="1", error="no more")]


def test_nothing_is_sent_to_a_stream_that_nobody_asked_for(rest: Rest, ada: Connection) -> None:
    """A client ends a connection on which an item of an unknown stream arrives."""
    for connection_id, code in ((ada.id, "Error.Unknown.NotExisted"), ("x", "Error.Connection.NotExisted")):
        path = f"hubs/chat/connections/{connection_id}/streams/2"
        assert code_of(rest.call("POST", f"{path}/:send", 1)) == (404, code)
        assert code_of(rest.call("POST", f"{path}/:complete")) == (404, code)

    assert heard(ada) == []


@pytest.mark.parametrize("stream_id", ["%20", "x" * 101])
def test_ids_of_streams_are_checked(rest: Rest, ada: Connection, stream_id: str) -> None:
    assert rest.call("POST", f"{stream(ada, stream_id)}/:send", 1).status == 400
    assert rest.call("POST", f"{stream(ada, stream_id)}/:complete").status == 400


def test_wrong_items_are_refused_and_the_stream_goes_on(rest: Rest, ada: Connection) -> None:
    assert rest.call("POST", f"{stream(ada)}/:send", 1, completed="maybe").status == 400
    assert rest.call("POST", f"{stream(ada)}/:send", b"{").status == 400
    assert rest.call("POST", f"{stream(ada)}/:send", b"").status == 400
    assert rest.call("POST", f"{stream(ada)}/:send", 2**64, completed="true").status == 400

    assert heard(ada) == []
    assert "1" in ada.streams
