"""The service of a test."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_signalr.app_state import AppState
from flask_signalr.config import Settings
from flask_signalr.emulator.connections import Connection
from flask_signalr.emulator.membership import Membership
from flask_signalr.emulator.names import hub_name
from flask_signalr.emulator.service import Service
from flask_signalr.emulator.settings import EmulatorSettings
from flask_signalr.emulator.upstream_rules import UpstreamRule, UpstreamRules
from flask_signalr.endpoints import ServiceEndpoint
from flask_signalr.errors import AccessTokenRefused, ConnectRefused, NegotiationRefused
from flask_signalr.handler_check import check_hubs
from flask_signalr.messages import InvocationMessage
from flask_signalr.testing.app_routes import AppRoutes
from flask_signalr.testing.exchange import Exchange
from flask_signalr.testing.fake_connection import FakeConnection
from flask_signalr.testing.fake_identity import identified
from flask_signalr.testing.rest_road import RestRoad, is_same_place, token_check

_ANSWERS = {"negotiate": "negotiation", "refresh": "refresh"}


class FakeService:
    """The service that an app's clients connect to, inside a test.

    ``connect`` does a real negotiate through the app's test client, and checks the token as the service would. What
    clients do reaches the app's upstream views in the same way, and what the app sends takes the road of the REST API,
    tokens and all. When a call of this class, or of a connection, returns, whatever it caused has happened.

    It is the service that the app's configuration names, after ``signalr.reload()`` too, with the same connections.

    An app without an access key signs in with a credential of the test and not with its own. It is told what clients
    do if it knows how to verify that, by ``SIGNALR_SECONDARY_KEYS`` for example; without, it would refuse every client.

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
        self._key = secrets.token_urlsafe(32)
        settings = EmulatorSettings(access_keys=(self._key,))
        self._service = Service(settings)
        if self._settings.upstream.keys or self._settings.upstream.token is not None:
            self._service.upstream.rules = UpstreamRules((UpstreamRule(self._routes.upstream_template),))
        self._exchange = Exchange(app, self._service, clock)
        self._places: dict[str, ServiceEndpoint] = {}
        self._known = self._settings.endpoints
        self._service.upstream.keys_of = self._keys_of
        self._state.adapt(self._adapted)
        road = RestRoad(self._exchange, self._endpoints, settings, clock, self._places)
        self._state.use_transport(road)

    def connect(
        self,
        hub: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        client: FlaskClient | None = None,
    ) -> FakeConnection:
        """Return a new connection to a hub.

        Args:
            hub: The hub's name.
            query: The query of the hub's URL, such as ``{"endpoint": "west"}``.
            headers: Headers of the negotiate request, such as ``Authorization``.
            client: The test client that negotiates, signed in perhaps; a new one if ``None``.

        Raises:
            NegotiationRefused: The app did not let the client in.
            AccessTokenRefused: The app did, and the service would not accept the token that it made.
            ConnectRefused: The service did, and the app's ``on_connected`` refused the connection.
            ConfigurationError: A hub method of the app cannot be run.
        """
        check_hubs(self._app, self._state.hubs())
        answer = self._negotiate(hub, query, headers, client or self._app.test_client())
        endpoint, service_hub = self._destination(answer["url"])
        identity = token_check(endpoint, self._service).client(answer["accessToken"], service_hub, self._clock())
        connection = self._exchange.step(lambda service, now: service.negotiate(service_hub, identity, now))
        self._places[connection.token] = endpoint
        fake = FakeConnection(self._exchange, connection, urlsplit(answer["url"]).query)
        if fake.is_closed:
            raise ConnectRefused(fake.error or "the service closed the connection")
        return fake

    def refresh(
        self,
        hub: str,
        connection: FakeConnection,
        *,
        headers: Mapping[str, str] | None = None,
        client: FlaskClient | None = None,
    ) -> int | None:
        """Renew the sign-in of a connection, as a client does whose token is about to end.

        Args:
            hub: The hub's name.
            connection: The connection.
            headers: Headers of the refresh request, such as ``Authorization``.
            client: The test client that sends it, signed in perhaps; a new one if ``None``.

        Returns:
            Seconds that the new token lives, ``None`` if the app does not tell.

        Raises:
            NegotiationRefused: The app did not renew it; the error is a code.
            AccessTokenRefused: The app did, and the service would not accept the token that it made.
        """
        token = connection.token
        query = {"id": token}
        client = client or self._app.test_client()
        response = client.post(self._routes.refresh(hub), query_string=query, headers=dict(headers or {}))
        answer = _accepted(response, {"accessToken"}, "refresh")
        service_hub = hub_name(hub, self._settings.application_name or None)
        token_check(self._endpoint(token), self._service).client(answer["accessToken"], service_hub, self._clock())
        lifetime: int | None = answer.get("tokenLifetimeSeconds")
        return lifetime

    def close_expired(self) -> None:
        """Close the connections whose sign-in has ended by the clock, as the service does about once a second."""
        self._exchange.step(lambda service, now: service.close_expired(now, now))
        self._exchange.settle()

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

    def _endpoints(self) -> Sequence[ServiceEndpoint]:
        """Return the endpoints of the app as it has them now, and those that a request may still know."""
        return self._remember(self._settings.endpoints)

    def _adapted(self, settings: Settings) -> Settings:
        self._remember(settings.endpoints)
        return identified(settings, upstream_key=self._key)

    def _remember(self, now: Sequence[ServiceEndpoint]) -> Sequence[ServiceEndpoint]:
        former = [each for each in self._known if not any(is_same_place(each, known) for known in now)]
        self._known = (*now, *former)
        return self._known

    def _endpoint(self, token: str) -> ServiceEndpoint:
        """Return where a connection is, as the app has it now; as it had it if it names that endpoint no more."""
        place = self._places[token]
        return next((each for each in self._settings.endpoints if is_same_place(each, place)), place)

    def _keys_of(self, connection: Connection) -> tuple[str]:
        return (self._endpoint(connection.token).access_key or self._key,)

    def _negotiate(
        self, hub: str, query: Mapping[str, str] | None, headers: Mapping[str, str] | None, client: FlaskClient
    ) -> dict[str, Any]:
        url, complete = self._routes.negotiate(hub), {**(query or {}), "negotiateVersion": "1"}
        response = client.post(url, query_string=complete, headers=dict(headers or {}))
        return _accepted(response, {"url", "accessToken"}, "negotiate")

    def _destination(self, url: str) -> tuple[ServiceEndpoint, str]:
        """Return the service endpoint that a client is sent to, and the hub there."""
        for endpoint in self._settings.endpoints:
            if url.startswith(f"{endpoint.client_base_url}client/?"):
                return endpoint, parse_qs(urlsplit(url).query).get("hub", [""])[0]
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


def _accepted(response: TestResponse, needed: set[str], request: str) -> dict[str, Any]:
    """Return what the app answers to a client that it lets in."""
    answer = response.get_json(silent=True)
    answer = answer if isinstance(answer, dict) else {}
    if response.status_code != 200 or "error" in answer or not needed <= answer.keys():
        shown = sorted(answer) or response.get_data(as_text=True)[:200]  # never the values: one may be a token
        error = answer.get("error") or f"this is no {_ANSWERS[request]}: {shown!r}"
        raise NegotiationRefused(response.status_code, str(error), request)
    return answer
