"""What the service's refusals come to."""

import json

import pytest

from flask_signalr import (
    ClientInvocationFailed,
    RecipientNotFound,
    ServiceBusy,
    ServiceError,
    ServiceRefusedCall,
    ServiceRefusedToken,
    ServiceRequest,
    ServiceResponse,
)
from flask_signalr.rest.refusals import is_absent, refusal

CODE = "x-ms-error-code"


def refused(
    status: int, code: str | None = None, body: bytes = b"", path: str = "/:send", **headers: str
) -> ServiceError:
    named = {name.replace("_", "-"): value for name, value in headers.items()} | ({CODE: code} if code else {})
    request = ServiceRequest(
        "POST", f"https://service.example/api/hubs/chat{path}?api-version=1", {"Authorization": "Bearer x.y"}, b"{}", 10
    )
    return refusal(request, ServiceResponse(status, named, body))


@pytest.mark.parametrize(
    ("status", "kind", "remedy"),
    [
        (307, ServiceError, "redirects are not followed"),
        (400, ServiceRefusedCall, "correct what it names"),
        (401, ServiceRefusedToken, "check the AccessKey, and this machine's clock"),
        (403, ServiceRefusedToken, "check its network rules"),
        (404, ServiceError, "check the Endpoint"),
        (413, ServiceRefusedCall, "1 MB: send less at once"),
        (414, ServiceRefusedCall, "exclude fewer connections"),
        (415, ServiceRefusedCall, "this kind of message"),
        (429, ServiceBusy, "try again later, or scale it up"),
        (500, ServiceError, "its logs say why"),
        (503, ServiceBusy, "overloaded or down"),
    ],
)
def test_each_status_has_its_error_and_its_remedy(status: int, kind: type[ServiceError], remedy: str) -> None:
    error = refused(status)

    assert type(error) is kind
    assert remedy in str(error)
    assert (error.status, error.method, error.path) == (status, "POST", "/api/hubs/chat/:send")


def test_an_error_carries_the_services_code_and_the_requests_id() -> None:
    body = json.dumps({"code": "Error.Request.Invalid", "message": "Invalid hub name."}).encode()

    error = refused(400, body=body, x_ms_request_id="7f")

    assert (error.code, error.request_id) == ("Error.Request.Invalid", "7f")
    assert "(Invalid hub name.)" in str(error)


@pytest.mark.parametrize("body", [b"", b"plain words", b"[1]", b'{"code": 7}', b"\xff\xfe", b"[" * 100_000])
def test_an_error_without_the_usual_body_is_an_error_all_the_same(body: bytes) -> None:
    assert type(refused(400, body=body)) is ServiceRefusedCall


def test_a_hostile_answer_cannot_forge_lines_of_a_log() -> None:
    error = refused(400, "Error.\r\nINFO all is well", b"no\r\nINFO all is well\x1b[2J" + b"x" * 10_000)

    assert "\n" not in str(error)
    assert "\x1b" not in str(error)
    assert len(str(error)) < 1000


@pytest.mark.parametrize(("wait", "seconds"), [("7", 7), ("", None), ("soon", None), ("9" * 5000, None)])
def test_a_busy_service_says_when_to_come_again(wait: str, seconds: int | None) -> None:
    error = refused(429, retry_after=wait)

    assert isinstance(error, ServiceBusy)
    assert error.retry_after == seconds


@pytest.mark.parametrize("code", ["Error.Connection.NotExisted", "error.unknown.notexisted"])
def test_a_recipient_that_is_gone_is_told_from_a_wrong_address(code: str) -> None:
    assert type(refused(404, code)) is RecipientNotFound
    assert type(refused(404)) is ServiceError


def test_a_clients_error_is_not_the_services() -> None:
    path = "/connections/c/:invoke"

    assert type(refused(400, "Error.Connection.Invalid", path=path)) is ClientInvocationFailed
    assert type(refused(504, path=path)) is ClientInvocationFailed
    assert type(refused(400, "Error.Request.Invalid", path=path)) is ServiceRefusedCall
    assert type(refused(504)) is ServiceError


@pytest.mark.parametrize(
    "code",
    [
        "Warning.Connection.NotExisted",
        "Warning.User.NotExisted",
        "Warning.Group.NotExisted",
        "Info.User.NotInGroup",
        "Error.Connection.NotExisted",
        "warning.USER.notexisted",
    ],
)
def test_absence_is_told_in_the_services_own_words(code: str) -> None:
    """RestHubLifetimeManager.cs compares without case."""
    assert is_absent(ServiceResponse(404, {CODE: code}))
    assert not is_absent(ServiceResponse(400, {CODE: code}))


@pytest.mark.parametrize("code", ["", "Error.Request.Invalid", "Error.Hub.NotExisted", "xWarning.User.NotExistedx"])
def test_any_other_404_is_an_error(code: str) -> None:
    """A wrong Endpoint would else look like a service at which nobody is connected."""
    assert not is_absent(ServiceResponse(404, {CODE: code}))
    assert not is_absent(ServiceResponse(404, {}))
