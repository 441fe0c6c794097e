"""The sign-in of a live connection at the service: what is asked, who has it, and what is believed of the answer."""

import json
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from flask_signalr import Claims, RefreshRefused, ServiceClient, ServiceUnreachable
from flask_signalr.claims_header import escape_claims
from flask_signalr.rest.exchange import ServiceRequest, ServiceResponse
from flask_signalr.rest.fan_out import GRACE
from flask_signalr.rest.live_connection import DOWN_TIMEOUT, REFRESH_TIMEOUT, LiveConnection
from tests.recorded_service import EAST, WEST, RecordedService, by_host
from tests.scripted_server import LONGEST_WAIT

TOKEN = "a-connection-token"


def granted(*claims: tuple[str, str]) -> ServiceResponse:
    listed = [{"type": name, "value": value} for name, value in claims]
    return ServiceResponse(200, {}, json.dumps({"claims": listed}).encode())


def refused(status: int, code: str | None = None, header: bool = True) -> ServiceResponse:
    if code is None:
        return ServiceResponse(status, {})
    if header:
        return ServiceResponse(status, {"x-ms-error-code": code})
    return ServiceResponse(status, {}, json.dumps({"code": code, "message": "no"}).encode())


ADA = granted(("asrs.s.uid", "ada"), ("asrs.s.aeo", "1782907200"), ("role", "staff"))
NOT_FOUND = refused(404, "ConnectionNotFound")


def connection(service: RecordedService, *endpoints: Any, user_id: str = "ada") -> LiveConnection:
    return LiveConnection(service.hub(*endpoints).caller, TOKEN, user_id)


def sent(request: ServiceRequest) -> Any:
    return json.loads(request.body or b"")


# What is asked.


def test_a_refresh_is_one_call_with_the_token_in_its_body() -> None:
    """URLs are logged wherever they pass."""
    service = RecordedService(lambda request: ADA)

    connection(service).renew(escape_claims(Claims.of({"role": ["staff"], "age": 36, "n": "Ä,"})), 1_782_907_200)

    (request,) = service.requests
    assert request.method == "POST"
    assert request.url == "https://east.example/api/hubs/chat/connections/:refreshAuth?api-version=2026-07-01"
    assert sent(request) == {
        "connectionToken": TOKEN,
        "expireTime": "2026-07-01T12:00:00Z",
        "claims": [
            {"type": "asrs.s.uid", "value": "ada"},
            {"type": "role", "value": "staff"},
            {"type": "age", "value": "36"},
            {"type": "n", "value": "%C3%84%2C"},
        ],
    }


@pytest.mark.parametrize("expires_at", [None, 10**15])
def test_a_sign_in_without_an_end_keeps_the_one_of_the_connection(expires_at: int | None) -> None:
    service = RecordedService(lambda request: ADA)

    connection(service).renew((), expires_at)

    assert sent(service.requests[0])["expireTime"] == "9999-12-31T23:59:59.9999999Z"


def test_a_stolen_connection_token_without_claims_to_compare_is_never_sent() -> None:
    """The service compares users only if claims are sent."""
    service = RecordedService(lambda request: ADA)

    connection(service).renew((), 1_782_907_200)

    assert sent(service.requests[0])["claims"] == [{"type": "asrs.s.uid", "value": "ada"}]


def test_the_claims_are_read_without_changing_them() -> None:
    service = RecordedService(lambda request: ADA)

    found = connection(service).claims()

    (request,) = service.requests
    assert request.url == "https://east.example/api/hubs/chat/connections/claims?api-version=2026-07-01"
    assert (request.method, sent(request)) == ("POST", {"connectionToken": TOKEN})
    assert found.claims == (("asrs.s.uid", "ada"), ("asrs.s.aeo", "1782907200"), ("role", "staff"))
    assert found.expires_at == 1_782_907_200


