"""Names of hub methods: which of them the service can bring to the app, in a URL's path and in a header."""

import unicodedata

from flask_signalr.errors import ConfigurationError

LONGEST_NAME = 200
"""Characters of a name; percent-encoded in a URL each has up to 12, and servers take some 4000 or 8000 in all."""

_NO_TEXT = {
    "Cc": "a control character",
    "Cs": "half a character (a surrogate)",
    "Zl": "a line break",
    "Zp": "a line break",
}


def check_method_name(name: object) -> str:
    """Return a hub method's name.

    Raises:
        ConfigurationError: It is no text, or no call of it would reach the app; the text says why.
    """
    if callable(name):
        function = getattr(name, "__name__", "name")
        raise ConfigurationError(
            f"a hub method's name is the text that clients invoke, and there is none: write "
            f'@hub.method("{function}") in the place of @hub.method'
        )
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"a hub method's name is the text that clients invoke, not {name!r}")
    fault = _fault(name)
    if fault is not None:
        raise ConfigurationError(
            f"hub method {name[:LONGEST_NAME]!r}: no call of this name reaches the app, as {fault}"
        )
    return name


def _fault(name: str) -> str | None:
    """Return why a name is no name, or ``None``."""
    if len(name) > LONGEST_NAME:
        return f"it has {len(name)} characters, and {LONGEST_NAME} fit into a URL"
    if name.startswith("/"):
        return "it begins with a slash, and so does what stands before it in the URL's path"
    if name in {".", ".."}:
        return "in the path of a URL it means another folder"
    if name != name.strip():
        return "it begins or ends with a blank, which no header keeps"
    for character in name:
        kind = _NO_TEXT.get(unicodedata.category(character))
        if kind is not None:
            return f"it has {kind}, {character!a}, which no header carries"
    return None
