"""A search of a directory (RFC 4511 §4.5), as a value: what is looked for, and what is found."""

import re
from collections.abc import Callable
from dataclasses import dataclass

_PLAIN = re.compile("[A-Za-z0-9]", re.ASCII)


@dataclass(frozen=True)
class Search:
    """What to look for in a subtree.

    Attributes:
        base: The DN of its root.
        filter: Which entries (RFC 4515), made of `equals` and `any_of`.
        limit: The most entries that there may be.
        attributes: Which of their attributes; their names are told anyway.
    """

    base: str
    filter: str
    limit: int
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """What a search found.

    Attributes:
        dn: Its distinguished name.
        attributes: The values of its attributes, by the attributes' names in small letters.
    """

    dn: str
    attributes: dict[str, tuple[str, ...]]

    def values(self, attribute: str) -> tuple[str, ...]:
        """Return an attribute's values; directories do not care for the case of its name."""
        return self.attributes.get(attribute.lower(), ())


class TooManyEntries(Exception):
    """A search found more than it may, or more than the server tells at once."""


Ask = Callable[[Search], list[Entry]]
"""Searches the directory. It raises `TooManyEntries`, and `Unavailable` when there is no answer."""


def equals(attribute: str, value: str) -> str:
    """Return a filter for entries of which an attribute has a value; no part of the value can be read as a filter."""
    return f"({attribute}={''.join(map(_escaped, value))})"


def any_of(filters: list[str]) -> str:
    """Return a filter for entries that one of these filters lets through."""
    return f"(|{''.join(filters)})"


def _escaped(letter: str) -> str:
    return letter if _PLAIN.fullmatch(letter) else "".join(f"\\{byte:02x}" for byte in letter.encode())
