"""The demo's chat in Chromium: rooms, private messages, who is online, moderation, and both protocols."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from flask_signalr.emulator import Emulator
from tests.demo_page import (
    Browsing,
    connect,
    join,
    moderate,
    online,
    press_connect,
    refusal,
    rooms,
    send,
    send_to_room,
    sign_in,
    texts,
)
from tests.demo_site import ADA, BOB, EVE, DemoSite


@pytest.fixture
def connected(browsing: Browsing, site: DemoSite) -> Callable[..., Page]:
    """Open a page, sign somebody in and connect."""

    def open_page(user: str, transport: str = "Automatic", protocol: str = "JSON") -> Page:
        page = browsing.visit(site.url)
        sign_in(page, user)
        connect(page, transport, protocol)
        return page

    return open_page


def problem(page: Page) -> str:
    """What the page says that did not work, once it does."""
    shown = page.locator("[data-problem]:not(:empty)")
    expect(shown).to_have_count(1)
    return shown.text_content() or ""


def test_what_is_written_in_a_room_is_read_by_those_in_it(connected: Callable[..., Page]) -> None:
    ada, bob, eve = connected("ada"), connected("bob"), connected("eve")
    join(ada, "lobby")
    join(bob, "lobby")
    join(eve, "garden")
    expect(rooms(ada)).to_contain_text([f"{ADA}, {BOB}"])

    send_to_room(ada, "hello, lobby")
    expect(texts(bob)).to_have_text(["hello, lobby"])
    send_to_room(eve, "hello, garden")

    expect(texts(eve)).to_have_text(["hello, garden"])
    send(eve, "hello, all")
    expect(texts(ada)).to_have_text(["hello, lobby", "hello, all"])


def test_who_leaves_a_room_hears_no_more_of_it_and_the_others_see_it(connected: Callable[..., Page]) -> None:
    ada, bob = connected("ada"), connected("bob")
    join(ada, "lobby")
    join(bob, "lobby")
    expect(rooms(ada)).to_contain_text([f"{ADA}, {BOB}"])

    bob.get_by_role("button", name="Leave lobby").click()
    expect(rooms(bob)).to_have_count(0)
    expect(rooms(ada)).not_to_contain_text([BOB])
    send_to_room(ada, "without Bob")
    expect(texts(ada)).to_have_text(["without Bob"])
    send(ada, "for all")

    expect(texts(bob)).to_have_text(["for all"])


def test_who_is_in_no_room_is_told_to_join_one(connected: Callable[..., Page]) -> None:
    ada = connected("ada")
    room = ada.get_by_label("To a room")
    expect(room.locator("option")).to_have_text(["join one first"])
    join(ada, "lobby")
    expect(room.locator("option")).to_have_text(["lobby"])

    ada.get_by_role("button", name="Leave lobby").click()

    expect(room.locator("option")).to_have_text(["join one first"])
    assert room.evaluate("select => select.validity.valueMissing")


def test_who_disconnects_is_in_no_room_any_more(connected: Callable[..., Page]) -> None:
    ada, bob = connected("ada"), connected("bob")
    join(ada, "lobby")
    join(bob, "lobby")
    expect(rooms(ada)).to_contain_text([f"{ADA}, {BOB}"])

    bob.get_by_role("button", name="Disconnect").click()

    expect(rooms(ada)).not_to_contain_text([BOB])
    expect(rooms(bob)).to_have_count(0)


def test_who_reconnects_is_in_the_same_rooms(connected: Callable[..., Page], emulator: Emulator) -> None:
    """It is a new connection to the service, which knows nothing of the last one's groups."""
    ada, bob = connected("ada"), connected("bob")
    join(ada, "lobby")
    join(bob, "lobby")
    expect(rooms(ada)).to_contain_text([f"{ADA}, {BOB}"])
    first_id = bob.locator("#connection-id").text_content() or ""

    emulator.drop(user_id=BOB)
    expect(bob.locator("#connection-id")).not_to_have_text(first_id)
    expect(rooms(bob)).to_contain_text([f"{ADA}, {BOB}"])
    send_to_room(ada, "still here?")

    expect(texts(bob)).to_have_text(["still here?"])


def test_who_is_online_is_shown_live(connected: Callable[..., Page]) -> None:
    ada = connected("ada")
    expect(online(ada)).to_have_text([ADA])

    bob = connected("bob")
    expect(online(ada)).to_have_text([ADA, BOB])
    expect(online(bob)).to_have_text([ADA, BOB])
    bob.get_by_role("button", name="Disconnect").click()

    expect(online(ada)).to_have_text([ADA])
    expect(online(bob)).to_have_count(0)


