"""The endpoints of an app: their weights, and which are up, with services that come and go."""

import gc
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from flask_signalr import (
    ConfigurationError,
    EndpointRouter,
    EndpointStatus,
    Hub,
    ServiceEndpoint,
    SignalR,
    SignalRError,
    endpoint_changed,
)
from flask_signalr.app_endpoints import AppEndpoints
from flask_signalr.config import Settings
from flask_signalr.endpoint_health import HealthSettings
from flask_signalr.endpoint_monitor import Announce
from flask_signalr.endpoints import DEFAULT_ROUTER
from flask_signalr.testing import FakeService
from tests.apps import ACCESS_KEY, CONNECTION_STRING, OTHER_CONNECTION_STRING, body, negotiate
from tests.emulator_process import EmulatorProcess
from tests.live import LONGEST_WAIT, with_another_key
from tests.recorded_service import RecordedService
from tests.scripted_server import ScriptedServer, http

EAST, WEST = CONNECTION_STRING, OTHER_CONNECTION_STRING


def settings(**config: Any) -> Settings:
    return Settings.from_config({"SIGNALR_ENDPOINTS": {"east": EAST, "west:secondary": WEST}} | config)


def test_the_configuration_weighs_endpoints_by_name() -> None:
    endpoints = settings(SIGNALR_ENDPOINT_WEIGHTS={"west": 3}).endpoints

    assert [(one.name, one.weight) for one in endpoints] == [("east", 1), ("west", 3)]


@pytest.mark.parametrize(
    ("weights", "fault"),
    [
        ({"north": 3}, "SIGNALR_ENDPOINT_WEIGHTS: no endpoint is named 'north'; there are 'east', 'west'"),
        ({"east": 0}, "SIGNALR_ENDPOINT_WEIGHTS.*give a JSON object of endpoint name to a number above 0"),
        ({"east": "much"}, "SIGNALR_ENDPOINT_WEIGHTS.*give a JSON object of endpoint name to a number above 0"),
        ({"east": "inf"}, "SIGNALR_ENDPOINT_WEIGHTS: a weight is a number above 0, not inf"),
        ({"east": "nan"}, "SIGNALR_ENDPOINT_WEIGHTS"),
        (3, "SIGNALR_ENDPOINT_WEIGHTS.*give a JSON object of endpoint name to a number above 0"),
    ],
)
def test_weights_that_cannot_be_used_are_refused(weights: object, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        settings(SIGNALR_ENDPOINT_WEIGHTS=weights)


def test_two_endpoints_of_one_name_are_refused() -> None:
    """Nobody could say which of them is down, and the failure of one would hide the other's."""
    both = {"east": EAST, "east:secondary": WEST}

    with pytest.raises(ConfigurationError, match="SIGNALR_ENDPOINTS: 2 endpoints are named 'east'"):
        settings(SIGNALR_ENDPOINTS=both)


# Health.

QUICK = {"SIGNALR_HEALTH_INTERVAL": 1, "SIGNALR_HEALTH_TIMEOUT": 0.3}
THREAD = "flask-signalr-endpoints"


@pytest.fixture(scope="module")
def services() -> Iterator[list[EmulatorProcess]]:
    """Two services, in processes of their own; each test may end them."""
    with EmulatorProcess() as east, EmulatorProcess() as west:
        yield [east, west]


class Regions:
    """An app with two services, east and west.

    Args:
        services: Both of them.
        config: What the app is configured with besides.
    """

    def __init__(self, services: Sequence[EmulatorProcess], **config: Any) -> None:
        self.services = dict(zip(("east", "west"), services, strict=True))
        for service in services:
            service.start()
        self.strings = {name: service.connection_string for name, service in self.services.items()}
        self.app = Flask("regions")
        self.app.config.update({"SIGNALR_ENDPOINTS": self.strings, **QUICK, **config})
        self.signalr = SignalR(self.app, allow_anonymous=True)
        self.signalr.hub("chat")
        self._changes: queue.Queue[EndpointStatus] = queue.Queue()
        endpoint_changed.connect(self._changed, sender=self.app)

    def _changed(self, sender: Flask, status: EndpointStatus) -> None:
        self._changes.put(status)

    def next_change(self) -> EndpointStatus:
        return self._changes.get(timeout=LONGEST_WAIT)

    def stop(self, name: str) -> EndpointStatus:
        """Let a service end, and return what the app makes of it."""
        self.services[name].stop()
        return self.next_change()

    def start(self, name: str) -> EndpointStatus:
        """Let a service come back, and return what the app makes of it."""
        self.services[name].start()
        return self.next_change()

    def configure(self, **config: Any) -> None:
        self.app.config.update(config)
        self.signalr.reload()

    def negotiate(self) -> TestResponse:
        return negotiate(self.app)

    def places(self, count: int = 50) -> set[str]:
        """Return the names of the endpoints that clients are sent to; one of two is missed once in 2**49."""
        by_url = {one.client_base_url: one.name for one in self.signalr.endpoints.all}
        answers = [body(self.negotiate())["url"] for _ in range(count)]
        return {by_url[url.partition("client/")[0]] for url in answers}

    def end(self) -> None:
        self.signalr.endpoints.stop()
        until_no_thread()


@pytest.fixture
def site(services: list[EmulatorProcess]) -> Iterator[Regions]:
    """An app with two primary endpoints, both of which run."""
    site = Regions(services)
    yield site
    site.end()


def with_wrong_key(site: Regions, name: str) -> dict[str, str]:
    """Return the connection strings of an app that does not have the key of one service."""
    return site.strings | {name: with_another_key(site.strings[name])}


def threads(name: str = THREAD) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == name]


