"""Tokens of Microsoft Entra ID: kept until shortly before their end, and fetched where nobody waits."""

import math
import os
import threading
import time
from typing import Any

import pytest

from flask_signalr import (
    EntraTokenUnavailable,
    ServiceClient,
    ServiceEndpoint,
    ServiceRefusedToken,
    ServiceResponse,
    ServiceUnreachable,
)
from flask_signalr.entra.credentials import SCOPE
from flask_signalr.entra.identity import MARGIN, PAUSE, RENEWAL, EntraIdentity, EntraTokens
from flask_signalr.entra.renewed_value import FetchFailed, NotFetched, Pace
from flask_signalr.rest.calls import Call, HubAddress
from flask_signalr.rest.endpoint_client import EndpointClient
from tests.entra import ENDPOINT, TOKEN, Clock, Credential, Token, join_fetches
from tests.live import LONGEST_WAIT
from tests.recorded_service import EAST, RecordedService


def tokens_of(credential: Credential) -> EntraTokens:
    return EntraTokens(lambda: credential, credential.clock.clocks)


def test_a_token_is_for_the_service_and_asked_for_once(credential: Credential) -> None:
    tokens = tokens_of(credential)

    assert [tokens.token("https://a/x"), tokens.token("https://a/y")] == [TOKEN, TOKEN]
    assert credential.scopes == [(SCOPE,)]


def test_a_token_is_renewed_before_its_end_while_it_still_serves(credential: Credential, clock: Clock) -> None:
    tokens = tokens_of(credential)
    tokens.token()
    clock.now += credential.lifetime - RENEWAL - 1
    tokens.token()
    assert len(credential.scopes) == 1

    clock.now += 1
    tokens.token()
    join_fetches()

    assert len(credential.scopes) == 2


def test_a_credential_that_keeps_its_old_token_is_not_asked_at_each_call(credential: Credential, clock: Clock) -> None:
    """azure-identity answers with the token that it has, as long as it gets no other one."""
    credential.lifetime = RENEWAL
    tokens = tokens_of(credential)

    for _ in range(5):
        tokens.token()
        join_fetches()
    assert len(credential.scopes) == 1

    clock.now += PAUSE
    tokens.token()
    join_fetches()

    assert len(credential.scopes) == 2


def test_a_token_is_used_no_longer_shortly_before_its_end(credential: Credential, clock: Clock) -> None:
    """The service's clock may be ahead."""
    tokens = tokens_of(credential)
    tokens.token()
    credential.fault = OSError("down")
    clock.now += credential.lifetime - MARGIN - 1
    assert tokens.token() == TOKEN
    join_fetches()

    clock.now += 1

    with pytest.raises(NotFetched, match="OSError: down"):
        tokens.token()


@pytest.mark.parametrize("lifetime", [MARGIN, 0, -60])
def test_a_token_that_has_ended_is_none(lifetime: int, credential: Credential) -> None:
    credential.lifetime = lifetime

    with pytest.raises(NotFetched, match="a token that has ended: check this machine's clock"):
        tokens_of(credential).token()


@pytest.mark.parametrize("text", ["", "a b", "a\r\nX-Evil: 1", "tökén", None], ids=ascii)
def test_a_token_that_would_forge_headers_is_none(text: Any, credential: Credential) -> None:
    credential.get_token = lambda *scopes, **options: Token(text, 2_000_000_000)  # type: ignore[method-assign]

    with pytest.raises(NotFetched, match="something that is no token"):
        tokens_of(credential).token()


