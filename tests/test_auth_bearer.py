"""BearerAuth with a key given in code: what it accepts, and each attack that it refuses."""

import base64
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from flask import Request
from hypothesis import example, given
from hypothesis import strategies as st

from flask_signalr.auth.bearer import MAX_LEEWAY, BearerAuth
from flask_signalr.claims import Claims
from flask_signalr.errors import AuthenticationFailed, ConfigurationError
from flask_signalr.principal import Principal, by_email
from tests.signing import SECRET, bearing, ec_key, ed_key, public_pem, request_with, rsa_key, sign, token

ISSUER = "https://login.example/tenant"
NOW = int(time.time())
LATER = NOW + 36_000  # later than the end of any run of all tests
AUTH = BearerAuth(SECRET)
STRICT = BearerAuth(SECRET, issuer=ISSUER, audience="api://chat")


def segment(value: object) -> str:
    """Return one part of a token."""
    octets = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def refusal(auth: BearerAuth, token: str) -> str:
    """Return the reason why a token is refused."""
    with pytest.raises(AuthenticationFailed) as refused:
        auth.authenticate(bearing(token))
    return str(refused.value)


def token_with(changes: Mapping[str, Any]) -> str:
    return token(SECRET, "HS256", header=None, **changes)


def accepted(auth: BearerAuth, token: str) -> Principal:
    principal = auth.authenticate(bearing(token))
    assert principal is not None
    return principal


# What is accepted.


def test_a_good_token_makes_a_principal() -> None:
    """``exp`` and the like speak of the token, the other claims of the caller."""
    expiry = LATER
    good = token(
        sub="ada", iss=ISSUER, aud="api://chat", exp=expiry, nbf=NOW - 1, iat=NOW - 1, jti="7", nonce="n", at_hash="a",
        email="ada@example.org", email_verified=True, roles=["staff", "moderator"], level=3, address={"town": "Bath"},
        nickname=None, azp="page",
    )  # fmt: skip

    principal = accepted(STRICT, good)

    assert (principal.name, principal.scheme, principal.expires_at) == ("ada", "Bearer", expiry)
    assert principal.claims == Claims(
        (
            ("sub", "ada"), ("iss", ISSUER), ("email", "ada@example.org"), ("email_verified", True), ("roles", "staff"),
            ("roles", "moderator"), ("level", 3), ("address", {"town": "Bath"}), ("azp", "page"),
        )
    )  # fmt: skip


def test_a_token_in_the_query_is_accepted() -> None:
    principal = AUTH.authenticate(request_with(query=f"access_token={token()}"))

    assert principal is not None
    assert principal.name == "ada"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic YWRhOmFkYQ=="}], ids=["nothing", "Basic"])
def test_without_a_bearer_token_the_next_scheme_looks(headers: Mapping[str, str]) -> None:
    assert AUTH.authenticate(request_with(headers)) is None


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(rsa_key(), "RS256"), (ec_key("P-256"), "ES256"), (ec_key("P-384"), "ES384"), (ed_key(), "EdDSA")],
    ids=["RS256", "ES256", "ES384", "EdDSA"],
)
def test_a_token_of_a_public_keys_owner_is_accepted(key: Any, algorithm: str) -> None:
    assert accepted(BearerAuth(public_pem(key)), token(key, algorithm)).name == "ada"


@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
def test_several_algorithms_of_one_kind_stand_side_by_side(algorithm: str) -> None:
    auth = BearerAuth(SECRET.encode(), algorithms=["HS256", "HS512"])

    assert accepted(auth, token(SECRET, algorithm)).name == "ada"


@pytest.mark.parametrize("audience", ["api://chat", ["api://chat"], ["api://other", "api://chat"]], ids=repr)
def test_the_audience_may_be_one_of_several(audience: Any) -> None:
    accepted(BearerAuth(SECRET, audience="api://chat"), token(aud=audience))
    accepted(BearerAuth(SECRET, audience=["api://x", "api://chat"]), token(aud=audience))


