"""The tutorials, done as they say: their files in an empty folder, their commands, and a real browser in front."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

ROOT = Path(__file__).parent.parent
TUTORIALS = ROOT / "docs" / "tutorial"
FIRST_PAGE = (TUTORIALS / "first-page.md").read_text()
ROOMS = (TUTORIALS / "chat-with-rooms.md").read_text()
CLIENT = ROOT / "demo" / "node_modules" / "@microsoft" / "signalr" / "dist" / "browser" / "signalr.min.js"

FILE = re.compile(
    r"^\*\*(?P<name>[\w./]+)(?: \(continued\))?\*\*\n\n```\w+\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


def write_files(folder: Path, tutorial: str) -> None:
    """Write the files that a tutorial shows, each part after the other; they take the place of what is there."""
    begun = set()
    for match in FILE.finditer(tutorial):
        path = folder / match["name"]
        path.parent.mkdir(exist_ok=True)
        with path.open("a" if path in begun else "w") as file:
            file.write(match["text"])
        begun.add(path)


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


@contextmanager
def done(folder: Path, *tutorials: str, upstream: bool = False) -> Iterator[str]:
    """Run a tutorial's app and the emulator, as its reader has them at the end, and yield the app's URL."""
    if not CLIENT.exists():
        pytest.skip("demo/node_modules is not there; 'npm ci --prefix demo' makes it")
    for tutorial in tutorials:
        write_files(folder, tutorial)
    (folder / "static").mkdir()
    shutil.copy(CLIENT, folder / "static")
    port = free_port()
    emulator = ["flask_signalr.emulator", "--port", "0"]
    if upstream:
        emulator += ["--upstream", f"http://127.0.0.1:{port}"]
    with ExitStack() as stack:
        connection_string = stack.enter_context(
            running(emulator, folder, r"export FLASK_SIGNALR_CONNECTION_STRING='(.+)'", {})
        )
        environment = {"FLASK_SIGNALR_CONNECTION_STRING": connection_string}
        command = ["flask", "run", "--port", str(port)]
        yield stack.enter_context(running(command, folder, r"(http://127\S+)", environment))


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def signed_in(browser: Browser, app_url: str, name: str) -> Iterator[Page]:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(app_url)
        page.get_by_label("Name").fill(name)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("#state")).to_have_text("connected")
        yield page


def test_the_message_for_ada_reaches_ada_and_nobody_else(tmp_path: Path, browser: Browser) -> None:
    with (
        done(tmp_path, FIRST_PAGE) as app_url,
        signed_in(browser, app_url, "ada") as ada,
        signed_in(browser, app_url, "bob") as bob,
    ):
        sender = bob.context.new_page()

        sender.goto(f"{app_url}/tell/ada/hello")
        sender.goto(f"{app_url}/tell/bob/bye")

        expect(ada.locator("li")).to_have_text(["bob says: hello"])
        expect(bob.locator("li")).to_have_text(["bob says: bye"])


def test_part_two_goes_as_it_says(tmp_path: Path, browser: Browser) -> None:
    """Step 4, line by line."""
    with (
        done(tmp_path, FIRST_PAGE, ROOMS, upstream=True) as app_url,
        signed_in(browser, app_url, "ada") as ada,
    ):
        with signed_in(browser, app_url, "mona") as mona:
            expect(ada.locator("li")).to_have_text(["mona is here"])
            say(ada, "hello")
            expect(ada.locator("#answer")).to_have_text("say: 5")
            expect(mona.locator("li")).to_have_text(["ada: hello"])

            say(ada, "")
            expect(ada.locator("#answer")).to_contain_text("HubException: a message needs text")

            ada.get_by_role("button", name="Clear").click()
            expect(ada.locator("#answer")).to_contain_text("user is unauthorized")

            mona.get_by_role("button", name="Clear").click()
            expect(ada.locator("li")).to_have_count(0)

            mona.get_by_label("Room").select_option("garden")
            say(mona, "over here")
            expect(mona.locator("li")).to_have_text(["mona: over here"])
        expect(ada.locator("li")).to_have_text(["mona has left"])


def say(page: Page, text: str) -> None:
    page.get_by_label("Message").fill(text)
    page.get_by_role("button", name="Send").click()
