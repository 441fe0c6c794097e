"""An app without an access key, over real sockets: azure-identity, an authority, the emulator, the official client."""

import logging
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
import urllib3
from flask import Flask

from flask_signalr import (
    BearerAuth,
    ConfigurationError,
    Hub,
    ServiceClient,
    ServiceError,
    ServiceRefusedToken,
    SignalR,
    nothing,
    only,
)
from flask_signalr.emulator import Emulator, EmulatorSettings
from tests.certificate import tls_server
from tests.client_process import ClientProcess, missing_node_client
from tests.connect_proxy import ConnectProxy
from tests.document_server import DocumentServer
from tests.entra_authority import APP_ID, OTHER_APP_ID, EntraAuthority
from tests.live import AUDIENCE, LONGEST_WAIT, serving
from tests.signing import SECRET, token

WAYS = ["WebSockets", "ServerSentEvents", "LongPolling"]


@pytest.fixture(scope="module")
def node() -> Iterator[ClientProcess]:
    if missing := missing_node_client():
        pytest.skip(f"the tests of Microsoft Entra ID with the official JavaScript client: {missing}")
    with ClientProcess.node() as process:
        yield process


@dataclass(frozen=True)
class Site:
    """An app that runs, and the service beside it."""

    app: Flask
    hub: Hub
    url: str
    emulator: Emulator

    def negotiate(self, user_id: str = "ada") -> tuple[int, dict[str, Any], dict[str, str]]:
        """Return the status, the content and the headers of a negotiation."""
        headers = {"Authorization": f"Bearer {bearer(user_id)}"}
        answer = urllib3.request(
            "POST",
            f"{self.url}/chat/negotiate?negotiateVersion=1",
            headers=headers,
            timeout=LONGEST_WAIT,
            retries=False,
        )
        return answer.status, answer.json(), dict(answer.headers)


def bearer(user_id: str) -> str:
    return token(sub=user_id, aud=AUDIENCE, role="admin")


def settings_for(authority: EntraAuthority, *app_ids: str) -> EmulatorSettings:
    """Return the settings of a service that nobody knows an access key of."""
    return EmulatorSettings(
        host="127.0.0.1",
        port=0,
        access_keys=(secrets.token_urlsafe(32),),
        audience_hosts=("signalr.test",),
        entra_issuer=authority.issuer,
        entra_app_ids=app_ids or (APP_ID,),
        keep_alive=0.2,
        tick=0.1,
    )


def app_of(connection_string: str, credential: object, **config: Any) -> tuple[Flask, Hub]:
    """Return an app with the hub ``chat``."""
    app = Flask(__name__)
    app.config.update(SIGNALR_CONNECTION_STRING=connection_string, SIGNALR_CREDENTIAL=credential, **config)
    auth = BearerAuth(SECRET, audience=AUDIENCE)
    is_issued = config.get("SIGNALR_TOKEN_SOURCE") == "service"
    hub = SignalR(app).hub("chat", auth=[auth], claims_filter=nothing if is_issued else only("role"))
    return app, hub


@contextmanager
def entra_site(authority: EntraAuthority, *app_ids: str, **config: Any) -> Iterator[Site]:
    with Emulator(settings_for(authority, *app_ids)) as emulator:
        app, hub = app_of(emulator.settings.entra_connection_string, authority.credential(), **config)
        with serving(app) as url:
            yield Site(app, hub, url, emulator)


def opens(site: Site, access_token: str) -> int:
    """Return the status that the service answers a client's token with."""
    url = f"{site.emulator.url}/client/negotiate?hub=chat&negotiateVersion=1"
    headers = {"Authorization": f"Bearer {access_token}"}
    return urllib3.request("POST", url, headers=headers, timeout=LONGEST_WAIT, retries=False).status


def connected(site: Site) -> list[tuple[str | None, Any]]:
    """Return the user ids of the clients, and their claims of the type ``role``."""
    return site.emulator.call(
        lambda running: [(each.client.user_id, each.client.claims.get("role")) for each in running.service.connections]
    )


@pytest.mark.parametrize("transport", WAYS)
def test_the_official_client_connects_with_a_token_of_an_exchanged_key(
    node: ClientProcess, entra_authority: EntraAuthority, transport: str
) -> None:
    """Under its user id, with its claims; and what the app sends with its Entra token reaches it."""
    with (
        entra_site(entra_authority) as site,
        node.client(f"{site.url}/chat", token=bearer("ada"), transport=transport) as ada,
    ):
        site.hub.clients.user("ada").send("news", "for you")
        heard = ada.message()
        found = connected(site)

    assert heard == ("news", "for you")
    assert found == [("ada", "admin")]


