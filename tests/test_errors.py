"""The tree of errors: what a caller can branch on, and what a reader learns."""

import inspect

import pytest

from flask_signalr import endpoint_errors, errors, service_errors
from flask_signalr.errors import (
    AccessTokenRefused,
    AccessTokenTooLong,
    AuthenticationFailed,
    ConfigurationError,
    InvalidClaim,
    MissingExtra,
    NegotiationRefused,
    SignalRError,
    Unavailable,
)

ALL = [
    kind
    for module in (errors, service_errors, endpoint_errors)
    for _, kind in inspect.getmembers(module, inspect.isclass)
    if kind.__module__ == module.__name__ and issubclass(kind, Exception)
]


def tree(kind: type[SignalRError], stem: str = "") -> list[str]:
    """Return a class and its subclasses of this package as the module's docstring draws them, without the remarks."""
    below = sorted((child for child in kind.__subclasses__() if child in ALL), key=position)
    lines = []
    for child in below:
        is_last = child is below[-1]
        lines.append(f"{stem}{'└── ' if is_last else '├── '}{child.__name__}")
        lines += tree(child, stem + ("    " if is_last else "│   "))
    return lines


def position(kind: type[SignalRError]) -> int:
    return (errors.__doc__ or "").index(f"── {kind.__name__}")


@pytest.mark.parametrize("kind", ALL)
def test_one_except_clause_catches_every_error_of_the_package(kind: type) -> None:
    assert issubclass(kind, SignalRError)


def test_the_drawn_tree_is_the_tree() -> None:
    branches = [line[4:] for line in (errors.__doc__ or "").splitlines() if "── " in line]
    without_remarks = [branch[: branch.index("── ") + 3] + branch.partition("── ")[2].split()[0] for branch in branches]

    assert without_remarks == tree(SignalRError)


def test_a_missing_extra_says_what_to_install() -> None:
    error = MissingExtra("BearerAuth.jwks", "jwks")

    assert str(error) == "BearerAuth.jwks needs an optional dependency: pip install 'flask-signalr[jwks]'"
    assert (error.feature, error.extra) == ("BearerAuth.jwks", "jwks")
    assert isinstance(error, ConfigurationError)


def test_an_invalid_claim_carries_its_type_and_the_reason() -> None:
    error = InvalidClaim("asrs.s.uid", "it is the service's own")

    assert str(error) == "claim 'asrs.s.uid': it is the service's own"
    assert (error.claim_type, error.reason) == ("asrs.s.uid", "it is the service's own")


def test_a_refused_access_token_tells_which_check_failed() -> None:
    error = AccessTokenRefused("aud", "the token is for another hub")

    assert (error.check, str(error)) == ("aud", "the token is for another hub")
    assert isinstance(error, AuthenticationFailed)


def test_a_too_long_token_tells_the_largest_claims_and_what_to_leave_out() -> None:
    sizes = [("groups", 4000), ("picture", 900), ("c", 5), ("d", 4), ("e", 3), ("f", 2)]

    error = AccessTokenTooLong(5000, 4096, sizes, ["groups"])

    assert str(error) == (
        "the access token would be 5000 characters and the service accepts 4096; largest claims in characters: "
        "'groups' 4000, 'picture' 900, 'c' 5, 'd' 4, 'e' 3; it fits without 'groups': choose fewer claims, in the "
        "hub's claims_filter or in the claims= of hub.negotiate"
    )
    assert (error.length, error.limit) == (5000, 4096)
    assert (error.sizes, error.fits_without) == (tuple(sizes), ("groups",))


def test_a_token_that_no_choice_of_claims_shortens_says_so() -> None:
    error = AccessTokenTooLong(9000, 4096, [("asrs.s.uid", 8000)], [])

    assert str(error).endswith("no choice of claims makes it fit: shorten the user id")


def test_what_is_down_says_when_to_try_again() -> None:
    assert Unavailable("the identity provider is down").retry_after == 5
    assert Unavailable("the identity provider is down", retry_after=30).retry_after == 30


def test_a_refused_negotiation_shows_status_and_reason() -> None:
    error = NegotiationRefused(401, "sign in first")

    assert (error.status, error.error) == (401, "sign in first")
    assert str(error) == "negotiate was answered 401: sign in first"
