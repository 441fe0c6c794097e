"""The names that the REST API accepts."""

import pytest

from flask_signalr.emulator.names import client_hub_name, group_name, hub_name
from flask_signalr.errors import BadRequest

INVALID_HUBS = {
    "empty": "",
    "digit first": "1chat",
    "hyphen": "my-chat",
    "space": "my chat",
    "slash": "a/b",
    "record separator": "a\x1e",
    "line break at the end": "chat\n",
    "letter that only looks Latin": "сhat",
    "accent": "chát",
}


@pytest.mark.parametrize("name", ["chat", "c", "a_b`c,d.[e]9", "A" * 128])
def test_hubs_are_known_in_lower_case(name: str) -> None:
    assert hub_name(name) == name.lower()
    assert client_hub_name(name) == name.lower()


@pytest.mark.parametrize("name", [*INVALID_HUBS.values(), "a" * 129], ids=[*INVALID_HUBS, "too long"])
def test_other_hub_names_are_refused_with_the_rule(name: str) -> None:
    with pytest.raises(BadRequest, match="between 1 and 128"):
        hub_name(name)


@pytest.mark.parametrize("name", INVALID_HUBS.values(), ids=INVALID_HUBS)
def test_other_hub_names_are_refused_to_clients(name: str) -> None:
    with pytest.raises(BadRequest, match="Invalid hub name"):
        client_hub_name(name)


def test_an_application_keeps_its_hubs_behind_its_name() -> None:
    """REST calls name the application beside the hub, clients' URLs in front of it."""
    assert hub_name("Chat", "MyApp") == "myapp_chat" == client_hub_name("MyApp_Chat")


@pytest.mark.parametrize("application", INVALID_HUBS.values(), ids=INVALID_HUBS)
def test_other_application_names_are_refused(application: str) -> None:
    with pytest.raises(BadRequest, match="'application'"):
        hub_name("chat", application)


@pytest.mark.parametrize("group", ["a", "a/b", " a ", "x" * 1024, "\u00fc", "\x1c"])
def test_groups_have_almost_any_name(group: str) -> None:
    assert group_name(group) == group


@pytest.mark.parametrize("group", ["", " ", "\t\u2003\x85", "x" * 1025], ids=["empty", "blank", "blanks", "too long"])
def test_blank_and_endless_group_names_are_refused(group: str) -> None:
    with pytest.raises(BadRequest, match="Invalid group name"):
        group_name(group)
