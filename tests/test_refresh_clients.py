"""Refresh over real sockets: the official JavaScript client, with the script that renews for it, outlives its token."""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
import urllib3
from flask import Flask

from flask_signalr import BearerAuth, Hub, SignalR
from flask_signalr.emulator import Emulator
from tests.client_process import ClientProcess
from tests.live import LONGEST_WAIT, ServiceClock, live_emulator, serving
from tests.signing import SECRET

TRANSPORTS = ["WebSockets", "ServerSentEvents", "LongPolling"]
over_every_transport = pytest.mark.parametrize("transport", TRANSPORTS)

LIFETIME = 600
"""Seconds that the bearer tokens of these tests last, unless they say otherwise."""


@dataclass
class Site:
    """An app whose sign-ins end, and the service beside it.

    Attributes:
        url: The app's base URL.
        hub: The hub.
        clock: The service's.
        emulator: The service.
        lifetimes: Seconds that the next bearer tokens last; then it is `LIFETIME`.
        user: Whose tokens are given out.
    """

    url: str
    hub: Hub
    clock: ServiceClock
    emulator: Emulator
    lifetimes: list[int]
    user: str = "ada"

    def options(self, transport: str) -> dict[str, Any]:
        """Return what a client is made of that signs in by a bearer token and renews it."""
        return {"url": f"{self.url}/chat", "tokenUrl": f"{self.url}/token", "renew": True, "transport": transport}


@contextmanager
def refreshing_site(close_on_expiry: bool = False) -> Iterator[Site]:
    clock = ServiceClock()
    app = Flask(__name__)
    with live_emulator(clock) as emulator:
        app.config.update(SIGNALR_CONNECTION_STRING=emulator.connection_string, SIGNALR_REFRESH=True)
        signalr = SignalR(app, auth=[BearerAuth(SECRET, leeway=0)])
        hub = signalr.hub("chat", close_on_expiry=close_on_expiry)
        with serving(app) as url:
            site = Site(url, hub, clock, emulator, [])

            @app.get("/token")
            def token() -> str:
                lifetime = site.lifetimes.pop() if site.lifetimes else LIFETIME
                return jwt.encode({"sub": site.user, "exp": int(time.time()) + lifetime}, SECRET)

            yield site


@over_every_transport
@pytest.mark.parametrize("close_on_expiry", [True, False])
def test_a_renewed_connection_outlives_its_first_token(
    node: ClientProcess, transport: str, close_on_expiry: bool
) -> None:
    """Polls and sends after the end bring the new token; nothing is closed, and nobody connects anew."""
    with refreshing_site(close_on_expiry) as site:
        site.lifetimes.append(100)
        with node.client(**site.options(transport)) as ada:
            error = ada.refresh()
            renewed = ada.expect("refreshed")
            site.clock.ahead = 150
            site.hub.clients.all.send("news", "for long polling to end its poll")
            heard = [ada.message()]
            site.hub.clients.all.send("news", "after the end")
            heard.append(ada.message())
            sent = ada.call()

    assert error is None
    assert 590 <= renewed["lifetime"] <= 600
    assert [message[1] for message in heard] == ["for long polling to end its poll", "after the end"]
    assert sent is not None  # there is no upstream, and the service says so: the call arrived
    assert "No upstream" in sent


def test_without_renewal_long_polling_ends_with_its_token(node: ClientProcess) -> None:
    """Or the tests above would prove nothing."""
    with refreshing_site() as site:
        site.lifetimes.append(100)
        with node.client(**site.options("LongPolling")) as ada:
            site.clock.ahead = 150
            site.hub.clients.all.send("news", "for long polling to end its poll")
            closed = ada.wait_for("closed")

    assert "401" in closed["error"]


def test_connections_renew_in_time_by_themselves(node: ClientProcess) -> None:
    """Halfway, where the token lives for less than twice the lead of five minutes."""
    with refreshing_site(close_on_expiry=True) as site, ExitStack() as stack:
        site.lifetimes += [8, 8, 8]
        clients = [stack.enter_context(node.client(**site.options(transport))) for transport in TRANSPORTS]
        renewed = [client.expect("refreshed")["lifetime"] for client in clients]
        site.clock.ahead = 20
        site.hub.clients.all.send("news", "after the end")
        heard = [client.message() for client in clients]

    assert all(590 <= lifetime <= LIFETIME for lifetime in renewed)
    assert heard == [("news", "after the end")] * 3


@over_every_transport
def test_a_refused_refresh_leaves_the_connection_as_it_was(node: ClientProcess, transport: str) -> None:
    with refreshing_site() as site, node.client(**site.options(transport)) as ada:
        site.user = "bob"
        error = ada.refresh()
        site.hub.clients.user("ada").send("news", "still ada")
        heard = ada.message()

    assert error is not None
    assert "403" in error
    assert heard == ("news", "still ada")


def test_a_client_that_knows_nothing_of_refresh_is_not_disturbed(node: ClientProcess) -> None:
    with refreshing_site() as site:
        token = urllib3.request("GET", f"{site.url}/token", timeout=LONGEST_WAIT).data.decode()
        with node.client(f"{site.url}/chat", token=token) as ada:
            site.hub.clients.user("ada").send("news", 1)
            heard = ada.message()

    assert heard == ("news", 1)


def test_the_servers_log_has_no_connection_token(node: ClientProcess, caplog: pytest.LogCaptureFixture) -> None:
    """It stands in the URL of our own view, where access logs write it down."""
    caplog.set_level(logging.DEBUG)
    with refreshing_site() as site, node.client(**site.options("LongPolling")) as ada:
        (secret,) = site.emulator.call(lambda running: [each.token for each in running.service.connections])
        error = ada.refresh()

    assert error is None
    assert "POST /chat/refresh?id=[redacted]" in caplog.text
    assert secret not in "".join(line for line in caplog.text.splitlines() if "urllib3" not in line)
