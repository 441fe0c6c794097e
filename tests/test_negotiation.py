"""From endpoint, hub and claims to the URL and the token that a client connects with."""

from typing import Any

import jwt
import msgspec
import pytest

from flask_signalr.endpoints import ServiceEndpoint
from flask_signalr.errors import AccessTokenTooLong, ConfigurationError, InvalidClaim
from flask_signalr.negotiation import (
    ClientAccess,
    check_application_name,
    client_access,
    original_path,
    original_query,
    prefixed_hub,
    url_suffix,
)
from flask_signalr.tokens import SigningKey

KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"
NOW = 1_700_000_000


def access(more: str = "", application_name: str = "", **options: Any) -> ClientAccess:
    endpoint = ServiceEndpoint.parse(f"Endpoint=https://a:8443;AccessKey={KEY};{more}", "east")
    hub = prefixed_hub("Chat", application_name)
    return client_access(
        endpoint, hub, [("asrs.s.uid", "ada")], **{"lifetime": 60, "now": NOW, "key": SigningKey(KEY), **options}
    )


def audience_of(answer: ClientAccess) -> Any:
    return jwt.decode(answer.token, options={"verify_signature": False})["aud"]


# The URL and the token.


@pytest.mark.parametrize(
    ("more", "application_name", "url", "audience"),
    [
        ("", "", "https://a:8443/client/?hub=chat", "https://a/client/?hub=chat"),
        ("", "App", "https://a:8443/client/?hub=app_chat", "https://a/client/?hub=app_chat"),
        ("ClientEndpoint=http://B:9/x", "", "http://b:9/x/client/?hub=chat", "https://a/client/?hub=chat"),
        ("ServerEndpoint=https://c", "", "https://a:8443/client/?hub=chat", "https://a/client/?hub=chat"),
        ("Port=443", "", "https://a/client/?hub=chat", "https://a/client/?hub=chat"),
    ],
)
def test_url_and_audience_are_those_of_the_sdk(more: str, application_name: str, url: str, audience: str) -> None:
    answer = access(more, application_name=application_name)

    assert answer.url == url
    assert audience_of(answer) == audience


@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")  # the service's keys have 44 characters
def test_the_token_opens_the_url_for_its_lifetime(algorithm: str) -> None:
    answer = access(algorithm=algorithm)

    audience = "https://a/client/?hub=chat"
    payload = jwt.decode(answer.token, KEY, [algorithm], audience=audience, options={"verify_exp": False})
    assert payload == {"asrs.s.uid": "ada", "nbf": NOW, "exp": NOW + 60, "iat": NOW, "aud": audience}


def test_the_answer_is_what_clients_read() -> None:
    answer = access()

    assert answer.to_dict() == {"url": answer.url, "accessToken": answer.token, "availableTransports": []}
    assert msgspec.json.decode(msgspec.json.encode(answer)) == answer.to_dict()


def test_the_token_does_not_show_in_a_repr() -> None:
    answer = access()

    assert answer.token not in f"{answer!r} {answer!s} {[answer]}"
    assert answer.url in repr(answer)


def test_the_answer_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        access().url = "https://elsewhere"  # type: ignore[misc]


def test_the_token_names_the_key_that_signed_it() -> None:
    answer = access(key=SigningKey(KEY[::-1], "key-1"))

    assert jwt.get_unverified_header(answer.token)["kid"] == "key-1"
    assert jwt.decode(answer.token, KEY[::-1], ["HS256"], options={"verify_exp": False, "verify_aud": False})


@pytest.mark.parametrize(("value", "error"), [("x" * 4000, AccessTokenTooLong), ("\ud800", InvalidClaim)], ids=ascii)
def test_claims_that_no_token_takes_are_refused(value: str, error: type[Exception]) -> None:
    endpoint = ServiceEndpoint.parse(f"Endpoint=https://a;AccessKey={KEY}")

    with pytest.raises(error):
        client_access(endpoint, "chat", [("name", value)], lifetime=60, now=NOW, key=SigningKey(KEY))


# Names.


@pytest.mark.parametrize(
    ("hub", "application_name", "name"),
    [
        ("chat", "", "chat"),
        ("ChatHub", "", "chathub"),
        ("Chat", "MyApp", "myapp_chat"),
        ("Generic`1[[a.B]]", "", "generic`1[[a.b]]"),
    ],
)
def test_the_service_knows_a_hub_in_lower_case_after_the_apps_name(hub: str, application_name: str, name: str) -> None:
    assert prefixed_hub(hub, application_name) == name


@pytest.mark.parametrize("name", ["", "a", "App", "app_1", "A1_"])
def test_application_names_are_letters_digits_and_underscores(name: str) -> None:
    assert check_application_name(name) == name


@pytest.mark.parametrize("name", ["1app", "_app", "my-app", "my app", "app&hub=x", "äpp", "app\n", "app٣", " "])
def test_an_application_name_that_reaches_into_the_url_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^Property 'ApplicationName' value should be prefixed"):
        check_application_name(name)


# What the server SDK appends. The vectors have the SDK's own data; here are the corners.


@pytest.mark.parametrize(
    ("path", "hub_path"),
    [
        ("/user/path/negotiate", "/user/path"),
        ("/user/path/negotiate///", "/user/path"),
        ("/negotiate", ""),
        ("", ""),
        ("/", ""),
        ("/chat", ""),
        ("/chat/Negotiate", ""),
        ("/negotiate/negotiate", "/negotiate"),
        ("/a b/negotiate", "/a%20b"),
        ("/a%20b/negotiate", "/a%20b"),
        ("/!$&'()*+,-.:;=@_~/negotiate", "/!$&'()*+,-.:;=@_~"),
        ("/ü/negotiate", "/%C3%BC"),
        ('/"#?/negotiate', "/%22%23%3F"),
    ],
)
def test_the_original_path_is_that_before_negotiate(path: str, hub_path: str) -> None:
    assert original_path(path) == hub_path


@pytest.mark.parametrize(
    ("arguments", "query"),
    [
        (("", ""), "asrs_request_id="),
        (("a=1&b", "x"), "a=1&b&asrs_request_id=x"),
        (("", "?a=c&d"), "asrs_request_id=%3Fa%3Dc%26d"),
        (("", "x", "de-DE"), "asrs_request_id=x&asrs_lang=de-DE"),
        (("", "x", "", "de"), "asrs_request_id=x&asrs_ui_lang=de"),
        (("", "~ !*()'/"), "asrs_request_id=%7E+!*()%27%2F"),
    ],
    ids=repr,
)
def test_the_original_query_comes_first_and_as_it_was(arguments: tuple[str, ...], query: str) -> None:
    assert original_query(*arguments) == query


@pytest.mark.parametrize(
    ("path", "query", "suffix"),
    [
        ("", "", ""),
        ("/chat", "", "&asrs.op=%2Fchat"),
        ("", "a=1", "&a=1"),
        ("/a%20b", "a=1", "&asrs.op=%2Fa%2520b&a=1"),
    ],
)
def test_path_and_query_are_appended_where_there_are_any(path: str, query: str, suffix: str) -> None:
    assert url_suffix(path, query) == suffix


def test_rich_tracebacks_show_no_token() -> None:
    access = ClientAccess("https://a/client/?hub=h", "secret-token")

    shown = list(access.__rich_repr__())

    assert shown == [("url", "https://a/client/?hub=h")]
