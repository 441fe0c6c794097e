"""Checks of keywords that several settings have: time spans and limits."""

import math

from flask_signalr.errors import ConfigurationError


def check_seconds(keyword: str, value: object) -> None:
    """Check a time span.

    Raises:
        ConfigurationError: It is no number of seconds above 0.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ConfigurationError(f"{keyword}: give seconds as a number above 0")


def check_count(keyword: str, value: object) -> None:
    """Check a limit.

    Raises:
        ConfigurationError: It is no whole number above 0.
    """
    if type(value) is not int or value < 1:
        raise ConfigurationError(f"{keyword}: give a whole number above 0")
