"""Requests without a server: a WSGI environ in, a consumed answer out."""

import io
import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Flask

HEADERS = {
    "Host": "127.0.0.1:8000",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
    "Accept": "*/*",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en",
    "Content-Length": "0",
    "Content-Type": "text/plain;charset=UTF-8",
    "Origin": "http://127.0.0.1:8000",
    "Sec-Fetch-Site": "same-origin",
    "X-Requested-With": "XMLHttpRequest",
    "X-SignalR-User-Agent": "Microsoft SignalR/10.0 (10.0.0; Unknown OS; Browser; Unknown Runtime Version)",
}
"""What the official JavaScript client's negotiate request has in a browser; every request has it, a peer's too."""


def caller(app: Flask, *paths: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Callable[[], None]:
    """Return a function that sends a request to an app and consumes the answer, as a WSGI server does.

    Args:
        app: The app.
        paths: What is asked for, one after the other and over again.
        headers: What the requests have besides `HEADERS`.
        body: What they bring.

    Raises:
        AssertionError: An answer, each asked for once here, is none of success.
    """
    environ = _environ(headers or {}, body)
    return _sender(app, [(path, environ) for path in paths], body)


def caller_by_turns(app: Flask, path: str, headers: Sequence[Mapping[str, str]], body: bytes) -> Callable[[], None]:
    """Return a function as `caller` does, of requests to one path that differ in their headers.

    Args:
        app: The app.
        path: What is asked for.
        headers: What a request has besides `HEADERS`, one after the other and over again.
        body: What each brings.

    Raises:
        AssertionError: As of `caller`.
    """
    return _sender(app, [(path, _environ(one, body)) for one in headers], body)


def _sender(app: Flask, requests: Sequence[tuple[str, dict[str, Any]]], body: bytes) -> Callable[[], None]:
    next_request = itertools.cycle(requests).__next__
    statuses: list[str] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        statuses.append(status)
        return statuses.append  # type: ignore[return-value] # never called

    def call() -> None:
        statuses.clear()
        path, environ = next_request()
        answer = app.wsgi_app({**environ, "PATH_INFO": path, "wsgi.input": io.BytesIO(body)}, start_response)
        b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()

    for path, _ in requests:
        call()
        if not statuses[0].startswith("200"):
            raise AssertionError(f"{path} answered {statuses[0]}")
    return call


def _environ(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    environ = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "negotiateVersion=1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in {**HEADERS, "Content-Length": str(len(body)), **headers}.items():
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    return environ
