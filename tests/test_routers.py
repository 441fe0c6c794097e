"""The routers that are ready to use: where they send whom, and what a caller reads whom they refuse."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from flask import Flask, Response, jsonify
from werkzeug.test import TestResponse

from flask_signalr import (
    BearerAuth,
    ClaimRouter,
    ConfigurationError,
    EndpointRouter,
    Invocation,
    NoServiceEndpoint,
    Principal,
    QueryRouter,
    RegionRouter,
    RouterRefused,
    ServiceEndpoint,
    SignalR,
)
from flask_signalr.emulator import Emulator
from flask_signalr.endpoints import EndpointGroup
from flask_signalr.principal import ANONYMOUS
from flask_signalr.testing import FakeService
from tests.apps import ACCESS_KEY, bearer_headers, body, create_app
from tests.client_process import ClientProcess, Refused
from tests.live import live_emulator, serving
from tests.signing import SECRET

NAMES = ["east", "north", "west"]
MANY = 40
"""So often each choice is asked for that chance does not find the right one by itself: 3^-40."""


def connection_string(name: str) -> str:
    return f"Endpoint=https://{name}.example;AccessKey={ACCESS_KEY}"


def endpoint(name: str, url_name: str = "") -> ServiceEndpoint:
    return ServiceEndpoint.parse(connection_string(url_name or name.partition(":")[0]), name)


def app_with(router: EndpointRouter, *names: str, **options: Any) -> Flask:
    """Return an app with service endpoints of these names, whose hub ``chat`` has the router."""
    signalr = SignalR(allow_anonymous=True, endpoint_router=router, **options)
    signalr.hub("chat")
    strings = {name: connection_string(name.partition(":")[0]) for name in names or NAMES}
    return create_app(signalr, SIGNALR_CONNECTION_STRING=None, SIGNALR_ENDPOINTS=strings)


def ask(app: Flask, query: str = "", path: str = "/chat/negotiate", **options: Any) -> TestResponse:
    return app.test_client().post(path, query_string=query, **options)


def sent_to(app: Flask, query: str = "", times: int = MANY, **options: Any) -> set[str]:
    """Return the names of the endpoints that many equal requests are sent to."""
    urls = [body(ask(app, query, **options))["url"] for _ in range(times)]
    return {url.removeprefix("https://").partition(".")[0] for url in urls}


# By the query.


@pytest.mark.parametrize("name", NAMES)
def test_the_query_names_the_endpoint(name: str) -> None:
    app = app_with(QueryRouter())

    assert sent_to(app, f"endpoint={name}&negotiateVersion=1") == {name}


def test_the_parameter_may_have_another_name() -> None:
    app = app_with(QueryRouter("region"))

    assert sent_to(app, "region=west&endpoint=east") == {"west"}


@pytest.mark.parametrize("name", ["south", "WEST", "west%20", "west:primary"])
def test_an_unknown_name_leaves_the_choice_to_the_default(name: str) -> None:
    """As in Microsoft's sample: an old page that names a region which is gone still connects."""
    app = app_with(QueryRouter())

    assert sent_to(app, f"endpoint={name}", times=100) == set(NAMES)


@pytest.mark.parametrize("query", ["", "endpoint=", "endpoint", "Endpoint=west"])
def test_without_a_name_the_caller_reads_what_is_missing(query: str) -> None:
    answer = ask(app_with(QueryRouter()), query)

    assert answer.status_code == 400
    assert body(answer) == {"error": "the query has no endpoint: name the service endpoint to connect to"}


@pytest.mark.parametrize("query", ["endpoint=east&endpoint=west", "endpoint=east&endpoint=east", "endpoint=&endpoint="])
def test_several_names_are_refused(query: str) -> None:
    """Whatever stands between may read another one of them than we do."""
    answer = ask(app_with(QueryRouter()), query)

    assert answer.status_code == 400
    assert body(answer) == {"error": "the query has several endpoint: send one"}


def test_a_stranger_is_asked_who_it_is_and_not_where_it_wants_to_go() -> None:
    signalr = SignalR(auth=[BearerAuth(SECRET)], endpoint_router=QueryRouter())
    signalr.hub("chat")

    answer = ask(create_app(signalr))

    assert answer.status_code == 401