@pytest.mark.parametrize("header", [{"typ": "at+jwt"}, {"typ": "JWT", "kid": "7", "x5t": "x"}, {"cty": "x"}], ids=repr)
def test_headers_that_do_not_matter_are_ignored(header: Mapping[str, str]) -> None:
    accepted(AUTH, token(header=header))


def test_a_claim_of_the_apps_choice_is_the_name() -> None:
    auth = BearerAuth(SECRET, name_claim="preferred_username")

    assert accepted(auth, token(preferred_username="Ada L.")).name == "Ada L."


def test_an_app_makes_its_own_principal_of_all_claims() -> None:
    auth = BearerAuth(SECRET, to_principal=lambda claims: Principal(f"{claims['tid']}:{claims['oid']}", scheme="Entra"))

    principal = accepted(auth, token(tid="t", oid="o", exp=LATER))

    assert principal == Principal("t:o", scheme="Entra", expires_at=LATER)


@pytest.mark.parametrize(("chosen", "kept"), [(LATER - 60, LATER - 60), (LATER + 60, LATER)], ids=["sooner", "later"])
def test_an_apps_own_principal_never_outlives_its_token(chosen: int, kept: int) -> None:
    auth = BearerAuth(SECRET, to_principal=lambda _: Principal("ada", expires_at=chosen))

    assert accepted(auth, token(exp=LATER)).expires_at == kept


def test_an_app_may_refuse_a_verified_token() -> None:
    def refuse(claims: Mapping[str, Any]) -> Principal:
        raise AuthenticationFailed("not on the list")

    assert refusal(BearerAuth(SECRET, to_principal=refuse), token()) == "not on the list"


def test_an_app_that_makes_no_principal_is_told_so() -> None:
    """Nobody is let in, and nobody is asked next: the token was verified, so it is no stranger's."""
    auth = BearerAuth(SECRET, to_principal=lambda claims: claims.get("nobody"))  # type: ignore[arg-type, return-value]

    with pytest.raises(TypeError, match="returned None, not a Principal"):
        accepted(auth, token())


def test_what_makes_the_principal_is_a_function() -> None:
    with pytest.raises(ConfigurationError, match="to_principal"):
        BearerAuth(SECRET, to_principal="oid")  # type: ignore[arg-type]


def test_leeway_covers_a_clock_that_is_a_little_off() -> None:
    """The sign-in then ends with the leeway, or it would be over before it began."""
    auth = BearerAuth(SECRET, leeway=60)

    assert accepted(auth, token(exp=int(time.time()) - 30)).expires_at == pytest.approx(time.time() + 30, abs=20)
    accepted(auth, token(nbf=int(time.time()) + 30, iat=int(time.time()) + 30))


# Whose token it is.


@pytest.mark.parametrize(
    "issuer", ["https://evil.example", ISSUER + "/", ISSUER.upper(), "", None, 7, [ISSUER], ...], ids=repr
)
def test_a_token_of_a_foreign_issuer_is_left_to_the_next_scheme(issuer: Any) -> None:
    """Several issuers stand side by side; a token that no scheme accepts is refused by the chain."""
    assert STRICT.authenticate(bearing(token(iss=issuer, aud="api://chat"))) is None


def test_a_token_of_a_foreign_issuer_and_key_is_left_to_the_next_scheme() -> None:
    assert STRICT.authenticate(bearing(token(rsa_key(), "RS256", iss="https://other.example"))) is None


def test_without_an_issuer_every_bearer_token_is_mine() -> None:
    assert refusal(AUTH, token("x" * 64, iss="https://evil.example")) == "the bearer token's signature is wrong"


# Attacks on the signature.


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", None, 0, [], ["HS256"], {}], ids=repr)
@pytest.mark.parametrize("signature", ["", "c2lnbmF0dXJl"], ids=["unsigned", "with something"])
def test_alg_none_is_refused(algorithm: Any, signature: str) -> None:
    forged = f"{segment({'alg': algorithm})}.{segment({'sub': 'ada', 'exp': LATER})}.{signature}"

    assert "algorithm" in refusal(AUTH, forged)


