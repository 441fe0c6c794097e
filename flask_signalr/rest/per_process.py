"""What a process must not inherit: sockets, locks and threads."""

import os
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """A value that each process makes for itself when it first needs it.

    A child of ``os.fork`` shares its parent's sockets, has none of its threads, and finds its locks as they were in
    that moment. So there is no lock here: threads that come first at once may each make a value, but all get the same.

    Args:
        make: Makes the value.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[int, T] = {}

    def __call__(self) -> T:
        """Return this process's own."""
        process = os.getpid()
        if process not in self._made:
            self._made.setdefault(process, self._make())
            for other in [each for each in self._made.copy() if each != process]:
                self._made.pop(other, None)
        return self._made[process]
