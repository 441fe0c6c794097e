"""A real web server on the loopback interface that answers with what a test puts in."""

import json
import ssl
import threading
from collections.abc import Callable
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Answer = Callable[[BaseHTTPRequestHandler], None]


class DocumentServer:
    """Serves documents, to GET and POST alike, and remembers what was asked for; a context manager.

    Args:
        tls: Serves https with this context.

    Attributes:
        documents: Path to what is answered: a JSON value, raw bytes, or a function that writes the answer itself.
        requested: The paths asked for, in their order.
        headers: The headers of each request.
        is_over: Set when the test is over; an answer that waits for it never comes.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.documents: dict[str, Any] = {}
        self.requested: list[str] = []
        self.headers: list[Message] = []
        self.is_over = threading.Event()

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        documents, requested, headers = self.documents, self.requested, self.headers

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                requested.append(self.path)
                headers.append(self.headers)
                document = documents.get(self.path)
                if document is None:
                    self.send_error(404)
                elif callable(document):
                    document(self)
                else:
                    answer(self, document if isinstance(document, bytes) else json.dumps(document).encode())

            do_POST = do_GET  # noqa: N815 -- the name of the base class

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
                pass

        return Handler


def answer(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    """Write a whole answer."""
    handler.send_response(status)
    for name, value in ({"Content-Length": str(len(body))} | headers).items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)
