"""What the service's refusals come to: an error for each, with the remedy in its text."""

import re
from urllib.parse import urlsplit

import msgspec

from flask_signalr.rest.exchange import ServiceRequest, ServiceResponse
from flask_signalr.service_errors import (
    ClientInvocationFailed,
    RecipientNotFound,
    ServiceBusy,
    ServiceError,
    ServiceRefusedCall,
    ServiceRefusedToken,
)

_ABSENT = re.compile(r"(?:info|warning|error)\.(?:connection|user|group)\.(?:notexisted|notingroup)", re.IGNORECASE)
_LONGEST_DETAIL = 300
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa0-\U0010ffff]+")
_REMEDIES: dict[int, tuple[type[ServiceError], str]] = {
    400: (ServiceRefusedCall, "the service finds a fault in the call; correct what it names"),
    401: (ServiceRefusedToken, "the service does not accept the token: check the AccessKey, and this machine's clock"),
    403: (ServiceRefusedToken, "the service forbids the call: check its network rules, and the AccessKey's rights"),
    404: (ServiceError, "the service has no such operation: check the Endpoint; it must serve the REST API 2024-12-01"),
    413: (ServiceRefusedCall, "the message is too large for the service, which takes 1 MB: send less at once"),
    414: (ServiceRefusedCall, "the call's URL is too long for the service: exclude fewer connections, shorten names"),
    415: (ServiceRefusedCall, "the service does not read this kind of message"),
    429: (ServiceBusy, "the service is asked too often: try again later, or scale it up"),
    431: (ServiceRefusedCall, "the call's headers are too long for the service: shorten names"),
    503: (ServiceBusy, "the service is overloaded or down: try again later"),
}

_ROLES = (
    "the service forbids it to this identity: assign it the role 'SignalR Service Owner' in the service's Access "
    "control (IAM), or 'SignalR App Server' for signing keys and 'SignalR REST API Owner' for calls, which takes up to "
    "30 minutes; or the service's network rules keep this machine out"
)
_OF_IDENTITY: dict[int, tuple[type[ServiceError], str]] = {
    401: (
        ServiceRefusedToken,
        "the service does not accept the Microsoft Entra token: check that its tenant is the service's, and the clock",
    ),
    403: (ServiceRefusedToken, _ROLES),
}
"""What is different where a Microsoft Entra token comes in the place of the access key's signature."""


class _Detail(msgspec.Struct):
    """What the service says of an error, in the one form (``ErrorDetail``) or the other (``ServiceResponse``)."""

    code: str | None = None
    message: str | None = None


def is_absent(response: ServiceResponse) -> bool:
    """Return whether a 404 is an answer: what was asked for is not there, in the service's own words.

    Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR.Management/RestHubLifetimeManager.cs.
    """
    return response.status == 404 and _ABSENT.fullmatch(response.headers.get("x-ms-error-code", "")) is not None


def refusal(request: ServiceRequest, response: ServiceResponse, *, of_identity: bool = False) -> ServiceError:
    """Return the error for an answer that is no success.

    Args:
        request: What was asked.
        response: The answer.
        of_identity: Whether the request brought a Microsoft Entra token.
    """
    parts, detail = urlsplit(request.url), _detail(response)
    code = response.headers.get("x-ms-error-code") or detail.code
    kind, remedy = _kind(parts.path, response.status, code)
    if of_identity:
        kind, remedy = _OF_IDENTITY.get(response.status, (kind, remedy))
    said = _UNPRINTABLE.sub(" ", detail.message or "")[:_LONGEST_DETAIL].strip()
    error = kind(
        f"{request.method} at {parts.scheme}://{parts.netloc} was answered {response.status}"
        + (f" {_UNPRINTABLE.sub(' ', code)[:_LONGEST_DETAIL]}" if code else "")
        + (f" ({said})" if said else "")
        + f": {remedy}",
        method=request.method,
        path=parts.path,
        status=response.status,
        code=code,
        request_id=response.headers.get("x-ms-request-id"),
    )
    if isinstance(error, ServiceBusy):
        wait = response.headers.get("retry-after", "")
        error.retry_after = int(wait) if re.fullmatch("[0-9]{1,9}", wait) else None
    return error


def _kind(path: str, status: int, code: str | None) -> tuple[type[ServiceError], str]:
    words = (code or "").lower()
    if status == 404 and words.endswith((".notexisted", ".notingroup")):
        return RecipientNotFound, "it is not connected, or no longer: nothing was delivered"
    if path.endswith("/:invoke") and (status == 504 or (status == 400 and ".connection." in words)):
        return ClientInvocationFailed, "the client did not answer in time, or with an error of its own"
    if 300 <= status < 400:
        return ServiceError, "redirects are not followed, they could carry the token elsewhere: check the Endpoint"
    return _REMEDIES.get(status, (ServiceError, "the service failed: try again later, its logs say why"))


def _detail(response: ServiceResponse) -> _Detail:
    try:
        return msgspec.json.decode(response.body, type=_Detail)
    except (ValueError, RecursionError):  # also msgspec's own
        return _Detail(message=response.body[: 4 * _LONGEST_DETAIL].decode(errors="replace"))
