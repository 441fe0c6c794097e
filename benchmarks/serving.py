"""(c) Requests per second on one core, under granian, beside Express."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.apps import CONNECTION_STRING, bearer_token
from benchmarks.measure import Bound, Row
from benchmarks.wsgi import HEADERS

HERE = Path(__file__).parent
ROUNDS = 12
SECONDS = 1
"""What one turn of a subject takes."""
CONNECTIONS = 32
START_WITHIN = 20
"""Seconds that a server may take to answer."""

BARE, ANONYMOUS, BEARER = "bare view", "anonymous", "bearer HS256"
QUICKSTART = "anonymous, app without sessions"
TUNED, DOCUMENTED = "Express, tuned key", "Express as Microsoft's docs write it"


class CannotMeasure(Exception):
    """A program that the measurement needs is missing or does not work; the text names the remedy."""


@dataclass(frozen=True)
class Target:
    """Something that answers negotiate requests."""

    port: int
    path: str
    headers: dict[str, str] = field(default_factory=dict)


def run(progress: Callable[[str], None]) -> list[Row]:
    """Start all servers on one core, load them from the other by turns, and compare their requests per second.

    Raises:
        CannotMeasure: There is one core only, a program is missing, or a server does not answer as it should.
    """
    cores = two_cores(("node", "nodejs npm"))
    if not (HERE / "node_modules" / "express").exists():
        raise CannotMeasure("Express is not installed; 'make bench' does it, or: cd benchmarks && npm ci")
    with _servers(cores[0]) as targets:
        rates = load_in_turns(targets, cores[1], ROUNDS, progress)
    return [
        row(rates, ANONYMOUS, BARE, Bound(at_least=0.95)),
        row(rates, BEARER, BARE, Bound(at_least=0.6)),
        row(rates, QUICKSTART, TUNED, Bound(at_least=0.95)),
        row(rates, QUICKSTART, DOCUMENTED, Bound(at_least=5.0)),
    ]


def two_cores(*programs: tuple[str, str]) -> tuple[int, int]:
    """Return the core for the servers and the one for the load.

    Args:
        *programs: What is needed besides wrk and taskset: its name, and Debian's package.

    Raises:
        CannotMeasure: There is one core only, or a program is missing.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise CannotMeasure("two cores are needed: one for the servers, one for the load")
    for program, package in (("wrk", "wrk"), ("taskset", "util-linux"), *programs):
        if shutil.which(program) is None:
            raise CannotMeasure(f"the program {program} is missing; on Debian: apt-get install {package}")
    return cores[0], cores[1]


def row(rates: dict[str, list[float]], subject: str, peer: str, bound: Bound | None = None) -> Row:
    """Return how many requests a second a subject answers, beside its peer, in the same rounds."""
    ratio = median(ours / theirs for ours, theirs in zip(rates[subject], rates[peer], strict=True))
    return Row(subject, f"{median(rates[subject]):.0f}/s", peer, f"{median(rates[peer]):.0f}/s", ratio, bound)


def load_in_turns(
    targets: dict[str, Target], core: int, rounds: int, progress: Callable[[str], None]
) -> dict[str, list[float]]:
    """Return the requests per second of each target in each round, loaded from one core."""
    for name, target in targets.items():
        progress(f"warming up: {name}")
        _load(target, core, SECONDS)
    rates: dict[str, list[float]] = {name: [] for name in targets}
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        for name in targets if number % 2 else reversed(targets):
            rates[name].append(_load(targets[name], core, SECONDS))
    return rates


def _load(target: Target, core: int, seconds: int) -> float:
    """Return the requests per second that wrk gets answered, all of them with success."""
    url = f"http://127.0.0.1:{target.port}{target.path}?negotiateVersion=1"
    headers = HEADERS | {"Host": f"127.0.0.1:{target.port}", "Origin": f"http://127.0.0.1:{target.port}"}
    options = [option for name, value in (headers | target.headers).items() for option in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(HERE / "negotiate.lua"), *options, url]
    ended = subprocess.run(pinned(core, command), check=False, capture_output=True, text=True, timeout=seconds + 30)
    if ended.returncode != 0:
        raise CannotMeasure(f"wrk failed: {ended.stderr.strip()}")
    result = json.loads(ended.stdout.strip().splitlines()[-1])
    if result["refused"] or result["broken"] or not result["requests"]:
        raise CannotMeasure(f"{target.path} did not answer each request with success: {result}")
    return float(result["requests"] / result["microseconds"] * 1e6)


@contextmanager
def _servers(core: int) -> Iterator[dict[str, Target]]:
    """Run all servers on one core and yield what to load; who is not loaded, waits.

    Views of Flask are compared within one app. Express, which opens no sessions, is compared with an app that opens
    none either.
    """
    with ExitStack() as servers:
        flask = servers.enter_context(server(core, granian("create_app")))
        quickstart = servers.enter_context(server(core, granian("create_quickstart")))
        tuned = servers.enter_context(server(core, _express("tuned")))
        documented = servers.enter_context(server(core, _express("documented")))
        yield {
            BARE: Target(flask, "/bare"),
            ANONYMOUS: Target(flask, "/open/negotiate"),
            BEARER: Target(flask, "/bearer/negotiate", {"Authorization": f"Bearer {bearer_token()}"}),
            QUICKSTART: Target(quickstart, "/open/negotiate"),
            TUNED: Target(tuned, "/open/negotiate"),
            DOCUMENTED: Target(documented, "/open/negotiate"),
        }


def granian(factory: str, workers: int = 1) -> list[str]:
    """Return the command that serves what a function of `benchmarks.apps` makes."""
    command = [sys.executable, "-m", "granian", f"benchmarks.apps:{factory}", "--factory", "--interface", "wsgi"]
    return [*command, "--workers", str(workers), "--blocking-threads", "1", "--no-ws", "--log-level", "error", "--port"]


def _express(kind: str) -> list[str]:
    return ["node", str(HERE / "express.mjs"), kind]


@contextmanager
def server(core: int, command: list[str], **variables: str) -> Iterator[int]:
    """Run a server on a core, with more environment variables; its command ends with a port, which is yielded."""
    port = _free_port()
    environment = os.environ | {"NODE_ENV": "production", "SIGNALR_CONNECTION_STRING": CONNECTION_STRING} | variables
    process = subprocess.Popen(
        pinned(core, [*command, str(port)]), env=environment, cwd=HERE.parent, stdin=subprocess.DEVNULL
    )
    try:
        _wait_until_open(process, port)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_open(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_WITHIN
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise CannotMeasure(f"a server did not start: {process.args!r}")


def pinned(core: int, command: list[str]) -> list[str]:
    return ["taskset", "--cpu-list", str(core), *command]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
