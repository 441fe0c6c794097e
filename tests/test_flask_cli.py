"""``flask signalr hubs``: what it shows to whoever has to tell the service."""

from typing import Any

import pytest
from flask import Blueprint, Flask

from flask_signalr import (
    ConfigurationError,
    CookieAuth,
    Invocation,
    Policy,
    SignalR,
    everything,
    require_authenticated,
    require_role,
)
from tests.apps import ACCESS_KEY, create_app


def declared() -> SignalR:
    signalr = SignalR(claims_filter=everything)
    chat = signalr.hub("Chat", auth=[CookieAuth()], policy=Policy(require_authenticated))
    signalr.hub("news", allow_anonymous=True)

    @chat.on_connected
    def joined(invocation: Invocation) -> None: ...

    @chat.method("ban", policy=Policy(require_role("admin")))
    def ban(invocation: Invocation, user_id: str) -> None: ...

    @chat.method("say")
    def say(invocation: Invocation, text: str) -> None: ...

    @chat.method("count", stream=True)
    def count(invocation: Invocation) -> None: ...

    return signalr


def shown(app: Flask, *arguments: str) -> str:
    result = app.test_cli_runner().invoke(args=["signalr", *(arguments or ["hubs"])])
    assert result.exit_code == 0, result.output
    return result.output


def test_hubs_methods_and_policies_are_shown() -> None:
    lines = [" ".join(line.split()) for line in shown(create_app(declared())).splitlines()]

    for line in (
        "Chat (at the service: chat)",
        "sign-in CookieAuth",
        "policy Policy(require_authenticated)",
        "event on_connected: declared.<locals>.joined",
        "method ban: Policy(require_role('admin'))",
        "method say: everybody connected",
        "stream count: everybody connected",
        "sign-in none; guests may connect",
        "method (none)",
        "Hub pattern chat,news",
        "Accepted with: signature by the key that is known",
    ):
        assert line in lines


@pytest.mark.parametrize(
    ("mount", "config", "template"),
    [
        ({}, {}, "https://<your app>/{hub}/upstream/{category}/{event}"),
        ({"url_prefix": "/rt"}, {}, "https://<your app>/rt/{hub}/upstream/{category}/{event}"),
        ({"subdomain": "rt"}, {}, "https://rt.<your app>/{hub}/upstream/{category}/{event}"),
        ({}, {"APPLICATION_ROOT": "/app/"}, "https://<your app>/app/{hub}/upstream/{category}/{event}"),
    ],
    ids=["root", "prefix", "subdomain", "application root"],
)
def test_the_url_template_is_ready_to_paste(mount: dict[str, Any], config: dict[str, Any], template: str) -> None:
    app = create_app(**config)
    declared().init_app(app, **mount)

    assert f"  URL template      {template}\n" in shown(app)


def test_a_nested_blueprint_is_found() -> None:
    signalr, app = declared(), create_app()
    api = Blueprint("api", __name__, url_prefix="/api")
    api.register_blueprint(signalr.blueprint)
    app.register_blueprint(api)
    signalr.init_app(app, url_prefix="/also")

    output = shown(app)

    assert "https://<your app>/api/{hub}/upstream/" in output
    assert "https://<your app>/also/{hub}/upstream/" in output


def test_the_applications_name_stands_in_the_pattern() -> None:
    assert "Hub pattern       app_chat,app_news\n" in shown(create_app(declared(), SIGNALR_APPLICATION_NAME="App"))


def test_a_hub_whose_name_has_a_comma_is_in_the_pattern_of_all() -> None:
    """The service would take its name for the names of two."""
    signalr = declared()
    signalr.hub("Seats`2[Room,Row]")

    assert "Hub pattern       *\n" in shown(create_app(signalr))


def test_the_token_that_is_demanded_is_shown() -> None:
    token = {"ISSUER": "https://login.example/", "AUDIENCE": "api://chat", "APP_ID": "an-app"}

    output = shown(create_app(declared(), **{f"SIGNALR_UPSTREAM_{name}": value for name, value in token.items()}))

    assert "and token of the application an-app" in output


def test_what_is_still_to_be_entered_is_said() -> None:
    """The app does not know its public address, and the service does not ask for the hubs anew."""
    output = shown(create_app(declared()))

    assert "Put your public https address in the place of <your app>" in output
    assert "enter the new pattern whenever you declare a hub" in output


def test_functions_that_could_turn_the_service_away_are_named() -> None:
    """A hook that demands a sign-in answers in the place of this package, which then cannot log a reason."""
    signalr, app = declared(), create_app()
    api = Blueprint("api", __name__, url_prefix="/api")
    api.register_blueprint(signalr.blueprint)

    @app.before_request
    def sign_in_first() -> None: ...

    @api.before_request
    def staff_only() -> None: ...

    app.register_blueprint(api)
    signalr.init_app(app, url_prefix="/also")

    lines = shown(app).splitlines()

    hooks = [" ".join(line.split()) for line in lines if line.startswith("  before_request ")]
    where = "test_functions_that_could_turn_the_service_away_are_named.<locals>"
    assert sorted(hooks) == [
        f'before_request {where}.sign_in_first (request.endpoint == "api.signalr.upstream")',
        f'before_request {where}.sign_in_first (request.endpoint == "signalr.upstream")',
        f'before_request {where}.staff_only (request.endpoint == "api.signalr.upstream")',
    ]


def test_an_app_without_such_functions_is_not_warned() -> None:
    assert "before_request" not in shown(create_app(declared()))


def test_no_key_is_shown() -> None:
    output = shown(create_app(declared(), SIGNALR_SECONDARY_KEYS="the-other-key"))

    assert "signature by one of 2 keys" in output
    assert ACCESS_KEY not in output
    assert "the-other-key" not in output


def test_an_app_without_hubs_is_told_how_to_declare_one() -> None:
    assert 'signalr.hub("chat")' in shown(create_app(SignalR()))


def test_help_teaches() -> None:
    app = create_app(declared())

    assert "Serverless" in shown(app, "hubs", "--help")
    assert "{hub}/upstream/{category}/{event}" in shown(app, "hubs", "--help")
    assert "hubs" in shown(app, "--help")


def test_a_method_that_cannot_be_called_is_told() -> None:
    """It may be declared after ``init_app``, and no request may have come yet."""
    signalr = SignalR()
    app = create_app(signalr)

    def add(invocation: Invocation, point: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    signalr.hub("chat").method("add")(add)

    result = app.test_cli_runner().invoke(args=["signalr", "hubs"])

    assert isinstance(result.exception, ConfigurationError)
    assert "hub method 'add': the annotation 'Nowhere'" in str(result.exception)
