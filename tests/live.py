"""An app with hubs of every kind, for tests over real sockets: on a WSGI server, with the emulator beside it.

`create_app` is also what a WSGI server in a process of its own loads, configured by ``FLASK_*`` variables.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jwt
import msgspec
import urllib3
from flask import Flask
from flask_login import LoginManager, UserMixin, login_user
from werkzeug.serving import WSGIRequestHandler, make_server

from flask_signalr import BearerAuth, CookieAuth, Principal, ServiceEndpoint, SignalR
from flask_signalr.claims import Claims
from flask_signalr.emulator import Emulator, EmulatorSettings
from flask_signalr.tokens import sign_access_token

ADA, BOB = "ada@example.org", "bob@example.org"
AUDIENCE = "api://chat"
LONGEST_WAIT = 30
"""Seconds after which what a test waits for will not come."""


class User(UserMixin):  # type: ignore[misc]
    def __init__(self, user_id: str) -> None:
        self.id = user_id


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Return an app with one hub for each way to connect.

    Args:
        config: What `live_config` returns; from the environment if ``None``.
    """
    app = Flask(__name__)
    app.config.from_prefixed_env()
    app.config.from_mapping(config)
    if app.config.get("LOG_EVERYTHING"):
        logging.basicConfig(level=logging.DEBUG)
    users = {user_id: User(user_id) for user_id in (ADA, BOB)}
    LoginManager(app).user_loader(users.get)

    @app.post("/sign-in/<user_id>")
    def sign_in(user_id: str) -> tuple[str, int]:
        login_user(users[user_id])
        return "", 204

    cookie, bearer = CookieAuth(), BearerAuth(app.config["BEARER_KEY"], audience=AUDIENCE)
    signalr = SignalR(app)
    signalr.hub("open", allow_anonymous=True)
    signalr.hub("cookie", auth=[cookie])
    signalr.hub("bearer", auth=[bearer])
    signalr.hub("mixed", auth=[bearer, cookie])  # the first takes every bearer token for its own
    signalr.hub("strong", auth=[cookie], access_token_algorithm="HS512")
    signalr.hub("brief", auth=[cookie], access_token_lifetime=1)
    signalr.hub("broken", auth=[cookie, bearer], claims_filter=broken_filter)
    app.wsgi_app = Recorder(app.wsgi_app, Path(app.config["RECORD"]))  # type: ignore[method-assign]
    return app


def broken_filter(principal: Principal) -> Claims:
    raise RuntimeError(f"a fault of the app's own, met by {principal.name}")


def live_config(connection_string: str, record: Path) -> dict[str, str]:
    """Return a configuration with secrets of its own.

    Args:
        connection_string: The emulator's.
        record: Where the app writes down what it was asked and what it answered.
    """
    record.touch()
    return {
        "SECRET_KEY": secrets.token_urlsafe(32),
        "BEARER_KEY": secrets.token_urlsafe(32),
        "SIGNALR_CONNECTION_STRING": connection_string,
        "RECORD": str(record),
    }


@dataclass(frozen=True)
class Negotiation:
    """A negotiate request and its answer, as they passed through the app's server.

    Attributes:
        path: The path.
        query: The query, still percent-encoded.
        authorization: The header, empty if there was none.
        status: The answer's HTTP status.
        answer: What was answered.
    """

    path: str
    query: str = field(repr=False)
    authorization: str = field(repr=False)
    status: int
    answer: Any = field(repr=False)


class Recorder:
    """WSGI middleware that appends every `Negotiation` to a file, before the client has its answer."""

    def __init__(self, wsgi_app: Callable[..., Iterable[bytes]], record: Path) -> None:
        self._wsgi_app = wsgi_app
        self._record = record

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not environ["PATH_INFO"].endswith("/negotiate"):
            return self._wsgi_app(environ, start_response)
        # Read before the app sees them: it takes out what it does not want anybody else to see.
        asked = environ["PATH_INFO"], environ.get("QUERY_STRING", ""), environ.get("HTTP_AUTHORIZATION", "")
        statuses: list[str] = []

        def start_recorded(status: str, headers: Any, exc_info: Any = None) -> Any:
            statuses.append(status)
            return start_response(status, headers, exc_info)

        body = b"".join(self._wsgi_app(environ, start_recorded))
        status = int(statuses[-1].split()[0])
        answer = msgspec.json.decode(body) if body[:1] == b"{" else None
        with self._record.open("ab") as file:
            file.write(msgspec.json.encode(Negotiation(*asked, status, answer)) + b"\n")
        return [body]


