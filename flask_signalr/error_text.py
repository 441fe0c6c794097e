"""Texts for errors: what an exception says, which may fail to tell it, and what a wrong value is."""

import re

_BREAKS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")  # of lines, and what else moves a cursor


def error_text(error: BaseException) -> str:
    """Return what an exception says; the name of its type if it cannot say it.

    Args:
        error: Of any class; its ``__str__`` may raise, or return something else than a text.
    """
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - it is somebody else's code
        return type(error).__name__


def log_text(error: BaseException) -> str:
    """Return what an exception says, as one line: an app's own code may quote a caller, who could forge another.

    A traceback that is logged with it has the text as it is; its lines stand under the one that tells of it.
    """
    return _BREAKS.sub(lambda found: repr(found[0])[1:-1], error_text(error))


def kind_of(value: object) -> str:
    """Return what a value is, for the text of an error: ``an int``, ``the class dict``, ``None``; never its content."""
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