def test_an_endpoint_that_is_down_is_none_to_name() -> None:
    """Routers get those that are up."""
    app, up = app_with(QueryRouter()), EndpointGroup([endpoint("east")])

    with app.test_request_context("/chat/negotiate?endpoint=west"):
        chosen = QueryRouter().negotiate_endpoint(ANONYMOUS, up)

    assert chosen.name == "east"


def test_a_secondary_endpoint_may_be_named() -> None:
    app = app_with(QueryRouter(), "east", "west:secondary")

    assert sent_to(app, "endpoint=west") == {"west"}


def test_of_two_endpoints_of_one_name_the_primary_one_is_meant() -> None:
    both = [endpoint("east", "a"), endpoint("east:secondary", "b")]
    app = app_with(QueryRouter())

    with app.test_request_context("/chat/negotiate?endpoint=east"):
        assert QueryRouter().negotiate_endpoint(ANONYMOUS, both) is both[0]
        assert QueryRouter().negotiate_endpoint(ANONYMOUS, both[1:]) is both[1]


@pytest.mark.parametrize("router", [QueryRouter(), ClaimRouter("region"), RegionRouter("X-Region", {"eu": ["west"]})])
def test_without_any_endpoint_there_is_nothing_to_choose(router: EndpointRouter) -> None:
    app = app_with(router)

    with (
        app.test_request_context("/chat/negotiate?endpoint=west", headers={"X-Region": "eu"}),
        pytest.raises(NoServiceEndpoint),
    ):
        router.negotiate_endpoint(Principal("ada", {"region": "west"}), EndpointGroup())


@pytest.mark.parametrize(
    "router",
    [
        QueryRouter(weight=lambda endpoint: endpoint.name == "west"),
        ClaimRouter("region", weight=lambda endpoint: endpoint.name == "west"),
        RegionRouter("X-Region", {"eu": ["gone"]}, weight=lambda endpoint: endpoint.name == "west"),
    ],
)
def test_the_default_choice_keeps_its_weights(router: EndpointRouter) -> None:
    assert sent_to(app_with(router), "endpoint=south", headers={"X-Region": "eu"}) == {"west"}


# Where there is no negotiate request.


@pytest.mark.parametrize("router", [QueryRouter(), RegionRouter("X-Region", {"eu": ["west"]})])
def test_outside_of_a_request_the_choice_is_the_default(router: EndpointRouter) -> None:
    signalr = SignalR(endpoint_router=router)
    chat = signalr.hub("chat")
    create_app(signalr)

    access = chat.negotiate("ada")

    assert access.url == "https://chat.service.example/client/?hub=chat"


def test_a_request_that_is_no_negotiation_says_nothing_about_the_endpoint() -> None:
    """Or a page with a token in it could not be made without a parameter that only negotiate has."""
    signalr = SignalR(endpoint_router=QueryRouter())
    chat = signalr.hub("chat")
    app = create_app(signalr)

    @app.post("/page")
    def page() -> Response:
        return jsonify(chat.negotiate("ada").to_dict())

    assert ask(app, path="/page").status_code == 200


def test_a_hub_method_of_the_name_negotiate_is_no_negotiation() -> None:
    """The URL that the service calls for it ends as a negotiation's does."""
    signalr = SignalR(allow_anonymous=True)
    chat = signalr.hub("chat", endpoint_router=EndpointRouter())
    invited = signalr.hub("invited", endpoint_router=QueryRouter())

    @chat.method("negotiate")
    def negotiate(invocation: Invocation) -> str:
        return invited.negotiate("ada").url

    ada = FakeService(create_app(signalr)).connect("chat")

    assert ada.invoke("negotiate").endswith("/client/?hub=invited")


@pytest.mark.parametrize("path", ["/own/negotiate", "/own/negotiate/"])
def test_a_negotiate_view_of_the_apps_own_is_routed_too(path: str) -> None:
    signalr = SignalR(endpoint_router=QueryRouter())
    chat = signalr.hub("chat")
    strings = {name: connection_string(name) for name in NAMES}
    app = create_app(signalr, SIGNALR_CONNECTION_STRING=None, SIGNALR_ENDPOINTS=strings)

    @app.post(path)
    def own() -> Response:
        return jsonify(chat.negotiate("ada").to_dict())

    assert sent_to(app, "endpoint=west", path=path) == {"west"}


