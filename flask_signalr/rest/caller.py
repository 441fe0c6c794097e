"""Where calls go: to every service endpoint of an app, several at a time; and what comes of their answers."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from flask_signalr.errors import ServiceError
from flask_signalr.rest.calls import Call, HubAddress
from flask_signalr.rest.endpoint_client import EndpointClient
from flask_signalr.rest.exchange import ServiceResponse
from flask_signalr.rest.per_process import PerProcess
from flask_signalr.service_errors import RecipientNotFound, ServiceCallsFailed

CONCURRENT_CALLS = 8
"""Calls of a fan-out that are under way at once, in a process."""

_threads = PerProcess(lambda: ThreadPoolExecutor(CONCURRENT_CALLS, thread_name_prefix="flask-signalr"))

A = TypeVar("A")
R = TypeVar("R")


def side_by_side(function: Callable[[A], R], arguments: Sequence[A]) -> list[R | ServiceError]:
    """Return what a function returned for each argument, or the `ServiceError` that it raised; none stops another."""

    def outcome(argument: A) -> R | ServiceError:
        try:
            return function(argument)
        except ServiceError as exc:
            return exc

    if len(arguments) == 1:
        return [outcome(arguments[0])]
    return list(_threads().map(outcome, arguments))


Outcomes = dict[str, ServiceResponse | ServiceError | None]
"""What came of several calls, by what each was about."""


@dataclass(frozen=True, slots=True)
class HubCaller:
    """Calls of one hub, at all service endpoints.

    A client is connected to one of the endpoints and nobody knows to which, so that each call goes to all of them.

    Attributes:
        endpoints: The service endpoints.
        address: The hub.
        timeout: Seconds that one call may take, with its repetitions.
        tracing_id: The number that the service's logs know the messages by; ``None`` for none.
    """

    endpoints: tuple[EndpointClient, ...] = field(repr=False)
    address: HubAddress
    timeout: float
    tracing_id: int | None = None

    def answer(self, endpoint: EndpointClient, call: Call) -> ServiceResponse | None:
        """Return one endpoint's answer; ``None`` if it says that what the call names is not there."""
        return endpoint.answer(self.address, call, self.timeout, self.tracing_id)

    def run(self, *calls: Call) -> None:
        """Make the calls; what they name and is not there is no error.

        Raises:
            ServiceError: A call failed, if it was the only one.
            ServiceCallsFailed: Some of several calls failed; the others were made.
        """
        self._answers(calls)

    def exists(self, call: Call) -> bool:
        """Return whether any endpoint has what the call asks for.

        Raises:
            ServiceError: None has it, and not all could be asked.
        """
        outcomes = self._outcomes([call])
        if any(isinstance(outcome, ServiceResponse) for outcome in outcomes.values()):
            return True
        _raise_failures(outcomes)
        return False

    def reach(self, call: Call) -> ServiceResponse:
        """Return the answer of the endpoint that has the call's recipient.

        Raises:
            RecipientNotFound: None has it.
            ServiceError: None has it, and not all could be asked; or the one that has it refused.
        """
        outcomes = self._outcomes([call])
        for outcome in outcomes.values():
            if isinstance(outcome, ServiceResponse):
                return outcome
        _raise_failures({name: out for name, out in outcomes.items() if not isinstance(out, RecipientNotFound)})
        for outcome in outcomes.values():
            if isinstance(outcome, RecipientNotFound):
                raise outcome
        raise RecipientNotFound(
            f"{call.subject} is not connected, or no longer: nothing was delivered",
            method=call.method,
            path=f"/{self.address.path}{call.path}",
            status=404,
        )

    def _answers(self, calls: Sequence[Call]) -> None:
        if len(calls) == 1 and len(self.endpoints) == 1:
            self.answer(self.endpoints[0], calls[0])
        else:
            _raise_failures(self._outcomes(calls))

    def _outcomes(self, calls: Sequence[Call]) -> Outcomes:
        """Return what came of each call at each endpoint, by what it was about."""
        places = [(call, endpoint) for call in dict.fromkeys(calls) for endpoint in self.endpoints]
        outcomes = side_by_side(lambda place: self.answer(place[1], place[0]), places)
        several = len(self.endpoints) > 1
        names = [f"{call.subject} at {endpoint.name}" if several else call.subject for call, endpoint in places]
        return dict(zip(names, outcomes, strict=True))


def _raise_failures(outcomes: Outcomes) -> None:
    failures = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, ServiceError)}
    if failures and len(outcomes) == 1:
        raise next(iter(failures.values()))
    if failures:
        raise ServiceCallsFailed(failures, len(outcomes))
