"""Names: which there can be, and how they stand in a path."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_signalr import InvalidName, ServiceEndpoint
from flask_signalr.names import LONGEST_USER_ID, check_hub_name, check_new_user_id, part
from flask_signalr.rest.calls import HubAddress
from flask_signalr.rest.recipients import User
from flask_signalr.rest.token_cache import TokenCache
from tests.apps import ACCESS_KEY

CONNECTS = [
    "ada",
    "a",
    "...",
    "a b",
    "Lovelace, Ada",
    "DOMAIN\\user",
    "%2F",
    "x" * 1024,
    "%" * 682,
    "é" * 341,
    "日" * 227,
]
DOES_NOT = [
    ".",
    "..",
    "",
    " ",
    "   ",
    "\u3000",
    "x" * 1025,
    "%" * 683,
    "é" * 342,
    "日" * 228,
    "\U0001f600" * 171,
    "\ud800",
]


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


@pytest.mark.parametrize("user_id", CONNECTS, ids=ascii)
def test_who_connects_under_a_user_id_can_be_named_by_it(user_id: str) -> None:
    assert check_new_user_id(user_id) == user_id
    assert unquote(part("user", user_id)) == user_id


@pytest.mark.parametrize("user_id", DOES_NOT, ids=lambda user_id: ascii(user_id[:5]))
def test_nobody_connects_under_a_user_id_that_no_call_can_name(user_id: str) -> None:
    """Unbannable user: nobody could close the connections of ``..``."""
    with pytest.raises(InvalidName):
        part("user", user_id)
    with pytest.raises(InvalidName):
        check_new_user_id(user_id)


@given(st.text(st.characters(codec="utf-8"), max_size=700))
def test_whoever_is_let_in_can_be_named(user_id: str) -> None:
    try:
        check_new_user_id(user_id)
    except InvalidName:
        return

    assert part("user", user_id)


@pytest.mark.parametrize("user_id", [" ada", "ada ", "  é", "é "])
def test_nobody_passes_for_somebody_else_with_a_blank_more(user_id: str) -> None:
    """Spoofing: ``X-ASRS-User-Id`` is a header, whose value has no blanks at its ends (RFC 9110, 5.5)."""
    with pytest.raises(InvalidName, match="blank"):
        check_new_user_id(user_id)
    assert part("user", user_id)


def test_a_user_id_with_a_line_break_does_not_connect_and_can_be_named() -> None:
    """Somebody else's token may have let it in."""
    with pytest.raises(InvalidName, match="line breaks"):
        check_new_user_id("a\r\nb")
    assert part("user", "a\r\nb") == "a%0D%0Ab"


@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
def test_the_longest_user_id_can_be_closed_at_the_host_with_the_longest_name(algorithm: str) -> None:
    """Unbannable user: the token of the call that closes the connections would be too long."""
    user_id = "é" * (LONGEST_USER_ID // 6) + "xx"
    endpoint = ServiceEndpoint.parse(f"Endpoint=https://{'.'.join(['h' * 62] * 4)};AccessKey={ACCESS_KEY};")
    call = User(caller=None, user_id=user_id).closing("banned")  # type: ignore[arg-type]  # it is not asked
    resource = HubAddress.of("c" + "[" * 127, "a" * 128).resource(call)

    token = TokenCache(endpoint, algorithm).token(endpoint.audience_base_url + resource)

    assert len(part("user", check_new_user_id(user_id))) == LONGEST_USER_ID
    assert len(token) <= 4096