@pytest.mark.parametrize("end", ["", "soon", "-1", "1" * 13, "१"])
def test_an_end_that_is_none_is_not_known(end: str) -> None:
    service = RecordedService(lambda request: granted(("asrs.s.uid", "ada"), ("asrs.s.aeo", end)))

    assert connection(service).renew((), None).expires_at is None


# Which endpoint has it.


@pytest.mark.parametrize("absent", [NOT_FOUND, refused(404), refused(404, "Warning.Connection.NotExisted")])
def test_all_endpoints_are_asked_and_the_one_that_has_it_answers(absent: ServiceResponse) -> None:
    service = RecordedService(by_host(east=absent, west=ADA))

    renewed = connection(service, EAST, WEST).renew((), None)

    assert renewed.endpoint is WEST
    assert len(service.requests) == 2


def test_an_endpoint_that_is_known_is_asked_alone() -> None:
    service = RecordedService(by_host(east=NOT_FOUND, west=ADA))
    found = connection(service, EAST, WEST).claims()
    service.requests.clear()

    connection(service, EAST, WEST).at(found.endpoint).renew((), None)

    assert [request.url.partition("/api")[0] for request in service.requests] == ["https://west.example"]


def test_one_endpoint_that_fails_does_not_hide_the_one_that_has_it() -> None:
    service = RecordedService(by_host(east=refused(500), west=ADA))

    assert connection(service, EAST, WEST).renew((), None).endpoint is WEST


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([NOT_FOUND, NOT_FOUND], "connection_not_found"),
        ([refused(403, "ConnectionUserMismatch"), NOT_FOUND], "permission_change_rejected"),
        ([NOT_FOUND, refused(403, "ConnectionUserMismatch", header=False)], "permission_change_rejected"),
        ([NOT_FOUND, refused(403)], "internal_server_error"),
        ([NOT_FOUND, refused(403, "RoleMissing")], "internal_server_error"),
        ([NOT_FOUND, refused(401)], "internal_server_error"),
        ([NOT_FOUND, refused(400)], "internal_server_error"),
        ([refused(500), NOT_FOUND], "internal_server_error"),
        ([refused(503), refused(403, "ConnectionUserMismatch")], "permission_change_rejected"),
        ([ADA, ADA], "internal_server_error"),
        ([refused(403, "ConnectionUserMismatch"), ADA], "internal_server_error"),
        ([refused(403, "ConnectionUserMismatch")] * 2, "internal_server_error"),
    ],
)
def test_what_the_endpoints_say_comes_to_one_code(answers: list[ServiceResponse], code: str) -> None:
    service = RecordedService(by_host(east=answers[0], west=answers[1]))

    with pytest.raises(RefreshRefused) as refusal:
        connection(service, EAST, WEST).renew((), None)

    assert refusal.value.code == code
    assert TOKEN not in str(refusal.value)


@pytest.mark.parametrize(
    ("read", "code"),
    [
        (ADA, "internal_server_error"),
        (granted(("asrs.s.uid", "bob")), "permission_change_rejected"),
        (refused(403), "internal_server_error"),
        (NOT_FOUND, "internal_server_error"),
    ],
    ids=["the same user's", "another's", "a secret too", "unknown"],
)
def test_a_403_without_a_code_blames_the_user_only_if_the_connection_is_another_users(
    read: ServiceResponse, code: str
) -> None:
    """Our own identity may lack the role, or a firewall may answer."""

    def answer(request: ServiceRequest) -> ServiceResponse:
        if "west" in request.url:
            return NOT_FOUND
        return read if "/connections/claims" in request.url else refused(403)

    service = RecordedService(answer)

    with pytest.raises(RefreshRefused) as refusal:
        connection(service, EAST, WEST).renew((), None)

    assert refusal.value.code == code
    assert len(service.requests) == 3


