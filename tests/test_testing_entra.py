"""FakeService: apps that have no access key and sign in to Microsoft Entra ID in production."""

from typing import Any

import pytest
from flask import Flask

from flask_signalr import AuthScheme, Hub, Invocation, InvocationFailed, Principal, SignalR, nothing, only
from flask_signalr.app_state import AppState
from flask_signalr.config import Settings
from flask_signalr.testing import FakeService
from flask_signalr.testing.fake_identity import FakeCredential
from tests.apps import CONNECTION_STRING

ENTRA = "Endpoint=https://chat.service.example;AuthType=azure"
SECONDARY = "a-key-of-the-service-that-verifies-0123456789-0123456789-0123456789="


class ProductionCredential:
    """Must not be asked in a test."""

    def get_token(self, *scopes: str, **options: Any) -> Any:
        raise AssertionError("a test signed in to production")


class AdaAuth(AuthScheme):
    def authenticate(self, request: object) -> Principal:
        return Principal("ada", {"role": "admin"})


def create_app(**config: Any) -> tuple[Flask, Hub]:
    app = Flask(__name__)
    app.config.update(SIGNALR_CONNECTION_STRING=ENTRA, SIGNALR_CREDENTIAL=ProductionCredential(), **config)
    is_issued = config.get("SIGNALR_TOKEN_SOURCE") == "service"
    hub = SignalR(app).hub("chat", auth=[AdaAuth()], claims_filter=nothing if is_issued else only("role"))
    return app, hub


@pytest.mark.parametrize("source", ["key", "service"])
def test_an_app_without_an_access_key_connects_its_clients(source: str) -> None:
    app, _ = create_app(SIGNALR_TOKEN_SOURCE=source)

    ada = FakeService(app).connect("chat")

    assert ada.user_id == "ada"
    assert ada.claims.get("role") == ("admin" if source == "key" else None)


@pytest.mark.parametrize("source", ["key", "service"])
def test_what_the_app_sends_arrives(source: str) -> None:
    app, hub = create_app(SIGNALR_TOKEN_SOURCE=source)
    ada = FakeService(app).connect("chat")

    with app.app_context():
        hub.clients.user("ada").send("news", "for you")

    assert ada.received == [("news", "for you")]


@pytest.mark.parametrize("source", ["key", "service"])
def test_a_reload_in_a_test_signs_in_to_production_no_more_than_before(source: str) -> None:
    app, hub = create_app(SIGNALR_TOKEN_SOURCE=source)
    service = FakeService(app)
    state: AppState = app.extensions["signalr"]

    state.reload(Settings.from_config(app.config))
    ada = service.connect("chat")
    with app.app_context():
        hub.clients.user("ada").send("news", "for you")

    assert ada.received == [("news", "for you")]


def test_an_app_that_gives_up_its_access_key_in_a_test_does_not_sign_in_to_production_either() -> None:
    app, _ = create_app()
    app.config["SIGNALR_CONNECTION_STRING"] = CONNECTION_STRING
    state: AppState = app.extensions["signalr"]
    state.reload(Settings.from_config(app.config))
    FakeService(app)
    app.config["SIGNALR_CONNECTION_STRING"] = ENTRA

    state.reload(Settings.from_config(app.config))

    assert isinstance(state.settings.entra.credential, FakeCredential)


def test_hub_methods_are_called_where_a_key_verifies_the_service() -> None:
    app, hub = create_app(SIGNALR_SECONDARY_KEYS=SECONDARY)

    @hub.method("shout")
    def shout(invocation: Invocation, text: str) -> str:
        return f"{invocation.user_id}: {text.upper()}"

    ada = FakeService(app).connect("chat")

    assert ada.invoke("shout", "hello") == "ada: HELLO"


def test_hub_methods_are_not_called_where_nothing_verifies_the_service() -> None:
    """In production the app would refuse the calls, so a test must not show them to work."""
    app, hub = create_app()
    called = []

    @hub.method("shout")
    def shout(invocation: Invocation) -> None:
        called.append(invocation)

    ada = FakeService(app).connect("chat")

    with pytest.raises(InvocationFailed):
        ada.invoke("shout")
    assert not called


def test_an_app_with_both_kinds_of_endpoints_uses_both() -> None:
    app, hub = create_app(SIGNALR_ENDPOINTS={"west": f"Endpoint=https://west.example;AccessKey={SECONDARY}"})
    service = FakeService(app)

    connections = [service.connect("chat") for _ in range(40)]  # 1 in 2**39 that all go to one
    with app.app_context():
        hub.clients.all.send("news")

    assert all(connection.received for connection in connections)