def test_a_query_that_is_not_utf_8_is_no_fault_of_a_negotiate_view_of_the_apps_own() -> None:
    signalr = SignalR(endpoint_router=QueryRouter())
    chat = signalr.hub("chat")
    app = create_app(signalr)
    app.register_error_handler(RouterRefused, lambda error: (str(error), error.status))

    @app.post("/own/negotiate")
    def own() -> Response:
        return jsonify(chat.negotiate("ada").to_dict())

    answer = app.test_client().post("/own/negotiate", environ_overrides={"QUERY_STRING": "endpoint=\xff"})

    assert (answer.status_code, answer.text) == (400, "the query is not UTF-8")


# By a claim.


def app_for_callers(router: EndpointRouter) -> Flask:
    return app_with(router, auth=[BearerAuth(SECRET)])


@pytest.mark.parametrize("claim", ["west", ["west"], ["south", "west", "east"]], ids=repr)
def test_a_claim_names_the_endpoint(claim: Any) -> None:
    app = app_for_callers(ClaimRouter("region"))

    assert sent_to(app, headers=bearer_headers(region=claim)) == {"west"}


@pytest.mark.parametrize("asked", ["email", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"])
def test_a_claim_is_found_under_its_long_name_too(asked: str) -> None:
    long_name = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
    principal = Principal("ada", {long_name: "west"})

    router = ClaimRouter(asked, weight=lambda endpoint: endpoint.name != "west")  # else chance may find it

    chosen = router.negotiate_endpoint(principal, EndpointGroup(map(endpoint, NAMES)))

    assert chosen.name == "west"


@pytest.mark.parametrize("claim", ["south", "", 7, True, {"west": "west"}, ["south", 7]], ids=repr)
def test_a_claim_that_names_none_leaves_the_choice_to_the_default(claim: Any) -> None:
    app = app_for_callers(ClaimRouter("region"))

    assert sent_to(app, headers=bearer_headers(region=claim), times=100) == set(NAMES)


@pytest.mark.parametrize("query", ["", "region=west&negotiateVersion=1"])
def test_without_the_claim_the_choice_is_the_default(query: str) -> None:
    """A query is no claim."""
    app = app_with(ClaimRouter("region"))

    assert sent_to(app, query, times=100) == set(NAMES)


def test_an_endpoint_without_a_name_is_not_what_an_empty_claim_names() -> None:
    unnamed, named = endpoint("", "a"), endpoint("b")
    router = ClaimRouter("region", weight=lambda endpoint: float(endpoint is named))

    chosen = router.negotiate_endpoint(Principal("ada", {"region": ""}), [unnamed, named])

    assert chosen is named


# By a header.

REGIONS = {"DE": ["north", "west"], " at ": ("gone", "west"), "US": ["gone"], "": ["east"]}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-Country": "DE"}, {"north"}),
        ({"x-country": " de "}, {"north"}),
        ({"X-Country": "AT"}, {"west"}),
        ({"X-Country": "US"}, set(NAMES)),
        ({"X-Country": "FR"}, set(NAMES)),
        ({"X-Country": "DE,AT"}, set(NAMES)),
        ({"X-Country": ""}, {"east"}),
        ({}, {"east"}),
    ],
    ids=repr,
)
def test_a_header_names_the_nearest_endpoint(headers: dict[str, str], expected: set[str]) -> None:
    """And endpoints further away where the nearest is not there; an empty value stands for no header."""
    app = app_with(RegionRouter("X-Country", REGIONS))

    assert sent_to(app, headers=headers, times=MANY if len(expected) == 1 else 100) == expected


def test_when_the_nearest_endpoint_is_down_the_next_one_is_taken() -> None:
    router, up = RegionRouter("X-Country", REGIONS), EndpointGroup([endpoint("east"), endpoint("west")])
    app = app_with(router)

    with app.test_request_context("/chat/negotiate", headers={"X-Country": "DE"}):
        chosen = router.negotiate_endpoint(ANONYMOUS, up)

    assert chosen.name == "west"


