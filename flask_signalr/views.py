"""The blueprint, and the road of a negotiate request."""

import logging
from typing import Any

from flask import Blueprint, Flask, Request, Response, current_app, request
from flask.typing import ResponseReturnValue

from flask_signalr import errors
from flask_signalr.answer import FIXED_HEADERS, Answer
from flask_signalr.app_state import current_state
from flask_signalr.auth.chain import challenges
from flask_signalr.error_text import log_text
from flask_signalr.flask_cli import hubs_command
from flask_signalr.handler_check import check_hubs
from flask_signalr.hub_options import HubOptions
from flask_signalr.origins import check_origin, cors_headers, preflight_headers
from flask_signalr.refresh_views import as_refresh_refusal, refresh
from flask_signalr.refusals import STATUS, refusal, status_of
from flask_signalr.turned_away import watch
from flask_signalr.upstream_views import refuse_upstream, upstream

logger = logging.getLogger("flask_signalr.negotiate")


def negotiate(hub: str) -> ResponseReturnValue:
    """Answer ``POST /<hub>/negotiate``: who is it, may it, as whom, and where to."""
    current: Request = request._get_current_object()  # type: ignore[attr-defined] # a proxy looks up each time anew
    declared = current_state().hub(hub, current.environ)
    options = declared.options
    check_origin(current, options.origins)
    check_shape(current)
    principal = declared.authenticate(current)
    declared.authorize(principal)
    user_id = declared.user_id(principal)
    claims = declared.claims(principal, user_id)
    access = declared.access(user_id, claims, principal, options.access_token_lifetime)
    if options.sdk_url is not None:
        access = options.sdk_url.applied(access, current)
    return Answer(access, cors_headers(current, options.origins))


def preflight(hub: str) -> ResponseReturnValue:
    """Answer the browser that asks whether a page of another origin may send the request; nobody is challenged."""
    origins = options_of(hub).origins
    check_origin(request, origins)
    return Response(status=204, headers=[*FIXED_HEADERS, *preflight_headers(request, origins)])


def create_blueprint() -> Blueprint:
    """Return the blueprint that mounts the views."""
    blueprint = Blueprint("signalr", __name__)
    blueprint.add_url_rule("/<hub>/negotiate", view_func=negotiate, methods=["POST"], provide_automatic_options=False)
    blueprint.add_url_rule("/<hub>/negotiate", view_func=preflight, methods=["OPTIONS"])
    blueprint.add_url_rule("/<hub>/refresh", view_func=refresh, methods=["POST"], provide_automatic_options=False)
    blueprint.add_url_rule("/<hub>/refresh", view_func=preflight, methods=["OPTIONS"])
    blueprint.add_url_rule(
        "/<hub>/upstream/<category>/<path:event>",
        view_func=upstream,
        methods=["POST"],
        merge_slashes=False,  # a method's name may hold several
        provide_automatic_options=False,
    )
    blueprint.cli.help = "Azure SignalR Service."
    blueprint.cli.add_command(hubs_command)
    blueprint.url_value_preprocessor(prepare)
    for error in STATUS:
        blueprint.register_error_handler(error, refuse)
    return blueprint


def options_of(name: str) -> HubOptions:
    """Return a hub's options; of an undeclared one those that it would have, so that a page can read the 404 too."""
    state = current_state()
    try:
        return state.hub(name).options
    except errors.HubNotFound:
        return state.options


def check_shape(current: Request) -> None:
    """Refuse what no client of the protocol sends: a body, and versions that are no number.

    A body of unknown length (``Transfer-Encoding: chunked``) is left unread: proxies send empty ones so, and reading
    waits for whatever a caller who is not signed in yet may never send.

    Raises:
        BadRequest: The request has such a thing.
    """
    environ = current.environ
    if environ.get("CONTENT_LENGTH") not in (None, "", "0"):
        raise errors.BadRequest("a negotiate request has no body: send it with Content-Length: 0")
    if environ.get("QUERY_STRING") not in ("", "negotiateVersion=1", None):
        try:
            versions = current.args.getlist("negotiateVersion")
        except UnicodeDecodeError as exc:
            raise errors.BadRequest("the query is not UTF-8") from exc
        if len(versions) > 1:
            raise errors.BadRequest("the query has several negotiateVersion: send one")
        if versions and not (versions[0].isascii() and versions[0].isdigit()):
            raise errors.BadRequest("The client requested a non-integer protocol version.")


def refuse(error: errors.SignalRError) -> Response:
    """Return the answer to a refused request, in SignalR's own form, and log why.

    Registered on the blueprint, so that an app's login redirect or error page for 401 does not stand in its place;
    ``@signalr.blueprint.errorhandler(AuthenticationFailed)`` still can.
    """
    if str(request.endpoint).endswith(".upstream"):
        return refuse_upstream(error)
    if str(request.endpoint).endswith(".refresh"):
        error = as_refresh_refusal(error)
    status = status_of(error)
    name = (request.view_args or {}).get("hub", "")
    logger.info("hub %.100r refused with %d: %s", name, status, log_text(error))
    options = options_of(name)
    headers = [*FIXED_HEADERS, *cors_headers(request, options.origins)]
    if status == 401:
        headers += [("WWW-Authenticate", challenge) for challenge in challenges(options.auth)]
    return refusal(error, headers)


def prepare(endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Do in each app what waits for its first request, before the ``before_request`` functions of that request.

    All hub methods are declared by then and what their annotations name is there: what cannot be run is told now.

    The views are exempted from Flask-WTF's CSRFProtect, whichever of the two extensions was initialised first: clients
    and the service bring no form token. `check_origin` protects negotiate and refresh, upstream requests are signed.

    Then it goes, because no extension comes after a first request and a hook takes its time at every one.

    Raises:
        ConfigurationError: A hub method cannot be run; each request says so until it is mended.
    """
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    csrf = app.extensions.get("csrf")
    if csrf is not None:
        csrf.exempt(negotiate)
        csrf.exempt(refresh)
        csrf.exempt(upstream)
    check_hubs(app, current_state().hubs())
    hooks, blueprint = app.url_value_preprocessors, str(endpoint).rpartition(".")[0]
    if prepare in hooks[blueprint]:  # or another thread has just done it
        hooks[blueprint] = [hook for hook in hooks[blueprint] if hook is not prepare]
        watch(app, blueprint)
