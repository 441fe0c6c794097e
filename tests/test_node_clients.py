"""The official JavaScript client, in Node and over real sockets, connects through an app and hears from the service."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import urllib3

from flask_signalr.emulator.connections import ClientTransport
from tests.client_process import ClientProcess, Refused
from tests.live import (
    ADA,
    BOB,
    LONGEST_WAIT,
    ServiceClock,
    Site,
    live_config,
    live_emulator,
    live_site,
    with_another_key,
)
from tests.server_process import ServerProcess

over_every_transport = pytest.mark.parametrize("transport", ["WebSockets", "ServerSentEvents", "LongPolling"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with live_site(tmp_path_factory.mktemp("site") / "record") as site:
        yield site


def ways_to_sign_on(site: Site, user_id: str) -> dict[str, dict[str, Any]]:
    """Return what a page gives to the client, by the way that it signs on."""
    return {
        "cookie": {"url": site.hub("cookie"), "headers": site.sign_in(user_id)},
        "bearer header": {"url": site.hub("bearer"), "token": site.bearer(user_id)},
        "bearer query": {"url": site.hub("bearer", f"?access_token={site.bearer(user_id)}")},
        "cookie beside bearer": {"url": site.hub("mixed"), "headers": site.sign_in(user_id)},
        "bearer beside cookie": {"url": site.hub("mixed"), "token": site.bearer(user_id)},
    }


WAYS = ["cookie", "bearer header", "bearer query", "cookie beside bearer", "bearer beside cookie"]


def hub_of(options: dict[str, Any]) -> str:
    return str(options["url"]).partition("?")[0].rpartition("/")[2]


@over_every_transport
@pytest.mark.parametrize("way", WAYS)
def test_a_message_reaches_the_user_it_is_for_and_nobody_else(
    node: ClientProcess, site: Site, transport: str, way: str
) -> None:
    """The main road: sign-in, negotiate, connection, message. The fence is sent last."""
    options, others = ways_to_sign_on(site, ADA)[way], ways_to_sign_on(site, BOB)[way]
    hub = hub_of(options)
    with node.client(**options, transport=transport) as ada, node.client(**others, transport=transport) as bob:
        site.rest.send(hub, "news", "for ada", {"n": 1}, to=("users", ADA))
        site.rest.send(hub, "fence")

        heard_by_ada, heard_by_bob = [ada.message(), ada.message()], [bob.message()]

    assert heard_by_ada == [("news", "for ada", {"n": 1}), ("fence",)]
    assert heard_by_bob == [("fence",)]


@over_every_transport
def test_the_chosen_transport_carries_the_connection(node: ClientProcess, site: Site, transport: str) -> None:
    """Or the tests of one transport would be those of another."""
    with node.client(site.hub("open"), transport=transport) as client:
        carried_by = site.emulator.call(
            lambda running: [one.transport for one in running.service.connections if one.id == client.id]
        )

    assert carried_by == [ClientTransport(transport)]


@over_every_transport
@pytest.mark.parametrize("to", [None, "groups", "connections"])
def test_a_message_reaches_everybody_a_group_or_a_connection(
    node: ClientProcess, site: Site, transport: str, to: str | None
) -> None:
    """The other addresses; the group's members are added while they are connected."""
    with (
        node.client(site.hub("open"), transport=transport) as inside,
        node.client(site.hub("open"), transport=transport) as outside,
    ):
        site.rest.add_to_group("open", "lobby", inside.id)
        address = {None: None, "groups": ("groups", "lobby"), "connections": ("connections", inside.id)}[to]
        site.rest.send("open", "news", to, to=address)
        site.rest.send("open", "fence")

        heard = inside.message(), outside.message()

    assert heard == (("news", to), ("news", to) if to is None else ("fence",))


@over_every_transport
def test_a_token_signed_with_hs512_connects(node: ClientProcess, site: Site, transport: str) -> None:
    with node.client(site.hub("strong"), headers=site.sign_in(ADA), transport=transport) as ada:
        site.rest.send("strong", "news", to=("users", ADA))

        heard = ada.message()

    token = site.negotiations("strong")[-1].answer["accessToken"]
    assert jwt.get_unverified_header(token)["alg"] == "HS512"
    assert heard == ("news",)


@over_every_transport
def test_a_client_with_stateful_reconnect_falls_back_to_the_plain_protocol(
    node: ClientProcess, site: Site, transport: str
) -> None:
    """It asks both negotiates with ``useStatefulReconnect=true``, and would fail if one offered what it lacks."""
    with node.client(site.hub("cookie"), headers=site.sign_in(ADA), transport=transport, stateful=True) as ada:
        site.rest.send("cookie", "news", to=("users", ADA))

        heard = ada.message()

    assert "useStatefulReconnect=true" in site.negotiations("cookie")[-1].query
    assert heard == ("news",)


