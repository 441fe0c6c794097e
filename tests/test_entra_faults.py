"""Keys from the service, with the real azure-identity, a real authority and the emulator, while all of these fail."""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import urllib3
from azure.core.credentials import AccessToken

from flask_signalr.clocks import Clocks
from flask_signalr.emulator import Emulator, EmulatorSettings
from flask_signalr.endpoint_errors import SigningKeyUnavailable
from flask_signalr.endpoints import ServiceEndpoint
from flask_signalr.entra.identity import EntraIdentity
from flask_signalr.entra.signing_keys import CHECK, EXPIRY, PAUSE, RENEWAL, SigningKeys
from flask_signalr.negotiation import client_access
from flask_signalr.rest.client import urllib3_transport
from flask_signalr.rest.exchange import ServiceRequest, ServiceResponse
from tests.entra_authority import APP_ID, OTHER_APP_ID, EntraAuthority
from tests.live import LONGEST_WAIT

EXCHANGE = "/api/v1/auth/accessKey"


class Clock:
    """The time, as far ahead as a test puts it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class Service:
    """The emulator, an app's keys for it, and the time of both."""

    def __init__(self, emulator: Emulator, credential: object, clock: Clock) -> None:
        self.emulator = emulator
        self.clock = clock
        self.endpoint = ServiceEndpoint.parse(emulator.settings.entra_connection_string)
        self.requested: list[tuple[str, int]] = []
        self._carry = urllib3_transport(retries=0)
        clocks = Clocks(clock, clock)
        self.keys = SigningKeys(EntraIdentity([self.endpoint], credential, clocks), self._recorded, clocks)

    def key_id(self) -> str | None:
        """Return the id of the key of this moment."""
        return self.keys.signing_key(self.endpoint).key_id

    def token(self) -> str:
        """Return a client's token that is signed with the key of this moment."""
        key = self.keys.signing_key(self.endpoint)
        return client_access(self.endpoint, "chat", (), lifetime=3600, now=int(self.clock()), key=key).token

    def opens(self, token: str) -> int:
        """Return the status that the service answers a client's token with."""
        url = f"{self.endpoint.url}client/negotiate?hub=chat&negotiateVersion=1"
        headers = {"Authorization": f"Bearer {token}"}
        return urllib3.request("POST", url, headers=headers, timeout=LONGEST_WAIT, retries=False).status

    def exchanges(self) -> list[int]:
        """Return the statuses of all requests for a key."""
        return [status for path, status in self.requested if path == EXCHANGE]

    def _recorded(self, request: ServiceRequest) -> ServiceResponse:
        response = self._carry(request)
        path = request.url.removeprefix(self.endpoint.server_base_url[:-1]).partition("?")[0]
        self.requested.append((path, response.status))
        return response


class Forgetful:
    """The credential of azure-identity without its memory, as in a process that has just started."""

    def __init__(self, authority: EntraAuthority) -> None:
        self._authority = authority

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return self._authority.credential().get_token(*scopes, **options)


@contextmanager
def service_for(authority: EntraAuthority, credential: object = None, app_id: str = APP_ID) -> Iterator[Service]:
    clock = Clock()
    settings = EmulatorSettings(
        host="127.0.0.1",
        port=0,
        access_keys=(secrets.token_urlsafe(32),),
        entra_issuer=authority.issuer,
        entra_app_ids=(app_id,),
    )
    authority.faults.lifetime = 24 * 3600  # longer than a test moves the clock
    with Emulator(settings, clock=clock) as emulator:
        yield Service(emulator, credential or authority.credential(), clock)


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what a background thread does, and tells nobody."""
    last = time.monotonic() + LONGEST_WAIT
    while not condition():
        assert time.monotonic() < last, f"it did not come within {LONGEST_WAIT} s"
        time.sleep(0.005)


def refused(service: Service) -> SigningKeyUnavailable:
    with pytest.raises(SigningKeyUnavailable) as caught:
        service.token()
    return caught.value


def test_a_token_of_the_exchanged_key_opens_the_service(entra_authority: EntraAuthority) -> None:
    with service_for(entra_authority) as service:
        status = service.opens(service.token())

    assert status == 200
    assert service.exchanges() == [200]


def test_a_slow_authority_is_asked_once_by_all_who_wait(entra_authority: EntraAuthority) -> None:
    """A worker's threads all come at once after a deployment; they must not all sign in."""
    entra_authority.faults.may_answer.clear()
    with service_for(entra_authority) as service, ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(service.token) for _ in range(20)]
        assert entra_authority.was_asked.wait(LONGEST_WAIT)
        entra_authority.faults.may_answer.set()
        tokens = [each.result(LONGEST_WAIT) for each in waiting]
        statuses = {service.opens(token) for token in tokens}

    assert statuses == {200}
    assert len(entra_authority.tokens) == 1
    assert service.exchanges() == [200]


def recovered(service: Service) -> int:
    """Return the status that a client's token is answered with, once there is one; who is refused waits as told."""
    statuses: list[int] = []

    def negotiate() -> bool:
        try:
            statuses.append(service.opens(service.token()))
        except SigningKeyUnavailable as exc:
            service.clock.ahead += exc.retry_after
        return bool(statuses)

    eventually(negotiate)
    return statuses[0]


def test_an_authority_that_never_answers_holds_nobody_for_long(
    entra_authority: EntraAuthority, caplog: pytest.LogCaptureFixture
) -> None:
    entra_authority.faults.may_answer.clear()
    with service_for(entra_authority) as service:
        error = refused(service)
        entra_authority.faults.may_answer.set()

        assert recovered(service) == 200

    assert error.retry_after > 0
    assert "it takes longer than" in caplog.text


