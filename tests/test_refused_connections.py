"""Connections that ``on_connected`` refused: remembered, closed, and nothing of them answered."""

import pytest

from flask_signalr.errors import AuthorizationDenied, ServiceError, StoreUnavailable
from flask_signalr.refused_connections import REMEMBERED_REFUSAL, RefusedConnections
from flask_signalr.stores.memory import MemoryStore
from flask_signalr.stores.store import Connection
from tests.emulated import Clock


class Full(MemoryStore):
    """Takes nothing and tells nothing, as a store that cannot be reached."""

    def remove(self, hub: str, connection_id: str, remembered: int) -> None:
        raise StoreUnavailable("it is gone")

    def is_removed(self, hub: str, connection_id: str) -> bool:
        raise StoreUnavailable("it is gone")


def refusals(store: MemoryStore, closed: list[tuple[str, str]] | None = None, hub: str = "chat") -> RefusedConnections:
    kept = [] if closed is None else closed
    return RefusedConnections(hub, store, lambda connection_id, reason: kept.append((connection_id, reason)))


def test_a_refused_connection_is_closed_and_does_not_pass() -> None:
    closed: list[tuple[str, str]] = []
    refused = refusals(MemoryStore(), closed)

    refused.add("1", "the room is full")

    assert closed == [("1", "the room is full")]
    with pytest.raises(AuthorizationDenied):
        refused.check("1")
    assert refused.holds("1")


def test_other_connections_and_those_of_other_hubs_pass() -> None:
    store = MemoryStore()
    refusals(store).add("1", "")

    refusals(store).check("2")
    refusals(store, hub="news").check("1")

    assert not refusals(store).holds("2")


def test_a_refusal_is_no_end_and_an_end_is_no_refusal() -> None:
    """Presence remembers in the same store which connections are gone."""
    store = MemoryStore()
    refusals(store).add("refused", "")
    store.remove("chat", "gone", 60)

    refusals(store).check("gone")

    assert store.confirm("chat", Connection("refused"), 100, 1000)


def test_waiting_the_refusal_out_begins_anew_with_each_attempt() -> None:
    """Attack: a refused client that keeps its connection open and tries again a day later, and again."""
    clock = Clock()
    refused = refusals(MemoryStore(clock))
    refused.add("1", "")

    for _ in range(3):
        clock.now += REMEMBERED_REFUSAL - 1
        with pytest.raises(AuthorizationDenied):
            refused.check("1")

    clock.now += REMEMBERED_REFUSAL
    refused.check("1")


def test_crowding_out_the_comings_and_goings_of_others_make_nobody_forget_a_refusal() -> None:
    """Attack: so many connections end that the store forgets the oldest ends."""
    store = MemoryStore(max_removals=2)
    refused = refusals(store)
    refused.add("1", "")

    for number in range(10):
        store.remove("chat", str(number), 60)
        store.remove("upstream:open", str(number), 60)

    assert refused.holds("1")


def test_a_store_that_is_down_refuses_calls_and_hides_no_end(caplog: pytest.LogCaptureFixture) -> None:
    refused = refusals(Full())

    with pytest.raises(StoreUnavailable):
        refused.check("1")
    assert not refused.holds("1")
    assert "nobody knows" in caplog.text


def test_a_connection_that_cannot_be_remembered_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    closed: list[tuple[str, str]] = []

    refusals(Full(), closed).add("1", "no")

    assert closed == [("1", "no")]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_a_connection_that_cannot_be_closed_is_remembered(caplog: pytest.LogCaptureFixture) -> None:
    def fail(connection_id: str, reason: str) -> None:
        raise ServiceError("no answer", method="DELETE", path="/")

    refused = RefusedConnections("chat", MemoryStore(), fail)
    refused.add("1", "no")

    assert refused.holds("1")
    assert "stays open at the service: no answer" in caplog.text


@pytest.mark.parametrize(("reason", "told"), [("x" * 10_000, "x" * 500), ("a\udcff", "a?")], ids=["long", "surrogate"])
def test_a_reason_is_one_that_a_url_can_carry(reason: str, told: str) -> None:
    closed: list[tuple[str, str]] = []

    refusals(MemoryStore(), closed).add("1", reason)

    assert closed == [("1", told)]
