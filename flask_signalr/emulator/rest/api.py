"""The data-plane REST API: what an app says to its clients, and who is in which group.

Values in, values out: `flask_signalr.emulator.rest.views` puts it on the wire, tests and fakes call it as it is.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from flask_signalr.emulator.entra import NO_ENTRA_TOKEN, EntraVerdict
from flask_signalr.emulator.entra_roles import EntraRoles
from flask_signalr.emulator.names import hub_name
from flask_signalr.emulator.rest.call import RestCall
from flask_signalr.emulator.rest.request import RestRequest
from flask_signalr.emulator.rest.response import PendingResult, RestResponse, error_response, identified
from flask_signalr.emulator.rest.routes import API_VERSIONS, Route, routes_of
from flask_signalr.emulator.service import Service
from flask_signalr.emulator.settings import EmulatorSettings
from flask_signalr.emulator.tokens import TokenCheck, challenge
from flask_signalr.errors import (
    AccessTokenTooLong,
    AuthenticationFailed,
    AuthorizationDenied,
    BadRequest,
    BodyTooLarge,
    InvalidClaim,
    ProtocolError,
    SignalRError,
    Unavailable,
    UnsupportedMediaType,
)

logger = logging.getLogger("flask_signalr.emulator")

_STATUS: Mapping[type[SignalRError], int] = {
    AuthenticationFailed: 401,
    AuthorizationDenied: 403,
    BadRequest: 400,
    ProtocolError: 400,
    InvalidClaim: 400,
    AccessTokenTooLong: 400,
    BodyTooLarge: 413,
    UnsupportedMediaType: 415,
    Unavailable: 503,
}

_T = TypeVar("_T")


@dataclass(frozen=True)
class Admission:
    """A call whose token, address and version are right; its body may be read now."""

    request: RestRequest
    route: Route
    names: Mapping[str, str]
    hub: str


class RestApi:
    """The REST API of one service.

    Args:
        service: The service that the calls are for.
        check: The check of access tokens.
        settings: The times and bounds to keep, and the keys that new tokens are signed with.
    """

    def __init__(self, service: Service, check: TokenCheck, settings: EmulatorSettings) -> None:
        self._service = service
        self._check = check
        self._settings = settings
        self._roles = EntraRoles(settings.entra_app_ids)

    def answer(
        self, request: RestRequest, now: float, unix_now: float, verdict: EntraVerdict = NO_ENTRA_TOKEN
    ) -> RestResponse | PendingResult:
        """Return the answer to a call, or where it will be.

        Args:
            request: The call.
            now: The time, in seconds of the service's clock.
            unix_now: The time, in Unix seconds, for tokens.
            verdict: What became of its token, if that is a Microsoft Entra token.
        """
        admission = self.admit(request, unix_now, verdict)
        if isinstance(admission, RestResponse):
            return admission
        return self.perform(admission, request.body, now, unix_now)

    def admit(
        self, request: RestRequest, unix_now: float, verdict: EntraVerdict = NO_ENTRA_TOKEN
    ) -> Admission | RestResponse:
        """Return what a call asks for, or why it may not; its body is not looked at, and need not be there yet."""
        return self._answered(request, lambda: self._admit(request, unix_now, verdict))

    def perform(self, admission: Admission, body: bytes, now: float, unix_now: float) -> RestResponse | PendingResult:
        """Do what an admitted call asks for."""
        request = replace(admission.request, body=body)
        call = RestCall(self._service, self._settings, admission.hub, admission.names, request, now, unix_now)
        return self._answered(request, lambda: self._perform(admission.route, call))

    def _admit(self, request: RestRequest, unix_now: float, verdict: EntraVerdict) -> Admission | RestResponse:
        found = list(routes_of(request.path))
        if not found:
            return error_response(404, "There is no such operation.")
        chosen = [(route, names) for route, names in found if route.method == request.method]
        if not chosen:
            allowed = ",".join(sorted(route.method for route, _ in found))
            return error_response(405, f"The method must be one of {allowed}.", headers={"Allow": allowed})
        ((route, names),) = chosen
        if route.is_public:
            return Admission(request, route, names, "")
        self._check_caller(request, route, unix_now, verdict)
        versions = API_VERSIONS[API_VERSIONS.index(route.since) :]
        if route.is_versioned and request.single("api-version") not in versions:
            raise BadRequest(f"The query parameter 'api-version' must be one of {', '.join(versions)}.")
        application = request.single("application")
        if application is not None and "application" not in route.query:
            raise BadRequest("This operation takes no 'application': name the hub 'application_hub' in the path.")
        hub = hub_name(names["hub"], application) if "hub" in names else ""
        return Admission(request, route, names, hub)

    def _check_caller(self, request: RestRequest, route: Route, unix_now: float, verdict: EntraVerdict) -> None:
        if verdict.refusal is not None:
            raise verdict.refusal
        if verdict.identity is not None:
            self._roles.check(verdict.identity, route.method, is_exchange=route.wants_entra)
        else:
            self._check.rest(request.access_token, request.path, request.query, unix_now)
            if route.wants_entra:
                raise AuthorizationDenied("This operation wants a Microsoft Entra token; an access key needs no other.")

    def _perform(self, route: Route, call: RestCall) -> RestResponse | PendingResult:
        if len(call.request.body) > self._settings.message_limit:
            raise BodyTooLarge(f"The body is longer than {self._settings.message_limit} bytes.")
        return route.operation(call)

    def _answered(self, request: RestRequest, act: Callable[[], _T]) -> _T | RestResponse:
        """Return what an act returns, or the answer that its error stands for."""
        try:
            answer = act()
        except tuple(_STATUS) as exc:
            logger.info("%s %a was refused: %s", request.method, request.path[:200], exc)
            status = next(_STATUS[kind] for kind in type(exc).__mro__ if kind in _STATUS)
            return self._finished(request, error_response(status, str(exc), headers=_advice(exc)))
        return self._finished(request, answer) if isinstance(answer, RestResponse) else answer

    def _finished(self, request: RestRequest, response: RestResponse) -> RestResponse:
        if request.method == "HEAD":
            response = replace(response, body=b"")
        return identified(response)


def _advice(refusal: SignalRError) -> Mapping[str, str]:
    """Return the headers that tell a refused caller what to try next."""
    match refusal:
        case AuthenticationFailed():
            return {"WWW-Authenticate": challenge(refusal)}
        case Unavailable(retry_after=seconds):
            return {"Retry-After": str(seconds)}
        case _:
            return {}
