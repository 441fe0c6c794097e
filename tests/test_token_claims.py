"""What a service token says: the service's own claims, then the app's, and how long it lives."""

import dataclasses
from typing import Any

import pytest

from flask_signalr.claims import NO_CLAIMS, Claims
from flask_signalr.errors import AuthenticationFailed, ConfigurationError, InvalidClaim
from flask_signalr.principal import ANONYMOUS, Principal
from flask_signalr.token_claims import (
    DEFAULT_TOKEN_OPTIONS,
    LONGEST_LIFETIME,
    TRANSPORTS,
    TokenOptions,
    check_lifetime,
    token_claims,
    token_lifetime,
)

ADA = Principal("ada", expires_at=1_700_000_600)


def emitted(principal: Principal = ANONYMOUS, endpoint_count: int = 1, **options: Any) -> dict[str, Any]:
    """Return the system claims that options and a principal lead to."""
    return dict(token_claims(None, NO_CLAIMS, principal, TokenOptions(**options), endpoint_count))


# The service's own claims. Source of all: Azure/azure-signalr, ClaimsUtility.cs.


@pytest.mark.parametrize(
    ("options", "claims"),
    [
        ({}, {}),
        ({"server_name": "s"}, {}),
        ({"server_sticky_mode": "Required"}, {}),
        ({"server_name": "s", "server_sticky_mode": "Preferred"}, {"asrs.s.sn": "s", "asrs.s.ssticky": "Preferred"}),
        ({"server_name": "s", "server_sticky_mode": "Required"}, {"asrs.s.sn": "s", "asrs.s.ssticky": "Required"}),
        ({"handshake_timeout": 15}, {}),
        ({"handshake_timeout": 1}, {"asrs.s.cht": "1"}),
        ({"handshake_timeout": 30}, {"asrs.s.cht": "30"}),
        ({"detailed_errors": True}, {"asrs.s.derror": "True"}),
        ({"name_claim_type": "n"}, {"asrs.s.nt": "n"}),
        ({"role_claim_type": "r"}, {"asrs.s.rt": "r"}),
        ({"name_claim_type": "", "role_claim_type": ""}, {}),
        ({"max_poll_interval": 1}, {"asrs.s.ttl": "1"}),
        ({"max_poll_interval": 300}, {"asrs.s.ttl": "300"}),
        ({"transports": ("WebSockets",)}, {"asrs.s.htt": "1"}),
        ({"transports": ("ServerSentEvents",)}, {"asrs.s.htt": "2"}),
        ({"transports": ("LongPolling",)}, {"asrs.s.htt": "4"}),
        ({"transports": ("LongPolling", "WebSockets", "ServerSentEvents")}, {"asrs.s.htt": "7"}),
        ({"transports": ("WebSockets", "WebSockets")}, {"asrs.s.htt": "1"}),
        ({"close_on_expiry": True}, {}),
        ({"diagnostic_client": lambda principal: False}, {}),
        ({"diagnostic_client": lambda principal: True}, {"asrs.s.dc": "true"}),
    ],
    ids=repr,
)
def test_options_become_claims_of_text(options: dict[str, Any], claims: dict[str, str]) -> None:
    assert emitted(**options) == claims


@pytest.mark.parametrize(
    ("scheme", "claims"),
    [
        (None, {}),
        ("Bearer", {}),
        ("bearer", {"asrs.s.aut": "bearer"}),
        ("Cookie", {"asrs.s.aut": "Cookie"}),
        ("", {"asrs.s.aut": ""}),
    ],
)
def test_the_authentication_type_is_told_unless_it_is_bearer(scheme: str | None, claims: dict[str, str]) -> None:
    assert emitted(Principal("ada", scheme=scheme)) == claims


def test_several_endpoints_are_told_by_their_count() -> None:
    assert emitted(endpoint_count=1) == {}
    assert emitted(endpoint_count=2) == {"asrs.s.secn": "2"}


def test_the_end_of_a_sign_in_is_told_where_the_connection_shall_close_then() -> None:
    assert emitted(ADA) == {}
    assert emitted(ADA, close_on_expiry=True) == {"asrs.s.coae": "true", "asrs.s.aeo": "1700000600"}
    assert emitted(dataclasses.replace(ADA, expires_at=None), close_on_expiry=True) == {}


def test_the_diagnostic_client_is_chosen_by_principal() -> None:
    def is_ada(principal: Principal) -> bool:
        return principal.name == "ada"

    assert emitted(ADA, diagnostic_client=is_ada) == {"asrs.s.dc": "true"}
    assert emitted(ANONYMOUS, diagnostic_client=is_ada) == {}


@pytest.mark.parametrize(
    ("user_id", "claims"), [(None, []), ("", [("asrs.s.uid", "")]), ("ada", [("asrs.s.uid", "ada")])]
)
def test_the_user_id_is_told_even_if_it_is_empty(user_id: str | None, claims: list[tuple[str, str]]) -> None:
    assert token_claims(user_id, NO_CLAIMS) == claims


def test_the_apps_claims_come_last_under_the_names_of_the_token() -> None:
    claims = Claims.of([("sub", "1"), ("sub", "2"), ("iss", "me"), ("age", 36)])

    pairs = token_claims("ada", claims, ADA, TokenOptions(detailed_errors=True))

    assert pairs == [
        ("asrs.s.uid", "ada"),
        ("asrs.s.derror", "True"),
        ("sub", "1"),
        ("asrs.u.sub", "2"),
        ("asrs.u.iss", "me"),
        ("age", 36),
    ]


