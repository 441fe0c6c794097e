"""What a connection has to expect when time has passed: a ping, a goodbye, or to be forgotten."""

from flask_signalr.emulator.connections import ClientTransport, Connection, Phase
from flask_signalr.emulator.settings import EmulatorSettings
from flask_signalr.messages import CloseMessage, PingMessage


class Forgotten:
    """The connection is to be dropped without a word."""


Due = PingMessage | CloseMessage | Forgotten


def due(connection: Connection, settings: EmulatorSettings, now: float) -> Due | None:
    """Return what a connection is due at this time: a message for its client, its end, or nothing."""
    in_phase = now - connection.since
    match connection.phase:
        case Phase.NEGOTIATED if in_phase >= settings.open_within:
            return Forgotten()
        case Phase.OPENED if in_phase >= (connection.client.number("asrs.s.cht", 1, 30) or settings.handshake_within):
            return CloseMessage(error="Handshake was canceled.")
        case Phase.CONNECTED:
            return _while_connected(connection, settings, now)
        case Phase.CLOSING if in_phase >= settings.close_within:
            return Forgotten()
        case Phase.ABORTED:
            return Forgotten()
    return None


def _while_connected(connection: Connection, settings: EmulatorSettings, now: float) -> Due | None:
    silence = now - connection.heard_at
    if connection.transport is ClientTransport.LONG_POLLING:
        gap = connection.client.number("asrs.s.ttl", 1, 300) or settings.poll_gap
        return Forgotten() if not connection.is_listened_to and silence >= gap else None
    if silence >= settings.client_timeout:
        error = f"The client was silent for {settings.client_timeout:g} seconds."
        return CloseMessage(error=error, allow_reconnect=True)
    return PingMessage() if now - connection.sent_at >= settings.keep_alive else None
