"""What the log tells of a denial: which requirement it was, as the caller is not told."""

import logging

from flask_signalr.error_text import log_text
from flask_signalr.errors import AuthorizationDenied


def log_denial(logger: logging.Logger, denied: AuthorizationDenied, hub: str, method: str | None) -> None:
    """Log which requirement denied: an error, with its traceback, if it could not be checked.

    Args:
        logger: Of whoever asked the policy.
        denied: What it raised.
        hub: The hub's name.
        method: What was called; ``None`` for a client that wants to connect.
    """
    where = (hub, "connect" if method is None else method)
    if denied.requirement and denied.__cause__ is not None:
        text = "hub %r, %r: %s could not be checked, which denies: %s"
        logger.error(text, *where, denied.requirement, log_text(denied.__cause__), exc_info=denied.__cause__)
    else:
        logger.info("hub %r, %r: denied by %s", *where, denied.requirement or "a handler")
