"""The road from an app under test to the service: the REST API without sockets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

import msgspec

from flask_signalr.emulator.entra import NO_ENTRA_TOKEN, EntraCaller, EntraVerdict
from flask_signalr.emulator.rest.api import RestApi
from flask_signalr.emulator.rest.request import RestRequest
from flask_signalr.emulator.rest.response import PendingResult, RestResponse
from flask_signalr.emulator.service import Service
from flask_signalr.emulator.settings import EmulatorSettings
from flask_signalr.emulator.tokens import TokenCheck
from flask_signalr.endpoints import ServiceEndpoint
from flask_signalr.rest.exchange import ServiceRequest, ServiceResponse
from flask_signalr.testing.exchange import Exchange

_APP = "the app under test"


class RestRoad:
    """A transport of the app's service client that ends at the emulated service.

    Args:
        exchange: The service.
        endpoints: Returns the service endpoints of the app, as it has them now; all of them are this one service.
        settings: The service's settings.
        clock: Returns the time in Unix seconds, for tokens.
        places: At which endpoint a connection is, by its connection token.
    """

    def __init__(
        self,
        exchange: Exchange,
        endpoints: Callable[[], Sequence[ServiceEndpoint]],
        settings: EmulatorSettings,
        clock: Callable[[], float],
        places: Mapping[str, ServiceEndpoint],
    ) -> None:
        self._exchange = exchange
        self._endpoints = endpoints
        self._settings = settings
        self._clock = clock
        self._places = places

    def __call__(self, request: ServiceRequest) -> ServiceResponse:
        """Return the service's answer; what it sends to clients has arrived."""
        call = RestRequest.to_url(request.method, request.url, request.headers, request.body or b"")
        endpoint = self._endpoint(request.url)
        host, port = _place(endpoint)
        settings = replace(self._settings, host=host, port=port)
        verdict = EntraVerdict(EntraCaller(_APP)) if endpoint.key is None and call.access_token else NO_ENTRA_TOKEN
        if self._is_elsewhere(call, endpoint):
            return ServiceResponse(404, {})
        answer = self._exchange.step(
            lambda service, now: RestApi(service, token_check(endpoint, service), settings).answer(
                call, now, self._clock(), verdict
            )
        )
        response = self._awaited(answer) if isinstance(answer, PendingResult) else answer
        self._exchange.settle()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return ServiceResponse(response.status, headers, response.body)

    def _is_elsewhere(self, call: RestRequest, endpoint: ServiceEndpoint) -> bool:
        """Tell whether a call names a connection that is at another endpoint: there must be one who says yes."""
        if not call.path.endswith(("/connections/:refreshAuth", "/connections/claims")):
            return False
        place = self._places.get(msgspec.json.decode(call.body)["connectionToken"], endpoint)
        return not is_same_place(place, endpoint)

    def _endpoint(self, url: str) -> ServiceEndpoint:
        return next(each for each in self._endpoints() if url.startswith(each.server_base_url))

    def _awaited(self, pending: PendingResult) -> RestResponse:
        """Return the answer that a client gives; its handler runs here."""
        self._exchange.settle()
        self._exchange.wait_for(lambda: pending.response is not None, pending.within)
        return pending.response or self._exchange.step(lambda *_: pending.give_up())


def is_same_place(endpoint: ServiceEndpoint, other: ServiceEndpoint) -> bool:
    """Tell whether two endpoints are one, whatever keys the app knows of it."""
    return endpoint.server_base_url == other.server_base_url


def token_check(endpoint: ServiceEndpoint, service: Service) -> TokenCheck:
    """Return the check that one endpoint of a service makes."""
    host, port = _place(endpoint)
    keys = service.access_keys if endpoint.access_key is None else (endpoint.access_key,)
    return TokenCheck(keys, frozenset({host}), port, service.exchanged_keys)


def _place(endpoint: ServiceEndpoint) -> tuple[str, int]:
    """Return the host and the port that tokens for an endpoint may name."""
    url = urlsplit(endpoint.url)
    return urlsplit(endpoint.audience_base_url).hostname or "", url.port or (443 if url.scheme == "https" else 80)
