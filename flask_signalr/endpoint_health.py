"""The health of a service endpoint: what the outcomes of its probes make of it."""

from dataclasses import dataclass, replace

from flask_signalr.endpoints import EndpointType, ServiceEndpoint
from flask_signalr.errors import ConfigurationError

_LONGEST_PAUSE = 1.0
_SHORTEST_INTERVAL = 1
_JITTER = 0.1
_MOST_DOUBLINGS = 32


class NoVerdict(Exception):
    """A probe could not find out whether an endpoint takes clients: neither a failure nor a success of it."""


@dataclass(frozen=True)
class HealthSettings:
    """How service endpoints are probed.

    Whatever is chosen, an endpoint that stops answering is out of the choice within two intervals.

    Attributes:
        interval: Seconds between the probes of an endpoint that is up; 0 probes nothing.
        timeout: Seconds that a probe may take.
        failures: Probes in a row that must fail before an endpoint is down.
        successes: Probes in a row that must succeed before it is up again.

    Raises:
        ConfigurationError: The interval is too short for the probes that find an endpoint down.
    """

    interval: float = 30  # .NET's two minutes would send a region's clients into the void for so long
    timeout: float = 2
    failures: int = 2
    successes: int = 1

    def __post_init__(self) -> None:
        if 0 < self.interval < _SHORTEST_INTERVAL or 0 < self.interval <= self.failures * self.timeout:
            raise ConfigurationError(
                f"SIGNALR_HEALTH_INTERVAL: {self.interval:g} s are too short for {self.failures} probes "
                f"(SIGNALR_HEALTH_FAILURES) of up to {self.timeout:g} s (SIGNALR_HEALTH_TIMEOUT); give more, at least "
                f"{_SHORTEST_INTERVAL}, or 0 to probe nothing"
            )

    @property
    def pause(self) -> float:
        """Seconds until a surprising outcome is looked at again.

        They leave so much of an interval that the probes which find an endpoint down fit into it.
        """
        return min(_LONGEST_PAUSE, (self.interval - self.failures * self.timeout) / (2 * self.failures))

    @property
    def patience(self) -> float:
        """Seconds after which a probe has failed, whatever it is still waiting for."""
        return self.timeout + self.pause / 2


DEFAULT_HEALTH = HealthSettings()


@dataclass(frozen=True)
class EndpointStatus:
    """What is known of a service endpoint.

    Attributes:
        name: What the configuration calls it; may be empty.
        url: Its base URL.
        type: ``primary`` or ``secondary``.
        is_up: Whether clients are sent to it.
        since: Since when it has been so, in Unix seconds.
        checked_at: When it was last probed, in Unix seconds; ``None`` for never.
        reason: Why the last probe failed; empty if it did not.
    """

    name: str
    url: str
    type: EndpointType
    is_up: bool
    since: float
    checked_at: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class EndpointHealth:
    """The health of one service endpoint, as one process sees it; up until probes say otherwise.

    Attributes:
        since: When it last went up or down, in Unix seconds.
        next_probe_at: When it is to be probed, in the seconds of the caller's steady clock.
        is_up: Whether clients are sent to it.
        checked_at: When it was last probed, in Unix seconds; ``None`` for never.
        reason: Why the last probe failed; empty if it did not.
        failures: Probes in a row that failed.
        successes: Probes in a row that succeeded.
    """

    since: float
    next_probe_at: float
    is_up: bool = True
    checked_at: float | None = None
    reason: str = ""
    failures: int = 0
    successes: int = 0

    def status(self, endpoint: ServiceEndpoint) -> EndpointStatus:
        """Return what is known of the endpoint whose health this is."""
        return EndpointStatus(
            endpoint.name, endpoint.url, endpoint.type, self.is_up, self.since, self.checked_at, self.reason
        )

    def probed(self, fault: str | None, settings: HealthSettings, unix: float) -> "EndpointHealth":
        """Return the health after a probe; `scheduled` says when the next one is due.

        Args:
            fault: Why the probe failed; ``None`` if it succeeded.
            settings: How many outcomes change the health.
            unix: The time in Unix seconds.
        """
        failures, successes = (0, self.successes + 1) if fault is None else (self.failures + 1, 0)
        is_up = failures < settings.failures if self.is_up else successes >= settings.successes
        return replace(
            self,
            since=self.since if is_up == self.is_up else unix,
            is_up=is_up,
            checked_at=unix,
            reason=fault or "",
            failures=failures,
            successes=successes,
        )

    def scheduled(self, settings: HealthSettings, now: float, luck: float) -> "EndpointHealth":
        """Return the same health, to be probed when it is time: soon after a surprise, else after an interval.

        While it is down the pauses grow from a short one to an interval, so that a short outage ends soon and a long
        one costs no more than health does.

        Args:
            settings: How often to probe.
            now: The time of the caller's steady clock.
            luck: A random number from 0 to 1, so that the workers of an app do not all ask at once.
        """
        pause = settings.interval
        if self.is_up == bool(self.failures):  # up and a probe failed, or down and none did
            pause = settings.pause
        elif not self.is_up:
            doublings = min(max(self.failures - settings.failures, 0), _MOST_DOUBLINGS)
            pause = min(settings.pause * 2**doublings, settings.interval)
        return replace(self, next_probe_at=now + pause * (1 - _JITTER * luck))
