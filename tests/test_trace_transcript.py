"""What a trace may tell: nothing secret, and nothing that a terminal obeys."""

import pytest

from flask_signalr.trace.transcript import SHOWN, Transcript
from tests.signing import token


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def transcript(lines: list[str]) -> Transcript:
    return Transcript(lines.append)


def test_steps_are_counted_and_facts_stand_below(transcript: Transcript, lines: list[str]) -> None:
    transcript.step("Ask")
    transcript.fact("200 OK")
    transcript.step("Read")

    assert lines == ["1. Ask", "   200 OK", "2. Read"]


@pytest.mark.parametrize(
    "echo",
    ["{}", "you sent {}!", '{{"Authorization": "Bearer {}"}}', "{} and {}"],
)
def test_a_server_that_echoes_a_token_gets_it_redacted(transcript: Transcript, echo: str) -> None:
    transcript.keep_secret("s3cret+/token==")

    shown = transcript.shown(echo.format(*["s3cret+/token=="] * 2))

    assert "s3cret" not in shown
    assert "[redacted]" in shown


def test_a_token_in_a_url_is_redacted_too(transcript: Transcript) -> None:
    transcript.keep_secret("s3cret+/token==")

    assert transcript.shown("/sign-in?next=s3cret%2B%2Ftoken%3D%3D") == "/sign-in?next=[redacted]"


def test_a_secret_within_another_one_does_not_save_the_rest(transcript: Transcript) -> None:
    transcript.keep_secret("part", "part-of-the-whole")

    assert transcript.shown("part-of-the-whole") == "[redacted]"


def test_a_secret_that_is_cut_off_by_the_limit_does_not_show_its_beginning(transcript: Transcript) -> None:
    transcript.keep_secret("s3cret" * 20)

    shown = transcript.shown("x" * (SHOWN - 20) + "s3cret" * 20)

    assert "s3cret" not in shown


def test_tokens_that_nobody_told_of_are_redacted_by_their_form(transcript: Transcript) -> None:
    """Another caller's, say, which a broken cache hands out."""
    jwt = token("a-key-of-nobody-0123456789-abcdefghij")

    shown = transcript.shown(
        f"Bearer {jwt} Negotiate YIICdgYGKwYBBQUCoIICajCCAmagJz/+== NTLM {'T' * 60} ?access_token=abc"
    )

    assert shown == "Bearer [redacted] Negotiate [redacted] NTLM [redacted] ?access_token=[redacted]"


def test_words_about_a_scheme_are_not_redacted(transcript: Transcript) -> None:
    assert transcript.shown("Negotiate authentication failed") == "Negotiate authentication failed"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;owned\x07\x1b[2J", "\\x1b]0;owned\\x07\\x1b[2J"),
        ("a\r\n2. Ask the service\n   200 OK", "a\\r\\n2. Ask the service\\n   200 OK"),
        ("nimda\u202eadmin", "nimda\\u202eadmin"),
        ("\x9b2J", "\\x9b2J"),
        ("\ud800", "\\ud800"),
    ],
    ids=["escape sequence", "forged step", "reversed text", "C1 control", "lone surrogate"],
)
def test_a_server_cannot_draw_on_the_terminal(transcript: Transcript, text: str, shown: str) -> None:
    """A forged step or a hidden line would lead whoever reads it astray."""
    assert transcript.shown(text) == shown


def test_letters_of_any_language_stay(transcript: Transcript) -> None:
    assert transcript.shown("josé 李 ok") == "josé 李 ok"


def test_a_long_text_is_cut(transcript: Transcript) -> None:
    assert transcript.shown("x" * 1000) == "x" * SHOWN + f"… ({1000 - SHOWN} more characters)"
