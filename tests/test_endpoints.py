"""Service endpoints: what a connection string leads to, merging, and the choice among several."""

import dataclasses
import functools
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from flask_signalr.endpoint_errors import NoServiceEndpoint
from flask_signalr.endpoints import DEFAULT_ROUTER, EndpointGroup, EndpointRouter, ServiceEndpoint, merge_endpoints
from flask_signalr.errors import ConfigurationError
from flask_signalr.principal import ANONYMOUS, Principal

KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"


def endpoint(url: str = "https://a", name: str = "", more: str = "", key: str = KEY) -> ServiceEndpoint:
    return ServiceEndpoint.parse(f"Endpoint={url};AccessKey={key};{more}", name)


# One endpoint.


def test_an_endpoint_has_the_urls_of_its_connection_string() -> None:
    parsed = endpoint("https://a:8443/x", more="ClientEndpoint=https://b;ServerEndpoint=https://c/y")

    assert parsed.url == "https://a:8443/x/"
    assert parsed.audience_base_url == "https://a/"
    assert parsed.client_base_url == "https://b/"
    assert parsed.server_base_url == "https://c/y/"
    assert parsed.access_key == KEY
    assert parsed.key is not None


def test_clients_and_servers_use_the_endpoint_unless_told_otherwise() -> None:
    parsed = endpoint("https://a:8443/x")

    assert parsed.client_base_url == parsed.server_base_url == "https://a:8443/x/"


def test_clients_of_most_endpoints_open_the_audience_itself() -> None:
    """The same object: of many endpoints each is seldom in the processor's cache."""
    parsed = endpoint("https://a")

    assert parsed.client_base_url is parsed.audience_base_url


def test_an_endpoint_of_entra_id_has_no_key() -> None:
    parsed = ServiceEndpoint.parse("Endpoint=https://a;AuthType=azure.msi;ClientId=c")

    assert (parsed.access_key, parsed.key) == (None, None)
    assert parsed.credential is not None
    assert parsed.credential.client_id == "c"


@pytest.mark.parametrize(
    ("suffixed", "name", "endpoint_type"),
    [
        ("", "", "primary"),
        ("foo", "foo", "primary"),
        ("foo:primary", "foo", "primary"),
        ("foo:secondary", "foo", "secondary"),
        ("foo:SECONDARY", "foo", "secondary"),
        ("foo:bar", "foo:bar", "primary"),
        (":bar", ":bar", "primary"),
        (":", ":", "primary"),
        (":primary", "", "primary"),
        (":secondary", "", "secondary"),
        ("a:b:secondary", "a:b", "secondary"),
        ("secondary", "secondary", "primary"),
        ("foo: secondary", "foo: secondary", "primary"),
    ],
    ids=repr,
)
def test_the_suffix_of_a_name_is_the_endpoints_type(suffixed: str, name: str, endpoint_type: str) -> None:
    """Source: Azure/azure-signalr, ServiceEndpointFacts.cs."""
    parsed = endpoint(name=suffixed)

    assert (parsed.name, parsed.type) == (name, endpoint_type)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://aaa:80", "http://aaa"),
        ("http://aaa:500", "http://aaa:500"),
        ("HTTPS://AAA", "https://aaa"),
        ("https://aaa:443/", "https://aaa"),
        ("https://localhost/foo/", "https://localhost"),
        ("http://[::1]:8888/p", "http://[::1]:8888"),
    ],
)
def test_the_origin_has_a_port_and_no_path(url: str, origin: str) -> None:
    assert endpoint(url).origin == origin


def test_a_malformed_connection_string_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"accesskey is required\."):
        ServiceEndpoint.parse("Endpoint=https://a;Version=1.0")


def test_no_repr_shows_the_key() -> None:
    secret = ServiceEndpoint.parse(f"Endpoint=https://a;AuthType=azure.app;ClientId=c;TenantId=t;ClientSecret={KEY}")

    for value in (endpoint(), secret, [endpoint()], {"east": endpoint()}):
        assert KEY not in repr(value)
        assert KEY not in f"{value}"


def test_an_endpoint_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        endpoint().url = "https://b/"  # type: ignore[misc]


def test_equal_endpoints_are_one_in_a_set() -> None:
    assert len({endpoint(), endpoint(), endpoint(name="other"), endpoint(key=KEY[1:])}) == 3


# Several.


def names(endpoints: Sequence[ServiceEndpoint]) -> list[str]:
    return [f"{one.name}:{one.type}" for one in endpoints]


