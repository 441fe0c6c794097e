"""What clients talk to: the service's own negotiate, and the three transports.

Source: dotnet/aspnetcore:src/SignalR/docs/specs/TransportProtocols.md, and
dotnet/aspnetcore:src/SignalR/common/Http.Connections/src/Internal/HttpConnectionDispatcher.cs for the statuses.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing, suppress

from aiohttp import WSCloseCode, WSMsgType, web

from flask_signalr.emulator.connections import ClientTransport, Connection, Phase
from flask_signalr.emulator.names import client_hub_name
from flask_signalr.emulator.outgoing import event, outgoing, write_frames
from flask_signalr.emulator.requests import access_token, read_body, single
from flask_signalr.emulator.service import Service
from flask_signalr.emulator.settings import EmulatorSettings
from flask_signalr.emulator.tokens import ClientIdentity, TokenCheck
from flask_signalr.errors import BadRequest

logger = logging.getLogger("flask_signalr.emulator")

_NOT_STORED = {"Cache-Control": "no-cache, no-store", "Pragma": "no-cache", "Expires": "Thu, 01 Jan 1970 00:00:00 GMT"}
_NO_GOODBYE = "The client broke the connection off without closing it."


class ClientEndpoint:
    """The handlers of ``/client/negotiate`` and ``/client/``.

    Args:
        service: The service whose connections are carried.
        check: The check of access tokens.
        settings: The times and bounds to keep.
        clock: Returns the time in Unix seconds, for tokens.
    """

    def __init__(
        self, service: Service, check: TokenCheck, settings: EmulatorSettings, clock: Callable[[], float]
    ) -> None:
        self._service = service
        self._check = check
        self._settings = settings
        self._clock = clock

    async def negotiate(self, request: web.Request) -> web.Response:
        """Answer ``POST /client/negotiate``: a new connection, and how it may be opened."""
        hub, client = self._admit(request)
        version = _negotiate_version(request)
        connection = self._service.negotiate(hub, client, _now(), version)
        answer = {"negotiateVersion": version, "connectionId": connection.id}
        if version > 0:
            answer["connectionToken"] = connection.token
        transports = [
            {"transport": transport.value, "transferFormats": [format_.value for format_ in transport.formats]}
            for transport in ClientTransport
            if transport.is_open_to(client)
        ]
        return web.json_response(answer | {"availableTransports": transports}, headers=_NOT_STORED)

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Answer ``GET /client/``: a WebSocket, a stream of events or a poll."""
        wanted = _wanted_transport(request)
        hub, client = self._admit(request, in_query=wanted is not ClientTransport.LONG_POLLING)
        if not wanted.is_open_to(client):
            raise web.HTTPNotFound(text=f"{wanted.value} transport not supported by this end point type")
        if wanted is ClientTransport.WEBSOCKETS and not single(request, "id"):
            connection = self._service.negotiate(hub, client, _now())
        else:
            connection = self._find(request, hub, client)
        if connection.transport is not None:
            if connection.transport is not wanted:
                raise BadRequest("Cannot change transports mid-connection")
            if wanted is not ClientTransport.LONG_POLLING:
                raise web.HTTPConflict(text="The connection is open already.")
            return await self._poll(connection)
        self._service.open(connection, wanted, _now(), request.rel_url.raw_query_string)
        logger.info("%s opened over %s", _shown(connection), wanted.value)
        if wanted is ClientTransport.WEBSOCKETS:
            return await self._websocket(request, connection)
        if wanted is ClientTransport.SERVER_SENT_EVENTS:
            return await self._events(request, connection)
        return web.Response(headers=_NOT_STORED)

    async def post(self, request: web.Request) -> web.Response:
        """Answer ``POST /client/``: messages of a client whose transport only carries the service's."""
        connection = self._find(request, *self._admit(request))
        if connection.transport is ClientTransport.WEBSOCKETS:
            raise web.HTTPMethodNotAllowed(
                "POST", ["GET"], text="POST requests are not allowed for WebSocket connections."
            )
        if connection.transport is None:
            raise BadRequest("The connection is not open yet: open it with GET.")
        body = await read_body(request, self._settings.body_within)
        if connection.phase not in {Phase.OPENED, Phase.CONNECTED}:
            raise _no_connection()
        self._service.receive(connection, body, _now())
        return web.Response(content_type="text/plain")

    async def delete(self, request: web.Request) -> web.Response:
        """Answer ``DELETE /client/``: the end of long polling."""
        connection = self._find(request, *self._admit(request))
        if connection.transport is not ClientTransport.LONG_POLLING:
            raise BadRequest("Cannot terminate this connection using the DELETE endpoint.")
        self._gone(connection)
        return web.Response(status=202, content_type="text/plain")

    def _admit(self, request: web.Request, *, in_query: bool = False) -> tuple[str, ClientIdentity]:
        """Return the hub that a request is for, and whom its token names; or refuse it."""
        hub = client_hub_name(single(request, "hub", ""))
        return hub, self._check.client(access_token(request, in_query=in_query), hub, self._clock())

    def _find(self, request: web.Request, hub: str, client: ClientIdentity) -> Connection:
        token = single(request, "id")
        if not token:
            raise BadRequest("Connection ID required")
        connection = self._service.find(hub, client, token)
        if connection is None:
            raise _no_connection()
        return connection

    async def _websocket(self, request: web.Request, connection: Connection) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(
            timeout=self._settings.close_within, compress=False, max_msg_size=2 * self._settings.message_limit
        )
        await socket.prepare(request)
        writer = asyncio.create_task(write_frames(request, connection, socket))
        try:
            async for frame in socket:
                if frame.type is WSMsgType.TEXT:
                    self._service.receive(connection, frame.data.encode(), _now())
                elif frame.type is WSMsgType.BINARY:
                    self._service.receive(connection, frame.data, _now())
            return socket
        finally:
            await self._finish(writer, connection, _NO_GOODBYE if _broke_off(socket) else None)

    async def _finish(self, writer: asyncio.Task[None], connection: Connection, error: str | None) -> None:
        """Let the last words of a closed connection out, and forget it."""
        if not connection.is_over:
            writer.cancel()
        try:
            await asyncio.wait({writer}, timeout=self._settings.close_within)
        finally:
            writer.cancel()
            self._gone(connection, error)

    async def _events(self, request: web.Request, connection: Connection) -> web.StreamResponse:
        headers = {"Content-Type": "text/event-stream", "Content-Encoding": "identity", **_NOT_STORED}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        try:
            with suppress(ConnectionError):
                await response.write(b":\r\n")
                async with aclosing(outgoing(request, connection)) as chunks:
                    async for chunk in chunks:
                        await response.write(event(chunk))
                await response.write_eof()
        finally:
            self._gone(connection)
        return response

    async def _poll(self, connection: Connection) -> web.Response:
        """Answer with what waits for the client, or is to come within the poll's time.

        A newer poll takes the place of an older one, which is released with 204, as is the last one.
        """
        news = asyncio.Event()
        listener = news.set
        connection.listen(listener)
        try:
            async with asyncio.timeout(self._settings.poll_timeout):
                while connection.is_heard_by(listener):
                    data = connection.take()
                    if data:
                        return web.Response(body=data, content_type="application/octet-stream", headers=_NOT_STORED)
                    if connection.is_over:
                        self._gone(connection)
                        break
                    news.clear()
                    await news.wait()
        except TimeoutError:
            return web.Response(headers=_NOT_STORED)
        finally:
            connection.stop_listening(listener, _now())
        return web.Response(status=204, headers=_NOT_STORED)

    def _gone(self, connection: Connection, error: str | None = None) -> None:
        self._service.drop(connection, _now(), error)
        logger.info("%s is gone", _shown(connection))