def until_no_thread(name: str = THREAD) -> None:
    for thread in threads(name):
        thread.join(LONGEST_WAIT)
    assert not threads(name)


def test_clients_are_sent_where_the_service_is_up(site: Regions) -> None:
    at_first = site.places()
    went = site.stop("east")
    without = site.places()
    came = site.start("east")

    assert at_first == site.places() == {"east", "west"}
    assert without == {"west"}
    assert (went.name, went.is_up) == ("east", False)
    assert "cannot be connected to" in went.reason
    assert (came.name, came.is_up, came.reason) == ("east", True, "")


def test_a_secondary_endpoint_steps_in_and_steps_back(site: Regions) -> None:
    east, west = site.strings.values()
    site.configure(SIGNALR_ENDPOINTS={"east": east, "west:secondary": west})
    at_first = site.places()
    site.stop("east")
    meanwhile = site.places()
    site.start("east")

    assert (at_first, meanwhile, site.places()) == ({"east"}, {"west"}, {"east"})


def test_without_any_endpoint_clients_are_asked_to_come_back(site: Regions) -> None:
    site.places()
    site.stop("east")
    site.stop("west")

    answer = site.negotiate()

    assert answer.status_code == 503
    assert body(answer) == {"error": "no service endpoint is available, please try again later"}
    assert int(answer.headers["Retry-After"]) > 0


def test_the_status_tells_what_is_known(site: Regions) -> None:
    before = site.signalr.endpoints.status()
    site.stop("west")

    east, west = site.signalr.endpoints.status()

    assert [(status.name, status.is_up, status.checked_at) for status in before] == [
        ("east", True, None),
        ("west", True, None),
    ]
    assert (east.name, east.is_up, east.reason) == ("east", True, "")
    assert (west.name, west.is_up, west.since) == ("west", False, west.checked_at)


def test_an_endpoint_with_a_wrong_key_is_down_and_says_so(site: Regions) -> None:
    """It is up and well, and no client would get in with the tokens that this app signs."""
    site.configure(SIGNALR_ENDPOINTS=with_wrong_key(site, "east"))
    site.places()
    change = site.next_change()

    assert site.places() == {"west"}
    assert (change.name, change.is_up) == ("east", False)
    assert "answered 401 Unauthorized: the service does not accept the token: check the AccessKey" in change.reason
    assert "AccessKey=" not in repr(change)
    assert all(one.access_key not in repr(change) for one in site.signalr.endpoints.all if one.access_key)


