"""A real proxy on the loopback interface, which leads every tunnel (CONNECT, RFC 9110 §9.3.6) to one server."""

import socket
import socketserver
import threading
from typing import Self


class ConnectProxy:
    """Tunnels what it is asked to, and remembers all that it could read; a context manager.

    Args:
        port: Where, on this machine, every tunnel ends, whichever host was asked for.

    Attributes:
        asked: The hosts with ports that tunnels were asked for, in their order.
        seen: All the bytes that callers sent.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.asked: list[str] = []
        self.seen = bytearray()

    def __enter__(self) -> Self:
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._server.daemon_threads = True  # callers may keep their tunnels open
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[socketserver.BaseRequestHandler]:
        proxy = self

        class Handler(socketserver.StreamRequestHandler):
            rbufsize = 0  # what follows the head of the request belongs to the tunnel

            def handle(self) -> None:
                line = self.rfile.readline()
                while self.rfile.readline().strip():
                    pass
                proxy.asked.append(line.split()[1].decode())
                with socket.create_connection(("127.0.0.1", proxy._port)) as target:
                    self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    back = threading.Thread(target=_carry, args=[target, self.connection])
                    back.start()
                    _carry(self.connection, target, proxy.seen)
                    back.join()

        return Handler


def _carry(source: socket.socket, target: socket.socket, seen: bytearray | None = None) -> None:
    """Carry bytes until one side ends."""
    try:
        while data := source.recv(65536):
            if seen is not None:
                seen += data
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:  # the other side is gone already
        pass
