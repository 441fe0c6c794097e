"""A transport that answers as a test says, and keeps what it was asked."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from flask_signalr import HubClients, ServiceClient, ServiceEndpoint, ServiceRequest, ServiceResponse
from tests.apps import ACCESS_KEY

EAST, WEST = (
    ServiceEndpoint.parse(f"Endpoint=https://{name}.example;AccessKey={ACCESS_KEY};", name) for name in ("east", "west")
)
ABSENT = ServiceResponse(404, {"x-ms-error-code": "Warning.Connection.NotExisted"})
DONE = ServiceResponse(200, {}, b"{}")
BROKEN = ServiceResponse(500, {})


@dataclass
class RecordedService:
    """A transport.

    Attributes:
        answer: Makes the answer to a request.
        requests: What was asked, in order.
    """

    answer: Callable[[ServiceRequest], ServiceResponse] = lambda request: DONE
    requests: list[ServiceRequest] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: ServiceRequest) -> ServiceResponse:
        with self._lock:
            self.requests.append(request)
        return self.answer(request)

    def hub(self, *endpoints: ServiceEndpoint) -> HubClients:
        """Return the clients of the hub ``chat`` at these endpoints."""
        return ServiceClient(endpoints or [EAST], transport=self).hub("chat")

    @property
    def calls(self) -> list[str]:
        """Return method, host, path and query of each request, sorted, without the version."""
        return sorted(
            f"{request.method} {request.url.removeprefix('https://')}".replace("api-version=2024-12-01", "v")
            for request in self.requests
        )


def by_host(**answers: ServiceResponse) -> Callable[[ServiceRequest], ServiceResponse]:
    """Return what answers differently at each endpoint."""
    return lambda request: answers[(urlsplit(request.url).hostname or "").partition(".")[0]]
