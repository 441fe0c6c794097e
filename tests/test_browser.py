"""The official client in Chromium, on the demo's page: sign-in, transports, reconnects, refusals, other origins."""

import re
import time
from pathlib import Path

import pytest
from flask import Flask
from flask_wtf import CSRFProtect
from playwright.sync_api import expect

from demo import sign_in as demo_sign_in
from flask_signalr import BearerAuth, CookieAuth
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
from tests.demo_site import ADA, BOB, EVE, DemoSite, demo_site, other_site
from tests.live import live_emulator

TRANSPORTS = ["WebSockets", "Server-Sent Events", "Long polling"]
every_transport = pytest.mark.parametrize("transport", TRANSPORTS)

# Connects a page of our own to a hub, and remembers the messages that come.
CONNECT = """async ([hub, bearer]) => {
    const options = bearer ? { accessTokenFactory: () => bearer } : {};
    const connection = new signalR.HubConnectionBuilder().withUrl(hub, options).configureLogging("none").build();
    window.received = [];
    connection.on("newMessage", (from, text) => window.received.push(text));
    try { await connection.start(); return "connected"; } catch (error) { return error.message; }
}"""


def transports_at(emulator: Emulator) -> dict[str | None, str]:
    """Return what carries each user's connection, as the service sees it."""
    return emulator.call(
        lambda running: {
            connection.client.user_id: connection.transport.value
            for connection in running.service.connections
            if connection.transport is not None
        }
    )


@every_transport
def test_a_message_reaches_the_user_that_it_is_for_and_no_other(
    browsing: Browsing, site: DemoSite, emulator: Emulator, transport: str
) -> None:
    """The main road: cookie and bearer sign-in, negotiate, the service, the hub's methods, and back by user id."""
    ada, bob, eve = (browsing.visit(site.url) for _ in range(3))
    sign_in(ada, "ada")
    sign_in(bob, "bob", "Bearer token")
    sign_in(eve, "eve")
    for page in (ada, bob, eve):
        connect(page, transport)
    in_use = transports_at(emulator)

    tell_one_then_all(ada, BOB, bob, eve)

    expect(ada.locator("#user-id")).to_have_text(ADA)
    expect(bob.locator("#transport-in-use")).to_have_text(transport)
    assert in_use == dict.fromkeys(
        (ADA, BOB, EVE), transport.replace("-", "").replace(" ", "").replace("polling", "Polling")
    )


def test_a_bearer_token_comes_in_the_header(browsing: Browsing, site: DemoSite) -> None:
    page = browsing.visit(site.url)
    with page.expect_response("**/api/token") as issued:
        sign_in(page, "ada", "Bearer token")

    connect(page)

    (negotiation,) = site.negotiations
    assert negotiation.authorization == f"Bearer {issued.value.json()['accessToken']}"
    assert negotiation.query == "negotiateVersion=1"
    expect(page.locator("#bearer-token")).to_contain_text('"flask-signalr-demo"')
    expect(page.locator("#service-token")).to_contain_text(f'"{ADA}"')


def test_a_bearer_token_may_come_in_the_query(browsing: Browsing, site: DemoSite) -> None:
    """As a page must send it that cannot set headers."""
    page = browsing.visit(site.url)
    with page.expect_response("**/api/token") as issued:
        sign_in(page, "ada", "Bearer token")
    token = issued.value.json()["accessToken"]

    outcome = page.evaluate(CONNECT, [f"/chat?access_token={token}", None])
    site.rest.send("chat", "newMessage", None, "for Ada", None, to=("users", ADA))

    assert outcome == "connected"
    page.wait_for_function("() => window.received.length === 1")
    (negotiation,) = site.negotiations
    assert negotiation.authorization == ""
    assert f"access_token={token}" in negotiation.query


def test_a_stranger_is_refused_with_the_reason_on_the_page(browsing: Browsing, site: DemoSite) -> None:
    browsing.expected = ["status of 401"]
    page = browsing.visit(site.url)

    press_connect(page)
    send(page, "let me in")

    expect(refusal(page)).to_have_text("The app refused (401): sign in to connect")
    expect(page.get_by_role("alert").filter(has_text="Connect first.")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("Not connected")


def test_a_wrong_password_is_refused_with_the_reason_on_the_page(browsing: Browsing, site: DemoSite) -> None:
    browsing.expected = ["status of 401"]
    page = browsing.visit(site.url)
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password", exact=True).fill("guessed")

    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("alert").filter(has_text="do not belong together")).to_be_visible()


