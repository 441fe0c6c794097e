"""The road of a refresh request: as negotiate's, and then it must be the same user."""

import logging
import re

from flask import Request, request
from flask.typing import ResponseReturnValue

from flask_signalr import errors
from flask_signalr.answer import Answer
from flask_signalr.app_state import current_state
from flask_signalr.hub_refresh import renewed_access
from flask_signalr.mounted_hub import MountedHub
from flask_signalr.origins import check_origin, cors_headers
from flask_signalr.refresh import RefreshRefused, check_renewable

logger = logging.getLogger("flask_signalr.refresh")

_CONNECTION_TOKEN = re.compile(r"[!-~]{1,1024}")

_CODES: dict[type[errors.SignalRError], str] = {
    errors.AuthenticationFailed: "invalid_token",
    errors.AuthorizationDenied: "permission_change_rejected",
    errors.InvalidClaim: "permission_change_rejected",
}


def refresh(hub: str) -> ResponseReturnValue:
    """Answer ``POST /<hub>/refresh?id=…``: who is it now, may it still, is the connection its own, and for how long."""
    current: Request = request._get_current_object()  # type: ignore[attr-defined] # a proxy looks up each time anew
    declared = current_state().hub(hub, current.environ)
    options = declared.options
    check_origin(current, options.origins)
    connection_token = read_connection_token(declared, current)
    principal = declared.authenticate(current)
    check_renewable(principal)
    declared.authorize(principal)
    user_id = declared.user_id(principal)
    claims = declared.claims(principal, user_id)
    renewed = renewed_access(declared, connection_token, user_id, claims, principal)
    return Answer(renewed, cors_headers(current, options.origins))


def read_connection_token(declared: MountedHub, current: Request) -> str:
    """Return the connection token of the query.

    Raises:
        RefreshRefused: There is none that the service could have given, or nobody may refresh here.
    """
    if not declared.settings.refresh:
        raise RefreshRefused("refresh_disabled", "SIGNALR_REFRESH is not set")
    try:
        given = current.args.getlist("id")
    except UnicodeDecodeError:
        given = []
    if len(given) != 1 or not _CONNECTION_TOKEN.fullmatch(given[0]):
        raise RefreshRefused("missing_connection_token", "the query has no id, several, or one that cannot be")
    return given[0]


def as_refresh_refusal(error: errors.SignalRError) -> errors.SignalRError:
    """Return an error as clients of a refresh read it: by a code, where there is one for it."""
    if isinstance(error, RefreshRefused):
        if error.status >= 500:
            logger.error("a refresh failed: %s", error.reason)
        return error
    code = next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), None)
    return error if code is None else RefreshRefused(code, str(error))