def test_primary_endpoints_come_first_each_kind_in_its_order() -> None:
    given = [
        endpoint("https://a", "a:secondary"),
        endpoint("https://b", "b"),
        endpoint("https://c", "c:secondary"),
        endpoint("https://d", "d"),
    ]

    assert names(merge_endpoints(given)) == ["b:primary", "d:primary", "a:secondary", "c:secondary"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["x", "x"], ["x:primary"]),
        (["x", "y"], ["x:primary"]),
        (["x:secondary", "y"], ["y:primary"]),
        (["x", "y:secondary"], ["x:primary"]),
        (["x:secondary", "y", "z"], ["y:primary"]),
        (["", "x"], ["x:primary"]),
        (["", "x:secondary"], [":primary"]),
        ([":secondary", "x:secondary", "", "y"], ["y:primary"]),
    ],
)
def test_of_one_instance_described_twice_the_primary_one_stays_else_a_named_one_else_the_first(
    given: list[str], kept: list[str]
) -> None:
    assert names(merge_endpoints(endpoint("https://a", name) for name in given)) == kept


def test_one_instance_is_recognised_by_scheme_host_and_port() -> None:
    same = [endpoint("https://a"), endpoint("HTTPS://A:443/path"), endpoint(key=KEY[1:])]
    others = [endpoint("http://a"), endpoint("https://a:8443"), endpoint("https://b")]

    assert len(merge_endpoints(same)) == 1
    assert len(merge_endpoints(same + others)) == 4


def test_no_endpoint_at_all_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^No connection string was specified\.$"):
        merge_endpoints([])


def test_secondary_endpoints_alone_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^No primary endpoint defined\.$"):
        merge_endpoints([endpoint(name="a:secondary")])


# The choice.

DRAWS = 1000
"""The chance that one of three endpoints is missed by chance is below one to 10 to the power of 170."""


def drawn(*given: ServiceEndpoint) -> set[str]:
    endpoints = sorted(given, key=lambda one: one.type)
    return {DEFAULT_ROUTER.negotiate_endpoint(ANONYMOUS, endpoints).name for _ in range(DRAWS)}


def test_each_primary_endpoint_gets_clients() -> None:
    assert drawn(endpoint(name="a"), endpoint(name="b"), endpoint(name="c")) == {"a", "b", "c"}
    assert drawn(endpoint(name="a")) == {"a"}


def test_secondary_endpoints_get_no_clients_while_there_is_a_primary_one() -> None:
    assert drawn(endpoint(name="a"), endpoint(name="b"), endpoint(name="c:secondary")) == {"a", "b"}
    assert drawn(endpoint(name="a"), endpoint(name="b:secondary"), endpoint(name="c:secondary")) == {"a"}


def test_secondary_endpoints_step_in_when_a_router_has_sorted_the_primary_ones_out() -> None:
    assert drawn(endpoint(name="a:secondary"), endpoint(name="b:secondary")) == {"a", "b"}


def test_without_an_endpoint_the_caller_shall_try_again() -> None:
    for router in (DEFAULT_ROUTER, EndpointRouter(weight=lambda one: 1)):
        with pytest.raises(NoServiceEndpoint, match="try again") as refusal:
            router.negotiate_endpoint(ANONYMOUS, ())

        assert refusal.value.retry_after > 0


def test_a_router_of_ones_own_overrides_one_method() -> None:
    class NearestRegion(EndpointRouter):
        def negotiate_endpoint(self, principal: Principal, endpoints: Sequence[ServiceEndpoint]) -> ServiceEndpoint:
            near = [one for one in endpoints if one.name == principal.claims.get("region")]
            return super().negotiate_endpoint(principal, near or endpoints)

    router = NearestRegion()
    endpoints = [endpoint(name="east"), endpoint(name="west")]

    chosen = {router.negotiate_endpoint(Principal("ada", {"region": "west"}), endpoints).name for _ in range(DRAWS)}

    assert chosen == {"west"}


# Weights.


def weighted(name: str, weight: float) -> ServiceEndpoint:
    return dataclasses.replace(endpoint(name=name), weight=weight)


def shares(router: EndpointRouter, endpoints: Sequence[ServiceEndpoint], draws: int = 10_000) -> dict[str, float]:
    chosen = Counter(router.negotiate_endpoint(ANONYMOUS, endpoints).name for _ in range(draws))
    return {name: count / draws for name, count in chosen.items()}


@pytest.mark.parametrize("kind", [EndpointGroup, list])
def test_a_weight_is_a_share_of_the_clients(kind: type[Sequence[ServiceEndpoint]]) -> None:
    """Of 10000 draws 7500 +- 43: the tolerance is more than ten times as wide as what chance does."""
    endpoints = EndpointGroup(
        [weighted("a", 3), weighted("b", 0.75), weighted("c", 0.25), endpoint(name="d:secondary")]
    )

    found = shares(DEFAULT_ROUTER, endpoints if kind is EndpointGroup else list(endpoints))

    assert found == pytest.approx({"a": 0.75, "b": 0.1875, "c": 0.0625}, abs=0.05)


