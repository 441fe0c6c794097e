"""Sign-out: who signs out of the app with Flask-Login loses their connections to its hubs."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Response, after_this_request

from flask_signalr.auth.cookie import CookieAuth
from flask_signalr.errors import AuthorizationDenied, SignalRError
from flask_signalr.mounted_hub import MountedHub

logger = logging.getLogger(__name__)

REASON = "signed out"
"""What a closed client is told."""


class SignOut:
    """Closes the connections of whoever signs out, on every hub that has a `CookieAuth`.

    It closes them when the answer to the sign-out has been sent. Until then the browser still holds the session cookie,
    and a client that reconnects by itself would come back with it. The user's other sign-ins, on another device, are
    still good: their clients reconnect.

    Args:
        app: The app.
        hubs: Returns its hubs.
    """

    def __init__(self, app: Flask, hubs: Callable[[], Iterable[MountedHub]]) -> None:
        self._app = app
        self._hubs = hubs

    def connect(self) -> None:
        """Listen to Flask-Login's signal, where Flask-Login is installed; a second call changes nothing."""
        try:
            from flask_login import user_logged_out
        except ImportError:
            return
        user_logged_out.connect(self._signed_out, sender=self._app)

    def _signed_out(self, _app: Flask, user: Any = None, **_more: Any) -> None:
        if user is None or getattr(user, "is_anonymous", False) is True:
            return
        user_ids = [(hub, user_id) for hub in self._hubs() for user_id in _user_ids(hub, user)]
        if user_ids:

            @after_this_request
            def close_when_sent(response: Response) -> Response:
                response.call_on_close(lambda: self._close(user_ids))
                return response

    def _close(self, user_ids: Iterable[tuple[MountedHub, str]]) -> None:
        for hub, user_id in user_ids:
            try:
                hub.services.clients(hub.name).user(user_id).close(REASON)
            except SignalRError as exc:
                logger.warning("hub %r: the connections of a user who signed out stay open: %s", hub.name, exc)
            except Exception:
                logger.exception("hub %r: the connections of a user who signed out stay open", hub.name)


def _user_ids(hub: MountedHub, user: Any) -> set[str]:
    """Return the user ids that a user has on a hub; whatever goes wrong, signing out goes on."""
    found = set()
    for scheme in hub.options.auth:
        if isinstance(scheme, CookieAuth):
            try:
                user_id = hub.user_id(scheme.to_principal(user))
            except AuthorizationDenied:
                continue  # the collision guard says that the id is somebody else's
            except Exception:
                logger.exception("hub %r: who signed out has no user id here, so their connections stay open", hub.name)
                continue
            if user_id is not None:
                found.add(user_id)
    return found
