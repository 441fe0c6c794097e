"""The same question to several service endpoints of which one has the answer: those that hang are not waited for."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

from flask_signalr.rest.fan_out import GRACE, Failure, Task

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Question(Generic[R]):
    """What one service endpoint is asked.

    Attributes:
        task: Asks it.
        patience: Seconds that it may take.
    """

    task: Task[R]
    patience: float


def roll_call(
    questions: Sequence[Question[R]], is_decisive: Callable[[R | Failure], bool], grace: float = GRACE
) -> list[R | Failure]:
    """Ask all at once, and return what came of each, in their order; who has not answered in time has failed.

    Args:
        questions: What is asked.
        is_decisive: Whether an outcome is the answer. The others then have a moment left, in which they may say that it
            is theirs too.
        grace: That moment, in seconds.
    """
    if len(questions) == 1:
        return [questions[0].task.outcome(questions[0].patience)]
    begin = time.monotonic()
    futures = [question.task.begin(begin + question.patience) for question in questions]
    ends = {future: begin + question.patience for future, question in zip(futures, questions, strict=True)}
    last, waiting = max(ends.values()), set(futures)
    while waiting:
        left = min(last, max(ends[future] for future in waiting)) - time.monotonic()
        done, waiting = wait(waiting, max(left, 0), FIRST_COMPLETED)
        if not done:
            break
        if any(is_decisive(future.result()) for future in done):
            last = min(last, time.monotonic() + grace)
    return [
        question.task.late(not future.cancel()) if future in waiting else future.result()
        for question, future in zip(questions, futures, strict=True)
    ]
