"""The demo over real sockets, and a page of another origin, for tests with a browser in front of them."""

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask, send_file

from demo.app import DEFAULTS, create_app
from flask_signalr import AuthScheme, ServiceEndpoint
from flask_signalr.emulator import Emulator
from tests.live import Negotiation, Recorder, Rest, read_record, serving

ADA, BOB, EVE = "ada@example.org", "bob@example.org", "eve@example.org"
CLIENT = Path(DEFAULTS["DEMO_CLIENT"])


@dataclass(frozen=True)
class DemoSite:
    """A demo that runs.

    Attributes:
        url: Its base URL, without a slash at the end.
        rest: The REST API of its service.
        record: Where its negotiate requests are written down.
    """

    url: str
    rest: Rest
    record: Path

    @property
    def negotiations(self) -> list[Negotiation]:
        """What its hub was asked so far."""
        return read_record(self.record)


@contextmanager
def demo_site(
    emulator: Emulator,
    record: Path,
    *,
    schemes: Sequence[AuthScheme] = (),
    change: Callable[[Flask], object] = lambda app: None,
    **config: Any,
) -> Iterator[DemoSite]:
    """Run the demo's app.

    Args:
        emulator: Its service.
        record: Where its negotiate requests are written down.
        schemes: Its auth schemes, if not its own ones.
        change: Called with the app before it runs.
        **config: Its other configuration.
    """
    app = create_app({"SIGNALR_CONNECTION_STRING": emulator.connection_string, **config}, schemes)
    change(app)
    app.wsgi_app = Recorder(app.wsgi_app, record)  # type: ignore[method-assign]
    record.touch()
    with serving(app) as url:
        emulator.replace_upstream(url)
        yield DemoSite(url, Rest(ServiceEndpoint.parse(emulator.connection_string)), record)


@contextmanager
def other_site() -> Iterator[str]:
    """Run a site with nothing but a page that has the official client; yield its origin."""
    app = Flask(__name__)

    @app.get("/")
    def page() -> str:
        return '<!doctype html><link rel="icon" href="data:,"><script src="/signalr.min.js"></script>'

    @app.get("/signalr.min.js")
    def client() -> Any:
        return send_file(CLIENT)

    with serving(app) as url:
        yield url


@contextmanager
def taken_port() -> Iterator[int]:
    """Listen on a port that then nobody else can have."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]
