"""Testing an app's real-time side: the emulated service in the process of the test, without sockets."""

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Flask
from flask.testing import FlaskClient

from flask_signalr import views
from flask_signalr.app_state import AppState
from flask_signalr.config import Settings
from flask_signalr.emulator.connections import ClientTransport, Connection
from flask_signalr.emulator.membership import Membership
from flask_signalr.emulator.names import hub_name
from flask_signalr.emulator.service import Service
from flask_signalr.emulator.settings import EmulatorSettings
from flask_signalr.emulator.tokens import ClientIdentity, TokenCheck
from flask_signalr.errors import AccessTokenRefused, ConfigurationError, NegotiationRefused
from flask_signalr.hub_protocols import HUB_PROTOCOLS
from flask_signalr.messages import HandshakeRequest, InvocationMessage
from flask_signalr.protocol import MessageReader, encode_handshake

_JSON = HUB_PROTOCOLS["json"]
_MESSAGE_LIMIT = 2**24


class FakeService:
    """The service that an app's clients connect to, inside a test.

    ``connect`` does a real negotiate through the app's test client, and checks the token as the service would. What
    is sent has been received when the call that sends it returns.

    Args:
        app: The app under test; it has been set up with `SignalR`. Clients find the hubs where it mounts them.
        clock: Returns the time in Unix seconds, for tokens.

    Raises:
        ConfigurationError: The app has no `SignalR`.
    """

    def __init__(self, app: Flask, *, clock: Callable[[], float] = time.time) -> None:
        self._app = app
        self._endpoint = _negotiate_endpoint(app)
        self._clock = clock
        self._service = Service(EmulatorSettings())

    def connect(
        self, hub: str, *, headers: Mapping[str, str] | None = None, client: FlaskClient | None = None
    ) -> "FakeConnection":
        """Return a new connection to a hub.

        Args:
            hub: The hub's name.
            headers: Headers of the negotiate request, such as ``Authorization``.
            client: The test client that negotiates, signed in perhaps; a new one if ``None``.

        Raises:
            NegotiationRefused: The app did not let the client in.
            AccessTokenRefused: The app did, and the service would not accept the token that it made.
        """
        answer = self._negotiate(hub, headers, client or self._app.test_client())
        service_hub, identity = self._admit(answer["url"], answer["accessToken"])
        return FakeConnection(self._service, self._service.negotiate(service_hub, identity, self._clock()), self._clock)

    def send_to_all(self, hub: str, target: str, *arguments: Any) -> None:
        """Call a method on all clients of a hub."""
        self._send(self._members(hub).everyone(), target, arguments)

    def send_to_user(self, hub: str, user_id: str, target: str, *arguments: Any) -> None:
        """Call a method on the clients of one user of a hub."""
        self._send(self._members(hub).of_user(user_id), target, arguments)

    def send_to_group(self, hub: str, group: str, target: str, *arguments: Any) -> None:
        """Call a method on the clients of one group of a hub."""
        self._send(self._members(hub).in_group(group), target, arguments)

    def add_to_group(self, hub: str, group: str, connection: "FakeConnection") -> None:
        """Put a connection into a group of its hub.

        Raises:
            ValueError: The connection is not in the hub.
        """
        if not self._members(hub).add_to_group(connection.connection_id, group):
            raise ValueError(f"connection {connection.connection_id} is not in hub {hub!r}")

    def _negotiate(self, hub: str, headers: Mapping[str, str] | None, client: FlaskClient) -> dict[str, Any]:
        urls = self._app.url_map.bind(self._app.config["SERVER_NAME"] or "localhost")
        url = urls.build(self._endpoint, {"hub": hub}, method="POST")  # a path, or //host/path of a subdomain
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
                host = urlsplit(endpoint.audience_base_url).hostname or ""
                port = urlsplit(endpoint.url).port
                check = TokenCheck((endpoint.access_key,), frozenset({host}), port)
                return hub, check.client(token, hub, self._clock())
        raise AccessTokenRefused("aud", f"the client is sent to {url}, which is no service endpoint of the app")

    @property
    def _settings(self) -> Settings:
        state: AppState = self._app.extensions["signalr"]
        return state.settings

    def _members(self, hub: str) -> Membership:
        return self._service.members(hub_name(hub, self._settings.application_name or None))

    def _send(self, connections: list[Connection], target: str, arguments: tuple[Any, ...]) -> None:
        self._service.send(connections, InvocationMessage(target=target, arguments=arguments), self._clock())


def _negotiate_endpoint(app: Flask) -> str:
    """Return what the app calls the negotiate view: the blueprint may be nested or mounted under another name."""
    if "signalr" in app.extensions:
        for name, blueprint in app.blueprints.items():
            if blueprint.import_name == views.__name__:
                return f"{name}.negotiate"
    raise ConfigurationError("this app has no SignalR: call init_app(app) before FakeService(app)")


class FakeConnection:
    """A client that `FakeService.connect` let in.

    Attributes:
        received: What the service has called so far: the method and its arguments, in one tuple each.
    """

    def __init__(self, service: Service, connection: Connection, clock: Callable[[], float]) -> None:
        self.received: list[tuple[Any, ...]] = []
        self._service = service
        self._connection = connection
        self._clock = clock
        self._reader = MessageReader(_JSON, _MESSAGE_LIMIT)
        service.open(connection, ClientTransport.WEBSOCKETS, clock())
        service.receive(connection, encode_handshake(HandshakeRequest(_JSON.name, _JSON.version)), clock())
        connection.take()  # the answer to the handshake
        connection.listen(self._read)

    @property
    def connection_id(self) -> str:
        """What the service and other people know the connection by."""
        return self._connection.id

    @property
    def user_id(self) -> str | None:
        """The user id that the service routes by, ``None`` for an anonymous client."""
        return self._connection.client.user_id

    @property
    def claims(self) -> Mapping[str, Any]:
        """The claims of the service token, its own ones too."""
        return self._connection.client.claims

    def close(self) -> None:
        """Leave the service, as a client does whose page is closed."""
        self._service.drop(self._connection, self._clock())

    def _read(self) -> None:
        messages = self._reader.feed(self._connection.take())
        self.received += [(each.target, *each.arguments) for each in messages if isinstance(each, InvocationMessage)]
