"""Where calls go: to every service endpoint of an app, several at a time; and what comes of their answers."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from flask_signalr.errors import InvalidName
from flask_signalr.rest.calls import Call, HubAddress
from flask_signalr.rest.endpoint_client import EndpointClient
from flask_signalr.rest.exchange import ServiceResponse
from flask_signalr.rest.fan_out import Failure, Task, fan_out
from flask_signalr.service_errors import PartialFailure, RecipientNotFound, ServiceError

Outcome = ServiceResponse | Failure | None
"""What came of a call; ``None`` if what it names is not there."""
Outcomes = dict[str, Outcome]
"""What came of several calls, by what each was about."""


@dataclass(frozen=True, slots=True)
class HubCaller:
    """Calls of one hub, at all service endpoints.

    A client is connected to one of the endpoints and nobody knows to which, so that each call goes to all of them.

    Attributes:
        endpoints: The service endpoints.
        address: The hub.
        timeout: Seconds that a call may take, with its repetitions, at all endpoints together; several calls that are
            made at once have this time together. At an endpoint that is known to be down they have
            `EndpointClient.limit` of it.
        tracing_id: The number that the service's logs know the messages by; ``None`` for none.
    """

    endpoints: tuple[EndpointClient, ...] = field(repr=False)
    address: HubAddress
    timeout: float
    tracing_id: int | None = None

    def answer(self, endpoint: EndpointClient, call: Call, timeout: float | None = None) -> ServiceResponse | None:
        """Return one endpoint's answer; ``None`` if it says that what the call names is not there."""
        return endpoint.answer(self.address, call, self.timeout if timeout is None else timeout, self.tracing_id)

    def run(self, *calls: Call, refused: Mapping[str, InvalidName] | None = None) -> None:
        """Make the calls; what they name and is not there is no error.

        Args:
            *calls: The calls.
            refused: The errors of recipients for whom there is no call, by what is shown of them: they fail, and keep
                nobody else from being told.

        Raises:
            ServiceError: A call failed, if it was the only one.
            InvalidName: No call can name the only recipient.
            PartialFailure: Some of several calls failed, or no time was left for them; the others were made.
        """
        if len(calls) == 1 and len(self.endpoints) == 1 and not refused and self.endpoints[0].limit() is None:
            self.answer(self.endpoints[0], calls[0])
        else:
            raise_failures({**(refused or {}), **self._outcomes(calls)})

    def exists(self, call: Call) -> bool:
        """Return whether any endpoint has what the call asks for; the first that has it decides.

        Raises:
            ServiceError: None has it, and not all could be asked.
        """
        outcomes = self._outcomes([call], _is_answer)
        if any(_is_answer(outcome) for outcome in outcomes.values()):
            return True
        raise_failures(outcomes)
        return False

    def reach(self, call: Call) -> ServiceResponse:
        """Return the answer of the endpoint that has the call's recipient.

        Raises:
            RecipientNotFound: None has it.
            ServiceError: None has it, and not all could be asked; or the one that has it refused.
        """
        outcomes = self._outcomes([call], _is_answer)
        for outcome in outcomes.values():
            if isinstance(outcome, ServiceResponse):
                return outcome
        raise_failures({name: out for name, out in outcomes.items() if not isinstance(out, RecipientNotFound)})
        for outcome in outcomes.values():
            if isinstance(outcome, RecipientNotFound):
                raise outcome
        raise RecipientNotFound(
            f"{call.subject} is not connected, or no longer: nothing was delivered",
            method=call.method,
            path=self.address.path_of(call),
            status=404,
        )

    def ask_each(self, call: Call, while_down: float) -> list[Outcome]:
        """Return what came of a call at each endpoint, in the order of the endpoints; no moment after the time is over.

        Args:
            call: The call.
            while_down: Seconds that it may take at most at an endpoint that is known to be down.
        """
        tasks = [self._task(call, endpoint, while_down) for endpoint in self.endpoints]
        outcomes = fan_out(tasks, self.timeout, grace=0)
        return [outcomes[place] for place in range(len(tasks))]

    def _outcomes(
        self, calls: Sequence[Call], is_enough: Callable[[Outcome], bool] = lambda outcome: False
    ) -> Outcomes:
        """Return what came of each call at each endpoint, by what it was about; no more once something is enough."""
        several = len(self.endpoints) > 1
        named = [
            (f"{call.subject} at {endpoint.name}" if several else call.subject, self._task(call, endpoint))
            for call in dict.fromkeys(calls)
            for endpoint in self.endpoints
        ]
        outcomes = fan_out([task for _, task in named], self.timeout, is_enough)
        return {named[place][0]: outcome for place, outcome in sorted(outcomes.items())}

    def _task(self, call: Call, endpoint: EndpointClient, while_down: float = math.inf) -> Task[ServiceResponse | None]:
        path = self.address.path_of(call)
        known = endpoint.limit()
        limit = self.timeout if known is None else min(self.timeout, known, while_down)

        def late(is_begun: bool) -> ServiceError:
            return endpoint.late(call.method, path, limit, is_begun)

        if known is None:
            return Task(endpoint.workers, lambda timeout: self.answer(endpoint, call, timeout), late)
        end = time.monotonic() + limit  # of all calls of one fan-out, and of those that wait for a free thread

        def answer_in_time(timeout: float) -> ServiceResponse | None:
            left = min(timeout, end - time.monotonic())
            if left <= 0:
                raise late(False)
            return self.answer(endpoint, call, left)

        return Task(endpoint.workers, answer_in_time, late, limit)


def _is_answer(outcome: Outcome) -> bool:
    return isinstance(outcome, ServiceResponse)


def raise_failures(outcomes: Outcomes) -> None:
    """Raise the failures among what came of several calls, or of a single one.

    Raises:
        ServiceError: The only call failed.
        InvalidName: No call can name the only recipient.
        PartialFailure: Some of several calls failed.
    """
    failures = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, Failure)}
    if failures and len(outcomes) == 1:
        raise next(iter(failures.values()))
    if failures:
        raise PartialFailure(failures, len(outcomes))
