"""Which protocol a client may speak, as its handshake asks."""

from flask_signalr.emulator.connections import ClientTransport
from flask_signalr.errors import ProtocolError
from flask_signalr.messages import HandshakeRequest
from flask_signalr.protocol import HubProtocol


def check_handshake(
    request: HandshakeRequest, protocol: HubProtocol | None, transport: ClientTransport | None
) -> HubProtocol:
    """Return the protocol that a client asked for.

    Args:
        request: The client's handshake.
        protocol: What is spoken here under the name that it gives, if anything.
        transport: What carries the connection.

    Raises:
        ProtocolError: There is none of that name or version, or the transport cannot carry it.

    Source: dotnet/aspnetcore:src/SignalR/server/Core/src/HubConnectionContext.cs.
    """
    if protocol is None:
        raise ProtocolError(f"The protocol '{request.protocol[:50]}' is not supported.")
    if request.version > protocol.version:
        raise ProtocolError(f"The server does not support this version of the '{protocol.name}' protocol.")
    if transport is None or protocol.transfer_format not in transport.formats:
        raise ProtocolError(
            f"Cannot use the '{protocol.name}' protocol on the current transport. "
            f"The transport does not support '{protocol.transfer_format.value}' transfer format."
        )
    return protocol
