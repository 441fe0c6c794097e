"""Upstream requests as the service sends them to an app, and the apps that get them."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from flask import Flask
from werkzeug.test import TestResponse

from flask_signalr.upstream_signature import connection_signature
from tests.apps import ACCESS_KEY

CONNECTION_ID = "kx3n9kq2zW0aYs-JmXb6Tg"


def signed(connection_id: str = CONNECTION_ID, key: str = ACCESS_KEY) -> str:
    """Return the signature of a connection."""
    return connection_signature(key.encode(), connection_id)


def headers_of(category: str, event: str, /, **changes: str | None) -> dict[str, str]:
    """Return the headers of an event of ada's; ``user_id`` is ``X-ASRS-User-Id``, and ``None`` leaves a header out."""
    connection_id = changes.get("connection_id") or CONNECTION_ID
    usual: dict[str, str | None] = {
        "connection_id": connection_id,
        "hub": "chat",
        "category": category,
        "event": event,
        "user_id": "ada",
        "user_claims": "asrs.s.uid: ada, role: staff",
        "client_query": "?hub=chat&room=1&access_token=eyJ&id=secret",
        "signature": signed(connection_id),
    }
    named = {f"X-ASRS-{name.replace('_', '-').title()}": text for name, text in (usual | changes).items()}
    return {name: text.encode().decode("latin-1") for name, text in named.items() if text is not None}


def post(app: Flask, path: str, headers: Mapping[str, str], body: Any, **options: Any) -> TestResponse:
    """Send an upstream request."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return app.test_client().post(
        path, headers=dict(headers), data=data, **{"content_type": "application/json", **options}
    )


def call(
    app: Flask, target: str, *arguments: Any, invocation_id: str | None = "1", **changes: str | None
) -> TestResponse:
    """Send a call of a hub method, as a client's ``invoke`` makes the service do, or without an id its ``send``."""
    body = {"type": 1, "target": target, "arguments": arguments}
    if invocation_id is not None:
        body["invocationId"] = invocation_id
    return post(
        app, f"/chat/upstream/messages/{quote(target, safe='')}", headers_of("messages", target, **changes), body
    )


def connect(app: Flask, **changes: str | None) -> TestResponse:
    """Tell an app that a client connected."""
    return post(
        app, "/chat/upstream/connections/connected", headers_of("connections", "connected", **changes), {"type": 10}
    )


def disconnect(app: Flask, error: str | None = None, **changes: str | None) -> TestResponse:
    """Tell an app that a client is gone, in the capitals that the service's emulator writes."""
    body = {"Type": 11} if error is None else {"Type": 11, "Error": error}
    path = "/chat/upstream/connections/disconnected"
    return post(app, path, headers_of("connections", "disconnected", **changes), body)


def completion(answer: TestResponse) -> dict[str, Any]:
    """Return the completion that an answer frames for a JSON client."""
    assert answer.status_code == 200, answer.text
    assert answer.data.endswith(b"\x1e")
    parsed = json.loads(answer.data[:-1])
    assert isinstance(parsed, dict)
    return parsed
