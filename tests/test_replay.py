"""The replay window: with a clock of its own, what is forgotten when."""

import pytest

from flask_signalr import Invocation, Principal, RequestReplayed
from flask_signalr.errors import StoreUnavailable
from flask_signalr.replay import ReplayWindow
from flask_signalr.stores.memory import MemoryStore


def event(invocation_id: str | None = None, connection_id: str = "c1") -> Invocation:
    return Invocation(
        hub="chat", connection_id=connection_id, principal=Principal("ada"), invocation_id=invocation_id
    )  # fmt: skip


class Window:
    """A window over a store, at a time that the test sets."""

    def __init__(self, seconds: int = 60, most: int = 1000) -> None:
        self.now = 1000.0
        self._window = ReplayWindow(MemoryStore(clock=lambda: self.now, max_claims=most), seconds)

    def passes(self, name: str, invocation: Invocation) -> bool:
        try:
            self._window.enter(name, invocation, self.now)
        except RequestReplayed:
            return False
        return True


@pytest.mark.parametrize(
    ("name", "invocation"),
    [("connected", event()), ("disconnected", event()), ("messages", event("7")), ("messages", event(""))],
    ids=["connected", "disconnected", "call", "call with an empty id"],
)
def test_what_was_handled_is_remembered_for_the_window(name: str, invocation: Invocation) -> None:
    window = Window()
    window.passes(name, invocation)
    window.now += 59
    within = window.passes(name, invocation)
    window.now += 2

    assert (within, window.passes(name, invocation)) == (False, True)


def test_ids_of_other_connections_are_others() -> None:
    window = Window()

    assert [window.passes("messages", event("1", name)) for name in ("c1", "c2", "c1:invocation")] == [True] * 3


def test_memory_exhaustion_an_invocation_id_takes_no_more_room_than_another() -> None:
    """Clients choose it, up to the size of a body; what is kept for a while must not be of their size."""
    kept: list[str] = []

    class Listening(MemoryStore):
        def claim(self, key: str, lifetime: int) -> bool:
            kept.append(key)
            return super().claim(key, lifetime)

    ReplayWindow(Listening(), 60).enter("messages", event("x" * 1_000_000), 1000.0)

    assert [len(key) < 200 for key in kept] == [True]


def test_an_invocation_id_is_no_event() -> None:
    """Whoever calls a method with the id ``connected`` keeps nobody from connecting."""
    window = Window()

    assert window.passes("messages", event("connected"))
    assert window.passes("connected", event())
    assert window.passes("disconnected", event())


def test_a_connection_does_not_have_to_be_announced() -> None:
    """An app whose rules at the service leave out the connections gets messages alone."""
    assert Window().passes("messages", event("1"))


def test_denial_of_service_a_flood_of_one_connection_refuses_no_call_of_another() -> None:
    window = Window(most=100)
    for number in range(50):
        window.passes("messages", event(str(number), "mallory"))

    with pytest.raises(StoreUnavailable):
        window.passes("messages", event("one more", "mallory"))

    assert all(window.passes("messages", event(str(number), "bob")) for number in range(20))


def test_a_window_full_of_calls_refuses_calls_and_lets_clients_come_and_go() -> None:
    """Denial of service: one client that calls without end must not keep the others out, nor online for ever."""
    window = Window(most=2)
    window.passes("messages", event("1"))

    with pytest.raises(StoreUnavailable):
        window.passes("messages", event("2"))

    assert not window.passes("messages", event("1"))
    assert window.passes("messages", event("1", "c3"))
    assert window.passes("connected", event(connection_id="c2"))
    assert window.passes("disconnected", event(connection_id="c2"))
    assert not window.passes("messages", event(connection_id="c2"))


def test_a_window_of_no_seconds_remembers_nothing() -> None:
    window = Window(0)

    assert [window.passes("disconnected", event()) for _ in range(2)] == [True, True]
