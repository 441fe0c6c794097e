"""The client of the service, with and without Flask."""

import subprocess
import sys
from typing import Any

import pytest
from flask import Flask

from flask_signalr import (
    ConfigurationError,
    InvalidName,
    ServiceClient,
    ServiceEndpoint,
    ServiceRefusedToken,
    ServiceResponse,
    SignalR,
)
from flask_signalr.app_state import AppState
from flask_signalr.service_errors import ServiceError
from tests.apps import ACCESS_KEY, CONNECTION_STRING
from tests.emulated import KEY, OTHER_KEY
from tests.recorded_service import BROKEN, DONE, EAST, WEST, RecordedService, by_host
from tests.rest_hub import call, live_hub


async def test_a_connection_string_is_all_that_it_takes() -> None:
    async with live_hub() as hub:
        service = ServiceClient.from_connection_string(f"Endpoint={hub.wires[0].base};AccessKey={KEY};")

        await call(service.hub("chat").all.send, "news")
        assert await call(service.health) == {f"{hub.wires[0].base}/": True}


async def test_a_wrong_key_is_told_with_its_remedy() -> None:
    async with live_hub() as hub:
        service = ServiceClient.from_connection_string(f"Endpoint={hub.wires[0].base};AccessKey={OTHER_KEY};")

        with pytest.raises(ServiceRefusedToken, match="check the AccessKey") as refusal:
            await call(service.hub("chat").all.send, "news")

    assert refusal.value.status == 401
    assert OTHER_KEY not in str(refusal.value)


async def test_an_endpoint_that_is_not_there_is_not_well() -> None:
    async with live_hub() as hub:
        base = hub.wires[0].base
    service = ServiceClient.from_connection_string(f"Endpoint={base};AccessKey={KEY};", retries=0)

    assert await call(service.health) == {f"{base}/": False}


def test_each_endpoints_health_is_told() -> None:
    service = ServiceClient([EAST, WEST], transport=RecordedService(by_host(east=DONE, west=BROKEN)))

    assert service.health() == {"east": True, "west": False}


def test_a_refused_token_is_no_illness() -> None:
    service = ServiceClient(EAST, transport=RecordedService(lambda request: ServiceResponse(401, {})))

    with pytest.raises(ServiceRefusedToken):
        service.health()


@pytest.mark.parametrize(
    "options", [{"retries": -1}, {"retries": 11}, {"retries": True}, {"timeout": 0}, {"algorithm": "RS256"}]
)
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"{next(iter(options))}= takes"):
        ServiceClient(EAST, **options)


@pytest.mark.parametrize("endpoints", [CONNECTION_STRING, [CONNECTION_STRING], None], ids=["text", "list", "None"])
def test_a_connection_string_in_the_place_of_an_endpoint_is_told_its_own(endpoints: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"ServiceClient\.from_connection_string") as failure:
        ServiceClient(endpoints)

    assert ACCESS_KEY not in str(failure.value)


def test_no_endpoint_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="endpoints= is empty"):
        ServiceClient([])


@pytest.mark.parametrize(
    ("other", "name", "fault"),
    [
        ("https://east.example", "other", "2 of endpoints= lead to https://east.example"),
        ("https://north.example", "east", "2 endpoints are named 'east', give each a name of its own"),
    ],
)
def test_two_endpoints_are_told_apart_by_url_and_name(other: str, name: str, fault: str) -> None:
    """Of one URL, all would come twice; of one name, the health of one would hide the other's."""
    twin = ServiceEndpoint.parse(f"Endpoint={other};AccessKey={ACCESS_KEY};", name)

    with pytest.raises(ConfigurationError, match=fault):
        ServiceClient([EAST, twin], transport=RecordedService())


def test_a_hub_has_a_name_of_the_services() -> None:
    with pytest.raises(InvalidName):
        ServiceClient(EAST, transport=RecordedService()).hub("../other")


def test_the_key_does_not_show() -> None:
    service = ServiceClient([EAST, WEST], transport=RecordedService())

    assert repr(service) == "ServiceClient(east, west)"
    assert ACCESS_KEY not in repr(vars(service))


def test_a_missing_extra_is_named_by_whoever_first_needs_it() -> None:
    program = (
        "import sys; sys.modules['urllib3'] = None\n"
        "from flask_signalr import ServiceClient\n"
        f"ServiceClient.from_connection_string({CONNECTION_STRING!r})"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (
        "MissingExtra: ServiceClient needs an optional dependency: pip install 'flask-signalr[serverless]'"
        in run.stderr
    )


def test_an_app_sends_outside_of_a_request() -> None:
    """From a background job or a shell."""
    app = Flask(__name__)
    app.config.update(SIGNALR_CONNECTION_STRING=CONNECTION_STRING, SIGNALR_REST_TIMEOUT="2.5", SIGNALR_REST_RETRIES="1")
    signalr = SignalR(app)
    chat = signalr.hub("chat")
    state: AppState = app.extensions["signalr"]
    service = RecordedService()
    state.use_transport(service)

    chat.clients.all.send("news")
    state.service.hub("chat").user("ada").send("news")

    assert [request.timeout for request in service.requests] == [2.5, 2.5]
    assert state.service is state.service


@pytest.mark.parametrize(
    ("key", "value"), [("TIMEOUT", "0"), ("TIMEOUT", "soon"), ("RETRIES", "-1"), ("RETRIES", "11")]
)
def test_a_wrong_setting_is_named(key: str, value: str) -> None:
    app = Flask(__name__)
    app.config.update({"SIGNALR_CONNECTION_STRING": CONNECTION_STRING, f"SIGNALR_REST_{key}": value})

    with pytest.raises(ConfigurationError, match=f"SIGNALR_REST_{key}"):
        SignalR(app)


def test_two_apps_have_each_their_own_transport() -> None:
    signalr = SignalR()
    signalr.hub("chat")
    services = []
    for _ in range(2):
        app = Flask(__name__)
        app.config["SIGNALR_CONNECTION_STRING"] = CONNECTION_STRING
        signalr.init_app(app)
        service = RecordedService(lambda request: BROKEN)
        app.extensions["signalr"].use_transport(service)
        services.append((app, service))

    with pytest.raises(ServiceError):
        services[0][0].extensions["signalr"].service.hub("chat").all.send("news")

    assert [len(service.requests) for _, service in services] == [1, 0]
