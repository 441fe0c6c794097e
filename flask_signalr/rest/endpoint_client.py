"""One service endpoint, as the calls see it: it adds the token and the headers, and reads the answer."""

import platform

from flask_signalr.endpoints import ServiceEndpoint
from flask_signalr.rest.calls import API_VERSION, Call, HubAddress
from flask_signalr.rest.exchange import ServiceRequest, ServiceResponse, Transport
from flask_signalr.rest.fan_out import new_workers
from flask_signalr.rest.refusals import is_absent, refusal
from flask_signalr.rest.token_cache import TokenCache
from flask_signalr.service_errors import ServiceUnreachable

_USER_AGENT = f"flask_signalr (Python/{platform.python_version()})"


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

    def __init__(self, endpoint: ServiceEndpoint, transport: Transport, tokens: TokenCache) -> None:
        self.name = endpoint.name or endpoint.server_base_url
        self.endpoint = endpoint
        self.workers = new_workers()
        self._transport = transport
        self._tokens = tokens

    def answer(
        self, address: HubAddress, call: Call, timeout: float, tracing_id: int | None = None
    ) -> ServiceResponse | None:
        """Return the answer to a call; ``None`` if the service says that what it names is not there.

        Raises:
            ServiceError: The service refused it, or could not be reached.
            InvalidName: The names in it are too long for a token.
        """
        request = self._request(call.method, address.resource(call), call.query, call.body, timeout)
        if tracing_id is not None:
            request.headers["X-ASRS-Message-Tracing-Id"] = str(tracing_id)
        response = self._transport(request)
        if 200 <= response.status < 300:
            return response
        if is_absent(response):
            return None
        raise refusal(request, response)

    def is_healthy(self, timeout: float) -> bool:
        """Return whether the service says that it is well; ``False`` when it says that it is not.

        Raises:
            ServiceError: It says neither, or could not be reached.

        Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR.Management/ServiceManagerImpl.cs.
        """
        request = self._request("HEAD", f"api/health?api-version={API_VERSION}", "", None, timeout)
        response = self._transport(request)
        if response.status >= 500:
            return False
        if not 200 <= response.status < 300:
            raise refusal(request, response)
        return True

    def late(self, method: str, path: str, timeout: float, is_begun: bool) -> ServiceUnreachable:
        """Return the error of a call that has no answer in time, and may not even have been made."""
        fault = "was not asked within {:g} s, which the calls before this one took: allow more time"
        if is_begun:
            fault = "did not answer within {:g} s: try again later, or allow it more time"
        error = ServiceUnreachable(f"{self.name} {fault.format(timeout)}", method=method, path=path)
        error.may_have_arrived = is_begun
        return error

    def _request(self, method: str, resource: str, query: str, body: bytes | None, timeout: float) -> ServiceRequest:
        """Return the request for a resource, with a token that opens just this resource.

        As the SDK does, the token names the host without its port, and of the query what all calls have.
        """
        token = self._tokens.token(self.endpoint.audience_base_url + resource)
        headers = {"Authorization": f"Bearer {token}", "Asrs-User-Agent": _USER_AGENT}
        if body is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"
        return ServiceRequest(method, f"{self.endpoint.server_base_url}{resource}{query}", headers, body, timeout)
