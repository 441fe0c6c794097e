"""Roles of Windows accounts, as they are held or provided."""

from typing import Any

import pytest

from flask_signalr import ConfigurationError
from flask_signalr.auth.windows_identity import WindowsIdentity, WindowsRealm
from flask_signalr.auth.windows_roles import checked_roles, static_roles

REALM = WindowsRealm("INTRANET.TEST", upn_suffix="corp.example")


@pytest.mark.parametrize("account", ["alice@INTRANET.TEST", "ALICE@intranet.test", "alice@corp.example"])
def test_roles_are_held_by_any_form_with_an_at_sign(account: str) -> None:
    roles_of = static_roles({account: ["staff"], "bob@corp.example": ["admin"]})

    assert roles_of(WindowsIdentity("Alice", REALM)) == ("staff",)


def test_who_is_not_listed_has_no_roles() -> None:
    roles_of = static_roles({"alice@INTRANET.TEST": ["staff"]})

    assert roles_of(WindowsIdentity("mallory", REALM)) == ()
    assert roles_of(WindowsIdentity("alice", WindowsRealm("PARTNER.TEST"))) == ()


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({"alice": ["staff"]}, "is no account"),
        ({"INTRANET\\alice": ["staff"]}, "is no account"),
        ({"": ["staff"]}, "is no account"),
        ({7: ["staff"]}, "is no account"),
        ({"alice@INTRANET.TEST": "staff"}, "no list of texts"),
        ({"alice@INTRANET.TEST": [7]}, "no list of texts"),
        ({"alice@INTRANET.TEST": None}, "no list of texts"),
        ({"alice@INTRANET.TEST": [], "Alice@intranet.test": []}, "twice"),
    ],
)
def test_a_table_that_cannot_be_used_is_an_error(roles: dict[Any, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        static_roles(roles)


def test_one_text_is_not_a_role_for_each_letter() -> None:
    with pytest.raises(TypeError, match="list of texts"):
        checked_roles("admin")
