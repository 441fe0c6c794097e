"""The demo's app: a page, the ways to sign in, and a hub."""

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, render_template, send_from_directory
from flask_login import LoginManager

from demo import sign_in
from demo.chat import declare_chat
from demo.requests import add_security_headers, answer_errors
from demo.users import DEMO_PASSWORD, USERS
from flask_signalr import AuthScheme, CookieAuth, SignalR, by_email, only
from flask_signalr.config import Settings

NODE_MODULES = Path(__file__).parent / "node_modules/@microsoft"

DEFAULTS: Mapping[str, Any] = {
    "SESSION_COOKIE_NAME": "flask_signalr_demo",  # cookies know no ports: other apps of this host have theirs
    "SESSION_COOKIE_HTTPONLY": True,
    "SESSION_COOKIE_SAMESITE": "Lax",
    "SESSION_COOKIE_SECURE": False,  # the demo speaks http, on this machine; behind https set it to true
    "MAX_CONTENT_LENGTH": 16_384,
    "TRUSTED_HOSTS": ["localhost", "127.0.0.1"],  # a name that is rebound to this machine is another host
    "DEMO_TOKEN_LIFETIME": 600,
    "DEMO_WINDOWS": False,
    "DEMO_CLIENT": str(NODE_MODULES / "signalr/dist/browser/signalr.min.js"),
    "DEMO_MESSAGEPACK": str(NODE_MODULES / "signalr-protocol-msgpack/dist/browser/signalr-protocol-msgpack.min.js"),
}


def create_app(config: Mapping[str, Any] | None = None, schemes: Sequence[AuthScheme] = ()) -> Flask:
    """Return the demo's app.

    Its keys are new for every app unless they are configured: with a restart, everybody is signed out.

    Args:
        config: Keys of Flask and ``SIGNALR_*``; ``DEMO_TOKEN_LIFETIME`` (seconds) and ``DEMO_TOKEN_KEY`` of the bearer
            tokens; ``DEMO_CLIENT`` and ``DEMO_MESSAGEPACK``, the files of the official client and of its MessagePack;
            ``DEMO_WINDOWS``, whether whoever is signed on to the intranet may connect, too. They win over environment
            variables with the prefix ``FLASK_``, and these over the defaults.
        schemes: Who may connect; by default whoever signed in, by cookie or for a token.

    Raises:
        ConfigurationError: A ``SIGNALR_*`` key is missing or malformed.
    """
    app = Flask(__name__)
    app.config.from_mapping(DEFAULTS, SECRET_KEY=secrets.token_hex(32), DEMO_TOKEN_KEY=secrets.token_hex(32))
    app.config.from_prefixed_env()
    app.config.from_mapping(config)

    LoginManager(app).user_loader(USERS.get)
    schemes = schemes or [
        sign_in.token_auth(app.config["DEMO_TOKEN_KEY"]),
        CookieAuth(),
        *([sign_in.windows_auth()] if app.config["DEMO_WINDOWS"] else []),
    ]
    signalr = SignalR(app, auth=schemes, user_id_provider=by_email, claims_filter=only("role", "name", "realm"))
    declare_chat(signalr)

    settings = Settings.from_config(app.config)
    app.register_blueprint(sign_in.blueprint)
    app.add_url_rule("/", view_func=page)
    app.add_url_rule("/signalr.min.js", view_func=signalr_client)
    app.add_url_rule("/signalr-protocol-msgpack.min.js", view_func=messagepack_client)
    answer_errors(app)
    add_security_headers(app, settings.endpoints)
    return app


def page() -> str:
    """Return the page; without the client it says how to get it."""
    files = (current_app.config["DEMO_CLIENT"], current_app.config["DEMO_MESSAGEPACK"])
    return render_template(
        "page.html",
        has_client=all(Path(file).is_file() for file in files),
        has_windows=current_app.config["DEMO_WINDOWS"],
        users=USERS.values(),
        password=DEMO_PASSWORD,
    )


def signalr_client() -> Response:
    """Return the official client, as npm installed it."""
    return _file("DEMO_CLIENT")


def messagepack_client() -> Response:
    """Return what teaches the official client MessagePack, as npm installed it."""
    return _file("DEMO_MESSAGEPACK")


def _file(key: str) -> Response:
    file = Path(current_app.config[key])
    return send_from_directory(file.parent, file.name)
