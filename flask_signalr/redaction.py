"""Redaction: keeps tokens out of logs wherever a URL is logged."""

import logging
import re
from collections.abc import Callable, Iterable
from typing import Any

# The time is linear in the text: nothing is looked at twice, however often a text begins as a token does.
_TOKEN = re.compile(
    r"(access(?:_|%5F)token(?:=|%(?:25)*3D))[^&\s\"'#<>]+"  # in a query, also in one that is quoted in another
    r"|(?<![\w-])((?>[\w-]*?(?=eyJ)))"  # any JWT: base64url of '{"' comes first, and before it perhaps '%20'
    r"eyJ[\w-]{8,}+\.[\w-]*+\.[\w-]*+(?:\.[\w-]++){0,2}+",
    re.IGNORECASE,
)
_URL_KEYS = ("RAW_URI", "REQUEST_URI", "HTTP_REFERER")
_REFRESH = "/refresh"
_REFRESH_URL = re.compile(_REFRESH + r"/?\?[^\s\"'#<>]*")  # to its end: none is looked at twice
_CONNECTION_TOKEN = re.compile(r"([?&]id=)[^&]+")

URL_LOGGERS = (
    "werkzeug",
    "gunicorn.access",
    "gunicorn.error",
    "granian.access",
    "aiohttp.access",
    "flask_signalr.auth.frontend",
    "flask_signalr.auth.key_set",
    "flask_signalr.auth.ldap_connections",
    "flask_signalr.auth.ldap_roles",
    "flask_signalr.auth.windows",
    "flask_signalr.config",
    "flask_signalr.emulator",
    "flask_signalr.emulator.http",
    "flask_signalr.endpoints",
    "flask_signalr.entra",
    "flask_signalr.negotiate",
    "flask_signalr.presence",
    "flask_signalr.refresh",
    "flask_signalr.rest",
    "flask_signalr.sign_out",
    "flask_signalr.upstream",
)
"""The loggers that write requested URLs, and all of our own; `redact_logs` sees to them.

Each one by itself, because a logger's filters do not see what its children write.
"""


def redact(text: str) -> str:
    """Return a text with ``[redacted]`` in the place of what opens a door.

    That is every ``access_token`` of a URL, every JWT, and the connection token of every URL of a refresh.
    """
    text = _TOKEN.sub(lambda match: (match[1] or match[2] or "") + "[redacted]", text)
    return _REFRESH_URL.sub(_without_connection_token, text) if _REFRESH in text else text


def _without_connection_token(url: re.Match[str]) -> str:
    return _CONNECTION_TOKEN.sub(r"\1[redacted]", url[0])


class RedactTokens(logging.Filter):
    """A logging filter that lets every record pass and takes the tokens out of it.

    On a logger it sees the records of that logger alone; on a handler, all that the handler writes.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record's message, traceback and stack; records without a token stay as they are."""
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 -- arguments that do not fit: logging would write them out as they are
            message = f"{_shown(record.msg)} {_shown(record.args)}"
        redacted = redact(message)
        if redacted != message:
            record.msg, record.args = redacted, None
        _redact_traceback(record)
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return True


def _shown(part: object) -> str:
    try:
        return str(part)
    except Exception as exc:  # noqa: BLE001 -- an app's own class, which must not fail where it is only logged
        return f"({type(exc).__name__} while it was written)"


def _redact_traceback(record: logging.LogRecord) -> None:
    traceback = record.exc_text  # there when another handler came first
    if not traceback and record.exc_info:
        traceback = logging.Formatter().formatException(record.exc_info)
    if traceback and (redacted := redact(traceback)) != traceback:
        # Formatters append the text; without the exception none of them writes it out once more.
        record.exc_text, record.exc_info = redacted, None


_filter = RedactTokens()


def redact_logs(names: Iterable[str] = URL_LOGGERS) -> None:
    """Put `RedactTokens` on loggers; on one that has it, nothing happens.

    Args:
        names: The loggers' names.
    """
    for name in names:
        logging.getLogger(name).addFilter(_filter)


def _redact_query(path: str, query: str) -> str:
    start = f"{_REFRESH}?" if path.rstrip("/").endswith(_REFRESH) else "?"
    return redact(start + query)[len(start) :]


class HideTokens:
    """WSGI middleware: the app sees the request as it came, the server's access log sees it without tokens.

    For servers that write their log themselves, past Python's logging, out of the WSGI environ:
    ``app.wsgi_app = HideTokens(app.wsgi_app)``. (PEP 3333: the environ is the server's own dict, so what is changed
    in it is what the server logs.)

    Args:
        wsgi_app: The application.
    """

    def __init__(self, wsgi_app: Callable[..., Iterable[bytes]]) -> None:
        self._wsgi_app = wsgi_app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        as_it_came = dict(environ)
        for key in _URL_KEYS:
            if key in environ:
                environ[key] = redact(environ[key])
        if "QUERY_STRING" in environ:
            environ["QUERY_STRING"] = _redact_query(environ.get("PATH_INFO", ""), environ["QUERY_STRING"])
        return self._wsgi_app(as_it_came, start_response)
