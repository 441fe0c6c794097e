"""Origins: which pages may connect, and what lets them read the answer."""

from collections.abc import Mapping
from typing import Any

import pytest
from flask import Flask, Request
from flask_cors import CORS
from werkzeug.datastructures import Headers
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import EnvironBuilder, TestResponse

from flask_signalr import AuthorizationDenied, BearerAuth, Principal, SignalR, Unavailable, everything
from flask_signalr.errors import BadRequest, ConfigurationError, OriginNotAllowed
from flask_signalr.origins import check_origin, parse_origins
from tests.apps import Says, body, create_app, negotiate, service_claims
from tests.signing import SECRET

PAGE = "https://www.example"
PREFLIGHT = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,x-requested-with,x-signalr-user-agent",
}


def request_from(
    origin: str | None, site: str | None = None, url: str = "https://app.example", **environ: str
) -> Request:
    """Return a negotiate request that a page of an origin sends to an app at a URL."""
    headers = {"Origin": origin, "Sec-Fetch-Site": site}
    given = {name: value for name, value in headers.items() if value is not None}
    return Request(
        EnvironBuilder("/chat/negotiate", url, method="POST", headers=Headers(given)).get_environ() | environ
    )


def app_with(**options: Any) -> Flask:
    """Return an app at which the page may connect, with one hub ``chat``."""
    signalr = SignalR(allowed_origins=[PAGE])
    signalr.hub("chat", **options)
    return create_app(signalr)


def open_app(**config: Any) -> Flask:
    """Return an app whose hub ``chat`` lets everybody in who passes the origin check."""
    signalr = SignalR()
    signalr.hub("chat", allow_anonymous=True)
    return create_app(signalr, **config)


def preflight(app: Flask, headers: Mapping[str, str] = PREFLIGHT, hub: str = "chat") -> TestResponse:
    return app.test_client().options(f"/{hub}/negotiate", headers=dict(headers))


def cors_of(answer: TestResponse) -> dict[str, str]:
    return {name: value for name, value in answer.headers if name.startswith("Access-Control-")}


# What the same origin is.


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://app.example", "https://app.example"),
        ("https://app.example:443", "https://app.example"),
        ("http://app.example:80", "http://app.example"),
        ("http://app.example:443", "http://app.example:443"),
        ("https://app.example:8443", "https://app.example:8443"),
        ("https://APP.Example", "https://app.example"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("http://[::1]:5000", "http://[::1]:5000"),
        ("https://[2001:DB8::1]", "https://[2001:db8::1]"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://app.example.", "https://app.example."),
    ],
)
def test_a_page_of_the_app_itself_may_connect(url: str, origin: str) -> None:
    """Browsers write hosts in lower case and leave out the scheme's own port (RFC 6454 §6)."""
    check_origin(request_from(origin, url=url), frozenset())


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://app.example",
        "https://app.example:8443",
        "https://app.example.evil",
        "https://evil-app.example",
        "https://evilapp.example",
        "https://app.example.",
        "https://app.exampl",
        "https://sub.app.example",
        "https://example",
        "https://app.example@evil.example",
        "https://evil.example/app.example",
        "https://evil.example#https://app.example",
        "https://app.example https://evil.example",
        "https://evil.example, https://app.example",
        "https://app.example,https://app.example",
        "https://app.example\t",
        "https://app.example/",
        "https://app.example/chat",
        "https://аpp.example",
        "wss://app.example",
        "file://",
        "chrome-extension://app.example",
        "app.example",
        "//app.example",
        "null",
        "*",
        "",
        "https://",
        "\xff",
    ],
)
def test_a_page_of_another_origin_may_not_connect(origin: str) -> None:
    """Cross-site request forgery, by look-alikes and by texts that some parser may take for the app's own origin."""
    with pytest.raises(OriginNotAllowed):
        check_origin(request_from(None, HTTP_ORIGIN=origin), frozenset({"https://other.example"}))


