"""pysignalr and signalrcore, in an environment of their own and over real sockets, connect through an app."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client_process import Client, ClientProcess, Refused, missing_python_clients
from tests.live import ADA, BOB, Site, live_site, with_another_key

SIGN_ONS = ["cookie", "bearer header", "bearer query"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with live_site(tmp_path_factory.mktemp("site") / "record") as site:
        yield site


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def client_of(clients: ClientProcess, site: Site, way: str, user_id: str) -> Client:
    match way:
        case "cookie":
            return clients.client(site.hub("mixed"), headers=site.sign_in(user_id))
        case "bearer header":
            return clients.client(site.hub("mixed"), headers=bearing(site.bearer(user_id)))
        case _:
            return clients.client(site.hub("mixed", f"?access_token={site.bearer(user_id)}"), headers={})


@pytest.mark.parametrize("way", SIGN_ONS)
def test_a_message_reaches_the_user_it_is_for_and_nobody_else(clients: ClientProcess, site: Site, way: str) -> None:
    """They go from the app's answer straight to a WebSocket, without the service's own negotiate."""
    with client_of(clients, site, way, ADA) as ada, client_of(clients, site, way, BOB) as bob:
        site.rest.send("mixed", "news", "for ada", {"n": 1}, to=("users", ADA))
        site.rest.send("mixed", "fence")

        heard_by_ada, heard_by_bob = [ada.message(), ada.message()], [bob.message()]

    assert heard_by_ada == [("news", "for ada", {"n": 1}), ("fence",)]
    assert heard_by_bob == [("fence",)]


def test_a_call_is_answered(clients: ClientProcess, site: Site) -> None:
    """Both put their HTTP headers into each call: the service takes them, and says why it cannot do more."""
    with client_of(clients, site, "bearer header", ADA) as ada:
        error = ada.call()

    assert error is not None
    assert "No upstream is configured" in error


def test_a_client_that_lost_its_connection_comes_back_by_itself(clients: ClientProcess, site: Site) -> None:
    """It brings the old service token to the service and does not ask the app again."""
    before = len(site.negotiations("mixed"))
    with client_of(clients, site, "bearer header", ADA) as ada:
        site.emulator.drop("mixed")

        ada.expect("reconnected")
        site.rest.send("mixed", "news", to=("users", ADA))
        assert ada.message() == ("news",)
        assert len(site.negotiations("mixed")) == before + 1


def test_signalrcore_reconnects_with_version_0(site: Site) -> None:
    """It negotiates at the service without a version, and opens what has one id and no secret token."""
    if missing := missing_python_clients():
        pytest.skip(f"the tests with the Python clients: {missing}")
    with ClientProcess.python("signalrcore") as clients, client_of(clients, site, "bearer header", BOB) as bob:
        site.emulator.drop("mixed", user_id=BOB)
        bob.expect("reconnected")

        with_one_id = site.emulator.call(
            lambda running: [one.id == one.token for one in running.service.connections if one.client.user_id == BOB]
        )

    assert with_one_id == [True]


APPS_REFUSAL = {"pysignalr": "AuthorizationError", "signalrcore": "HTTPError: .*401"}
SERVICES_REFUSAL = {"pysignalr": "AuthorizationError", "signalrcore": "SocketHandshakeError: .*401(.|\n)*signature"}


@pytest.mark.parametrize("token", [None, "abc", "expired"])
def test_a_stranger_gets_the_clients_own_error(
    clients: ClientProcess, site: Site, request: pytest.FixtureRequest, token: str | None
) -> None:
    """They tell the status apart, and nothing else of the answer."""
    token = site.bearer(ADA, lifetime=-1) if token == "expired" else token
    headers = {} if token is None else bearing(token)
    expected = APPS_REFUSAL[request.node.callspec.params["clients"]]

    with pytest.raises(Refused, match=expected):
        clients.client(site.hub("mixed"), headers=headers).__enter__()

    assert site.negotiations("mixed")[-1].status == 401


def test_a_token_that_the_service_refuses_gets_the_clients_own_error(
    clients: ClientProcess, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The app signs with another key than the service's."""
    expected = SERVICES_REFUSAL[request.node.callspec.params["clients"]]
    with live_site(tmp_path / "record", change_key=with_another_key) as site:
        with pytest.raises(Refused, match=expected):
            client_of(clients, site, "bearer header", ADA).__enter__()

        assert site.negotiations("mixed")[-1].status == 200
