"""Two endpoints without access keys: what a slow authority and a role that is missing at one do to the choice."""

import math
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask, request

from flask_signalr import (
    EndpointRouter,
    EndpointStatus,
    Principal,
    RouterRefused,
    ServiceEndpoint,
    SignalR,
    SigningKeyUnavailable,
    endpoint_changed,
)
from flask_signalr.app_state import current_state
from flask_signalr.emulator import Emulator
from flask_signalr.entra.identity import MARGIN
from flask_signalr.mounted_hub import KEY_WAIT
from flask_signalr.tokens import SigningKey
from tests.apps import body, negotiate
from tests.entra import TOKEN, Token
from tests.entra_authority import APP_ID, OTHER_APP_ID, EntraAuthority
from tests.live import LONGEST_WAIT, serving
from tests.test_entra_live import settings_for

SOON: dict[str, Any] = {"SIGNALR_HEALTH_INTERVAL": 1, "SIGNALR_HEALTH_TIMEOUT": 0.1}
"""A probe that waits for a token fails long before it comes."""


@dataclass
class Site:
    """An app with endpoints that are called by where they are in the list: ``0`` and ``1``."""

    app: Flask
    signalr: SignalR
    names: dict[str, str]

    def negotiated(self, times: int) -> Counter[str]:
        """Return where clients were sent to, or what they were answered with."""
        answers = [negotiate(self.app) for _ in range(times)]
        return Counter(
            self.names[body(each)["url"].partition("/client/")[0]] if each.status_code == 200 else each.status
            for each in answers
        )

    @property
    def up(self) -> list[bool]:
        return [status.is_up for status in self.signalr.endpoints.status()]


@contextmanager
def site_at(
    urls: Sequence[str], credential: object, router: EndpointRouter | None = None, **config: Any
) -> Iterator[Site]:
    app = Flask("two")
    app.config.update(
        SIGNALR_ENDPOINTS={str(number): f"Endpoint={url};AuthType=azure" for number, url in enumerate(urls)},
        SIGNALR_CREDENTIAL=credential,
        **config,
    )
    signalr = SignalR(app, allow_anonymous=True, endpoint_router=router or EndpointRouter())
    signalr.hub("chat")
    try:
        yield Site(app, signalr, {url: str(number) for number, url in enumerate(urls)})
    finally:
        signalr.endpoints.stop()


# A slow authority.


class Service:
    """A service that gives everybody a key, and counts how often it was asked for its health."""

    def __init__(self) -> None:
        self.looks = 0
        self._changed = threading.Condition()
        self.app = Flask("service")
        self.app.before_request(self._count)
        self.app.add_url_rule("/api/health", view_func=lambda: "")
        self.app.add_url_rule(
            "/api/v1/auth/accessKey", "key", view_func=lambda: {"KeyId": "key-1", "AccessKey": "a" * 44}
        )
        self.app.add_url_rule("/client/negotiate", "client", methods=["POST"], view_func=dict)

    def wait_for_looks(self, count: int) -> None:
        """Wait for so many more probes."""
        with self._changed:
            last = self.looks + count
            assert self._changed.wait_for(lambda: self.looks >= last, LONGEST_WAIT), "nobody looks any more"

    def _count(self) -> None:
        if request.path == "/api/health":
            with self._changed:
                self.looks += 1
                self._changed.notify_all()


class Hanging:
    """A credential that gives tokens which end soon, and then none for as long as a test lasts."""

    def __init__(self) -> None:
        self.is_over = threading.Event()
        self.hangs = threading.Event()
        self.was_asked = threading.Event()

    def get_token(self, *scopes: str, **options: Any) -> Token:
        if self.hangs.is_set():
            self.was_asked.set()
            self.is_over.wait()
            raise OSError("the test is over")
        return Token(TOKEN, int(time.time()) + MARGIN + 2)


@contextmanager
def two_services(credential: Hanging) -> Iterator[tuple[Site, list[Service]]]:
    services = [Service(), Service()]
    with ExitStack() as stack:
        urls = [stack.enter_context(serving(service.app)) for service in services]
        stack.callback(credential.is_over.set)
        yield stack.enter_context(site_at(urls, credential, **SOON)), services


def test_an_authority_that_hangs_takes_no_endpoint_with_a_good_key_down() -> None:
    """Tokens end after an hour and keys after two: clients need nothing of the authority in between."""
    credential = Hanging()
    with two_services(credential) as (two, services):
        two.negotiated(40)
        credential.hangs.set()
        assert credential.was_asked.wait(LONGEST_WAIT), "by a probe, when the token has ended"
        for service in services:
            service.wait_for_looks(4)

        found, up = two.negotiated(40), two.up

    assert set(found) == {"0", "1"}
    assert up == [True, True]


def test_an_authority_that_hangs_from_the_start_takes_no_endpoint_down() -> None:
    """What is wrong is not there, and `reason` would send an operator to the wrong place."""
    credential = Hanging()
    credential.hangs.set()
    with two_services(credential) as (two, services):
        before = two.up
        for service in services:
            service.wait_for_looks(4)

        statuses = two.signalr.endpoints.status()

    assert before == [True, True]
    assert [(status.is_up, status.reason) for status in statuses] == [(True, ""), (True, "")]


# A role that is missing at one.


@contextmanager
def half_a_role(authority: EntraAuthority, router: EndpointRouter | None = None, **config: Any) -> Iterator[Site]:
    """Run an app that has its role at the first of two services alone."""
    with ExitStack() as stack:
        services = [stack.enter_context(Emulator(settings_for(authority, each))) for each in (APP_ID, OTHER_APP_ID)]
        urls = [service.url for service in services]
        yield stack.enter_context(site_at(urls, authority.credential(), router, **config))