@dataclass(frozen=True)
class Rest:
    """Calls the service's REST API with tokens that our own signer makes.

    Attributes:
        endpoint: The service.
        tokens: The tokens that were used.
    """

    endpoint: ServiceEndpoint
    tokens: list[str] = field(default_factory=list, repr=False)

    def send(self, hub: str, target: str, *arguments: Any, to: tuple[str, str] | None = None) -> None:
        """Send to everybody, or to ``("users", id)``, ``("groups", name)`` or ``("connections", id)``."""
        path = f"/api/hubs/{hub}/:send" if to is None else f"/api/hubs/{hub}/{to[0]}/{quote(to[1], safe='')}/:send"
        status = self.call("POST", path, {"target": target, "arguments": arguments})
        assert status == 202

    def add_to_group(self, hub: str, group: str, connection_id: str) -> None:
        assert self.call("PUT", f"/api/hubs/{hub}/groups/{group}/connections/{connection_id}") == 200

    def call(self, method: str, path: str, body: Any = None) -> int:
        """Make a call and return the status of its answer."""
        assert self.endpoint.key is not None
        audience = self.endpoint.audience_base_url + path[1:]
        token = sign_access_token(self.endpoint.key, audience, [], lifetime=7200, now=int(time.time()))
        self.tokens.append(token)
        answer = urllib3.request(
            method,
            f"{self.endpoint.server_base_url}{path[1:]}?api-version=2024-12-01",
            headers={"Authorization": f"Bearer {token}"},
            json=body,
            timeout=LONGEST_WAIT,
            retries=False,
        )
        return answer.status


@dataclass(frozen=True)
class Site:
    """An app that runs, and what its visitors bring.

    Attributes:
        url: Its base URL, without a slash at the end.
        config: What it is configured with.
        emulator: The service beside it.
        rest: The service's REST API.
        credentials: The cookies and bearer tokens that were handed out.
    """

    url: str
    config: Mapping[str, str] = field(repr=False)
    emulator: Emulator = field(repr=False)
    rest: Rest = field(init=False, repr=False)
    credentials: list[str] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        rest = Rest(ServiceEndpoint.parse(self.emulator.connection_string))
        object.__setattr__(self, "rest", rest)

    def hub(self, name: str, query: str = "") -> str:
        """Return the URL that a client is given for a hub."""
        return f"{self.url}/{name}{query}"

    def sign_in(self, user_id: str) -> dict[str, str]:
        """Return the headers of a browser whose user signed in: the session cookie."""
        answer = urllib3.request("POST", f"{self.url}/sign-in/{user_id}", timeout=LONGEST_WAIT, retries=False)
        assert answer.status == 204
        cookie = answer.headers["Set-Cookie"].partition(";")[0]
        self.credentials.append(cookie.partition("=")[2])
        return {"Cookie": cookie}

    def bearer(self, user_id: str, lifetime: int = 600) -> str:
        """Return a bearer token that the app accepts, until its lifetime in seconds is over."""
        claims = {"sub": user_id, "aud": AUDIENCE, "exp": int(time.time()) + lifetime}
        token = jwt.encode(claims, self.config["BEARER_KEY"])
        self.credentials.append(token)
        return token

    def negotiations(self, hub: str) -> list[Negotiation]:
        """Return what a hub was asked so far."""
        return [one for one in read_record(Path(self.config["RECORD"])) if one.path == f"/{hub}/negotiate"]


def read_record(record: Path) -> list[Negotiation]:
    """Return what a `Recorder` wrote."""
    return msgspec.json.decode(b"[" + b",".join(record.read_bytes().splitlines()) + b"]", type=list[Negotiation])


class ServiceClock:
    """A service's clock, which can be put ahead of the real one.

    Attributes:
        ahead: By how many seconds.
    """

    ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def live_emulator(clock: Callable[[], float] = time.time) -> Emulator:
    """Return an emulator with an access key of its own, for a free port; it speaks often to its clients."""
    settings = EmulatorSettings(
        host="127.0.0.1", port=0, access_keys=(secrets.token_urlsafe(32),), keep_alive=0.2, tick=0.1
    )
    return Emulator(settings, clock=clock)


@contextmanager
def live_site(
    record: Path, *, clock: Callable[[], float] = time.time, change_key: Callable[[str], str] = str
) -> Iterator[Site]:
    """Run the app on werkzeug's server in threads, and an emulator beside it.

    Args:
        record: Where the app writes down what it was asked.
        clock: The emulator's.
        change_key: Makes of the connection string the one that the app is given.
    """
    with live_emulator(clock) as emulator:
        config = live_config(change_key(emulator.connection_string), record)
        with serving(create_app(config)) as url:
            yield Site(url, config, emulator)


@contextmanager
def serving(app: Flask, handler: type[WSGIRequestHandler] | None = None) -> Iterator[str]:
    """Run an app on werkzeug's server in threads, and yield its base URL; another handler may read the requests."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def with_another_key(connection_string: str) -> str:
    """Return a connection string whose access key the service does not know."""
    return connection_string.replace("AccessKey=", "AccessKey=not-")
