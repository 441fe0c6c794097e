"""The calls of the REST API as values: their URLs, names and bodies."""

import datetime as dt
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_signalr import InvalidName, ProtocolError
from flask_signalr.rest.calls import (
    Call,
    HubAddress,
    check_hub_name,
    closing,
    exclusions,
    message,
    parameters,
    part,
    time_to_live,
)

QUERY = "?application=app%2Fx&api-version=2024-12-01"


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/:send", f"api/hubs/hub%2Fx/:send{QUERY}"),
        (f"/users/{part('user', 'user/a')}/:send", f"api/hubs/hub%2Fx/users/user%2Fa/:send{QUERY}"),
        (
            f"/users/{part('user', 'user/a')}/groups/{part('group', 'group/a')}",
            f"api/hubs/hub%2Fx/users/user%2Fa/groups/group%2Fa{QUERY}",
        ),
        (
            f"/groups/{part('group', 'group/a')}/connections/{part('connection', 'connection/a')}",
            f"api/hubs/hub%2Fx/groups/group%2Fa/connections/connection%2Fa{QUERY}",
        ),
    ],
)
def test_urls_are_the_sdks(path: str, resource: str) -> None:
    """Azure/azure-signalr:test/Microsoft.Azure.SignalR.Management.Tests/RestApiProviderFacts.cs, of a newer version."""
    assert HubAddress.of("hub/x", "app/x").resource(Call("POST", path, "it")) == resource


def test_hub_and_application_have_no_case_and_users_have() -> None:
    resource = HubAddress.of("HUB", "APP").resource(Call("POST", f"/users/{part('user', 'USERA')}/:send", "it"))

    assert resource == "api/hubs/hub/users/USERA/:send?application=app&api-version=2024-12-01"


def test_an_operation_that_takes_no_application_finds_it_in_the_hubs_name() -> None:
    call = Call("POST", "/:execute", "everyone", knows_application=False)

    assert HubAddress.of("Chat", "App").resource(call) == "api/hubs/app_chat/:execute?api-version=2024-12-01"
    assert HubAddress.of("Chat").resource(call) == "api/hubs/chat/:execute?api-version=2024-12-01"


@pytest.mark.parametrize("hub", ["chat", "C", "a_`,.[]9", "x" * 128])
def test_hub_names_are_the_services(hub: str) -> None:
    assert check_hub_name(hub) == hub


@pytest.mark.parametrize("hub", ["", "9a", "a-b", "a b", "a/b", "..", "é", "x" * 129, "chat\n", None])
def test_other_hub_names_are_refused(hub: object) -> None:
    with pytest.raises(InvalidName, match="no hub name"):
        check_hub_name(hub)


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("DOMAIN\\user", "DOMAIN%5Cuser"),
        ("a/b", "a%2Fb"),
        ("é", "%C3%A9"),
        ("%2F", "%252F"),
        ("../..", "..%2F.."),
        ("...", "..."),
        ("a?b#c&d=e", "a%3Fb%23c%26d%3De"),
        ("a:b;c@d", "a%3Ab%3Bc%40d"),
        (":closeConnections", "%3AcloseConnections"),
        ("\r\nHost: x", "%0D%0AHost%3A%20x"),
        ("\U0001f600", "%F0%9F%98%80"),
    ],
)
def test_parts_are_escaped(name: str, escaped: str) -> None:
    assert part("user", name) == escaped


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50))
def test_no_name_is_more_than_one_step_of_a_path(name: str) -> None:
    if name.isspace() or name in {".", ".."}:
        return

    escaped = part("group", name)

    assert unquote(escaped) == name
    assert escaped.isascii()
    assert not set(escaped) & set("/?#&:\\ ")


@pytest.mark.parametrize("name", [".", ".."])
@pytest.mark.parametrize("kind", ["group", "user", "connection", "stream"])
def test_a_user_named_dot_dot_does_not_turn_a_private_message_into_a_broadcast(kind: str, name: str) -> None:
    """Path traversal: ``/users/../:send`` is ``/:send``, also to a server that reads ``%2E%2E``."""
    with pytest.raises(InvalidName, match="a step in a path"):
        part(kind, name)


@pytest.mark.parametrize("name", ["", " ", "\t\n", "x" * 1025, None, 7, b"ada", "\ud800"])
def test_what_can_be_nobodys_name_is_refused(name: object) -> None:
    with pytest.raises(InvalidName):
        part("user", name)


def test_exclusions_repeat_their_parameter() -> None:
    assert exclusions(["a/1", "b&c"]) == "&excluded=a%2F1&excluded=b%26c"
    assert exclusions("one") == "&excluded=one"
    assert exclusions(()) == ""


def test_a_reason_is_escaped_and_may_be_missing() -> None:
    assert closing("bye & good night", ["x"]) == "&excluded=x&reason=bye%20%26%20good%20night"
    assert closing(None) == ""


def test_a_parameter_that_no_url_can_hold_is_refused() -> None:
    with pytest.raises(InvalidName, match="lone surrogate"):
        parameters(reason="\ud800")


@pytest.mark.parametrize("seconds", [0, 1, 2**31 - 1])
def test_a_time_to_live_is_whole_seconds(seconds: int) -> None:
    assert time_to_live(seconds) == f"&ttl={seconds}"


@pytest.mark.parametrize("seconds", [-1, 2**31, 1.5, "7", True])
def test_other_times_to_live_are_refused(seconds: int) -> None:
    with pytest.raises(InvalidName, match="whole seconds"):
        time_to_live(seconds)


def test_a_message_may_hold_bytes_and_times() -> None:
    """In the form that .NET gives them in JSON."""
    moment = dt.datetime(2024, 2, 3, 4, 5, 6, tzinfo=dt.UTC)

    assert message("news", (b"\x00\xff", moment)) == (b'{"target":"news","arguments":["AP8=","2024-02-03T04:05:06Z"]}')


@pytest.mark.parametrize("target", ["", None, 7])
def test_a_message_without_a_target_is_refused(target: object) -> None:
    with pytest.raises(ProtocolError, match="begins with the name"):
        message(target, ())


@pytest.mark.parametrize("argument", [object(), "\ud800", {1j: 2}], ids=["object", "surrogate", "complex"])
def test_an_argument_that_json_cannot_hold_is_refused(argument: object) -> None:
    with pytest.raises(ProtocolError, match="JSON cannot hold"):
        message("news", (argument,))
