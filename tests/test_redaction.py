"""Redaction: no token in a log, and everything else as it was."""

import ast
import logging
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask, request
from hypothesis import given
from hypothesis import strategies as st

from flask_signalr.redaction import URL_LOGGERS, HideTokens, RedactTokens, redact, redact_logs
from tests.apps import service_token
from tests.signing import rsa_key, token

ROOT = Path(__file__).parent.parent
APP = "tests.test_redaction:create_app_that_tells_its_query()"
JWT = token()
OPAQUE = "an-opaque-token.with+odd/letters~=="


def record_of(message: object, *arguments: Any, **facts: Any) -> logging.LogRecord:
    record = logging.LogRecord("tests", logging.INFO, __file__, 1, message, arguments, facts.pop("exc_info", None))
    vars(record).update(facts)
    return record


def written(record: logging.LogRecord) -> str:
    """Return a record as a handler writes it once the filter has seen it."""
    assert RedactTokens().filter(record) is True
    return logging.Formatter("%(message)s").format(record)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (f"GET /chat/negotiate?access_token={OPAQUE} HTTP/1.1", "GET /chat/negotiate?access_token=[redacted] HTTP/1.1"),
        (f"/?a=1&access_token={OPAQUE}&b=2", "/?a=1&access_token=[redacted]&b=2"),
        (f'"GET /?access_token={JWT}"', '"GET /?access_token=[redacted]"'),
        (f"wss://x/client/?hub=chat&id=1&access_token={JWT}#top", "wss://x/client/?hub=chat&id=1&access_token=[redacted]#top"),
        (f"access_token={JWT}&access_token={OPAQUE}", "access_token=[redacted]&access_token=[redacted]"),
        (f"ACCESS_TOKEN={OPAQUE}", "ACCESS_TOKEN=[redacted]"),
        (f"next=%2F%3Faccess_token%3D{OPAQUE}", "next=%2F%3Faccess_token%3D[redacted]"),
        (f"next=%2F%3Faccess%5Ftoken%253D{OPAQUE}", "next=%2F%3Faccess%5Ftoken%253D[redacted]"),
        (f'{{"url":"/?access_token={OPAQUE}","n":1}}', '{"url":"/?access_token=[redacted]","n":1}'),
        (f"Authorization: Bearer {JWT}", "Authorization: Bearer [redacted]"),
        (f"header=Bearer%20{JWT}%20", "header=Bearer%20[redacted]%20"),
        ("an encrypted eyJhbGciOiJkaXIifQ..aXY.Y3Q.dGFn.", "an encrypted [redacted]."),
        (f"b'{JWT}'", "b'[redacted]'"),
        (f"two: {JWT}, {JWT}.", "two: [redacted], [redacted]."),
        ("POST /chat/refresh?id=a%2Bb-_c HTTP/1.1", "POST /chat/refresh?id=[redacted] HTTP/1.1"),
        ("/x/refresh/?a=1&id=abc&b=2#top", "/x/refresh/?a=1&id=[redacted]&b=2#top"),
        ('{"url":"/chat/refresh?id=abc","n":1}', '{"url":"/chat/refresh?id=[redacted]","n":1}'),
        ("/refresh?id=abc /refresh?id=def", "/refresh?id=[redacted] /refresh?id=[redacted]"),
        ("/refresh?grid=1&uid=2&id=", "/refresh?grid=1&uid=2&id="),
        ("GET /articles?id=42", "GET /articles?id=42"),
        ("access_token=", "access_token="),
        ("the access_token is missing", "the access_token is missing"),
        ("GET /?negotiateVersion=1", "GET /?negotiateVersion=1"),
        ("eyJ is how they begin", "eyJ is how they begin"),
        ("file.name.with.dots", "file.name.with.dots"),
        ("", ""),
    ],
)  # fmt: skip
def test_tokens_go_and_the_rest_stays(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "secret",
    [JWT, service_token(), token(rsa_key(), "RS256"), token("k" * 64, "HS512"), token(header={"kid": "k1"})],
    ids=["caller's", "service's", "RSA", "HS512", "key id"],
)
@pytest.mark.parametrize("around", ["%s", "?x=%s&y", "'%s'", "{%s}", "a%%20%s", "(%s)", "\n%s\n", "=%s,"])
def test_every_token_is_known_by_its_form(secret: str, around: str) -> None:
    """Nothing says ``access_token`` in a header or a traceback."""
    text = redact(around % secret)

    assert not [part for part in secret.split(".") if part in text]


