"""The filter of ``:execute``: which connections its commands are for.

A part of OData's filter language, enough to choose by what the service knows of a connection: ``connectionId``,
``userId`` (``null`` for an anonymous client) and ``groups``::

    userId eq 'ada' or userId in ('bob', 'eve')
    'lobby' in groups and not (connectionId eq 'x')
    startswith(userId, 'listener-')

``not`` binds tighter than ``and``, and that tighter than ``or``. A quote inside a text is written twice.

Source: OASIS OData 4.01, URL conventions, section 5.1.1;
Azure/azure-signalr:docs/swagger/examples/HubProxyV20230701_Execute.json for a filter that the service takes.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from flask_signalr.errors import BadRequest

LONGEST_FILTER = 4000
"""Characters of a filter."""

DEEPEST_FILTER = 50
"""Parentheses, and ``not``, inside each other."""


@dataclass(frozen=True)
class Subject:
    """What a filter can ask about a connection."""

    connection_id: str
    user_id: str | None
    groups: frozenset[str]


Filter = Callable[[Subject], bool]
_Property = Callable[[Subject], str | None]

_TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<word>[A-Za-z]+)|(?P<mark>[(),]))")
_PROPERTIES: dict[str, _Property] = {
    "connectionId": lambda subject: subject.connection_id,
    "userId": lambda subject: subject.user_id,
}
_FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": str.__contains__,
}
_COMPARISONS = ("eq", "ne", "in")


def parse_filter(text: str) -> Filter:
    """Return the test that a filter describes.

    Raises:
        BadRequest: It is none, or uses what is not supported; the text says what was expected where.
    """
    if len(text) > LONGEST_FILTER:
        raise BadRequest(f"The query parameter 'filter' is longer than {LONGEST_FILTER} characters.")
    return _Parser(text).parse()


class _Parser:
    """Reads a filter from left to right, one method for each level of binding."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._place = 0
        self._depth = 0

    def parse(self) -> Filter:
        test = self._either()
        if self._peek():
            raise self._unexpected("'and', 'or' or the end")
        return test

    def _either(self) -> Filter:
        tests = [self._both()]
        while self._skip("or"):
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda subject: any(test(subject) for test in tests)

    def _both(self) -> Filter:
        tests = [self._single()]
        while self._skip("and"):
            tests.append(self._single())
        return tests[0] if len(tests) == 1 else lambda subject: all(test(subject) for test in tests)

    def _single(self) -> Filter:
        self._depth += 1
        if self._depth > DEEPEST_FILTER:
            raise BadRequest(f"The query parameter 'filter' is nested more than {DEEPEST_FILTER} levels deep.")
        test = self._negation() if self._skip("not") else self._group() if self._skip("(") else self._test()
        self._depth -= 1
        return test

    def _negation(self) -> Filter:
        if self._peek() not in {"(", *_FUNCTIONS}:
            raise self._unexpected("a parenthesis or a function after 'not'")
        test = self._single()
        return lambda subject: not test(subject)

    def _group(self) -> Filter:
        test = self._either()
        self._expect(")")
        return test

    def _test(self) -> Filter:
        if self._peek() in _FUNCTIONS:
            return self._function()
        if self._peek().startswith("'"):
            group = self._text()
            self._expect("in")
            self._expect("groups")
            return lambda subject: group in subject.groups
        prop = self._property()
        operator = self._next(*_COMPARISONS)
        if operator == "in":
            values = self._list()
            return lambda subject: prop(subject) in values
        value = self._value()
        return (lambda s: prop(s) == value) if operator == "eq" else (lambda s: prop(s) != value)

    def _function(self) -> Filter:
        function = _FUNCTIONS[self._next(*_FUNCTIONS)]
        self._expect("(")
        prop = self._property()
        self._expect(",")
        part = self._text()
        self._expect(")")

        def test(subject: Subject) -> bool:
            value = prop(subject)
            return value is not None and function(value, part)

        return test

    def _list(self) -> frozenset[str | None]:
        self._expect("(")
        values = [self._value()]
        while self._skip(","):
            values.append(self._value())
        self._expect(")")
        return frozenset(values)

    def _property(self) -> _Property:
        return _PROPERTIES[self._next(*_PROPERTIES)]

    def _value(self) -> str | None:
        return None if self._skip("null") else self._text()

    def _text(self) -> str:
        if not self._peek().startswith("'"):
            raise self._unexpected("a text in single quotes")
        return self._take()[1:-1].replace("''", "'")

    def _peek(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _take(self) -> str:
        self._place += 1
        return self._tokens[self._place - 1]

    def _skip(self, token: str) -> bool:
        if self._peek() != token:
            return False
        self._take()
        return True

    def _next(self, *tokens: str) -> str:
        if self._peek() not in tokens:
            raise self._unexpected(" or ".join(f"'{token}'" for token in tokens))
        return self._take()

    def _expect(self, token: str) -> None:
        self._next(token)

    def _unexpected(self, wanted: str) -> BadRequest:
        found = f"{self._peek()[:50]!a}" if self._peek() else "its end"
        return BadRequest(f"The query parameter 'filter' must have {wanted} in the place of {found}.")


def _tokens(text: str) -> list[str]:
    tokens, place = [], 0
    text = text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise BadRequest(f"The query parameter 'filter' cannot be read from {text[place : place + 20]!a} on.")
        tokens.append(match[0].lstrip())
        place = match.end()
    return tokens
