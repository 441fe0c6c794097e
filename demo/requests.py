"""What the demo's own routes demand of every request, and what every answer brings along."""

from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
from flask import Flask, Response, request
from werkzeug.exceptions import BadRequest, HTTPException, UnsupportedMediaType

from flask_signalr import AuthenticationFailed, AuthorizationDenied, OriginNotAllowed, ServiceEndpoint
from flask_signalr.origins import check_origin

_T = TypeVar("_T")


def refuse_other_pages() -> None:
    """Stop a page of another origin from acting for whoever is signed in, or from signing somebody in (CSRF).

    The session's cookie is SameSite=Lax, which does not part the ports of one host; the origin does. And only JSON is
    read (`json_body`), which no form can send.

    Raises:
        OriginNotAllowed: Such a page asks.
    """
    if request.method not in ("GET", "HEAD"):
        check_origin(request, frozenset())


def json_body(kind: type[_T]) -> _T:
    """Return the request's body.

    Raises:
        BadRequest: It does not have the form of ``kind``.
        UnsupportedMediaType: It is not JSON.
    """
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("send JSON with the header Content-Type: application/json")
    try:
        return msgspec.json.decode(request.get_data(cache=False), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise BadRequest(f"the body cannot be read: {exc}") from exc


def answer_errors(app: Flask) -> None:
    """Answer every error as JSON that says what is wrong, as the hubs do."""

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> tuple[dict[str, str], int]:
        return {"error": error.description or error.name}, error.code or 500

    @app.errorhandler(AuthenticationFailed)
    def stranger(error: AuthenticationFailed) -> tuple[dict[str, str], int]:
        return {"error": str(error)}, 401

    @app.errorhandler(AuthorizationDenied)
    def known(error: AuthorizationDenied) -> tuple[dict[str, str], int]:
        return {"error": str(error)}, 403

    @app.errorhandler(OriginNotAllowed)
    def other_page(error: OriginNotAllowed) -> tuple[dict[str, str], int]:
        return {"error": "this page's origin may not use the demo"}, 403


def add_security_headers(app: Flask, endpoints: tuple[ServiceEndpoint, ...]) -> None:
    """Let the page load what is the demo's own, and talk to the demo and the service, and nothing else."""
    services = " ".join(origin for endpoint in endpoints for origin in _origins(endpoint.client_base_url))
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        f"connect-src 'self' {services}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )

    @app.after_request
    def secure(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers.setdefault("Cache-Control", "no-store" if request.path.startswith("/api/") else "no-cache")
        return response


def _origins(url: str) -> tuple[str, str]:
    """Return the origins of a URL for HTTP and for WebSockets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}", f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}"
