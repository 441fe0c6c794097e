"""The demo's page as its visitors use it, in a real browser."""

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, expect


class Browsing:
    """Opens pages, each in a browser profile of its own, and collects what they complain about.

    Attributes:
        expected: Parts of the complaints that belong to the test.
    """

    def __init__(self, new_context: Callable[..., BrowserContext]) -> None:
        self._new_context = new_context
        self._complaints: list[str] = []
        self.expected: list[str] = []

    def visit(self, url: str, **profile: Any) -> Page:
        return self.open_in(self._new_context(**profile), url)

    def open_in(self, context: BrowserContext, url: str) -> Page:
        page = context.new_page()
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self._complain(str(error)))
        page.on("requestfailed", lambda request: self._complain(f"{request.method} failed: {request.failure}"))
        page.goto(url)
        return page

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._complain(message.text)

    def _complain(self, complaint: str) -> None:
        self._complaints.append(complaint)

    def unexpected(self) -> list[str]:
        return [text for text in self._complaints if not any(part in text for part in self.expected)]


def sign_in(page: Page, name: str, method: str = "Cookie session") -> None:
    page.get_by_label(method).check()
    page.get_by_role("button", name=re.compile(rf"^{name}\b")).click()
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def press_connect(page: Page, transport: str = "Automatic", protocol: str = "JSON") -> None:
    page.get_by_label("Transport").select_option(label=transport)
    page.get_by_label("Protocol").select_option(label=protocol)
    page.get_by_role("button", name="Connect", exact=True).click()


def connect(page: Page, transport: str = "Automatic", protocol: str = "JSON") -> None:
    press_connect(page, transport, protocol)
    expect(page.get_by_role("status")).to_have_text("Connected")


def send(page: Page, text: str, to: str | None = None) -> None:
    if to is None:
        page.get_by_label("To everyone").fill(text)
        page.get_by_role("button", name="Send to everyone").click()
    else:
        page.get_by_label("To one user id").fill(to)
        page.get_by_label("Text").fill(text)
        page.get_by_role("button", name="Send to this user").click()


def join(page: Page, room: str) -> None:
    page.get_by_label("Room", exact=True).fill(room)
    page.get_by_role("button", name="Join", exact=True).click()


def send_to_room(page: Page, text: str) -> None:
    """To the room that was joined last."""
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Send to this room").click()


def moderate(page: Page, action: str, user_id: str) -> None:
    page.get_by_label("User", exact=True).fill(user_id)
    page.get_by_role("button", name=action, exact=True).click()


def online(page: Page) -> Locator:
    """The user ids that the page says are online, in their order."""
    return page.locator("#online button")


def rooms(page: Page) -> Locator:
    """The rooms that the page says its user is in, with their members."""
    return page.get_by_role("list", name="Rooms that you are in").get_by_role("listitem")


def texts(page: Page) -> Locator:
    """The texts of the messages on the page, in their order."""
    return page.get_by_role("log").locator(".text")


def tell_one_then_all(sender: Page, user_id: str, recipient: Page, other: Page) -> None:
    """Let one write to a user, and this one to everyone; each page shows what is for its visitor, in this order."""
    send(sender, "for one alone", to=user_id)
    expect(texts(recipient)).to_have_text(["for one alone"])
    send(recipient, "for all")

    expect(texts(recipient)).to_have_text(["for one alone", "for all"])
    expect(texts(sender)).to_have_text(["for one alone", "for all"])  # who writes reads the own words
    expect(texts(other)).to_have_text(["for all"])  # what is for everyone came later: the other never came


def drop_and_see_it_reconnect(page: Page, drop: Callable[[], int]) -> None:
    """End a page's connection, the only one that there is to end; the client comes back by itself, with a new one."""
    first_id = page.locator("#connection-id").text_content() or ""

    assert drop() == 1

    expect(page.locator("#connection-id")).not_to_have_text(first_id)
    expect(page.get_by_role("status")).to_have_text("Connected")


def refusal(page: Page) -> Locator:
    return page.locator("#refusal")
