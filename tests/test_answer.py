"""The answer to a granted negotiation: made past Flask's general way, and to everybody a response like any other."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response, session
from werkzeug.test import TestResponse

from flask_signalr.answer import Answer

BODY = {"url": "https://a.example/client/?hub=chat", "accessToken": "ä"}
JSON = '{"url":"https://a.example/client/?hub=chat","accessToken":"ä"}'.encode()


class OtherResponse(Response):
    """What an app may set as its ``response_class``."""

    default_mimetype = "application/xml"


def sent(change: Callable[[Response], Any] = lambda response: None, **attributes: Any) -> TestResponse:
    """Return what goes out of an app that changes each response before."""
    app = Flask("answer")
    app.secret_key = "only for tests"
    for name, value in attributes.items():
        setattr(app, name, value)

    @app.post("/")
    def answer() -> Response:
        return Answer(BODY)

    @app.after_request
    def after(response: Response) -> Response:
        change(response)
        return response

    return app.test_client().post("/")


def test_an_answer_is_json_that_no_cache_keeps() -> None:
    response = sent()

    assert (response.status, response.data) == ("200 OK", JSON)
    assert sorted(response.headers) == [
        ("Cache-Control", "no-store"),
        ("Content-Length", str(len(JSON))),
        ("Content-Type", "application/json"),
        ("Vary", "Origin"),
    ]


def test_an_answer_has_what_a_response_of_flask_has() -> None:
    """A later Werkzeug may keep more in a response: nothing of it may be missing here."""
    answer, general = Answer(BODY), Response(JSON)

    assert set(vars(general)) <= set(vars(answer))
    assert (answer.get_json(), answer.mimetype, answer.content_length) == (BODY, "application/json", len(JSON))
    assert (answer.is_json, answer.is_sequence, answer.is_streamed) == (True, True, False)


def test_two_answers_share_nothing_that_can_change() -> None:
    """Or what an app hangs on one answer would happen at other callers' answers too."""
    first, second = vars(Answer(BODY)), vars(Answer(BODY))

    shared = [name for name, value in first.items() if value is second[name]]

    assert all(isinstance(first[name], str | int | bool | None) for name in shared)


def test_headers_that_the_app_adds_go_out() -> None:
    response = sent(lambda response: response.headers.add("X-Frame-Options", "DENY"))

    assert response.headers["X-Frame-Options"] == "DENY"


def test_a_header_with_a_line_break_is_refused() -> None:
    """Response splitting: a value with a line break would be read as a header of its own."""
    with pytest.raises(ValueError, match="newline"):
        Answer(BODY, [("WWW-Authenticate", "Bearer\r\nSet-Cookie: a=b")])


def test_another_body_of_the_app_goes_out() -> None:
    response = sent(lambda response: response.set_data("other"))

    assert (response.data, response.headers["Content-Length"]) == (b"other", "5")


def test_another_body_in_pieces_goes_out() -> None:
    response = sent(lambda response: setattr(response, "response", ["o", "ther"]))

    assert b"".join(response.response) == b"other"  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_content_goes_out_without_content(status: int) -> None:
    response = sent(lambda response: setattr(response, "status_code", status))

    assert (response.status_code, response.data) == (status, b"")
    assert "Content-Length" not in response.headers


@pytest.mark.parametrize("response_class", [Response, OtherResponse])
def test_functions_that_wait_for_the_end_are_called_once(response_class: type[Response]) -> None:
    called: list[str] = []
    changes = [lambda response: response.call_on_close(lambda: called.append("closed")), lambda response: None]

    for change in changes:
        sent(change, response_class=response_class).close()

    assert called == ["closed"]


def test_an_app_with_a_response_class_of_its_own_sends_the_same() -> None:
    response = sent(response_class=OtherResponse)

    assert (response.data, sorted(response.headers)) == (JSON, sorted(sent().headers))


def test_a_session_that_was_read_adds_its_name_to_vary() -> None:
    response = sent(lambda response: session.get("user"))

    assert response.headers.getlist("Vary") == ["Origin, Cookie"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda response: response.vary.add("Accept"), ["Origin, Accept"]),
        (lambda response: (response.vary.add("A"), response.vary.add("B")), ["Origin, A, B"]),
        (lambda response: response.vary.remove("origin"), []),
        (lambda response: setattr(response, "vary", "Accept, Cookie"), ["Accept, Cookie"]),
        (lambda response: response.headers.set("Vary", "*"), ["*"]),
    ],
    ids=["added", "added twice", "removed", "set", "set as a header"],
)
def test_vary_is_what_the_app_makes_of_it(change: Callable[[Response], Any], expected: list[str]) -> None:
    assert sent(change).headers.getlist("Vary") == expected
