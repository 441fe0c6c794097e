"""The demo's app: a page, the ways to sign in, a hub, and a route that sends."""

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, render_template, send_from_directory
from flask_login import LoginManager

from demo import messages, sign_in
from demo.requests import add_security_headers, answer_errors
from demo.users import DEMO_PASSWORD, USERS
from flask_signalr import AuthScheme, CookieAuth, SignalR, by_email, only
from flask_signalr.config import Settings

DEFAULTS: Mapping[str, Any] = {
    "SESSION_COOKIE_NAME": "flask_signalr_demo",  # cookies know no ports: other apps of this host have theirs
    "SESSION_COOKIE_HTTPONLY": True,
    "SESSION_COOKIE_SAMESITE": "Lax",
    "SESSION_COOKIE_SECURE": False,  # the demo speaks http, on this machine; behind https set it to true
    "MAX_CONTENT_LENGTH": 16_384,
    "TRUSTED_HOSTS": ["localhost", "127.0.0.1"],  # a name that is rebound to this machine is another host
    "DEMO_TOKEN_LIFETIME": 600,
    "DEMO_WINDOWS": False,
    "DEMO_CLIENT": str(Path(__file__).parent / "node_modules/@microsoft/signalr/dist/browser/signalr.min.js"),
}


def create_app(config: Mapping[str, Any] | None = None, schemes: Sequence[AuthScheme] = ()) -> Flask:
    """Return the demo's app.

    Its keys are new for every app unless they are configured: with a restart, everybody is signed out.

    Args:
        config: Keys of Flask and ``SIGNALR_*``; ``DEMO_TOKEN_LIFETIME`` (seconds) and ``DEMO_TOKEN_KEY`` of the bearer
            tokens; ``DEMO_CLIENT``, the file of the official client; ``DEMO_WINDOWS``, whether whoever is signed on to
            the intranet may connect, too. They win over environment variables with the prefix ``FLASK_``, and these
            over the defaults.
        schemes: Who may connect and send; by default whoever signed in, by cookie or for a token.

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
    signalr.hub("chat")

    settings = Settings.from_config(app.config)
    app.register_blueprint(sign_in.blueprint)
    app.register_blueprint(messages.create_blueprint(schemes, settings, "chat"))
    app.add_url_rule("/", view_func=page)
    app.add_url_rule("/signalr.min.js", view_func=signalr_client)
    answer_errors(app)
    add_security_headers(app, settings.endpoints)
    return app


def page() -> str:
    """Return the page; without the client it says how to get it."""
    has_client = Path(current_app.config["DEMO_CLIENT"]).is_file()
    return render_template(
        "page.html",
        has_client=has_client,
        has_windows=current_app.config["DEMO_WINDOWS"],
        users=USERS.values(),
        password=DEMO_PASSWORD,
    )


def signalr_client() -> Response:
    """Return the official client, as npm installed it."""
    client = Path(current_app.config["DEMO_CLIENT"])
    return send_from_directory(client.parent, client.name)
