"""The road of an upstream request: from the service's word to the hub's methods and back."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Request, Response, current_app, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from flask_signalr import dispatch, errors
from flask_signalr.answer import ReadyResponse
from flask_signalr.app_state import current_state
from flask_signalr.error_text import log_text
from flask_signalr.invocation import Invocation
from flask_signalr.mounted_hub import MountedHub
from flask_signalr.protocol import HubProtocol
from flask_signalr.refusals import refusal, status_of
from flask_signalr.upstream import (
    CONNECTED,
    CONNECTIONS,
    DISCONNECTED,
    MESSAGES,
    protocol_of,
    read_event,
    read_invocation,
)
from flask_signalr.upstream_headers import UpstreamHeaders
from flask_signalr.upstream_signature import verify_signature

logger = logging.getLogger("flask_signalr.upstream")

NO_STORE = ("Cache-Control", "no-store")


def upstream(hub: str, category: str, event: str) -> ResponseReturnValue:
    """Answer ``POST /<hub>/upstream/<category>/<event>``; nothing of the body is read before the sender is proven."""
    current: Request = request._get_current_object()  # type: ignore[attr-defined] # a proxy looks up each time anew
    declared = current_state().hub_at_service(hub, current.environ)
    limit = declared.settings.upstream.body_limit
    check_length(current, limit)
    protocol = protocol_of(current.environ.get("CONTENT_TYPE", ""))
    headers = UpstreamHeaders.of(current.environ)
    check_sender(declared, headers, current)
    check_route(declared, headers, category, event)
    if category == MESSAGES:
        invocation = read_invocation(declared.name, headers, protocol, read_body(current, limit))
        check_admitted(declared, invocation)
        declared.replay_window.enter(MESSAGES, invocation, time.time())
        declared.services.presence(declared.name).seen(invocation)
        return reply(declared, invocation, protocol)
    with refusing(declared, event, headers.connection_id):
        invocation, error = read_event(declared.name, headers, protocol, read_body(current, limit))
        declared.replay_window.enter(event, invocation, time.time())
        tell(declared, event, invocation, error)
    return Response(status=200, headers=[NO_STORE])


def check_length(current: Request, limit: int) -> None:
    """Refuse a body that says itself that it is too long.

    Raises:
        BodyTooLarge: It does.
    """
    if (current.content_length or 0) > limit:
        raise errors.BodyTooLarge(f"the body has more than {limit} bytes (SIGNALR_UPSTREAM_BODY_LIMIT)")


def check_sender(declared: MountedHub, headers: UpstreamHeaders, current: Request) -> None:
    """Let only the service pass: by its signature, by its identity's token, or by both where both are configured.

    Raises:
        InvalidSignature: No key of the service made the signature, or no key is known.
        AuthenticationFailed: A token is demanded, and there is none or a wrong one.
        IdentityProviderUnavailable: The keys that verify the token cannot be fetched.
    """
    known = declared.settings.upstream
    keys = known.keys
    if not keys and declared.token_check is None:
        logger.error(
            "upstream requests cannot be verified, as no access key of the service is configured: set "
            "SIGNALR_SECONDARY_KEYS to one, or SIGNALR_UPSTREAM_ISSUER, SIGNALR_UPSTREAM_AUDIENCE and "
            "SIGNALR_UPSTREAM_APP_ID for the token of the service's managed identity"
        )
    if keys or declared.token_check is None:
        verify_signature(headers.signature, headers.connection_id, keys, known.likely_keys(headers.claims))
    if declared.token_check is not None:
        declared.token_check.check(current)


def check_route(declared: MountedHub, headers: UpstreamHeaders, category: str, event: str) -> None:
    """Refuse a request whose URL and headers tell of two different events.

    The URL may name the hub without the application's name, the header never does: the hub of that name at the
    service is another app's.

    Raises:
        BadRequest: They do; or there is no such event.
    """
    if headers.hub.lower() != declared.name_at_service:
        raise errors.BadRequest("the header X-ASRS-Hub names another hub than the URL")
    if (headers.category, headers.event) != (category, event):
        raise errors.BadRequest("the headers X-ASRS-Category and X-ASRS-Event name another event than the URL")
    if category != MESSAGES and (category != CONNECTIONS or event not in (CONNECTED, DISCONNECTED)):
        raise errors.BadRequest("there is no such event: connections have connected and disconnected")


def read_body(current: Request, limit: int) -> bytes:
    """Return the body of a request, and read no more of one without a known length than shows that it is too long.

    Raises:
        BodyTooLarge: It has more bytes than the limit, this one or the app's own.
        BadRequest: It ends before its time.
    """
    try:
        if current.content_length is not None:
            return current.get_data()
        body = b""
        while len(body) <= limit and (chunk := current.stream.read(limit + 1 - len(body))):
            body += chunk
    except RequestEntityTooLarge as exc:
        raise errors.BodyTooLarge("the body is longer than the app takes (MAX_CONTENT_LENGTH)") from exc
    except (HTTPException, OSError) as exc:
        raise errors.BadRequest("the body ends before its time") from exc
    if len(body) > limit:
        raise errors.BodyTooLarge(f"the body has more than {limit} bytes (SIGNALR_UPSTREAM_BODY_LIMIT)")
    return body


@contextmanager
def refusing(declared: MountedHub, event: str, connection_id: str) -> Iterator[None]:
    """Refuse a connection for good if its ``connected`` comes to nothing, for whatever reason.

    The service may leave it open, and the handlers of ``on_connected`` have not let it in. A repetition changes
    nothing: the first of the two has been heard.
    """
    try:
        yield
    except errors.RequestReplayed:
        raise
    except BaseException as exc:  # also what ends a task, a request or the process: nobody was let in
        if event == CONNECTED and declared.methods.connected:
            declared.refused.add(connection_id, exc)
        raise


def check_admitted(declared: MountedHub, invocation: Invocation) -> None:
    """Refuse what comes of a connection that ``on_connected`` did not let in; a hub without such handlers asks nobody.

    Raises:
        AuthorizationDenied: As `RefusedConnections.check`.
        StoreUnavailable: Nobody knows.
    """
    if declared.methods.connected:
        declared.refused.check(invocation.connection_id)


def reply(declared: MountedHub, invocation: Invocation, protocol: HubProtocol) -> Response:
    """Run a hub method and return what the service hands to the caller: a framed completion, or nothing."""
    detailed = declared.settings.detailed_errors
    completion = dispatch.invoke(declared.methods, invocation, current_app.ensure_sync, detailed_errors=detailed)
    body = b""
    if completion is not None:
        body = dispatch.encoded(completion, invocation, protocol.encode, detailed_errors=detailed)
    return ReadyResponse(body, (("Content-Type", protocol.content_type), NO_STORE))


def tell(declared: MountedHub, event: str, invocation: Invocation, error: str | None) -> None:
    """Tell a hub's handlers, and its presence, of a client that connected or went.

    Raises:
        AuthorizationDenied: A handler refused a client that connects.
        StoreUnavailable: Nobody could remember that the handlers let it in.
    """
    presence, run = declared.services.presence(declared.name), current_app.ensure_sync
    if event == DISCONNECTED:
        presence.disconnected(invocation)
        was_refused = declared.methods.connected and declared.refused.end(invocation.connection_id)
        if not was_refused:  # else the handlers never saw it come
            dispatch.disconnected(declared.methods, invocation, error, run)
        return
    presence.connected(invocation)  # before the handlers, which may ask who is there
    try:
        dispatch.connected(declared.methods, invocation, run)
        if declared.methods.connected:
            declared.refused.admit(invocation.connection_id)
    except errors.SignalRError:
        presence.disconnected(invocation)
        raise


def refuse_upstream(error: errors.SignalRError) -> Response:
    """Return the answer to a refused upstream request, and log why: it is the service that will not call again."""
    where = request.view_args or {}
    logger.warning("hub %.100r, upstream %.100r refused with %d: %s", where.get("hub"), where.get("event"),
                   status_of(error), log_text(error))  # fmt: skip
    challenge = [("WWW-Authenticate", "Bearer")] if isinstance(error, errors.AuthenticationFailed) else []
    return refusal(error, [NO_STORE, *challenge])
