"""The URLs of a trace."""

import pytest

from flask_signalr.trace.urls import check_url, is_downgrade, is_readable_on_the_way, is_same_origin, negotiate_url


@pytest.mark.parametrize(
    ("url", "negotiates_at"),
    [
        ("https://a.example/chat", "https://a.example/chat/negotiate?negotiateVersion=1"),
        ("https://a.example/chat/", "https://a.example/chat/negotiate?negotiateVersion=1"),
        ("https://a.example/chat?room=1#top", "https://a.example/chat/negotiate?room=1&negotiateVersion=1"),
        ("https://a.example/chat/negotiate", "https://a.example/chat/negotiate?negotiateVersion=1"),
        ("https://a.example/chat?negotiateVersion=0", "https://a.example/chat/negotiate?negotiateVersion=0"),
        ("https://a.example", "https://a.example/negotiate?negotiateVersion=1"),
        (
            "https://s.example/client/?hub=chat&asrs.op=%2Fchat",
            "https://s.example/client/negotiate?hub=chat&asrs.op=%2Fchat&negotiateVersion=1",
        ),
    ],
)
def test_it_is_asked_where_the_official_client_asks(url: str, negotiates_at: str) -> None:
    assert negotiate_url(url) == negotiates_at


@pytest.mark.parametrize("url", ["http://localhost:5000/chat", "https://[::1]:8443/chat", "HTTPS://APP.example"])
def test_urls_of_http_and_https_can_be_asked(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "chat",
        "app.example/chat",
        "//app.example/chat",
        "ftp://app.example/chat",
        "file:///etc/passwd",
        "wss://app.example/chat",
        "https://",
        "https://ada:secret@app.example/chat",
        "https://app.example\\@other.example/",
        "https://app.example/a b",
        "https://app.example/\r\nX-Header: 1",
        "https://\u0430pp.example/",
        "https://app.example:99999/",
        "https://app.example:0/",
        "https://[::1/",
    ],
)
def test_other_urls_cannot(url: str) -> None:
    """A user name in one would become credentials that nobody asked for."""
    with pytest.raises(ValueError) as caught:
        check_url(url)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "other", "expected"),
    [
        ("https://a.example/x", "https://a.example:443/y", True),
        ("http://a.example:80/", "http://A.EXAMPLE/", True),
        ("https://a.example/", "http://a.example/", False),
        ("http://a.example/", "https://a.example/", False),
        ("https://a.example/", "https://a.example:8443/", False),
        ("https://a.example/", "https://b.a.example/", False),
        ("https://a.example/", "https://a.example./", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, other: str, expected: bool) -> None:
    assert is_same_origin(url, other) is expected


@pytest.mark.parametrize(
    ("url", "target", "expected"),
    [
        ("https://a.example/", "http://a.example/", True),
        ("https://a.example/", "http://localhost.a.example/", True),
        ("https://a.example/", "http://127.0.0.1:8888/", False),
        ("https://a.example/", "https://b.example/", False),
        ("http://a.example/", "http://b.example/", False),
    ],
)
def test_a_downgrade_leads_into_the_open(url: str, target: str, expected: bool) -> None:
    """This machine's own addresses are no open ground, and browsers allow them."""
    assert is_downgrade(url, target) is expected


@pytest.mark.parametrize(
    ("url", "expected"), [("http://a.example/", True), ("http://localhost/", False), ("https://a.example/", False)]
)
def test_plain_http_can_be_read_on_the_way(url: str, expected: bool) -> None:
    assert is_readable_on_the_way(url) is expected
