"""Keys that the service hands out: how they are asked for, kept, checked, and what it looks like without one."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import jwt
import pytest

from flask_signalr import ServiceEndpoint, ServiceResponse, ServiceUnreachable, SigningKeyUnavailable
from flask_signalr.endpoint_health import NoVerdict
from flask_signalr.entra.identity import EntraIdentity
from flask_signalr.entra.signing_keys import CHECK, DOUBT, EXPIRY, PAUSE, RENEWAL, SigningKeys
from flask_signalr.rest.urllib3_transport import Urllib3Transport
from tests.entra import ENDPOINT, TOKEN, Clock, Credential, KeyService, handing_out, join_fetches
from tests.recorded_service import EAST
from tests.scripted_server import ScriptedServer, http, silence

UNKNOWN_KEY = ServiceResponse(
    401,
    {"www-authenticate": 'Bearer error="invalid_token", error_description="The signature key was not found"'},
)


@pytest.fixture
def service() -> KeyService:
    return KeyService()


@pytest.fixture
def keys(service: KeyService, credential: Credential) -> Iterator[SigningKeys]:
    yield SigningKeys(EntraIdentity([ENDPOINT], credential, credential.clock.clocks), service, credential.clock.clocks)
    join_fetches()


def key_id(keys: SigningKeys) -> str | None:
    """Return the id of the key of this moment, and wait for what its use set off."""
    found = keys.signing_key(ENDPOINT).key_id
    join_fetches()
    return found


def test_a_key_is_waited_for_no_longer_than_the_caller_has_time(service: KeyService, keys: SigningKeys) -> None:
    may_answer = threading.Event()

    def exchange() -> ServiceResponse:
        may_answer.wait(30)
        return handing_out("key-1")

    service.exchange = exchange
    try:
        with pytest.raises(SigningKeyUnavailable):
            keys.signing_key(ENDPOINT, within=0.01)
        gave_up = not may_answer.is_set()
    finally:
        may_answer.set()
        join_fetches()

    assert gave_up
    assert keys.signing_key(ENDPOINT, within=0).key_id == "key-1"


def numbered(service: KeyService) -> Callable[[], ServiceResponse]:
    """Return what hands out another key each time."""
    return lambda: handing_out(f"key-{service.exchanges}", f"{service.exchanges:044}")


# Asking.


def test_a_key_is_asked_for_with_the_identitys_token(keys: SigningKeys, service: KeyService) -> None:
    assert key_id(keys) == "key-1"

    (asked,) = service.requests
    assert (asked.method, asked.url) == ("GET", "https://chat.service.example/api/v1/auth/accessKey")
    assert asked.headers == {"Authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    ("more", "url"),
    [
        ("ServerEndpoint=https://foo", "https://foo/api/v1/auth/accessKey"),
        ("ServerEndpoint=https://foo/bar", "https://foo/bar/api/v1/auth/accessKey"),
        ("ServerEndpoint=https://foo/bar/", "https://foo/bar/api/v1/auth/accessKey"),
        ("ServerEndpoint=https://foo:123/bar/", "https://foo:123/bar/api/v1/auth/accessKey"),
        ("ClientEndpoint=https://foo", "https://a.example:8443/api/v1/auth/accessKey"),
    ],
)
def test_the_server_endpoint_is_asked(more: str, url: str, service: KeyService, credential: Credential) -> None:
    """As the SDK's ``MicrosoftEntraAccessKeyTests`` have it."""
    endpoint = ServiceEndpoint.parse(f"Endpoint=https://a.example:8443;AuthType=azure;{more}")
    keys = SigningKeys(EntraIdentity([endpoint], credential, credential.clock.clocks), service, credential.clock.clocks)

    keys.signing_key(endpoint)

    assert service.requests[0].url == url


def test_an_access_key_is_taken_as_it_is(keys: SigningKeys, service: KeyService) -> None:
    assert keys.signing_key(EAST) is EAST.key
    assert service.requests == []


def test_each_endpoint_has_its_own_key(service: KeyService, credential: Credential) -> None:
    endpoints = [ServiceEndpoint.parse(f"Endpoint=https://{name}.example;AuthType=azure") for name in "ab"]
    service.exchange = numbered(service)
    keys = SigningKeys(EntraIdentity(endpoints, credential, credential.clock.clocks), service, credential.clock.clocks)

    found = [keys.signing_key(endpoint).key_id for endpoint in endpoints + endpoints]

    assert found == ["key-1", "key-2", "key-1", "key-2"]
    assert len(credential.scopes) == 1


