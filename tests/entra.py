"""An app's identity without Microsoft Entra ID: a credential, a clock, and a service that hands out keys."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flask_signalr import ServiceEndpoint, ServiceRequest, ServiceResponse
from flask_signalr.clocks import Clocks

ENDPOINT = ServiceEndpoint.parse("Endpoint=https://chat.service.example;AuthType=azure;")
NOW = 1_700_000_000.0
TOKEN = "an.entra.token"


@dataclass
class Clock:
    """The time, as a test puts it."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now

    @property
    def clocks(self) -> Clocks:
        """Clocks that all show this time, and no chance."""
        return Clocks(self, self, lambda: 0)


@dataclass(frozen=True)
class Token:
    """A token, as azure-identity returns it."""

    token: str
    expires_on: int


@dataclass
class Credential:
    """Has a token at once.

    Attributes:
        clock: The time.
        lifetime: Seconds that a token is good for.
        scopes: What was asked for, in order.
        fault: What the next requests for a token come to instead.
    """

    clock: Clock
    lifetime: int = 3600
    scopes: list[tuple[str, ...]] = field(default_factory=list)
    fault: Exception | None = None

    def get_token(self, *scopes: str, **options: Any) -> Token:
        self.scopes.append(scopes)
        if self.fault is not None:
            raise self.fault
        return Token(TOKEN, int(self.clock.now) + self.lifetime)


def handing_out(key_id: object, access_key: object = "a" * 44) -> ServiceResponse:
    """Return the service's answer to a request for a key."""
    return ServiceResponse(200, {}, json.dumps({"KeyId": key_id, "AccessKey": access_key}).encode())


@dataclass
class KeyService:
    """A transport to a service that hands out keys and looks at clients' tokens.

    Attributes:
        exchange: Makes the answer to a request for a key.
        check: Makes the answer to a client's negotiation.
        requests: What was asked, in order.
    """

    exchange: Callable[[], ServiceResponse] = lambda: handing_out("key-1")
    check: Callable[[], ServiceResponse] = lambda: ServiceResponse(200, {})
    requests: list[ServiceRequest] = field(default_factory=list)

    def __call__(self, request: ServiceRequest) -> ServiceResponse:
        self.requests.append(request)
        return self.exchange() if request.url.endswith("/accessKey") else self.check()

    @property
    def exchanges(self) -> int:
        """How often a key was asked for."""
        return sum(request.url.endswith("/accessKey") for request in self.requests)

    @property
    def checks(self) -> list[ServiceRequest]:
        """The clients' negotiations."""
        return [request for request in self.requests if "/client/negotiate" in request.url]


def join_fetches() -> None:
    """Wait for the fetches that are under way."""
    for thread in threading.enumerate():
        if thread.name.startswith("flask-signalr the "):
            thread.join(30)