def test_a_credential_that_could_not_be_made_is_made_at_the_next_try(credential: Credential, clock: Clock) -> None:
    """Somebody may have put the file in its place meanwhile."""
    faults = [FetchFailed("the file is no certificate")]

    def make() -> Credential:
        if faults:
            raise faults.pop()
        return credential

    tokens = EntraTokens(make, clock.clocks)
    with pytest.raises(NotFetched, match=r"^the file is no certificate$"):
        tokens.token()
    clock.now += Pace().without

    assert tokens.token() == TOKEN


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("used", [False, True], ids=["only made before the fork", "used before the fork"])
def test_each_process_makes_a_credential_of_its_own(used: bool, credential: Credential, clock: Clock) -> None:
    """Those of azure-identity hold connections and locks, which no two processes can share."""
    made_by: list[int] = []

    def make() -> Credential:
        made_by.append(os.getpid())
        return credential

    tokens = EntraTokens(make, clock.clocks)
    assert made_by == []
    if used:
        tokens.token()
        join_fetches()
    child = os.fork()
    if child == 0:
        os._exit(0 if tokens.token() == TOKEN and made_by[-1] == os.getpid() else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert tokens.token() == TOKEN
    assert made_by == [os.getpid()]


def test_endpoints_of_one_identity_share_its_token(credential: Credential, clock: Clock) -> None:
    first, second, other = (
        ServiceEndpoint.parse(f"Endpoint=https://{name}.example;AuthType={kind}")
        for name, kind in [("a", "azure"), ("b", "azure"), ("c", "azure.msi")]
    )

    described = EntraIdentity([first, second, other, EAST])
    own = EntraIdentity([first, second, other, EAST], credential, clock.clocks)

    assert described.tokens(first) is described.tokens(second)
    assert described.tokens(first) is not described.tokens(other)
    assert own.tokens(first) is own.tokens(other)


# REST calls.


def client(service: RecordedService, credential: Credential, *endpoints: ServiceEndpoint) -> ServiceClient:
    identity = EntraIdentity(endpoints or [ENDPOINT], credential, credential.clock.clocks)
    return ServiceClient(endpoints or [ENDPOINT], transport=service, credential=identity)


def test_a_call_brings_the_token(credential: Credential) -> None:
    service = RecordedService()

    client(service, credential).hub("chat").all.send("news")
    client(service, credential).hub("chat").user("ada").send("news")

    assert {request.headers["Authorization"] for request in service.requests} == {f"Bearer {TOKEN}"}


def test_a_credential_of_ones_own_can_be_given_as_it_is(credential: Credential) -> None:
    service = RecordedService()
    credential.get_token = lambda *scopes, **options: Token(TOKEN, 4_000_000_000)  # type: ignore[method-assign]

    ServiceClient(ENDPOINT, transport=service, credential=credential).hub("chat").all.send("news")

    assert service.requests[0].headers["Authorization"] == f"Bearer {TOKEN}"


def test_an_endpoint_with_an_access_key_signs_as_ever(credential: Credential) -> None:
    service = RecordedService()

    client(service, credential, ENDPOINT, EAST).hub("chat").all.send("news")

    by_host = {request.url.split("/")[2]: request.headers["Authorization"] for request in service.requests}
    assert by_host["chat.service.example"] == f"Bearer {TOKEN}"
    assert by_host["east.example"].startswith("Bearer eyJ")


def test_server_endpoint_is_where_the_token_goes(credential: Credential) -> None:
    service = RecordedService()
    endpoint = ServiceEndpoint.parse("Endpoint=https://a.example;AuthType=azure;ServerEndpoint=https://b.example:9/x")

    client(service, credential, endpoint).hub("chat").all.send("news")

    assert service.requests[0].url.startswith("https://b.example:9/x/api/hubs/chat/:send")


def test_without_a_token_nothing_is_sent(credential: Credential) -> None:
    service = RecordedService()
    credential.fault = OSError("no route to the authority")

    with pytest.raises(EntraTokenUnavailable, match=r"nothing was sent there: OSError: no route") as raised:
        client(service, credential).hub("chat").all.send("news")

    assert (raised.value.method, raised.value.path) == ("POST", "/api/hubs/chat/:send")
    assert service.requests == []


@pytest.mark.parametrize(
    ("status", "remedy"),
    [(401, "check that its tenant is the service's"), (403, "assign it the role 'SignalR Service Owner'")],
)
def test_a_refusal_says_what_to_do_about_the_identity(status: int, remedy: str, credential: Credential) -> None:
    service = RecordedService(lambda request: ServiceResponse(status, {}))

    with pytest.raises(ServiceRefusedToken, match=remedy) as raised:
        client(service, credential).hub("chat").all.send("news")

    assert TOKEN not in str(raised.value)
    assert "AccessKey" not in str(raised.value)


class SlowCredential:
    """Gives a token when the test says so."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()

    def get_token(self, *scopes: str, **options: Any) -> Token:
        self.may_answer.wait(LONGEST_WAIT)
        return Token(TOKEN, int(time.time()) + 3600)


def test_a_call_waits_no_longer_for_a_token_than_it_may_take() -> None:
    """Denial of service: a sender holds a thread of the server."""
    service, credential = RecordedService(), SlowCredential()
    client = ServiceClient(ENDPOINT, transport=service, credential=credential, timeout=0.05)
    try:
        with pytest.raises(EntraTokenUnavailable, match="is being fetched"):
            client.hub("chat").all.send("news")
        was_waited_for = credential.may_answer.is_set()
    finally:
        credential.may_answer.set()
        join_fetches()

    assert not was_waited_for
    assert not service.requests


def test_the_time_that_the_token_takes_is_the_calls() -> None:
    service, credential = RecordedService(), SlowCredential()
    client = ServiceClient(ENDPOINT, transport=service, credential=credential, timeout=LONGEST_WAIT)
    timer = threading.Timer(0.2, credential.may_answer.set)
    timer.start()

    client.hub("chat").all.send("news")
    timer.join()

    [request] = service.requests
    assert request.timeout <= LONGEST_WAIT - 0.1


class LateTokens:
    """Has a token when the time of the call is over."""

    def token(self, audience: str, wait: float | None = None, within: float = math.inf) -> str:
        threading.Event().wait(within)
        return TOKEN


def test_a_call_whose_time_the_token_took_is_not_made() -> None:
    service = RecordedService()
    endpoint = EndpointClient(ENDPOINT, service, LateTokens())

    with pytest.raises(ServiceUnreachable, match=r"was not asked within 0\.05 s") as failure:
        endpoint.answer(HubAddress.of("chat", ""), Call("GET", "/x", "x"), 0.05)

    assert not failure.value.may_have_arrived
    assert not service.requests
