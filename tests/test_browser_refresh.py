"""The demo's page in Chromium renews its sign-in where the app lets it, with the cookie and with the bearer token."""

import json
from pathlib import Path

import pytest
from flask import Flask, Response, request
from playwright.sync_api import expect

from flask_signalr.config import Settings
from tests.demo_page import Browsing, connect, send, sign_in, texts
from tests.demo_site import demo_site
from tests.live import ServiceClock, live_emulator

FIRST_LIFETIME = 60
"""Seconds that the first token lives, in these apps."""


def renew_at_once(app: Flask) -> None:
    """Let the page renew its first token at once, and have a longer one then."""
    app.config["SIGNALR_ACCESS_TOKEN_LIFETIME"] = FIRST_LIFETIME
    reload(app)

    @app.after_request
    def hurry(response: Response) -> Response:
        if request.path == "/chat/negotiate":
            app.config["SIGNALR_ACCESS_TOKEN_LIFETIME"] = 10 * FIRST_LIFETIME
            reload(app)
            response.data = json.dumps(response.get_json() | {"tokenLifetimeSeconds": 1})
        return response


def reload(app: Flask) -> None:
    app.extensions["signalr"].reload(Settings.from_config(app.config))


@pytest.mark.parametrize("transport", ["Server-Sent Events", "Long polling"])
@pytest.mark.parametrize("method", ["Cookie session", "Bearer token"])
def test_the_page_goes_on_after_its_first_token_has_ended(
    browsing: Browsing, tmp_path: Path, method: str, transport: str
) -> None:
    """Without renewal, the next message that it sends would be refused by the service."""
    clock = ServiceClock()
    with (
        live_emulator(clock) as emulator,
        demo_site(emulator, tmp_path / "record", change=renew_at_once, SIGNALR_REFRESH=True) as site,
    ):
        page = browsing.visit(site.url)
        sign_in(page, "ada", method)
        with page.expect_response(lambda response: "/chat/refresh?id=" in response.url) as renewed:
            connect(page, transport)
        connection_id = page.locator("#connection-id").text_content()
        clock.ahead = FIRST_LIFETIME + 60  # past the end of the first token
        send(page, "after the end")
        expect(texts(page)).to_have_text(["after the end"])

        assert renewed.value.status == 200
        assert page.locator("#connection-id").text_content() == connection_id
        assert len(site.negotiations) == 1


def test_where_the_app_does_not_renew_the_page_does_not_ask(browsing: Browsing, tmp_path: Path) -> None:
    with live_emulator() as emulator, demo_site(emulator, tmp_path / "record") as site:
        page = browsing.visit(site.url)
        sign_in(page, "ada")
        connect(page)

        assert "tokenLifetimeSeconds" not in site.negotiations[-1].answer
