"""One exchange with the service, as values; whoever turns the one into the other is a transport."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ServiceRequest:
    """A request to the service.

    Attributes:
        method: The HTTP method; of ``GET``, ``HEAD``, ``PUT`` and ``DELETE`` a repetition does no harm.
        url: The complete URL.
        headers: The headers; one of them is the service token.
        body: The body; ``None`` for none.
        timeout: Seconds that the exchange may take, with all its repetitions.
        may_repeat: Whether a failure may be followed by another try.
    """

    method: str
    url: str
    headers: dict[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)
    timeout: float
    may_repeat: bool = True


@dataclass(frozen=True, slots=True)
class ServiceResponse:
    """The service's answer.

    Attributes:
        status: The HTTP status.
        headers: The headers, their names in lower case.
        body: The body.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)


Transport = Callable[[ServiceRequest], ServiceResponse]
"""Carries a request to the service; raises `flask_signalr.ServiceUnreachable` when there is no answer."""
