"""Where a store is: ``memory://``, or the URL of a Redis."""

import re
from urllib.parse import SplitResult, parse_qsl, urlsplit

from flask_signalr.errors import ConfigurationError, MissingExtra
from flask_signalr.stores.memory import MemoryStore
from flask_signalr.stores.store import Store

FORM = (
    "give memory:// (this process alone), redis://host:6379/0, rediss://user:password@host:6380/0 (TLS) or "
    "unix:///path/of/redis.sock; special characters of a password are percent-encoded"
)
"""What a store's URL looks like, for the reader of an error."""

_OPTIONS = {"db", "ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile"}
PREFIX = r"^[A-Za-z0-9_.:-]{1,64}\Z"
"""What a prefix looks like, as a regular expression."""


def store_from_url(url: str, prefix: str = "signalr") -> Store:
    """Return the store that a URL names; nothing is connected yet.

    Args:
        url: ``memory://``, ``redis://…``, ``rediss://…`` or ``unix://…``. Of redis-py's options those that choose a
            database and certificates can stand in the query.
        prefix: What the keys in Redis begin with: 1 to 64 letters, digits and ``_.:-``. Apps that share a database need
            one each.

    Raises:
        ConfigurationError: The URL or the prefix cannot be used; the text shows nothing of the URL, which may hold a
            password.
        MissingExtra: redis-py is not installed.
    """
    if not re.match(PREFIX, prefix):
        raise ConfigurationError("a store's prefix has 1 to 64 letters, digits and _.:-")
    fault = _fault(url)
    if fault is not None:
        raise ConfigurationError(f"{fault}; {FORM}")
    if url.startswith("memory:"):
        return MemoryStore()
    try:
        from flask_signalr.stores.redis import RedisStore
    except ImportError as exc:
        raise MissingExtra("a store in Redis", "redis") from exc
    try:
        return RedisStore(url, prefix)
    except (ValueError, TypeError):
        raise ConfigurationError(f"redis-py does not understand this URL of a store; {FORM}") from None


def _fault(url: str) -> str | None:
    """Return what is wrong with a URL, in words that hold nothing of it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "this URL of a store has a host or port that is none"
    if parts.scheme == "memory":
        return None if url.rstrip("/") == "memory:" else "memory:// takes nothing more"
    if parts.scheme not in {"redis", "rediss", "unix"} or not url.startswith(f"{parts.scheme}://"):
        return "this is no URL of a store"
    if parts.scheme == "unix":
        return _fault_of_query(parts) or (None if len(parts.path) > 1 and not host else "this URL names no socket")
    if not host or port == 0:
        return "this URL of a store names no host, or a port that is none"
    if not re.fullmatch(r"/?[0-9]{0,5}", parts.path):
        return "the path of a Redis URL is the number of a database"
    return _fault_of_query(parts)


def _fault_of_query(parts: SplitResult) -> str | None:
    options = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if parts.fragment or not options <= _OPTIONS:
        return f"the URL of a store may have the options {', '.join(sorted(_OPTIONS))} and no others"
    return None
