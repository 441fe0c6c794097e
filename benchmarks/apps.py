"""The Flask app that is measured: hubs of flask_signalr, and beside them the bare views that they are compared with."""

import json
import logging
import os
import time

import jwt
from flask import Flask
from flask_login import LoginManager, UserMixin, login_required, login_user

from benchmarks.signing import ACCESS_KEY, access_key
from flask_signalr import BearerAuth, CookieAuth, ServiceEndpoint, SignalR
from flask_signalr.negotiation import client_access
from flask_signalr.tokens import SigningKey

CONNECTION_STRING = f"Endpoint=https://benchmark.service.signalr.net;AccessKey={ACCESS_KEY};Version=1.0;"
BEARER_SECRET = "only for the benchmarks: who signs on with it gets nowhere"
CONSTANT = client_access(
    ServiceEndpoint.parse(CONNECTION_STRING), "open", (), lifetime=3600, now=1_700_000_000, key=SigningKey(ACCESS_KEY)
).to_dict()
"""What the bare views return: the size of a real answer."""


def connection_string(number: int) -> str:
    """Return the connection string of one of several endpoints, each of which has a host and a key of its own."""
    return CONNECTION_STRING.replace("benchmark", f"benchmark{number}").replace(ACCESS_KEY, access_key(number))


def create_app(hubs: int = 1, endpoints: int = 1) -> Flask:
    """Return an app with sessions and Flask-Login, whose hubs take cookies, bearer tokens, or anybody.

    There are more hubs and service endpoints on demand.
    """
    app = create_quickstart(hubs, endpoints)
    app.secret_key = os.urandom(32)
    ada = UserMixin()
    ada.id = "ada"
    LoginManager(app).user_loader({"ada": ada}.get)

    @app.post("/guarded")
    @login_required  # type: ignore[untyped-decorator]
    def guarded() -> dict[str, object]:
        return CONSTANT

    @app.post("/sign-in")
    def sign_in() -> str:
        login_user(ada)
        return ""

    return app


def create_quickstart(hubs: int = 1, endpoints: int = 1) -> Flask:
    """Return an app as the README's: no sessions, because nothing in it asks for one."""
    app = Flask("benchmarks")
    app.config["SIGNALR_ENDPOINTS"] = {f"e{number}": connection_string(number) for number in range(endpoints)}
    app.config["SIGNALR_HEALTH_INTERVAL"] = 0  # nobody is at these addresses
    signalr = SignalR(app)
    declare_hubs(signalr)
    for number in range(1, hubs):
        signalr.hub(f"hub{number}", allow_anonymous=True)

    @app.post("/bare")
    def bare() -> dict[str, object]:
        return CONSTANT

    return app


def create_watching() -> Flask:
    """Return an app that looks after the service endpoints that the environment names."""
    app = Flask("benchmarks")
    app.config["SIGNALR_ENDPOINTS"] = json.loads(os.environ["BENCHMARK_ENDPOINTS"])
    declare_hubs(SignalR(app))
    logging.getLogger("flask_signalr.endpoints").setLevel(logging.ERROR)  # half of them are down on purpose
    return app


def declare_hubs(signalr: SignalR) -> None:
    """Declare a hub for each way to sign in, and ``open`` for anybody."""
    signalr.hub("open", allow_anonymous=True)
    signalr.hub("cookie", auth=[CookieAuth()])
    signalr.hub("bearer", auth=[BearerAuth(BEARER_SECRET, issuer="https://login.example", audience="api://chat")])


def bearer_token() -> str:
    """Return a token that the hub ``bearer`` accepts, with the claims that an identity provider gives."""
    now = int(time.time())
    claims = {
        "iss": "https://login.example",
        "aud": "api://chat",
        "sub": "ada@example.org",
        "name": "Ada Lovelace",
        "role": ["staff", "admin"],
        "iat": now,
        "exp": now + 3600,
    }
    return jwt.encode(claims, BEARER_SECRET, "HS256")
