"""One request of a trace and its answer, bounded in time and size whatever the server does."""

import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TypeVar

import requests
from urllib3.exceptions import HTTPError

from flask_signalr.errors import SignOnFailed
from flask_signalr.trace.transcript import Stopped, Transcript

MAX_BYTES = 64 * 1024
"""Bytes that an answer may have; a service token has 4096 characters at most."""

Auth = Callable[[requests.PreparedRequest], requests.PreparedRequest]
"""What requests takes as ``auth=…``."""

_HEADERS = {
    "User-Agent": "flask-signalr",
    "X-Requested-With": "XMLHttpRequest",  # as official clients do: apps know by it that no page is wanted
    "Accept-Encoding": "identity",  # and nothing is decompressed: a small answer cannot become a large one
}
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Answer:
    """What a server answered.

    Attributes:
        url: The URL that was asked.
        status: The HTTP status.
        phrase: Its reason phrase.
        challenges: The values of ``WWW-Authenticate``.
        location: Where a redirect leads; ``None`` without one.
        body: The body.
        elapsed: Seconds that the answer took.
        clock_offset: Seconds that the server's clock is ahead of this machine's; ``None`` if it does not tell.
    """

    url: str
    status: int
    phrase: str
    challenges: tuple[str, ...]
    location: str | None
    body: bytes = field(repr=False)
    elapsed: float
    clock_offset: float | None


@dataclass(frozen=True)
class Caller:
    """Sends the requests of a trace.

    Attributes:
        transcript: Decides how a server's words may be shown.
        timeout: Seconds that sign-on, request and answer may take together.
        clock: Returns the time, in Unix seconds.
    """

    transcript: Transcript
    timeout: float
    clock: Callable[[], float] = time.time

    def post(self, url: str, auth: Auth | None) -> Answer:
        """Send an empty POST, as a negotiate request is, and return what is answered; redirects are not followed.

        Raises:
            Stopped: There is no answer, or not within the bounds.
        """
        try:
            return _within(self.timeout, lambda: self._post(url, auth or _nobody))
        except SignOnFailed as exc:
            raise Stopped(self.transcript.shown(str(exc), 600)) from exc
        except (TimeoutError, requests.Timeout) as exc:
            raise Stopped(f"no complete answer within {self.timeout:g} s", "--timeout waits longer") from exc
        except (requests.RequestException, HTTPError, OSError, ValueError) as exc:
            raise self._fault(exc) from exc

    def _post(self, url: str, auth: Auth) -> Answer:
        def bring(request: requests.PreparedRequest) -> requests.PreparedRequest:
            request = auth(request)
            self._keep_secret(request)  # before it is sent: an answer may hold it
            return request

        asked_at = self.clock()
        begun = time.monotonic()
        with _OneRequest() as session:
            session.headers.update(_HEADERS)
            with session.post(url, auth=bring, allow_redirects=False, stream=True, timeout=self.timeout) as response:
                for each in (*response.history, response):  # sign-on may have taken several
                    self._keep_secret(each.request)
                body = _body(response)
                elapsed = time.monotonic() - begun
                return Answer(
                    url=url,
                    status=response.status_code,
                    phrase=response.reason or "",
                    challenges=tuple(response.raw.headers.getlist("WWW-Authenticate")),
                    location=response.headers.get("Location") if response.is_redirect else None,
                    body=body,
                    elapsed=elapsed,
                    clock_offset=_clock_offset(response.headers.get("Date"), asked_at + elapsed / 2),
                )

    def _keep_secret(self, request: requests.PreparedRequest) -> None:
        _, _, token = str(request.headers.get("Authorization", "")).partition(" ")
        self.transcript.keep_secret(token)

    def _fault(self, error: Exception) -> Stopped:
        cause = _innermost(error)
        text = self.transcript.shown(getattr(cause, "strerror", None) or str(cause) or type(cause).__name__)
        if isinstance(cause, ssl.SSLCertVerificationError):
            text = self.transcript.shown(cause.verify_message)
            return Stopped(f"the server's certificate is not trusted: {text}", "REQUESTS_CA_BUNDLE names other CAs")
        if isinstance(cause, ssl.SSLError):
            return Stopped(f"no TLS connection: {text}")
        if isinstance(error, requests.exceptions.ProxyError):
            return Stopped(f"the proxy does not lead there: {text}", "HTTPS_PROXY, HTTP_PROXY and NO_PROXY choose it")
        return Stopped(f"no answer: {text}")


class _OneRequest(requests.Session):
    """A session that knows of no redirects: to prepare for one it would read all of the answer, however large."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return that there is none."""


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Bring no credentials; without an auth object requests would look for some in ``~/.netrc``."""
    return request


def _within(seconds: float, work: Callable[[], _Result]) -> _Result:
    """Return the result of some work, or raise ``TimeoutError``.

    No setting of requests or Kerberos bounds the whole: they wait that long for each name server, each KDC, each line
    of a header. Work that goes on too long is left behind in a thread that does not keep the program from ending.
    """
    future: Future[_Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as exc:  # noqa: BLE001 -- it is raised where the result is waited for
            future.set_exception(exc)

    threading.Thread(target=run, daemon=True).start()
    return future.result(seconds)


def _body(response: requests.Response) -> bytes:
    body = b""
    for chunk in response.raw.stream(8192, decode_content=False):
        body += chunk
        if len(body) > MAX_BYTES:
            raise Stopped(f"the answer has more than {MAX_BYTES} bytes: this is no negotiation")
    return body


def _clock_offset(date: str | None, now: float) -> float | None:
    try:
        server = parsedate_to_datetime(date or "")
    except (ValueError, OverflowError):
        return None
    if server.tzinfo is None:
        server = server.replace(tzinfo=UTC)
    return server.timestamp() + 0.5 - now  # the header has whole seconds


def _innermost(error: BaseException) -> BaseException:
    """Return the error that all the others tell of."""
    seen = {id(error)}
    while True:
        inner = getattr(error, "reason", None)
        inner = inner if isinstance(inner, BaseException) else error.__cause__ or error.__context__
        if inner is None or id(inner) in seen:
            return error
        seen.add(id(inner))
        error = inner
