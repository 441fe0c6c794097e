"""The OpenAPI document of the REST API: true in each call that can be made from it."""

import re
from collections.abc import Iterator
from typing import Any

import hypothesis
import msgspec
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from flask_signalr.emulator import Emulator, EmulatorSettings
from flask_signalr.emulator.openapi import openapi_document
from flask_signalr.emulator.rest.routes import ROUTES, Route
from flask_signalr.hub_protocols import HUB_PROTOCOLS
from flask_signalr.messages import InvocationMessage
from flask_signalr.tokens import SigningKey, sign_access_token
from tests.emulated import KEY, NOW, emulating

LONGEST_URL = 16_000
"""Letters of a URL that the server reads; of a longer one the API, and the document, know nothing."""
NEWS = InvocationMessage(target="news", arguments=(1,))
FRAMES = {name: protocol.encode(NEWS) for name, protocol in HUB_PROTOCOLS.items()}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(EmulatorSettings(host="127.0.0.1", port=0, access_keys=(KEY,)), clock=lambda: NOW) as running:
        yield running


def signed(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Add the token that is right for a call; it is asked for when the URL stands."""
    audience = str(request.url).partition("?")[0]
    token = sign_access_token(SigningKey(KEY), audience, (), lifetime=60, now=NOW)
    request.headers["Authorization"] = f"Bearer {token}"
    return request


def without_tokens(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document without its word on tokens: `signed` makes them, and they need not be made up."""
    for methods in document["paths"].values():
        for operation in methods.values():
            del operation["security"]
    del document["components"]["securitySchemes"]
    return document


def has_giants(value: Any) -> bool:
    """Return whether there is an integer of more than 64 bits, which MessagePack has not and the API refuses."""
    if isinstance(value, dict):
        return any(map(has_giants, value.values()))
    if isinstance(value, list):
        return any(map(has_giants, value))
    return isinstance(value, int) and not -(2**63) <= value < 2**64


@schemathesis.serializer("application/x-msgpack")
def packed(context: schemathesis.SerializationContext, value: Any) -> bytes:
    return msgspec.msgpack.encode(value)


schemathesis.openapi.media_type(
    "application/octet-stream",
    st.sets(st.sampled_from(sorted(HUB_PROTOCOLS)), min_size=1).map(
        lambda names: msgspec.msgpack.encode({name: FRAMES[name] for name in names})
    ),
)
schemathesis.openapi.format("odata-filter", st.sampled_from(["", "userId eq 'ada'", "not ('lobby' in groups)"]))
schema = schemathesis.openapi.from_dict(without_tokens(openapi_document("http://localhost")))


@schema.parametrize()
@settings(max_examples=8, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_call_is_answered_in_a_way_that_the_document_does_not_tell(
    emulator: Emulator, case: "schemathesis.Case[Any]"
) -> None:
    url = requests.Request(params=case.query, url=emulator.url + case.formatted_path).prepare().url
    hypothesis.assume(len(url or "") < LONGEST_URL)  # a longer one never gets as far as the API
    hypothesis.assume(not has_giants(case.body))  # no schema keeps them out of what may be anything

    response = case.call(base_url=emulator.url, auth=signed)

    case.validate_response(response)


DESCRIBED = [route for route in ROUTES if route.method != "QUERY"]  # which OpenAPI has no word for before 3.2


@pytest.mark.parametrize("route", DESCRIBED, ids=lambda route: f"{route.method} {route.path}")
def test_every_operation_but_health_wants_a_token(emulator: Emulator, route: Route) -> None:
    """The document says so of each."""
    operation = openapi_document(emulator.url)["paths"][route.path][route.method.lower()]
    path = re.sub("{.*?}", "x", route.path)

    response = requests.request(route.method, f"{emulator.url}{path}?api-version=2024-12-01", timeout=30)

    assert response.status_code == (200 if route.is_public else 401)
    assert operation["security"] == ([] if route.is_public else [{"accessToken": []}])


async def test_anyone_may_read_the_document_and_it_names_the_emulator() -> None:
    async with emulating() as wire, wire.request("GET", "/openapi.json") as response:
        document = await response.json()

        assert response.status == 200
        assert document == openapi_document(f"http://127.0.0.1:{wire.emulator.settings.port}")


def test_every_operation_is_described() -> None:
    paths = openapi_document("http://localhost")["paths"]

    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}

    assert described == {(route.method, route.path) for route in DESCRIBED}
    assert len(described) == len(DESCRIBED)
