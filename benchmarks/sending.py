"""(g) Sends per second through the service's REST API, over one connection that is kept."""

import time
from collections.abc import Callable
from statistics import median

import urllib3
from azure.messaging.webpubsubservice import WebPubSubServiceClient

from benchmarks.accepting import accepting_server
from benchmarks.measure import Bound, Row, Turns, take_turns
from benchmarks.signing import ACCESS_KEY
from flask_signalr import ServiceClient
from flask_signalr.rest.exchange import ServiceRequest, ServiceResponse, Transport

SUBJECT = "ServiceClient, hub.all.send"
RAW = "raw urllib3, the same POST with a token made before"
AZURE = "azure-messaging-webpubsubservice, send_to_all"

TARGET, ARGUMENTS = "message", ("ada", "Good morning, everybody")
MESSAGE = {"target": TARGET, "arguments": ARGUMENTS}
ROUND = 0.02
"""Seconds of one turn."""


def run() -> list[Row]:
    """Send the same message in three ways to a server in another process, by turns; the time on the clock counts."""
    with accepting_server() as (port,):
        turns = take_turns(
            {SUBJECT: _sending(port), RAW: _raw(port), AZURE: _azure(port)}, clock=time.perf_counter, duration=ROUND
        )
    return [_row(turns, RAW, Bound(at_least=0.8)), _row(turns, AZURE, Bound(at_least=2.5))]


def _row(turns: Turns, peer: str, bound: Bound) -> Row:
    """Return a line of sends per second, of which more is better: its ratio is that of the times turned round."""
    return Row(SUBJECT, _rate(turns, SUBJECT), peer, _rate(turns, peer), turns.ratio(peer, SUBJECT), bound)


def _rate(turns: Turns, name: str) -> str:
    return f"{1 / median(turns.seconds[name]):.0f}/s"


def _connection_string(port: int) -> str:
    return f"Endpoint=http://127.0.0.1;Port={port};AccessKey={ACCESS_KEY};Version=1.0;"


def _sending(port: int, transport: Transport | None = None) -> Callable[[], object]:
    hub = ServiceClient.from_connection_string(_connection_string(port), transport=transport).hub("chat")
    return lambda: hub.all.send(TARGET, *ARGUMENTS)


def _raw(port: int) -> Callable[[], object]:
    """Return a function that sends the very request of the subject: its URL, its headers with its token, its body."""
    requests: list[ServiceRequest] = []

    def keep(request: ServiceRequest) -> ServiceResponse:
        requests.append(request)
        return ServiceResponse(202, {})

    _sending(port, keep)()
    request, pool = requests[0], urllib3.HTTPConnectionPool("127.0.0.1", port)
    target = request.url.removeprefix(f"http://127.0.0.1:{port}")

    def send() -> None:
        response = pool.urlopen(request.method, target, body=request.body, headers=request.headers)
        if response.status != 202:
            raise AssertionError(f"the server answered {response.status}")

    return send


def _azure(port: int) -> Callable[[], object]:
    client = WebPubSubServiceClient.from_connection_string(_connection_string(port), hub="chat")
    return lambda: client.send_to_all(MESSAGE, content_type="application/json")
