"""What clients do on its way to the app: the order of events, what clients are told, and what is bounded."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_signalr.emulator.client_calls import OPEN_LIMIT
from flask_signalr.emulator.connections import ClientTransport, Connection, Phase
from flask_signalr.emulator.service import Service
from flask_signalr.emulator.settings import EmulatorSettings
from flask_signalr.emulator.tokens import ClientIdentity
from flask_signalr.emulator.upstream_calls import UpstreamAnswer, UpstreamCall, UpstreamFailure, UpstreamReply
from flask_signalr.emulator.upstream_rules import UpstreamRule, UpstreamRules
from flask_signalr.errors import ProtocolError
from flask_signalr.hub_protocols import HUB_PROTOCOLS
from flask_signalr.messages import CompletionMessage, InvocationMessage

JSON = HUB_PROTOCOLS["json"]
GOOD = UpstreamAnswer(200)
SETTINGS = EmulatorSettings(upstream="http://app.example", upstream_limit=10_000)


class App:
    """A service whose calls to the app a test answers by hand."""

    def __init__(self, settings: EmulatorSettings = SETTINGS) -> None:
        self.calls: list[UpstreamCall] = []
        self.service = Service(settings)
        self.service.upstream.post = self.calls.append

    @property
    def told(self) -> list[str]:
        """The events that wait for an answer."""
        return [call.url.removeprefix("http://app.example/chat/upstream/") for call in self.calls]

    def answer(self, reply: UpstreamReply = GOOD) -> UpstreamCall:
        call = self.calls.pop(0)
        self.service.upstream.answered(call, reply, 1)
        return call

    def open(self, user_id: str = "ada", protocol: str = "json") -> Connection:
        """Return a connection of which the app is about to hear."""
        connection = self.service.negotiate("chat", ClientIdentity(user_id), now=0)
        self.service.open(connection, ClientTransport.WEBSOCKETS, 0, "hub=chat&id=1")
        self.service.receive(connection, b'{"protocol":"%b","version":1}\x1e' % protocol.encode(), 0)
        assert connection.take() == b"{}\x1e"
        return connection

    def connect(self, user_id: str = "ada", protocol: str = "json") -> Connection:
        """Return a connection that the app has let in."""
        connection = self.open(user_id, protocol)
        self.answer()
        return connection

    def call(self, connection: Connection, target: str, invocation_id: str | None = None, **members: Any) -> None:
        message = {"type": 1, "target": target, "arguments": [], **members}
        if invocation_id is not None:
            message["invocationId"] = invocation_id
        self.service.receive(connection, json.dumps(message).encode() + b"\x1e", 1)


@pytest.fixture
def app() -> App:
    return App()


def messages(connection: Connection) -> list[dict[str, Any]]:
    return [json.loads(record) for record in connection.take().split(b"\x1e") if record]


def completion(invocation_id: str, **members: Any) -> UpstreamAnswer:
    return UpstreamAnswer(200, JSON.encode(CompletionMessage(invocation_id=invocation_id, **members)))


def test_the_app_is_told_of_a_connection_after_its_handshake(app: App) -> None:
    connection = app.open()

    (call,) = app.calls
    assert call.url == "http://app.example/chat/upstream/connections/connected"
    assert call.body == b'{"type":10}'
    assert call.headers["X-ASRS-Connection-Id"] == connection.id
    assert call.headers["X-ASRS-Client-Query"] == "?hub=chat&id=1"


def test_no_message_is_told_before_the_app_has_let_the_client_in(app: App) -> None:
    connection = app.open()

    app.call(connection, "say")

    assert app.told == ["connections/connected"]
    app.answer(UpstreamAnswer(204))
    assert app.told == ["messages/say"]


@pytest.mark.parametrize("target", ["connected", "disconnected"])
def test_a_method_that_is_named_like_an_event_is_none(app: App, target: str) -> None:
    """The app that refuses a call refuses that, and not the connection."""
    connection = app.connect()

    app.call(connection, target, "1")
    app.answer(UpstreamAnswer(403))

    (message,) = messages(connection)
    assert message == {"type": 3, "invocationId": "1", "error": "Invocation failed, status code 403"}
    assert not connection.is_over


def test_messages_are_told_one_at_a_time_and_in_their_order(app: App) -> None:
    connection = app.connect()

    for index in range(10):
        app.call(connection, f"m{index}")

    told = []
    while app.calls:
        told += app.told
        app.answer()
    assert told == [f"messages/m{index}" for index in range(10)]


def test_connections_do_not_wait_for_each_other(app: App) -> None:
    ada, bob = app.connect("ada"), app.connect("bob")

    app.call(ada, "slow")
    app.call(bob, "fast")

    assert app.told == ["messages/slow", "messages/fast"]


def test_an_invocation_is_answered_with_the_apps_own_words(app: App) -> None:
    connection = app.connect()

    app.call(connection, "add", "7")
    call = app.answer(completion("7", result=3))

    assert json.loads(call.body) == {"type": 1, "invocationId": "7", "target": "add", "arguments": []}
    assert messages(connection) == [{"type": 3, "invocationId": "7", "result": 3}]


def test_a_messagepack_client_is_answered_in_messagepack(app: App) -> None:
    packed = HUB_PROTOCOLS["messagepack"]
    connection = app.connect(protocol="messagepack")
    message = InvocationMessage(target="add", arguments=(b"\x00",), invocation_id="7")
    answer = packed.encode(CompletionMessage(invocation_id="7", result=b"\xff"))

    app.service.receive(connection, packed.encode(message), 1)
    call = app.answer(UpstreamAnswer(200, answer))

    assert call.headers["Content-Type"] == "application/x-msgpack"
    assert packed.parse(call.body) == message
    assert connection.take() == answer


def test_the_headers_of_a_message_stay_here(app: App) -> None:
    """Some clients put their access token there."""
    connection = app.connect()

    app.call(connection, "say", headers={"Authorization": "secret"})

    assert b"secret" not in app.calls[0].body


@pytest.mark.parametrize("invocation_id", [None, "7"])
def test_a_failure_is_told_to_who_waits_and_logged(
    app: App, caplog: pytest.LogCaptureFixture, invocation_id: str | None
) -> None:
    connection = app.connect()

    app.call(connection, "say", invocation_id)
    app.answer(UpstreamAnswer(500, b"secret"))

    expected = [{"type": 3, "invocationId": "7", "error": "Invocation failed, status code 500"}]
    assert messages(connection) == (expected if invocation_id else [])
    assert "did not accept 'messages/say on hub chat'" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (302, "302: does a before_request function of the app demand a sign-in of the service?"),
        (404, "404: is this the URL template that `flask signalr hubs` shows, and is the hub declared?"),
        (401, "401"),
        (500, "500"),
    ],
)
def test_a_status_is_told_with_what_it_is_likely_to_mean(
    app: App, caplog: pytest.LogCaptureFixture, status: int, hint: str
) -> None:
    """The app's own log has nothing of it: its hook, or its 404, answered before the package was asked."""
    connection = app.connect()

    app.call(connection, "say", "7")
    app.answer(UpstreamAnswer(status))

    assert caplog.messages[-1].endswith(f": status {hint}")


