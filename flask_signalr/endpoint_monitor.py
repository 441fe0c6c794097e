"""The thread that probes the service endpoints of an app, so that no request has to."""

import logging
import queue
import threading
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import replace
from math import inf

from flask_signalr.clocks import SYSTEM_CLOCKS, Clocks
from flask_signalr.endpoint_health import EndpointHealth, EndpointStatus, HealthSettings, NoVerdict
from flask_signalr.endpoints import EndpointGroup, ServiceEndpoint

logger = logging.getLogger("flask_signalr.endpoints")

Probe = Callable[[float], str | None]
"""Probes an endpoint within these seconds; returns why it takes no clients, ``None`` if it does.

It raises `NoVerdict` where it cannot find out: then what was known of the endpoint stays."""

Announce = Callable[[EndpointStatus], object]
"""Tells others of an endpoint that went up or down; must not block."""

Address = tuple[str, str]
KnownHealth = MutableMapping[Address, EndpointHealth]
"""What is known of each endpoint, by its `address_of`."""


def address_of(endpoint: ServiceEndpoint) -> Address:
    """Return what makes two descriptions of an endpoint share their health: where clients and calls go."""
    return endpoint.origin, endpoint.server_base_url


class EndpointMonitor:
    """Probes service endpoints, each by itself, and keeps ready the group of those that are up.

    One thread decides, which `start` begins; each probe has a short-lived thread of its own, because nothing limits how
    long a name server takes. All are daemons: none of them delays the end of the process.

    Args:
        probes: The endpoints, and how to probe each.
        settings: How often.
        known: What is known of them already; kept up to date.
        announce: Told of each change.
        clocks: Where time and chance come from.

    Attributes:
        group: The endpoints that are up, in their order.
    """

    def __init__(
        self,
        probes: Sequence[tuple[ServiceEndpoint, Probe]],
        settings: HealthSettings,
        known: KnownHealth,
        announce: Announce,
        clocks: Clocks = SYSTEM_CLOCKS,
    ) -> None:
        self._endpoints = [endpoint for endpoint, _ in probes]
        self._probes = [probe for _, probe in probes]
        self._settings = settings
        self._known = known
        self._announce = announce
        self._clocks = clocks
        self._deadlines: dict[int, float] = {}
        self._reports: queue.SimpleQueue[tuple[int, str | None, bool] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._is_started = False
        for endpoint in self._endpoints:
            health = known.get(address_of(endpoint)) or EndpointHealth(clocks.unix(), 0)
            first = clocks.steady() + settings.pause * clocks.luck()
            known[address_of(endpoint)] = replace(health, next_probe_at=first)
        self.group = self._up()

    def start(self) -> None:
        """Start the probing, unless it was; where no thread was to be had, the next call tries again."""
        if self._is_started:
            return
        with self._lock:
            if not self._is_started:
                self._is_started = _start_thread("flask-signalr-endpoints", self._run)

    def stop(self) -> None:
        """End the probing; may be called in any thread and in a finalizer, and again."""
        self._reports.put(None)

    def _run(self) -> None:
        while True:
            try:
                report = self._reports.get(timeout=self._time_left())
            except queue.Empty:  # only now: who has answered is not late, however late we look
                self._probe_all_due()
                continue
            if report is None:
                return
            number, fault, is_outcome = report
            if self._deadlines.pop(number) < inf:  # else it was given up, and this comes too late
                self._record(number, fault, is_outcome=is_outcome)

    def _time_left(self) -> float:
        """Return the seconds until something is to be done."""
        moments = [*self._deadlines.values(), *(health.next_probe_at for _, health in self._idle())]
        return max(min(moments) - self._clocks.steady(), 0)

    def _idle(self) -> Iterator[tuple[int, EndpointHealth]]:
        """Yield the health of the endpoints that no probe is under way at, but for one that was given up."""
        for number, endpoint in enumerate(self._endpoints):
            if self._deadlines.get(number, inf) == inf:
                yield number, self._known[address_of(endpoint)]

    def _probe_all_due(self) -> None:
        now = self._clocks.steady()
        late = [number for number, deadline in self._deadlines.items() if deadline <= now]
        due = [number for number, health in self._idle() if health.next_probe_at <= now]
        for number in late:
            self._deadlines[number] = inf
            self._record(number, f"no answer within {self._settings.timeout:g} s")
        for number in due:
            if number in self._deadlines:
                self._record(number, self._known[address_of(self._endpoints[number])].reason)  # that it was given up
            else:
                self._deadlines[number] = now + self._settings.patience
                if not _start_thread("flask-signalr-probe", self._probe, number):
                    self._reports.put((number, None, False))

    def _probe(self, number: int) -> None:
        try:
            report = number, self._probes[number](self._settings.timeout), True
        except NoVerdict:
            report = number, None, False
        except Exception:  # says nothing of the endpoint, and must not end the probing
            logger.exception("service endpoint %r cannot be probed", self._endpoints[number].name)
            report = number, None, False
        self._reports.put(report)

    def _record(self, number: int, fault: str | None, *, is_outcome: bool = True) -> None:
        endpoint, clocks = self._endpoints[number], self._clocks
        before = health = self._known[address_of(endpoint)]
        if is_outcome:
            health = before.probed(fault, self._settings, clocks.unix())
        self._known[address_of(endpoint)] = health.scheduled(self._settings, clocks.steady(), clocks.luck())
        if health.is_up == before.is_up:
            return
        self.group = self._up()
        name = endpoint.name or endpoint.url
        if health.is_up:
            logger.warning("service endpoint %r is up again", name)
        else:
            logger.warning("service endpoint %r is down, no clients are sent to it: %s", name, health.reason)
        try:
            self._announce(health.status(endpoint))
        except Exception:
            logger.exception("nobody could be told of service endpoint %r", name)

    def _up(self) -> EndpointGroup:
        return EndpointGroup(endpoint for endpoint in self._endpoints if self._known[address_of(endpoint)].is_up)


def _start_thread(name: str, function: Callable[..., None], *arguments: object) -> bool:
    """Start a thread that keeps no process alive; return whether there could be one."""
    try:
        threading.Thread(target=function, args=arguments, name=name, daemon=True).start()
    except RuntimeError as exc:  # the system's limit of threads, or the process ends
        logger.warning("service endpoints cannot be probed: %s", exc)
        return False
    return True
