"""What waits for a client, on its way out over a connection that stays open."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from aiohttp import WSMsgType, web

from flask_signalr.emulator.connections import Connection, Phase
from flask_signalr.protocol import TransferFormat


async def outgoing(request: web.Request, connection: Connection) -> AsyncGenerator[bytes, None]:
    """Yield what is queued for a client, until its connection is over; break off when it is aborted.

    The break must not wait for a write to end: a client that does not read would hold it up for ever.
    """
    news = asyncio.Event()

    def listener() -> None:
        news.set()
        if connection.phase is Phase.ABORTED and request.transport is not None:
            request.transport.abort()

    connection.listen(listener)
    try:
        while not connection.is_over:
            data = connection.take()
            if data:
                yield data
            else:
                news.clear()
                await news.wait()
    finally:
        connection.stop_listening(listener, asyncio.get_running_loop().time())


async def write_frames(request: web.Request, connection: Connection, socket: web.WebSocketResponse) -> None:
    """Write what is queued for a client as frames of the type that its protocol needs, and close the WebSocket."""
    with suppress(ConnectionError):
        async with aclosing(outgoing(request, connection)) as chunks:
            async for chunk in chunks:
                is_binary = connection.protocol and connection.protocol.transfer_format is TransferFormat.BINARY
                await socket.send_frame(chunk, WSMsgType.BINARY if is_binary else WSMsgType.TEXT)
        await socket.close()


def event(payload: bytes) -> bytes:
    """Return a server-sent event: each line of the payload on a line of its own."""
    return b"".join(b"data: %b\r\n" % line for line in payload.splitlines()) + b"\r\n"