def test_many_first_callers_share_one_request(service: KeyService, credential: Credential) -> None:
    keys = SigningKeys(EntraIdentity([ENDPOINT], credential, credential.clock.clocks), service, credential.clock.clocks)

    with ThreadPoolExecutor(32) as threads:
        found = set(threads.map(lambda _: keys.signing_key(ENDPOINT).key_id, range(200)))

    assert found == {"key-1"}
    assert service.exchanges == 1


# Growing old.


def test_a_key_is_renewed_in_the_background_before_its_end(
    keys: SigningKeys, service: KeyService, clock: Clock
) -> None:
    service.exchange = numbered(service)
    key_id(keys)
    clock.now += RENEWAL - 1
    assert key_id(keys) == "key-1"
    assert service.exchanges == 1

    clock.now += 1

    assert key_id(keys) == "key-1", "the one that is there serves meanwhile"
    assert key_id(keys) == "key-2"


def test_an_app_that_nobody_visited_for_long_fetches_a_key_first(
    keys: SigningKeys, service: KeyService, clock: Clock
) -> None:
    """The key is good for 90 minutes by the service's documents: the first visitor must not get one of yesterday."""
    service.exchange = numbered(service)
    key_id(keys)

    clock.now += DOUBT

    assert key_id(keys) == "key-2"


