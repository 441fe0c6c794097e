"""The service as a state machine: values in, values out, and the time is a number."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_signalr.emulator.connections import ClientTransport, Connection, Phase
from flask_signalr.emulator.service import Service
from flask_signalr.emulator.settings import EmulatorSettings
from flask_signalr.emulator.tokens import ClientIdentity
from flask_signalr.errors import ProtocolError
from flask_signalr.json_protocol import JsonHubProtocol
from flask_signalr.messages import CompletionMessage, HubMessage, InvocationMessage
from flask_signalr.protocol import TransferFormat

HANDSHAKE = b'{"protocol":"json","version":1}\x1e'
NEWS = InvocationMessage(target="news", arguments=(1,))
SETTINGS = EmulatorSettings(
    open_within=5, handshake_within=15, keep_alive=10, client_timeout=30, poll_gap=4, close_within=2,
    message_limit=1000, outbox_limit=1000,
)  # fmt: skip


@pytest.fixture
def service() -> Service:
    return Service(SETTINGS)


def connect(
    service: Service,
    user_id: str | None = None,
    *,
    hub: str = "chat",
    transport: ClientTransport = ClientTransport.WEBSOCKETS,
    claims: dict[str, Any] | None = None,
) -> Connection:
    """Return a connection whose handshake was answered, at the time 0."""
    connection = service.negotiate(hub, ClientIdentity(user_id, claims or {}), now=0)
    service.open(connection, transport, now=0)
    service.receive(connection, HANDSHAKE, now=0)
    assert connection.take() == b"{}\x1e"
    return connection


def messages(connection: Connection) -> list[dict[str, Any]]:
    """Return the messages that wait for a client."""
    return [json.loads(record) for record in connection.take().split(b"\x1e") if record]


def test_a_negotiated_connection_has_an_id_to_show_and_a_token_to_hide(service: Service) -> None:
    """Who learns an id, from a log or another user, cannot take the connection over with it."""
    client = ClientIdentity("ada")
    connection = service.negotiate("chat", client, now=0)

    assert connection.id != connection.token
    assert service.find("chat", client, connection.token) is connection
    assert service.find("chat", client, connection.id) is None


CLOSING = {"asrs.s.coae": "true", "asrs.s.aeo": "1000"}


def test_a_connection_is_closed_when_its_sign_in_ends_and_may_come_again(service: Service) -> None:
    connection = connect(service, "ada", claims=CLOSING)

    service.close_expired(1, 999.9)
    before = messages(connection)
    service.close_expired(2, 1000)

    assert before == []
    assert messages(connection) == [{"type": 7, "error": "The sign-in has expired.", "allowReconnect": True}]
    assert connection.phase is Phase.CLOSING


def test_a_connection_that_is_closing_is_closed_once(service: Service) -> None:
    connection = connect(service, "ada", claims=CLOSING)

    service.close_expired(1, 1000)
    service.close_expired(2, 1001)

    assert len(messages(connection)) == 1


@pytest.mark.parametrize(
    "claims",
    [
        {"asrs.s.aeo": "1000"},
        {"asrs.s.coae": "true"},
        {"asrs.s.coae": "false", "asrs.s.aeo": "1000"},
        {"asrs.s.coae": "true", "asrs.s.aeo": 1000},
        {"asrs.s.coae": "true", "asrs.s.aeo": "soon"},
        {"asrs.s.coae": "true", "asrs.s.aeo": "1" * 5000},
    ],
)
def test_a_connection_whose_token_does_not_ask_for_it_stays_open(service: Service, claims: dict[str, Any]) -> None:
    connection = connect(service, "ada", claims=claims)

    service.close_expired(1, 2_000_000_000)

    assert (messages(connection), connection.phase) == ([], Phase.CONNECTED)


def test_ids_and_tokens_cannot_be_guessed(service: Service) -> None:
    connections = [service.negotiate("chat", ClientIdentity(None), now=0) for _ in range(100)]
    secrets = {text for connection in connections for text in (connection.id, connection.token)}

    assert len(secrets) == 200
    assert all(len(text) >= 22 for text in secrets)


def test_a_negotiation_of_version_0_has_the_id_for_its_token(service: Service) -> None:
    """Older clients know no token; the protocol leaves no choice."""
    client = ClientIdentity(None)
    connection = service.negotiate("chat", client, now=0, version=0)

    assert service.find("chat", client, connection.id) is connection


def test_a_connection_is_found_by_its_own_user_on_its_own_hub_only(service: Service) -> None:
    """A stolen connection token is of no use with somebody else's access token."""
    connection = service.negotiate("chat", ClientIdentity("ada"), now=0)

    assert service.find("other", ClientIdentity("ada"), connection.token) is None
    assert service.find("chat", ClientIdentity("bob"), connection.token) is None
    assert service.find("chat", ClientIdentity(None), connection.token) is None


