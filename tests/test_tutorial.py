"""The tutorial, done as it says: its files in an empty folder, its commands, and a real browser in front of it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

ROOT = Path(__file__).parent.parent
TUTORIAL = (ROOT / "docs" / "tutorial" / "first-page.md").read_text()
CLIENT = ROOT / "demo" / "node_modules" / "@microsoft" / "signalr" / "dist" / "browser" / "signalr.min.js"

FILE = re.compile(
    r"^\*\*(?P<name>[\w./]+)(?: \(continued\))?\*\*\n\n```\w+\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


def write_files(folder: Path) -> None:
    """Write the files that the tutorial shows, each part after the other."""
    for match in FILE.finditer(TUTORIAL):
        path = folder / match["name"]
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as file:
            file.write(match["text"])


@contextmanager
def running(command: list[str], folder: Path, pattern: str, environment: dict[str, str]) -> Iterator[str]:
    """Run a command of the tutorial and yield what it prints where the pattern has its group."""
    with subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            match = next(filter(None, (re.search(pattern, line) for line in process.stdout)), None)
            assert match is not None, f"{command} ended and did not print {pattern}"
            yield match[1]
        finally:
            process.terminate()


@pytest.fixture
def app_url(tmp_path: Path) -> Iterator[str]:
    """The tutorial's app and the emulator, as its reader has them at the end."""
    if not CLIENT.exists():
        pytest.skip("demo/node_modules is not there; 'npm ci --prefix demo' makes it")
    write_files(tmp_path)
    (tmp_path / "static").mkdir()
    shutil.copy(CLIENT, tmp_path / "static")
    with ExitStack() as stack:
        emulator = ["flask_signalr.emulator", "--port", "0"]
        connection_string = stack.enter_context(
            running(emulator, tmp_path, r"export FLASK_SIGNALR_CONNECTION_STRING='(.+)'", {})
        )
        environment = {"FLASK_SIGNALR_CONNECTION_STRING": connection_string}
        yield stack.enter_context(running(["flask", "run", "--port", "0"], tmp_path, r"(http://127\S+)", environment))


@contextmanager
def signed_in(browser: Browser, app_url: str, name: str) -> Iterator[Page]:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(app_url)
        page.get_by_label("Name").fill(name)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("#state")).to_have_text("connected")
        yield page


def test_the_message_for_ada_reaches_ada_and_nobody_else(app_url: str, browser: Browser) -> None:
    with signed_in(browser, app_url, "ada") as ada, signed_in(browser, app_url, "bob") as bob:
        sender = bob.context.new_page()

        sender.goto(f"{app_url}/tell/ada/hello")
        sender.goto(f"{app_url}/tell/bob/bye")

        expect(ada.locator("li")).to_have_text(["bob says: hello"])
        expect(bob.locator("li")).to_have_text(["bob says: bye"])
