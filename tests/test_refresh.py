"""What is known of a refresh before anybody is asked: codes, and whose sign-in can be renewed."""

import msgspec
import pytest

from flask_signalr import ANONYMOUS, AuthenticationFailed, Principal, RefreshRefused
from flask_signalr.refresh import (
    REFRESH_STATUS,
    RenewedAccess,
    check_renewable,
    lifetime_to_tell,
    tells_lifetime,
)

ADA = Principal("ada")


@pytest.mark.parametrize(("code", "status"), REFRESH_STATUS.items())
def test_each_code_has_its_status(code: str, status: int) -> None:
    error = RefreshRefused(code, "for the log")

    assert (error.code, error.status, error.reason) == (code, status, "for the log")
    assert str(error) == f"{code}: for the log"


def test_who_signed_in_may_renew() -> None:
    check_renewable(ADA)

    assert tells_lifetime(ADA, "ada")


def test_nobody_has_nothing_to_renew() -> None:
    with pytest.raises(AuthenticationFailed):
        check_renewable(ANONYMOUS)

    assert not tells_lifetime(ANONYMOUS, "guest-1")


@pytest.mark.parametrize("scheme", ["Kerberos", "NTLM", "Negotiate"])
def test_windows_renews_nothing(scheme: str) -> None:
    principal = Principal("ada", scheme=scheme)

    with pytest.raises(RefreshRefused, match="windows_identity_not_supported"):
        check_renewable(principal)

    assert not tells_lifetime(principal, "ada")


def test_without_a_user_id_nobody_is_told_to_renew() -> None:
    """It would be refused: two users without one look the same to the service."""
    assert not tells_lifetime(ADA, None)


@pytest.mark.parametrize(
    ("lifetime", "answer"),
    [
        (3600, {"accessToken": "t", "tokenLifetimeSeconds": 3600}),
        (2, {"accessToken": "t", "tokenLifetimeSeconds": 2}),
        (1, {"accessToken": "t"}),
    ],
)
def test_a_client_is_not_driven_into_a_tight_loop(lifetime: int, answer: dict[str, object]) -> None:
    access = RenewedAccess("t", lifetime_to_tell(lifetime))

    assert msgspec.json.decode(msgspec.json.encode(access)) == answer


def test_a_repr_has_no_token() -> None:
    assert repr(RenewedAccess("secret", 5)) == "RenewedAccess(token_lifetime=5)"
