"""Whether an app can run what a hub declares, told when it is mounted and not by the first call."""

import inspect
from collections.abc import Iterable
from typing import Protocol

from flask import Flask

from flask_signalr.errors import ConfigurationError
from flask_signalr.handler_signature import Handler
from flask_signalr.hub_methods import Accept, HubMethods


class _Declared(Protocol):
    @property
    def methods(self) -> HubMethods: ...


def accept_for(app: Flask) -> Accept:
    """Return a check of functions that an app is to run.

    An async one needs what the app's async views need. The app itself is asked, which may run them in its own way.
    """

    def accept(subject: str, function: Handler) -> None:
        if not inspect.iscoroutinefunction(function):
            function = getattr(function, "__call__", function)  # noqa: B004 - of an object it may be async
        try:
            app.ensure_sync(function)
        except RuntimeError as exc:
            raise ConfigurationError(f"{subject} is async: pip install 'flask[async]' ({exc})") from exc

    return accept


def check_hubs(app: Flask, hubs: Iterable[_Declared]) -> None:
    """Check all that is declared, now that all should be there.

    Args:
        app: The app that is to run it.
        hubs: The hubs in it.

    Raises:
        ConfigurationError: It could not.
    """
    for hub in hubs:
        hub.methods.check(accept_for(app))