def test_somebody_who_is_online_is_written_to_by_a_click(connected: Callable[..., Page]) -> None:
    ada, bob = connected("ada"), connected("bob")

    online(ada).filter(has_text=BOB).click()
    ada.keyboard.type("hello, Bob")
    ada.keyboard.press("Enter")

    expect(texts(bob)).to_have_text(["hello, Bob"])


def test_a_message_to_somebody_who_is_not_online_says_so(connected: Callable[..., Page]) -> None:
    ada = connected("ada")

    send(ada, "anybody?", to=BOB)

    assert problem(ada) == f"{BOB} is not online"


def test_moderator_bans_bob_who_is_closed_and_refused_at_the_next_negotiate(
    browsing: Browsing, connected: Callable[..., Page]
) -> None:
    browsing.expected = ["status of 403"]
    ada, bob = connected("ada"), connected("bob")

    moderate(ada, "Ban", BOB)
    told = "The app refused (403): this sign-in may not do this"
    expect(refusal(bob)).to_have_text(f"{told} (a moderator has banned you)")  # as its client tried to come again
    expect(ada.locator("#moderated")).to_have_text(f"{BOB} is banned.")
    press_connect(bob)
    expect(refusal(bob)).to_have_text(told)
    expect(bob.get_by_role("status")).to_have_text("Not connected")
    moderate(ada, "Lift ban", BOB)
    expect(ada.locator("#moderated")).to_have_text(f"{BOB} may come in again.")

    connect(bob)
    expect(online(ada)).to_have_text([ADA, BOB])


@pytest.mark.parametrize(("action", "method"), [("Ban", "banUser"), ("History", "viewUserHistory")])
def test_elevation_of_privilege_who_is_no_moderator_is_refused_and_reads_that(
    connected: Callable[..., Page], action: str, method: str
) -> None:
    ada, bob = connected("ada"), connected("bob")
    send(ada, "mine")
    expect(texts(bob)).to_have_text(["mine"])

    moderate(bob, action, ADA)

    assert problem(bob) == f"Failed to invoke '{method}' because user is unauthorized"
    expect(ada.get_by_role("status")).to_have_text("Connected")
    expect(bob.locator("#history li")).to_have_count(0)


def test_a_moderator_reads_what_somebody_wrote_where_others_read_it(connected: Callable[..., Page]) -> None:
    """Not what was for one user alone."""
    ada, bob, eve = connected("ada"), connected("bob"), connected("eve")
    join(bob, "lobby")
    send_to_room(bob, "in a room")
    expect(texts(bob)).to_have_count(1)
    send(bob, "in private", to=EVE)
    expect(texts(eve)).to_have_text(["in private"])
    send(bob, "in public")
    expect(texts(ada)).to_have_text(["in public"])

    moderate(ada, "History", BOB)

    expect(ada.locator("#history li")).to_have_text(
        [re.compile("^in a room.*in lobby"), re.compile("^in public.*to every")]
    )


@pytest.mark.parametrize("transport", ["WebSockets", "Long polling"])
def test_messagepack_and_json_meet_in_one_chat(connected: Callable[..., Page], transport: str) -> None:
    ada, bob = connected("ada", transport, "MessagePack"), connected("bob", transport)
    join(ada, "lobby")
    join(bob, "lobby")
    expect(rooms(ada)).to_contain_text([f"{ADA}, {BOB}"])

    send_to_room(ada, "from MessagePack: ü")
    expect(texts(bob)).to_have_text(["from MessagePack: ü"])
    send(bob, "from JSON: ü", to=ADA)
    expect(texts(ada)).to_have_text(["from MessagePack: ü", "from JSON: ü"])
    moderate(ada, "History", ADA)

    expect(ada.locator("#history li")).to_have_text(re.compile("^from MessagePack: ü.*in lobby, .*[0-9]"))
    expect(ada.locator("#protocol-in-use")).to_have_text("MessagePack")


def test_messagepack_cannot_go_over_server_sent_events_and_the_page_says_so(browsing: Browsing, site: DemoSite) -> None:
    """Events are text."""
    page = browsing.visit(site.url)
    sign_in(page, "ada")

    press_connect(page, "Server-Sent Events", "MessagePack")

    expect(refusal(page)).to_contain_text("ServerSentEvents")
