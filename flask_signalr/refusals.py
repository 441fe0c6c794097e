"""Refusals: which HTTP status an error has, and what its answer looks like."""

from collections.abc import Iterable

import msgspec
from flask import Response

from flask_signalr import errors
from flask_signalr.answer import JSON
from flask_signalr.endpoint_errors import RouterRefused
from flask_signalr.error_text import error_text
from flask_signalr.refresh import RefreshRefused

STATUS: dict[type[errors.SignalRError], int] = {
    errors.BadRequest: 400,
    errors.ProtocolError: 400,
    RefreshRefused: 400,
    RouterRefused: 400,
    errors.AuthenticationFailed: 401,
    errors.InvalidSignature: 401,
    errors.OriginNotAllowed: 403,
    errors.AuthorizationDenied: 403,
    errors.InvalidClaim: 403,
    errors.HubNotFound: 404,
    errors.RequestReplayed: 409,
    errors.AccessTokenTooLong: 413,
    errors.BodyTooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.StoreUnavailable: 503,
    errors.Unavailable: 503,
}
"""What a refusal looks like on the wire. Errors that are not here are the app's own faults: Flask's 500."""


class Refusal(Response):
    """The answer to a refused request, told by its class from what an app's own code answers."""


def status_of(error: errors.SignalRError) -> int:
    """Return the status of an error that has one; an endpoint router chooses, a code of a refresh has its own."""
    if isinstance(error, RouterRefused | RefreshRefused):
        return error.status
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def refusal(error: errors.SignalRError, headers: Iterable[tuple[str, str]]) -> Refusal:
    """Return the answer to a refused request, in SignalR's own form.

    Args:
        error: Why; its text is shown.
        headers: Further headers.
    """
    more = [("Retry-After", str(error.retry_after))] if isinstance(error, errors.Unavailable) else []
    shown = error.code if isinstance(error, RefreshRefused) else error_text(error)
    reason = shown.encode(errors="backslashreplace").decode()  # a scheme of the app's may quote anything
    return Refusal(msgspec.json.encode({"error": reason}), status_of(error), [JSON, *headers, *more])
