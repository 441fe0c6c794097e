"""The principals that Windows accounts become."""

from typing import Any

import pytest

from flask_signalr import ANONYMOUS, Principal
from flask_signalr.auth.windows_accounts import PEOPLE, WindowsAccounts, windows_principal
from flask_signalr.auth.windows_identity import WindowsIdentity, WindowsRealm

REALM = WindowsRealm("INTRANET.TEST")


def alice(expires_at: int | None = None) -> WindowsIdentity:
    return WindowsIdentity("alice", REALM, expires_at=expires_at)


@pytest.mark.parametrize(
    ("own", "ticket", "expected"),
    [(None, None, None), (10, None, 10), (None, 20, 20), (10, 20, 10), (30, 20, 20)],
)
def test_a_principal_never_outlives_its_ticket(own: int | None, ticket: int | None, expected: int | None) -> None:
    """Whatever the mapper says."""
    accounts = WindowsAccounts(PEOPLE, lambda identity: Principal("42", expires_at=own), None)

    assert accounts.principal("alice", alice(ticket)).expires_at == expected


def test_roles_of_the_mapper_and_of_the_provider_add_up() -> None:
    accounts = WindowsAccounts(PEOPLE, lambda identity: Principal("42", {"role": ["a"]}), lambda identity: ["b", "c"])

    assert accounts.principal("alice", alice()).claims.all("role") == ("a", "b", "c")


@pytest.mark.parametrize("returned", [ANONYMOUS, "alice", 42, True])
def test_a_mapper_that_names_nobody_lets_nobody_in(returned: Any) -> None:
    """A fault of the app's own: a 500, never a sign-in."""
    accounts = WindowsAccounts(PEOPLE, lambda identity: returned, None)

    with pytest.raises(TypeError, match="identity mapper"):
        accounts.principal("alice", alice())


def test_a_provider_that_returns_one_text_gives_no_roles() -> None:
    accounts = WindowsAccounts(PEOPLE, windows_principal, lambda identity: "admin")

    with pytest.raises(TypeError, match="list of texts"):
        accounts.principal("alice", alice())