@given(st.text(st.characters(codec="utf-8", exclude_characters="&\"'#<> "), max_size=20), st.text(max_size=20))
def test_a_token_of_a_query_is_hidden_in_any_encoding(secret: str, before: str) -> None:
    for encoded in (quote(secret, safe=""), quote(quote(secret, safe=""), safe="")):
        text = redact(f"{before}?access_token={encoded}&b=1")

        assert text.rpartition("access_token=")[2] == ("[redacted]&b=1" if encoded else "&b=1")


@pytest.mark.parametrize(
    "text",
    ["eyJ-" * 50_000, "eyJabcdefgh." * 20_000, "access_token=" * 20_000, "eyJaaaaaaaa.eyJ-" * 15_000, "-eyJ" * 50_000,
     "/refresh?" * 20_000, "/refresh?" + "&id=x" * 40_000],
    ids=lambda text: text[:14],
)  # fmt: skip
def test_exhausting_the_server_by_a_log_line_fails(text: str) -> None:
    """Denial of service: what looks like the beginning of many tokens is read once. Quadratic time would be minutes."""
    assert len(redact(text)) <= len(text) + 400_000


@given(st.text(), st.sampled_from([JWT, f"?access_token={OPAQUE}", f"%20{JWT}", ""]), st.text())
def test_what_is_redacted_stays_as_it_is(before: str, secret: str, after: str) -> None:
    """A record passes the filters of its logger and of each handler."""
    once = redact(f"{before}{secret}{after}")

    assert redact(once) == once


# The filter.


def test_the_filter_sees_the_message_with_its_arguments() -> None:
    """Servers log a format and the URL apart."""
    record = record_of('"%s" %d', f"GET /?access_token={JWT}", 200)

    assert written(record) == '"GET /?access_token=[redacted]" 200'


def test_the_filter_takes_arguments_by_name() -> None:
    """So does gunicorn's access log."""
    record = record_of("%(r)s %(s)s", {"r": f"POST /?access_token={JWT}", "s": 200})

    assert written(record) == "POST /?access_token=[redacted] 200"


def test_a_record_without_a_token_stays_as_it_is() -> None:
    """Handlers that read the arguments, as error trackers do, still find them."""
    record = record_of("%s of %d", "one", 2)

    assert written(record) == "one of 2"
    assert (record.msg, record.args) == ("%s of %d", ("one", 2))


@pytest.mark.parametrize("before", [True, False], ids=["another handler came first", "first"])
def test_a_traceback_has_no_token(before: bool) -> None:
    try:
        raise ValueError(f"cannot open wss://x/?access_token={OPAQUE}")
    except ValueError:
        record = record_of("failed", exc_info=sys.exc_info())
    if before:
        logging.Formatter().format(record)

    text = written(record)

    assert OPAQUE not in text
    assert "ValueError: cannot open wss://x/?access_token=[redacted]" in text


def test_a_formatter_of_ones_own_does_not_write_the_exception_once_more() -> None:
    """Those that write JSON read the exception itself and not the text of it."""
    try:
        raise ValueError(f"cannot open wss://x/?access_token={OPAQUE}")
    except ValueError:
        record = record_of("failed", exc_info=sys.exc_info())

    RedactTokens().filter(record)

    assert record.exc_info is None


def test_a_traceback_without_a_token_stays() -> None:
    try:
        raise ValueError("a fault")
    except ValueError:
        record = record_of("failed", exc_info=sys.exc_info())

    RedactTokens().filter(record)

    assert record.exc_info
    assert record.exc_text is None, "a formatter of the app's own may want to write it"
    assert "ValueError: a fault" in written(record)


def test_a_stack_has_no_token() -> None:
    assert JWT not in written(record_of("here", stack_info=f"Stack:\n  open({JWT!r})"))


@pytest.mark.parametrize("arguments", [("a",), ("a", "b", "c"), ({"x": 1},)], ids=["few", "many", "names"])
def test_a_record_that_cannot_be_formatted_still_passes_without_its_token(arguments: tuple[Any, ...]) -> None:
    """Python would write message and arguments to standard error, and a filter that raises would fail the request."""
    record = record_of(f"%s %s {JWT}", *arguments)

    text = written(record)

    assert JWT not in text
    assert "[redacted]" in text