def test_a_client_without_any_option_connects(node: ClientProcess, site: Site) -> None:
    """``new HubConnectionBuilder().withUrl(url).build()``: the answer suits the client's defaults."""
    with node.client(site.hub("open")) as client:
        site.rest.send("open", "news", to=("connections", client.id))

        heard = client.message()

    assert heard == ("news",)


@over_every_transport
def test_a_call_is_answered(node: ClientProcess, site: Site, transport: str) -> None:
    """Without an upstream nobody can do what is asked for, and the caller learns it instead of waiting for ever."""
    with node.client(site.hub("open"), transport=transport) as client:
        error = client.call()

    assert error is not None
    assert "No upstream is configured" in error


# Reconnecting


@over_every_transport
@pytest.mark.parametrize("abruptly", [True, False], ids=["broken off", "closed"])
@pytest.mark.parametrize("way", WAYS)
def test_a_client_that_lost_its_connection_comes_back_as_the_same_user(
    node: ClientProcess, site: Site, transport: str, way: str, abruptly: bool
) -> None:
    """It negotiates anew, signed on as the first time, and gets a new connection that its user id leads to."""
    options = ways_to_sign_on(site, ADA)[way]
    hub = hub_of(options)
    with node.client(**options, transport=transport, reconnect=True) as ada:
        lost = ada.id

        site.emulator.drop(hub, abruptly=abruptly)

        ada.expect("reconnecting")
        ada.expect("reconnected")
        site.rest.send(hub, "news", to=("users", ADA))
        assert ada.message() == ("news",)
        assert ada.id != lost


@over_every_transport
@pytest.mark.parametrize("hub", ["cookie", "mixed", "open"])
def test_the_echoed_service_token_is_no_credential(node: ClientProcess, site: Site, transport: str, hub: str) -> None:
    """A reconnecting client sends our own token back to us: taken for a bearer token, it would lock its user out.

    Who signed on by cookie is found behind the scheme that takes every bearer token; who is nobody stays nobody.
    """
    before = len(site.negotiations(hub))
    headers = {} if hub == "open" else site.sign_in(ADA)
    with node.client(site.hub(hub), headers=headers, transport=transport, reconnect=True) as client:
        site.emulator.drop(hub)
        client.expect("reconnecting")
        client.expect("reconnected")

    first, *others = site.negotiations(hub)[before:]
    assert not first.authorization
    assert others
    assert all(one.authorization == f"Bearer {first.answer['accessToken']}" for one in others)
    assert [one.status for one in others] == [200] * len(others)


def test_a_poll_with_an_expired_token_ends_in_a_fresh_one(node: ClientProcess, tmp_path: Path) -> None:
    """Long polling brings the token with each poll; when it is refused, the client goes back to the app."""
    clock = ServiceClock()
    with live_site(tmp_path / "record", clock=clock) as site:
        options = {"headers": site.sign_in(ADA), "transport": "LongPolling", "reconnect": True}
        with node.client(site.hub("cookie"), **options) as ada:
            clock.ahead = 5400
            site.rest.send("cookie", "news", "ends the poll, if there is one", to=("users", ADA))

            assert "the access token expired" in ada.wait_for("reconnecting")["error"]
            clock.ahead = 0
            ada.expect("reconnected")
            site.rest.send("cookie", "news", "again", to=("users", ADA))
            assert ada.message() == ("news", "again")


# Refusals


@over_every_transport
@pytest.mark.parametrize(
    ("hub", "reason"),
    [("cookie", "sign in to connect"), ("bearer", "sign in to connect"), ("nowhere", "no hub of this name")],
)
def test_a_stranger_is_refused_and_reads_why(
    node: ClientProcess, site: Site, transport: str, hub: str, reason: str
) -> None:
    """The client puts the whole body into its error: a short JSON, never a page or a redirect to one."""
    with pytest.raises(Refused, match=reason), node.client(site.hub(hub), transport=transport):
        pass


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("forged", "the bearer token's signature is wrong"),
        ("expired", r"the bearer token has expired \(exp\)"),
        ("no token", "the bearer token is malformed"),
    ],
)
@pytest.mark.parametrize("place", ["header", "query"])
@pytest.mark.parametrize("hub", ["bearer", "mixed"])
def test_a_wrong_bearer_token_is_refused_and_its_bearer_reads_why(
    node: ClientProcess, site: Site, way: str, reason: str, place: str, hub: str
) -> None:
    token = {
        "forged": jwt.encode({"sub": ADA, "aud": "api://chat", "exp": int(time.time()) + 60}, "k" * 32),
        "expired": site.bearer(ADA, lifetime=-1),
        "no token": "abc",
    }[way]
    options = (
        {"url": site.hub(hub), "token": token}
        if place == "header"
        else {"url": site.hub(hub, f"?access_token={token}")}
    )

    with pytest.raises(Refused, match=f"{reason}.*Status code '401'") as refused, node.client(**options):
        pass

    assert token not in str(refused.value) or way == "no token"