def test_a_key_that_is_put_right_brings_the_endpoint_back_after_a_reload(site: Regions) -> None:
    site.configure(SIGNALR_ENDPOINTS=with_wrong_key(site, "east"))
    site.places()
    went = site.next_change()
    site.configure(SIGNALR_ENDPOINTS=site.strings)
    at_first = site.places()
    came = site.next_change()

    assert site.places() == {"east", "west"}
    assert (went.is_up, at_first, came.is_up) == (False, {"west"}, True)


def test_a_reload_keeps_what_is_known_and_lets_the_former_thread_end(site: Regions) -> None:
    site.places()
    site.stop("east")
    former, still_in_use = threads(), site.signalr.endpoints  # as by a request that is being answered

    site.signalr.reload()
    kept = site.places()

    for thread in former:
        thread.join(LONGEST_WAIT)
    assert len(former) == len(threads()) == 1
    assert former != threads()
    assert kept == {"west"}
    assert {one.name for one in still_in_use.reachable()} == {"west"}


def test_changes_are_told_one_after_the_other_over_a_reload_too(site: Regions) -> None:
    """A receiver that takes long would hear that an endpoint is up before it has heard that it was down."""
    begun: queue.SimpleQueue[str] = queue.SimpleQueue()
    may_end = threading.Event()

    def slow(sender: Flask, status: EndpointStatus) -> None:
        begun.put(status.name)
        may_end.wait(LONGEST_WAIT)

    with endpoint_changed.connected_to(slow, sender=site.app):
        site.places()
        site.services["east"].stop()
        first = begun.get(timeout=LONGEST_WAIT)
        site.signalr.reload()
        site.services["west"].stop()
        while site.signalr.endpoints.status()[1].is_up:
            time.sleep(0.01)
        with pytest.raises(queue.Empty):
            begun.get(timeout=0.3)
        may_end.set()
        second = begun.get(timeout=LONGEST_WAIT)
        until_no_thread("flask-signalr-endpoint-changed")

    assert (first, second) == ("east", "west")


@pytest.mark.parametrize("is_alone", [False, True], ids=["nothing is probed", "one endpoint"])
def test_a_reload_after_which_nothing_is_probed_forgets_who_was_down(site: Regions, is_alone: bool) -> None:
    """Clients are sent there, and nothing would ever tell that it is up again."""
    site.places()
    went = site.stop("east")
    alone = {"SIGNALR_ENDPOINTS": {"east": site.strings["east"]}}

    site.configure(**(alone if is_alone else {"SIGNALR_HEALTH_INTERVAL": 0}))

    east = site.signalr.endpoints.status()[0]
    assert not went.is_up
    assert (east.name, east.is_up, east.reason) == ("east", True, "")
    assert "east" in site.places()


def test_no_request_fails_while_the_settings_are_read_anew(site: Regions) -> None:
    """Requests that are being answered ask the former settings' endpoints, whose thread is just ending."""
    statuses: queue.SimpleQueue[int] = queue.SimpleQueue()
    done = threading.Event()

    def negotiate_all_the_time() -> None:
        while not done.is_set():
            statuses.put(site.negotiate().status_code)

    clients = [threading.Thread(target=negotiate_all_the_time) for _ in range(4)]
    for client in clients:
        client.start()
    for _ in range(200):
        site.signalr.reload()
    done.set()
    for client in clients:
        client.join()

    assert {statuses.get() for _ in range(statuses.qsize())} == {200}


def test_one_endpoint_is_never_probed(site: Regions) -> None:
    """Clients could be sent nowhere else."""
    site.configure(SIGNALR_ENDPOINTS={"east": site.strings["east"]})
    site.services["east"].stop()

    places = site.places()

    (status,) = site.signalr.endpoints.status()
    assert places == {"east"}
    assert (status.is_up, status.checked_at) == (True, None)
    assert not threads()


def test_probing_can_be_switched_off(site: Regions) -> None:
    site.configure(SIGNALR_HEALTH_INTERVAL=0)
    site.services["east"].stop()

    assert site.places() == {"east", "west"}
    assert not threads()