def test_a_failed_renewal_leaves_the_key_in_use_until_its_end(
    keys: SigningKeys, service: KeyService, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    key_id(keys)
    service.exchange = lambda: ServiceResponse(500, {})
    clock.now += RENEWAL
    for _ in range(3):
        assert key_id(keys) == "key-1"
    assert service.exchanges == 2, "the next try comes after a pause"
    assert (
        "the signing key of https://chat.service.example/ cannot be renewed, the present one is good for" in caplog.text
    )
    clock.now += PAUSE
    assert key_id(keys) == "key-1"
    assert service.exchanges == 3

    clock.now += EXPIRY - RENEWAL - PAUSE

    with pytest.raises(SigningKeyUnavailable):
        key_id(keys)


# Whether the service still knows it.


def test_the_service_is_asked_whether_it_knows_the_key(keys: SigningKeys, service: KeyService, clock: Clock) -> None:
    """With the client's token of a hub that nobody has: what opens for that opens for clients."""
    key_id(keys)
    for _ in range(3):
        key_id(keys)
    assert service.checks == []

    clock.now += CHECK
    for _ in range(3):
        key_id(keys)

    (check,) = service.checks
    assert (check.method, check.url.partition("?")[0]) == ("POST", "https://chat.service.example/client/negotiate")
    token = check.headers["Authorization"].removeprefix("Bearer ")
    assert jwt.get_unverified_header(token)["kid"] == "key-1"
    claims = jwt.decode(token, "a" * 44, ["HS256"], options={"verify_aud": False, "verify_exp": False})
    assert claims["aud"] == "https://chat.service.example/client/?hub=flask_signalr"
    assert claims["exp"] - clock.now == 60
    assert service.exchanges == 1


def test_a_key_that_the_service_does_not_know_is_dropped_for_another(
    keys: SigningKeys, service: KeyService, clock: Clock
) -> None:
    service.exchange = numbered(service)
    key_id(keys)
    service.check = lambda: ServiceResponse(401, {})
    clock.now += CHECK

    key_id(keys)

    assert key_id(keys) == "key-2"
    assert (service.exchanges, len(service.checks)) == (2, 1)


def test_a_dropped_key_signs_nothing_while_there_is_no_other(
    keys: SigningKeys, service: KeyService, clock: Clock
) -> None:
    """The service would refuse the client, who learns it here already, and when to come again."""
    key_id(keys)
    service.check = lambda: UNKNOWN_KEY
    service.exchange = lambda: ServiceResponse(500, {})
    clock.now += CHECK
    key_id(keys)

    with pytest.raises(SigningKeyUnavailable):
        key_id(keys)


@pytest.mark.parametrize("challenge", ["", 'Bearer error="invalid_token", error_description="The token expired"'])
def test_a_401_that_does_not_speak_of_the_key_leaves_it_in_use_until_another_comes(
    challenge: str, keys: SigningKeys, service: KeyService, clock: Clock
) -> None:
    """A gateway or a wrong clock may have said it, while clients connect with the key."""
    key_id(keys)
    service.check = lambda: ServiceResponse(401, {"www-authenticate": challenge})
    service.exchange = lambda: ServiceResponse(503, {})
    clock.now += CHECK
    key_id(keys)
    assert service.exchanges == 2

    assert key_id(keys) == "key-1"

    service.exchange = numbered(service)
    clock.now += PAUSE
    key_id(keys)
    assert key_id(keys) == "key-3"


@pytest.mark.parametrize("status", [200, 403, 404, 429, 500, 503])
def test_any_other_answer_says_nothing_of_the_key(
    status: int, keys: SigningKeys, service: KeyService, clock: Clock
) -> None:
    key_id(keys)
    service.check = lambda: ServiceResponse(status, {})
    clock.now += CHECK

    key_id(keys)

    assert key_id(keys) == "key-1"
    assert service.exchanges == 1


def test_no_answer_says_nothing_of_the_key(keys: SigningKeys, service: KeyService, clock: Clock) -> None:
    def unreachable() -> ServiceResponse:
        raise ServiceUnreachable("down", method="POST", path="/client/negotiate")

    key_id(keys)
    service.check = unreachable
    clock.now += CHECK

    key_id(keys)

    assert key_id(keys) == "key-1"
    assert service.exchanges == 1


def test_a_check_that_a_good_key_fails_is_given_up(keys: SigningKeys, service: KeyService, clock: Clock) -> None:
    """A gateway that answers 401 by itself must not make this app ask for keys every minute."""
    key_id(keys)
    service.check = lambda: ServiceResponse(401, {})
    for _ in range(10):
        clock.now += CHECK
        assert key_id(keys) == "key-1"

    assert (service.exchanges, len(service.checks)) == (2, 1)

    clock.now += RENEWAL
    key_id(keys)
    clock.now += CHECK
    key_id(keys)

    assert service.exchanges >= 3, "the next key gets its chance"
    assert len(service.checks) == 2


def test_a_key_that_nobody_uses_is_neither_checked_nor_renewed(
    keys: SigningKeys, service: KeyService, clock: Clock
) -> None:
    key_id(keys)

    clock.now += 50 * EXPIRY
    join_fetches()

    assert len(service.requests) == 1


# Without a key.


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (ServiceResponse(401, {}), "answered 401: the service does not accept the Microsoft Entra token"),
        (
            ServiceResponse(403, {}),
            "answered 403: the service forbids it to this identity: assign it the role 'SignalR ",
        ),
        (ServiceResponse(403, {}), "'SignalR App Server' for signing keys"),
        (ServiceResponse(404, {}), "answered 404: the service has no such operation: check the Endpoint"),
        (ServiceResponse(204, {}), "answered 204"),
        (ServiceResponse(302, {"location": "https://evil.example"}), "redirects are not followed"),
        (ServiceResponse(500, {}), "answered 500: the service failed"),
        (ServiceResponse(200, {}, b"<html>"), "the service's answer is no JSON object of texts"),
        (ServiceResponse(200, {}, b"[]"), "the service's answer is no JSON object of texts"),
        (ServiceResponse(200, {}, b"[" * 100_000), "the service's answer is no JSON object of texts"),
        (ServiceResponse(200, {}, b"{}"), "Missing required <KeyId> field."),
        (handing_out("key-1", ""), "Missing required <AccessKey> field."),
        (handing_out(7), "the service's answer is no JSON object of texts"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.body[:20].decode() or str(value.status),
)
def test_the_log_says_why_there_is_no_key(
    answer: ServiceResponse, cause: str, keys: SigningKeys, service: KeyService, caplog: pytest.LogCaptureFixture
) -> None:
    service.exchange = lambda: answer

    with pytest.raises(SigningKeyUnavailable) as raised:
        key_id(keys)

    assert str(raised.value) == "the service gave no key to sign with, please try again later"
    assert raised.value.retry_after == 5
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("flask_signalr.entra", logging.ERROR)
    assert cause in record.getMessage()
    assert TOKEN not in caplog.text


def test_the_log_says_that_there_is_no_token_to_ask_with(
    keys: SigningKeys, service: KeyService, credential: Credential, caplog: pytest.LogCaptureFixture
) -> None:
    credential.fault = RuntimeError("AADSTS7000222: The provided client secret keys are expired.")

    with pytest.raises(SigningKeyUnavailable):
        key_id(keys)

    assert "Microsoft Entra ID gave no token to ask for it with: RuntimeError: AADSTS7000222" in caplog.text
    assert service.requests == []


def test_a_key_shows_in_no_text(keys: SigningKeys, service: KeyService, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    service.exchange = lambda: handing_out("key-1", "a-very-secret-key-of-the-service")

    found = keys.signing_key(ENDPOINT)

    assert "very-secret" not in f"{found!r} {keys!r} {vars(keys)} {caplog.text}"


# As probes ask.


def fault(keys: SigningKeys) -> str | None:
    """Return what a probe finds, and wait for what it set off."""
    try:
        return keys.fault(ENDPOINT)
    finally:
        join_fetches()


def test_a_probe_waits_for_no_key_and_has_it_fetched(keys: SigningKeys, service: KeyService) -> None:
    may_answer = threading.Event()

    def slow() -> ServiceResponse:
        assert may_answer.wait(30)
        return handing_out("key-1")

    service.exchange = slow

    for _ in range(2):
        with pytest.raises(NoVerdict):
            keys.fault(ENDPOINT)

    may_answer.set()
    join_fetches()
    assert keys.fault(ENDPOINT) is None
    assert service.exchanges == 1


def test_a_probe_finds_the_missing_role_and_that_it_was_given(
    keys: SigningKeys, service: KeyService, clock: Clock
) -> None:
    """An endpoint that is down is asked by nobody else: without the probe it would stay so."""
    service.exchange = lambda: ServiceResponse(403, {})
    with pytest.raises(SigningKeyUnavailable):
        key_id(keys)
    clock.now += 5

    found = [fault(keys), fault(keys)]

    assert found[0] == found[1]
    assert "assign it the role 'SignalR Service Owner'" in (found[0] or "")
    service.exchange = lambda: handing_out("key-1")
    clock.now += 5
    fault(keys)
    assert fault(keys) is None


def test_a_key_that_cannot_be_asked_for_says_nothing_of_the_endpoint(keys: SigningKeys, credential: Credential) -> None:
    """Microsoft Entra ID is down then, and all endpoints would be, with keys that are still good."""
    credential.fault = OSError("down")
    for _ in range(3):
        with pytest.raises(NoVerdict):
            fault(keys)


def test_a_key_that_cannot_be_renewed_is_no_fault_while_it_is_good(
    keys: SigningKeys, service: KeyService, clock: Clock
) -> None:
    key_id(keys)
    service.exchange = lambda: ServiceResponse(403, {})
    clock.now += RENEWAL

    assert [fault(keys), fault(keys)] == [None, None]


# Over sockets.


def endpoint_of(server: ScriptedServer) -> ServiceEndpoint:
    return ServiceEndpoint.parse(f"Endpoint={server.origin};AuthType=azure")


def test_a_service_on_the_wire_hands_out_its_key(credential: Credential) -> None:
    body = json.dumps({"KeyId": "key-9", "AccessKey": "b" * 44}).encode()
    with ScriptedServer([http(503, Retry_After="0"), http(200, body)]) as server:
        endpoint = endpoint_of(server)
        keys = SigningKeys(
            EntraIdentity([endpoint], credential, credential.clock.clocks), Urllib3Transport(1), credential.clock.clocks
        )

        found = keys.signing_key(endpoint)

    assert found.key_id == "key-9"
    assert server.received[-1].line == "GET /api/v1/auth/accessKey HTTP/1.1"
    assert server.received[-1].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_service_that_is_silent_ends_the_wait_of_its_caller(
    credential: Credential, caplog: pytest.LogCaptureFixture
) -> None:
    """The transport has its own time-out, so the thread ends too, and the next request may try again."""
    with ScriptedServer([silence]) as server:
        endpoint = endpoint_of(server)
        carry = Urllib3Transport(0)
        keys = SigningKeys(
            EntraIdentity([endpoint], credential, credential.clock.clocks),
            lambda request: carry(replace(request, timeout=0.2)),
            credential.clock.clocks,
        )

        with pytest.raises(SigningKeyUnavailable):
            keys.signing_key(endpoint)

    assert "did not answer within 0.2 s" in caplog.text