def test_the_least_weights_that_there_are_choose_somebody() -> None:
    """Such numbers have so few digits that a part of their sum is rounded up to all of it."""
    least = math.ulp(0.0)
    endpoints = EndpointGroup([weighted("a", least), weighted("b", 2 * least)])

    assert set(shares(DEFAULT_ROUTER, endpoints)) <= {"a", "b"}


def test_the_largest_weights_that_there_are_choose_anybody() -> None:
    """A sum that is no number any more would send all clients to one of them."""
    endpoints = EndpointGroup([weighted("a", 1e300), weighted("b", 0.9e300)])

    assert set(shares(DEFAULT_ROUTER, endpoints)) == {"a", "b"}


def test_a_callable_tells_the_weights_anew_at_each_negotiation() -> None:
    weights = {"a": 1.0, "b": 0.0, "c": 0.0}
    router = EndpointRouter(weight=lambda one: weights[one.name])
    endpoints = EndpointGroup([endpoint(name="a"), endpoint(name="b"), endpoint(name="c")])

    before = shares(router, endpoints)
    weights.update(a=0.0, c=2.0)
    after = shares(router, endpoints)

    assert (before, after) == ({"a": 1.0}, {"c": 1.0})


def test_endpoints_that_all_have_no_weight_have_equal_chances() -> None:
    endpoints = EndpointGroup([endpoint(name="a"), endpoint(name="b")])

    assert set(shares(EndpointRouter(weight=lambda one: 0), endpoints)) == {"a", "b"}


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf, 10**400, None, "3", 1j])
def test_a_callable_that_tells_no_weight_is_an_error(weight: Any) -> None:
    """An app has several routers and endpoints: the text names those that it is about."""
    endpoints = EndpointGroup([endpoint(name="a"), endpoint("https://b")])
    told = re.escape(repr(weight))

    with pytest.raises(ValueError, match=f"weight= of EndpointRouter told {told} of endpoint 'a', not a number of"):
        EndpointRouter(weight=lambda one: weight).negotiate_endpoint(ANONYMOUS, endpoints)


async def _later(endpoint: ServiceEndpoint) -> float:
    return 1


@pytest.mark.parametrize("weight", [3, 0, {"a": 3}, "a", _later, functools.partial(_later)], ids=repr)
def test_a_weight_that_cannot_be_asked_is_refused_at_once(weight: Any) -> None:
    """Not by each negotiation, with a 500."""
    with pytest.raises(ConfigurationError, match=r"weight= of EndpointRouter takes a plain function of an endpoint"):
        EndpointRouter(weight=weight)


def test_a_group_has_its_endpoints_and_their_equals_and_no_others() -> None:
    group = EndpointGroup([endpoint(name="a")])

    assert group[0] in group
    assert endpoint(name="a") in group
    assert endpoint("https://b") not in group


def test_a_router_without_its_parents_init_takes_the_configured_weights() -> None:
    class Own(EndpointRouter):
        def __init__(self) -> None:
            self.own = True

    assert shares(Own(), EndpointGroup([weighted("a", 1), weighted("b", 1e9)])) == {"b": 1.0}


@pytest.mark.parametrize("weight", [0, -1, math.nan, math.inf, 1.1e300, True, "3", None], ids=repr)
def test_a_weight_is_a_number_above_zero(weight: object) -> None:
    with pytest.raises(ConfigurationError, match="a weight is a number above 0, not "):
        dataclasses.replace(endpoint(), weight=weight)  # type: ignore[arg-type]


def test_messages_go_to_every_endpoint() -> None:
    endpoints = EndpointGroup([endpoint(name="a"), endpoint(name="b:secondary")])

    assert DEFAULT_ROUTER.message_endpoints("chat", endpoints) == endpoints


def test_the_error_texts_show_no_key() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        endpoint("nonsense")

    assert not re.search(KEY, str(refusal.value))


def test_a_group_knows_its_endpoints_by_their_names() -> None:
    """The first of each name: the primary one, where a secondary one shares it."""
    first, second, unnamed = endpoint(name="a"), endpoint("https://b", "a:secondary"), endpoint("https://c")

    assert EndpointGroup([first, second, unnamed]).named == {"a": first}


def test_a_group_of_a_group_is_the_group() -> None:
    """What is prepared once is not prepared at each negotiation."""
    group = EndpointGroup([endpoint(name="a")])

    assert EndpointGroup.of(group) is group
    assert EndpointGroup.of(list(group)) == group