def test_the_official_client_connects_with_a_token_that_the_service_made(
    node: ClientProcess, entra_authority: EntraAuthority
) -> None:
    with (
        entra_site(entra_authority, SIGNALR_TOKEN_SOURCE="service") as site,
        node.client(f"{site.url}/chat", token=bearer("ada")) as ada,
    ):
        site.hub.clients.user("ada").send("news", "for you")
        heard = ada.message()
        found = connected(site)

    assert heard == ("news", "for you")
    assert found == [("ada", None)]


def test_a_client_token_names_the_key_and_holds_no_entra_token(entra_authority: EntraAuthority) -> None:
    """The attack: a client that is given the app's own token owns every service of the tenant."""
    with entra_site(entra_authority) as site:
        _, answer, _ = site.negotiate()
        key_id = jwt.get_unverified_header(answer["accessToken"])["kid"]
        known = site.emulator.call(lambda running: running.service.exchanged_keys.find(key_id, 0))

    assert known is not None
    assert answer["accessToken"] not in entra_authority.tokens
    assert not any(given in str(answer) for given in entra_authority.tokens)


def test_a_hundred_first_negotiations_cost_one_token_and_one_key(entra_authority: EntraAuthority) -> None:
    with entra_site(entra_authority) as site, ThreadPoolExecutor(20) as pool:
        statuses = [status for status, _, _ in pool.map(lambda _: site.negotiate(), range(100))]

    assert statuses == [200] * 100
    assert len(entra_authority.tokens) == 1


def test_a_key_that_rotates_under_two_hundred_negotiations_costs_no_client_its_connection(
    entra_authority: EntraAuthority,
) -> None:
    numbers = iter(range(200))
    with entra_site(entra_authority) as site, ThreadPoolExecutor(20) as pool:

        def negotiate(_: int) -> str:
            if next(numbers) == 100:
                site.emulator.rotate_exchanged_key()
            return str(site.negotiate()[1]["accessToken"])

        tokens = list(pool.map(negotiate, range(200)))
        statuses = {opens(site, token) for token in tokens}

    assert statuses == {200}


def test_a_missing_role_is_a_503_for_clients_and_named_to_the_app(
    entra_authority: EntraAuthority, caplog: pytest.LogCaptureFixture
) -> None:
    with entra_site(entra_authority, OTHER_APP_ID) as site:
        status, answer, headers = site.negotiate()
        with pytest.raises(ServiceError) as caught:
            site.hub.clients.all.send("news")

    assert status == 503
    assert int(headers["Retry-After"]) > 0
    assert "role" not in str(answer)
    for text in (caplog.text, str(caught.value)):
        assert "'SignalR Service Owner'" in text
    assert "'SignalR App Server'" in caplog.text
    assert "'SignalR REST API Owner'" in str(caught.value)


def test_an_app_with_the_role_for_keys_alone_is_told_which_one_calls_need(entra_authority: EntraAuthority) -> None:
    """The commonest slip: the role that is right for server SDKs lets clients in, and no message out."""
    with entra_site(entra_authority, f"{APP_ID}=app-server") as site:
        status, _, _ = site.negotiate()
        with pytest.raises(ServiceRefusedToken, match=r"assign it the role .*'SignalR REST API Owner' for calls"):
            site.hub.clients.all.send("news")

    assert status == 200


@pytest.mark.parametrize("source", ["key", "service"])
def test_an_authority_that_fails_is_a_503_without_details(
    entra_authority: EntraAuthority, caplog: pytest.LogCaptureFixture, source: str
) -> None:
    entra_authority.faults.status = 500
    with entra_site(entra_authority, SIGNALR_TOKEN_SOURCE=source) as site:
        status, answer, headers = site.negotiate()

    assert status == 503
    assert int(headers["Retry-After"]) > 0
    assert list(answer) == ["error"]
    assert "Entra" not in answer["error"]
    assert "Microsoft Entra" in caplog.text


def test_no_log_has_a_token_or_a_key(entra_authority: EntraAuthority, caplog: pytest.LogCaptureFixture) -> None:
    """Not even azure-identity's and urllib3's own, at the level that people on call switch on."""
    caplog.set_level(logging.DEBUG)
    with entra_site(entra_authority) as site:
        _, answer, _ = site.negotiate()
        site.hub.clients.all.send("news")
        key = site.emulator.call(lambda running: running.service.exchanged_keys.hand_out(time.time()))
    secrets_of_all = [*entra_authority.tokens, answer["accessToken"], key.access_key]

    assert not any(secret in caplog.text for secret in secrets_of_all)


