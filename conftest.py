"""What all tests share: the examples in the documents are tests, and nothing is left out in silence."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Generator
from typing import Any

import hypothesis
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser

from flask_signalr import BearerAuth, SignalR
from flask_signalr.emulator.settings import EmulatorSettings
from flask_signalr.errors import MissingExtra
from tests.apps import bearer_headers, create_app
from tests.signing import SECRET


def _stand_in_a_module(namespace: dict[str, Any]) -> None:
    namespace["__name__"] = __name__  # as `Flask(__name__)` wants it


@pytest.fixture
def environment_of_examples(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Set what the documents tell their reader to export, and take back what they tell the logger."""
    monkeypatch.setenv("FLASK_SIGNALR_CONNECTION_STRING", EmulatorSettings().connection_string)
    yield
    logging.getLogger("flask_signalr.negotiate").setLevel(logging.NOTSET)


@pytest.fixture
def app() -> Flask:
    """An app with one hub, ``chat``, whose callers sign in with a bearer token."""
    signalr = SignalR(auth=[BearerAuth(SECRET)])
    signalr.hub("chat")
    return create_app(signalr)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def bearer() -> Callable[..., dict[str, str]]:
    """The headers of a caller: ``bearer("ada", "staff")``."""
    return bearer_headers


class _Examples(PythonEvaluator):
    """Runs examples. Of a document that needs an extra which this machine lacks, the rest is left out, as tests are."""

    def __call__(self, example: Example) -> None:
        reason = example.namespace.get("left_out")
        if reason is None:
            try:
                return super().__call__(example)
            except MissingExtra as exc:
                reason = example.namespace["left_out"] = str(exc)
        pytest.skip(reason)


# There is no parser that skips: every Python block of a document runs, in order and in one namespace.
pytest_collect_file = Sybil(
    parsers=[CodeBlockParser("python", _Examples())],
    patterns=["*.md"],
    setup=_stand_in_a_module,
    fixtures=["environment_of_examples"],
).pytest()

# Nothing is judged by the clock: machines are busy.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")


def _refuse_to_leave_out(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Make a skip a failure in CI, where everything that the tests need can be installed."""
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"CI leaves nothing out. {_reason(report)}"


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_to_leave_out(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_to_leave_out(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reasons = Counter(_reason(report) for report in terminalreporter.getreports("skipped"))
    if reasons:
        terminalreporter.section("LEFT OUT: this run did not test everything", red=True, bold=True)
    for reason, count in sorted(reasons.items()):
        terminalreporter.line(f"{count} x {reason.removeprefix('Skipped: ')}", red=True)
