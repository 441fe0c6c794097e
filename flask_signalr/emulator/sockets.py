"""The sockets that the emulator listens on."""

import errno
import socket

from flask_signalr.errors import EmulatorUnavailable


def listen(host: str, port: int) -> list[socket.socket]:
    """Return the sockets that listen on an address.

    ``localhost`` is two addresses. The second is left out where there is no IPv6, and with a free port, which might
    not be free on both.

    Raises:
        EmulatorUnavailable: Another program listens there, or this machine has no such address.
    """
    if host != "localhost":
        return [_bind(host, port)]
    sockets = [_bind("127.0.0.1", port)]
    if port != 0:
        try:
            sockets.append(_bind("::1", port))
        except EmulatorUnavailable as exc:
            if isinstance(exc.__cause__, OSError) and exc.__cause__.errno == errno.EADDRINUSE:
                sockets[0].close()
                raise
    return sockets


def _bind(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            reason = "another program listens there; stop it or choose another port (--port; 0 takes a free one)"
        else:
            reason = exc.strerror or str(exc)
        raise EmulatorUnavailable(f"the emulator cannot listen on port {port} of {host}: {reason}") from exc