@every_transport
def test_a_cookie_user_reconnects_though_its_client_sends_the_service_token_back(
    browsing: Browsing, emulator: Emulator, tmp_path: Path, transport: str
) -> None:
    """The official client brings the old service token as its credential: it proves nothing, the cookie does.

    The scheme that looks first takes every bearer token for its own, and would refuse this one.
    """
    # The browser's words for a stream that broke off, and for what the page sent when it did not know that yet.
    browsing.expected = ["net::ERR_INCOMPLETE_CHUNKED_ENCODING", "status of 404"]
    schemes = [BearerAuth("a-secret-that-no-token-is-signed-with-0123456789"), CookieAuth()]
    with demo_site(emulator, tmp_path / "record", schemes=schemes) as site:
        page = browsing.visit(site.url)
        sign_in(page, "ada")
        connect(page, transport)

        drop_and_see_it_reconnect(page, lambda: emulator.drop(user_id=ADA))

        first, second = site.negotiations
        assert second.authorization == f"Bearer {first.answer['accessToken']}"
        assert (first.authorization, second.status) == ("", 200)
        send(page, "here again", to=ADA)
        expect(texts(page)).to_have_text(["here again"])


def test_an_expired_bearer_token_is_refused_with_the_reason_on_the_page(
    browsing: Browsing, emulator: Emulator, tmp_path: Path
) -> None:
    browsing.expected = ["status of 401"]
    with demo_site(emulator, tmp_path / "record", DEMO_TOKEN_LIFETIME=-1) as site:
        page = browsing.visit(site.url)
        sign_in(page, "ada", "Bearer token")

        press_connect(page)

        expect(refusal(page)).to_have_text(re.compile(r"^The app refused \(401\): .*expired"))


@every_transport
def test_a_service_token_whose_lifetime_ended_is_refused_with_the_reason_on_the_page(
    browsing: Browsing, tmp_path: Path, transport: str
) -> None:
    """The client takes longer to the service than the token lives: the service's clock is ahead by that."""
    browsing.expected = ["status of 401"]
    lifetime = 5
    with (
        live_emulator(clock=lambda: time.time() + lifetime + 60) as late,
        demo_site(late, tmp_path / "record", SIGNALR_ACCESS_TOKEN_LIFETIME=lifetime) as site,
    ):
        page = browsing.visit(site.url)
        sign_in(page, "ada")

        press_connect(page, transport)

        reason = re.compile(r"^The SignalR service refused \(401\): the access token expired \d+ seconds ago")
        expect(refusal(page)).to_have_text(reason)


def test_signing_out_ends_the_connection_and_the_right_to_another(browsing: Browsing, site: DemoSite) -> None:
    browsing.expected = ["status of 401"]
    page = browsing.visit(site.url)
    sign_in(page, "ada")
    connect(page)

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("status")).to_have_text("Not connected")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()  # the app has answered: the cookie is gone
    press_connect(page)

    expect(refusal(page)).to_have_text("The app refused (401): sign in to connect")


def test_a_page_of_another_origin_cannot_connect_as_the_user_who_is_signed_in(
    browsing: Browsing, site: DemoSite
) -> None:
    """Cross-site request forgery: the ports of one host share cookies, so the page's request would carry Ada's."""
    browsing.expected = ["blocked by CORS policy", "net::ERR_FAILED"]
    page = browsing.visit(site.url)
    sign_in(page, "ada")
    with other_site() as origin:
        attacker = browsing.open_in(page.context, origin)

        outcome = attacker.evaluate(CONNECT, [f"{site.url}/chat", None])

    assert "Failed to fetch" in outcome
    (preflight,) = site.negotiations  # refused there: the request itself never came
    assert (preflight.status, preflight.answer.keys()) == (403, {"error"})


def test_a_page_of_an_allowed_origin_connects_as_the_user_who_is_signed_in(
    browsing: Browsing, emulator: Emulator, tmp_path: Path
) -> None:
    """Chromium itself judges the preflight's answer and the CORS headers."""
    with (
        other_site() as origin,
        demo_site(emulator, tmp_path / "record", SIGNALR_ALLOWED_ORIGINS=origin) as site,
    ):
        page = browsing.visit(site.url)
        sign_in(page, "ada")
        friend = browsing.open_in(page.context, origin)

        outcome = friend.evaluate(CONNECT, [f"{site.url}/chat", None])
        site.rest.send("chat", "newMessage", None, "for Ada", None, to=("users", ADA))

        assert outcome == "connected"
        friend.wait_for_function("() => window.received.length === 1")
        assert [negotiation.status for negotiation in site.negotiations] == [204, 200]


