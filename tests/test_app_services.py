"""What the hubs of an app need of the world."""

import queue
import re
import time

import pytest

from flask_signalr import EndpointStatus, PartialFailure
from flask_signalr.app_services import CHECK_TIMEOUT, CLOSE_TIMEOUT, AppServices
from flask_signalr.config import Settings
from flask_signalr.stores.store import Connection
from tests.apps import ACCESS_KEY, CONNECTION_STRING
from tests.recorded_service import ABSENT, RecordedService
from tests.scripted_server import LONGEST_WAIT, ScriptedServer, http, silence


def services(service: RecordedService) -> AppServices:
    settings = Settings.from_config({"SIGNALR_CONNECTION_STRING": CONNECTION_STRING})
    made = AppServices(settings, lambda: lambda status: None)
    made.use_transport(service)
    return made


def test_a_read_of_presence_waits_for_the_service_no_longer_than_its_own_timeout() -> None:
    """A hub method reads presence: a service that hangs would hold its caller for the timeout of a send."""
    service = RecordedService(lambda request: ABSENT)
    app_services = services(service)
    app_services.store.confirm("chat", Connection("c1", "ada"), time.time() - 3600, 86_400)

    online = app_services.presence("chat").users()

    assert online == frozenset()
    assert [(request.method, request.timeout) for request in service.requests] == [("HEAD", CHECK_TIMEOUT)]


def test_a_refused_connection_is_closed_within_its_own_timeout() -> None:
    """The service waits for the answer to the event while the app closes the connection."""
    service = RecordedService()

    services(service).close("chat", "c1", "no")

    assert [(request.method, request.timeout) for request in service.requests] == [("DELETE", CLOSE_TIMEOUT)]


def test_other_calls_have_the_timeout_of_the_settings() -> None:
    service = RecordedService()

    services(service).clients("chat").all.send("news")

    assert [request.timeout for request in service.requests] == [10]


def probing(
    changes: queue.Queue[EndpointStatus], east: ScriptedServer, west: ScriptedServer, **config: int
) -> AppServices:
    """Return the services of an app with two endpoints that it probes quickly; the changes are told."""
    strings = {
        name: f"Endpoint={server.origin};AccessKey={ACCESS_KEY};" for name, server in (("east", east), ("west", west))
    }
    quick = {"SIGNALR_ENDPOINTS": strings, "SIGNALR_HEALTH_INTERVAL": 1, "SIGNALR_HEALTH_TIMEOUT": 0.3}
    return AppServices(Settings.from_config(quick | config), lambda: changes.put)


def test_a_send_to_a_region_that_hangs_has_the_time_of_a_probe_once_the_probes_know() -> None:
    """Without it every sender waits the whole timeout for a region that the app knows to be gone."""
    changes: queue.Queue[EndpointStatus] = queue.Queue()
    with ScriptedServer([silence]) as east, ScriptedServer([http(200)]) as west:
        made = probing(changes, SIGNALR_REST_TIMEOUT=5, east=east, west=west)
        made.endpoints.reachable()
        down = changes.get(timeout=LONGEST_WAIT)

        with pytest.raises(PartialFailure) as failure:
            made.clients("chat").all.send("news")
        made.endpoints.stop()

    assert (down.name, down.is_up) == ("east", False)
    assert list(failure.value.failures) == ["everyone at east"]
    assert re.search(r"did not answer within 0\.\d+ s", str(failure.value.failures["everyone at east"]))
    assert any(":send" in request.line for request in west.received)


def test_a_process_that_only_sends_probes_too() -> None:
    """A background job never negotiates."""
    changes: queue.Queue[EndpointStatus] = queue.Queue()
    with ScriptedServer([http(500)]) as east, ScriptedServer([http(200)]) as west:
        made = probing(changes, SIGNALR_REST_RETRIES=0, east=east, west=west)

        with pytest.raises(PartialFailure):
            made.clients("chat").all.send("news")

        assert changes.get(timeout=LONGEST_WAIT).name == "east"
        made.endpoints.stop()


def test_another_number_of_repetitions_counts_at_once_with_entra_too() -> None:
    """What was fetched stays with the same settings; a transport that repeats as before must not."""
    config = {"SIGNALR_CONNECTION_STRING": "Endpoint=https://chat.example;AuthType=azure;"}
    settings, other = (Settings.from_config(config | {"SIGNALR_REST_RETRIES": retries}) for retries in (3, 0))
    former = AppServices(settings, lambda: lambda status: None).entra

    same = AppServices(settings, lambda: lambda status: None, entra=former).entra
    changed = AppServices(other, lambda: lambda status: None, entra=former).entra

    assert former is not None
    assert same is former
    assert changed is not former