def test_a_token_without_alg_is_refused() -> None:
    assert "algorithm" in refusal(AUTH, f"{segment({})}.{segment({'sub': 'ada', 'exp': LATER})}.AAAA")


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_hs_token_signed_with_the_public_key_is_refused(algorithm: str) -> None:
    """RS to HS confusion: the public key, which everybody has, is used as if it were a shared secret."""
    pem = public_pem(rsa_key())
    signed = f"{segment({'alg': algorithm})}.{segment({'sub': 'ada', 'exp': LATER})}"
    hash_name = f"sha{algorithm[2:]}"

    for form in (pem, pem.strip()):
        mac = hmac.digest(form.encode(), signed.encode(), hash_name)
        assert "algorithm" in refusal(BearerAuth(pem), f"{signed}.{segment(mac)}")


def test_another_hash_than_the_configured_one_is_refused() -> None:
    assert "algorithm" in refusal(AUTH, token(SECRET, "HS512"))
    assert "algorithm" in refusal(BearerAuth(public_pem(rsa_key())), token(rsa_key(), "PS256"))


@pytest.mark.parametrize(
    ("auth", "forged"),
    [
        (AUTH, token(SECRET[:-1] + "!")),
        (BearerAuth(public_pem(rsa_key())), token(rsa_key("second"), "RS256")),
        (BearerAuth(public_pem(ec_key("P-256"))), token(rsa_key(), "RS256").replace("RS256", "ES256")),
    ],
    ids=["secret", "RSA", "EC"],
)
def test_a_token_of_another_key_is_refused(auth: BearerAuth, forged: str) -> None:
    assert refusal(auth, forged)


def test_a_changed_payload_is_refused() -> None:
    header, _, signature = token().split(".")

    assert "signature" in refusal(AUTH, f"{header}.{segment({'sub': 'root', 'exp': LATER})}.{signature}")


@pytest.mark.parametrize("size", [0, 1, 63, 65, 500], ids=str)
def test_an_elliptic_signature_of_a_wrong_size_is_refused(size: int) -> None:
    header, payload, _ = token(ec_key(), "ES256").split(".")

    assert "signature" in refusal(BearerAuth(public_pem(ec_key())), f"{header}.{payload}.{segment(bytes(size))}")


def test_a_zero_elliptic_signature_is_refused() -> None:
    """Some verifiers took r = s = 0 for the signature of everything."""
    header, payload, _ = token(ec_key(), "ES256").split(".")

    assert "signature" in refusal(BearerAuth(public_pem(ec_key())), f"{header}.{payload}.{segment(bytes(64))}")


@pytest.mark.parametrize("cut", range(1, 60, 7), ids=str)
def test_a_truncated_token_is_refused(cut: int) -> None:
    assert refusal(AUTH, token()[:-cut])


@pytest.mark.parametrize(
    "broken",
    [
        "x",
        ".",
        "..",
        "...",
        "a.b",
        "a.b.c",
        "a.b.c.d.e",
        "e30.e30.",
        ".e30.AAAA",
        "e30..AAAA",
        "====.====.====",
        "a.b.c=",
    ],
)
def test_what_is_no_token_is_refused(broken: str) -> None:
    assert "bearer token" in refusal(AUTH, broken)


@pytest.mark.parametrize(
    "header", [b"[]", b"7", b"null", b'"x"', b"{", b"\xff", b"[" * 10_000], ids=lambda it: repr(it[:9])
)
def test_a_header_that_is_no_object_is_refused(header: bytes) -> None:
    assert refusal(AUTH, f"{segment(header)}.e30.AAAA") == "the bearer token is malformed"


@pytest.mark.parametrize("crit", [["exp"], ["b64"], ["b64", "x"], [], "exp", None, 7, {}, [7]], ids=repr)
def test_a_critical_extension_is_refused(crit: Any) -> None:
    """RFC 7515 §4.1.11: who does not understand what must be understood must refuse."""
    for extra in ({}, {"b64": True}, {"b64": False}):
        signed = f"{segment({'alg': 'HS256', 'crit': crit} | extra)}.{segment({'sub': 'ada', 'exp': LATER})}"
        mac = hmac.digest(SECRET.encode(), signed.encode(), "sha256")

        assert refusal(AUTH, f"{signed}.{segment(mac)}")


