"""Sending: a plain route that has the service deliver a message, through its REST API.

Hub methods will come in a later version of flask_signalr, and with them a client for this API.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Annotated
from urllib.parse import quote, urlencode

import msgspec
import urllib3
from flask import Blueprint, current_app, request
from werkzeug.exceptions import BadGateway, BadRequest

from demo.requests import json_body, refuse_other_pages
from flask_signalr import AuthenticationFailed, AuthScheme, Principal, ServiceEndpoint, by_email, canonical_user_id
from flask_signalr.auth.chain import challenges
from flask_signalr.config import Settings
from flask_signalr.tokens import sign_access_token

API_VERSION = "2022-06-01"
TOKEN_LIFETIME = 60
"""Seconds that the token of one REST call is valid."""

logger = logging.getLogger("demo.messages")


class Message(msgspec.Struct):
    """What somebody sends: a text, to one user id or to everyone."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    to: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] | None = None


def create_blueprint(schemes: Sequence[AuthScheme], settings: Settings, hub: str) -> Blueprint:
    """Return the blueprint with ``POST /api/messages``.

    Args:
        schemes: Who may send: whoever one of these knows, which is who may connect.
        settings: With the service endpoints to send through.
        hub: The hub whose clients are sent to.
    """
    blueprint = Blueprint("messages", __name__, url_prefix="/api")
    blueprint.before_request(refuse_other_pages)
    pool = urllib3.PoolManager(timeout=10, retries=False)

    @blueprint.errorhandler(AuthenticationFailed)
    def challenge(error: AuthenticationFailed) -> tuple[dict[str, str], int, list[tuple[str, str]]]:
        return {"error": str(error)}, 401, [("WWW-Authenticate", value) for value in challenges(schemes)]

    @blueprint.post("/messages")
    def send() -> tuple[dict[str, str], int]:
        sender = by_email(_caller(schemes))
        message = json_body(Message)
        recipient = _recipient(message)
        invocation = {"target": "newMessage", "arguments": [sender, message.text, recipient]}
        for endpoint in settings.endpoints:
            _call(pool, endpoint, _path(hub, recipient), settings.application_name, invocation)
        return {}, 202

    return blueprint


def _caller(schemes: Sequence[AuthScheme]) -> Principal:
    for scheme in schemes:
        principal = scheme.authenticate(request)
        if principal is not None:
            return principal
    raise AuthenticationFailed("sign in to send")


def _recipient(message: Message) -> str | None:
    """Return the user id that a message is for; ``None`` is everyone."""
    if message.to is None:
        return None
    recipient = canonical_user_id(message.to)
    if recipient in (None, ".", ".."):  # dots would climb up the path, to the address that reaches everyone
        raise BadRequest("there is no such user id")
    return recipient


def _path(hub: str, recipient: str | None) -> str:
    return f"api/hubs/{hub}/:send" if recipient is None else f"api/hubs/{hub}/users/{quote(recipient, safe='')}/:send"


def _call(
    pool: urllib3.PoolManager, endpoint: ServiceEndpoint, path: str, application: str, body: Mapping[str, object]
) -> None:
    """Make one REST call.

    Raises:
        BadGateway: The service cannot be reached, or refuses.
    """
    assert endpoint.key is not None  # noqa: S101 -- SignalR.init_app accepts no other endpoint yet
    query = ({"application": application.lower()} if application else {}) | {"api-version": API_VERSION}
    path_and_query = f"{path}?{urlencode(query)}"
    token = sign_access_token(
        endpoint.key,
        endpoint.audience_base_url + path_and_query,
        (),
        lifetime=TOKEN_LIFETIME,
        now=int(time.time()),
        algorithm=current_app.config.get("SIGNALR_ACCESS_TOKEN_ALGORITHM", "HS256"),
    )
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        response = pool.request(
            "POST",
            endpoint.server_base_url + path_and_query,
            body=msgspec.json.encode(body),
            headers=headers,
            redirect=False,
        )
    except urllib3.exceptions.HTTPError as exc:
        logger.warning("the service cannot be reached: %s", type(exc).__name__)
        raise BadGateway("the SignalR service cannot be reached") from exc
    if response.status != 202:
        logger.warning("the service answered %d: %.500r", response.status, response.data)
        raise BadGateway(f"the SignalR service refused the message (status {response.status})")