@over_every_transport
def test_a_service_token_whose_lifetime_is_over_is_refused_with_the_reason(
    node: ClientProcess, tmp_path: Path, transport: str
) -> None:
    """The service's clock is five seconds ahead of the app's, whose tokens live for one."""
    clock = ServiceClock()
    clock.ahead = 5
    with live_site(tmp_path / "record", clock=clock) as site:
        options = {"headers": site.sign_in(ADA), "transport": transport}

        with pytest.raises(Refused, match=r"expired . seconds ago \(claim exp\).*Status code '401'"):
            node.client(site.hub("brief"), **options).__enter__()

        assert [one.status for one in site.negotiations("brief")] == [200]


@over_every_transport
def test_a_service_token_of_another_key_is_refused_with_the_reason(
    node: ClientProcess, tmp_path: Path, transport: str
) -> None:
    with live_site(tmp_path / "record", change_key=with_another_key) as site:
        options = {"headers": site.sign_in(ADA), "transport": transport}

        with pytest.raises(Refused, match=r"signature does not match.*Status code '401'"):
            node.client(site.hub("cookie"), **options).__enter__()


# Without the client, and another server


@pytest.mark.parametrize("query", ["", "?negotiateVersion=0"], ids=["no version", "version 0"])
def test_a_client_of_negotiate_version_0_connects(site: Site, query: str) -> None:
    """Old clients send no version: the service then gives them one id and no secret token beside it."""
    access = answer_of("POST", f"{site.hub('bearer')}/negotiate{query}", site.bearer(ADA))
    service, parameters = access["url"].split("?")
    token = access["accessToken"]

    connection = answer_of("POST", f"{service}negotiate?{parameters}{query.replace('?', '&')}", token)
    polled = f"{service}?{parameters}&id={connection['connectionId']}"
    records(polled, token)
    request("POST", polled, token, body='{"protocol":"json","version":1}\x1e')
    handshake = records(polled, token)
    site.rest.send("bearer", "news", to=("users", ADA))
    heard = records(polled, token)
    request("DELETE", polled, token)

    assert connection["negotiateVersion"] == 0
    assert "connectionToken" not in connection
    assert handshake == [{}]
    assert heard == [{"type": 1, "target": "news", "arguments": []}]


def request(method: str, url: str, token: str, body: str = "") -> bytes:
    headers = {"Authorization": f"Bearer {token}"}
    answer = urllib3.request(method, url, headers=headers, body=body, timeout=LONGEST_WAIT, retries=False)
    assert answer.status in (200, 202), answer.data
    return answer.data


def answer_of(method: str, url: str, token: str) -> Any:
    return json.loads(request(method, url, token))


def records(url: str, token: str) -> list[Any]:
    """Return the messages of one poll."""
    return [json.loads(record) for record in request("GET", url, token).split(b"\x1e") if record]


@over_every_transport
def test_the_road_leads_through_gunicorn_too(node: ClientProcess, behind_gunicorn: Site, transport: str) -> None:
    """Another server's environ, a process of its own: connection, message and the echo of the reconnect."""
    site = behind_gunicorn
    with node.client(site.hub("cookie"), headers=site.sign_in(ADA), transport=transport, reconnect=True) as ada:
        site.rest.send("cookie", "news", to=("users", ADA))
        assert ada.message() == ("news",)

        site.emulator.drop("cookie")

        ada.expect("reconnecting")
        ada.expect("reconnected")
        assert site.negotiations("cookie")[-1].authorization.startswith("Bearer ")


@pytest.fixture(scope="module")
def behind_gunicorn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with live_emulator() as emulator:
        config = live_config(emulator.connection_string, tmp_path_factory.mktemp("gunicorn") / "record")
        with ServerProcess("gunicorn", config) as server:
            yield Site(server.url, config, emulator)