@pytest.mark.parametrize(
    "kid", ["../../etc/passwd", "' OR 1=1 --", "https://evil.example/k", "\x00", "k" * 4000], ids=repr
)
def test_kid_injection_is_without_effect(kid: str) -> None:
    """A key given in code is the key, whatever a token says."""
    accepted(AUTH, token(header={"kid": kid}))
    assert refusal(AUTH, token("x" * 64, header={"kid": kid})) == "the bearer token's signature is wrong"


@pytest.mark.parametrize("kid", [7, None, ["k"], {}], ids=repr)
def test_a_kid_that_is_no_text_is_refused(kid: Any) -> None:
    signed = f"{segment({'alg': 'HS256', 'kid': kid})}.{segment({'sub': 'ada', 'exp': LATER})}"

    assert refusal(AUTH, f"{signed}.{segment(hmac.digest(SECRET.encode(), signed.encode(), 'sha256'))}")


# Attacks on time, audience and the claims' form.


def test_an_expired_token_is_refused() -> None:
    assert refusal(AUTH, token(exp=NOW - 1)) == "the bearer token has expired (exp)"


def test_leeway_does_not_revive_a_token_that_expired_long_ago() -> None:
    assert refusal(BearerAuth(SECRET, leeway=60), token(exp=NOW - 61)) == "the bearer token has expired (exp)"


@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_a_token_from_the_future_is_refused(name: str) -> None:
    assert refusal(AUTH, token_with({name: LATER})) == "the bearer token is not valid yet (nbf or iat)"


@pytest.mark.parametrize("missing", [..., None], ids=["missing", "null"])
def test_a_token_without_expiry_is_refused(missing: Any) -> None:
    assert refusal(AUTH, token(exp=missing)) == "the bearer token lacks the claim 'exp'"


@pytest.mark.parametrize(
    "expiry",
    [str(LATER), LATER + 0.5, float(LATER), True, False, -1, 0, 253402300800, 10**30],
    ids=["text", "fraction", "float", "true", "false", "-1", "0", "year 10000", "huge"],
)
def test_a_strange_expiry_is_refused(expiry: Any) -> None:
    """Whole seconds, as everybody writes them, or it is not sure when the sign-in ends."""
    assert "(exp)" in refusal(AUTH, token(exp=expiry))


@pytest.mark.parametrize("expiry", ["", "soon", [], {}, [LATER]], ids=repr)
def test_an_expiry_that_is_no_number_is_refused(expiry: Any) -> None:
    assert refusal(AUTH, token(exp=expiry)) == "the bearer token is malformed"


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity", "-Infinity", "9" * 5000, "0x7", "1_000"])
@pytest.mark.parametrize("name", ["exp", "nbf", "iat", "level"])
def test_a_number_out_of_range_is_refused(name: str, number: str) -> None:
    payload = f'{{"sub":"ada","exp":{LATER},"{name}":{number}}}'

    assert refusal(AUTH, sign(payload.encode())) == "the bearer token is malformed"


@pytest.mark.parametrize("name", ["nbf", "iat"])
@pytest.mark.parametrize("value", ["soon", None, [], {}], ids=repr)
def test_a_time_that_is_no_number_is_refused(name: str, value: Any) -> None:
    assert "bearer token" in refusal(AUTH, token_with({name: value}))


@pytest.mark.parametrize(
    "audience",
    ["api://other", "api://chat/", "API://chat", ["api://other"], [7], [["api://chat"]], {"api://chat": 1}, 7],
    ids=repr,
)
def test_a_token_for_another_audience_is_refused(audience: Any) -> None:
    """A token that somebody else's app got must not open this one."""
    assert refusal(STRICT, token(iss=ISSUER, aud=audience)) == "the bearer token is for another audience (aud)"


