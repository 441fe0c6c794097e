"""What a service token says to whoever holds it."""

import base64
import json
from typing import Any

import pytest

from flask_signalr.trace.service_token import ServiceToken, duration
from tests.apps import ACCESS_KEY
from tests.emulated import NOW, token


def facts(now: float, /, **claims: Any) -> list[str]:
    """Return what is told of a token with these claims, between the first line and the last."""
    return list(ServiceToken.read(token(claims, ACCESS_KEY)).facts(now))


def test_times_are_dates_and_claims_are_explained() -> None:
    lines = facts(NOW, **{"asrs.s.uid": "ada", "nbf": NOW, "exp": NOW + 3600, "asrs.s.aeo": str(NOW + 7200)})

    assert lines[1:-1] == [
        "exp         2023-11-14 23:13:20 UTC   (valid until)",
        "asrs.s.uid  ada   (the user id)",
        "nbf         2023-11-14 22:13:20 UTC   (valid from)",
        "asrs.s.aeo  2023-11-15 00:13:20 UTC   (the sign-in ends)",
    ]


def test_its_length_and_algorithm_are_told() -> None:
    text = token({}, ACCESS_KEY)

    first = next(ServiceToken.read(text).facts(NOW))

    assert first == f"{len(text)} characters of the 4096 that the service accepts, signed with HS256"


@pytest.mark.parametrize(
    ("times", "told"),
    [
        ({"nbf": NOW - 10, "exp": NOW + 3590}, "valid for 59 min 50 s of 1 h, by this machine's clock"),
        ({"exp": NOW + 90}, "valid for 1 min 30 s, by this machine's clock"),
        ({"exp": NOW - 90}, "expired 1 min 30 s ago, by this machine's clock"),
        ({"nbf": NOW + 300, "exp": NOW + 600}, "not valid for another 5 min, by this machine's clock"),
        ({"exp": ...}, "it has no expiry (claim exp): the service will not accept it"),
        ({"exp": "soon"}, "it has no expiry (claim exp): the service will not accept it"),
    ],
)
def test_how_long_it_is_valid_is_told(times: dict[str, Any], told: str) -> None:
    assert facts(NOW, **times)[-1] == told


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"exp": NOW + 1}, True),
        ({"exp": NOW}, False),
        ({"nbf": NOW + 1, "exp": NOW + 9}, False),
        ({"exp": ...}, True),
    ],
)
def test_it_is_in_force_between_nbf_and_exp(times: dict[str, Any], expected: bool) -> None:
    assert ServiceToken.read(token(times, ACCESS_KEY)).is_in_force(NOW) is expected


@pytest.mark.parametrize("value", [1e300, -1, True, [], {"a": 1}, "x", 253_402_300_800, float("nan"), None])
def test_a_time_that_is_none_is_shown_as_it_is(value: Any) -> None:
    payload = base64.urlsafe_b64encode(json.dumps({"iat": value}).encode()).decode().rstrip("=")
    header = base64.urlsafe_b64encode(b'{"alg":"HS256"}').decode().rstrip("=")

    lines = list(ServiceToken.read(f"{header}.{payload}.c2ln").facts(NOW))

    assert lines[1] == f"iat  {value if isinstance(value, str) else json.dumps(value)}   (issued)"


def test_neither_the_signature_nor_the_key_are_told() -> None:
    text = token({"asrs.s.uid": "ada"}, ACCESS_KEY)
    read = ServiceToken.read(text)

    told = "\n".join(read.facts(NOW)) + repr(read)

    assert text.rpartition(".")[2] not in told
    assert text not in told
    assert "ada" not in repr(read)


def test_many_claims_are_not_all_shown() -> None:
    lines = facts(NOW, **{f"claim-{number}": number for number in range(100)})

    assert len(lines) == 63
    assert lines[-2] == "and 41 more claims"


DEEP = base64.urlsafe_b64encode(b'{"a":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}").decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "a.b",
        "a.b.c",
        "....",
        "eyJhbGciOiJIUzI1NiJ9.W10.c2ln",
        f"eyJhbGciOiJIUzI1NiJ9.{DEEP}.c2ln",
        "\ud800.a.b",
    ],
    ids=["empty", "a word", "two parts", "no base64", "dots", "a list", "deep", "a lone surrogate"],
)
def test_what_is_no_token_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError, match=r"\Ait is no JSON Web Token\Z"):
        ServiceToken.read(text)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (59.6, "1 min"), (61, "1 min 1 s"), (3600, "1 h"), (3_661, "1 h 1 min"), (90_061, "1 d 1 h")],
)
def test_a_duration_has_its_two_largest_units(seconds: float, told: str) -> None:
    assert duration(seconds) == told
