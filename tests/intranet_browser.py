"""Chromium as the people of an intranet use it: started with somebody's ticket, and allowed to sign on with it."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, Playwright

from demo.windows import ALLOW_SIGN_ON
from tests.intranet import Intranet

# What a profile on Linux keeps once it has met its first challenge, which Chromium does not answer.
MET_A_CHALLENGE = {"net": {"received_http_auth_negotiate_headers": True}}


class IntranetBrowsers:
    """Starts browsers, each in a process and with a new profile of its own.

    Args:
        playwright: Starts them.
        options: Playwright's, for every one.
        intranet: Whose people have them.
        folder: An empty folder for the profiles.
    """

    def __init__(self, playwright: Playwright, options: Mapping[str, Any], intranet: Intranet, folder: Path) -> None:
        self._playwright = playwright
        self._options = options
        self._intranet = intranet
        self._folder = folder
        self._running: list[BrowserContext] = []

    def start(self, *, user: str | None, met_a_challenge: bool = True) -> BrowserContext:
        """Start a browser.

        Args:
            user: Who signed in to the workstation; ``None`` if nobody did, so that there is no ticket.
            met_a_challenge: Whether the profile has met one before.
        """
        profile = self._folder / str(len(self._running))
        profile.mkdir()
        (profile / "Local State").write_text(json.dumps(MET_A_CHALLENGE if met_a_challenge else {}))
        ticket = {} if user is None else {"KRB5CCNAME": self._intranet.caches[user]}
        context = self._playwright.chromium.launch_persistent_context(
            profile,
            **{**self._options, "args": [*self._options["args"], ALLOW_SIGN_ON]},
            env={**os.environ, **self._intranet.environment, **ticket},
        )
        self._running.append(context)
        return context

    def close(self) -> None:
        for context in self._running:
            context.close()


class Prompts:
    """Watches a page for requests to its app that make the browser ask for a password, and cancels these.

    Attributes:
        urls: What they were for.
    """

    def __init__(self, page: Page) -> None:
        self.urls: list[str] = []
        self._devtools = page.context.new_cdp_session(page)
        self._devtools.on("Fetch.requestPaused", self._go_on)
        self._devtools.on("Fetch.authRequired", self._cancel)
        patterns = [{"urlPattern": f"{page.url}*"}]
        self._devtools.send("Fetch.enable", {"handleAuthRequests": True, "patterns": patterns})

    def _go_on(self, event: dict[str, Any]) -> None:
        self._devtools.send("Fetch.continueRequest", {"requestId": event["requestId"]})

    def _cancel(self, event: dict[str, Any]) -> None:
        self.urls.append(event["request"]["url"])
        answer = {"requestId": event["requestId"], "authChallengeResponse": {"response": "CancelAuth"}}
        self._devtools.send("Fetch.continueWithAuth", answer)