def test_a_record_whose_argument_cannot_be_written_fails_no_request() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise ValueError

    for record in (record_of(f"%s {JWT}", Broken()), record_of(Broken(), JWT)):
        assert RedactTokens().filter(record)
        assert JWT not in record.getMessage()
        assert "ValueError while it was written" in record.getMessage()


# Where it is put.


def test_loggers_get_the_filter_once() -> None:
    logger = logging.getLogger("tests.of.redaction")

    redact_logs([logger.name])
    redact_logs([logger.name])

    assert [type(found) for found in logger.filters] == [RedactTokens]


def test_every_logger_of_the_list_gets_the_filter_unless_others_are_named() -> None:
    redact_logs()

    assert all(
        any(isinstance(found, RedactTokens) for found in logging.getLogger(name).filters) for name in URL_LOGGERS
    )


def test_all_loggers_of_this_package_are_on_the_list() -> None:
    """A logger's filters do not see what its children write, so each one is named."""
    used = set()
    for path in (ROOT / "flask_signalr").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("getLogger") and path.stem != "redaction":
                (name,) = call.args
                used.add(module if ast.unparse(name) == "__name__" else ast.literal_eval(name))

    ours = {name for name in used if name.startswith("flask_signalr")}  # pyspnego's is only quietened
    assert ours
    assert ours <= set(URL_LOGGERS)


# The middleware.


def environ_after(environ: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the environ that the app saw, and what the server has in its hands afterwards."""
    seen: dict[str, Any] = {}

    def wsgi_app(given: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen.update(given)
        return [b""]

    HideTokens(wsgi_app)(environ, None)  # type: ignore[arg-type]
    return seen, environ


@pytest.mark.parametrize("key", ["QUERY_STRING", "RAW_URI", "REQUEST_URI", "HTTP_REFERER"])
def test_the_app_sees_the_token_and_the_server_does_not(key: str) -> None:
    seen, kept = environ_after({key: f"/?access_token={JWT}&b=1", "REQUEST_METHOD": "POST"})

    assert seen == {key: f"/?access_token={JWT}&b=1", "REQUEST_METHOD": "POST"}
    assert kept == {key: "/?access_token=[redacted]&b=1", "REQUEST_METHOD": "POST"}


def test_the_server_does_not_see_the_connection_token_of_a_refresh() -> None:
    """The query stands apart from the path there."""
    url = "/chat/refresh?id=abc"
    _, kept = environ_after({"PATH_INFO": "/chat/refresh", "QUERY_STRING": "id=abc&x=1", "RAW_URI": url})
    _, others = environ_after({"PATH_INFO": "/articles", "QUERY_STRING": "id=abc"})

    assert (kept["QUERY_STRING"], kept["RAW_URI"]) == ("id=[redacted]&x=1", "/chat/refresh?id=[redacted]")
    assert others["QUERY_STRING"] == "id=abc"


def create_app_that_tells_its_query() -> Flask:
    """Return an app without the extension: nothing but the middleware stands between a token and the log."""
    app = Flask(__name__)
    app.add_url_rule("/", view_func=lambda: request.query_string)
    app.wsgi_app = HideTokens(app.wsgi_app)  # type: ignore[method-assign]
    return app


def test_gunicorns_access_log_has_no_token_behind_the_middleware() -> None:
    """It is written out of the environ: request line, query and referrer."""
    options = {
        "--bind": "127.0.0.1:0",
        "--graceful-timeout": "1",
        "--access-logfile": "-",
        "--access-logformat": "%(r)s | %(q)s | %(f)s | %({raw_uri}e)s",
    }
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--no-control-socket", *chain(*options.items()), APP],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
    )
    try:
        assert server.stdout
        url = next(found[0] for line in server.stdout if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
        query = f"access_token={JWT}&b=1"
        asked = urllib.request.Request(f"{url}/?{query}", headers={"Referer": f"https://app.example/?{query}"})
        with urllib.request.urlopen(asked, timeout=60) as answer:
            told = answer.read().decode()
    finally:
        server.terminate()
        output, _ = server.communicate(timeout=60)

    assert told == query
    (line,) = [line for line in output.splitlines() if " | " in line]
    hidden = "access_token=[redacted]&b=1"
    assert line == f"GET /?{hidden} HTTP/1.1 | {hidden} | https://app.example/?{hidden} | /?{hidden}"
