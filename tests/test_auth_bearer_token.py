"""The bearer token of a request: where it is looked for, and what is refused at sight."""

import string

import pytest
from flask import Request
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from flask_signalr.auth.bearer_token import MAX_LENGTH, bearer_token
from flask_signalr.errors import AuthenticationFailed
from tests.signing import request_with


@pytest.mark.parametrize(
    "header",
    ["Bearer abc.def.ghi", "bearer abc.def.ghi", "BEARER abc.def.ghi", "Bearer   abc.def.ghi", " Bearer abc.def.ghi "],
    ids=["usual", "lower case", "upper case", "several spaces", "spaces around"],
)
def test_the_header_brings_a_token(header: str) -> None:
    """The scheme's name has no case (RFC 9110 §11.1)."""
    assert bearer_token(request_with({"Authorization": header})) == "abc.def.ghi"


def test_the_query_brings_a_token() -> None:
    """Browsers cannot set headers on WebSockets and server-sent events."""
    assert bearer_token(request_with(query="negotiateVersion=1&access_token=abc.def.ghi")) == "abc.def.ghi"


def test_the_header_wins_over_the_query() -> None:
    request = request_with({"Authorization": "Bearer header"}, "access_token=query")

    assert bearer_token(request) == "header"


@pytest.mark.parametrize("header", ["Basic YWRhOmFkYQ==", "Negotiate YII=", "Bearership abc", "bearer-x abc", ""])
def test_credentials_of_another_scheme_leave_the_query(header: str) -> None:
    assert bearer_token(request_with({"Authorization": header}, "access_token=query")) == "query"


@pytest.mark.parametrize(
    ("header", "query"),
    [
        (None, ""),
        (None, "negotiateVersion=1"),
        (None, "my_access_token=abc"),
        (None, "x=access_token"),
        ("Basic YWRhOmFkYQ==", ""),
        ('Digest username="ada", realm="chat", uri="/bearer"', ""),
        ('Digest username="ada", bearer="x"', ""),
    ],
)
def test_without_a_bearer_token_there_is_none(header: str | None, query: str) -> None:
    headers = {"Authorization": header} if header is not None else {}

    assert bearer_token(request_with(headers, query)) is None


def test_the_query_is_not_parsed_without_need() -> None:
    """Parsing costs more than all the rest of this look; most requests have their token in the header or none."""
    request = request_with()

    bearer_token(request)

    assert "args" not in request.__dict__


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer    ",
        "Bearer\tabc",
        "Bearer,abc",
        "Bearer:abc",
        "Bearer=abc",
        "Bearer abc def",
        "Bearer abc\tdef",
        "Bearer =",
        "Bearer a=b",
        'Bearer "abc"',
        "Bearer abc\xa0def",
        "Bearer \xe9",
        "Bearer abc, Bearer def",
        "Bearer abc,Bearer def",
        "Bearer abc,def",
        "Basic YWRhOmFkYQ==, Bearer abc",
        "Basic YWRhOmFkYQ==,bearer abc",
        "Negotiate YII=,\tBEARER",
    ],
)
def test_an_unreadable_header_is_refused(header: str) -> None:
    """A credential that one of two readers understands must not pass as none at all."""
    environ = EnvironBuilder("/chat/negotiate").get_environ() | {"HTTP_AUTHORIZATION": header}

    with pytest.raises(AuthenticationFailed, match=r"bearer|Bearer|several credentials"):
        bearer_token(Request(environ))


@pytest.mark.parametrize(
    "query",
    [
        "access_token=",
        "access_token",
        "access_token=%20",
        "access_token=abc+def",
        "access_token=abc%2Cdef",
        "access_token=%C3%A9",
        "access_token=%FF",
        "access_token=abc%00",
        "access_token=abc%0A",
        "access_token=abc&access_token=def",
        "access_token=abc&x=1&access_token=abc",
    ],
)
def test_an_unreadable_query_is_refused(query: str) -> None:
    with pytest.raises(AuthenticationFailed, match=r"bearer token|several credentials"):
        bearer_token(request_with(query=query))


@pytest.mark.parametrize("query", ["", "access_token=abc"])
def test_odd_letters_in_another_schemes_header_are_refused(query: str) -> None:
    """Whoever asks werkzeug for such a ``Basic`` gets an error: the caller's fault would be a 500."""
    environ = request_with(query=query).environ | {"HTTP_AUTHORIZATION": "Basic \xff"}

    with pytest.raises(AuthenticationFailed, match="than ASCII"):
        bearer_token(Request(environ))


def test_an_unreadable_header_is_refused_beside_a_good_query() -> None:
    with pytest.raises(AuthenticationFailed):
        bearer_token(request_with({"Authorization": "Bearer a b"}, "access_token=abc"))


@pytest.mark.parametrize("by_header", [True, False], ids=["header", "query"])
@pytest.mark.parametrize("length", [MAX_LENGTH + 1, 1_000_000], ids=["one too many", "1 MB"])
def test_a_giant_token_is_refused(by_header: bool, length: int) -> None:
    """Work on a token grows with its length, and anybody can send one."""
    giant = "a" * length
    request = (
        request_with({"Authorization": f"Bearer {giant}"}) if by_header else request_with(query=f"access_token={giant}")
    )

    with pytest.raises(AuthenticationFailed, match=f"longer than {MAX_LENGTH}") as refusal:
        bearer_token(request)

    assert len(str(refusal.value)) < 100


def test_the_longest_token_is_looked_at() -> None:
    longest = "a" * MAX_LENGTH

    assert bearer_token(request_with({"Authorization": f"Bearer {longest}"})) == longest


@given(
    st.text(st.characters(max_codepoint=255))
    | st.builds("Bearer {}".format, st.text(st.characters(max_codepoint=255))),
    st.text(st.characters(max_codepoint=255)).map("access_token={}".format),
)
def test_any_bytes_are_a_token_or_none_or_refused(header: str, query: str) -> None:
    """WSGI hands headers and query over as Latin-1, one character a byte."""
    environ = EnvironBuilder("/chat/negotiate").get_environ() | {"HTTP_AUTHORIZATION": header, "QUERY_STRING": query}

    try:
        token = bearer_token(Request(environ))
    except AuthenticationFailed:
        return

    assert token is None or set(token) <= set(string.ascii_letters + string.digits + "-._~+/=")


@pytest.mark.parametrize("query", ["access%5Ftoken=a b", "%61ccess_token=", "access_token=a%20b"])
def test_hiding_a_broken_token_behind_an_encoded_name_fails(query: str) -> None:
    with pytest.raises(AuthenticationFailed):
        bearer_token(Request({**EnvironBuilder("/chat/negotiate", method="POST").get_environ(), "QUERY_STRING": query}))


@pytest.mark.parametrize("path", ["/api/messages", "/chat/negotiate/x", "/", ""])
def test_bringing_a_token_in_the_url_of_another_view_fails(path: str) -> None:
    """Links with tokens end up in logs and histories; only what SignalR clients cannot do otherwise may."""
    environ = EnvironBuilder(path, method="POST", query_string="access_token=a.b.c").get_environ()

    assert bearer_token(Request(environ)) is None
