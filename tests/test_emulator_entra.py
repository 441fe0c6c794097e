"""The emulator's REST API with Microsoft Entra tokens, of the real azure-identity and a real authority over TLS."""

import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from flask_signalr.emulator import Emulator, EmulatorSettings, running
from flask_signalr.errors import ConfigurationError
from flask_signalr.tokens import SigningKey
from tests.emulated import API, KEY, NOW, OTHER_KEY, Wire, client_token, emulating
from tests.entra_authority import APP_ID, OTHER_APP_ID, TENANT, EntraAuthority
from tests.signing import rsa_key

SCOPE = "https://signalr.azure.com/.default"
EXCHANGE = "/api/v1/auth/accessKey"
NEWS: Mapping[str, Any] = {"target": "news", "arguments": []}


@pytest.fixture
def authority(entra_authority: EntraAuthority) -> EntraAuthority:
    return entra_authority


@asynccontextmanager
async def emulating_with(authority: EntraAuthority, **settings: Any) -> AsyncIterator[Wire]:
    async with emulating(entra_issuer=authority.issuer, **settings) as wire:
        yield wire


async def exchange(wire: Wire, text: str) -> dict[str, str]:
    """Return the key that the emulator hands out for an Entra token."""
    status, body = await wire.status("GET", EXCHANGE, text)
    assert status == 200, body
    return dict(json.loads(body))


def signed_with(key: Mapping[str, str], **claims: Any) -> str:
    """Return a client's token that an exchanged key signed."""
    payload = {"exp": NOW + 3600, "aud": "http://localhost/client/?hub=chat", **claims}
    return jwt.encode(payload, key["AccessKey"], "HS256", {"kid": key["KeyId"]})


async def opened(wire: Wire, text: str) -> tuple[int, str, str]:
    """Return the status, the challenge and the error that a client is answered with."""
    async with wire.request("POST", "/client/negotiate?hub=chat&negotiateVersion=1", text) as response:
        content = await response.json()
        return response.status, response.headers.get("WWW-Authenticate", ""), content.get("error", "")


async def test_a_token_of_the_real_azure_identity_may_call_the_rest_api(authority: EntraAuthority) -> None:
    text = authority.credential().get_token(SCOPE).token
    async with emulating_with(authority, entra_app_ids=(OTHER_APP_ID, APP_ID)) as wire:
        socket = await wire.websocket(client_token("ada"))

        sent = await wire.status("POST", f"/api/hubs/chat/:send?{API}", text, json=NEWS)
        heard = await socket.receive_str()

    assert sent == (202, "")
    assert json.loads(heard[:-1])["target"] == "news"


async def test_an_access_key_still_signs_rest_calls_and_nothing_is_fetched_for_it(authority: EntraAuthority) -> None:
    async with emulating_with(authority) as wire:
        status, _ = await wire.rest("POST", "hubs/chat/:send", json=NEWS)

    assert status == 202
    assert authority.requested == []


async def test_an_entra_token_is_exchanged_for_a_key_that_signs_client_tokens(authority: EntraAuthority) -> None:
    async with emulating_with(authority) as wire:
        key = await exchange(wire, authority.token())
        socket = await wire.websocket(signed_with(key, **{"asrs.s.uid": "ada"}))

        assert set(key) == {"KeyId", "AccessKey"}
        assert wire.connection_id("ada")
        assert not socket.closed


async def test_the_versioned_path_hands_out_the_same_key(authority: EntraAuthority) -> None:
    """The server SDK asks the one, the data plane 2024-12-01 has the other."""
    async with emulating_with(authority) as wire:
        key = await exchange(wire, authority.token())
        _, body = await wire.status("GET", "/api/auth/accessKey?api-version=2024-12-01", authority.token())

    assert json.loads(body) == key


