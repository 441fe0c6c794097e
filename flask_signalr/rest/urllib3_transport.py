"""The transport over sockets: urllib3's connection pool and its repetitions, within one deadline.

Importing this module needs the extra ``serverless``.
"""

import time
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, Retry, Timeout
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    InvalidHeader,
    LocationParseError,
    MaxRetryError,
    NewConnectionError,
    ProxyError,
    ResponseError,
    SSLError,
)
from urllib3.exceptions import TimeoutError as Urllib3TimeoutError
from urllib3.util import make_headers

from flask_signalr.hosts import is_loopback
from flask_signalr.rest.exchange import ServiceRequest, ServiceResponse
from flask_signalr.rest.per_process import PerProcess
from flask_signalr.rest.timed_connection import connection_class
from flask_signalr.service_errors import ServiceError, ServiceUnreachable

LONGEST_BODY = 16 * 1024 * 1024
"""Bytes of an answer that are read; the result of a client's method may be as long as a message."""

_KEPT_CONNECTIONS = 32
_REFUSED = frozenset({429, 503})
_FAILED = frozenset({500, 502, 504})


class Urllib3Transport:
    """Carries requests over kept-alive connections; any number of threads and forked processes may share it.

    What did not reach the service, and what it refused as too busy (429, 503), is repeated; other failures only where
    the method makes a repetition harmless. There are no redirects and no decompression.

    Proxies are those of the environment, in the moment of a host's first request: ``HTTPS_PROXY``, ``HTTP_PROXY`` and
    ``NO_PROXY``, or what the system has of the kind. There is none for this machine itself.

    Args:
        retries: How often a request is repeated at most, if it may be repeated at all.
    """

    def __init__(self, retries: int = 3) -> None:
        self._retries = retries
        self._pools: PerProcess[dict[str, _Road]] = PerProcess(dict)

    def __call__(self, request: ServiceRequest) -> ServiceResponse:
        """Return the service's answer.

        Raises:
            ServiceUnreachable: There is none, or none in time.
            ServiceError: The answer is too long.
        """
        deadline = time.monotonic() + request.timeout
        end = request.url.index("/", request.url.index("//") + 2)
        try:
            road = self._road(request.url[:end])
            response = road.pool.urlopen(
                request.method,
                request.url if road.wants_url else request.url[end:],
                body=request.body,
                headers=request.headers,
                retries=_Retries.until(deadline, self._retries if request.may_repeat else 0),
                timeout=_Deadline(deadline),
                redirect=False,
                assert_same_host=False,
                preload_content=False,
                decode_content=False,
            )
            with response:
                return _answer(request, response)
        except HTTPError as exc:
            raise _unreachable(request, exc) from exc

    def _road(self, origin: str) -> "_Road":
        """Return the connections to a scheme, host and port; a `urllib3.PoolManager` takes longer to find them."""
        roads = self._pools()
        road = roads.get(origin)
        if road is None:  # of two threads that come first at once, both get the same
            road = roads.setdefault(origin, _Road.to(origin))
        return road


class _Road(NamedTuple):
    """The connections to one origin.

    Attributes:
        pool: The connections.
        wants_url: Whether a request names its complete URL, which a proxy for plain http reads.
    """

    pool: HTTPConnectionPool
    wants_url: bool

    @classmethod
    def to(cls, origin: str) -> "_Road":
        """Return the connections to an origin, through a proxy if the environment names one for it."""
        url = urlsplit(origin)
        proxy = None if is_loopback(url.hostname or "") else getproxies().get(url.scheme)
        if not proxy or proxy_bypass(url.netloc):
            return cls(_timed(urllib3.connection_from_url(origin, maxsize=_KEPT_CONNECTIONS, retries=False)), False)
        proxy = proxy if "://" in proxy else f"http://{proxy}"
        try:
            headers = _proxy_headers(proxy)
            manager = urllib3.ProxyManager(proxy, maxsize=_KEPT_CONNECTIONS, retries=False, proxy_headers=headers)
            return cls(_timed(manager.connection_from_url(origin)), url.scheme == "http")
        except ValueError:  # of urllib3, too; their texts may have the proxy's password in them
            form = "a proxy is http://host:port or https://host:port, and in its password all but letters is escaped"
            raise ProxyError(form, ValueError()) from None