def test_the_handshake_is_answered_and_lets_the_connection_in(service: Service) -> None:
    connection = service.negotiate("chat", ClientIdentity("ada"), now=0)
    service.open(connection, ClientTransport.WEBSOCKETS, now=0)

    service.receive(connection, HANDSHAKE[:10], now=0)
    assert service.members("chat").everyone() == []
    service.receive(connection, HANDSHAKE[10:] + b'{"type":6}\x1e', now=0)

    assert connection.take() == b"{}\x1e"
    assert service.members("chat").of_user("ada") == [connection]


def test_messages_right_behind_the_handshake_are_read(service: Service) -> None:
    connection = service.negotiate("chat", ClientIdentity(None), now=0)
    service.open(connection, ClientTransport.WEBSOCKETS, now=0)

    service.receive(connection, HANDSHAKE + b'{"type":1,"invocationId":"7","target":"x","arguments":[]}\x1e', now=0)

    assert [message.get("invocationId") for message in messages(connection)] == [None, "7"]


HANDSHAKES = {
    "unknown protocol": (b'{"protocol":"xml","version":1}\x1e', "The protocol 'xml' is not supported."),
    "endless protocol": (b'{"protocol":"%b","version":1}\x1e' % (b"x" * 500), "is not supported"),
    "later version": (b'{"protocol":"json","version":2}\x1e', "does not support this version of the 'json' protocol"),
    "a message first": (b'{"type":6}\x1e', "handshake is not understood"),
    "no JSON": (b"hello\x1e", "handshake is not understood"),
    "endless": (b"x" * 1001, "longer than 1000 bytes"),
}


@pytest.mark.parametrize(("data", "error"), HANDSHAKES.values(), ids=HANDSHAKES)
def test_a_handshake_that_is_none_is_answered_with_the_reason_and_the_end(
    service: Service, data: bytes, error: str
) -> None:
    connection = service.negotiate("chat", ClientIdentity(None), now=0)
    service.open(connection, ClientTransport.WEBSOCKETS, now=0)

    service.receive(connection, data, now=0)

    answer = connection.take()
    assert answer.endswith(b"\x1e")
    assert error in json.loads(answer[:-1])["error"]
    assert len(answer) < 300
    assert connection.is_over


class HexProtocol(JsonHubProtocol):
    """A second protocol, as different as MessagePack: binary, with its own frames."""

    name = "hex"
    transfer_format = TransferFormat.BINARY

    def encode(self, message: HubMessage) -> bytes:
        return super().encode(message)[:-1].hex().encode() + b";"

    def split(self, data: bytes) -> tuple[list[bytes], bytes]:
        *payloads, rest = data.split(b";")
        return payloads, rest

    def parse(self, payload: bytes) -> HubMessage | None:
        return super().parse(bytes.fromhex(payload.decode()))