@pytest.mark.parametrize("audience", [..., None, "", []], ids=repr)
def test_a_token_without_the_demanded_audience_is_refused(audience: Any) -> None:
    assert refusal(STRICT, token(iss=ISSUER, aud=audience)) == "the bearer token lacks the claim 'aud'"


def test_a_token_for_an_audience_is_refused_when_none_is_configured() -> None:
    """RFC 7519 §4.1.3: who does not find itself in ``aud`` must refuse."""
    assert "none is configured" in refusal(AUTH, token(aud="api://other"))


@pytest.mark.parametrize("name", [..., None, "", "  ", 7, True, ["ada"], {"name": "ada"}], ids=repr)
def test_a_token_without_a_name_is_refused(name: Any) -> None:
    auth = BearerAuth(SECRET, name_claim="email")

    assert refusal(auth, token(email=name)) == "the bearer token has no name in its claim 'email'"


def test_a_subject_that_is_no_text_is_refused() -> None:
    assert "bearer token" in refusal(AUTH, token(sub=7))


@pytest.mark.parametrize(
    "payload",
    [
        b'{"sub":"ada","sub":"root","exp":%d}',
        b'{"sub":"ada","exp":1,"exp":%d}',
        b'{"sub":"ada","address":{"town":"Bath","town":"York"},"exp":%d}',
    ],
)
def test_duplicate_names_are_refused(payload: bytes) -> None:
    """RFC 7519 §4: two readers may take different ones, and each believes that it checked the right one."""
    assert refusal(AUTH, sign(payload % (LATER))) == "the bearer token is malformed"


@pytest.mark.parametrize(
    "payload",
    [
        b'{"sub":"\\ud800","exp":%d}',
        b'{"sub":"ada","\\udfff":1,"exp":%d}',
        b'{"sub":"\xed\xa0\x80","exp":%d}',
        b'{"sub":"\xff","exp":%d}',
        '{"sub":"ada","exp":%d}'.encode("utf-16"),
        b'{"sub":"a\nda","exp":%d}',
        b'{"sub":"ada","exp":%d,}',
        b'{"sub":"ada","exp":%d}{}',
        b"[]",
        b"null",
        b"",
        b'{"deep":' + b"[" * 50_000,
    ],
    ids=["escaped lone surrogate", "in a name", "raw surrogate", "Latin-1", "UTF-16", "control", "comma", "trailing",
         "an array", "null", "nothing", "deep"],
)  # fmt: skip
def test_a_payload_that_is_no_json_object_is_refused(payload: bytes) -> None:
    octets = payload % (LATER) if b"%d" in payload else payload

    # A token may have 16 384 characters; the deep one is cut to fit and still deeper than any reader goes.
    assert refusal(AUTH, sign(octets[:12_000])) == "the bearer token is malformed"


@pytest.mark.parametrize("value", [[["a"]], [1, [2]], ["a", [None]]], ids=repr)
def test_a_claim_that_no_service_token_can_carry_is_refused(value: Any) -> None:
    assert refusal(AUTH, token(matrix=value)).startswith("the bearer token cannot be used: claim 'matrix'")


def test_a_1_mb_token_is_refused() -> None:
    assert "longer than" in refusal(AUTH, token(padding="x" * 1_000_000))


# What a refusal says.


@pytest.mark.parametrize(
    ("auth", "changes"),
    [
        (AUTH, {}),
        (AUTH, {"aud": ..., "x": [["marked-x"]]}),
        (AUTH, {"exp": NOW - 9}),
        (AUTH, {"nbf": LATER}),
        (AUTH, {"jti": ["marked-jti"]}),
        (BearerAuth(SECRET, issuer="marked-iss", audience="api://chat"), {}),
        (BearerAuth(SECRET, name_claim="email"), {"aud": ...}),
    ],
    ids=["aud", "matrix", "exp", "nbf", "jti", "another aud", "name"],
)
def test_a_refusal_says_nothing_of_the_token(auth: BearerAuth, changes: Mapping[str, Any]) -> None:
    """It may stand in a log, and on a screen that others see."""
    marked = {"sub": "marked-sub", "iss": "marked-iss", "aud": "marked-aud", "email": ["marked-email"]}

    assert "marked" not in refusal(auth, token_with({**marked, **changes}))


