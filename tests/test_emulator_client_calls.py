"""What a connection and the app owe each other: it is bounded, and told once."""

import pytest

from flask_signalr.emulator.client_calls import OPEN_LIMIT, ClientCalls, ClientStreams
from flask_signalr.errors import ProtocolError
from flask_signalr.messages import CompletionMessage


def test_memory_exhaustion_an_app_cannot_ask_a_client_that_never_answers_without_end() -> None:
    told: list[CompletionMessage | None] = []
    calls = ClientCalls()
    ids = [calls.add(told.append) for _ in range(OPEN_LIMIT)]

    with pytest.raises(ProtocolError, match=f"{OPEN_LIMIT} calls of this client wait"):
        calls.add(told.append)

    calls.forget(ids[0])
    assert calls.add(told.append) not in ids
    assert told == []


def test_memory_exhaustion_a_client_cannot_open_streams_without_end() -> None:
    streams = ClientStreams()
    for number in range(OPEN_LIMIT):
        streams.open(str(number))

    with pytest.raises(ProtocolError, match=f"{OPEN_LIMIT} open streams already"):
        streams.open("one more")

    assert streams.end("0")
    streams.open("one more")
    assert "one more" in streams


def test_an_answer_is_told_once_to_who_asked() -> None:
    told: list[CompletionMessage | None] = []
    calls = ClientCalls()
    answer = CompletionMessage(invocation_id=calls.add(told.append), result=1)
    calls.add(told.append)

    taken = [calls.complete(answer), calls.complete(answer)]
    calls.abandon()
    calls.abandon()

    assert taken == [True, False]
    assert told == [answer, None]


def test_a_stream_that_is_open_is_not_opened_again() -> None:
    streams = ClientStreams()
    streams.open("1")

    with pytest.raises(ProtocolError, match="which has not ended"):
        streams.open("1")

    assert [streams.end("1"), streams.end("1")] == [True, False]
