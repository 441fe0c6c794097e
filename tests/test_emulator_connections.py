"""One client at the service: its outbox and its listener."""

import pytest

from flask_signalr.emulator.connections import ClientTransport, Connection, Phase
from flask_signalr.emulator.tokens import ClientIdentity
from flask_signalr.protocol import TransferFormat


@pytest.fixture
def connection() -> Connection:
    return Connection(hub="chat", client=ClientIdentity(None), id="id", token="secret", outbox_limit=10, since=0)


def test_what_waits_is_taken_joined_and_once(connection: Connection) -> None:
    """One frame may hold several messages; joining them spares a system call for each."""
    connection.queue(b"a", now=1)
    connection.queue(b"b", now=2)

    assert connection.take() == b"ab"
    assert connection.take() == b""
    assert connection.sent_at == 2


def test_a_client_that_does_not_read_is_aborted(connection: Connection) -> None:
    """A bound in bytes: a stuck reader must not fill the memory, nor hold up the others."""
    told: list[Phase] = []
    connection.listen(lambda: told.append(connection.phase))

    connection.queue(b"x" * 11, now=1)
    connection.queue(b"x", now=2)

    assert told == [Phase.NEGOTIATED, Phase.ABORTED]
    assert connection.is_over
    assert connection.take() == b""


def test_a_client_that_reads_may_be_sent_any_amount(connection: Connection) -> None:
    for _ in range(100):
        connection.queue(b"x" * 10, now=1)
        connection.take()

    assert connection.phase is Phase.NEGOTIATED


def test_the_listener_is_told_of_news_and_of_the_end(connection: Connection) -> None:
    told: list[Phase] = []
    connection.listen(lambda: told.append(connection.phase))

    connection.queue(b"x", now=1)
    connection.enter(Phase.CLOSING, now=2)

    assert told == [Phase.NEGOTIATED, Phase.CLOSING]


def test_a_closing_connection_is_over_when_its_last_words_are_taken(connection: Connection) -> None:
    connection.queue(b"bye", now=1)
    connection.enter(Phase.CLOSING, now=1)

    assert not connection.is_over
    connection.take()
    assert connection.is_over


def test_a_newer_listener_takes_the_place_of_the_older_one(connection: Connection) -> None:
    """Two polls at once: the older is called a last time, sees that it was replaced, and leaves."""
    told: list[str] = []

    def older() -> None:
        told.append("older" if connection.is_heard_by(older) else "older, replaced")

    def newer() -> None:
        told.append("newer")

    connection.listen(older)
    connection.listen(newer)
    connection.queue(b"x", now=1)
    connection.stop_listening(older, now=5)

    assert told == ["older, replaced", "newer"]
    assert connection.is_listened_to
    assert connection.heard_at == 0


def test_a_connection_knows_when_its_client_went_away(connection: Connection) -> None:
    def listener() -> None:
        pass

    connection.listen(listener)
    connection.stop_listening(listener, now=5)

    assert not connection.is_listened_to
    assert connection.heard_at == 5


def test_its_token_is_not_shown(connection: Connection) -> None:
    assert "secret" not in repr(connection)


def test_what_arrives_before_a_protocol_is_agreed_is_no_message(connection: Connection) -> None:
    assert list(connection.read(b'{"type":6}\x1e')) == []


def test_server_sent_events_carry_text_only() -> None:
    assert ClientTransport.SERVER_SENT_EVENTS.formats == (TransferFormat.TEXT,)
    assert ClientTransport.WEBSOCKETS.formats == ClientTransport.LONG_POLLING.formats == tuple(TransferFormat)


@pytest.mark.parametrize(
    ("mask", "allowed"),
    [
        (None, ["WebSockets", "ServerSentEvents", "LongPolling"]),
        ("7", ["WebSockets", "ServerSentEvents", "LongPolling"]),
        ("1", ["WebSockets"]),
        ("6", ["ServerSentEvents", "LongPolling"]),
        ("0", []),
    ],
)
def test_a_token_chooses_the_transports(mask: str | None, allowed: list[str]) -> None:
    client = ClientIdentity(None, {} if mask is None else {"asrs.s.htt": mask})

    assert [transport.value for transport in ClientTransport if transport.is_open_to(client)] == allowed
