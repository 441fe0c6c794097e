"""The sign-in of a live connection at the service: what is asked, who has it, and what is believed of the answer."""

import json
import traceback
from typing import Any

import pytest

from flask_signalr import Claims, RefreshRefused, ServiceUnreachable
from flask_signalr.claims_header import escape_claims
from flask_signalr.rest.authentication import LiveConnection
from flask_signalr.rest.exchange import ServiceRequest, ServiceResponse
from tests.recorded_service import EAST, WEST, RecordedService, by_host

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
        ([NOT_FOUND, refused(403)], "permission_change_rejected"),
        ([NOT_FOUND, refused(403, "RoleMissing")], "internal_server_error"),
        ([NOT_FOUND, refused(401)], "internal_server_error"),
        ([NOT_FOUND, refused(400)], "internal_server_error"),
        ([refused(500), NOT_FOUND], "internal_server_error"),
        ([refused(503), refused(403, "ConnectionUserMismatch")], "permission_change_rejected"),
        ([ADA, ADA], "internal_server_error"),
    ],
)
def test_what_the_endpoints_say_comes_to_one_code(answers: list[ServiceResponse], code: str) -> None:
    service = RecordedService(by_host(east=answers[0], west=answers[1]))

    with pytest.raises(RefreshRefused) as refusal:
        connection(service, EAST, WEST).renew((), None)

    assert refusal.value.code == code
    assert TOKEN not in str(refusal.value)


@pytest.mark.parametrize("status", [400, 403])
def test_a_service_that_quotes_the_token_does_not_bring_it_into_the_log(status: int) -> None:
    said = json.dumps({"message": f"connection '{TOKEN}' is no good"}).encode()
    service = RecordedService(lambda request: ServiceResponse(status, {}, said))

    with pytest.raises(RefreshRefused, match=r"connection '\[redacted\]' is no good") as refusal:
        connection(service).renew((), None)

    assert TOKEN not in "".join(traceback.format_exception(refusal.value))


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
