"""What a process must not inherit: sockets, locks and threads."""

import os
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """A value that each process makes for itself when it first needs it.

    A child of ``os.fork`` shares its parent's sockets, has none of its threads, and finds its locks as they were in
    that moment. Two threads that come first at once may make one value too many, which nobody keeps.

    Args:
        make: Makes the value.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: tuple[int, T] | None = None

    def __call__(self) -> T:
        """Return this process's own."""
        process = os.getpid()
        made = self._made
        if made is None or made[0] != process:
            made = self._made = (process, self._make())
        return made[1]
