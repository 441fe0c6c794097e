"""The emulator's check of access tokens: what opens what, and the attacks that it refuses."""

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from flask_signalr.emulator.exchanged_keys import ExchangedKeys
from flask_signalr.emulator.tokens import TokenCheck
from flask_signalr.errors import AccessTokenRefused
from flask_signalr.tokens import SigningKey, sign_access_token
from tests.emulated import KEY, NOW, OTHER_KEY, client_token, token

AUDIENCE = "http://localhost/client/?hub=chat"
CHECK = TokenCheck((KEY, OTHER_KEY[::-1]), frozenset({"localhost", "127.0.0.1", "::1", "Build.Example"}), 8888)


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def hand_made(header: dict[str, Any], payload: bytes, key: str = KEY) -> str:
    """Return a token whose signature is right and whose parts no library would write."""
    signed = f"{base64url(json.dumps(header).encode())}.{base64url(payload)}"
    return f"{signed}.{base64url(hmac.digest(key.encode(), signed.encode(), hashlib.sha256))}"


def refusal(text: str | None, hub: str = "chat", now: float = NOW) -> AccessTokenRefused:
    with pytest.raises(AccessTokenRefused) as caught:
        CHECK.client(text, hub, now)
    assert not text or len(text) < 20 or text not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
@pytest.mark.parametrize("key", [KEY, OTHER_KEY[::-1]], ids=["primary key", "secondary key"])
@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
def test_both_algorithms_and_every_key_of_the_service_sign(algorithm: str, key: str) -> None:
    """HS512 with the 44 characters that the service hands out is what its own SDK signs with."""
    identity = CHECK.client(token({"aud": AUDIENCE, "asrs.s.uid": "ada"}, key, algorithm), "chat", NOW)

    assert identity.user_id == "ada"


@pytest.mark.parametrize(
    "audience",
    [
        "http://localhost/client/?hub=chat",
        "http://localhost:8888/client/?hub=chat",
        "http://localhost/client?hub=chat",
        "https://localhost/client/?hub=chat",
        "HTTP://LOCALHOST/Client/?Hub=CHAT",
        "http://127.0.0.1/client/?hub=chat",
        "http://127.0.0.1:8888/client/?hub=chat",
        "http://[::1]:8888/client/?hub=chat",
        "http://build.example/client/?hub=chat",
        ["http://elsewhere/", "http://localhost/client/?hub=chat"],
    ],
)
def test_audiences_of_the_configured_addresses_open_the_hub(audience: Any) -> None:
    assert CHECK.client(token({"aud": audience}), "chat", NOW).user_id is None


@pytest.mark.parametrize(
    "audience",
    [
        "http://localhost/client/?hub=chat2",
        "http://localhost/client/?hub=admin&hub=chat",
        "http://localhost/client/?hub=chat&x=y",
        "http://localhost/client/",
        "http://localhost/server/?hub=chat",
        "http://localhost/x/client/?hub=chat",
        "http://localhost.evil.example/client/?hub=chat",
        "http://evil.example/client/?hub=chat",
        "http://localhost:9999/client/?hub=chat",
        "http://localhost:99999/client/?hub=chat",
        "http://[::1/client/?hub=chat",
        "ftp://localhost/client/?hub=chat",
        "chat",
        "",
        [],
        ["x"],
        [5],
        {"hub": "chat"},
        None,
        5,
        "x" * 1000,
    ],
)
def test_a_wrong_audience_is_refused_and_told_the_right_one(audience: Any) -> None:
    """A token for one hub, one service or one operation must not open another."""
    claims = {"exp": NOW + 60, "aud": audience}

    error = refusal(hand_made({"alg": "HS256"}, json.dumps(claims).encode()))

    assert error.check == "aud"
    assert "'http://localhost/client/?hub=chat'" in str(error)
    assert len(str(error)) < 800


def test_a_missing_audience_is_refused() -> None:
    error = refusal(token({}))

    assert (error.check, "set the claim aud to" in str(error)) == ("aud", True)


def test_a_token_of_another_hub_does_not_open_this_one() -> None:
    error = refusal(client_token(hub="admin"), hub="chat")

    assert error.check == "aud"
    assert "hub=admin" in str(error)


def test_a_wrong_key_is_refused_with_the_remedy() -> None:
    error = refusal(token({"aud": AUDIENCE}, OTHER_KEY))

    assert error.check == "signature"
    assert "AccessKey of the connection string" in str(error)
    assert KEY not in str(error)


def test_an_unsigned_token_is_refused() -> None:
    """``alg: none``, in the spellings that filters miss."""
    payload = json.dumps({"aud": AUDIENCE, "exp": NOW + 60}).encode()

    for algorithm in ("none", "None", "NONE", "", None, ["HS256"], 256):
        unsigned = f"{base64url(json.dumps({'alg': algorithm}).encode())}.{base64url(payload)}."
        assert refusal(unsigned).check == "signature"


