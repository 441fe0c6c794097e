"""The calls of the REST API as values: their URLs, names and bodies."""

import datetime as dt

import pytest

from flask_signalr import InvalidName, ProtocolError
from flask_signalr.names import part
from flask_signalr.rest.calls import (
    Call,
    HubAddress,
    closing,
    exclusions,
    message,
    parameters,
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
