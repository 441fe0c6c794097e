"""The headers of upstream requests, as WSGI hands them over, and the client's query among them."""

import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_signalr import BadRequest
from flask_signalr.upstream_headers import MAX_QUERY_PARAMETERS, UpstreamHeaders, client_query

REQUIRED = ["X-ASRS-Connection-Id", "X-ASRS-Hub", "X-ASRS-Category", "X-ASRS-Event"]
GOOD = dict(zip(REQUIRED, ["c1", "app_chat", "messages", "send"], strict=True))


def environ(headers: dict[str, str]) -> dict[str, Any]:
    """Return what a WSGI server makes of headers that are UTF-8 on the wire (PEP 3333)."""
    return {f"HTTP_{name.upper().replace('-', '_')}": text.encode().decode("latin-1") for name, text in headers.items()}


def test_every_header_is_read() -> None:
    more = {
        "X-ASRS-User-Id": "ada",
        "X-ASRS-User-Claims": "role: staff",
        "X-ASRS-Client-Query": "?hub=chat",
        "X-ASRS-Signature": "sha256=00",
    }

    assert UpstreamHeaders.of(environ(GOOD | more)) == UpstreamHeaders(
        "c1", "app_chat", "messages", "send", "ada", "role: staff", "?hub=chat", "sha256=00"
    )


def test_what_need_not_be_there_need_not_be_there() -> None:
    assert UpstreamHeaders.of(environ(GOOD)) == UpstreamHeaders(
        "c1", "app_chat", "messages", "send", None, "", "", None
    )


def test_an_empty_user_id_is_none() -> None:
    assert UpstreamHeaders.of(environ(GOOD | {"X-ASRS-User-Id": ""})).user_id is None


@pytest.mark.parametrize("is_there", [False, True], ids=["missing", "empty"])
@pytest.mark.parametrize("name", REQUIRED)
def test_an_empty_header_is_refused_by_its_name(name: str, is_there: bool) -> None:
    """An empty connection id has a signature too, which whoever saw it once could use for ever."""
    headers = GOOD | {name: ""}
    if not is_there:
        del headers[name]

    with pytest.raises(BadRequest, match=name):
        UpstreamHeaders.of(environ(headers))


@pytest.mark.parametrize("name", [*REQUIRED, "X-ASRS-User-Id"])
def test_headers_are_utf_8(name: str) -> None:
    text = "Jürgen 😀 ж"

    assert text in vars(UpstreamHeaders.of(environ(GOOD | {name: text}))).values()


@pytest.mark.parametrize("text", ["\xff", "J\xfcrgen", "\xed\xa0\x80", "\xc0\xaf", "€"], ids=ascii)
@pytest.mark.parametrize("name", [*REQUIRED, "X-ASRS-User-Id", "X-ASRS-User-Claims", "X-ASRS-Client-Query"])
def test_unreadable_headers_are_refused(name: str, text: str) -> None:
    """What cannot be read might be anybody's name."""
    unreadable = environ(GOOD) | {f"HTTP_{name.upper().replace('-', '_')}": text}

    with pytest.raises(BadRequest, match=f"{name} is not UTF-8"):
        UpstreamHeaders.of(unreadable)


def test_an_endless_connection_id_is_refused() -> None:
    with pytest.raises(BadRequest, match="more than 256"):
        UpstreamHeaders.of(environ(GOOD | {"X-ASRS-Connection-Id": "c" * 257}))


def test_a_repr_shows_no_token_and_nothing_about_the_person() -> None:
    secrets = {"Client-Query": "?access_token=eyJ", "Signature": "s=1", "User-Claims": "birthdate: 1815"}

    headers = UpstreamHeaders.of(environ(GOOD | {f"X-ASRS-{name}": value for name, value in secrets.items()}))

    for secret in ("eyJ", "s=1", "1815"):
        assert secret not in repr(headers)


# The client's query.


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        ("", []),
        ("?", []),
        ("?hub=chat", [("hub", "chat")]),
        ("hub=chat", [("hub", "chat")]),
        ("?a=1&a=2&b=", [("a", "1"), ("a", "2"), ("b", "")]),
        ("?name=J%C3%BCrgen+X%26Y", [("name", "Jürgen X&Y")]),
        ("??a=1", [("?a", "1")]),
        ("?a", [("a", "")]),
    ],
)
def test_a_query_is_read_as_forms_write_it(query: str, pairs: list[tuple[str, str]]) -> None:
    assert list(client_query(query).items(multi=True)) == pairs


@pytest.mark.parametrize("name", ["access_token", "Access_Token", "%61ccess_token", "access_token+", "id", "ID"])
def test_handlers_see_no_token_and_no_secret_id(name: str) -> None:
    assert list(client_query(f"?{name}=secret&room=1").items()) == [("room", "1")]


def test_a_token_in_the_query_is_not_kept_in_memory() -> None:
    """What a process remembers of connections would otherwise hold tokens that are still good."""

    class Query(str):
        """A text whose end can be seen."""

    query = Query("?access_token=eyJ&room=1")
    ended = weakref.ref(query)

    kept = client_query(query)
    del query

    assert ended() is None
    assert list(kept.items()) == [("room", "1")]


@pytest.mark.parametrize("query", ["?a=%FF", "?%FF=a", "?access_token=%FF"])
def test_a_query_that_is_not_utf_8_is_refused(query: str) -> None:
    with pytest.raises(BadRequest, match="not UTF-8"):
        client_query(query)


def test_a_query_of_endless_parameters_is_refused() -> None:
    with pytest.raises(BadRequest, match="more than 200"):
        client_query("?" + "&" * MAX_QUERY_PARAMETERS)


@given(st.text())
def test_any_query_is_read_or_refused(query: str) -> None:
    try:
        parameters = client_query(query)
    except BadRequest:
        return
    assert not {"access_token", "id"} & set(parameters)
