"""The filter of ``:execute``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_signalr.emulator.rest.filter import DEEPEST_FILTER, LONGEST_FILTER, Subject, parse_filter
from flask_signalr.errors import BadRequest

ADA = Subject("c1", "ada", frozenset({"lobby", "it's"}))
ANYONE = Subject("c2", None, frozenset())


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("userId eq 'ada'", {"ada"}),
        ("userId ne 'ada'", {"anyone"}),
        ("userId eq null", {"anyone"}),
        ("userId ne null", {"ada"}),
        ("userId eq 'ADA'", set()),
        ("connectionId eq 'c2'", {"anyone"}),
        ("connectionId in ('c1','c2', 'c3')", {"ada", "anyone"}),
        ("userId in (null, 'bob')", {"anyone"}),
        ("'lobby' in groups", {"ada"}),
        ("'it''s' in groups", {"ada"}),
        ("'its' in groups", set()),
        ("startswith(userId, 'a')", {"ada"}),
        ("startswith(userId,'')", {"ada"}),
        ("endswith( connectionId , '2' )", {"anyone"}),
        ("contains(userId, 'd')", {"ada"}),
        ("not startswith(userId, 'a')", {"anyone"}),
        ("not ('lobby' in groups)", {"anyone"}),
        ("not (not ('lobby' in groups))", {"ada"}),
        ("userId eq 'x' and userId eq 'y' or connectionId eq 'c1'", {"ada"}),
        ("connectionId eq 'c1' or userId eq 'x' and userId eq 'y'", {"ada"}),
        ("(connectionId eq 'c1' or userId eq null) and userId eq null", {"anyone"}),
        ("not contains(userId, 'x') and userId eq null", {"anyone"}),
        (" userId\teq\n'ada' ", {"ada"}),
        ("userId eq 'and' or userId eq 'groups) or true'", set()),
    ],
)
def test_a_filter_chooses_connections(text: str, chosen: set[str]) -> None:
    test = parse_filter(text)

    assert {name for name, subject in (("ada", ADA), ("anyone", ANYONE)) if test(subject)} == chosen


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "in the place of its end"),
        ("userId", "'eq' or 'ne' or 'in'"),
        ("userId eq", "a text in single quotes"),
        ("userId eq ada", "a text in single quotes in the place of 'ada'"),
        ("userId gt 'a'", "in the place of 'gt'"),
        ("userid eq 'a'", "'connectionId' or 'userId'"),
        ("userId eq 'a' userId eq 'b'", "'and', 'or' or the end"),
        ("userId eq 'a' and", "in the place of its end"),
        ("userId eq 'a", "cannot be read from"),
        ("userId eq 1", "cannot be read from"),
        ("(userId eq 'a'", "')'"),
        ("userId eq 'a')", "'and', 'or' or the end"),
        ("not userId eq 'a'", "a parenthesis or a function after 'not'"),
        ("'a' in users", "'groups'"),
        ("'a' eq userId", "'in'"),
        ("groups eq 'a'", "'connectionId' or 'userId'"),
        ("userId in ()", "a text in single quotes"),
        ("userId in ('a'", "')'"),
        ("startswith(groups, 'a')", "'connectionId' or 'userId'"),
        ("startswith(userId, null)", "a text in single quotes"),
        ("tolower(userId) eq 'a'", "in the place of 'tolower'"),
        ("true", "in the place of 'true'"),
    ],
)
def test_other_filters_are_refused_with_what_was_expected(text: str, expected: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_filter(text)

    assert "'filter'" in str(refused.value)
    assert expected in str(refused.value)


def test_a_filter_that_nests_to_exhaust_the_stack_is_refused() -> None:
    for text in ("(" * 1000, "not " * 900 + "(userId eq 'a')", "not (" * 700):
        with pytest.raises(BadRequest):
            parse_filter(text)
    deep = "(" * (DEEPEST_FILTER - 1) + "userId eq 'ada'" + ")" * (DEEPEST_FILTER - 1)

    assert parse_filter(deep)(ADA)
    with pytest.raises(BadRequest, match="levels deep"):
        parse_filter(f"({deep})")


def test_a_filter_that_is_too_long_is_refused() -> None:
    with pytest.raises(BadRequest, match=f"longer than {LONGEST_FILTER}"):
        parse_filter(" " * LONGEST_FILTER + "x")


pieces = st.sampled_from(
    ["userId", "connectionId", "groups", "eq", "ne", "in", "and", "or", "not", "null", "startswith", "(", ")", ",",
     "'a'", "''", "'", " "]
)  # fmt: skip


@given(st.lists(pieces).map(" ".join) | st.text())
def test_no_text_leads_to_anything_but_a_filter_or_a_refusal(text: str) -> None:
    try:
        test = parse_filter(text)
    except BadRequest:
        return

    assert isinstance(test(ADA), bool)