def _broke_off(socket: web.WebSocketResponse) -> bool:
    """Tell whether a WebSocket ended without the closing handshake (RFC 6455, section 7.1.5)."""
    return socket.close_code in {None, WSCloseCode.ABNORMAL_CLOSURE}


def _wanted_transport(request: web.Request) -> ClientTransport:
    if request.headers.get("Upgrade", "").lower() == "websocket":
        if not web.WebSocketResponse().can_prepare(request):
            raise BadRequest("The WebSocket handshake is incomplete.")
        return ClientTransport.WEBSOCKETS
    if "text/event-stream" in request.headers.get("Accept", "").lower():
        return ClientTransport.SERVER_SENT_EVENTS
    return ClientTransport.LONG_POLLING


def _negotiate_version(request: web.Request) -> int:
    """Return the version of a negotiation, at most 1; the clients' spelling of the parameter varies."""
    values = [value for name, value in request.query.items() if name.lower() == "negotiateversion"]
    match values:
        case []:
            return 0
        case [value] if value.isascii() and value.isdecimal():
            return 0 if value.strip("0") == "" else 1
    raise BadRequest("The client requested a non-integer protocol version.")


def _no_connection() -> web.HTTPNotFound:
    return web.HTTPNotFound(text="No Connection with that ID")


def _shown(connection: Connection) -> str:
    return f"connection {connection.id} of user {connection.client.user_id!a:.100} on hub {connection.hub}"


def _now() -> float:
    return asyncio.get_running_loop().time()
