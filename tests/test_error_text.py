"""The text of an exception whose class may be anybody's."""

from typing import Any

import pytest

from flask_signalr.error_text import error_text, kind_of, log_text


class Mute(Exception):
    """Fails, or returns no text, when it is asked for its text."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def __str__(self) -> str:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]


def test_an_exception_says_what_it_says() -> None:
    assert error_text(ValueError("no such room")) == "no such room"


@pytest.mark.parametrize("answer", [None, 7, b"bytes", ValueError("no text"), RecursionError()])
def test_an_exception_that_cannot_tell_is_called_by_its_type(answer: Any) -> None:
    assert error_text(Mute(answer)) == "Mute"


@pytest.mark.parametrize("letter", ["\n", "\r", "\x1b", "\x85", "\u2028", "\u202e", "\u2066", "\x00"])
def test_nobody_forges_a_line_of_the_log(letter: str) -> None:
    """Log injection: an app's own auth scheme may quote what a caller brought."""
    text = log_text(ValueError(f"unknown token: x{letter}INFO ada was let in, größe 3"))

    assert text == f"unknown token: x{letter!r}INFO ada was let in, größe 3".replace("'", "")


def test_an_interrupt_is_not_swallowed() -> None:
    class Interrupted(Exception):
        def __str__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        error_text(Interrupted())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("secret", "a str"),
        (5, "an int"),
        (object(), "an object"),
        (None, "None"),
        (dict, "the class dict"),
        (Mute(None), "a Mute"),
    ],
)
def test_a_value_is_told_by_its_kind_and_never_by_its_content(value: Any, text: str) -> None:
    assert kind_of(value) == text
