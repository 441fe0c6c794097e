"""(f) What one upstream invocation costs in the process, and (h) what more hubs and methods add to it."""

import hmac
from collections.abc import Callable

import msgspec
from flask import Flask, abort, request

from benchmarks.apps import CONNECTION_STRING, connection_string
from benchmarks.measure import Bound, Row, take_turns
from benchmarks.signing import ACCESS_KEY, access_key
from benchmarks.wsgi import caller, caller_by_turns
from flask_signalr import Invocation, Policy, SignalR, require_role
from flask_signalr.upstream_headers import CONNECTIONS_KEPT_IN_MIND
from flask_signalr.upstream_signature import connection_signature

SUBJECT = "upstream invocation"
FIRST = "first of its connection"
BARE = "bare JSON view: HMAC, role, JSON"
NAMED = "of 100 endpoints, the claims name which"
UNNAMED = "of 100 endpoints, nothing names which"
ENDPOINTS = 100

CONNECTIONS = 2 * CONNECTIONS_KEPT_IN_MIND
"""Connections that take turns with (f)'s first calls: when one's turn comes again, nothing is known of it."""

BODY = msgspec.json.encode({"type": 1, "invocationId": "0", "target": "add", "arguments": [20, 22]})
MANY = 1000


def run() -> list[Row]:
    """Send the service's request to a hub method, and the very same to a bare view of the same app, by turns.

    Once a connection calls again and again, as clients do. Once each call is the first of its connection: every
    connection has a user, an id and a query of its own, and as many come in between as are kept in mind, twice over.
    """
    app = create_app()
    again = take_turns({SUBJECT: calling(app), BARE: caller(app, "/bare", headers=headers("hub0"), body=BODY)})
    connections = [headers("hub0", number) for number in range(CONNECTIONS)]
    first = take_turns(
        {
            FIRST: caller_by_turns(app, path_of("hub0"), connections, BODY),
            BARE: caller_by_turns(app, "/bare", connections, BODY),
        }
    )
    return [again.row(SUBJECT, BARE, Bound(at_most=1.3)), first.row(FIRST, BARE), *_endpoints(app)]


def _endpoints(one: Flask) -> list[Row]:
    """Send the request to an app whose many service endpoints have two keys each."""
    last = ENDPOINTS - 1
    many = create_app(
        SIGNALR_CONNECTION_STRING="",
        SIGNALR_ENDPOINTS={f"e{number}": connection_string(number) for number in range(ENDPOINTS)},
        SIGNALR_SECONDARY_KEYS={f"e{number}": access_key(ENDPOINTS + number) for number in range(ENDPOINTS)},
        SIGNALR_HEALTH_INTERVAL=0,
    )
    unnamed = headers("hub0", key=access_key(last))
    audience = f"https://benchmark{last}.service.signalr.net/client/?hub=hub0"
    named = unnamed | {"X-ASRS-User-Claims": f"{unnamed['X-ASRS-User-Claims']}, aud: {audience}"}
    turns = take_turns(
        {
            NAMED: caller(many, path_of("hub0"), headers=named, body=BODY),
            UNNAMED: caller(many, path_of("hub0"), headers=unnamed, body=BODY),
            SUBJECT: calling(one),
        }
    )
    return [turns.row(NAMED, SUBJECT), turns.row(UNNAMED, SUBJECT)]


def run_sizes() -> list[Row]:
    """Call the last of many hubs, and the last of many methods, by turns with the only one."""
    hubs, methods, one = f"last of {MANY} hubs", f"last of {MANY} methods", "1 hub, 1 method"
    turns = take_turns(
        {
            hubs: calling(create_app(hubs=MANY), f"hub{MANY - 1}"),
            methods: calling(create_app(methods=MANY)),
            one: calling(create_app()),
        }
    )
    return [turns.row(hubs, one, Bound(at_most=1.05)), turns.row(methods, one, Bound(at_most=1.05))]


def calling(app: Flask, hub: str = "hub0") -> Callable[[], None]:
    """Return a function that invokes the method ``add`` of a hub."""
    return caller(app, path_of(hub), headers=headers(hub), body=BODY)


def path_of(hub: str) -> str:
    return f"/{hub}/upstream/messages/add"


def create_app(hubs: int = 1, methods: int = 1, **config: object) -> Flask:
    """Return an app whose hubs have methods for staff; ``add`` is the last; beside them a bare view that adds."""
    app = Flask("benchmarks")
    app.config.update({"SIGNALR_CONNECTION_STRING": CONNECTION_STRING, **config})
    signalr = SignalR(app)
    for number in range(hubs):
        hub = signalr.hub(f"hub{number}", allow_anonymous=True, claims_filter=lambda principal: principal.claims)
        for name in [*(f"add{number}" for number in range(1, methods)), "add"]:
            hub.method(name, policy=Policy(require_role("staff")))(add)
    app.post("/bare")(bare)
    return app


def add(invocation: Invocation, one: int, other: int) -> int:
    return one + other


def bare() -> dict[str, object]:
    """Do what the hub does for an invocation, as one would write it by hand.

    It verifies the HMAC of the connection id, looks for the role, reads the JSON, and returns JSON.
    """
    signed = request.headers["X-ASRS-Connection-Id"].encode()
    signature = "sha256=" + hmac.digest(ACCESS_KEY.encode(), signed, "sha256").hex()
    if not hmac.compare_digest(request.headers["X-ASRS-Signature"], signature):
        abort(401)
    if "role: staff" not in request.headers["X-ASRS-User-Claims"].split(", "):
        abort(403)
    message = request.get_json()
    one, other = message["arguments"]
    return {"type": 3, "invocationId": message["invocationId"], "result": one + other}


def headers(hub: str, number: int = 0, key: str = ACCESS_KEY) -> dict[str, str]:
    """Return what the service sends with an invocation, in place of a browser's headers.

    Args:
        hub: The hub's name.
        number: Of which connection; each has a user of its own.
        key: What the service signs with.
    """
    connection_id = f"kx3n9kq2zW0aYs-JmX{number:04}"
    user_id = f"ada{number}@example.org" if number else "ada@example.org"
    return {
        "User-Agent": "Microsoft.Azure.SignalR",
        "Content-Type": "application/json",
        "X-ASRS-Connection-Id": connection_id,
        "X-ASRS-Hub": hub,
        "X-ASRS-Category": "messages",
        "X-ASRS-Event": "add",
        "X-ASRS-User-Id": user_id,
        "X-ASRS-User-Claims": f"asrs.s.uid: {user_id}, name: Ada L, role: staff, lang: en",
        "X-ASRS-Client-Query": f"?hub={hub}&room=1&id=kx3n9kq2zW{number:04}",
        "X-ASRS-Signature": connection_signature(key.encode(), connection_id),
    }
