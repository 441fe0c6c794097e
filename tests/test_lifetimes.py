"""The end of a sign-in, over real sockets: the service closes the connection, the app decides about the next one."""

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager

import jwt
import pytest
from flask import Flask, Response, session

from flask_signalr import BearerAuth, CookieAuth, SignalR
from tests.client_process import ClientProcess
from tests.live import LONGEST_WAIT, ServiceClock, live_emulator, serving
from tests.signing import SECRET

over_every_transport = pytest.mark.parametrize("transport", ["WebSockets", "ServerSentEvents", "LongPolling"])

LIFETIME = 600
"""Seconds that the sign-ins of these tests last."""


class Site:
    """An app whose hub closes connections when the sign-in ends: a bearer token, or a session.

    Attributes:
        app: The app.
        clock: The service's.
        statuses: Of the app's answers.
    """

    def __init__(self) -> None:
        self.app = Flask(__name__)
        self.clock = ServiceClock()
        self.statuses: queue.Queue[int] = queue.Queue()
        self.app.after_request(self._note)

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve the app, and a service beside it; yield the URL of the hub."""
        with live_emulator(self.clock) as emulator:
            self.app.config.update(
                SIGNALR_CONNECTION_STRING=emulator.connection_string,
                SIGNALR_ACCESS_TOKEN_LIFETIME=86_400,
                SECRET_KEY="of-the-session",
                PERMANENT_SESSION_LIFETIME=LIFETIME,
            )
            signalr = SignalR(self.app, auth=[BearerAuth(SECRET), CookieAuth(lambda: session.get("name"))])
            signalr.hub("chat", close_on_expiry=True)
            with serving(self.app) as url:
                yield f"{url}/chat"

    def session_cookie(self) -> dict[str, str]:
        """Return the headers of a browser whose user has just signed in."""
        with self.app.test_client() as browser, browser.session_transaction() as content:
            content.update(name="ada", _permanent=True)
        cookie = browser.get_cookie("session")
        assert cookie is not None
        return {"Cookie": f"session={cookie.value}"}

    def _note(self, response: Response) -> Response:
        self.statuses.put(response.status_code)
        return response


def bearer(seconds: int) -> str:
    return jwt.encode({"sub": "ada", "exp": int(time.time()) + seconds}, SECRET)


@over_every_transport
def test_a_connection_is_closed_when_its_sign_in_ends(node: ClientProcess, transport: str) -> None:
    """A connection that is open needs no token, and would outlive the sign-in by days."""
    site = Site()
    with site.serving() as hub, node.client(hub, token=bearer(LIFETIME), transport=transport) as ada:
        site.clock.ahead = LIFETIME + 1
        closed = ada.expect("closed")

    told = "Server returned an error on close: The sign-in has expired."
    poll_came_first = transport == "LongPolling" and "the access token expired" in closed["error"]
    assert closed["error"] == told or poll_came_first  # the token ends with the sign-in, and each poll brings it


@over_every_transport
def test_a_client_whose_session_slides_on_connects_again_by_itself(node: ClientProcess, transport: str) -> None:
    """The session of the first negotiate has ended for the service; for the app the cookie is still good."""
    site = Site()
    with site.serving() as hub:
        cookie = site.session_cookie()
        with node.client(hub, headers=cookie, transport=transport, reconnect=True) as ada:
            first = ada.id
            site.clock.ahead = LIFETIME + 1
            ada.expect("reconnecting")
            site.clock.ahead = 0
            ada.expect("reconnected")

    assert ada.id not in ("", first)


def test_who_comes_again_with_the_sign_in_that_has_ended_is_refused(node: ClientProcess) -> None:
    site = Site()
    with site.serving() as hub, node.client(hub, token=bearer(2), reconnect=True) as ada:
        ada.expect("reconnecting")
        statuses = [site.statuses.get(timeout=LONGEST_WAIT) for _ in range(2)]

    assert statuses == [200, 401]
