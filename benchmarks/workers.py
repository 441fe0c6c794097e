"""(j) Requests per second of one core, whoever shares it: worker processes, each of which looks after its endpoints."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from itertools import product

from benchmarks.accepting import accepting_server
from benchmarks.apps import bearer_token
from benchmarks.measure import Bound, Row
from benchmarks.outages import endpoints_of
from benchmarks.serving import Target, granian, load_in_turns, row, server, two_cores

WORKERS = (1, 4)
ENDPOINTS = (1, 10, 100)
"""Every second one is down; a single one is up and never probed."""

ROUNDS = 10


def run(progress: Callable[[str], None]) -> list[Row]:
    """Start a server for each number of workers and of endpoints on one core, and load them from the other by turns.

    Raises:
        CannotMeasure: As `two_cores`, or a server does not answer as it should.
    """
    servers_core, load_core = two_cores()
    headers = {"Authorization": f"Bearer {bearer_token()}"}
    with ExitStack() as running:
        ports = running.enter_context(accepting_server(max(ENDPOINTS)))
        targets = {}
        for workers, endpoints in product(WORKERS, ENDPOINTS):
            known = json.dumps(endpoints_of(ports, endpoints))
            command = granian("create_watching", workers)
            port = running.enter_context(server(servers_core, command, BENCHMARK_ENDPOINTS=known))
            targets[_name(workers, endpoints)] = Target(port, "/bearer/negotiate", headers)
        rates = load_in_turns(targets, load_core, ROUNDS, progress)
    one, *several = ENDPOINTS
    alone, *together = WORKERS
    return [
        *(row(rates, _name(alone, size), _name(alone, one), Bound(at_least=0.95)) for size in several),
        *(row(rates, _name(workers, size), _name(workers, one)) for workers, size in product(together, several)),
        *(row(rates, _name(workers, one), _name(alone, one)) for workers in together),
    ]


def _name(workers: int, endpoints: int) -> str:
    return f"{workers} worker{'s' * (workers > 1)}, {endpoints} endpoint{'s' * (endpoints > 1)}"
