"""Upstream requests that the app's own code turns away before the view sees them: the log has nothing else of it."""

import logging

from flask import Flask, Response, current_app, request

from flask_signalr.refusals import Refusal

logger = logging.getLogger("flask_signalr.upstream")


def watch(app: Flask, blueprint: str) -> None:
    """Warn once of an upstream request that a ``before_request`` function answered in the place of the view.

    An app without such functions is not watched: it would cost each negotiate request its time.

    Args:
        app: The app.
        blueprint: What it calls the blueprint, to which the request under way belongs.
    """
    if any(app.before_request_funcs.get(name) for name in (None, *request.blueprints)):
        app.after_request_funcs.setdefault(blueprint, []).append(warn_once)


def warn_once(response: Response) -> Response:
    """Look at an answer, and stop looking at others once there was something to tell."""
    if not 300 <= response.status_code < 500 or isinstance(response, Refusal):
        return response
    endpoint = str(request.endpoint)
    blueprint, _, view = endpoint.rpartition(".")
    if view == "upstream":
        logger.warning(
            "an upstream request was answered with %d by the app's own code and did not reach its hub: a function of "
            "before_request that demands a sign-in must let the service pass (request.endpoint == %r)",
            response.status_code,
            endpoint,
        )
        hooks = current_app.after_request_funcs
        hooks[blueprint] = [hook for hook in hooks[blueprint] if hook is not warn_once]
    return response
