"""REST calls about the sign-in of a live connection: who may be renewed, by what, and what comes of it."""

from typing import Any

import pytest

from flask_signalr.emulator.connections import ClientTransport, Connection
from flask_signalr.emulator.rest.response import RestResponse
from flask_signalr.emulator.tokens import ClientIdentity
from tests.emulated import NOW, client_token, emulating, token
from tests.rest_calls import Rest, code_of, content_of

VERSION = "2026-07-01"
SOON, LATER = "2026-07-01T12:00:00Z", "2026-07-01T14:00:00.5+01:00"
NEVER_SET = "0001-01-01T00:00:00Z"  # .NET's default, long past: the connection is to be closed and not kept for ever
KEEP = "9999-12-31T23:59:59.9999999Z"
OLD: dict[str, Any] = {
    "asrs.s.uid": "ada",
    "asrs.s.coae": "true",
    "asrs.s.aeo": "1000",
    "role": ["staff", "admin"],
    "age": 36,
    "asrs.u.iss": "me",
    "exp": NOW,
    "aud": "http://localhost/client/?hub=chat",
}
ADA = {"type": "asrs.s.uid", "value": "ada"}


def connected(rest: Rest, claims: dict[str, Any] | None = None, version: int = 1, hub: str = "chat") -> Connection:
    claims = OLD if claims is None else claims
    connection = rest.service.negotiate(hub, ClientIdentity(claims.get("asrs.s.uid"), claims), rest.now, version)
    rest.service.open(connection, ClientTransport.LONG_POLLING, rest.now)
    return connection


def call(rest: Rest, operation: str, body: Any, method: str = "POST", hub: str = "chat") -> RestResponse:
    return rest.answer(rest.request(method, f"hubs/{hub}/connections/{operation}", body, VERSION))


def refresh(rest: Rest, connection: Connection, expire: Any = SOON, **more: Any) -> RestResponse:
    return call(rest, ":refreshAuth", {"connectionToken": connection.token, "expireTime": expire, **more})


def pairs(answer: RestResponse) -> list[tuple[str, str]]:
    assert answer.status == 200, answer.body
    return [(claim["type"], claim["value"]) for claim in content_of(answer)["claims"]]


# Reading.


@pytest.mark.parametrize("method", ["POST", "QUERY"])
def test_the_claims_of_a_connection_are_told_to_who_has_its_token(method: str) -> None:
    rest = Rest()
    connection = connected(rest)

    answer = call(rest, "claims", {"ConnectionToken": connection.token}, method)

    assert pairs(answer) == [
        ("asrs.s.uid", "ada"), ("asrs.s.coae", "true"), ("asrs.s.aeo", "1000"), ("role", "staff"), ("role", "admin"),
        ("age", "36"), ("asrs.u.iss", "me"),
    ]  # fmt: skip
    assert answer.headers["Cache-Control"] == "no-store"
    assert connection.id not in answer.body.decode()


async def test_the_claims_are_told_over_the_wire_too() -> None:
    async with emulating() as wire:
        answer = await wire.negotiate(client_token("ada"))
        text = token({"aud": "http://localhost/api/hubs/chat/connections/claims"})

        status, body = await wire.status(
            "POST",
            f"/api/hubs/chat/connections/claims?api-version={VERSION}",
            text,
            json={"connectionToken": answer["connectionToken"]},
        )

    assert (status, body) == (200, '{"claims":[{"type":"asrs.s.uid","value":"ada"}]}')


# Renewing.


def test_the_claims_are_replaced_as_a_set_and_the_services_own_stay() -> None:
    rest = Rest()
    connection = connected(rest)
    sent = [
        ADA,
        {"type": "role", "value": "guest"},
        {"type": "asrs.s.htt", "value": "7"},
        {"type": "ASRS.S.coae", "value": "false"},
        {"type": "exp", "value": "1"},
    ]

    answer = refresh(rest, connection, claims=sent)

    assert pairs(answer) == [
        ("asrs.s.uid", "ada"), ("asrs.s.coae", "true"), ("asrs.s.aeo", "1782907200"), ("role", "guest"),
    ]  # fmt: skip
    assert connection.client.claims == {
        "asrs.s.uid": "ada", "asrs.s.coae": "true", "asrs.s.aeo": "1782907200", "role": "guest",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("expire", "end"), [(SOON, "1782907200"), (LATER, "1782910800"), (KEEP, "1000"), (NEVER_SET, "0")]
)
def test_the_end_moves_unless_it_is_to_stay(expire: str, end: str) -> None:
    rest = Rest()
    connection = connected(rest)

    claims = dict(pairs(refresh(rest, connection, expire)))

    assert (claims["asrs.s.aeo"], claims["role"], claims["age"]) == (end, "admin", "36")
    assert {"aud", "exp"}.isdisjoint(connection.client.claims)  # of the former token alone
    assert connection.client.closes_at == int(end)