@pytest.mark.parametrize("reply", [UpstreamAnswer(403), UpstreamAnswer(302), UpstreamFailure("it timed out")])
def test_a_client_that_the_app_refuses_is_closed(app: App, reply: UpstreamReply) -> None:
    """What it sent meanwhile is not told to the app, nor that it is gone: it never was there."""
    connection = app.open()

    app.call(connection, "say")
    app.answer(reply)

    assert messages(connection) == [{"type": 7, "error": "The app refused the connection."}]
    assert connection.phase is Phase.CLOSING
    app.service.drop(connection, 2)
    assert app.calls == []
    assert app.service.members("chat").everyone() == []


def test_a_client_that_left_before_the_app_let_it_in_is_told_of_twice(app: App) -> None:
    connection = app.open()

    app.service.drop(connection, 1)
    assert app.told == ["connections/connected"]
    app.answer()

    assert app.told == ["connections/disconnected"]


def test_a_client_that_left_before_the_app_refused_it_is_not_told_of_again(app: App) -> None:
    connection = app.open()

    app.service.drop(connection, 1)
    app.answer(UpstreamAnswer(403))

    assert app.calls == []


Ending = Callable[[Service, Connection], None]
ENDINGS: dict[str, tuple[Ending, str | None]] = {
    "the transport is gone": (lambda service, connection: service.drop(connection, 2), None),
    "it broke off": (lambda service, connection: service.drop(connection, 2, "broken"), "broken"),
    "the client closes": (lambda service, connection: service.receive(connection, b'{"type":7}\x1e', 2), None),
    "the app closes": (lambda service, connection: service.close([connection], 2, error="banned"), "banned"),
    "garbage": (lambda service, connection: service.receive(connection, b"garbage\x1e", 2), "not valid JSON"),
    "silence": (lambda service, connection: service.tick(100), "silent for 30 seconds"),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_app_is_told_once_that_a_client_is_gone_however_it_went(app: App, ending: str) -> None:
    connection = app.connect()
    end, error = ENDINGS[ending]

    end(app.service, connection)
    app.service.drop(connection, 3)
    app.service.tick(200)

    assert app.told == ["connections/disconnected"]
    body = json.loads(app.answer().body)
    assert body.pop("type") == 11
    assert (error is None and body == {}) or str(error) in body["error"]
    assert app.calls == []


def test_the_app_hears_all_that_a_client_said_before_it_hears_that_it_is_gone(app: App) -> None:
    connection = app.connect()

    app.call(connection, "one")
    app.call(connection, "two", "7")
    app.service.drop(connection, 2)

    told = []
    while app.calls:
        told += app.told
        app.answer(completion("7", result=1))
    assert told == ["messages/one", "messages/two", "connections/disconnected"]


def test_a_client_that_lets_too_much_pile_up_is_told_of_as_aborted(app: App) -> None:
    connection = app.connect()

    for _ in range(3):
        app.service.send([connection], InvocationMessage(target="x", arguments=("x" * 1_000_000,)), 2)
    app.service.tick(3)

    assert b"aborted" in app.calls[0].body


def test_a_client_that_sends_faster_than_the_app_answers_is_closed(app: App) -> None:
    """The attack: an app that hangs, and a client that fills the memory of the service."""
    connection = app.connect()

    for _ in range(100):
        app.call(connection, "x" * 1000)

    assert "more than 10000 bytes of messages wait" in messages(connection)[0]["error"]


def test_without_an_upstream_the_caller_is_told_so() -> None:
    app = App(EmulatorSettings())
    connection = app.service.negotiate("chat", ClientIdentity("ada"), now=0)
    app.service.open(connection, ClientTransport.WEBSOCKETS, 0)
    app.service.receive(connection, b'{"protocol":"json","version":1}\x1e', 0)

    app.call(connection, "say", "7")

    assert "No upstream is configured" in messages(connection)[1]["error"]
    assert app.calls == []


def test_a_call_that_no_rule_fits_is_answered_in_its_turn(app: App) -> None:
    connection = app.connect()
    app.service.upstream.rules = UpstreamRules((UpstreamRule("http://app.example/{event}", event_pattern="one"),))

    app.call(connection, "one", "1")
    app.call(connection, "two", "2")
    assert messages(connection) == []
    app.answer(completion("1"))

    first, second = messages(connection)
    assert first == {"type": 3, "invocationId": "1"}
    assert second["invocationId"] == "2"
    assert "No upstream rule fits, where case counts and hubs are in lower case" in second["error"]


def test_new_rules_hold_for_what_waits(app: App) -> None:
    connection = app.open()
    app.call(connection, "say")

    app.service.upstream.rules = UpstreamRules((UpstreamRule("http://new.example/{event}"),))
    app.answer()

    assert app.told == ["http://new.example/say"]


def test_new_keys_sign_the_next_call(app: App) -> None:
    connection = app.connect()
    app.call(connection, "say")
    app.call(connection, "say")
    before = app.answer().headers["X-ASRS-Signature"]

    app.service.access_keys.replace(["new-key", "newer-key"])
    app.answer()
    app.call(connection, "say")

    after = app.calls[0].headers["X-ASRS-Signature"]
    assert before != after
    assert after.count("sha256=") == 2


def test_an_answer_that_comes_twice_counts_once(app: App) -> None:
    connection = app.connect()
    app.call(connection, "add", "7")
    call = app.calls[0]

    app.answer(completion("7", result=1))
    app.service.upstream.answered(call, completion("7", result=2), 1)

    assert [each["result"] for each in messages(connection)] == [1]


def test_a_stream_stays_open_for_the_apps_items(app: App) -> None:
    connection = app.connect()

    app.call(connection, "count", "7", type=4)
    call = app.answer()

    assert json.loads(call.body)["type"] == 4
    assert app.service.send_item(connection, "7", {"n": 1}, 2)
    assert app.service.end_stream(connection, "7", None, 2)
    assert not app.service.send_item(connection, "7", {"n": 2}, 2)
    assert not app.service.end_stream(connection, "7", None, 2)
    assert messages(connection) == [
        {"type": 2, "invocationId": "7", "item": {"n": 1}},
        {"type": 3, "invocationId": "7"},
    ]


@pytest.mark.parametrize("reply", [UpstreamAnswer(404), completion("7", error="no")])
def test_an_error_ends_a_stream(app: App, reply: UpstreamReply) -> None:
    connection = app.connect()

    app.call(connection, "count", "7", type=4)
    app.answer(reply)

    assert messages(connection)[0]["error"] in {"Invocation failed, status code 404", "no"}
    assert not app.service.send_item(connection, "7", 1, 2)


def test_a_client_cancels_a_stream(app: App) -> None:
    connection = app.connect()
    app.call(connection, "count", "7", type=4)

    app.service.receive(connection, b'{"type":5,"invocationId":"7"}\x1e', 1)
    app.answer(UpstreamAnswer(500))

    assert not app.service.send_item(connection, "7", 1, 2)
    assert messages(connection) == []


def test_the_streams_of_a_client_are_bounded(app: App) -> None:
    connection = App(EmulatorSettings(upstream="http://app.example")).connect()

    for index in range(OPEN_LIMIT):
        connection.streams.open(str(index))

    with pytest.raises(ProtocolError, match="open streams already"):
        connection.streams.open("one more")


def test_a_stream_may_not_take_the_id_of_another(app: App) -> None:
    connection = app.connect()

    app.call(connection, "count", "7", type=4)
    app.call(connection, "count", "7", type=4)

    assert "that of another one" in messages(connection)[0]["error"]


@pytest.mark.parametrize("kind", [1, 4])
def test_streams_that_clients_send_are_refused(app: App, kind: int) -> None:
    connection = app.connect()

    app.call(connection, "upload", "7", type=kind, streamIds=["1"])

    assert "does not carry streams" in messages(connection)[0]["error"]
    assert app.calls == []


def test_a_client_answers_the_app(app: App) -> None:
    connection = app.connect()
    results: list[CompletionMessage | None] = []

    invocation_id = app.service.invoke(connection, "name", [1], 1, results.append)
    sent = messages(connection)
    answer = {"type": 3, "invocationId": invocation_id, "result": "Ada"}
    for _ in range(2):
        app.service.receive(connection, json.dumps(answer).encode() + b"\x1e", 2)

    assert sent == [{"type": 1, "invocationId": invocation_id, "target": "name", "arguments": [1]}]
    assert results == [CompletionMessage(invocation_id=invocation_id, result="Ada")]


def test_a_client_answers_while_the_app_is_asked_something(app: App) -> None:
    """A hub method may ask its own caller: the answer must not wait for the method to end."""
    connection = app.connect()
    results: list[CompletionMessage | None] = []

    app.call(connection, "ask", "7")
    invocation_id = app.service.invoke(connection, "name", [], 1, results.append)
    app.service.receive(connection, b'{"type":3,"invocationId":"%b"}\x1e' % invocation_id.encode(), 2)

    assert results == [CompletionMessage(invocation_id=invocation_id)]
    assert app.told == ["messages/ask"]


def test_who_waits_for_a_client_is_told_when_it_is_gone(app: App) -> None:
    connection = app.connect()
    results: list[CompletionMessage | None] = []

    app.service.invoke(connection, "name", [], 1, results.append)
    app.service.drop(connection, 2)
    app.service.invoke(connection, "name", [], 3, results.append)

    assert results == [None, None]


def test_a_result_that_nobody_waits_for_any_more_is_ignored(app: App) -> None:
    connection = app.connect()
    results: list[CompletionMessage | None] = []

    invocation_id = app.service.invoke(connection, "name", [], 1, results.append)
    app.service.forget_result(connection, invocation_id)
    app.service.receive(connection, b'{"type":3,"invocationId":"%b"}\x1e' % invocation_id.encode(), 2)
    app.service.drop(connection, 3)

    assert results == []


def test_a_call_that_cannot_be_written_leaves_nobody_waiting(app: App) -> None:
    connection = app.connect()
    results: list[CompletionMessage | None] = []

    with pytest.raises(ProtocolError):
        app.service.invoke(connection, "name", [object()], 1, results.append)
    app.service.drop(connection, 2)

    assert results == []


def test_the_results_that_a_client_owes_are_bounded(app: App) -> None:
    connection = app.connect()
    for _ in range(OPEN_LIMIT):
        connection.calls.add(lambda _: None)

    with pytest.raises(ProtocolError, match="wait for a result already"):
        app.service.invoke(connection, "name", [], 1, lambda _: None)


@given(st.lists(st.sampled_from(["ada says", "bob says", "ada leaves", "bob leaves", "answer", "refuse"]), max_size=40))
def test_whatever_happens_each_connection_has_one_beginning_one_end_and_one_event_at_a_time(steps: list[str]) -> None:
    app = App()
    people = {name: app.open(name) for name in ("ada", "bob")}
    told: dict[str, list[str]] = {"ada": [], "bob": []}

    def answer(reply: UpstreamReply) -> None:
        waiting = [call.headers["X-ASRS-User-Id"] for call in app.calls]
        assert len(set(waiting)) == len(waiting), "two events of one connection are under way"
        if app.calls:
            headers = app.answer(reply).headers
            told[headers["X-ASRS-User-Id"]].append(headers["X-ASRS-Event"])

    for number, step in enumerate(steps):
        name, _, verb = step.partition(" ")
        if verb == "says" and people[name].phase is Phase.CONNECTED:
            app.call(people[name], f"m{number:02}")
        elif verb == "leaves":
            app.service.drop(people[name], number)
        elif step in {"answer", "refuse"}:
            answer(GOOD if step == "answer" else UpstreamAnswer(403))
    for connection in people.values():
        app.service.drop(connection, 100)
    while app.calls:
        answer(GOOD)

    for events in told.values():
        assert events[0] == "connected"
        assert events == ["connected"] or events[-1] == "disconnected"
        assert events[1:-1] == sorted(set(events[1:-1]))
