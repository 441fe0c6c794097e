"""One question to several endpoints: all are heard who answer in time, and nobody is waited for in vain."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from flask_signalr import ServiceError, ServiceUnreachable
from flask_signalr.rest.fan_out import Failure, Task, Workers, new_workers
from flask_signalr.rest.roll_call import Question, roll_call
from flask_signalr.rest.worker_threads import CALLS_PER_ENDPOINT
from tests.scripted_server import LONGEST_WAIT

Outcome = str | Failure | None


def is_yes(outcome: Outcome) -> bool:
    return outcome == "yes"


def asking(
    make: Callable[[float], str | None], patience: float = LONGEST_WAIT, workers: Workers | None = None
) -> Question[str | None]:
    def late(is_begun: bool) -> ServiceError:
        return ServiceUnreachable("begun" if is_begun else "not begun", method="POST", path="/")

    return Question(Task(workers or new_workers(), make, late), patience)


def saying(answer: str | None, patience: float = LONGEST_WAIT) -> Question[str | None]:
    return asking(lambda timeout: answer, patience)


@contextmanager
def hanging() -> Iterator[Callable[[float], str | None]]:
    """Yield an endpoint's answer that comes when the test is over, whatever time it was given."""
    over = threading.Event()

    def make(timeout: float) -> str | None:
        over.wait(LONGEST_WAIT)
        return "late"

    try:
        yield make
    finally:
        over.set()


def test_all_answers_are_returned_in_the_order_of_the_questions() -> None:
    answers = roll_call([saying(None), saying("no"), saying(None)], is_yes)

    assert answers == [None, "no", None]


@pytest.mark.parametrize("hung_first", [True, False])
def test_an_endpoint_that_hangs_is_not_waited_for_once_another_has_the_answer(hung_first: bool) -> None:
    """Without, this test would wait for as long as all tests may."""
    with hanging() as make:
        questions = [saying("yes"), asking(make)]
        if hung_first:
            questions.reverse()

        answers = roll_call(questions, is_yes, grace=0.01)

    assert answers[hung_first] == "yes"
    assert str(answers[not hung_first]) == "begun"


def test_a_second_endpoint_that_has_the_answer_too_is_heard() -> None:
    """It speaks only when the first has spoken."""
    spoken = threading.Event()

    def first(timeout: float) -> str:
        spoken.set()
        return "yes"

    def second(timeout: float) -> str:
        assert spoken.wait(LONGEST_WAIT)
        return "yes"

    answers = roll_call([asking(second), asking(first)], is_yes, grace=LONGEST_WAIT)

    assert answers == ["yes", "yes"]


def test_an_endpoint_of_which_little_is_hoped_is_not_waited_for_when_the_others_have_spoken() -> None:
    with hanging() as make:
        answers = roll_call([saying(None), asking(make, patience=0.01)], is_yes)

    assert answers[0] is None
    assert isinstance(answers[1], ServiceUnreachable)


def test_a_question_is_asked_with_the_time_that_it_has() -> None:
    given: list[float] = []

    def make(timeout: float) -> str | None:
        given.append(timeout)
        return None

    roll_call([asking(make, 7), saying(None)], is_yes)

    assert 0 < given[0] <= 7


def test_a_question_for_which_no_thread_is_free_was_not_asked() -> None:
    workers, asked = new_workers(), itertools.count()
    with hanging() as make:
        for _ in range(CALLS_PER_ENDPOINT):
            workers().submit(lambda: make(0))

        answers = roll_call([saying("yes"), asking(lambda timeout: str(next(asked)), workers=workers)], is_yes, 0.01)

    assert str(answers[1]) == "not begun"
    assert next(asked) == 0


def test_a_single_endpoint_is_asked_in_the_callers_own_thread() -> None:
    answers = roll_call([asking(lambda timeout: threading.current_thread().name)], is_yes)

    assert answers == [threading.current_thread().name]


def test_an_endpoint_that_fails_keeps_nobody_from_answering() -> None:
    def fail(timeout: float) -> str:
        raise ServiceUnreachable("gone", method="POST", path="/")

    answers = roll_call([asking(fail), saying("yes")], is_yes)

    assert str(answers[0]) == "gone"
    assert answers[1] == "yes"