def test_probing_that_is_ended_while_it_begins_does_not_go_on() -> None:
    """A reload may come between a request's look at the former endpoints and their thread."""
    endpoints = AppEndpoints(settings().endpoints)

    def announcer() -> Announce:
        endpoints.stop()
        return lambda status: None

    endpoints.watch([lambda timeout: None] * 2, HealthSettings(), announcer)
    endpoints.reachable()

    until_no_thread()


def test_nothing_is_probed_before_the_first_negotiation(site: Regions) -> None:
    """A server that loads the app before it forks has no thread to lose."""
    before = threads()
    site.negotiate()

    assert not before
    assert len(threads()) == 1


def test_an_app_that_is_gone_takes_its_thread_with_it(site: Regions) -> None:
    app = Flask(__name__)
    app.config.update(SIGNALR_ENDPOINTS=site.strings, **QUICK)
    SignalR(app, allow_anonymous=True).endpoints.reachable()
    running = threads()

    del app
    gc.collect()

    until_no_thread()
    assert len(running) == 1


FORKS_WITHOUT_PYTHON = """
import ctypes, os, threading, time
from flask_signalr.app_endpoints import PROCESS_CHECK, AppEndpoints
from flask_signalr.endpoint_health import HealthSettings
from flask_signalr.endpoints import ServiceEndpoint

probed = {}

def probe(timeout):
    probed.setdefault(os.getpid(), threading.Event()).set()

text = "Endpoint=https://{}.example;AccessKey=0123456789;"
endpoints = AppEndpoints([ServiceEndpoint.parse(text.format(name)) for name in ("a", "b")])
endpoints.watch([probe, probe], HealthSettings(interval=1, timeout=0.3), lambda: lambda status: None)
endpoints.reachable()
child = ctypes.PyDLL(None).fork()  # as uWSGI does: none of Python's own hooks for a fork runs
if child:
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
time.sleep(PROCESS_CHECK)
endpoints.reachable()
os._exit(not probed.setdefault(os.getpid(), threading.Event()).wait(20))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_worker_that_was_forked_behind_pythons_back_probes_by_itself() -> None:
    """Else it would for ever go by what its parent knew at the fork."""
    command = [sys.executable, "-c", FORKS_WITHOUT_PYTHON]

    assert subprocess.run(command, check=False, timeout=2 * LONGEST_WAIT).returncode == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_worker_probes_by_itself(site: Regions) -> None:
    """It knows what its parent knew, and has none of its parent's threads."""
    site.places()
    site.stop("east")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, repr(site.places()).encode() + b"\n")
            os.write(writing, repr((site.next_change().is_up, sorted(site.places()))).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        at_first = told.readline()
        site.start("east")
        at_last = told.read()
    os.waitpid(child, 0)

    assert at_first == "{'west'}\n"
    assert at_last == "(True, ['east', 'west'])"


def test_a_test_service_is_never_probed(site: Regions) -> None:
    site.services["east"].stop()
    FakeService(site.app)

    assert site.places() == {"east", "west"}
    assert [status.is_up for status in site.signalr.endpoints.status()] == [True, True]
    assert not threads()


def test_several_endpoints_need_the_extra_unless_nothing_is_probed() -> None:
    program = (
        "import sys; sys.modules['urllib3'] = None\n"
        "from flask import Flask; from flask_signalr import MissingExtra, SignalR\n"
        "app = Flask('app')\n"
        f"app.config['SIGNALR_ENDPOINTS'] = {{'east': {EAST!r}, 'west': {WEST!r}}}\n"
        "try:\n    SignalR(app)\n"
        "except MissingExtra as exc:\n    print(exc)\n"
        "app.config['SIGNALR_HEALTH_INTERVAL'] = 0\n"
        "SignalR(app)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert run.stdout == (
        "probing service endpoints (SIGNALR_HEALTH_INTERVAL=0 switches it off) needs an optional dependency: "
        "pip install 'flask-signalr[serverless]'\n"
    )
    assert run.stderr == ""


def test_the_configuration_says_how_endpoints_are_probed() -> None:
    found = settings(
        SIGNALR_HEALTH_INTERVAL=60, SIGNALR_HEALTH_TIMEOUT=3, SIGNALR_HEALTH_FAILURES=4, SIGNALR_HEALTH_SUCCESSES=5
    )

    assert found.health == HealthSettings(interval=60, timeout=3, failures=4, successes=5)


def test_so_many_probes_as_configured_change_the_health() -> None:
    """Three that fail, of one request each, and two that succeed, of two: the key is tried where all else is well."""
    app, asked = Flask(__name__), queue.SimpleQueue[tuple[bool, int]]()
    with ScriptedServer([http(500)] * 3 + [http(200)]) as east, ScriptedServer([http(200)]) as west:
        app.config.update(
            SIGNALR_ENDPOINTS={
                name: f"Endpoint={server.origin};AccessKey={ACCESS_KEY};"
                for name, server in (("east", east), ("west", west))
            },
            SIGNALR_HEALTH_INTERVAL=2,
            SIGNALR_HEALTH_TIMEOUT=0.3,
            SIGNALR_HEALTH_FAILURES=3,
            SIGNALR_HEALTH_SUCCESSES=2,
        )
        endpoints = SignalR(app).endpoints
        with endpoint_changed.connected_to(lambda _, status: asked.put((status.is_up, len(east.received))), sender=app):
            endpoints.reachable()
            went, came = (asked.get(timeout=LONGEST_WAIT) for _ in range(2))
        endpoints.stop()
        until_no_thread()

    assert (went[0], came[0]) == (False, True)
    assert went[1] >= 3
    assert came[1] >= 3 + 2 * 2


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("SIGNALR_HEALTH_INTERVAL", -1),
        ("SIGNALR_HEALTH_INTERVAL", "often"),
        ("SIGNALR_HEALTH_INTERVAL", 4),
        ("SIGNALR_HEALTH_INTERVAL", "nan"),
        ("SIGNALR_HEALTH_TIMEOUT", 0),
        ("SIGNALR_HEALTH_TIMEOUT", 61),
        ("SIGNALR_HEALTH_FAILURES", 0),
        ("SIGNALR_HEALTH_SUCCESSES", 1.5),
    ],
)
def test_a_wrong_health_setting_is_named(key: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"^{key}: "):
        settings(**{key: value})


