"""The emulator's HTTP application: its routes, what every answer has in common, and errors as answers."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from flask_signalr.emulator.entra_check import EntraCheck
from flask_signalr.emulator.openapi import openapi_document
from flask_signalr.emulator.rest.api import RestApi
from flask_signalr.emulator.rest.response import error_response, identified
from flask_signalr.emulator.rest.views import RestEndpoint, on_the_wire
from flask_signalr.emulator.service import Service
from flask_signalr.emulator.settings import EmulatorSettings
from flask_signalr.emulator.tokens import TokenCheck, challenge
from flask_signalr.emulator.transports import ClientEndpoint
from flask_signalr.errors import AuthenticationFailed, BadRequest, ProtocolError

logger = logging.getLogger("flask_signalr.emulator")

_LOOPBACK = ("localhost", "127.0.0.1", "::1")

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build_app(
    service: Service, settings: EmulatorSettings, clock: Callable[[], float], entra: EntraCheck | None
) -> web.Application:
    """Return the application that serves a service.

    Args:
        service: The service.
        settings: With the port that it really listens on, which access tokens may name.
        clock: Returns the time in Unix seconds, for tokens.
        entra: The check of Microsoft Entra tokens; ``None`` if none are accepted.
    """
    hosts = frozenset({*_LOOPBACK, settings.host, *settings.audience_hosts})
    exchanged = None if entra is None else service.exchanged_keys  # to which ``kid`` leads; some SDKs always send one
    check = TokenCheck(service.access_keys, hosts, settings.port, exchanged)
    clients = ClientEndpoint(service, check, settings, clock)
    rest = RestEndpoint(RestApi(service, check, settings), settings.body_within, clock, entra)
    app = web.Application(middlewares=[answer_errors, answer_preflights], client_max_size=settings.message_limit)
    app.on_response_prepare.append(allow_origin)
    app.router.add_route("POST", "/client/negotiate", clients.negotiate)
    for path in ("/client", "/client/"):
        app.router.add_route("GET", path, clients.get)
        app.router.add_route("POST", path, clients.post)
        app.router.add_route("DELETE", path, clients.delete)
    app.router.add_route("GET", "/openapi.json", _describe(openapi_document(settings.url)))
    app.router.add_route("*", "/api/{path:.*}", rest.handle)
    return app


def _describe(document: Mapping[str, Any]) -> _Handler:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response(document)

    return answer


@web.middleware
async def answer_errors(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Answer every error in the form that its reader expects: clients a short JSON, the REST API its ErrorDetail."""
    try:
        return await handler(request)
    except web.HTTPException as exc:
        headers = {name: exc.headers[name] for name in ("Allow",) if name in exc.headers}
        return _error(request, exc.status, exc.text or exc.reason, headers)
    except AuthenticationFailed as exc:
        return _error(request, 401, str(exc), {"WWW-Authenticate": challenge(exc)})
    except (BadRequest, ProtocolError) as exc:
        return _error(request, 400, str(exc), {})


@web.middleware
async def answer_preflights(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Allow a page of any origin what it asks for: a preflight brings no token, the request after it must."""
    if request.method != "OPTIONS":
        return await handler(request)
    headers = {"Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, DELETE"}
    asked = request.headers.get("Access-Control-Request-Headers")
    if asked is not None:
        headers["Access-Control-Allow-Headers"] = asked
    return web.Response(status=204, headers=headers)


async def allow_origin(request: web.Request, response: web.StreamResponse) -> None:
    """Let the page that asked read the answer, errors too: browsers take no ``*`` when cookies come along."""
    response.headers["Vary"] = "Origin"
    origin = request.headers.get("Origin")
    if origin is not None:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"


def _error(request: web.Request, status: int, message: str, headers: Mapping[str, str]) -> web.Response:
    logger.info("%s %a was answered %d: %s", request.method, request.rel_url.raw_path[:200], status, message)
    if request.rel_url.raw_path.startswith("/api/"):
        return on_the_wire(identified(error_response(status, message, headers=headers)))
    return web.json_response({"error": message}, status=status, headers=headers)
