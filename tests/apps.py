"""Apps with hubs, their callers, and the service tokens that they are answered with."""

import json
import time
from typing import Any

import jwt
from flask import Flask, Request
from werkzeug.test import TestResponse

from flask_signalr import AuthenticationFailed, AuthScheme, Principal, SignalR
from tests.signing import SECRET, token

ACCESS_KEY = "an-access-key-that-only-tests-use-0123456789-0123456789-0123456789="
ENDPOINT = "https://chat.service.example"
CONNECTION_STRING = f"Endpoint={ENDPOINT};AccessKey={ACCESS_KEY};Version=1.0;"
OTHER_ENDPOINT = "https://other.service.example"
OTHER_CONNECTION_STRING = f"Endpoint={OTHER_ENDPOINT};AccessKey=another-{ACCESS_KEY};Version=1.0;"


def create_app(signalr: SignalR | None = None, **config: Any) -> Flask:
    """Return an app that a `SignalR` is mounted in, if one is given.

    It is not in testing mode: what would be a 500 for the caller is one in the test.
    """
    app = Flask(__name__)
    usual = {"SIGNALR_CONNECTION_STRING": CONNECTION_STRING, "SECRET_KEY": "of-the-session"}
    unprobed = {"SIGNALR_HEALTH_INTERVAL": 0}  # nobody is at the addresses of these tests
    app.config.update(usual | unprobed | config)
    if signalr is not None:
        signalr.init_app(app)
    return app


def negotiate(app: Flask, hub: str = "chat", **options: Any) -> TestResponse:
    """Return the answer to a negotiate request as the official clients send it."""
    return app.test_client().post(f"/{hub}/negotiate", query_string="negotiateVersion=1", **options)


def service_claims(answer: TestResponse, hub: str = "chat", endpoint: str = ENDPOINT) -> dict[str, Any]:
    """Return the claims of the service token in an answer, once PyJWT has verified it."""
    assert answer.status_code == 200, answer.text
    key = ACCESS_KEY if endpoint == ENDPOINT else f"another-{ACCESS_KEY}"
    audience = f"{endpoint}/client/?hub={hub}"
    claims: dict[str, Any] = jwt.decode(body(answer)["accessToken"], key, ["HS256", "HS512"], audience=audience)
    return claims


def body(answer: TestResponse) -> dict[str, Any]:
    """Return the JSON object that an answer holds."""
    parsed = json.loads(answer.data)
    assert isinstance(parsed, dict)
    return parsed


def service_token(hub: str = "chat", *, endpoint: str = ENDPOINT, key: str = ACCESS_KEY, **claims: Any) -> str:
    """Return a token as we sign it for the service, of the user ada."""
    now = int(time.time())
    usual = {"asrs.s.uid": "ada", "nbf": now, "iat": now, "exp": now + 3600, "aud": f"{endpoint}/client/?hub={hub}"}
    return token(key, **{"sub": ..., **usual, **claims})


def bearer_headers(name: str = "ada", *roles: str, **claims: Any) -> dict[str, str]:
    """Return the headers of a caller whose bearer token is signed with the shared secret of the tests."""
    caller = {"sub": name, "email": f"{name}@example.org", "role": list(roles)}
    return {"Authorization": f"Bearer {token(SECRET, **(caller | claims))}"}


class Says(AuthScheme):
    """A scheme that gives the same answer to everybody, and remembers that it was asked.

    Args:
        outcome: What it returns; an exception is raised.
        challenge: What it advertises.
    """

    def __init__(self, outcome: Principal | Exception | None, challenge: str | None = None) -> None:
        self.asked = 0
        self._outcome = outcome
        self._challenge = challenge

    def authenticate(self, request: Request) -> Principal | None:
        self.asked += 1
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    def challenge(self) -> str | None:
        return self._challenge


class NameAuth(AuthScheme):
    """Believes the headers X-User and X-Roles, whatever they say, but that somebody is nobody."""

    def authenticate(self, request: Request) -> Principal | None:
        name = request.headers.get("X-User")
        if name == "nobody":
            raise AuthenticationFailed("nobody is not allowed")
        if name is None:
            return None
        return Principal(name, {"role": request.headers["X-Roles"].split(";"), "email": f"{name}@example.org"})


def named(name: str, *roles: str) -> dict[str, str]:
    """Return the headers of a caller whom `NameAuth` believes."""
    return {"X-User": name, "X-Roles": ";".join(roles or ("staff",))}
