"""What speaks against an endpoint, as a probe finds it."""

import math
import re
from collections.abc import Callable

import jwt
import pytest

from flask_signalr import ServiceRequest, ServiceResponse, ServiceUnreachable
from flask_signalr.endpoint_health import NoVerdict
from flask_signalr.entra.renewed_value import NotFetched
from flask_signalr.rest.endpoint_client import EndpointClient
from flask_signalr.rest.token_cache import TokenCache
from tests.apps import ACCESS_KEY
from tests.entra import ENDPOINT as WITHOUT_KEY
from tests.entra import TOKEN
from tests.recorded_service import ABSENT, DONE, EAST, RecordedService

REFUSED, FORBIDDEN = ServiceResponse(401, {}), ServiceResponse(403, {})


def answers(health: ServiceResponse, nobody: ServiceResponse) -> Callable[[ServiceRequest], ServiceResponse]:
    return lambda request: health if "/api/health?" in request.url else nobody


def client(transport: Callable[[ServiceRequest], ServiceResponse]) -> EndpointClient:
    return EndpointClient(EAST, transport, TokenCache(EAST))


@pytest.mark.parametrize(
    ("health", "nobody"),
    [
        (DONE, ABSENT),
        (DONE, DONE),
        (DONE, ServiceResponse(404, {})),
        (DONE, ServiceResponse(429, {})),
        (REFUSED, ABSENT),
    ],
    ids=["healthy", "somebody is called so", "a gateway takes headers away", "busy", "health wants a token"],
)
def test_nothing_speaks_against_an_endpoint_that_is_well(health: ServiceResponse, nobody: ServiceResponse) -> None:
    assert client(answers(health, nobody)).fault(2) is None


@pytest.mark.parametrize(
    ("health", "nobody", "fault"),
    [
        (ServiceResponse(503, {}), ABSENT, "answered 503: the service is overloaded or down"),
        (ServiceResponse(500, {}), ABSENT, "answered 500"),
        (ServiceResponse(404, {}), ABSENT, "answered 404: .*check the Endpoint"),
        (ServiceResponse(302, {}), ABSENT, "redirects are not followed"),
        (DONE, REFUSED, "answered 401: .*check the AccessKey"),
        (DONE, FORBIDDEN, "answered 403: .*the service forbids the call"),
        (FORBIDDEN, FORBIDDEN, "answered 403: .*check its network rules"),
        (DONE, ServiceResponse(500, {}), "answered 500"),
    ],
)
def test_the_fault_says_what_to_look_at(health: ServiceResponse, nobody: ServiceResponse, fault: str) -> None:
    found = client(answers(health, nobody)).fault(2)

    assert found is not None
    assert re.search(fault, found)
    assert ACCESS_KEY not in found


def test_no_answer_is_a_fault() -> None:
    def unreachable(request: ServiceRequest) -> ServiceResponse:
        raise ServiceUnreachable("there is nobody", method="HEAD", path="/")

    assert client(unreachable).fault(2) == "there is nobody"


def test_health_is_asked_without_a_token_and_the_key_is_tried_where_nobody_is_meant() -> None:
    """As the SDK asks: a token on the health question would hide that the service lets nobody in without one."""
    service = RecordedService(answers(DONE, ABSENT))

    client(service).fault(2)

    health, nobody = service.requests
    assert service.calls == ["HEAD east.example/api/health?v", "HEAD east.example/api/hubs/health/connections/nobody?v"]
    assert "Authorization" not in health.headers
    token = nobody.headers["Authorization"].removeprefix("Bearer ")
    jwt.decode(token, ACCESS_KEY, ["HS256"], audience=nobody.url)
    assert 0 < nobody.timeout <= health.timeout == 2


class Tokens:
    """Tokens of Microsoft Entra ID, at hand."""

    def token(self, audience: str, wait: float | None = None, within: float = math.inf) -> str:
        return TOKEN


def test_a_probe_waits_for_no_token_and_judges_nobody_without_one() -> None:
    """A slow identity provider would take down all endpoints at once, whose keys are still good."""
    waits = []

    class NoTokens:
        def token(self, audience: str, wait: float | None = None, within: float = math.inf) -> str:
            waits.append(wait)
            raise NotFetched("the identity provider is down", 5)

    with pytest.raises(NoVerdict):
        EndpointClient(EAST, answers(DONE, REFUSED), NoTokens()).fault(2)

    assert waits == [0]


def without_key(status: int) -> EndpointClient:
    return EndpointClient(WITHOUT_KEY, answers(DONE, ServiceResponse(status, {})), Tokens())


@pytest.mark.parametrize(("status", "is_up"), [(403, True), (401, False)])
def test_an_identity_without_the_role_for_calls_takes_no_endpoint_out(status: int, is_up: bool) -> None:
    """The role SignalR App Server signs for clients and makes no calls; the token of another tenant does neither."""
    found = without_key(status).fault(2, lambda endpoint: None)

    assert (found is None) is is_up


@pytest.mark.parametrize("status", [200, 403, 404, 429])
def test_an_endpoint_that_gives_no_key_takes_no_clients(status: int) -> None:
    assert without_key(status).fault(2, lambda endpoint: f"no key of {endpoint.url}") == f"no key of {WITHOUT_KEY.url}"


def test_where_the_service_makes_the_tokens_the_role_for_calls_is_needed() -> None:
    found = without_key(403).fault(2)

    assert found is not None
    assert "assign it the role 'SignalR Service Owner'" in found
