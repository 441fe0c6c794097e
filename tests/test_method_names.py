"""Names of hub methods: which the service can bring to the app."""

from typing import Any

import pytest

from flask_signalr.errors import ConfigurationError
from flask_signalr.method_names import LONGEST_NAME, check_method_name


@pytest.mark.parametrize(
    "name",
    [
        "sendMessage",
        "a/b",
        "a//b",
        "a/",
        "...",
        "./a",
        "a b",
        "größe",
        "日本",
        "🎉",
        "%2F",
        "?x#y",
        "a\\b",
        "x" * LONGEST_NAME,
    ],
    ids=ascii,
)
def test_whatever_a_path_and_a_header_can_carry_is_a_name(name: str) -> None:
    """`tests/test_upstream_views.py` and `tests/test_testing_upstream.py` call such methods."""
    assert check_method_name(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/a", "begins with a slash"),
        ("//", "begins with a slash"),
        (".", "another folder"),
        ("..", "another folder"),
        (" a", "a blank"),
        ("a\t", "a blank"),
        ("a\xa0", "a blank"),
        ("a\nb", "a control character"),
        ("a\r\nX-ASRS-User-Id: root", "a control character"),
        ("a\x00b", "a control character"),
        ("a\x7fb", "a control character"),
        ("a\x85b", "a control character"),
        ("a\u2028b", "a line break"),
        ("a\u2029b", "a line break"),
        ("a\ud800", "a surrogate"),
        ("x" * (LONGEST_NAME + 1), "201 characters"),
        ("x" * 100_000, "100000 characters"),
    ],
    ids=lambda each: ascii(each)[:20],
)
def test_a_name_that_nobody_could_call_is_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"no call of this name reaches the app, as .*{reason}") as refused:
        check_method_name(name)

    assert len(str(refused.value)) < 500
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", ["", None, 7, b"add"])
def test_a_name_is_a_text(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="the text that clients invoke"):
        check_method_name(name)


def test_a_function_in_the_place_of_a_name_is_told_what_to_write() -> None:
    def ping() -> None: ...

    with pytest.raises(ConfigurationError, match=r'write @hub\.method\("ping"\) in the place of @hub\.method'):
        check_method_name(ping)
