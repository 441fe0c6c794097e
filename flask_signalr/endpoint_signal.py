"""The signal that an app gets when one of its service endpoints goes up or down."""

import logging
import threading
import weakref
from collections import deque

from blinker import Namespace
from flask import Flask

from flask_signalr.endpoint_health import EndpointStatus

logger = logging.getLogger("flask_signalr.endpoints")

endpoint_changed = Namespace().signal(
    "endpoint-changed",
    "Sent when a service endpoint went up or down, in each process that found it so: sender is the app, status an "
    "EndpointStatus. Receivers, sync or async, run in a thread of their own, one after the other, without request and "
    "app context.",
)

_MOST_WAITING = 1000


class EndpointAnnouncer:
    """Sends `endpoint_changed` for an app, in a thread that lives while there is something to send.

    A receiver that takes long delays others like it, and neither requests nor probes. Nothing keeps the app alive.

    Args:
        app: The sender.
    """

    def __init__(self, app: Flask) -> None:
        self._app = weakref.ref(app)
        self._waiting: deque[EndpointStatus] = deque(maxlen=_MOST_WAITING)
        self._lock = threading.Lock()
        self._is_sending = False

    def __call__(self, status: EndpointStatus) -> None:
        """Send the signal soon.

        Raises:
            RuntimeError: There can be no more threads; it is sent with the next one.
        """
        with self._lock:
            self._waiting.append(status)
            if not self._is_sending:
                threading.Thread(target=self._send_all, name="flask-signalr-endpoint-changed", daemon=True).start()
                self._is_sending = True

    def _send_all(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._is_sending = False
                    return
                status = self._waiting.popleft()
            _send(self._app, status)


def _send(sender: weakref.ref[Flask], status: EndpointStatus) -> None:
    """Call every receiver, if there is still an app; blinker itself ends at the first that raises."""
    app = sender()
    if app is None:
        return
    for receiver in endpoint_changed.receivers_for(app):
        try:
            app.ensure_sync(receiver)(app, status=status)
        except BaseException:  # `sys.exit` too: this thread has others to tell, now and later
            logger.exception("a receiver of endpoint_changed failed at endpoint %r", status.name or status.url)