def test_each_client_is_sent_messages_in_its_own_protocol() -> None:
    """The handshake is JSON whatever the protocol."""
    service = Service(SETTINGS, {"json": JsonHubProtocol(), "hex": HexProtocol()})
    text, binary = connect(service), service.negotiate("chat", ClientIdentity(None), now=0)
    service.open(binary, ClientTransport.LONG_POLLING, now=0)
    call = InvocationMessage(invocation_id="9", target="x", arguments=())

    service.receive(binary, b'{"protocol":"hex","version":1}\x1e' + HexProtocol().encode(call), now=0)
    service.send(service.members("chat").everyone(), NEWS, now=0)

    handshake, _, rest = binary.take().partition(b"\x1e")
    completion, news = (HexProtocol().parse(payload) for payload in HexProtocol().split(rest)[0])
    assert handshake == b"{}"
    assert isinstance(completion, CompletionMessage)
    assert completion.invocation_id == "9"
    assert news == NEWS
    assert messages(text) == [{"type": 1, "target": "news", "arguments": [1]}]


def test_a_binary_protocol_does_not_fit_through_a_text_transport() -> None:
    service = Service(SETTINGS, {"hex": HexProtocol()})
    connection = service.negotiate("chat", ClientIdentity(None), now=0)
    service.open(connection, ClientTransport.SERVER_SENT_EVENTS, now=0)

    service.receive(connection, b'{"protocol":"hex","version":1}\x1e', now=0)

    assert "does not support 'Binary' transfer format" in json.loads(connection.take()[:-1])["error"]


def test_a_call_is_answered_with_the_reason_why_nobody_answers(service: Service) -> None:
    """Microsoft's emulator says nothing here, and the caller waits for ever."""
    connection = connect(service)

    service.receive(connection, b'{"type":1,"invocationId":"0","target":"echo","arguments":["x"]}\x1e', now=1)

    (completion,) = messages(connection)
    assert (completion["type"], completion["invocationId"]) == (3, "0")
    assert "No upstream is configured" in completion["error"]


def test_a_stream_that_nobody_answers_ends_with_an_error(service: Service) -> None:
    connection = connect(service)

    service.receive(connection, b'{"type":4,"invocationId":"0","target":"count","arguments":[]}\x1e', now=1)

    (completion,) = messages(connection)
    assert (completion["type"], completion["invocationId"]) == (3, "0")
    assert "No upstream is configured" in completion["error"]


def test_a_send_goes_to_the_log(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    """Its arguments and headers do not: some clients put their access token there."""
    caplog.set_level("INFO")
    connection = connect(service)

    service.receive(
        connection, b'{"type":1,"target":"echo\\nx","arguments":["secret"],"headers":{"Authorization":"secret"}}\x1e', 1
    )

    assert messages(connection) == []
    assert r"calls 'echo\nx', which goes nowhere" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    "message",
    [
        b'{"type":2,"invocationId":"0","item":1}',
        b'{"type":3,"invocationId":"0","result":1}',
        b'{"type":5,"invocationId":"0"}',
        b'{"type":6}',
        b'{"type":8,"sequenceId":1}',
    ],
    ids=["stream item", "completion", "cancel", "ping", "ack"],
)
def test_messages_that_answer_nothing_are_ignored(service: Service, message: bytes) -> None:
    connection = connect(service)

    service.receive(connection, message + b"\x1e", now=1)

    assert messages(connection) == []
    assert connection.phase is Phase.CONNECTED


@pytest.mark.parametrize("data", [b"{\x1e", b'{"type":1}\x1e', b"\xff\x1e", b"x" * 1001])
def test_bytes_that_break_the_protocol_close_the_connection(service: Service, data: bytes) -> None:
    """Without leave to reconnect: the client would do it again."""
    connection = connect(service)

    service.receive(connection, data, now=1)

    (goodbye,) = messages(connection)
    assert goodbye["type"] == 7
    assert goodbye["error"]
    assert "allowReconnect" not in goodbye
    assert service.members("chat").everyone() == []