@pytest.mark.parametrize("claim_type", ["asrs.s.uid", "ASRS.S.UID", "asrs.s.derror", "asrs.s.new"])
def test_a_claim_that_forges_the_user_id_never_stands_beside_the_real_one(claim_type: str) -> None:
    with pytest.raises(InvalidClaim, match="service's own"):
        token_claims("mallory", Claims.of({claim_type: "ada"}))


NAME_IDENTIFIER = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"


@pytest.mark.parametrize("claim_type", ["sub", "nameid", NAME_IDENTIFIER])
def test_a_subject_does_not_become_the_user_id_that_the_provider_refused(claim_type: str) -> None:
    """Without ``asrs.s.uid`` the service routes by ``nameid`` or ``sub``, which an identity provider chose.

    Mallory's unverified address gives her no user id; a subject of the same text must not give it to her.
    """
    mallory = Principal("mallory", {claim_type: ["ada@example.org", "ada"]})

    pairs = token_claims(None, mallory.claims, mallory)

    name = "sub" if claim_type == "sub" else "nameid"
    assert pairs == [(f"asrs.u.{name}", "ada@example.org"), (f"asrs.u.{name}", "ada")]


@pytest.mark.parametrize("claim_type", ["sub", "nameid"])
def test_a_subject_keeps_its_name_beside_a_user_id_and_where_code_alone_decides(claim_type: str) -> None:
    """The user id wins at the service; and ``hub.negotiate(claims=…)`` may name the user as the Management SDK may."""
    claims = Claims.of({claim_type: "7f3a"})

    assert token_claims("ada", claims, ADA) == [("asrs.s.uid", "ada"), (claim_type, "7f3a")]
    assert token_claims(None, claims) == [(claim_type, "7f3a")]


# Their ranges.


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"handshake_timeout": 0}, "handshake_timeout is 1 to 30 seconds, not 0"),
        ({"handshake_timeout": 31}, "handshake_timeout is 1 to 30 seconds, not 31"),
        ({"handshake_timeout": -1}, "handshake_timeout is 1 to 30 seconds, not -1"),
        ({"max_poll_interval": 0}, "Property 'MaxPollIntervalInSeconds' value should be [1,300]."),
        ({"max_poll_interval": -10}, "Property 'MaxPollIntervalInSeconds' value should be [1,300]."),
        ({"max_poll_interval": 500}, "Property 'MaxPollIntervalInSeconds' value should be [1,300]."),
        (
            {"server_sticky_mode": "required"},
            "server_sticky_mode is one of Disabled, Preferred, Required, not 'required'",
        ),
        ({"server_sticky_mode": None}, "server_sticky_mode is one of Disabled, Preferred, Required, not None"),
        (
            {"transports": ("WebSockets", "Telepathy", "Pigeons")},
            "transports are WebSockets, ServerSentEvents, LongPolling, not Telepathy, Pigeons",
        ),
        (
            {"transports": ()},
            f"transports is empty, and no client could connect; choose among {', '.join(TRANSPORTS)}, or None",
        ),
        (
            {"transports": "WebSockets"},
            "transports is a list of WebSockets, ServerSentEvents, LongPolling, not 'WebSockets'",
        ),
        ({"transports": 7}, "transports is a list of WebSockets, ServerSentEvents, LongPolling, not 7"),
        ({"handshake_timeout": "5"}, "handshake_timeout is 1 to 30 seconds, not '5'"),
        ({"handshake_timeout": True}, "handshake_timeout is 1 to 30 seconds, not True"),
        ({"transports": ("websockets",)}, "transports are WebSockets, ServerSentEvents, LongPolling, not websockets"),
    ],
    ids=repr,
)
def test_a_value_out_of_its_range_is_refused_at_once(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        TokenOptions(**options)

    assert str(refusal.value) == text


def test_options_are_values() -> None:
    assert TokenOptions() == DEFAULT_TOKEN_OPTIONS
    assert TokenOptions(detailed_errors=True) != DEFAULT_TOKEN_OPTIONS
    with pytest.raises(dataclasses.FrozenInstanceError):
        DEFAULT_TOKEN_OPTIONS.detailed_errors = True  # type: ignore[misc]


# Lifetime.


@pytest.mark.parametrize(
    ("expires_at", "lifetime"),
    [(None, 3600), (1_000_000, 3600), (1000 + 3601, 3600), (1000 + 3600, 3600), (1000 + 60, 60), (1001, 1)],
)
def test_a_token_lives_no_longer_than_the_sign_in(expires_at: int | None, lifetime: int) -> None:
    assert token_lifetime(3600, expires_at, now=1000) == lifetime


@pytest.mark.parametrize("expires_at", [1000, 999, 0, -1])
def test_a_sign_in_that_has_ended_opens_nothing(expires_at: int) -> None:
    with pytest.raises(AuthenticationFailed, match="the sign-in has expired: sign in again"):
        token_lifetime(3600, expires_at, now=1000)


@pytest.mark.parametrize("answer", [False, None, 1, "yes"], ids=repr)
def test_only_true_makes_a_diagnostic_client(answer: Any) -> None:
    options = TokenOptions(diagnostic_client=lambda principal: answer)

    assert token_claims(None, Claims(), options=options) == []


@pytest.mark.parametrize("lifetime", [0, -1, 60.5, "60", True, None, LONGEST_LIFETIME + 1], ids=repr)
def test_a_lifetime_that_is_none_is_refused_with_its_keyword(lifetime: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"^lifetime= takes whole seconds, 1 to {LONGEST_LIFETIME}, not "):
        check_lifetime("lifetime", lifetime)


@pytest.mark.parametrize("lifetime", [1, LONGEST_LIFETIME])
def test_a_lifetime_within_its_range_is_taken(lifetime: int) -> None:
    assert check_lifetime("lifetime", lifetime) == lifetime
