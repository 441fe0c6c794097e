"""Texts for errors: what an exception says, which may fail to tell it, and what a wrong value is."""


def error_text(error: BaseException) -> str:
    """Return what an exception says; the name of its type if it cannot say it.

    Args:
        error: Of any class; its ``__str__`` may raise, or return something else than a text.
    """
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - it is somebody else's code
        return type(error).__name__


def kind_of(value: object) -> str:
    """Return what a value is, for the text of an error: ``an int``, ``the class dict``, ``None``; never its content."""
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"