# Messages.


class NoMessagesTo(EndpointRouter):
    """Sends no messages to the endpoints of these names."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self._names = names
        self.asked: list[str] = []

    def message_endpoints(self, hub: str, endpoints: Any) -> list[ServiceEndpoint]:
        self.asked.append(hub)
        return [one for one in endpoints if one.name not in self._names]


def recorded(router: EndpointRouter = DEFAULT_ROUTER) -> tuple[Flask, Hub, RecordedService]:
    app = Flask(__name__)
    endpoints = {name: f"Endpoint=https://{name}.example;AccessKey={ACCESS_KEY};" for name in ("east", "west")}
    app.config.update(SIGNALR_ENDPOINTS=endpoints)
    signalr = SignalR(app)
    hub = signalr.hub("chat", endpoint_router=router)
    service = RecordedService()
    app.extensions["signalr"].use_transport(service)
    return app, hub, service


def test_messages_go_to_all_endpoints() -> None:
    _app, hub, service = recorded()

    hub.clients.user("ada").send("news")

    assert service.calls == [
        "POST east.example/api/hubs/chat/users/ada/:send?v",
        "POST west.example/api/hubs/chat/users/ada/:send?v",
    ]


def test_a_router_chooses_where_messages_go() -> None:
    router = NoMessagesTo("east")
    _app, hub, service = recorded(router)

    hub.clients.user("ada").send("news")

    assert service.calls == ["POST west.example/api/hubs/chat/users/ada/:send?v"]
    assert router.asked == ["chat"]


def test_a_router_that_sends_messages_nowhere_is_an_error() -> None:
    """They would be lost without a word."""
    _app, hub, service = recorded(NoMessagesTo("east", "west"))

    with pytest.raises(SignalRError, match="hub 'chat': none of the endpoints for its messages"):
        hub.clients.user("ada").send("news")

    assert not service.requests
