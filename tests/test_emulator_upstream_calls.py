"""What the service posts to the app, to the letter, and what it makes of the answers."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_signalr.emulator.connections import Connection
from flask_signalr.emulator.tokens import ClientIdentity
from flask_signalr.emulator.upstream_calls import (
    ANSWER_LIMIT,
    UpstreamAnswer,
    UpstreamFailure,
    UpstreamReply,
    completion_of,
    event_headers,
    sign_connection,
    unframed,
)
from flask_signalr.hub_protocols import HUB_PROTOCOLS
from flask_signalr.messages import CompletionMessage, InvocationMessage

JSON = HUB_PROTOCOLS["json"]
LONG_ROLE = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"


def connection(user_id: str | None = None, query: str = "", **claims: Any) -> Connection:
    return Connection("chat", ClientIdentity(user_id, claims), "cid-1", "token", 1, 0, query=query)


def headers(client: Connection, event: str = "say", keys: tuple[str, ...] = ("key",)) -> dict[str, str]:
    return event_headers(client, "messages", event, keys, "application/json")


@pytest.mark.parametrize(
    ("connection_id", "key", "signature"),
    [
        ("0f9c97a2f0bf4706afe87a14e0797b11", "7aab239577fd4f24bc919802fb629f5f",
         "sha256=7767effcb3946f3e1de039df4b986ef02c110b1469d02c0a06f41b3b727ab561"),
        ("0f9c97a2f0bf4706afe87a14e0797b11", "a5f2815d0d0c4b00bd27e832432f91ab",
         "sha256=d4aefb65547a00a9881fa8ac8bd03d0faf77af9da5205d45c6e57cbda4377760"),
    ],
)  # fmt: skip
def test_the_signature_is_azures(connection_id: str, key: str, signature: str) -> None:
    """Azure/azure-functions-signalrservice-extension: test/.../Trigger/SignalRTriggerResolverTests.cs."""
    assert sign_connection(connection_id, key).lower() == signature


def test_all_keys_sign() -> None:
    """An app that knows the new key or the old one verifies the same request."""
    signatures = headers(connection(), keys=("one", "two"))["X-ASRS-Signature"]

    assert signatures == f"{sign_connection('cid-1', 'one')},{sign_connection('cid-1', 'two')}"


def test_an_anonymous_client_is_told_of_in_these_headers() -> None:
    signature = sign_connection("cid-1", "key")

    assert headers(connection()) == {
        "Content-Type": "application/json",
        "X-ASRS-Connection-Id": "cid-1",
        "X-ASRS-Hub": "chat",
        "X-ASRS-Category": "messages",
        "X-ASRS-Event": "say",
        "X-ASRS-Signature": signature,
    }


def test_claims_are_told_by_their_long_names_and_one_by_one() -> None:
    claims: dict[str, Any] = {
        "role": ["staff", "admin"],
        "nameid": "ada",
        "exp": 17,
        "flag": True,
        "none": None,
        "o": {"a": [1]},
    }

    shown = headers(connection("ada", **claims))

    assert shown["X-ASRS-User-Id"] == "ada"
    assert shown["X-ASRS-User-Claims"] == (
        f"{LONG_ROLE}: staff, {LONG_ROLE}: admin, "
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier: ada, "
        'exp: 17, flag: true, none: , o: {"a":[1]}'
    )


def test_the_clients_query_has_its_question_mark() -> None:
    assert headers(connection(query="hub=chat&x=%2F"))["X-ASRS-Client-Query"] == "?hub=chat&x=%2F"


@given(st.text(), st.text(), st.text())
def test_no_text_of_a_client_ends_a_header(event: str, claim: str, claim_type: str) -> None:
    """The attack: a line break in a claim or a method's name adds a header of the attacker's choice."""
    values = headers(connection("ada", **{claim_type: claim}), event).values()

    assert not [value for value in values if {"\r", "\n", "\0", "\x85", "\u2028"} & set(value)]


def test_a_call_does_not_show_its_headers_or_body() -> None:
    """They hold tokens: the query of the client may have its access token."""
    assert "secret" not in repr(connection(query="access_token=secret"))


def test_a_body_has_no_frame() -> None:
    message = InvocationMessage(target="say", arguments=(1,), invocation_id="0")

    assert json.loads(unframed(JSON, message)) == {"type": 1, "invocationId": "0", "target": "say", "arguments": [1]}
    packed = HUB_PROTOCOLS["messagepack"]
    body = unframed(packed, message)
    assert packed.encode(message).endswith(body)
    assert packed.parse(body) == message


def error_of(reply: UpstreamReply) -> str | None:
    completion, encoded = completion_of(JSON, "7", reply)
    assert encoded == JSON.encode(completion)
    assert completion.invocation_id == "7"
    return completion.error


@pytest.mark.parametrize("reply", [UpstreamAnswer(200), UpstreamAnswer(204)])
def test_an_empty_answer_is_a_completion_without_result(reply: UpstreamAnswer) -> None:
    completion, _ = completion_of(JSON, "7", reply)

    assert completion == CompletionMessage(invocation_id="7")


@pytest.mark.parametrize("name", ["json", "messagepack"])
def test_the_apps_completion_is_handed_on_as_it_is(name: str) -> None:
    body = HUB_PROTOCOLS[name].encode(CompletionMessage(invocation_id="7", result=[1, "é"]))

    assert completion_of(HUB_PROTOCOLS[name], "7", UpstreamAnswer(200, body))[1] == body


@pytest.mark.parametrize("status", [201, 301, 302, 400, 401, 404, 500])
def test_another_status_is_an_error_with_its_number(status: int) -> None:
    assert error_of(UpstreamAnswer(status, b"secret")) == f"Invocation failed, status code {status}"


def test_an_app_that_cannot_be_reached_is_as_good_as_one_that_failed() -> None:
    assert error_of(UpstreamFailure("no route to 10.0.0.1")) == "Invocation failed, status code 500"


def test_an_answer_of_more_than_16_mib_is_too_large() -> None:
    assert error_of(UpstreamAnswer(200, b" " * (ANSWER_LIMIT + 1))) == "Invocation failed, response too large."


@pytest.mark.parametrize(
    "body",
    {
        "no frame": b'{"type":3,"invocationId":"7"}',
        "html": b"<h1>Hello</h1>",
        "another invocation": b'{"type":3,"invocationId":"8"}\x1e',
        "a close": b'{"type":7}\x1e',
        "a call": b'{"type":1,"target":"say","arguments":[]}\x1e',
        "unknown type": b'{"type":99}\x1e',
        "two": b'{"type":3,"invocationId":"7"}\x1e{"type":3,"invocationId":"7"}\x1e',
        "one and a half": b'{"type":3,"invocationId":"7"}\x1e{',
        "result and error": b'{"type":3,"invocationId":"7","result":1,"error":"x"}\x1e',
        "not utf-8": b'{"type":3,"invocationId":"7","x":"\xff"}\x1e',
        "an empty record": b"\x1e",
    }.items(),
    ids=lambda item: item[0],
)
def test_a_hostile_or_broken_answer_reaches_no_client(body: tuple[str, bytes]) -> None:
    """A proxy's page or a completion of somebody else's call would break the client off, or settle a wrong call."""
    error = error_of(UpstreamAnswer(200, body[1]))

    assert error is not None
    assert "no completion of this invocation" in error


@given(st.binary())
@pytest.mark.parametrize("name", ["json", "messagepack"])
def test_any_bytes_make_a_completion(name: str, body: bytes) -> None:
    completion, encoded = completion_of(HUB_PROTOCOLS[name], "7", UpstreamAnswer(200, body))

    assert completion.invocation_id == "7"
    (payload,), rest = HUB_PROTOCOLS[name].split(encoded)
    assert HUB_PROTOCOLS[name].parse(payload) == completion
    assert rest == b""