async def test_a_generated_token_opens_the_hub(authority: EntraAuthority) -> None:
    path = "/api/hubs/chat/:generateToken?api-version=2022-11-01&userId=ada"
    async with emulating_with(authority) as wire:
        _, body = await wire.status("POST", path, authority.token())
        await wire.websocket(json.loads(body)["token"])

        assert wire.connection_id("ada")


async def test_an_answer_with_a_key_is_kept_by_no_cache(authority: EntraAuthority) -> None:
    async with emulating_with(authority) as wire, wire.request("GET", EXCHANGE, authority.token()) as response:
        assert response.headers["Cache-Control"] == "no-store"


async def test_the_key_of_an_entra_only_service_is_not_given_for_an_access_key(authority: EntraAuthority) -> None:
    """The attack: one leaked token of a REST call becomes a key that signs anything."""
    async with emulating_with(authority) as wire:
        status, body = await wire.rest("GET", "auth/accessKey", "api-version=2024-12-01")

    assert status == 403
    assert "Microsoft Entra token" in json.loads(body)["message"]


async def test_no_key_is_handed_out_where_no_issuer_is_configured(authority: EntraAuthority) -> None:
    async with emulating() as wire:
        status, _ = await wire.status("GET", EXCHANGE, authority.token())

    assert status == 401


@pytest.mark.parametrize("audience", ["https://signalr.azure.com", "https://signalr.azure.com/"])
async def test_the_audience_may_end_in_a_slash(authority: EntraAuthority, audience: str) -> None:
    """A resource that is written with one comes back with one (version 1 of the tokens)."""
    async with emulating_with(authority) as wire:
        status, _ = await wire.status("GET", EXCHANGE, authority.token(aud=audience))

    assert status == 200


FAULTY: Mapping[str, tuple[Callable[[EntraAuthority], str], str]] = {
    "expired": (lambda authority: authority.token(exp=int(time.time()) - 1), "expired (exp)"),
    "not valid yet": (lambda authority: authority.token(nbf=int(time.time()) + 600), "not valid yet"),
    "of no end": (lambda authority: authority.token(exp=...), "'exp'"),
    "for another service": (lambda authority: authority.token(aud="https://vault.azure.net"), "audience"),
    "for nobody": (lambda authority: authority.token(aud=...), "'aud'"),
    "of no application": (lambda authority: authority.token(appid=...), "one application (appid, azp)"),
    "of two applications": (lambda authority: authority.token(azp=OTHER_APP_ID), "one application (appid, azp)"),
    "of an application that is no text": (lambda authority: authority.token(appid=[APP_ID]), "one application"),
}


@pytest.mark.parametrize("fault", FAULTY)
async def test_a_token_that_is_not_for_this_is_refused_and_told_why(authority: EntraAuthority, fault: str) -> None:
    make, reason = FAULTY[fault]
    text = make(authority)
    async with emulating_with(authority) as wire:
        status, body = await wire.status("GET", EXCHANGE, text)

    assert status == 401
    assert reason in json.loads(body)["message"]
    assert text not in body


FORGED: Mapping[str, Callable[[EntraAuthority], str]] = {
    "signed with the public key as a secret": lambda authority: SigningKey(
        authority.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        jwt.get_unverified_header(authority.token())["kid"],
    ).sign(json.dumps(jwt.decode(authority.token(), options={"verify_signature": False})).encode(), "HS256"),
    "signed with a key of the forger's": lambda authority: jwt.encode(
        jwt.decode(authority.token(), options={"verify_signature": False}), rsa_key("forger"), "RS256"
    ),
    "not signed": lambda authority: jwt.encode(
        jwt.decode(authority.token(), options={"verify_signature": False}), "", "none"
    ),
    "signed with the access key that everybody may know": lambda authority: jwt.encode(
        jwt.decode(authority.token(), options={"verify_signature": False}), OTHER_KEY, "HS256"
    ),
    "of another issuer": lambda authority: authority.token(iss=f"https://sts.windows.net/{TENANT}/"),
    "of no issuer": lambda authority: authority.token(iss=...),
}


