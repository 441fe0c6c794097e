"""The service of a test."""

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Flask
from flask.testing import FlaskClient

from flask_signalr.app_state import AppState
from flask_signalr.config import Settings
from flask_signalr.emulator.connections import Connection
from flask_signalr.emulator.membership import Membership
from flask_signalr.emulator.names import hub_name
from flask_signalr.emulator.service import Service
from flask_signalr.emulator.settings import DEVELOPMENT_KEY, EmulatorSettings
from flask_signalr.emulator.tokens import ClientIdentity
from flask_signalr.emulator.upstream_rules import UpstreamRule, UpstreamRules
from flask_signalr.errors import AccessTokenRefused, ConnectRefused, NegotiationRefused
from flask_signalr.handler_check import check_hubs
from flask_signalr.messages import InvocationMessage
from flask_signalr.testing.app_routes import AppRoutes
from flask_signalr.testing.exchange import Exchange
from flask_signalr.testing.fake_connection import FakeConnection
from flask_signalr.testing.rest_road import RestRoad, token_check


class FakeService:
    """The service that an app's clients connect to, inside a test.

    ``connect`` does a real negotiate through the app's test client, and checks the token as the service would. What
    clients do reaches the app's upstream views in the same way, and what the app sends takes the road of the REST API,
    tokens and all. When a call of this class, or of a connection, returns, whatever it caused has happened.

    What the app sends arrives at the service that was made last for it: one test has one.

    Args:
        app: The app under test; it has been set up with `SignalR`. Clients find the hubs where it mounts them.
        url_values: The values of variables in the path that the app mounts them under, such as ``{"tenant": "acme"}``:
            a service has one app, at one place.
        clock: Returns the time in Unix seconds, for tokens.

    Raises:
        ConfigurationError: The app has no `SignalR`, or the path has other variables.
    """

    def __init__(
        self, app: Flask, *, url_values: Mapping[str, Any] | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._app = app
        self._clock = clock
        self._routes = AppRoutes(app, url_values or {})
        keys = [endpoint.access_key for endpoint in self._settings.endpoints if endpoint.access_key is not None]
        settings = EmulatorSettings(access_keys=tuple(dict.fromkeys(keys)) or (DEVELOPMENT_KEY,))
        self._service = Service(settings)
        self._service.upstream.rules = UpstreamRules((UpstreamRule(self._routes.upstream_template),))
        self._exchange = Exchange(app, self._service, clock)
        self._state.use_transport(RestRoad(self._exchange, self._settings.endpoints, settings, clock))

    def connect(
        self, hub: str, *, headers: Mapping[str, str] | None = None, client: FlaskClient | None = None
    ) -> FakeConnection:
        """Return a new connection to a hub.

        Args:
            hub: The hub's name.
            headers: Headers of the negotiate request, such as ``Authorization``.
            client: The test client that negotiates, signed in perhaps; a new one if ``None``.

        Raises:
            NegotiationRefused: The app did not let the client in.
            AccessTokenRefused: The app did, and the service would not accept the token that it made.
            ConnectRefused: The service did, and the app's ``on_connected`` refused the connection.
            ConfigurationError: A hub method of the app cannot be run.
        """
        check_hubs(self._app, self._state.hubs())
        answer = self._negotiate(hub, headers, client or self._app.test_client())
        service_hub, identity = self._admit(answer["url"], answer["accessToken"])
        connection = self._exchange.step(lambda service, now: service.negotiate(service_hub, identity, now))
        fake = FakeConnection(self._exchange, connection)
        if fake.is_closed:
            raise ConnectRefused(fake.error or "the service closed the connection")
        return fake

    def send_to_all(self, hub: str, target: str, *arguments: Any) -> None:
        """Call a method on all clients of a hub."""
        self._send(lambda: self._members(hub).everyone(), target, arguments)

    def send_to_user(self, hub: str, user_id: str, target: str, *arguments: Any) -> None:
        """Call a method on the clients of one user of a hub."""
        self._send(lambda: self._members(hub).of_user(user_id), target, arguments)

    def send_to_group(self, hub: str, group: str, target: str, *arguments: Any) -> None:
        """Call a method on the clients of one group of a hub."""
        self._send(lambda: self._members(hub).in_group(group), target, arguments)

    def add_to_group(self, hub: str, group: str, connection: FakeConnection) -> None:
        """Put a connection into a group of its hub.

        Raises:
            ValueError: The connection is not in the hub.
        """
        if not self._exchange.step(lambda *_: self._members(hub).add_to_group(connection.connection_id, group)):
            raise ValueError(f"connection {connection.connection_id} is not in hub {hub!r}")

    def _negotiate(self, hub: str, headers: Mapping[str, str] | None, client: FlaskClient) -> dict[str, Any]:
        url = self._routes.negotiate(hub)
        response = client.post(url, query_string="negotiateVersion=1", headers=dict(headers or {}))
        answer = response.get_json(silent=True)
        answer = answer if isinstance(answer, dict) else {}
        if response.status_code != 200 or "error" in answer or not {"url", "accessToken"} <= answer.keys():
            shown = sorted(answer) or response.get_data(as_text=True)[:200]  # never the values: one may be a token
            error = answer.get("error") or f"this is no negotiation: {shown!r}"
            raise NegotiationRefused(response.status_code, str(error))
        return answer

    def _admit(self, url: str, token: str) -> tuple[str, ClientIdentity]:
        """Return the hub that a client is sent to, and whom its token names there."""
        hub = parse_qs(urlsplit(url).query).get("hub", [""])[0]
        for endpoint in self._settings.endpoints:
            if endpoint.access_key is not None and url.startswith(f"{endpoint.client_base_url}client/?"):
                return hub, token_check(endpoint).client(token, hub, self._clock())
        raise AccessTokenRefused("aud", f"the client is sent to {url}, which is no service endpoint of the app")

    @property
    def _settings(self) -> Settings:
        return self._state.settings

    @property
    def _state(self) -> AppState:
        state: AppState = self._app.extensions["signalr"]
        return state

    def _members(self, hub: str) -> Membership:
        return self._service.members(hub_name(hub, self._settings.application_name or None))

    def _send(self, recipients: Callable[[], list[Connection]], target: str, arguments: tuple[Any, ...]) -> None:
        message = InvocationMessage(target=target, arguments=arguments)
        self._exchange.step(lambda service, now: service.send(recipients(), message, now))
        self._exchange.settle()