@contextmanager
def east_hanging(west: ServiceResponse) -> Iterator[RecordedService]:
    """Yield a service at which one endpoint answers, and the other one when the test is over, whatever it is told."""
    over = threading.Event()

    def answer(request: ServiceRequest) -> ServiceResponse:
        if "west" in request.url:
            return west
        over.wait(LONGEST_WAIT)
        return ADA  # which would come to something else than what is expected

    try:
        yield RecordedService(answer)
    finally:
        over.set()


def test_a_second_endpoint_that_has_the_connection_too_is_heard_however_late_it_answers() -> None:
    """Which of the two is the client's nobody can tell, and the token of the wrong one would be a stranger's."""
    has_answered = threading.Event()

    def answer(request: ServiceRequest) -> ServiceResponse:
        if "west" in request.url:
            has_answered.set()
        else:
            has_answered.wait(LONGEST_WAIT)
            threading.Event().wait(2 * GRACE)
        return ADA

    live = LiveConnection(RecordedService(answer).hub(EAST, WEST).caller, TOKEN, "ada")

    with pytest.raises(RefreshRefused, match="internal_server_error: east, west all say"):
        live.renew((), None)


@pytest.mark.parametrize(
    ("answer", "code"),
    [(ADA, None), (refused(403, "ConnectionUserMismatch"), "permission_change_rejected")],
    ids=["renewed", "refused"],
)
def test_an_endpoint_that_hangs_keeps_nobody_from_a_refresh_that_another_decides(
    answer: ServiceResponse, code: str | None
) -> None:
    """There is time for the renewal when it hangs during the reading already."""
    with east_hanging(west=answer) as service:
        live = LiveConnection(service.hub(EAST, WEST).caller, TOKEN, "ada", time.monotonic() + 1)

        if code is None:
            assert live.at(live.claims().endpoint).renew((), None).endpoint is WEST
        else:
            with pytest.raises(RefreshRefused, match=code):
                live.renew((), None)


def test_a_transport_that_overstays_its_time_does_not_hold_the_refresh() -> None:
    """Denial of service: no name server of a dead region keeps to the time of a refresh."""
    overruns = []
    for _ in range(3):  # the machine may be busy with something else
        with east_hanging(west=ADA) as service:
            live = LiveConnection(service.hub(EAST, WEST).caller, TOKEN, "ada", time.monotonic() + 0.1)

            live.renew((), None)

            overruns.append(time.monotonic() - live.deadline)

    assert min(overruns) < GRACE


def test_an_endpoint_that_is_known_to_be_down_is_not_waited_for_that_long() -> None:
    """Without, this test would wait for as long as all tests may."""
    with east_hanging(west=ADA) as service:
        client = ServiceClient([EAST, WEST], transport=service, timeout=2 * LONGEST_WAIT)
        client.heed(lambda endpoint: endpoint is EAST, 2 * LONGEST_WAIT)
        live = LiveConnection(client.hub("chat").caller, TOKEN, "ada", time.monotonic() + 2 * LONGEST_WAIT)

        assert live.renew((), None).endpoint is WEST


def test_the_reading_leaves_half_of_the_time_to_the_renewal() -> None:
    service = RecordedService(lambda request: ADA)
    live = connection(service)

    live.claims()
    live.renew((), None)

    reading, renewal = (request.timeout for request in service.requests)
    assert reading <= REFRESH_TIMEOUT / 2 < renewal


def test_guessed_connection_tokens_hold_no_worker_longer_than_a_refresh_may_take() -> None:
    service = RecordedService(lambda request: NOT_FOUND)
    caller = service.hub(EAST, WEST).using(timeout=600).caller

    for _ in range(2):
        with pytest.raises(RefreshRefused):
            LiveConnection(caller, TOKEN, "ada").renew((), None)
    single = LiveConnection(service.hub(EAST).using(timeout=600).caller, TOKEN, "ada")
    with pytest.raises(RefreshRefused):
        single.claims()

    assert max(request.timeout for request in service.requests) <= REFRESH_TIMEOUT


