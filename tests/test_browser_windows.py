"""Windows sign-on in Chromium: the official client on the demo's page, in browsers with and without a ticket."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Playwright, expect

from flask_signalr.emulator import Emulator
from tests.demo_page import (
    Browsing,
    connect,
    drop_and_see_it_reconnect,
    press_connect,
    refusal,
    send,
    sign_in,
    tell_one_then_all,
    texts,
)
from tests.demo_site import ADA, BOB, CLIENT, DemoSite, demo_site, other_site
from tests.intranet import Intranet
from tests.intranet_browser import IntranetBrowsers, Prompts

every_transport = pytest.mark.parametrize("transport", ["WebSockets", "Server-Sent Events", "Long polling"])
ALICE, COLLEAGUE = "alice@intranet.test", "bob@intranet.test"

# What a page can try with the tickets of its visitor: as the client does it, without a preflight, and as a form.
CLIENT_OF_ANOTHER_PAGE = """async (hub) => {
    const connection = new signalR.HubConnectionBuilder().withUrl(hub).configureLogging("none").build();
    try { await connection.start(); return "connected"; } catch (error) { return error.message; }
}"""
WITHOUT_PREFLIGHT = """async (hub) => {
    const answer = await fetch(`${hub}/negotiate`, { method: "POST", mode: "no-cors", credentials: "include" });
    return answer.type;
}"""
FORM = """(hub) => new Promise((resolve) => {
    const frame = document.createElement("iframe"), form = document.createElement("form");
    frame.name = "answer";
    Object.assign(form, { method: "post", action: `${hub}/negotiate`, target: frame.name });
    document.body.append(frame, form);
    frame.addEventListener("load", () => resolve("answered"));
    form.submit();
})"""
STATUS_OF = """async ([path, token]) => {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    return (await fetch(path, { method: "POST", headers })).status;
}"""


@pytest.fixture
def browsing(
    playwright: Playwright, browser_type_launch_args: dict[str, Any], intranet: Intranet, tmp_path: Path
) -> Iterator[Browsing]:
    """Fail a test whose pages write errors to the console, throw, or have requests that fail."""
    if not CLIENT.exists():
        pytest.skip("tests in a real browser: demo/node_modules is not there; 'npm ci --prefix demo' makes it")
    profiles = tmp_path / "profiles"
    profiles.mkdir()
    browsers = IntranetBrowsers(playwright, browser_type_launch_args, intranet, profiles)
    browsing = Browsing(browsers.start)
    yield browsing
    complaints = browsing.unexpected()  # before the connections of open pages break off
    browsers.close()
    assert complaints == []


@pytest.fixture
def site(intranet: Intranet, emulator: Emulator, tmp_path: Path) -> Iterator[DemoSite]:
    """Run the demo as a service of the intranet, under the name that tickets are for."""
    with demo_site(emulator, tmp_path / "record", DEMO_WINDOWS=True) as running:
        yield replace(running, url=running.url.replace("127.0.0.1", "localhost"))


def steps(site: DemoSite) -> list[tuple[str, int]]:
    """Return each negotiate request's scheme and the status of its answer."""
    return [(one.authorization.partition(" ")[0], one.status) for one in site.negotiations]


SIGN_ON = [("", 401), ("Negotiate", 200)]
"""The challenge, and the browser's answer to it."""


@every_transport
def test_who_is_signed_on_to_the_intranet_is_connected_without_a_prompt(
    browsing: Browsing, site: DemoSite, transport: str
) -> None:
    """And the messages for her user id reach her and nobody else."""
    alice, bob, carol = (browsing.visit(site.url, user=user) for user in ("alice", "bob", "Carol"))
    prompts = Prompts(alice)

    for page in (alice, bob, carol):
        connect(page, transport)
    tell_one_then_all(bob, ALICE, alice, carol)

    expect(alice.locator("#user-id")).to_have_text(ALICE)
    expect(bob.locator("#user-id")).to_have_text(COLLEAGUE)
    expect(alice.locator("#transport-in-use")).to_have_text(transport)
    assert steps(site) == SIGN_ON * 3
    assert prompts.urls == []


def test_the_page_shows_the_windows_identity(browsing: Browsing, site: DemoSite) -> None:
    page = browsing.visit(site.url, user="Carol")

    connect(page)

    expect(page.locator("#principal")).to_have_text("Carol@INTRANET.TEST")
    expect(page.locator("#realm")).to_have_text("INTRANET.TEST")
    expect(page.locator("#signed-in-by")).to_have_text("Kerberos")
    expect(page.locator("#user-id")).to_have_text("carol@intranet.test")


@every_transport
def test_a_user_of_the_intranet_reconnects(
    browsing: Browsing, site: DemoSite, emulator: Emulator, transport: str
) -> None:
    # The browser's words for a stream that broke off, and for what the page sent when it did not know that yet.
    browsing.expected = ["net::ERR_INCOMPLETE_CHUNKED_ENCODING", "status of 404"]
    page = browsing.visit(site.url, user="alice")
    prompts = Prompts(page)
    connect(page, transport)

    drop_and_see_it_reconnect(page, lambda: emulator.drop(user_id=ALICE))

    assert steps(site) == SIGN_ON * 2
    assert prompts.urls == []
    site.rest.send("chat", "newMessage", None, "for Alice", None, to=("users", ALICE))
    expect(texts(page)).to_have_text(["for Alice"])


