"""One service endpoint, as the calls see it: it adds the token and the headers, and reads the answer."""

import platform
import time
from collections.abc import Callable
from dataclasses import replace

from flask_signalr.endpoint_health import NoVerdict
from flask_signalr.endpoints import ServiceEndpoint
from flask_signalr.entra.renewed_value import NotFetched
from flask_signalr.rest.calls import API_VERSION, Call, HubAddress
from flask_signalr.rest.exchange import ServiceRequest, ServiceResponse, Transport
from flask_signalr.rest.fan_out import new_workers
from flask_signalr.rest.refusals import is_absent, refusal
from flask_signalr.rest.token_cache import TokenSource
from flask_signalr.service_errors import EntraTokenUnavailable, ServiceError, ServiceUnreachable

_HEALTH = f"api/health?api-version={API_VERSION}"
_NOBODY = f"api/hubs/health/connections/nobody?api-version={API_VERSION}"
_USER_AGENT = f"flask_signalr (Python/{platform.python_version()})"
_REFUSED_TOKEN = (401, 403)
_NOT_ABOUT_HEALTH = (404, 429)
_NOT_ABOUT_KEYS = (200, 403, *_NOT_ABOUT_HEALTH)

KeyFault = Callable[[ServiceEndpoint], str | None]
"""Tells why an endpoint has no key to sign with, ``None`` if it has; raises `NoVerdict` where nobody knows."""


class EndpointClient:
    """Makes calls at one service endpoint.

    Args:
        endpoint: The service endpoint.
        transport: Carries the requests.
        tokens: The tokens for it.

    Attributes:
        name: What an error calls the endpoint.
        endpoint: As given.
        workers: The threads for calls to it that are made beside others.
    """

    def __init__(self, endpoint: ServiceEndpoint, transport: Transport, tokens: TokenSource) -> None:
        self.name = endpoint.name or endpoint.server_base_url
        self.endpoint = endpoint
        self.workers = new_workers()
        self._transport = transport
        self._tokens = tokens
        self._is_down: Callable[[ServiceEndpoint], bool] = lambda endpoint: False
        self._time_while_down = 0.0

    def heed(self, is_down: Callable[[ServiceEndpoint], bool], timeout: float) -> None:
        """Give each call no more than one try and these seconds while the endpoint is known to be down."""
        self._is_down, self._time_while_down = is_down, timeout

    def limit(self) -> float | None:
        """Return the seconds that calls may take because the endpoint is known to be down; ``None`` while it is not."""
        return self._time_while_down if self._is_down(self.endpoint) else None

    def answer(
        self, address: HubAddress, call: Call, timeout: float, tracing_id: int | None = None
    ) -> ServiceResponse | None:
        """Return the answer to a call; ``None`` if the service says that what it names is not there.

        While the endpoint is known to be down, there is one try, within `limit`.

        Raises:
            ServiceError: The service refused it, or could not be reached.
            InvalidName: The names in it are too long for a token.
        """
        limit = self.limit()
        if limit is not None:
            timeout = min(timeout, limit)
        request = self._request(call.method, address.resource(call), call.query, call.body, timeout)
        if limit is not None:
            request = replace(request, may_repeat=False)
        if tracing_id is not None:
            request.headers["X-ASRS-Message-Tracing-Id"] = str(tracing_id)
        response = self._transport(request)
        if _is_success(response):
            return response
        if is_absent(response):
            return None
        raise self._refusal(request, response)

    def is_healthy(self, timeout: float) -> bool:
        """Return whether the service says that it is well; ``False`` when it says that it is not.

        Raises:
            ServiceError: It says neither, or could not be reached.

        Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR.Management/ServiceManagerImpl.cs.
        """
        request = self._request("HEAD", _HEALTH, "", None, timeout)
        response = self._transport(request)
        if response.status >= 500:
            return False
        if not _is_success(response):
            raise self._refusal(request, response)
        return True

    def fault(self, timeout: float, key_fault: KeyFault | None = None) -> str | None:
        """Return why the endpoint takes no clients that this app sends; ``None`` if nothing speaks against it.

        It is asked for its health without a token, as the SDK does, and then with one for a connection that nobody has:
        a wrong key is refused there, as the clients' tokens would be. It waits for no token of Microsoft Entra ID.

        Args:
            timeout: Seconds that both questions together may take.
            key_fault: Tells why an endpoint without an access key has none to sign with; ``None`` where clients' tokens
                are calls like others.

        Raises:
            NoVerdict: There is no token to find out with.

        Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR.Management/RestHealthCheckService.cs.
        """
        end = time.monotonic() + timeout
        url = self.endpoint.server_base_url + _HEALTH
        request = ServiceRequest("HEAD", url, {"Asrs-User-Agent": _USER_AGENT}, None, timeout)
        try:
            response = self._transport(request)
            if _is_success(response) or response.status in _REFUSED_TOKEN:  # some emulators want one here too
                request = self._request("HEAD", _NOBODY, "", None, max(end - time.monotonic(), 0.001), wait=0)
                response = self._transport(request)
                if self.endpoint.key is None and key_fault is not None and response.status in _NOT_ABOUT_KEYS:
                    return key_fault(self.endpoint)  # a role that may sign for clients need not allow calls
                if response.status in _NOT_ABOUT_HEALTH:
                    return None
        except EntraTokenUnavailable as exc:
            raise NoVerdict from exc
        except ServiceError as exc:
            return str(exc)
        return None if _is_success(response) else str(self._refusal(request, response))

    def _refusal(self, request: ServiceRequest, response: ServiceResponse) -> ServiceError:
        return refusal(request, response, of_identity=self.endpoint.key is None)

    def late(self, method: str, path: str, timeout: float, is_begun: bool) -> ServiceUnreachable:
        """Return the error of a call that has no answer in time, and may not even have been made."""
        fault = "was not asked within {:g} s: calls or a token took them, or no thread was free; allow more time"
        if is_begun:
            fault = "did not answer within {:g} s: try again later, or allow it more time"
        error = ServiceUnreachable(f"{self.name} {fault.format(timeout)}", method=method, path=path)
        error.may_have_arrived = is_begun
        return error

    def _request(
        self, method: str, resource: str, query: str, body: bytes | None, timeout: float, *, wait: float | None = None
    ) -> ServiceRequest:
        """Return the request for a resource, with a token that opens just this resource.

        As the SDK does, the token names the host without its port, and of the query what all calls have. The time that
        is waited for a token of Microsoft Entra ID is the call's.
        """
        path = "/" + resource.partition("?")[0]
        begin = time.monotonic()
        try:
            token = self._tokens.token(self.endpoint.audience_base_url + resource, wait, timeout)
        except NotFetched as exc:
            raise EntraTokenUnavailable(
                f"Microsoft Entra ID gave no token for {self.name}, and nothing was sent there: {exc}",
                method=method,
                path=path,
            ) from exc
        left = timeout
        if self.endpoint.key is None:  # a key of one's own signs at once
            left -= time.monotonic() - begin
        if left <= 0:
            raise self.late(method, path, timeout, is_begun=False)
        headers = {"Authorization": f"Bearer {token}", "Asrs-User-Agent": _USER_AGENT}
        if body is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"
        return ServiceRequest(method, f"{self.endpoint.server_base_url}{resource}{query}", headers, body, left)


def _is_success(response: ServiceResponse) -> bool:
    return 200 <= response.status < 300