def test_a_refresh_stops_the_closing_at_the_former_end() -> None:
    rest = Rest()
    connection = connected(rest)

    refresh(rest, connection)
    rest.service.close_expired(1, 1_782_907_199)
    is_open = not connection.is_over
    rest.service.close_expired(2, 1_782_907_200)

    assert (is_open, connection.is_over or connection.phase.name) == (True, "CLOSING")


def test_without_closing_on_expiry_a_refresh_arms_none() -> None:
    rest = Rest()
    connection = connected(rest, {"asrs.s.uid": "ada"})

    refresh(rest, connection)

    assert connection.client.closes_at is None


@pytest.mark.parametrize(
    "claims",
    [
        [{"type": "asrs.s.uid", "value": "bob"}],
        [{"type": "nameid", "value": "bob"}],
        [{"type": "asrs.s.uid", "value": ""}],
        [{"type": "role", "value": "staff"}],
        [],
    ],
)
def test_a_stolen_token_renews_nothing_for_another_user(claims: list[dict[str, str]]) -> None:
    rest = Rest()
    connection = connected(rest)

    answer = refresh(rest, connection, claims=claims)

    assert code_of(answer) == (403, "ConnectionUserMismatch")
    assert connection.client.claims == OLD


@pytest.mark.parametrize(
    "name", ["nameid", "sub", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"]
)
def test_the_user_may_be_named_as_in_a_token(name: str) -> None:
    rest = Rest()

    assert refresh(rest, connected(rest), claims=[{"type": name, "value": "ada"}]).status == 200


def test_the_services_own_name_of_the_user_counts_before_others() -> None:
    rest = Rest()
    claims = [{"type": "nameid", "value": "ada"}, {"type": "asrs.s.uid", "value": "bob"}]

    assert refresh(rest, connected(rest), claims=claims).status == 403


# Who is not there.


def test_a_connection_is_not_found_by_its_public_id() -> None:
    rest = Rest()
    connection = connected(rest)

    answer = call(rest, ":refreshAuth", {"connectionToken": connection.id, "expireTime": SOON})

    assert code_of(answer) == (404, "ConnectionNotFound")


def test_a_connection_of_version_0_has_no_secret_to_show() -> None:
    """Its token is its id, which everybody may know."""
    rest = Rest()

    assert code_of(refresh(rest, connected(rest, version=0))) == (404, "ConnectionNotFound")


def test_a_connection_of_another_hub_is_not_found() -> None:
    rest = Rest()

    assert code_of(refresh(rest, connected(rest, hub="other"))) == (404, "ConnectionNotFound")


def test_a_connection_that_is_closing_or_gone_is_not_found() -> None:
    rest = Rest()
    closing, gone = connected(rest), connected(rest)

    rest.service.close([closing], 0)
    rest.service.drop(gone, 0)

    assert code_of(refresh(rest, closing)) == code_of(refresh(rest, gone)) == (404, "ConnectionNotFound")
    assert code_of(call(rest, "claims", {"connectionToken": gone.token})) == (404, "ConnectionNotFound")


# What cannot be read.


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ([], "object"),
        ({"expireTime": SOON}, "connectionToken"),
        ({"connectionToken": "", "expireTime": SOON}, "connectionToken"),
        ({"connectionToken": 7, "expireTime": SOON}, "connectionToken"),
        ({"connectionToken": "x"}, "expireTime"),
        ({"connectionToken": "x", "expireTime": 1782907200}, "expireTime"),
        ({"connectionToken": "x", "expireTime": "soon"}, "expireTime"),
        ({"connectionToken": "x", "expireTime": "2026-07-01T12:00:00"}, "expireTime"),
        ({"connectionToken": "x", "expireTime": SOON, "claims": "role"}, "claims"),
        ({"connectionToken": "x", "expireTime": SOON, "claims": [1]}, "object"),
        ({"connectionToken": "x", "expireTime": SOON, "claims": [{"type": "role"}]}, "claims"),
        ({"connectionToken": "x", "expireTime": SOON, "claims": [{"type": "", "value": "x"}]}, "claims"),
        ({"connectionToken": "x", "expireTime": SOON, "claims": [{"type": "role", "value": 7}]}, "claims"),
    ],
)
def test_a_body_that_is_none_is_refused(body: Any, fault: str) -> None:
    answer = call(Rest(), ":refreshAuth", body)

    assert answer.status == 400
    assert fault in content_of(answer)["message"]


def test_an_older_version_of_the_api_has_no_refresh() -> None:
    rest = Rest()

    assert rest.call("POST", "hubs/chat/connections/:refreshAuth", {}).status == 400
