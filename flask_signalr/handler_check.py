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


def to_call(function: Handler) -> Handler:
    """Return what `Flask.ensure_sync` shall look at: of an object whose ``__call__`` is async, that."""
    call: Handler = getattr(function, "__call__", function)  # noqa: B004 -- not whether there is one, but which
    return call if inspect.iscoroutinefunction(call) and not inspect.iscoroutinefunction(function) else function


def accept_for(app: Flask) -> Accept:
    """Return a check of functions that an app is to run.

    An async one needs what the app's async views need. The app itself is asked, which may run them in its own way.
    """

    def accept(subject: str, function: Handler) -> None:
        try:
            app.ensure_sync(to_call(function))
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