def test_a_failure_keeps_pyjwts_error_for_the_debugger() -> None:
    with pytest.raises(AuthenticationFailed) as refused:
        AUTH.authenticate(bearing(token(exp=NOW - 1)))

    assert isinstance(refused.value.__cause__, jwt.ExpiredSignatureError)


def test_a_401_advertises_bearer() -> None:
    assert AUTH.challenge() == "Bearer"


def test_the_key_stays_out_of_the_repr() -> None:
    assert SECRET not in repr(AUTH) + repr(vars(AUTH))
    assert ISSUER in repr(STRICT)
    assert "HS256" in repr(STRICT)


# What cannot be configured.


@pytest.mark.parametrize(
    ("keywords", "fault"),
    [
        ({"issuer": ""}, "issuer"),
        ({"issuer": 7}, "issuer"),
        ({"issuer": ["https://a.example"]}, "issuer"),
        ({"audience": ""}, "audience"),
        ({"audience": []}, "audience"),
        ({"audience": ["api://chat", ""]}, "audience"),
        ({"audience": [None]}, "audience"),
        ({"leeway": -1}, "leeway"),
        ({"leeway": MAX_LEEWAY + 1}, "leeway"),
        ({"leeway": float("nan")}, "leeway"),
        ({"leeway": True}, "leeway"),
        ({"leeway": "60"}, "leeway"),
        ({"name_claim": ""}, "name_claim"),
        ({"name_claim": None}, "name_claim"),
        ({"algorithms": ["none"]}, "algorithms"),
        ({"algorithms": ["RS256", "HS256"]}, "algorithms"),
        ({"algorithms": "HS256"}, "algorithms"),
    ],
    ids=repr,
)
def test_a_wrong_keyword_is_named(keywords: Mapping[str, Any], fault: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"BearerAuth\({fault}=…\)"):
        BearerAuth(SECRET, **keywords)


# Anything at all.

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
headers = st.dictionaries(st.sampled_from(["alg", "kid", "crit", "b64", "typ", "jku", "x5c"]), json_values)
payloads = st.dictionaries(st.sampled_from(["exp", "nbf", "iat", "iss", "aud", "sub", "jti", "email"]), json_values)


@given(headers, payloads | st.binary(), st.sampled_from([AUTH, STRICT, BearerAuth(public_pem(ec_key()))]))
@example({}, {"exp": 10**400}, AUTH)
def test_any_token_is_accepted_or_left_or_refused(header: Any, payload: Any, auth: BearerAuth) -> None:
    """With the right signature, so that everything behind it is reached as well."""
    signed = f"{segment({'alg': 'HS256'} | header)}.{segment(payload)}"
    mac = hmac.digest(SECRET.encode(), signed.encode(), "sha256")

    try:
        principal = auth.authenticate(bearing(f"{signed}.{segment(mac)}"))
    except AuthenticationFailed:
        return

    assert principal is None or principal.name


@given(st.text(st.characters(max_codepoint=255)))
def test_any_header_is_accepted_or_left_or_refused(text: str) -> None:
    environ = bearing("x").environ | {"HTTP_AUTHORIZATION": f"Bearer {text}"}

    with pytest.raises(AuthenticationFailed):
        AUTH.authenticate(Request(environ))


@pytest.mark.parametrize("unverified", [False, None, [], "", 0], ids=repr)
def test_an_address_that_is_not_verified_in_any_form_is_none(unverified: object) -> None:
    """Null and an empty list make no claim; without one the address would count."""
    brought = token(email="ada@example.org", email_verified=unverified)

    caller = BearerAuth(SECRET).authenticate(bearing(brought))

    assert caller is not None
    assert by_email(caller) is None