@pytest.mark.parametrize("source", ["key", "service"])
def test_an_endpoint_without_a_key_costs_no_client_its_negotiation(
    entra_authority: EntraAuthority, source: str
) -> None:
    with half_a_role(entra_authority, SIGNALR_HEALTH_INTERVAL=0, SIGNALR_TOKEN_SOURCE=source) as two:
        found = two.negotiated(30)

    assert found == {"0": 30}


@pytest.mark.parametrize("source", ["key", "service"])
def test_an_endpoint_without_a_key_is_down_and_the_reason_names_the_role(
    entra_authority: EntraAuthority, source: str
) -> None:
    changed = threading.Event()
    with half_a_role(
        entra_authority, SIGNALR_HEALTH_INTERVAL=5, SIGNALR_HEALTH_TIMEOUT=2, SIGNALR_TOKEN_SOURCE=source
    ) as two:

        def hear(sender: Flask, status: EndpointStatus) -> None:
            changed.set()

        with endpoint_changed.connected_to(hear, sender=two.app):
            two.negotiated(10)
            assert changed.wait(LONGEST_WAIT)
        first, second = two.signalr.endpoints.status()

    assert (first.is_up, first.reason) == (True, "")
    assert not second.is_up
    assert "assign it the role 'SignalR Service Owner'" in second.reason


class Only(EndpointRouter):
    """Sends everybody to the second endpoint, or nowhere."""

    def negotiate_endpoint(self, principal: Principal, endpoints: Sequence[ServiceEndpoint]) -> ServiceEndpoint:
        for endpoint in endpoints:
            if endpoint.name == "1":
                return endpoint
        raise RouterRefused("nowhere else", 403)


class Stubborn(EndpointRouter):
    """Sends everybody to an endpoint that it remembers, whatever there is to choose from."""

    second: ServiceEndpoint | None = None

    def negotiate_endpoint(self, principal: Principal, endpoints: Sequence[ServiceEndpoint]) -> ServiceEndpoint:
        self.second = self.second or endpoints[1]
        return self.second


@pytest.mark.parametrize("router", [Only(), Stubborn()], ids=["refuses another", "insists"])
def test_nobody_is_sent_where_the_router_does_not_want_it(
    entra_authority: EntraAuthority, router: EndpointRouter
) -> None:
    """The refusal is that of the first choice: it passes, and the caller may come again."""
    with half_a_role(entra_authority, router, SIGNALR_HEALTH_INTERVAL=0) as two:
        answer = negotiate(two.app)

    assert answer.status_code == 503
    assert body(answer) == {"error": "the service gave no key to sign with, please try again later"}


class First(EndpointRouter):
    """Takes it that there is an endpoint to choose."""

    def negotiate_endpoint(self, principal: Principal, endpoints: Sequence[ServiceEndpoint]) -> ServiceEndpoint:
        return endpoints[0]


def test_a_router_is_not_asked_to_choose_among_none(entra_authority: EntraAuthority) -> None:
    """A single endpoint has no other beside it, and the caller gets a 503 and no 500."""
    with (
        Emulator(settings_for(entra_authority, OTHER_APP_ID)) as service,
        site_at([service.url], entra_authority.credential(), First()) as one,
    ):
        answer = negotiate(one.app)

    assert answer.status_code == 503


class InOrder(EndpointRouter):
    """Prefers the endpoints in the order of their names."""

    def negotiate_endpoint(self, principal: Principal, endpoints: Sequence[ServiceEndpoint]) -> ServiceEndpoint:
        return min(endpoints, key=lambda endpoint: endpoint.name)


@pytest.mark.parametrize("source", ["key", "service"])
def test_the_only_endpoint_of_several_with_a_key_is_found(entra_authority: EntraAuthority, source: str) -> None:
    with ExitStack() as stack:
        ids = (OTHER_APP_ID, OTHER_APP_ID, OTHER_APP_ID, APP_ID)
        urls = [stack.enter_context(Emulator(settings_for(entra_authority, each))).url for each in ids]
        config = {"SIGNALR_HEALTH_INTERVAL": 0, "SIGNALR_TOKEN_SOURCE": source}
        site = stack.enter_context(site_at(urls, entra_authority.credential(), InOrder(), **config))

        found = site.negotiated(5)

    assert found == {"3": 5}


class NoKeys:
    """Gives no key, after a moment; notes how long each endpoint's may be waited for."""

    MOMENT = 0.05

    def __init__(self) -> None:
        self.waits: list[float] = []

    def signing_key(self, endpoint: ServiceEndpoint, within: float = math.inf) -> SigningKey:
        self.waits.append(within)
        time.sleep(self.MOMENT)  # the time of the negotiation that this endpoint takes
        raise SigningKeyUnavailable(f"none of {endpoint.name}", 5 + int(endpoint.name))


def test_endpoints_that_hang_have_the_time_of_one_together() -> None:
    """Denial of service: a client would hold its thread for longer with each of them."""
    urls, keys = [f"https://{number}.service.example" for number in range(4)], NoKeys()
    with site_at(urls, Hanging(), InOrder(), SIGNALR_HEALTH_INTERVAL=0) as site:
        with site.app.app_context():
            current_state().hub("chat").services.keys = keys
        answer = negotiate(site.app)

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5", "the first choice's"
    assert len(keys.waits) == 4
    for tried, within in enumerate(keys.waits):
        assert 0 < within * (4 - tried) <= KEY_WAIT - tried * NoKeys.MOMENT
