"""Measuring: subject and peer in turns, medians, and bounds that hold or do not."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

ROUND = 0.004
"""CPU seconds of one turn: short, so that what disturbs the machine meets subject and peer alike."""


@dataclass(frozen=True)
class Bound:
    """What a ratio may be: one of the two is given."""

    at_most: float = math.inf
    at_least: float = -math.inf

    def holds(self, ratio: float) -> bool:
        return self.at_least <= ratio <= self.at_most

    def __str__(self) -> str:
        return f"at most {self.at_most:g}" if self.at_most < math.inf else f"at least {self.at_least:g}"


@dataclass(frozen=True)
class Row:
    """One line of the result: a subject, its peer, their ratio and its bound. Without a bound it only informs."""

    subject: str
    figure: str
    peer: str
    peer_figure: str
    ratio: float | None = None
    bound: Bound | None = None

    @property
    def is_missed(self) -> bool:
        return self.bound is not None and (self.ratio is None or not self.bound.holds(self.ratio))

    @property
    def shown_ratio(self) -> str:
        return "" if self.ratio is None else f"{self.ratio:.2f}×"

    @property
    def verdict(self) -> str:
        if self.bound is None:
            return ""
        return f"{self.bound}: " + ("MISSED" if self.is_missed else "holds")


@dataclass(frozen=True)
class Turns:
    """What each function took in each round, in seconds for one call, of the CPU unless a row says otherwise."""

    seconds: Mapping[str, list[float]]

    def microseconds(self, name: str) -> str:
        return f"{median(self.seconds[name]) * 1e6:.1f} µs"

    def ratio(self, subject: str, peer: str) -> float:
        """Return the median of the rounds' ratios: each compares two neighbours in time."""
        return median(ours / theirs for ours, theirs in zip(self.seconds[subject], self.seconds[peer], strict=True))

    def row(self, subject: str, peer: str, bound: Bound | None = None) -> Row:
        return Row(subject, self.microseconds(subject), peer, self.microseconds(peer), self.ratio(subject, peer), bound)


def take_turns(
    functions: Mapping[str, Callable[[], object]],
    rounds: int = 200,
    clock: Callable[[], float] = time.process_time,
    duration: float = ROUND,
) -> Turns:
    """Call functions by turns, each as often as fits into a turn, and return what a call took.

    Every second round goes backwards: none is always the one after a certain other. CPU time of this process is
    measured unless another clock is given, so that waiting for the processor, which others may use, does not count.

    Args:
        functions: What is called, by name.
        rounds: How many turns each has.
        clock: Returns seconds.
        duration: Seconds of one turn, by that clock.
    """
    calls = {name: _calls_per_turn(function, clock, duration) for name, function in functions.items()}
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(rounds):
        names = list(functions)
        for name in names if number % 2 else reversed(names):
            seconds[name].append(_seconds(functions[name], calls[name], clock))
    return Turns(seconds)


def _seconds(function: Callable[[], object], calls: int, clock: Callable[[], float]) -> float:
    """Return the seconds of one call, out of this many."""
    start = clock()
    for _ in range(calls):
        function()
    return (clock() - start) / calls


def _calls_per_turn(function: Callable[[], object], clock: Callable[[], float], duration: float) -> int:
    _seconds(function, 50, clock)  # caches fill, Python specialises the bytecode
    return max(1, math.ceil(duration / _seconds(function, 50, clock)))
