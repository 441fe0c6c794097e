"""The official client in Chromium calls the methods of a Flask hub, over every transport and both protocols."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext

from tests.client_process import missing_node_client
from tests.demo_page import Browsing
from tests.serverless import CALLS, ODD_NAME, WAYS, ServerlessSite, serverless_site

# Connects, makes some calls one after the other and then many at once, and returns what came back; it hears messages,
# and answers questions, all the while.
CALL = """async ({ token, transport, protocol, calls, count }) => {
    const outcome = (method, given) => connection.invoke(method, ...given).then(
        (result) => result === undefined ? {} : { result }, (error) => ({ error: error.message }));
    const builder = new signalR.HubConnectionBuilder().configureLogging("none").withUrl("/chat", {
        accessTokenFactory: () => token, transport: signalR.HttpTransportType[transport] });
    if (protocol === "messagepack") builder.withHubProtocol(new signalR.protocols.msgpack.MessagePackHubProtocol());
    const connection = builder.build();
    const heard = [], answers = [], closed = new Promise((resolve) => connection.onclose(resolve));
    const fence = new Promise((resolve) => connection.on("news", (...given) => {
        heard.push(given);
        if (given.includes("fence")) resolve();
    }));
    connection.on("answer", (question) => `${question}? Yes.`);
    await connection.start();
    const self = connection.connectionId;
    for (const [method, ...given] of calls)
        answers.push(await outcome(method, given.map((each) => each === "{self}" ? self : each)));
    await connection.send("note", 1);
    const numbers = [...Array(count).keys()];
    const doubled = await Promise.all(numbers.map((number) => outcome("double", [number])));
    await fence;
    await connection.stop();
    await closed;
    return { self, answers, doubled: doubled.map(({ result }) => result), heard };
}"""


@pytest.fixture(scope="module")
def site() -> Iterator[ServerlessSite]:
    if missing := missing_node_client():
        pytest.skip(f"the tests of hub methods with the official client in a browser: {missing}")
    with serverless_site() as site:
        yield site


@pytest.fixture
def browsing(new_context: Callable[..., BrowserContext]) -> Iterator[Browsing]:
    """Fail a test whose page writes errors to the console, throws, or has requests that fail."""
    browsing = Browsing(new_context)
    yield browsing
    assert browsing.unexpected() == []


@pytest.mark.parametrize(("transport", "protocol"), WAYS)
def test_calls_are_answered_and_messages_heard(
    site: ServerlessSite, browsing: Browsing, transport: str, protocol: str
) -> None:
    """All that a hub's client does, on one connection, with the browser's own sockets, event source and requests."""
    if transport == "LongPolling":
        # A client that stops says so, breaks its poll off, and deletes a connection that may be gone by then.
        browsing.expected = ["net::ERR_ABORTED", "status of 404"]
    more = [
        (["echo", None], {"result": None}),
        (["join", "a room"], {}),
        (["tellGroup", "a room", "for the room"], {}),
        (["ask", "{self}", "Ready"], {"result": "it says Ready? Yes."}),
        (["whisper", "ada", "fence"], {}),
    ]
    calls = [call for call, _ in [*CALLS, *more]]
    order: dict[str, Any] = {"transport": transport, "protocol": protocol, "calls": calls, "count": 200}
    page = browsing.visit(site.url)

    outcome = page.evaluate(CALL, {"token": site.token("ada"), **order})

    assert outcome["answers"] == [answer for _, answer in [*CALLS, *more]]
    assert outcome["heard"] == [["for the room"], ["ada", "fence"]]
    assert outcome["doubled"] == [number * 2 for number in range(200)]
    handled = [("double", number) for number in range(200)]
    assert site.journal.wait_for(outcome["self"], "disconnected") == [
        ("connected", "ada"),
        ("note", 0),
        ("note", 1),
        *handled,
        ("disconnected", "ada"),
    ]


def test_claims_reach_the_methods_as_they_were(site: ServerlessSite, browsing: Browsing) -> None:
    """A display name that forges a role is a name, in a browser's connection as in any other."""
    page = browsing.visit(site.url)
    calls = [["whoami"], ["ban", "bob"], ["whisper", "eve", "fence"]]
    order = {"transport": "WebSockets", "protocol": "messagepack", "calls": calls, "count": 0}

    outcome = page.evaluate(CALL, {"token": site.token("eve", display_name=ODD_NAME), **order})

    (who, ban, _) = outcome["answers"]
    assert who["result"]["claims"] == [["display_name", ODD_NAME]]
    assert ban == {"error": "Failed to invoke 'ban' because user is unauthorized"}