@pytest.mark.parametrize("status", [500, 503])
def test_an_authority_that_fails_is_asked_again(
    entra_authority: EntraAuthority, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """Without the memory of azure-identity, which keeps a failed answer for a minute."""
    entra_authority.faults.status = status
    with service_for(entra_authority, Forgetful(entra_authority)) as service:
        error = refused(service)
        entra_authority.faults.status = None

        assert recovered(service) == 200

    assert "gave no token" in caplog.text
    assert "gave no token" not in str(error)


def test_an_app_that_slept_until_its_key_expired_waits_for_another(entra_authority: EntraAuthority) -> None:
    """The first visitor of the morning is not sent away because nobody came at night."""
    with service_for(entra_authority) as service:
        service.token()
        service.clock.ahead += EXPIRY

        status = service.opens(service.token())

    assert status == 200
    assert service.exchanges() == [200, 200]


def test_a_wrong_client_secret_is_told_to_the_log_without_the_secret(
    entra_authority: EntraAuthority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = "not-the-client-secret-of-this-application"
    with service_for(entra_authority, entra_authority.credential(secret=wrong)) as service:
        refused(service)

    assert "AADSTS7000215" in caplog.text
    assert wrong not in caplog.text


def test_a_token_for_another_audience_is_refused_and_the_log_says_so(
    entra_authority: EntraAuthority, caplog: pytest.LogCaptureFixture
) -> None:
    entra_authority.faults.audience = "https://vault.azure.net"
    with service_for(entra_authority) as service:
        error = refused(service)

    assert service.exchanges() == [401]
    assert "audience" in caplog.text
    assert "audience" not in str(error)
    assert not any(token in caplog.text for token in entra_authority.tokens)


def test_a_missing_role_is_named_in_the_log(entra_authority: EntraAuthority, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever is on call assigns it; the caller reads nothing of it."""
    with service_for(entra_authority, app_id=OTHER_APP_ID) as service:
        error = refused(service)

    assert service.exchanges() == [403]
    assert "assign it the role 'SignalR Service Owner'" in caplog.text
    assert "'SignalR App Server'" in caplog.text
    assert "role" not in str(error)


def negotiating(service: Service, between: Callable[[], None]) -> list[tuple[str, int]]:
    """Return the tokens of 200 negotiations in 20 threads, and how the service answered each at once.

    Args:
        service: The service.
        between: Done by another thread, in the midst of them.
    """
    numbers = iter(range(200))
    half_way, done = threading.Event(), threading.Event()

    def negotiate() -> tuple[str, int]:
        token = service.token()
        if next(numbers) == 100:
            half_way.set()
            assert done.wait(LONGEST_WAIT)
        return token, service.opens(token)

    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(negotiate) for _ in range(200)]
        assert half_way.wait(LONGEST_WAIT)
        between()
        done.set()
        return [each.result(LONGEST_WAIT) for each in answers]


def test_a_key_that_rotates_under_load_costs_no_client_its_connection(entra_authority: EntraAuthority) -> None:
    """The service rotates as it says: the former key signs until it expires, and the app fetches the next in time."""
    with service_for(entra_authority) as service:
        former = service.key_id()

        def rotate() -> None:
            service.emulator.rotate_exchanged_key()
            service.clock.ahead += RENEWAL

        answers = negotiating(service, rotate)
        eventually(lambda: service.key_id() != former)
        answers += negotiating(service, lambda: None)
        again = [service.opens(token) for token, _ in answers]

    assert [status for _, status in answers] == [200] * 400
    assert again == [200] * 400
    assert service.exchanges() == [200, 200]


def test_an_app_heals_within_a_minute_of_a_key_that_the_service_forgot(entra_authority: EntraAuthority) -> None:
    """A 401 to a client is between it and the service, so the app has to ask; no negotiation fails meanwhile."""
    with service_for(entra_authority) as service:
        former = service.key_id()

        hurt = negotiating(service, lambda: service.emulator.rotate_exchanged_key(forget=True))
        service.clock.ahead += CHECK
        eventually(lambda: service.key_id() != former)
        healed = negotiating(service, lambda: None)

    assert CHECK <= 60
    assert {status for _, status in hurt} == {200, 401}
    assert [status for _, status in healed] == [200] * 200
    assert service.exchanges() == [200, 200]


def test_a_check_that_finds_the_key_known_fetches_none(entra_authority: EntraAuthority) -> None:
    with service_for(entra_authority) as service:
        service.token()
        for checks in (1, 2, 3):
            service.clock.ahead += CHECK
            service.token()
            eventually(lambda checks=checks: len(service.requested) == 1 + checks)  # type: ignore[misc]

    assert service.requested == [(EXCHANGE, 200), *[("/client/negotiate", 200)] * 3]


def test_an_authority_that_is_down_at_the_renewal_costs_no_client_its_connection(
    entra_authority: EntraAuthority, caplog: pytest.LogCaptureFixture
) -> None:
    """The present key signs for as long as it is good, and the next try renews it."""
    with service_for(entra_authority, Forgetful(entra_authority)) as service:
        entra_authority.faults.lifetime = 3600
        first = service.opens(service.token())
        entra_authority.faults.status = 500
        service.clock.ahead += 3600
        meanwhile = service.opens(service.token())
        eventually(lambda: "cannot be renewed" in caplog.text)
        entra_authority.faults.status, entra_authority.faults.lifetime = None, 24 * 3600
        service.clock.ahead += PAUSE
        last = service.opens(service.token())
        eventually(lambda: service.key_id() is not None and service.exchanges() == [200, 200])

    assert (first, meanwhile, last) == (200, 200, 200)
