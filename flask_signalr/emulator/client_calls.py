"""What one connection and the app still owe each other: results that the client shall send, streams it listens to."""

from collections.abc import Callable

from flask_signalr.errors import ProtocolError
from flask_signalr.messages import CompletionMessage

OnResult = Callable[[CompletionMessage | None], None]
"""Called once with the client's answer, or with ``None`` when the connection is gone without one; must not raise."""

OPEN_LIMIT = 1000
"""Results and streams, each, that may be open on one connection."""


class ClientCalls:
    """The calls of one client that wait for its result."""

    def __init__(self) -> None:
        self._waiters: dict[str, OnResult] = {}
        self._last = 0

    def add(self, on_result: OnResult) -> str:
        """Return a new invocation id, whose completion goes to ``on_result``.

        Raises:
            ProtocolError: `OPEN_LIMIT` calls wait already.
        """
        if len(self._waiters) >= OPEN_LIMIT:
            raise ProtocolError(f"{OPEN_LIMIT} calls of this client wait for a result already")
        self._last += 1
        invocation_id = f"s{self._last}"
        self._waiters[invocation_id] = on_result
        return invocation_id

    def complete(self, completion: CompletionMessage) -> bool:
        """Hand a completion to who waits for it; ``False`` if nobody does."""
        waiter = self._waiters.pop(completion.invocation_id, None)
        if waiter is not None:
            waiter(completion)
        return waiter is not None

    def forget(self, invocation_id: str) -> None:
        """Wait no longer for this result; its waiter is not told."""
        self._waiters.pop(invocation_id, None)

    def abandon(self) -> None:
        """Tell all who wait that no answer will come."""
        waiters, self._waiters = self._waiters, {}
        for waiter in waiters.values():
            waiter(None)


class ClientStreams:
    """The streams that one client asked for and that have not ended."""

    def __init__(self) -> None:
        self._open: set[str] = set()

    def __contains__(self, stream_id: object) -> bool:
        return stream_id in self._open

    def open(self, stream_id: str) -> None:
        """Begin a stream.

        Raises:
            ProtocolError: It is open already, or `OPEN_LIMIT` others are.
        """
        if stream_id in self._open:
            raise ProtocolError("the invocation id of a stream is that of another one, which has not ended")
        if len(self._open) >= OPEN_LIMIT:
            raise ProtocolError(f"the client has {OPEN_LIMIT} open streams already")
        self._open.add(stream_id)

    def end(self, stream_id: str) -> bool:
        """End a stream; ``False`` if it is not open."""
        if stream_id not in self._open:
            return False
        self._open.remove(stream_id)
        return True

    def clear(self) -> None:
        """End all streams."""
        self._open.clear()