def test_chromium_answers_no_challenge_to_a_request_whose_page_set_the_header(
    browsing: Browsing, site: DemoSite
) -> None:
    """So the client must not send the service token back.

    An `accessTokenFactory` that returns "" keeps it from that.
    """
    browsing.expected = ["status of 401"]
    page = browsing.visit(site.url, user="alice")
    connect(page)
    token = site.negotiations[-1].answer["accessToken"]

    with_token = page.evaluate(STATUS_OF, ["/chat/negotiate", token])
    without = page.evaluate(STATUS_OF, ["/chat/negotiate", None])

    assert (with_token, without) == (401, 200)


def test_without_a_ticket_a_browser_is_refused_with_the_reason_on_the_page_and_no_prompt(
    browsing: Browsing, site: DemoSite
) -> None:
    browsing.expected = ["status of 401"]
    page = browsing.visit(site.url, user=None)
    prompts = Prompts(page)

    press_connect(page)
    send(page, "let me in")

    expect(refusal(page)).to_have_text("The app refused (401): sign in to connect")
    expect(page.get_by_role("alert").filter(has_text="Connect first.")).to_be_visible()
    assert {scheme for scheme, _ in steps(site)} == {""}
    assert prompts.urls == []


def test_an_account_that_may_not_connect_is_refused_with_the_reason_on_the_page_and_no_prompt(
    browsing: Browsing, site: DemoSite
) -> None:
    """Another challenge would make browsers on Windows ask for a password."""
    browsing.expected = ["status of 403"]
    page = browsing.visit(site.url, user="carol/admin")
    prompts = Prompts(page)

    press_connect(page)

    expect(refusal(page)).to_have_text("The app refused (403): this account may not connect here")
    assert steps(site) == [("", 401), ("Negotiate", 403)]
    assert prompts.urls == []


def test_a_challenge_of_another_kind_would_prompt(browsing: Browsing, emulator: Emulator, tmp_path: Path) -> None:
    """What the tests above rely on when they say that there was no prompt."""
    browsing.expected = ["status of 401"]

    with demo_site(
        emulator,
        tmp_path / "record",
        change=lambda app: app.add_url_rule("/basic", view_func=lambda: ("", 401, {"WWW-Authenticate": "Basic"})),
    ) as site:
        page = browsing.visit(site.url, user="alice")
        prompts = Prompts(page)
        page.evaluate("() => fetch('/basic')")

    assert prompts.urls == [f"{site.url}/basic"]


def test_a_new_profile_is_connected_though_chromium_does_not_answer_its_first_challenge(
    browsing: Browsing, site: DemoSite
) -> None:
    """On Linux; the page tries once more."""
    browsing.expected = ["status of 401"]
    page = browsing.visit(site.url, user="alice", met_a_challenge=False)

    connect(page)

    expect(page.locator("#user-id")).to_have_text(ALICE)
    assert steps(site) == [("", 401), *SIGN_ON]


@pytest.mark.parametrize("attack", [CLIENT_OF_ANOTHER_PAGE, WITHOUT_PREFLIGHT, FORM], ids=["client", "fetch", "form"])
def test_cross_site_sign_on_a_foreign_page_is_refused_before_the_challenge(
    browsing: Browsing, site: DemoSite, attack: str
) -> None:
    """A browser that lets other sites use their cookies would answer one, and SameSite does not hold a ticket back."""
    browsing.expected = [
        "blocked by CORS policy",
        "net::ERR_FAILED",
        "status of 403",
        "net::ERR_BLOCKED_BY_RESPONSE",
        "frame-ancestors",
    ]
    page = browsing.visit(site.url, user="alice")
    connect(page)
    with other_site() as origin:
        attacker = browsing.open_in(page.context, origin)

        outcome = attacker.evaluate(attack, f"{site.url}/chat")

    assert outcome != "connected"
    assert steps(site) == [*SIGN_ON, ("", 403)]


def test_cookie_bearer_and_windows_share_a_hub(browsing: Browsing, site: DemoSite) -> None:
    """Each browser has a ticket; who signs in to the app itself is whom they signed in as."""
    ada, bob, alice = (browsing.visit(site.url, user="alice") for _ in range(3))
    sign_in(ada, "ada")
    sign_in(bob, "bob", "Bearer token")

    for page in (ada, bob, alice):
        connect(page)
    send(ada, "for Alice alone", to=ALICE)
    send(alice, "for Bob alone", to=BOB)

    expect(texts(alice)).to_have_text(["for Alice alone", "for Bob alone"])
    expect(texts(bob)).to_have_text(["for Bob alone"])
    expect(texts(ada)).to_have_text(["for Alice alone"])
    for page, user_id in ((ada, ADA), (bob, BOB), (alice, ALICE)):
        expect(page.locator("#user-id")).to_have_text(user_id)
    assert steps(site) == [("", 200), ("Bearer", 200), *SIGN_ON]