def test_nothing_is_done_after_the_clients_goodbye(service: Service) -> None:
    connection = connect(service)

    service.receive(connection, b'{"type":7}\x1e{"type":1,"invocationId":"0","target":"x","arguments":[]}\x1e', now=1)
    service.receive(connection, b'{"type":1,"invocationId":"1","target":"x","arguments":[]}\x1e', now=1)

    assert connection.is_over
    assert service.members("chat").everyone() == []


def test_a_message_reaches_the_chosen_connections_alone(service: Service) -> None:
    ada, bob = connect(service, "ada"), connect(service, "bob")

    service.send(service.members("chat").of_user("ada"), NEWS, now=1)

    assert messages(ada) == [{"type": 1, "target": "news", "arguments": [1]}]
    assert messages(bob) == []


def test_hubs_do_not_hear_each_other(service: Service) -> None:
    """Also those of two applications that share a service, and a user of the same name."""
    here, there = connect(service, "ada", hub="app_chat"), connect(service, "ada", hub="other_chat")

    service.send(service.members("app_chat").of_user("ada"), NEWS, now=1)

    assert len(messages(here)) == 1
    assert messages(there) == []


def test_a_message_that_cannot_be_encoded_reaches_nobody(service: Service) -> None:
    """All or nothing: half of a group must not know more than the other."""
    ada = connect(service, "ada")

    with pytest.raises(ProtocolError):
        service.send([ada], InvocationMessage(target="x", arguments=(2**70,)), now=1)

    assert messages(ada) == []


def test_a_connection_without_a_handshake_is_sent_nothing(service: Service) -> None:
    connection = service.negotiate("chat", ClientIdentity(None), now=0)

    service.send([connection], NEWS, now=1)

    assert connection.take() == b""


def test_a_stuck_reader_is_dropped_and_does_not_hold_up_the_others(service: Service) -> None:
    stuck, reader = connect(service), connect(service)
    received = 0

    for _ in range(100):
        service.send(service.members("chat").everyone(), NEWS, now=1)
        received += len(messages(reader))
    service.tick(now=1)

    assert received == 100
    assert stuck.phase is Phase.ABORTED
    assert service.members("chat").everyone() == service.connections == [reader]


def test_closing_says_goodbye_and_ends(service: Service) -> None:
    connection = connect(service)

    service.close([connection], now=1, error="maintenance", allow_reconnect=True)
    service.close([connection], now=1, error="again")

    assert messages(connection) == [{"type": 7, "error": "maintenance", "allowReconnect": True}]
    assert connection.is_over
    assert service.members("chat").everyone() == []


def test_a_reason_cannot_smuggle_a_message_to_the_client(service: Service) -> None:
    """A record separator inside a text is escaped, so what follows it is no message of its own."""
    connection = connect(service)
    reason = 'x"}\x1e{"type":1,"target":"pay","arguments":[1000]}\x1e'

    service.close([connection], now=1, error=reason)

    assert messages(connection) == [{"type": 7, "error": reason}]


def test_a_reason_that_cannot_be_encoded_closes_nothing(service: Service) -> None:
    connection = connect(service)

    with pytest.raises(ProtocolError):
        service.close([connection], now=1, error="\ud83d")

    assert service.members("chat").everyone() == [connection]


def test_closing_before_the_handshake_answers_the_handshake(service: Service) -> None:
    opened = service.negotiate("chat", ClientIdentity(None), now=0)
    service.open(opened, ClientTransport.WEBSOCKETS, now=0)
    negotiated = service.negotiate("chat", ClientIdentity(None), now=0)

    service.close(service.connections, now=1)

    assert json.loads(opened.take()[:-1])["error"]
    assert opened.is_over
    assert negotiated.is_over


def test_last_words_that_do_not_fit_break_the_connection_off(service: Service) -> None:
    connection = connect(service)
    connection.queue(b"x" * 1001, now=1)

    service.close([connection], now=1)

    assert connection.phase is Phase.ABORTED


