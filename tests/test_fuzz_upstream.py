"""Any upstream request: never a 500, and nothing runs that no key of the service vouches for."""

import io
import itertools
import json
from typing import Any, TypeVar

from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from werkzeug.test import run_wsgi_app

from tests.apps import ACCESS_KEY
from tests.test_upstream_views import NAMES, Site
from tests.upstream_calls import headers_of, signed

T = TypeVar("T")
NUMBERS = itertools.count()
SITE = Site(SIGNALR_UPSTREAM_BODY_LIMIT=2000)
LATIN = st.text(st.characters(max_codepoint=255), max_size=40)


def mostly(usual: st.SearchStrategy[T], odd: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """Return what is usual, and once in sixteen times something odd: nearly right requests get furthest."""
    return st.integers(0, 15).flatmap(lambda number: usual if number else odd)


NAME = mostly(st.sampled_from([*NAMES, "connected", "disconnected", "nothing"]), LATIN)
CATEGORY = mostly(st.sampled_from(["messages", "messages", "connections"]), LATIN)
HEADERS = [
    "CONNECTION_ID", "HUB", "CATEGORY", "EVENT", "USER_ID", "USER_CLAIMS", "CLIENT_QUERY", "SIGNATURE",
]  # fmt: skip
JSON_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def message(name: str) -> st.SearchStrategy[bytes]:
    """Return bodies that are nearly right."""
    members = st.fixed_dictionaries(
        {
            "type": mostly(st.sampled_from([1, 1, 1, 1, 3, 4, 6, 10, 11]), JSON_VALUE),
            "target": mostly(st.just(name), JSON_VALUE),
            "arguments": mostly(st.lists(JSON_VALUE, max_size=3), JSON_VALUE),
        },
        optional={
            "invocationId": mostly(st.text(max_size=5), JSON_VALUE),
            "streamIds": mostly(st.just([]), JSON_VALUE),
            "headers": mostly(st.just({}), JSON_VALUE),
            "Error": mostly(st.text(max_size=5), JSON_VALUE),
        },
    )
    return members.map(lambda value: json.dumps(value).encode())


@st.composite
def environs(draw: st.DrawFn) -> dict[str, Any]:
    """Return what a server could hand over."""
    category, name = draw(CATEGORY), draw(NAME)
    connection = f"connection {next(NUMBERS)}"  # one whose connect event came to nothing is refused from then on
    right_headers = headers_of("messages", "add", connection_id=connection)
    usual = {f"HTTP_{key.upper().replace('-', '_')}": text for key, text in right_headers.items()}
    usual |= {"HTTP_X_ASRS_CATEGORY": category, "HTTP_X_ASRS_EVENT": name.encode().decode("latin-1")}
    for header in draw(mostly(st.just([]), st.lists(st.sampled_from(HEADERS), max_size=2))):
        usual[f"HTTP_X_ASRS_{header}"] = draw(LATIN)
    signature = signed(connection)
    right = st.sampled_from([signature, signature, signature.upper(), f"x, {signature}"])
    wrong = st.sampled_from([signed(connection, key="guessed"), signed("c2"), ""]) | LATIN
    usual["HTTP_X_ASRS_SIGNATURE"] = draw(right if draw(st.booleans()) else wrong)
    body = draw(mostly(message(name), st.binary(max_size=60) | st.just(b" " * 2001)))
    hub = draw(mostly(st.sampled_from(["chat", "Chat"]), st.just("other") | LATIN))
    length = {} if draw(st.booleans()) else {"CONTENT_LENGTH": draw(mostly(st.just(str(len(body))), LATIN))}
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": f"/{hub}/upstream/{category}/{name}".encode("utf-8", "replace").decode("latin-1"),
        "QUERY_STRING": draw(mostly(st.just(""), LATIN)),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.errors": io.StringIO(),
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "CONTENT_TYPE": draw(
            mostly(st.sampled_from(["application/json", "application/json", "application/x-msgpack"]), LATIN)
        ),
        **usual,
        **length,
    }


def is_vouched_for(environ: dict[str, Any]) -> bool:
    """Return whether a listed signature is that of the connection, told in another way than the package does."""
    try:
        connection_id = environ["HTTP_X_ASRS_CONNECTION_ID"].encode("latin-1").decode()
        listed = environ["HTTP_X_ASRS_SIGNATURE"].lower().split(",")
    except UnicodeDecodeError:
        return False
    return signed(connection_id, ACCESS_KEY) in [value.strip(" \t") for value in listed]


@settings(max_examples=600)
@given(environs())
def test_nothing_runs_unverified_and_nothing_fails(environ: dict[str, Any]) -> None:
    SITE.ran.clear()
    vouched_for = is_vouched_for(environ)

    content, status, headers = run_wsgi_app(SITE.app, environ, buffered=True)

    code = int(status.split()[0])
    answer = b"".join(content)
    assert code in {200, 308} or 400 <= code < 500  # 308: Flask's, for two slashes before the event
    assert vouched_for or (code != 200 and SITE.ran == [])
    assert ACCESS_KEY.encode() not in answer
    if headers.get("Content-Type") == "application/json" and code != 200:
        assert list(json.loads(answer)) == ["error"]


def test_the_fuzzed_requests_reach_the_methods() -> None:
    """Else the test above would be true of an app that refuses everything."""

    def reaches(environ: dict[str, Any]) -> bool:
        SITE.ran.clear()
        run_wsgi_app(SITE.app, environ, buffered=True)
        return any(invocation.target in NAMES for invocation in SITE.ran)

    find(environs(), reaches, settings=settings(max_examples=10_000, database=None, phases=[Phase.generate]))
