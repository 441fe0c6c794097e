"""The text of an exception, which may be of an app's own class and fail to tell it."""


def error_text(error: BaseException) -> str:
    """Return what an exception says; the name of its type if it cannot say it.

    Args:
        error: Of any class; its ``__str__`` may raise, or return something else than a text.
    """
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - it is somebody else's code
        return type(error).__name__