@pytest.mark.parametrize("site", ["none", "same-origin", None])
def test_what_no_page_sent_passes(site: str | None) -> None:
    """Programs that are no browsers send no ``Origin``; they need their credentials like everybody else.

    Every browser sends one with a POST of a page, whatever the page says.
    """
    check_origin(request_from(None, site), frozenset())


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "same-origin, cross-site", "SAME-ORIGIN", "x"])
def test_a_page_whose_browser_hides_its_origin_may_not_connect(site: str) -> None:
    """Cross-site request forgery by a page that strips ``Origin``, as a privacy add-on may."""
    with pytest.raises(OriginNotAllowed):
        check_origin(request_from(None, site), frozenset({"https://other.example"}))


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", "", None, "same-origin, cross-site", "x"])
def test_a_foreign_origin_may_not_connect_whatever_else_the_browser_says(site: str | None) -> None:
    with pytest.raises(OriginNotAllowed):
        check_origin(request_from("https://evil.example", site), frozenset())


def test_the_browser_knows_the_same_origin_behind_any_proxy() -> None:
    """A proxy that ends TLS changes scheme and host of the request; no page can write ``Sec-Fetch-Site``."""
    check_origin(request_from("https://public.example", "same-origin", url="http://10.0.0.7:8000"), frozenset())


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_that_only_looks_like_the_apps_own_behind_a_proxy_may_not_connect(site: str) -> None:
    """The proxy ended TLS: the app takes itself for http, and a page of http, another origin, for its own."""
    with pytest.raises(OriginNotAllowed):
        check_origin(request_from("http://app.example", site, url="http://app.example"), frozenset())


@pytest.mark.parametrize("site", ["cross-site", "same-site", None])
def test_a_page_of_a_listed_origin_may_connect(site: str | None) -> None:
    check_origin(request_from("https://www.example", site), frozenset({"https://www.example"}))


@pytest.mark.parametrize(
    "host", ["", "app.example/", "user@app.example", "app example", "app.example:x", "a\xffb", "<script>"]
)
@pytest.mark.parametrize("origin", ["http://", "https://", "https://app.example", "https://evil.example"])
def test_a_page_without_a_host_to_compare_with_may_not_connect(host: str, origin: str) -> None:
    """Host header attack: what no host can be must equal no origin."""
    request = request_from(origin, HTTP_HOST=host)

    with pytest.raises((BadRequest, OriginNotAllowed)):
        check_origin(request, frozenset())


def test_a_host_that_is_not_trusted_is_no_host() -> None:
    request = request_from("https://evil.example", url="https://evil.example")
    request.trusted_hosts = ["app.example"]

    with pytest.raises(BadRequest, match="Host"):
        check_origin(request, frozenset())


# The list.


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://www.example", "https://www.example"),
        (" https://WWW.Example/ ", "https://www.example"),
        ("https://www.example:443", "https://www.example"),
        ("http://www.example:80", "http://www.example"),
        ("http://www.example:0080", "http://www.example"),
        ("http://www.example:443", "http://www.example:443"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://localhost:65535", "http://localhost:65535"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ],
)
def test_origins_are_listed_in_the_form_that_browsers_send(text: str, origin: str) -> None:
    assert parse_origins([text]) == {origin}


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "https://*.example",
        "null",
        "www.example",
        "ftp://www.example",
        "https://www.example/chat",
        "https://user@www.example",
        "https://www.example?x",
        "https://bücher.example",
        "https://www.example:port",
        "https://www.example:0",
        "https://www.example:65536",
        "https://www.example\nhttps://evil.example",
        "https://",
        "",
    ],
)
def test_what_is_no_origin_cannot_be_listed(text: str) -> None:
    """A star or ``null`` would let in every sandboxed page; a path would look like a restriction and be none."""
    with pytest.raises(ConfigurationError, match="is no origin"):
        parse_origins(["https://good.example", text])


def test_a_star_in_the_list_is_told_why_it_cannot_be() -> None:
    with pytest.raises(ConfigurationError, match="browsers send credentials to no star"):
        parse_origins(["*"])