def test_a_list_that_can_be_read_once_is_kept() -> None:
    router = RegionRouter("X-Country", {"DE": (name for name in ["west"])})

    assert sent_to(app_with(router), headers={"X-Country": "DE"}) == {"west"}


# Choices that cannot be used.


@pytest.mark.parametrize(
    "regions",
    [None, {}, [], "west", {"DE": "west"}, {"DE": []}, {"DE": [""]}, {"DE": [7]}, {"DE": None}, {7: ["west"]}],
    ids=repr,
)
def test_regions_of_another_form_are_refused(regions: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^RegionRouter\(regions=…\) takes a mapping such as"):
        RegionRouter("X-Country", regions)


def test_a_region_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'de' is there twice"):
        RegionRouter("X-Country", {"DE": ["west"], "de": ["east"]})


@pytest.mark.parametrize("value", ["", None, ["endpoint"]], ids=repr)
def test_a_name_that_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"QueryRouter\(parameter=…\) takes a text"):
        QueryRouter(value)
    with pytest.raises(ConfigurationError, match=r"ClaimRouter\(claim_type=…\) takes a text"):
        ClaimRouter(value)
    with pytest.raises(ConfigurationError, match=r"RegionRouter\(header=…\) takes a text"):
        RegionRouter(value, {"DE": ["west"]})


# The official client.


class Nowhere(EndpointRouter):
    """Refuses everybody, with a status and a text of its own."""

    def negotiate_endpoint(self, principal: Principal, endpoints: Sequence[ServiceEndpoint]) -> ServiceEndpoint:
        raise RouterRefused("this service is not offered in your country", 451)


@pytest.fixture(scope="module")
def regions() -> Iterator[tuple[str, dict[str, Emulator]]]:
    """Run an app that has three emulators, and yield its URL and these by name."""
    with ExitStack() as stack:
        emulators = {name: stack.enter_context(live_emulator()) for name in NAMES}
        strings = {name: emulator.connection_string for name, emulator in emulators.items()}
        signalr = SignalR(allow_anonymous=True)
        signalr.hub("query", endpoint_router=QueryRouter())
        signalr.hub("header", endpoint_router=RegionRouter("X-Country", REGIONS))
        signalr.hub("nowhere", endpoint_router=Nowhere())
        app = create_app(signalr, SIGNALR_CONNECTION_STRING=None, SIGNALR_ENDPOINTS=strings)
        yield stack.enter_context(serving(app)), emulators


def connected_to(emulators: dict[str, Emulator], connection_id: str) -> list[str]:
    """Return the names of the emulators that a connection is at."""
    return [
        name
        for name, emulator in emulators.items()
        if emulator.call(lambda running: any(one.id == connection_id for one in running.service.connections))
    ]


@pytest.mark.parametrize("transport", ["WebSockets", "ServerSentEvents", "LongPolling"])
@pytest.mark.parametrize(
    ("hub", "headers", "expected"),
    [("query?endpoint=north", {}, "north"), ("header", {"X-Country": "at"}, "west")],
    ids=["query", "header"],
)
def test_the_official_client_connects_where_it_is_sent(
    node: ClientProcess,
    regions: tuple[str, dict[str, Emulator]],
    transport: str,
    hub: str,
    headers: dict[str, str],
    expected: str,
) -> None:
    url, emulators = regions

    with node.client(f"{url}/{hub}", headers=headers, transport=transport) as client:
        assert connected_to(emulators, client.id) == [expected]


@pytest.mark.parametrize(
    ("hub", "reason"),
    [
        ("query", "the query has no endpoint: name the service endpoint to connect to.*Status code '400'"),
        ("nowhere", "this service is not offered in your country.*Status code '451'"),
    ],
)
def test_the_official_client_shows_why_it_was_refused(
    node: ClientProcess, regions: tuple[str, dict[str, Emulator]], hub: str, reason: str
) -> None:
    url, _ = regions

    with pytest.raises(Refused, match=reason):
        node.client(f"{url}/{hub}").__enter__()
