"""What tests of several modules share: real programs that they talk to, and a clock that stands."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Playwright, expect, sync_playwright

from flask_signalr.emulator import Emulator
from tests import kdc, redis_server, slapd
from tests.client_process import ClientProcess, missing_node_client, missing_python_clients
from tests.demo_page import Browsing
from tests.demo_site import CLIENT, DemoSite, demo_site
from tests.entra import Clock, Credential
from tests.entra_authority import EntraAuthority
from tests.intranet import Intranet, running_intranet
from tests.live import live_emulator
from tests.oidc import OidcProvider, missing_requirement

BROWSERS = ("chromium", "chromium-browser", "google-chrome")

# Keeps the browser from calling home.
BROWSER_ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

expect.set_options(timeout=30_000)  # in ms; machines are busy, and what is expected comes much sooner


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Let Playwright drive the Chromium that is installed; its sandbox does not work for root."""
    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if chromium is None:
        pytest.skip("tests in a real browser: there is no Chromium on PATH")
    return {
        **browser_type_launch_args,
        "executable_path": chromium,
        "chromium_sandbox": False,
        "args": BROWSER_ARGUMENTS,
    }


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    """Run Playwright for one module's tests: no other event loop, such as pytest-asyncio's, can run meanwhile."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright, browser_type_launch_args: dict[str, Any]) -> Iterator[Browser]:
    chromium = playwright.chromium.launch(**browser_type_launch_args)
    yield chromium
    chromium.close()


@pytest.fixture(scope="module")
def browser_context_args() -> dict[str, Any]:
    return {}


@pytest.fixture
def browsing(new_context: Callable[..., BrowserContext]) -> Iterator[Browsing]:
    """Fail a test whose pages write errors to the console, throw, or have requests that fail."""
    if not CLIENT.exists():
        pytest.skip("tests in a real browser: demo/node_modules is not there; 'npm ci --prefix demo' makes it")
    browsing = Browsing(new_context)
    yield browsing
    assert browsing.unexpected() == []


@pytest.fixture
def clock() -> Clock:
    """Return the time of a test that turns it."""
    return Clock()


@pytest.fixture
def credential(clock: Clock) -> Credential:
    """Return what has a token of Microsoft Entra ID at once."""
    return Credential(clock)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Return a service in a thread of its own."""
    with live_emulator() as running:
        yield running


@pytest.fixture
def site(emulator: Emulator, tmp_path: Path) -> Iterator[DemoSite]:
    """Return the demo, which runs; modules whose tests visit another site have a fixture of this name themselves."""
    with demo_site(emulator, tmp_path / "record") as running:
        yield running


@pytest.fixture(scope="module", params=["pysignalr", "signalrcore"])
def clients(request: pytest.FixtureRequest) -> Iterator[ClientProcess]:
    """Return the process of pysignalr, and then of signalrcore: in both, the clients of an app."""
    if missing := missing_python_clients():
        pytest.skip(f"the tests with the Python clients: {missing}")
    with ClientProcess.python(request.param) as process:
        yield process


@pytest.fixture(scope="module")
def node() -> Iterator[ClientProcess]:
    """Return the process of the official JavaScript client."""
    if missing := missing_node_client():
        pytest.skip(f"the tests with the official JavaScript client: {missing}")
    with ClientProcess.node() as process:
        yield process


def _provider() -> Iterator[OidcProvider]:
    missing = missing_requirement()
    if missing is not None:
        pytest.skip(f"tests against a real OpenID Connect provider: {missing}")
    with OidcProvider() as provider:
        yield provider


@pytest.fixture(scope="session")
def oidc_provider() -> Iterator[OidcProvider]:
    """Return a running OpenID Connect provider; its keys stay the same."""
    yield from _provider()


@pytest.fixture(scope="session")
def other_oidc_provider() -> Iterator[OidcProvider]:
    """Return a second provider, another issuer with keys of its own."""
    yield from _provider()


@pytest.fixture
def own_oidc_provider() -> Iterator[OidcProvider]:
    """Return a provider of the test's own, which it may change and stop."""
    yield from _provider()


@pytest.fixture(scope="session")
def _running_intranet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intranet]:
    missing = kdc.missing_requirement()
    if missing is not None:
        pytest.skip(f"tests in a real Kerberos realm: {missing}")
    with running_intranet(tmp_path_factory.mktemp("intranet")) as intranet:
        yield intranet


@pytest.fixture
def intranet(_running_intranet: Intranet, monkeypatch: pytest.MonkeyPatch) -> Intranet:
    """Return a Kerberos realm that this process is a service of, for the time of a test."""
    for name, value in _running_intranet.environment.items():
        monkeypatch.setenv(name, value)
    return _running_intranet


def _directory(folder: Path) -> Iterator[slapd.Slapd]:
    missing = slapd.missing_requirement()
    if missing is not None:
        pytest.skip(f"tests against a real directory: {missing}")
    with slapd.Slapd(folder) as directory:
        yield directory


@pytest.fixture(scope="session")
def directory_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slapd.Slapd]:
    """Return a running directory; tests add entries of their own and leave those of others alone."""
    yield from _directory(tmp_path_factory.mktemp("slapd"))


@pytest.fixture
def own_directory_server(tmp_path: Path) -> Iterator[slapd.Slapd]:
    """Return a directory of the test's own, which it may pause and stop."""
    yield from _directory(tmp_path)


@pytest.fixture
def entra_authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EntraAuthority]:
    """Return a running authority of Microsoft Entra tokens, which emulators in this process trust."""
    with EntraAuthority(tmp_path) as authority:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))  # read by OpenSSL
        yield authority


def _redis() -> Iterator[redis_server.RedisServer]:
    missing = redis_server.missing_requirement()
    if missing is not None:
        pytest.skip(f"tests with a real Redis: {missing}")
    # pytest's own folders have long names, and a socket's path must be short.
    with tempfile.TemporaryDirectory() as folder, redis_server.RedisServer(Path(folder)) as server:
        yield server


@pytest.fixture(scope="session")
def running_redis() -> Iterator[redis_server.RedisServer]:
    """Return a running Redis; tests use keys of their own and leave those of others alone."""
    yield from _redis()


@pytest.fixture
def own_redis() -> Iterator[redis_server.RedisServer]:
    """Return a Redis of the test's own, which it may pause, stop and empty."""
    yield from _redis()


@pytest.fixture(scope="session")
def tls_redis() -> Iterator[redis_server.RedisServer]:
    """Return a running Redis that speaks TLS, with a certificate for ``localhost`` and for nothing else."""
    missing = redis_server.missing_tls()
    if missing is not None:
        pytest.skip(f"tests with a real Redis over TLS: {missing}")
    with tempfile.TemporaryDirectory() as folder, redis_server.RedisServer(Path(folder), ("localhost",)) as server:
        yield server
