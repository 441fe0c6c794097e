"""Connections that ``on_connected`` did not let in: remembered, closed, and nothing of them answered."""

from typing import Any

import pytest

from flask_signalr.errors import AuthorizationDenied, StoreUnavailable
from flask_signalr.refused_connections import RECONNECT, REMEMBERED, REMEMBERED_END, RefusedConnections
from flask_signalr.service_errors import ServiceError
from flask_signalr.stores.memory import MemoryStore
from flask_signalr.stores.store import Connection
from tests.emulated import Clock

NO = AuthorizationDenied("no")


class Full(MemoryStore):
    """Takes nothing and tells nothing, as a store that cannot be reached."""

    def note(self, kind: str, connection_id: str, text: str, lifetime: int) -> None:
        raise StoreUnavailable("it is gone")

    def noted(self, kind: str, connection_id: str, lifetime: int) -> str | None:
        raise StoreUnavailable("it is gone")


class Shared(MemoryStore):
    """Is what all threads of the test share, as the processes of an app share a Redis."""

    is_shared = True


def refusals(store: MemoryStore, closed: list[tuple[str, str]] | None = None, hub: str = "chat") -> RefusedConnections:
    kept = [] if closed is None else closed
    return RefusedConnections(hub, store, lambda connection_id, reason: kept.append((connection_id, reason)))


@pytest.fixture(params=[MemoryStore, Shared])
def store(request: pytest.FixtureRequest) -> Any:
    return request.param()


def test_a_refused_connection_is_closed_and_does_not_pass(store: MemoryStore) -> None:
    closed: list[tuple[str, str]] = []
    refused = refusals(store, closed)

    refused.add("1", AuthorizationDenied("the room is full"))

    assert closed == [("1", "the room is full")]
    with pytest.raises(AuthorizationDenied, match="refused when it connected"):
        refused.check("1")
    assert refused.end("1")


def test_admitted_connections_pass(store: MemoryStore) -> None:
    refusals(store).admit("1")

    refusals(store).check("1")

    assert not refusals(store).end("1")


def test_other_connections_and_those_of_other_hubs_pass(store: MemoryStore) -> None:
    refusals(store).admit("2")
    refusals(store, hub="news").admit("1")
    refusals(store).add("1", NO)

    refusals(store).check("2")
    refusals(store, hub="news").check("1")

    assert not refusals(store).end("2")


def test_slipping_past_the_door_a_connection_that_nobody_saw_connect_is_refused_and_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Attack: a banned client calls though its connect event was lost, or before it came."""
    closed: list[tuple[str, str]] = []
    refused = refusals(Shared(), closed)

    for _ in range(2):
        with pytest.raises(AuthorizationDenied, match="connect again"):
            refused.check("1")
    with pytest.raises(AuthorizationDenied):
        refused.admit("1")

    assert closed == [("1", RECONNECT)]
    assert "on_connected never saw" in caplog.text
    assert refused.end("1")


def test_a_store_of_one_process_lets_pass_what_another_process_may_have_admitted() -> None:
    """Else an app with two workers and no Redis would answer every second call."""
    refused = refusals(MemoryStore())

    refused.check("1")

    assert not refused.end("1")


def test_a_connection_that_was_refused_once_is_not_admitted_later() -> None:
    """Attack: somebody who can repeat connect events tells of the refused connection again, as another user."""
    refused = refusals(Shared())
    refused.add("1", NO)

    with pytest.raises(AuthorizationDenied):
        refused.admit("1")
    with pytest.raises(AuthorizationDenied):
        refused.check("1")


def test_an_admission_can_be_taken_back() -> None:
    refused = refusals(Shared())
    refused.admit("1")

    refused.add("1", NO)

    with pytest.raises(AuthorizationDenied):
        refused.check("1")


def test_a_refusal_is_no_end_and_an_end_is_no_refusal(store: MemoryStore) -> None:
    """Presence remembers in the same store which connections are gone."""
    refusals(store).add("refused", NO)
    refusals(store).admit("gone")
    store.remove("chat", "gone", 60)

    refusals(store).check("gone")

    assert store.confirm("chat", Connection("refused"), 100, 1000)


def test_waiting_the_refusal_out_begins_anew_with_each_attempt() -> None:
    """Attack: a refused client that keeps its connection open and tries again a day later, and again."""
    clock = Clock()
    refused = refusals(MemoryStore(clock))
    refused.add("1", NO)

    for _ in range(3):
        clock.now += REMEMBERED - 1
        with pytest.raises(AuthorizationDenied):
            refused.check("1")

    clock.now += REMEMBERED
    refused.check("1")


def test_an_admission_lasts_as_long_as_there_are_calls() -> None:
    clock = Clock()
    refused = refusals(Shared(clock))
    refused.admit("1")

    for _ in range(3):
        clock.now += REMEMBERED - 1
        refused.check("1")

    clock.now += REMEMBERED
    with pytest.raises(AuthorizationDenied):
        refused.check("1")


def test_an_admission_is_forgotten_soon_after_the_end() -> None:
    """Calls may come late; but clients that come and go without end must not fill a Redis."""
    clock = Clock()
    refused = refusals(Shared(clock))
    refused.admit("1")

    refused.end("1")
    clock.now += REMEMBERED_END

    with pytest.raises(AuthorizationDenied):
        refused.check("1")


def test_calls_may_come_a_little_after_the_end() -> None:
    clock = Clock()
    refused = refusals(Shared(clock))
    refused.admit("1")

    refused.end("1")
    clock.now += REMEMBERED_END - 1

    refused.check("1")


def test_crowding_out_the_comings_and_goings_of_others_make_nobody_forget_a_refusal() -> None:
    """Attack: so many connections come and go that a store in memory forgets the oldest."""
    store = MemoryStore(max_removals=2, max_notes=2)
    refused = refusals(store)
    refused.add("1", NO)

    for number in range(10):
        refused.admit(f"admitted {number}")
        store.remove("chat", str(number), 60)
        store.remove("upstream:open", str(number), 60)

    assert refused.end("1")


def test_a_store_that_is_down_refuses_calls_and_hides_no_end(caplog: pytest.LogCaptureFixture) -> None:
    refused = refusals(Full())

    with pytest.raises(StoreUnavailable):
        refused.check("1")
    assert not refused.end("1")
    assert "nobody knows" in caplog.text


def test_a_connection_that_cannot_be_remembered_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    closed: list[tuple[str, str]] = []

    refusals(Full(), closed).add("1", NO)

    assert closed == [("1", "no")]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_a_connection_that_cannot_be_closed_is_remembered(caplog: pytest.LogCaptureFixture) -> None:
    def fail(connection_id: str, reason: str) -> None:
        raise ServiceError("no answer", method="DELETE", path="/")

    refused = RefusedConnections("chat", MemoryStore(), fail)
    refused.add("1", NO)

    assert refused.end("1")
    assert "stays open at the service: no answer" in caplog.text


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (AuthorizationDenied("x" * 10_000), "x" * 500),
        (AuthorizationDenied("a\udcff"), "a?"),
        (StoreUnavailable("redis://10.0.0.7:6379/0 gives no answer"), RECONNECT),
        (ZeroDivisionError("secret"), RECONNECT),
    ],
    ids=["long", "surrogate", "store", "bug"],
)
def test_a_reason_is_one_that_a_url_can_carry_and_a_client_may_read(error: Exception, told: str) -> None:
    closed: list[tuple[str, str]] = []

    refusals(MemoryStore(), closed).add("1", error)

    assert closed == [("1", told)]