def test_a_page_of_an_allowed_origin_can_read_why_it_is_refused(
    browsing: Browsing, emulator: Emulator, tmp_path: Path
) -> None:
    browsing.expected = ["status of 401"]
    with (
        other_site() as origin,
        demo_site(emulator, tmp_path / "record", SIGNALR_ALLOWED_ORIGINS=origin) as site,
    ):
        stranger = browsing.visit(origin)

        without = stranger.evaluate(CONNECT, [f"{site.url}/chat", None])
        with_nonsense = stranger.evaluate(CONNECT, [f"{site.url}/chat", "no.such.token"])

    assert '{"error":"sign in to connect"}' in without
    assert "Status code '401'" in with_nonsense


def test_csrf_protection_of_the_app_leaves_negotiate_and_upstream_as_they_are(
    browsing: Browsing, emulator: Emulator, tmp_path: Path
) -> None:
    """Flask-WTF asks for a form token, which no client and no service brings; origin and signature stand in for it."""
    browsing.expected = ["status of 400"]

    def protect(app: Flask) -> None:
        CSRFProtect(app).exempt(demo_sign_in.blueprint)
        app.add_url_rule("/protected", view_func=lambda: "", methods=["POST"])

    with demo_site(emulator, tmp_path / "record", change=protect) as site:
        page = browsing.visit(site.url)
        sign_in(page, "ada")

        connect(page)
        send(page, "no form token")
        elsewhere = page.evaluate("async () => (await fetch('/protected', { method: 'POST' })).status")

        expect(texts(page)).to_have_text(["no form token"])
        assert elsewhere == 400


def test_markup_in_a_message_stays_text(browsing: Browsing, site: DemoSite) -> None:
    """Cross-site scripting: the sender's words and name are another person's."""
    markup = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
    page = browsing.visit(site.url)
    sign_in(page, "ada")
    connect(page)

    site.rest.send("chat", "newMessage", markup, markup, markup)

    expect(texts(page)).to_have_text([markup])
    expect(page.get_by_role("log").locator("img, script")).to_have_count(0)
    expect(page).to_have_title("flask-signalr demo")


def test_the_page_keeps_tokens_out_of_the_console(browsing: Browsing, site: DemoSite) -> None:
    """The client's own logger writes the WebSocket's URL there, with the service token in it."""
    written: list[str] = []
    page = browsing.visit(site.url)
    page.on("console", lambda message: written.append(message.text))
    sign_in(page, "ada", "Bearer token")

    connect(page, "WebSockets")
    send(page, "done")
    expect(texts(page)).to_have_text(["done"])

    assert written == []


@pytest.mark.parametrize("width", [320, 390])
def test_the_page_fits_a_phone(browsing: Browsing, site: DemoSite, width: int) -> None:
    """Nothing sticks out to the side, and a finger hits what it aims at (44 px, WCAG 2.5.5)."""
    page = browsing.visit(site.url, viewport={"width": width, "height": 700}, has_touch=True)
    sign_in(page, "ada", "Bearer token")
    connect(page)
    send(page, "x" * 500)
    expect(texts(page)).to_have_count(1)

    sizes = [box for touched in page.locator("button:visible, input:visible, select:visible").all()
             if (box := touched.bounding_box())]  # fmt: skip

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert [box for box in sizes if box["height"] < 44] == []


def test_the_page_can_be_used_with_the_keyboard_alone(browsing: Browsing, site: DemoSite) -> None:
    page = browsing.visit(site.url)
    page.get_by_role("button", name="ada").focus()
    page.keyboard.press("Enter")  # fills in name and password, and goes to the button
    page.keyboard.press("Enter")  # signs in, and goes to the connection
    expect(page.get_by_label("Transport")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Connected")

    page.get_by_label("To everyone").focus()
    page.keyboard.type("by keyboard")
    page.keyboard.press("Enter")

    expect(texts(page)).to_have_text(["by keyboard"])