@pytest.mark.parametrize(
    "secret",
    [
        "Endpoint=https://chat.service.example;AccessKey=0123456789;",
        "https://chat.service.example;AccessKey=0123456789",
        "0123456789" * 4,
        "https://ada:0123456789@www.example",
        "abc8Q~dEfGh.IjKl0123456789UvWxYz0123456789ab",  # of an application in Entra ID
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIwMTIzNDU2Nzg5IiwiYSI6IjAxMjM0NTY3ODkifQ.0123456789",
    ],
)
def test_a_key_that_stands_in_an_origins_place_is_not_shown(secret: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        parse_origins([secret])

    assert "0123456789" not in str(refusal.value)


def test_a_host_without_its_scheme_is_shown_however_long() -> None:
    """It is the usual slip, and among twenty origins nobody would find it."""
    with pytest.raises(ConfigurationError, match=r"'my-frontend-in-production\.azurewebsites\.example' is no origin"):
        parse_origins(["my-frontend-in-production.azurewebsites.example"])


# Over HTTP.


def test_a_foreign_page_is_refused_before_anybody_is_challenged() -> None:
    """A challenge would open the browser's password dialogue over a page that has no business here."""
    scheme = Says(Principal("ada"), "Basic")
    signalr = SignalR(auth=[scheme])
    signalr.hub("chat")

    answer = negotiate(create_app(signalr), headers={"Origin": "https://evil.example"})

    assert answer.status_code == 403
    assert "SIGNALR_ALLOWED_ORIGINS" in body(answer)["error"]
    assert "WWW-Authenticate" not in answer.headers
    assert cors_of(answer) == {}
    assert scheme.asked == 0


def test_an_allowed_page_reads_the_answer() -> None:
    answer = negotiate(app_with(allow_anonymous=True), headers={"Origin": PAGE})

    assert service_claims(answer)
    assert cors_of(answer) == {"Access-Control-Allow-Origin": PAGE, "Access-Control-Allow-Credentials": "true"}
    assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize(
    ("options", "query", "status"),
    [
        ({"allow_anonymous": True}, "negotiateVersion=x", 400),
        ({"auth": [BearerAuth(SECRET)]}, "", 401),
        ({"auth": [Says(AuthorizationDenied("no"))]}, "", 403),
        ({"auth": [Says(Principal("a", {"b": "c" * 5000}))], "claims_filter": everything}, "", 413),
        ({"auth": [Says(Unavailable("down"))]}, "", 503),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
def test_an_allowed_page_reads_each_refusal(options: dict[str, Any], query: str, status: int) -> None:
    """Without the headers all that it learns is ``TypeError: Failed to fetch``."""
    answer = app_with(**options).test_client().post("/chat/negotiate", query_string=query, headers={"Origin": PAGE})

    assert answer.status_code == status
    assert cors_of(answer) == {"Access-Control-Allow-Origin": PAGE, "Access-Control-Allow-Credentials": "true"}
    assert "Origin" in answer.headers["Vary"]


def test_an_allowed_page_reads_that_a_hub_does_not_exist() -> None:
    """Its preflight has to pass for that."""
    app = app_with()

    asked, answer = preflight(app, hub="none"), negotiate(app, "none", headers={"Origin": PAGE})

    assert (asked.status_code, asked.headers["Access-Control-Allow-Origin"]) == (204, PAGE)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (404, PAGE)


def test_the_apps_own_page_needs_no_permission_to_read() -> None:
    answer = negotiate(open_app(), headers={"Origin": "http://localhost"})

    assert service_claims(answer)
    assert cors_of(answer) == {}


def test_a_hubs_list_is_its_own() -> None:
    signalr = SignalR(allow_anonymous=True)
    signalr.hub("chat")
    signalr.hub("news", allowed_origins=[PAGE])
    app = create_app(signalr)

    chat, news = (negotiate(app, hub, headers={"Origin": PAGE}) for hub in ("chat", "news"))

    assert (chat.status_code, news.status_code) == (403, 200)


def test_the_configuration_lists_origins_too() -> None:
    app = open_app(SIGNALR_ALLOWED_ORIGINS="https://other.example, https://www.example")

    assert negotiate(app, headers={"Origin": PAGE}).status_code == 200


# Preflight.


@pytest.mark.parametrize("scheme", [Says(None, "Negotiate"), Says(AuthorizationDenied("no")), BearerAuth(SECRET)])
def test_a_preflight_is_not_challenged(scheme: Any) -> None:
    """Browsers send no credentials with it and take a 401 for no."""
    answer = preflight(app_with(auth=[scheme]))

    assert (answer.status_code, answer.data) == (204, b"")
    assert cors_of(answer) == {
        "Access-Control-Allow-Origin": PAGE,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Headers": "authorization,x-requested-with,x-signalr-user-agent",
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Max-Age": "600",
    }
    assert "WWW-Authenticate" not in answer.headers
    assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", ""])
def test_a_foreign_pages_preflight_is_refused(origin: str) -> None:
    answer = preflight(app_with(), PREFLIGHT | {"Origin": origin})

    assert (answer.status_code, list(body(answer)), cors_of(answer)) == (403, ["error"], {})


def test_a_preflight_that_asks_for_no_headers_is_granted_none() -> None:
    answer = preflight(app_with(), {"Origin": PAGE, "Access-Control-Request-Method": "POST"})

    assert "Access-Control-Allow-Headers" not in answer.headers


def test_an_options_request_of_no_page_is_answered() -> None:
    answer = preflight(app_with(), {})

    assert (answer.status_code, cors_of(answer)) == (204, {})


@pytest.mark.parametrize(
    "asked",
    ["x\r\nSet-Cookie: session=eve", "x\nx", "x\x00", "x\x85Set-Cookie: a", "x: y", "<script>", "é", "x" * 1025],
)
def test_header_injection_by_a_preflight_fails(asked: str) -> None:
    """Response splitting: what a request asks for is echoed only if it is a list of header names."""
    app = app_with()

    answer = app.test_client().options(
        "/chat/negotiate",
        headers={"Origin": PAGE},
        environ_overrides={"HTTP_ACCESS_CONTROL_REQUEST_HEADERS": asked},
    )

    assert answer.status_code == 204
    assert "Access-Control-Allow-Headers" not in answer.headers
    assert "Set-Cookie" not in answer.headers


# With others.


def test_flask_cors_beside_us_doubles_nothing() -> None:
    """Two ``Access-Control-Allow-Origin`` headers are as good as none to a browser."""
    app = app_with(allow_anonymous=True)
    CORS(app, origins=[PAGE], supports_credentials=True)

    answer, asked = negotiate(app, headers={"Origin": PAGE}), preflight(app)

    assert answer.headers.getlist("Access-Control-Allow-Origin") == [PAGE]
    assert answer.headers.getlist("Access-Control-Allow-Credentials") == ["true"]
    assert asked.headers.getlist("Access-Control-Allow-Origin") == [PAGE]
    assert asked.headers.getlist("Access-Control-Allow-Headers") == [PREFLIGHT["Access-Control-Request-Headers"]]


def test_flask_cors_with_a_star_opens_no_hub() -> None:
    """Its star is for the app's public data; whose page may connect is decided here."""
    app = app_with(allow_anonymous=True)
    CORS(app)

    assert negotiate(app, headers={"Origin": "https://evil.example"}).status_code == 403


def test_behind_a_proxy_the_app_knows_its_origin_by_proxyfix() -> None:
    app = open_app()
    app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1, x_host=1)  # type: ignore[method-assign]
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "public.example"}

    own = negotiate(app, base_url="http://10.0.0.7:8000", headers={"Origin": "https://public.example"} | forwarded)
    foreign = negotiate(app, base_url="http://10.0.0.7:8000", headers={"Origin": "http://10.0.0.7:8000"} | forwarded)

    assert (own.status_code, foreign.status_code) == (200, 403)


def test_forwarded_headers_mean_nothing_without_a_proxy() -> None:
    """Host header attack: what anybody can write must not decide which origin is the app's own."""
    headers = {"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}

    assert negotiate(open_app(), headers=headers).status_code == 403


def test_dns_rebinding_fails_where_the_app_names_its_hosts() -> None:
    """A page of evil.example whose name suddenly leads to this server has the right ``Host`` for its ``Origin``."""
    app = open_app(TRUSTED_HOSTS=["app.example"])

    evil = negotiate(app, base_url="http://evil.example", headers={"Origin": "http://evil.example"})
    own = negotiate(app, base_url="http://app.example", headers={"Origin": "http://app.example"})

    assert (evil.status_code, own.status_code) == (400, 200)
    assert cors_of(evil) == {}