def test_a_dropped_connection_is_gone_without_a_word(service: Service) -> None:
    connection = connect(service, "ada")

    service.drop(connection, now=1)

    assert connection.is_over
    assert connection.take() == b""
    assert service.find("chat", connection.client, connection.token) is None
    assert service.members("chat").everyone() == []


def test_a_connection_that_is_never_opened_expires(service: Service) -> None:
    connection = service.negotiate("chat", ClientIdentity(None), now=0)

    service.tick(now=4.9)
    assert service.connections == [connection]
    service.tick(now=5)

    assert service.connections == []


@pytest.mark.parametrize(("claims", "seconds"), [({}, 15), ({"asrs.s.cht": "30"}, 30), ({"asrs.s.cht": "99"}, 15)])
def test_a_handshake_that_does_not_come_is_not_waited_for(
    service: Service, claims: dict[str, str], seconds: int
) -> None:
    """The app may choose the time, within the service's bounds."""
    connection = service.negotiate("chat", ClientIdentity(None, claims), now=0)
    service.open(connection, ClientTransport.WEBSOCKETS, now=0)

    service.tick(now=seconds - 0.1)
    assert not connection.take()
    service.tick(now=seconds)

    assert connection.take() == b'{"error":"Handshake was canceled."}\x1e'
    assert connection.is_over


def test_a_client_that_was_sent_nothing_is_sent_a_ping(service: Service) -> None:
    connection = connect(service)
    service.send([connection], NEWS, now=5)
    connection.take()

    service.tick(now=14.9)
    assert not connection.take()
    service.tick(now=15)

    assert messages(connection) == [{"type": 6}]


@pytest.mark.parametrize("transport", [ClientTransport.WEBSOCKETS, ClientTransport.SERVER_SENT_EVENTS])
def test_a_silent_client_is_let_go_and_may_come_back(service: Service, transport: ClientTransport) -> None:
    connection = connect(service, transport=transport)
    service.receive(connection, b'{"type":6}\x1e', now=10)

    service.tick(now=39.9)
    connection.take()
    assert connection.phase is Phase.CONNECTED
    service.tick(now=40)

    (goodbye,) = messages(connection)
    assert goodbye["allowReconnect"] is True
    assert "30 seconds" in goodbye["error"]


@pytest.mark.parametrize(("claims", "gap"), [({}, 4), ({"asrs.s.ttl": "60"}, 60)])
def test_a_long_polling_client_that_stays_away_is_gone(service: Service, claims: dict[str, str], gap: int) -> None:
    """It sends no pings; while a poll is open it may be silent for as long as it likes."""
    connection = service.negotiate("chat", ClientIdentity(None, claims), now=0)
    service.open(connection, ClientTransport.LONG_POLLING, now=0)
    service.receive(connection, HANDSHAKE, now=0)

    def poll() -> None:
        pass

    connection.listen(poll)
    service.tick(now=1000)
    connection.stop_listening(poll, now=1000)
    service.tick(now=1000 + gap - 0.1)
    assert service.connections == [connection]
    service.tick(now=1000 + gap)

    assert service.connections == []


def test_a_closing_connection_is_not_waited_for_for_ever(service: Service) -> None:
    """A client that neither reads nor hangs up would keep the service from stopping."""
    connection = connect(service)
    service.close([connection], now=10)

    service.tick(now=11.9)
    assert service.connections == [connection]
    service.tick(now=12)

    assert service.connections == []
    assert connection.phase is Phase.ABORTED


@given(st.lists(st.binary(max_size=50) | st.sampled_from([HANDSHAKE, b"\x1e", b'{"type":6}\x1e', b'{"type":7}\x1e'])))
def test_no_bytes_of_a_client_break_the_service(chunks: list[bytes]) -> None:
    service = Service(SETTINGS)
    connection = service.negotiate("chat", ClientIdentity(None), now=0)
    service.open(connection, ClientTransport.WEBSOCKETS, now=0)

    for chunk in chunks:
        service.receive(connection, chunk, now=0)

    assert all(json.loads(record) is not None for record in connection.take().split(b"\x1e") if record)
