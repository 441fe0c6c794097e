"""The roles of applications at the emulator: who has which, and what it permits."""

import pytest

from flask_signalr.emulator.entra import EntraCaller
from flask_signalr.emulator.entra_roles import EntraRole, EntraRoles
from flask_signalr.errors import AuthorizationDenied, ConfigurationError


def permitted(assignments: list[str], app_id: str) -> list[bool]:
    """Return whether an application may fetch a key, read, and write."""
    return [
        _is_permitted(assignments, app_id, method, is_exchange)
        for method, is_exchange in (("GET", True), ("HEAD", False), ("POST", False))
    ]


def _is_permitted(assignments: list[str], app_id: str, method: str, is_exchange: bool) -> bool:
    try:
        EntraRoles(assignments).check(EntraCaller(app_id), method, is_exchange=is_exchange)
    except AuthorizationDenied:
        return False
    return True


@pytest.mark.parametrize(
    ("assignments", "may"),
    [
        ([], [True, True, True]),
        (["app"], [True, True, True]),
        (["app=service-owner"], [True, True, True]),
        (["app=app-server"], [True, False, False]),
        (["app=rest-api-owner"], [False, True, True]),
        (["app=rest-api-reader"], [False, True, False]),
        (["other"], [False, False, False]),
        (["APP"], [False, False, False]),
        (["other", "app=app-server"], [True, False, False]),
    ],
)
def test_a_role_permits_what_it_does_on_the_real_service(assignments: list[str], may: list[bool]) -> None:
    assert permitted(assignments, "app") == may


def test_the_words_are_those_of_the_portal() -> None:
    assert [role.word for role in EntraRole] == ["service-owner", "app-server", "rest-api-owner", "rest-api-reader"]


@pytest.mark.parametrize("assignment", ["", "=app-server", "an-app=", "an-app=App-Server", "an-app=owner", "a=b=c"])
def test_a_role_that_is_none_is_refused_with_those_that_are(assignment: str) -> None:
    """A slip must not make an application the owner."""
    with pytest.raises(ConfigurationError, match=r"entra_app_ids: .*service-owner, app-server, rest-api-owner"):
        EntraRoles([assignment])


def test_an_id_that_somebody_made_up_does_not_flood_the_log() -> None:
    with pytest.raises(AuthorizationDenied) as caught:
        EntraRoles(["app"]).check(EntraCaller("\n" + "x" * 5000), "GET", is_exchange=False)

    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)
