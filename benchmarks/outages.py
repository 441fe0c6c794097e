"""(i) What a negotiate request costs while half of the service endpoints are down, and what finding that out does."""

import logging
import time
from collections.abc import Mapping, Sequence

from flask import Flask

from benchmarks.accepting import accepting_server
from benchmarks.apps import bearer_token, declare_hubs
from benchmarks.measure import Bound, Row, take_turns
from benchmarks.serving import CannotMeasure
from benchmarks.signing import access_key
from benchmarks.wsgi import caller
from flask_signalr import ServiceClient, SignalR

SIZES = (1, 10, 100)
"""How many service endpoints an app has; a single one is up and never probed."""

LONGEST_WAIT = 60
"""Seconds after which the probes of an app have not found out what there is to find."""

ANONYMOUS = ", anonymous caller"
PROBE_UP, PROBE_DOWN = "one probe of an endpoint that is up", "one probe of an endpoint that is down"


def run() -> list[Row]:
    """Ask apps that probe their endpoints, in this process, for a negotiation, by turns."""
    logging.getLogger("flask_signalr.endpoints").setLevel(logging.ERROR)  # half of them are down on purpose
    bearer = {"Authorization": f"Bearer {bearer_token()}"}
    with accepting_server(max(SIZES)) as ports:
        apps = {_name(size): _app(ports, size) for size in SIZES}
        callers = {name: caller(app, "/bearer/negotiate", headers=bearer) for name, app in apps.items()}
        bare = {name + ANONYMOUS: caller(app, "/open/negotiate") for name, app in apps.items()}
        up, down = (
            ServiceClient.from_connection_string(text, retries=0).endpoints[0] for text in (_up(ports[0], 0), _down(1))
        )
        turns, anonymous = take_turns(callers, rounds=600), take_turns(bare, rounds=600)
        probes = take_turns({PROBE_UP: lambda: up.fault(1), PROBE_DOWN: lambda: down.fault(1), **callers}, rounds=20)
    one, *more = apps
    return [
        *(turns.row(name, one, Bound(at_most=1.05)) for name in more),
        *(anonymous.row(name + ANONYMOUS, one + ANONYMOUS, Bound(at_most=1.05)) for name in more),
        probes.row(PROBE_UP, one),
        probes.row(PROBE_DOWN, one),
    ]


def _name(size: int) -> str:
    return f"{size} service endpoints, {size // 2} of them down" if size > 1 else "1 service endpoint"


def _up(port: int, number: int) -> str:
    return f"Endpoint=http://127.0.0.1:{port};AccessKey={access_key(number)};Version=1.0;"


def _down(number: int) -> str:
    """Return a connection string that leads to an address of this machine where nobody listens."""
    return f"Endpoint=http://127.0.1.{number + 1}:9;AccessKey={access_key(number)};Version=1.0;"


def endpoints_of(ports: Sequence[int], size: int) -> dict[str, str]:
    """Return the connection strings of so many endpoints, of which every second one is down."""
    return {f"e{number}": _down(number) if number % 2 else _up(ports[number], number) for number in range(size)}


def _app(ports: Sequence[int], size: int) -> Flask:
    """Return an app of which every second endpoint is down, once it knows."""
    endpoints = endpoints_of(ports, size)
    app = Flask("benchmarks")
    app.config["SIGNALR_ENDPOINTS"] = endpoints
    signalr = SignalR(app)
    declare_hubs(signalr)
    _wait_until_known(signalr, endpoints)
    return app


def _wait_until_known(signalr: SignalR, endpoints: Mapping[str, str]) -> None:
    end = time.monotonic() + LONGEST_WAIT
    while sum(not one.is_up for one in signalr.endpoints.status()) != len(endpoints) // 2:
        if time.monotonic() > end:
            raise CannotMeasure("the probes do not find half of the endpoints down: is somebody at 127.0.1.1, port 9?")
        time.sleep(0.05)