@pytest.mark.parametrize("forgery", FORGED)
async def test_a_forged_token_is_refused(authority: EntraAuthority, forgery: str) -> None:
    async with emulating_with(authority) as wire:
        status, _ = await wire.status("GET", EXCHANGE, FORGED[forgery](authority))

    assert status == 401


async def test_an_application_without_a_role_is_refused(authority: EntraAuthority) -> None:
    async with emulating_with(authority, entra_app_ids=(OTHER_APP_ID,)) as wire:
        exchanged = await wire.status("GET", EXCHANGE, authority.token())
        sent = await wire.status("POST", f"/api/hubs/chat/:send?{API}", authority.token(), json=NEWS)

    assert (exchanged[0], sent[0]) == (403, 403)
    assert APP_ID in json.loads(exchanged[1])["message"]


@pytest.mark.parametrize(
    ("role", "name", "statuses"),
    [
        ("service-owner", "SignalR Service Owner", (200, 202, 404, 200)),
        ("app-server", "SignalR App Server", (200, 403, 403, 403)),
        ("rest-api-owner", "SignalR REST API Owner", (403, 202, 404, 200)),
        ("rest-api-reader", "SignalR REST API Reader", (403, 403, 404, 403)),
    ],
)
async def test_a_role_permits_what_it_does_on_the_real_service(
    authority: EntraAuthority, role: str, name: str, statuses: tuple[int, ...]
) -> None:
    """With the wrong one an app signs client tokens and can send nothing, or the other way round."""
    text = authority.token()
    generate = "/api/hubs/chat/:generateToken?api-version=2022-11-01"
    async with emulating_with(authority, entra_app_ids=(OTHER_APP_ID, f"{APP_ID}={role}")) as wire:
        answers = [
            await wire.status("GET", EXCHANGE, text),
            await wire.status("POST", f"/api/hubs/chat/:send?{API}", text, json=NEWS),
            await wire.status("HEAD", f"/api/hubs/chat/users/ada?{API}", text),
            await wire.status("POST", generate, text),
        ]

    assert tuple(status for status, _ in answers) == statuses
    assert all(f"'{name}'" in body for status, body in answers if status == 403 and body)


async def test_an_entra_token_opens_no_hub(authority: EntraAuthority) -> None:
    """A client never gets one: it would open the whole REST API."""
    async with emulating_with(authority) as wire:
        status, _, _ = await opened(wire, authority.token(aud="http://localhost/client/?hub=chat"))

    assert status == 401


async def test_an_issuer_that_is_down_is_no_refusal(authority: EntraAuthority) -> None:
    """The caller's token may be good: it shall try again, and not fetch another."""
    async with emulating(entra_issuer=f"{authority.url}/nowhere/") as wire:
        text = authority.token(iss=f"{authority.url}/nowhere/")
        async with wire.request("GET", EXCHANGE, text) as response:
            status, retry_after = response.status, response.headers["Retry-After"]

    assert status == 503
    assert 0 < int(retry_after) <= 30


async def test_health_needs_no_token_and_looks_at_none(authority: EntraAuthority) -> None:
    async with emulating_with(authority) as wire:
        status, _ = await wire.status("HEAD", "/api/health", authority.token(exp=int(time.time()) - 1))

    assert status == 200


async def test_a_rotated_key_leaves_the_former_one_its_time(authority: EntraAuthority) -> None:
    async with emulating_with(authority) as wire:
        former = await exchange(wire, authority.token())

        wire.emulator.rotate_exchanged_key()
        latter = await exchange(wire, authority.token())

        assert latter["KeyId"] != former["KeyId"]
        assert (await opened(wire, signed_with(former)))[0] == 200
        assert (await opened(wire, signed_with(latter)))[0] == 200


