"""The demo's hub as others may attack it: calls with the service's signature, in the name of any user."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from demo.app import create_app
from demo.users import DEMO_PASSWORD
from flask_signalr.emulator import Emulator
from tests.live import live_emulator
from tests.upstream_calls import call, completion, connect, disconnect, signed

ADA, BOB = "ada@example.org", "bob@example.org"
MODERATOR, STAFF = "role: staff, role: moderator", "role: staff"


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with live_emulator() as running:
        yield running


@pytest.fixture
def app(emulator: Emulator) -> Flask:
    return create_app({"SIGNALR_CONNECTION_STRING": emulator.connection_string})


def caller(app: Flask, user_id: str | None, claims: str = STAFF, connection_id: str = "one") -> dict[str, str | None]:
    """Return the headers of a client, signed as the app's service does."""
    _, _, key = app.config["SIGNALR_CONNECTION_STRING"].partition("AccessKey=")
    signature = signed(connection_id, key.partition(";")[0])
    return {"user_id": user_id, "user_claims": claims, "connection_id": connection_id, "signature": signature}


def error(app: Flask, target: str, *arguments: Any, **changes: str | None) -> str | None:
    """Return what a caller is told who called a method; ``None`` if it worked."""
    return completion(call(app, target, *arguments, **changes)).get("error")


def test_an_unsigned_call_is_refused(app: Flask) -> None:
    answer = call(app, "sendToAll", "hello", **{**caller(app, ADA), "signature": "sha256=00"})

    assert answer.status_code == 401


@pytest.mark.parametrize("user_id", [".", "..", " .. "], ids=repr)
def test_path_traversal_a_ban_of_dots_closes_nobodys_connection(
    app: Flask, user_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    """``users/../:closeConnections`` is everybody's to whoever resolves the dots."""
    told = error(app, "banUser", user_id, **caller(app, ADA, MODERATOR))

    assert told is not None
    assert "a step in a path" in caplog.text


@pytest.mark.parametrize("method", ["viewUserHistory", "banUser", "liftBan"])
def test_a_user_id_of_blanks_is_nobodys(app: Flask, method: str) -> None:
    told = error(app, method, "  ", **caller(app, ADA, MODERATOR))

    assert told is not None
    assert told.endswith("HubException: there is no such user id")


def test_path_traversal_a_message_to_a_user_of_dots_goes_to_nobody(app: Flask) -> None:
    told = error(app, "sendToUser", "..", "hello", **caller(app, ADA))

    assert told is not None
    assert told.endswith("HubException: .. is not online")


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("sendToAll", [""]),
        ("sendToAll", ["x" * 501]),
        ("sendToAll", [1]),
        ("sendToAll", []),
        ("sendToUser", ["", "hello"]),
        ("sendToUser", ["a" * 129, "hello"]),
        ("join", [""]),
        ("join", [".."]),
        ("join", ["a/b"]),
        ("join", ["lobby\n"]),
        ("join", ["x" * 41]),
    ],
    ids=repr,
)
def test_arguments_that_cannot_be_used_are_refused_with_the_reason(
    app: Flask, method: str, arguments: list[Any]
) -> None:
    told = error(app, method, *arguments, **caller(app, ADA))

    assert told is not None
    assert told.startswith(f"Failed to invoke '{method}' due to an error on the server.")


def test_who_is_not_in_a_room_cannot_write_in_it(app: Flask) -> None:
    """Nor with another connection than the one that joined."""
    joined = error(app, "join", "lobby", **caller(app, ADA, connection_id="one"))

    told = error(app, "sendToRoom", "lobby", "hello", **caller(app, ADA, connection_id="two"))

    assert joined is None
    assert told is not None
    assert told.endswith("HubException: join the room lobby to write in it")


def test_who_may_be_in_no_more_rooms_reads_why(app: Flask) -> None:
    for number in range(10):
        assert error(app, "join", f"room {number}", **caller(app, ADA)) is None

    told = error(app, "join", "one more", **caller(app, ADA))

    assert told is not None
    assert told.endswith("HubException: you are in 10 rooms already: leave one first")