def test_every_call_goes_to_the_server_endpoint(node: ClientProcess, entra_authority: EntraAuthority) -> None:
    """The host of ``Endpoint`` does not exist: what is not sent to the other two addresses fails."""
    with Emulator(settings_for(entra_authority)) as emulator:
        string = (
            f"Endpoint=http://signalr.test;AuthType=azure;ServerEndpoint={emulator.url};ClientEndpoint={emulator.url}"
        )
        app, hub = app_of(string, entra_authority.credential())
        with serving(app) as url, node.client(f"{url}/chat", token=bearer("ada")) as ada:
            hub.clients.all.send("news", "to all")
            heard = ada.message()
            exists = hub.clients.user("ada").exists()
        issued, _ = app_of(string, entra_authority.credential(), SIGNALR_TOKEN_SOURCE="service")
        generated = issued.test_client().post(
            "/chat/negotiate?negotiateVersion=1", headers={"Authorization": f"Bearer {bearer('ada')}"}
        )

    assert (heard, exists) == (("news", "to all"), True)
    assert generated.status_code == 200


def test_a_path_of_the_server_endpoint_leads_to_the_exchange(entra_authority: EntraAuthority) -> None:
    """A gateway may serve the service below a path of its own."""
    with DocumentServer() as gateway:
        gateway.documents["/signalr/api/v1/auth/accessKey"] = {"KeyId": "the-key", "AccessKey": "x" * 40}
        string = f"Endpoint=http://signalr.test;AuthType=azure;ServerEndpoint={gateway.url}/signalr"
        app, hub = app_of(string, entra_authority.credential())
        with app.app_context():
            access = hub.negotiate(user_id="ada")
        authorization = gateway.headers[0]["Authorization"]

    assert jwt.get_unverified_header(access.token)["kid"] == "the-key"
    assert authorization == f"Bearer {entra_authority.tokens[0]}"


def test_an_exchange_takes_the_proxy_of_the_environment_which_reads_no_token(
    entra_authority: EntraAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        DocumentServer(tls_server(entra_authority.certificate)) as service,
        ConnectProxy(service.port) as proxy,
    ):
        for name in ("https_proxy", "no_proxy"):  # this machine's own come before those in capitals
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "localhost")
        service.documents["/api/v1/auth/accessKey"] = {"KeyId": "the-key", "AccessKey": "x" * 40}
        app, hub = app_of("Endpoint=https://signalr.test;AuthType=azure", entra_authority.credential())
        with app.app_context():
            access = hub.negotiate(user_id="ada")
        authorization = service.headers[0]["Authorization"]

    (entra_token,) = entra_authority.tokens
    assert jwt.get_unverified_header(access.token)["kid"] == "the-key"
    assert proxy.asked == ["signalr.test:443"]
    assert authorization == f"Bearer {entra_token}"
    assert entra_token.encode() not in proxy.seen


@pytest.mark.parametrize(
    "connection_string",
    [
        "Endpoint=http://signalr.test;AuthType=azure",
        "Endpoint=http://127.0.0.1.signalr.test;Port=8888;AuthType=azure.msi",
        "Endpoint=http://10.0.0.1;AuthType=azure.app;ClientId=c;TenantId=t;ClientSecret=s",
        "Endpoint=https://signalr.test;ServerEndpoint=http://gateway.signalr.test;AuthType=azure",
        "Endpoint=http://localhost;ServerEndpoint=http://signalr.test;AuthType=azure",
    ],
    ids=["name", "name like an address", "address", "server endpoint", "server endpoint behind this machine"],
)
def test_who_listens_on_the_way_to_the_service_gets_no_entra_token(
    entra_authority: EntraAuthority, connection_string: str
) -> None:
    """The attack: a token in plain text opens every service instance of the app, for its whole hour."""
    credential = entra_authority.credential()
    fault = "each call would bring a token .* in plain text: take https"

    with pytest.raises(ConfigurationError, match=f"^SIGNALR_CONNECTION_STRING: .*{fault}"):
        app_of(connection_string, credential)
    with pytest.raises(ConfigurationError, match=f"^SIGNALR_ENDPOINTS.'east'.: .*{fault}"):
        app_of("", credential, SIGNALR_ENDPOINTS={"east": connection_string})
    with pytest.raises(ConfigurationError, match=fault):
        ServiceClient.from_connection_string(connection_string, credential=credential)

    assert entra_authority.tokens == []


@pytest.mark.parametrize(
    "address",
    [
        "Endpoint=http://localhost;Port=8888",
        "Endpoint=http://127.0.0.1:8888",
        "Endpoint=http://[::1]:8888",
        "Endpoint=http://signalr.test;ServerEndpoint=https://signalr.test",
    ],
)
def test_an_emulator_on_this_machine_needs_no_encryption(entra_authority: EntraAuthority, address: str) -> None:
    """And of several addresses, the one counts that the tokens go to."""
    app, _ = app_of(f"{address};AuthType=azure", entra_authority.credential())

    assert app.extensions["signalr"].settings.endpoints[0].key is None


def test_a_service_client_without_flask_uses_the_credential_too(entra_authority: EntraAuthority) -> None:
    with Emulator(settings_for(entra_authority)) as emulator:
        client = ServiceClient.from_connection_string(
            emulator.settings.entra_connection_string, credential=entra_authority.credential()
        )

        exists = client.hub("chat").user("ada").exists()

    assert exists is False
