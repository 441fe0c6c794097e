"""An app that gunicorn loads before it forks two workers: no worker waits for what only its parent had."""

import json
import os
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
import urllib3

from flask_signalr.emulator import Emulator
from tests.emulator_process import EmulatorProcess
from tests.entra_authority import EntraAuthority
from tests.forked_app import TOGETHER, WORKER
from tests.live import LONGEST_WAIT
from tests.server_process import ServerProcess
from tests.signing import is_signed
from tests.test_entra_live import settings_for

NEGOTIATE = "/chat/negotiate?negotiateVersion=1"


@pytest.fixture(autouse=True, scope="module")
def gunicorn() -> None:
    if not hasattr(os, "fork") or find_spec("gunicorn") is None:
        pytest.skip("workers that gunicorn forks: this system has no fork, or gunicorn is not installed")


either_way = pytest.mark.parametrize("used", [False, True], ids=["only loaded before the fork", "used before the fork"])


@dataclass(frozen=True)
class Workers:
    """A server with two workers, each of which answers one request at a time."""

    url: str

    def ask(self, method: str, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
        return urllib3.request(method, f"{self.url}{path}", headers=headers, timeout=2 * LONGEST_WAIT, retries=False)

    def each(self, method: str, path: str) -> list[urllib3.BaseHTTPResponse]:
        """Return what each of the workers answers."""
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda _: self.ask(method, path, **{TOGETHER: "1"}), range(2)))
        assert [answer.status < 300 for answer in answers] == [True, True], [answer.data for answer in answers]
        assert len({answer.headers[WORKER] for answer in answers}) == 2
        return answers


@contextmanager
def two_workers(*, used: bool, **config: str) -> Iterator[Workers]:
    with ServerProcess("gunicorn that forks", {"USED_BEFORE_THE_FORK": json.dumps(used), **config}) as server:
        workers = Workers(server.url)
        (loaded_by,) = {answer.json()["loaded_by"] for answer in workers.each("GET", "/process")}
        assert loaded_by not in {int(answer.headers[WORKER]) for answer in workers.each("GET", "/process")}
        yield workers


def places(workers: Workers) -> set[str]:
    """Return where twenty clients are sent to."""
    answers = [workers.ask("POST", NEGOTIATE) for _ in range(20)]
    assert {answer.status for answer in answers} == {200}
    return {answer.json()["url"].partition("/client/")[0] for answer in answers}


@either_way
def test_each_worker_probes_the_endpoints_by_itself(used: bool) -> None:
    """Each has one thread for it, and finds out what happens to an endpoint; none has its parent's."""
    with EmulatorProcess() as east, EmulatorProcess() as west:
        strings = {"east": east.connection_string, "west": west.connection_string}
        health = {"SIGNALR_HEALTH_INTERVAL": "1", "SIGNALR_HEALTH_TIMEOUT": "0.3"}
        with two_workers(used=used, SIGNALR_ENDPOINTS=json.dumps(strings), **health) as workers:
            before = [answer.json()["threads"] for answer in workers.each("GET", "/process")]
            workers.each("POST", NEGOTIATE)
            after = [answer.json()["threads"] for answer in workers.each("GET", "/process")]
            both = places(workers)
            east.stop()
            down = [answer.json() for answer in workers.each("GET", "/change")]
            one = places(workers)
            east.start()
            up = [answer.json() for answer in workers.each("GET", "/change")]
            again = places(workers)

    assert not any("flask-signalr-endpoints" in threads for threads in before)
    assert [threads.count("flask-signalr-endpoints") for threads in after] == [1, 1]
    assert (down, up) == ([["east", False]] * 2, [["east", True]] * 2)
    assert len(both) == 2
    assert len(one) == 1
    assert again == both


@either_way
def test_each_worker_gets_its_own_key_of_the_service(entra_authority: EntraAuthority, used: bool) -> None:
    """The credential of the app is one object before the fork, and one in each process after it."""
    with Emulator(settings_for(entra_authority)) as emulator:
        entra = {
            "SIGNALR_CONNECTION_STRING": emulator.settings.entra_connection_string,
            "ENTRA_AUTHORITY": entra_authority.url,
            "ENTRA_CERTIFICATE": str(entra_authority.certificate),
        }
        with two_workers(used=used, **entra) as workers:
            at_first = len(entra_authority.tokens)
            negotiated = [answer.json() for answer in workers.each("POST", NEGOTIATE)]
            fetched = len(entra_authority.tokens) - at_first
            sent = [answer.status for answer in workers.each("POST", "/news")]
            opened = [
                urllib3.request(
                    "POST",
                    f"{emulator.url}/client/negotiate?hub=chat&negotiateVersion=1",
                    headers={"Authorization": f"Bearer {answer['accessToken']}"},
                    timeout=LONGEST_WAIT,
                    retries=False,
                ).status
                for answer in negotiated
            ]

    assert (at_first, fetched) == ((1, 0) if used else (0, 2))  # azure-identity's own cache goes through the fork
    assert opened == [200, 200]
    assert sent == [202, 202]


def test_each_worker_takes_on_the_new_keys_of_a_file(tmp_path: Path) -> None:
    """By the recipe of docs/how-to/rotate-keys.md; a file that cannot be read changes nothing and fails no request."""
    old, new = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    file = tmp_path / "keys.json"

    def write(text: str) -> None:
        (tmp_path / "next.json").write_text(text)
        (tmp_path / "next.json").replace(file)

    def keys_of(key: str) -> dict[str, str]:
        return {"SIGNALR_CONNECTION_STRING": f"Endpoint=https://contoso.example;AccessKey={key};Version=1.0;"}

    def signed_with(workers: Workers) -> list[str]:
        tokens = [answer.json()["accessToken"] for answer in workers.each("POST", NEGOTIATE)]
        return [next(name for name, key in (("old", old), ("new", new)) if is_signed(token, key)) for token in tokens]

    write(json.dumps(keys_of(old)))
    with two_workers(used=False, KEY_FILE=str(file), **keys_of(old)) as workers:
        before = signed_with(workers)
        write(json.dumps(keys_of(new)))
        after = signed_with(workers)
        write("{")
        broken = signed_with(workers)

    assert (before, after, broken) == (["old"] * 2, ["new"] * 2, ["new"] * 2)
