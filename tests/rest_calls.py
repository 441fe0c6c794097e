"""The emulator's REST API without sockets: clients that are connected, and calls that are answered at once."""

import json
from typing import Any

import msgspec

from flask_signalr.emulator.connections import ClientTransport, Connection
from flask_signalr.emulator.names import hub_name
from flask_signalr.emulator.rest.api import RestApi
from flask_signalr.emulator.rest.request import RestRequest
from flask_signalr.emulator.rest.response import PendingResult, RestResponse
from flask_signalr.emulator.service import Service
from flask_signalr.emulator.settings import EmulatorSettings
from flask_signalr.emulator.tokens import ClientIdentity, TokenCheck
from flask_signalr.hub_protocols import HUB_PROTOCOLS
from flask_signalr.messages import HandshakeRequest, HubMessage, PingMessage
from flask_signalr.protocol import encode_handshake
from tests.emulated import KEY, NOW, token

VERSION = "2024-12-01"


class Rest:
    """One service, with its REST API; its clock stands still until a test moves it."""

    def __init__(self, **settings: Any) -> None:
        self.settings = EmulatorSettings(**{"access_keys": (KEY,), **settings})
        self.service = Service(self.settings)
        self.check = TokenCheck(self.service.access_keys, frozenset({"localhost"}), self.settings.port)
        self.api = RestApi(self.service, self.check, self.settings)
        self.now = 0.0

    def connect(self, user_id: str | None = None, hub: str = "chat", protocol: str = "json") -> Connection:
        """Return a client whose handshake was answered."""
        connection = self.service.negotiate(hub_name(hub), ClientIdentity(user_id), self.now)
        self.service.open(connection, ClientTransport.WEBSOCKETS, self.now)
        self.service.receive(connection, encode_handshake(HandshakeRequest(protocol, 1)), self.now)
        connection.take()
        return connection

    def request(self, method: str, path: str, body: Any = None, version: str = VERSION, **query: Any) -> RestRequest:
        """Return a call with the token that is right for it, and a body that is JSON unless it is bytes."""
        given = f"api-version={version}" + "".join(
            f"&{name.replace('_', '-')}={value}" for name, value in query.items()
        )
        headers = {"Authorization": f"Bearer {token({'aud': f'http://localhost/api/{path}'})}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        return RestRequest.to_url(method, f"http://127.0.0.1:8888/api/{path}?{given}", headers, content)

    def answer(self, request: RestRequest) -> RestResponse:
        """Return the answer to a call that needs nobody else's."""
        answer = self.api.answer(request, self.now, NOW)
        assert isinstance(answer, RestResponse)
        return answer

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> RestResponse:
        """Make a call below ``/api/`` and return its answer."""
        return self.answer(self.request(method, path, body, **query))

    def pending(self, path: str, body: Any) -> PendingResult:
        """Make a call whose answer is still to come."""
        answer = self.api.answer(self.request("POST", path, body), self.now, NOW)
        assert isinstance(answer, PendingResult)
        return answer

    def say(self, connection: Connection, message: HubMessage) -> None:
        """Let a client send a message."""
        assert connection.protocol is not None
        self.service.receive(connection, connection.protocol.encode(message), self.now)


def heard(connection: Connection) -> list[HubMessage]:
    """Return what a client was sent since it was last asked."""
    assert connection.protocol is not None
    payloads, rest = HUB_PROTOCOLS[connection.protocol.name].split(connection.take())
    assert rest == b""
    messages = [connection.protocol.parse(payload) for payload in payloads]
    return [message for message in messages if message is not None and not isinstance(message, PingMessage)]


def code_of(response: RestResponse) -> tuple[int, str | None]:
    """Return the status of an answer, and its error code if it has one."""
    return response.status, response.headers.get("x-ms-error-code")


def content_of(response: RestResponse) -> Any:
    """Return what the JSON body of an answer holds."""
    return msgspec.json.decode(response.body)