def test_a_token_signed_with_a_public_key_is_refused() -> None:
    """RS256 turned into HS256 with the public key as the secret, and RS256 itself: neither key is ours."""
    private = rsa.generate_private_key(65537, 2048)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    claims = {"aud": AUDIENCE, "exp": NOW + 60}

    confused = hand_made({"alg": "HS256"}, json.dumps(claims).encode(), public.decode())
    honest = jwt.encode(claims, private, "RS256")

    assert refusal(confused).check == "signature"
    assert refusal(honest).check == "signature"


@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
def test_hs384_is_refused() -> None:
    """The service accepts HS256 and HS512 and nothing in between."""
    assert refusal(token({"aud": AUDIENCE}, KEY, "HS384")).check == "signature"


def test_a_changed_payload_is_refused() -> None:
    header, _, signature = client_token("ada").split(".")
    payload = base64url(json.dumps({"aud": AUDIENCE, "exp": NOW + 60, "asrs.s.uid": "admin"}).encode())

    assert refusal(f"{header}.{payload}.{signature}").check == "signature"


def test_an_expired_token_is_refused_with_its_age() -> None:
    error = refusal(client_token(exp=NOW - 35))

    assert error.check == "exp"
    assert "expired 35 seconds ago" in str(error)


def test_a_token_expires_at_its_expiry() -> None:
    text = client_token(exp=NOW)

    assert CHECK.client(text, "chat", NOW - 0.5).claims["exp"] == NOW
    assert refusal(text, now=NOW).check == "exp"


def test_a_token_from_the_future_is_refused() -> None:
    error = refusal(client_token(nbf=NOW + 20))

    assert error.check == "nbf"
    assert "another 20 seconds" in str(error)


@pytest.mark.parametrize("name", ["exp", "nbf"])
@pytest.mark.parametrize("value", ["1", True, [], {}, 10**30, -(10**30), 1e300])
def test_a_time_that_is_none_is_refused(name: str, value: Any) -> None:
    payload = json.dumps({"aud": AUDIENCE, "exp": NOW + 60, name: value}).encode()

    assert refusal(hand_made({"alg": "HS256"}, payload)).check == name


@pytest.mark.parametrize("value", [..., None], ids=["absent", "null"])
def test_a_token_that_never_expires_is_refused(value: Any) -> None:
    payload = {"aud": AUDIENCE} | ({} if value is ... else {"exp": value})

    assert refusal(hand_made({"alg": "HS256"}, json.dumps(payload).encode())).check == "exp"


def test_a_token_longer_than_the_service_accepts_is_refused() -> None:
    """4096 characters are the service's limit; what works here must work there."""
    too_long = client_token(x="x" * 3000)

    error = refusal(too_long)

    assert error.check == "length"
    assert f"{len(too_long)} characters" in str(error)
    assert "4096" in str(error)


@pytest.mark.parametrize("text", [None, ""], ids=["absent", "empty"])
def test_a_missing_token_is_refused_with_the_way_to_send_one(text: str | None) -> None:
    error = refusal(text)

    assert error.check == "form"
    assert "Authorization: Bearer" in str(error)