def test_who_is_gone_is_in_no_room_and_makes_place(app: Flask) -> None:
    for number in range(10):
        error(app, "join", f"room {number}", **caller(app, ADA))

    disconnect(app, **caller(app, ADA))

    assert error(app, "join", "one more", **caller(app, ADA)) is None


def test_who_goes_while_the_service_is_down_is_in_no_room_either() -> None:
    """The others cannot be told; a later connection of that id must not find the rooms taken."""
    with live_emulator() as gone:
        connection_string = gone.connection_string
    app = create_app({"SIGNALR_CONNECTION_STRING": connection_string, "SIGNALR_REST_RETRIES": 0})
    for number in range(10):
        error(app, "join", f"room {number}", **caller(app, ADA))

    disconnect(app, **caller(app, ADA))

    for number in range(10):
        assert "leave one first" not in (error(app, "join", f"other {number}", **caller(app, ADA)) or "")


@pytest.mark.parametrize("method", ["viewUserHistory", "banUser", "liftBan"])
@pytest.mark.parametrize("claims", [STAFF, "", "name: x, realm: moderator"], ids=repr)
def test_elevation_of_privilege_moderation_is_for_moderators(app: Flask, method: str, claims: str) -> None:
    told = error(app, method, ADA, **caller(app, BOB, claims))

    assert told == f"Failed to invoke '{method}' because user is unauthorized"
    assert error(app, "sendToAll", "still here", **caller(app, ADA)) is None


def test_a_banned_user_can_neither_negotiate_nor_connect_nor_call(app: Flask) -> None:
    """Who negotiated before still has a token, and who is connected may be faster than the service that closes."""
    client = app.test_client()
    client.post("/api/session", json={"name": "bob", "password": DEMO_PASSWORD})
    before = client.post("/chat/negotiate").status_code

    told = error(app, "banUser", " BOB@example.org ", **caller(app, ADA, MODERATOR))

    assert (before, told) == (200, None)
    assert client.post("/chat/negotiate").status_code == 403
    assert error(app, "sendToAll", "me again", **caller(app, BOB)) == (
        "Failed to invoke 'sendToAll' because user is unauthorized"
    )
    assert connect(app, **caller(app, BOB)).status_code == 403
    assert call(app, "sendToAll", "and again", **caller(app, BOB)).status_code == 403


def test_a_lifted_ban_lets_the_user_in_again(app: Flask) -> None:
    error(app, "banUser", BOB, **caller(app, ADA, MODERATOR))

    answer = completion(call(app, "liftBan", BOB, **caller(app, ADA, MODERATOR)))

    assert answer["result"] is True
    assert connect(app, **caller(app, BOB)).status_code == 200


def test_nobody_bans_themselves(app: Flask) -> None:
    told = error(app, "banUser", ADA, **caller(app, ADA, MODERATOR))

    assert told is not None
    assert told.endswith("HubException: you cannot ban yourself")


def test_spoofing_who_has_no_user_id_cannot_write(app: Flask) -> None:
    told = error(app, "sendToAll", "hello", **caller(app, None))

    assert told is not None
    assert "nobody could know who writes" in told


def test_each_demo_remembers_for_itself(app: Flask, emulator: Emulator) -> None:
    other = create_app({"SIGNALR_CONNECTION_STRING": emulator.connection_string})

    error(app, "banUser", BOB, **caller(app, ADA, MODERATOR))

    assert connect(other, **caller(other, BOB)).status_code == 200


def test_a_service_that_is_down_turns_nobody_away_and_its_keys_stay_secret(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    with live_emulator() as gone:
        connection_string = gone.connection_string
    app = create_app({"SIGNALR_CONNECTION_STRING": connection_string, "SIGNALR_REST_RETRIES": 0})

    answer = connect(app, **caller(app, ADA))
    told = error(app, "sendToAll", "hello", **caller(app, ADA))

    assert answer.status_code == 200
    assert told is not None
    assert "error id" in told
    assert "nobody was told who came" in caplog.text
    assert gone.settings.access_keys[0] not in caplog.text
    assert "eyJ" not in caplog.text
