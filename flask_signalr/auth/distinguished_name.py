"""Distinguished names: what directories call their entries (RFC 4514)."""

import re
from dataclasses import dataclass

_ATTRIBUTE = re.compile(
    r"""
    \ * ([A-Za-z][A-Za-z0-9-]* | [0-9.]+) \ *=\ *         # the type: a name or an object identifier
    ( (?: [^\\,+"<>;\0\ ]                                 # the value: what stands for itself,
        | \ (?!\ *(?:[,+]|\Z))                            #   blanks but those at its end,
        | \\[0-9A-Fa-f]{2} | \\[^0-9A-Fa-f] )* ) \ *      #   escaped bytes and escaped characters
    """,
    re.VERBOSE,
)
_ESCAPES = re.compile(r"((?:\\[0-9A-Fa-f]{2})+)|\\(.)", re.DOTALL)


class UnreadableName(ValueError):
    """A text that is no distinguished name."""


@dataclass(frozen=True)
class DistinguishedName:
    """A distinguished name in a form that compares as directories do: without case, and with blanks run together.

    Attributes:
        parts: Its relative names, the entry's own first; each is a set of (type, value).
    """

    parts: tuple[frozenset[tuple[str, str]], ...]

    @classmethod
    def parse(cls, text: str) -> "DistinguishedName":
        """Return the name that a text writes.

        Raises:
            UnreadableName: It writes none.
        """
        return cls(tuple(frozenset((kind, _folded(value)) for kind, value in part) for part in _split(text)))

    def is_below(self, other: "DistinguishedName") -> bool:
        """Return whether the entry lies in the other one's subtree, or is that entry."""
        start = len(self.parts) - len(other.parts)
        return start >= 0 and self.parts[start:] == other.parts


def common_name(text: str) -> str | None:
    """Return an entry's ``cn``, as it is written in its name; ``None`` if the entry is not named by it.

    Raises:
        UnreadableName: The text is no distinguished name.
    """
    return next((value for kind, value in _split(text)[0] if kind == "cn"), None)


def _split(text: str) -> list[list[tuple[str, str]]]:
    parts: list[list[tuple[str, str]]] = [[]]
    position = 0
    while match := _ATTRIBUTE.match(text, position):
        parts[-1].append((match[1].lower(), _unescaped(match[2])))
        position = match.end()
        if position == len(text):
            return parts
        if text[position] == ",":
            parts.append([])
        elif text[position] != "+":
            break
        position += 1
    raise UnreadableName("a distinguished name cannot be read")


def _unescaped(value: str) -> str:
    try:
        return _ESCAPES.sub(lambda match: match[2] or bytes.fromhex(match[1].replace("\\", "")).decode(), value)
    except UnicodeDecodeError as exc:
        raise UnreadableName("a distinguished name is not UTF-8") from exc


def _folded(value: str) -> str:
    return " ".join(value.lower().split())