def _proxy_headers(proxy: str) -> dict[str, str]:
    """Return what a proxy is told whose URL has a user and a password (RFC 9110 §11.7.2)."""
    url = urlsplit(proxy)
    if url.username is None:
        return {}
    return dict(make_headers(proxy_basic_auth=f"{unquote(url.username)}:{unquote(url.password or '')}"))


def _timed(pool: HTTPConnectionPool) -> HTTPConnectionPool:
    """Return the pool, whose connections give each read only what is left of a request's time."""
    pool.ConnectionCls = connection_class(pool.scheme)
    return pool


class _Deadline(Timeout):
    """What is left until a moment; urllib3 clones it for each try."""

    def __init__(self, deadline: float) -> None:
        super().__init__(total=_left(deadline))
        self._deadline = deadline

    def clone(self) -> Timeout:
        return Timeout(total=_left(self._deadline))


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.001)  # urllib3 takes no 0


class _Retries(Retry):
    """Which failures are followed by another try, as long as there is time for it."""

    deadline = 0.0

    @classmethod
    def until(cls, deadline: float, total: int) -> "_Retries":
        # `other` are faults of TLS, at which nobody knows what arrived.
        retries = cls(total=total, other=0, redirect=0, backoff_factor=0.2, backoff_jitter=0.1, raise_on_status=False)
        retries.deadline = deadline
        return retries

    def new(self, **changes: Any) -> "_Retries":
        retries = super().new(**changes)
        retries.deadline = self.deadline
        return retries

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        return status_code in _REFUSED or (status_code in _FAILED and self._is_method_retryable(method))

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        try:
            return super().get_retry_after(response)
        except (InvalidHeader, ValueError):
            return None

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> "_Retries":
        """Count a failure; end the tries when the pause before the next one would take all the time that is left."""
        retries = super().increment(method, url, response, error, _pool, _stacktrace)
        asked = self.get_retry_after(response) if response is not None else None
        pause = asked or retries.get_backoff_time()
        if pause >= self.deadline - time.monotonic():
            reason = error or ResponseError("no time is left for another try")
            raise MaxRetryError(_pool or HTTPConnectionPool(""), url or "", reason)
        return retries


def _answer(request: ServiceRequest, response: BaseHTTPResponse) -> ServiceResponse:
    body = b""
    while chunk := response.read1(LONGEST_BODY):
        body += chunk
        if len(body) > LONGEST_BODY:
            raise ServiceError(
                f"the service answered with more than {LONGEST_BODY} bytes, which are not read",
                method=request.method,
                path=urlsplit(request.url).path,
                status=response.status,
            )
    return ServiceResponse(response.status, {name.lower(): text for name, text in response.headers.items()}, body)


_NEVER_SENT = (NewConnectionError, ConnectTimeoutError, ProxyError, LocationParseError)


def _unreachable(request: ServiceRequest, error: HTTPError) -> ServiceUnreachable:
    reason: Exception = (error.reason if isinstance(error, MaxRetryError) else None) or error
    parts = urlsplit(request.url)
    origin = f"{parts.scheme}://{parts.netloc}"
    if isinstance(reason, ProxyError):
        fault = "cannot be reached through the proxy that the environment names for it"
        remedy = "check HTTPS_PROXY and NO_PROXY, and whether the proxy lets this machine through"
    elif isinstance(reason, SSLError):
        fault = "cannot be spoken to over TLS"
        remedy = f"check this machine's clock and SSL_CERT_FILE, and whether a proxy reads along; it is said: {reason}"
    elif isinstance(reason, LocationParseError):
        fault, remedy = "cannot be looked up", "check the host names in the connection string and in HTTPS_PROXY"
    elif isinstance(reason, NewConnectionError | ConnectTimeoutError):
        fault, remedy = "cannot be connected to", "check its address in the connection string, and the network"
    elif isinstance(reason, Urllib3TimeoutError):
        fault, remedy = f"did not answer within {request.timeout:.3g} s", "try again later, or allow it more time"
    else:
        fault, remedy = "broke the connection off", "try again; see the cause of this error for more"
    failure = ServiceUnreachable(
        f"the service at {origin} {fault} ({type(reason).__name__}): {remedy}",
        method=request.method,
        path=parts.path,
    )
    failure.may_have_arrived = not isinstance(reason, _NEVER_SENT)
    return failure