MALFORMED = {
    "no token": "hello",
    "two parts": "e30.e30",
    "four parts": "e30.e30.e30.e30",
    "no base64": "*.*.*",
    "no text": "\ud83d.e30.e30",
    "header is no object": f"{base64url(b'[]')}.e30.e30",
    "header is no JSON": f"{base64url(b'{')}.e30.e30",
    "header exhausts the stack": f"{base64url(b'[' * 2500)}.e30.e30",
    "payload is no object": hand_made({"alg": "HS256"}, b"[]"),
    "payload is no JSON": hand_made({"alg": "HS256"}, b"{"),
    "payload is no UTF-8": hand_made({"alg": "HS256"}, b'{"a":"\xff"}'),
    "payload holds NaN": hand_made({"alg": "HS256"}, b'{"exp":NaN}'),
    "payload exhausts the stack": hand_made({"alg": "HS256"}, b'{"a":' + b"[" * 2500),
    "unknown critical header": hand_made({"alg": "HS256", "crit": ["x"], "x": 1}, b"{}"),
    "key id is a number": hand_made({"alg": "HS256", "kid": 5}, b"{}"),
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_token_is_refused(text: str) -> None:
    assert refusal(text).check == "form"


@given(st.text(st.characters(), max_size=300) | st.binary(max_size=200).map(lambda b: hand_made({"alg": "HS256"}, b)))
def test_no_token_leads_to_anything_but_a_refusal(text: str) -> None:
    refusal(text)


USERS: dict[str, tuple[dict[str, Any], str | None]] = {
    "nobody": ({}, None),
    "the service's claim": ({"sub": "s", "nameid": "n", "asrs.s.uid": "u"}, "u"),
    "nameid": ({"nameid": "n"}, "n"),
    "sub": ({"sub": "s"}, "s"),
    "the first of both": ({"sub": "s", "nameid": "n"}, "s"),
    "an empty user id": ({"asrs.s.uid": "", "sub": "s"}, None),
}


@pytest.mark.parametrize(("claims", "user_id"), USERS.values(), ids=USERS)
def test_the_user_id_is_the_services_own_claim_or_the_tokens_subject(
    claims: dict[str, Any], user_id: str | None
) -> None:
    assert CHECK.client(token({"aud": AUDIENCE, **claims}), "chat", NOW).user_id == user_id


@pytest.mark.parametrize("name", ["asrs.s.uid", "nameid"])
def test_a_user_id_given_twice_is_refused(name: str) -> None:
    """A claim that a user smuggled in beside the real one makes an array; nobody can say who that is."""
    claims: dict[str, Any] = {name: ["ada", "admin"]}

    error = refusal(client_token(**claims))

    assert error.check == name


@pytest.mark.parametrize("name", ["asrs.s.uid", "nameid", "sub"])
@pytest.mark.parametrize("user_id", ["ada\r\nX-ASRS-User-Id: bob", "ada\x00", "ada\x85", "ada\u2028"], ids=ascii)
def test_a_user_id_that_no_header_can_carry_is_refused(name: str, user_id: str) -> None:
    """The app is told the user id in a header: without its control characters it would be somebody else's."""
    error = refusal(client_token(**{name: user_id}))

    assert (error.check, "control characters" in str(error)) == (name, True)


def test_claims_are_kept_and_not_shown() -> None:
    identity = CHECK.client(client_token("ada", role=["staff"]), "chat", NOW)

    assert identity.claims["role"] == ["staff"]
    assert "staff" not in repr(identity)


@pytest.mark.parametrize(
    ("value", "number"), [("5", 5), ("0", None), ("11", None), ("5.0", None), ("٥", None), (5, None), (["5"], None)]
)
def test_the_services_numbers_are_texts_within_bounds(value: Any, number: int | None) -> None:
    """Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR.Common/Utilities/ClaimsUtility.cs."""
    identity = CHECK.client(client_token(**{"asrs.s.cht": value}), "chat", NOW)

    assert identity.number("asrs.s.cht", 1, 10) == number


PATH = "/api/hubs/chat/users/a%2Fb/:send"
QUERY = "application=app&api-version=2022-06-01&excluded=1"


@pytest.mark.parametrize(
    "audience",
    [
        f"http://localhost{PATH}",
        f"http://localhost{PATH}/",
        f"http://localhost:8888{PATH}",
        f"http://localhost{PATH}?application=app&api-version=2022-06-01",
        f"http://localhost:8888{PATH}?{QUERY}",
        "HTTP://LOCALHOST/API/HUBS/CHAT/users/a%2fb/:send?APPLICATION=APP",
        "http://127.0.0.1/api/hubs/chat/users/a%2fb/%3Asend",
    ],
)
def test_a_rest_audience_is_the_url_with_or_without_its_query_and_port(audience: str) -> None:
    """The documentation leaves the query out, the SDK puts part of it in, and both leave the port out."""
    CHECK.rest(token({"aud": audience}), PATH, QUERY, NOW)


@pytest.mark.parametrize(
    "audience",
    [
        "http://localhost/api/hubs/chat/users/a/b/:send",
        "http://localhost/api/hubs/chat/users/A%2FB/:send",
        "http://localhost/api/hubs/chat/:send",
        "http://localhost/api/hubs/chat",
        "http://localhost/",
        f"http://localhost{PATH}?application=other",
        f"http://localhost{PATH}?application=app&application=other",
        f"http://evil.example{PATH}",
        f"http://localhost:1{PATH}",
        AUDIENCE,
    ],
)
def test_a_rest_token_for_another_call_is_refused(audience: str) -> None:
    """Of another user, hub or application; a client's token opens no call at all."""
    with pytest.raises(AccessTokenRefused) as caught:
        CHECK.rest(token({"aud": audience}), PATH, QUERY, NOW)

    assert caught.value.check == "aud"


def test_a_rest_token_opens_no_hub() -> None:
    assert refusal(token({"aud": f"http://localhost{PATH}"})).check == "aud"


def test_a_key_that_was_handed_out_for_client_tokens_opens_no_rest_call() -> None:
    """The role 'SignalR App Server' is given such a key, and may call nothing."""
    keys = ExchangedKeys(3600)
    key = keys.hand_out(NOW)
    check = TokenCheck((KEY,), frozenset({"localhost"}), 8888, keys)
    signing_key = SigningKey(key.access_key, key.key_id)

    def signed(audience: str) -> str:
        return sign_access_token(signing_key, audience, (), lifetime=60, now=NOW)

    check.client(signed(AUDIENCE), "chat", NOW)
    with pytest.raises(AccessTokenRefused) as caught:
        check.rest(signed(f"http://localhost{PATH}"), PATH, QUERY, NOW)

    assert caught.value.check == "signature"
