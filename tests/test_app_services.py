"""What the hubs of an app need of the world."""

import time

from flask_signalr.app_services import CHECK_TIMEOUT, CLOSE_TIMEOUT, AppServices
from flask_signalr.config import Settings
from flask_signalr.stores.store import Connection
from tests.apps import CONNECTION_STRING
from tests.recorded_service import ABSENT, RecordedService


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
