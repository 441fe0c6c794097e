"""A web app of an intranet that signs its callers on itself, and sends them elsewhere."""

from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import spnego
from flask import Flask, Response, redirect, request

from tests.live import serving


@dataclass(frozen=True)
class KerberosSite:
    """An app that runs.

    Attributes:
        port: Its port.
        asked: How often each path was asked for.
        visitors: Who was let in, as which each of them could act elsewhere: name and whether it was delegated.
    """

    port: int
    asked: Counter[str] = field(default_factory=Counter)
    visitors: list[tuple[str, bool]] = field(default_factory=list)

    def url(self, path: str, host: str = "localhost") -> str:
        return f"http://{host}:{self.port}{path}"


@contextmanager
def kerberos_site() -> Iterator[KerberosSite]:
    """Run an app: ``/echo``; ``/go?to=URL`` and ``/round``, which redirect; ``/never``, where nobody gets in."""
    app = Flask(__name__)
    site: list[KerberosSite] = []

    @app.before_request
    def sign_on() -> Any:
        site[0].asked[request.path] += 1
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Negotiate" or request.path == "/never":
            return "sign on", 401, {"WWW-Authenticate": "Negotiate"}
        context = spnego.server(service="HTTP")
        try:
            reply = context.step(b64decode(value, validate=True))
        except Exception as exc:  # noqa: BLE001 -- whatever it raises, the token was not good
            return str(exc), 403
        established = context._context._context  # type: ignore[attr-defined] # python-gssapi's
        site[0].visitors.append((str(context.client_principal), established.delegated_creds is not None))
        request.environ["tests.reply"] = reply
        return None

    @app.after_request
    def prove(response: Response) -> Response:
        reply = request.environ.get("tests.reply")
        if reply:
            response.headers["WWW-Authenticate"] = f"Negotiate {b64encode(reply).decode()}"
        return response

    @app.route("/echo", methods=["GET", "POST"])
    def echo() -> bytes:
        return request.get_data()

    @app.route("/go", methods=["GET", "POST"])
    def go() -> Any:
        return redirect(request.args["to"], 307)

    @app.get("/round")
    def go_round() -> Any:
        return redirect("/round", 307)

    with serving(app) as url:
        site.append(KerberosSite(int(url.rpartition(":")[2])))
        yield site[0]