async def test_a_forgotten_key_is_refused_with_the_words_that_make_callers_fetch_another(
    authority: EntraAuthority,
) -> None:
    async with emulating_with(authority) as wire:
        former = await exchange(wire, authority.token())
        wire.emulator.rotate_exchanged_key(forget=True)

        status, challenge, error = await opened(wire, signed_with(former))

    assert status == 401
    assert challenge == 'Bearer error="invalid_token", error_description="The signature key was not found"'
    assert "(kid)" in error


async def test_where_no_keys_are_handed_out_nobody_is_sent_to_fetch_one() -> None:
    """The server SDK names a key in every token, its access key too: a wrong one is a wrong access key."""
    async with emulating() as wire:
        status, challenge, error = await opened(wire, signed_with({"AccessKey": OTHER_KEY, "KeyId": "471202371"}))

    assert (status, challenge) == (401, "Bearer")
    assert "sign it with the AccessKey of the connection string" in error


async def test_a_key_for_client_tokens_makes_no_calls(authority: EntraAuthority) -> None:
    """No other key would help, so nobody is told to fetch one."""
    async with emulating_with(authority) as wire:
        key = await exchange(wire, authority.token())
        path = "/api/hubs/chat/:send"
        token = signed_with(key, aud=f"http://localhost{path}")

        async with wire.request("POST", f"{path}?{API}", token, json=NEWS) as response:
            answer = response.status, response.headers["WWW-Authenticate"]

    assert answer == (401, "Bearer")


async def test_a_key_expires(authority: EntraAuthority) -> None:
    async with emulating_with(authority, entra_key_lifetime=100) as wire:
        text = signed_with(await exchange(wire, authority.token()))

        wire.clock.now = NOW + 99
        before = await opened(wire, text)
        wire.clock.now = NOW + 100
        after = await opened(wire, text)

    assert (before[0], after[0]) == (200, 401)
    assert "(kid)" in after[2]


async def test_a_key_id_does_not_lend_its_name_to_another_key(authority: EntraAuthority) -> None:
    """The attack: a holder of a revoked access key names a key of today."""
    async with emulating_with(authority) as wire:
        key = await exchange(wire, authority.token())

        forged = await opened(wire, signed_with({"KeyId": key["KeyId"], "AccessKey": KEY}))
        unknown = await opened(wire, signed_with({"KeyId": "unknown", "AccessKey": key["AccessKey"]}))
        nameless = await opened(
            wire, jwt.encode({"exp": NOW + 60, "aud": "http://localhost/client/?hub=chat"}, key["AccessKey"])
        )

    assert [status for status, _, _ in (forged, unknown, nameless)] == [401, 401, 401]


async def test_the_log_holds_neither_tokens_nor_keys(
    authority: EntraAuthority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with emulating_with(authority, entra_app_ids=(APP_ID,)) as wire:
        good, refused = authority.token(), authority.token(appid=OTHER_APP_ID)
        key = await exchange(wire, good)
        await wire.status("GET", EXCHANGE, refused)

    assert "has no role on this service" in caplog.text
    assert not any(secret in caplog.text for secret in (good, refused, key["AccessKey"]))


async def test_an_issuer_that_cannot_be_one_is_a_fault_of_the_configuration() -> None:
    with pytest.raises(ConfigurationError, match=r"^entra_issuer: plain http .*--entra-issuer"):
        async with running(EmulatorSettings(port=0, entra_issuer="http://sts.example/")):
            pass


def test_an_emulator_in_a_thread_rotates_too(authority: EntraAuthority) -> None:
    settings = EmulatorSettings(port=0, entra_issuer=authority.issuer)
    with Emulator(settings) as emulator:
        former = emulator.call(lambda running_here: running_here.service.exchanged_keys.hand_out(NOW))

        emulator.rotate_exchanged_key(forget=True)

        assert emulator.call(lambda here: here.service.exchanged_keys.find(former.key_id, NOW)) is None