def test_an_endpoint_that_is_down_is_asked_all_the_same_but_shortly() -> None:
    """Its clients may still be connected."""
    service = RecordedService(by_host(east=NOT_FOUND, west=ADA))
    client = ServiceClient([EAST, WEST], transport=service)
    client.heed(lambda endpoint: endpoint is WEST, 2)

    renewed = LiveConnection(client.hub("chat").caller, TOKEN, "ada").renew((), None)

    assert renewed.endpoint is WEST
    timeouts = {request.url.partition(".")[0]: request.timeout for request in service.requests}
    assert timeouts["https://west"] <= DOWN_TIMEOUT < timeouts["https://east"]


def test_the_questions_of_one_refresh_share_its_time() -> None:
    service = RecordedService(lambda request: ADA)
    live = LiveConnection(service.hub(EAST).caller, TOKEN, "ada", time.monotonic() - 1)

    with pytest.raises(RefreshRefused, match="internal_server_error"):
        live.renew((), None)

    assert service.requests == []


def test_a_made_up_connection_token_does_not_make_the_log_unreadable() -> None:
    service = RecordedService(lambda request: refused(400))

    with pytest.raises(RefreshRefused, match="the service finds a fault in the call"):
        LiveConnection(service.hub(EAST).caller, "e", "ada").renew((), None)


@pytest.mark.parametrize(
    ("status", "words", "logged"),
    [
        (400, f"connection '{TOKEN}' is no good", r"connection '\[redacted\]' is no good"),
        (403, f"connection '{TOKEN}' is no good", r"connection '\[redacted\]' is no good"),
        (400, "x" * 288 + TOKEN, r"x\[redacted\] the service finds a fault"),
    ],
    ids=["400", "403", "cut off"],
)
def test_a_service_that_quotes_the_token_does_not_bring_it_into_the_log(status: int, words: str, logged: str) -> None:
    said = json.dumps({"message": words}).encode()
    service = RecordedService(lambda request: ServiceResponse(status, {}, said))

    with pytest.raises(RefreshRefused, match=logged) as refusal:
        connection(service).renew((), None)

    assert TOKEN[:8] not in "".join(traceback.format_exception(refusal.value))


def test_an_endpoint_that_cannot_be_reached_might_have_it() -> None:
    def answer(request: ServiceRequest) -> ServiceResponse:
        raise ServiceUnreachable("no answer", method="POST", path="/api")

    with pytest.raises(RefreshRefused, match="internal_server_error"):
        connection(RecordedService(answer)).renew((), None)


# What is believed.


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"claims":[]}', b'{"claims":[{"type":"role"}]}', b"\xff", b"[" * 5000]
)
def test_an_answer_without_claims_is_of_a_service_that_is_too_old(body: bytes) -> None:
    service = RecordedService(lambda request: ServiceResponse(200, {}, body))

    with pytest.raises(RefreshRefused, match=r"internal_server_error.*too old"):
        connection(service).renew((), None)


@pytest.mark.parametrize(
    "claims",
    [
        [("asrs.s.uid", "bob")],
        [("asrs.s.uid", "bob"), ("nameid", "ada")],
        [("nameid", "bob")],
        [("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier", "bob")],
        [("role", "staff")],
    ],
)
def test_a_service_that_does_not_compare_users_gives_nobody_anothers_token(claims: list[tuple[str, str]]) -> None:
    service = RecordedService(lambda request: granted(*claims))

    with pytest.raises(RefreshRefused, match="permission_change_rejected"):
        connection(service).renew((), None)
    with pytest.raises(RefreshRefused, match="permission_change_rejected"):
        connection(service).claims()


def test_no_repr_shows_the_token_or_the_claims() -> None:
    service = RecordedService(lambda request: ADA)

    shown = repr(connection(service)) + repr(connection(service).claims())

    assert TOKEN not in shown
    assert "staff" not in shown
