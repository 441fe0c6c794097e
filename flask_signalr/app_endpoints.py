"""The service endpoints of an app: which there are, and which of them are up."""

import os
import time
import weakref
from collections.abc import Callable, Sequence

from flask_signalr.endpoint_health import EndpointHealth, EndpointStatus, HealthSettings
from flask_signalr.endpoint_monitor import Announce, EndpointMonitor, KnownHealth, Probe, address_of
from flask_signalr.endpoints import EndpointGroup, ServiceEndpoint

PROCESS_CHECK = 1
"""Seconds between two questions to the system which process this is: they take longer than all else of `reachable`.

Python tells of its own forks; a server that forks without it, as uWSGI does, is noticed by these questions.
"""

_forks = 0


def _count_fork() -> None:
    global _forks  # noqa: PLW0603 -- of the process, as forks are
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)


class AppEndpoints:
    """The service endpoints of one app; ``signalr.endpoints`` returns it.

    Each process probes for itself, from its first negotiation, message or `status` on. A single endpoint is never
    probed: clients could be sent nowhere else.

    Args:
        endpoints: All of them, primary ones first.

    Attributes:
        all: As given.
    """

    def __init__(self, endpoints: Sequence[ServiceEndpoint]) -> None:
        self.all = EndpointGroup(endpoints)
        self._group = self.all
        self._known: KnownHealth = {address_of(one): EndpointHealth(time.time(), 0) for one in endpoints}
        self._make: Callable[[], EndpointMonitor] | None = None
        self._monitors: dict[int, EndpointMonitor] = {}
        self._checked: tuple[float, int, EndpointMonitor | None] = (0, 0, None)

    def reachable(self) -> EndpointGroup:
        """Return the endpoints that are up, primary ones first; may be empty."""
        make = self._make  # read once: another thread may end the probing in between
        if make is None:
            return self._group
        now = time.monotonic()
        until, forks, monitor = self._checked
        if monitor is None or now > until or forks != _forks:
            monitor = self._monitors.get(os.getpid()) or self._start(make)  # a fork leaves the parent's thread behind
            monitor.start()
            self._checked = (now + PROCESS_CHECK, _forks, monitor)
        return monitor.group

    def status(self) -> list[EndpointStatus]:
        """Return what this process knows of each endpoint; those that were never probed count as up."""
        self.reachable()
        return [self._known[address_of(endpoint)].status(endpoint) for endpoint in self.all]

    def watch(self, probes: Sequence[Probe], settings: HealthSettings, announcer: Callable[[], Announce]) -> None:
        """Have the endpoints probed from their next use on, until `stop` or until nobody needs this object any more.

        Args:
            probes: How to probe each of `all`.
            settings: How often.
            announcer: Makes who is told of each change, in each process its own.
        """
        places, known = list(zip(self.all, probes, strict=True)), self._known
        self._make = lambda: EndpointMonitor(places, settings, known, announcer())

    def stop(self) -> None:
        """End the probing; who was up stays so."""
        if self._make is not None:
            self._group = EndpointGroup(one for one in self.all if self._known[address_of(one)].is_up)
            self._make = None
        monitor = self._monitors.get(os.getpid())
        if monitor is not None:
            monitor.stop()

    def take_over(self, former: "AppEndpoints") -> None:
        """Take over what was known of the endpoints that stay; they are probed anew all the same.

        What is not probed here is up: nothing would ever tell that it has come back.
        """
        if self._make is None:
            return
        for address in self._known.keys() & former._known.keys():
            self._known[address] = former._known[address]

    def _start(self, make: Callable[[], EndpointMonitor]) -> EndpointMonitor:
        """Return this process's monitor, the same one to threads that come first at once.

        It knows nothing of this object, so that its thread does not keep the app alive.
        """
        monitor = self._monitors.setdefault(os.getpid(), make())
        weakref.finalize(self, monitor.stop)
        if self._make is None:  # `stop` came in between and knew nothing of it
            monitor.stop()
        return monitor
