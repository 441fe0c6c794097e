"""Services that die, hang and come back while clients negotiate all the time."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from flask import Flask
from werkzeug.test import Client

from flask_signalr import SignalR
from tests.apps import body
from tests.emulator_process import EmulatorProcess
from tests.live import LONGEST_WAIT

PER_SECOND = 200
INTERVAL = 2.0
TIMEOUT = 0.4
HUB = "/chat/negotiate"


@dataclass
class Outage:
    """A time in which a service takes nobody; ``end`` is infinite while it lasts."""

    start: float
    end: float = float("inf")


@dataclass
class Region:
    """A service, and when it was down."""

    name: str
    service: EmulatorProcess
    outages: list[Outage] = field(default_factory=list)

    def kill(self) -> None:
        self.service.stop()
        self.outages.append(Outage(time.monotonic()))

    def hang(self) -> None:
        self.service.hang()
        self.outages.append(Outage(time.monotonic()))

    def came_back(self) -> None:
        self.outages[-1].end = time.monotonic()

    def start(self) -> None:
        self.service.start()
        self.came_back()

    def go_on(self) -> None:
        self.service.go_on()
        self.came_back()

    def has_been_down(self, asked: float, answered: float) -> float:
        """Return the seconds for which it had been down when a negotiation began; 0 if it came back meanwhile."""
        return max((asked - one.start for one in self.outages if one.start < asked and answered < one.end), default=0)


@dataclass(frozen=True)
class Answer:
    asked: float
    answered: float
    status: int
    region: str
    retry_after: str | None


class Crowd:
    """Clients that negotiate, so many in a second, until they are told to stop."""

    def __init__(self, app: Flask) -> None:
        self._client = Client(app)
        self._by_url = {one.client_base_url: one.name for one in app.extensions["signalr"].endpoints.all}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._negotiate_all_the_time)
        self.answers: list[Answer] = []

    def __enter__(self) -> "Crowd":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _negotiate_all_the_time(self) -> None:
        start = time.monotonic()
        while not self._stopped.wait(start + len(self.answers) / PER_SECOND - time.monotonic()):
            self.answers.append(self._negotiate())

    def _negotiate(self) -> Answer:
        asked = time.monotonic()
        answer = self._client.post(HUB, query_string="negotiateVersion=1")
        answered = time.monotonic()
        url = body(answer).get("url", "")
        region = self._by_url.get(url.partition("client/")[0], "")
        return Answer(asked, answered, answer.status_code, region, answer.headers.get("Retry-After"))

    def wait_until(self, *wanted: str) -> None:
        """Wait until clients have been sent to just these regions, for half a second; none: all are refused."""
        lately: list[Answer] = []
        deadline = time.monotonic() + LONGEST_WAIT
        while {one.region for one in lately} != set(wanted or [""]):
            assert time.monotonic() < deadline, f"sent to {Counter(one.region for one in lately)} and not to {wanted}"
            self._stopped.wait(1)
            lately = self.answers[-PER_SECOND // 2 :]


def test_nobody_is_sent_to_an_endpoint_that_has_been_down_for_two_intervals() -> None:
    """Nor is anybody answered with an error of ours: without any endpoint left, clients are told when to come back."""
    with EmulatorProcess() as one, EmulatorProcess() as two, EmulatorProcess() as reserve:
        east, west, south = Region("east", one), Region("west", two), Region("south", reserve)
        app = Flask(__name__)
        app.config.update(
            SIGNALR_ENDPOINTS={
                "east": one.connection_string,
                "west": two.connection_string,
                "south:secondary": reserve.connection_string,
            },
            SIGNALR_HEALTH_INTERVAL=INTERVAL,
            SIGNALR_HEALTH_TIMEOUT=TIMEOUT,
        )
        signalr = SignalR(app, allow_anonymous=True)
        signalr.hub("chat")
        with Crowd(app) as crowd:
            crowd.wait_until("east", "west")
            east.kill()
            crowd.wait_until("west")
            west.hang()
            crowd.wait_until("south")
            east.start()
            crowd.wait_until("east")
            west.go_on()
            crowd.wait_until("east", "west")
            for region in (east, west, south):
                region.kill()
            crowd.wait_until()
            south.start()
            crowd.wait_until("south")
            east.start()
            west.start()
            crowd.wait_until("east", "west")
        signalr.endpoints.stop()

    down = {region.name: region for region in (east, west, south)}
    late = [down[a.region].has_been_down(a.asked, a.answered) for a in crowd.answers if a.region]
    refused = [answer for answer in crowd.answers if answer.status != 200]
    assert {answer.status for answer in crowd.answers} == {200, 503}
    assert all(int(answer.retry_after or 0) > 0 for answer in refused)
    assert max(late) <= 2 * INTERVAL
    assert len(crowd.answers) > PER_SECOND * 5
