"""Connection strings: every key, credential and error text of the SDK's parser, and what we refuse besides."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flask_signalr.connection_string import ConnectionString, EntraCredential, parse_connection_string
from flask_signalr.errors import ConfigurationError

KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"
NO_ENDPOINT = "Connection string missing required properties endpoint."
BAD_ENDPOINT = "Invalid value for endpoint property, it must be a valid URI."
BAD_CLIENT_ENDPOINT = "Invalid value for clientEndpoint property, it must be a valid URI."
BAD_PORT = "Invalid value for port property, it must be an positive integer between (0, 65536)"
NO_KEY = "accesskey is required."
UNREADABLE = "The connection string holds a control character or bytes that are not UTF-8."


def with_endpoint(endpoint: str, *more: str) -> ConnectionString:
    return parse_connection_string(";".join([f"Endpoint={endpoint}", f"AccessKey={KEY}", *more]))


def refusal(text: str) -> str:
    """Return the text of the error, which names no secret whatever it is."""
    with pytest.raises(ConfigurationError) as refused:
        parse_connection_string(text)
    assert KEY not in str(refused.value)
    return str(refused.value)


# Cutting the text up. Source of texts and data: Azure/azure-signalr, ConnectionStringParserTests.cs.


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "'connectionString' cannot be null or whitespace."),
        (" \t\n", "'connectionString' cannot be null or whitespace."),
        (";", NO_ENDPOINT),
        ("Endpoint=https://a", NO_ENDPOINT),
        ("Endpoint=https://a;", NO_ENDPOINT),
        (f"AccessKey={KEY}", NO_ENDPOINT),
        ("XXX=yyy", NO_ENDPOINT),
        ("XXX", NO_ENDPOINT),
        (f"AccessKey={KEY};Version=1.0", NO_ENDPOINT),
        (f"Endpoint;AccessKey={KEY}", NO_ENDPOINT),
        ("Endpoint=https://a;Version=1.0", NO_KEY),
        ("Endpoint=https://a; ", NO_KEY),
        ("Endpoint=https://a;AccessKey", NO_KEY),
        ("Endpoint=https://a;AccessKey=", NO_KEY),
        ("Endpoint=https://a;AccessKey= ", NO_KEY),
        ("Endpoint=https://a;AuthType=aad2", NO_KEY),
        ("Endpoint=https://a;AuthType=", NO_KEY),
        (
            f"Endpoint=https://a;AccessKey={KEY};accessKEY={KEY}",
            "Duplicate properties found in connection string: accessKEY.",
        ),
        (
            f"Endpoint=https://a; ENDPOINT =https://b;AccessKey={KEY}",
            "Duplicate properties found in connection string: ENDPOINT.",
        ),
        (f"Endpoint=https://a;x=1;AccessKey={KEY};X=1", "Duplicate properties found in connection string: X."),
    ],
    ids=repr,
)
def test_a_text_that_lacks_or_repeats_something_is_refused_as_by_the_sdk(text: str, error: str) -> None:
    assert refusal(text) == error


@pytest.mark.parametrize(
    "text",
    [
        f"Endpoint=https://a;AccessKey={KEY}",
        f"Endpoint=https://a;AccessKey={KEY};Version=1.0;",
        f"endpoint=https://a;ACCESSKEY={KEY}",
        f" Endpoint = https://a ; AccessKey = {KEY} ",
        f"\nEndpoint=https://a;\r\nAccessKey={KEY};\r\n",
        f";;Endpoint=https://a;;AccessKey={KEY};;  ;",
        f"Endpoint=https://a;AccessKey={KEY};Unknown=1;rubbish;=x",
    ],
    ids=repr,
)
def test_case_order_space_and_unknown_keys_do_not_matter(text: str) -> None:
    parsed = parse_connection_string(text)

    assert parsed == ConnectionString("https://a/", "https://a/", None, None, KEY, None)


@pytest.mark.parametrize("key", ["abc==", "=", "a=b=c", "Endpoint=x", "%41%42", "ü", "'quoted'"])
def test_a_value_is_taken_as_it_is_written(key: str) -> None:
    """Keys look like base64 and end in equals signs; nothing is decoded or unquoted."""
    assert parse_connection_string(f"Endpoint=https://a;AccessKey={key}").access_key == key


@pytest.mark.parametrize(
    "text", ["AccessKey=a\nb", "AccessKey=a\x00b", "AccessKey=a\ud800b", "Cli\x7fentId=x"], ids=ascii
)
def test_a_broken_line_or_foreign_bytes_are_refused(text: str) -> None:
    """The SDK lets them pass.

    A key with a line break inside signs tokens that the service refuses; bytes that are not UTF-8 reach Python's
    environment as halves of characters, which no key can be made of.
    """
    assert refusal(f"Endpoint=https://a;{text};") == UNREADABLE


# Endpoint and Port.


@pytest.mark.parametrize(
    ("endpoint", "more", "url", "audience_base_url"),
    [
        ("http://aaa", (), "http://aaa/", "http://aaa/"),
        ("http://aaa/", (), "http://aaa/", "http://aaa/"),
        ("http://aaa//", (), "http://aaa/", "http://aaa/"),
        ("http://aaa:80", (), "http://aaa/", "http://aaa/"),
        ("http://aaa:500", (), "http://aaa:500/", "http://aaa/"),
        ("https://aaa:443", (), "https://aaa/", "https://aaa/"),
        ("https://aaa:80", (), "https://aaa:80/", "https://aaa/"),
        ("HTTPS://AAA", (), "https://aaa/", "https://aaa/"),
        ("https://aaa:", (), "https://aaa/", "https://aaa/"),
        ("https://aaa", ("port=500",), "https://aaa:500/", "https://aaa/"),
        ("https://aaa:500", ("port=443",), "https://aaa/", "https://aaa/"),
        ("https://aaa:500", ("Port=65535",), "https://aaa:65535/", "https://aaa/"),
        ("https://aaa", ("Port= 0080 ",), "https://aaa:80/", "https://aaa/"),
        ("https://localhost/foo/", (), "https://localhost/foo/", "https://localhost/"),
        ("https://aaa:500/foo", ("port=400",), "https://aaa:400/foo/", "https://aaa/"),
        ("https://aaa/Foo-bär", (), "https://aaa/Foo-b%C3%A4r/", "https://aaa/"),
        ("https://aaa/a%2Fb", (), "https://aaa/a%2Fb/", "https://aaa/"),
        ("https://my-service.service.signalr.net", (), *["https://my-service.service.signalr.net/"] * 2),
        ("http://my_service:8888", (), "http://my_service:8888/", "http://my_service/"),
        ("http://127.0.0.1:8888", (), "http://127.0.0.1:8888/", "http://127.0.0.1/"),
        ("http://[::1]:8888", (), "http://[::1]:8888/", "http://[::1]/"),
        ("http://[::1]", ("Port=8888",), "http://[::1]:8888/", "http://[::1]/"),
        ("https://[::1]:443", (), "https://[::1]/", "https://[::1]/"),
        ("https://[0:0::FE80]", (), "https://[::fe80]/", "https://[::fe80]/"),
        ("https://BÜCHER.example", (), *["https://xn--bcher-kva.example/"] * 2),
        ("https://xn--bcher-kva.example", (), *["https://xn--bcher-kva.example/"] * 2),
    ],
)
def test_endpoint_and_audience_are_those_of_the_sdk(
    endpoint: str, more: tuple[str, ...], url: str, audience_base_url: str
) -> None:
    """The audience has neither port nor path. Source: Azure/azure-signalr, ServiceEndpointFacts.cs."""
    parsed = with_endpoint(endpoint, *more)

    assert (parsed.endpoint, parsed.audience_base_url) == (url, audience_base_url)
    assert (parsed.client_endpoint, parsed.server_endpoint) == (None, None)


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "/",
        "aaa",
        "endpoint=aaa",
        "//aaa",
        "https:",
        "https://",
        "https:///path",
        "https:/aaa",
        "ftp://localhost",
        "ws://localhost",
        "localhost:5050",
        "https://a b",
        "https://a\\b",
        "https://a%41",
        "https://.a",
        "https://a..b",
        "https://-a",
        "https://a-",
        "https://a:65536",
        "https://a:x",
        "https://a:-1",
        "https://[::1",
        "https://::1",
        "https://[::1]x",
        "https://x[::1]",
        "https://[v1.a]",
        "https://[fe80::1%25eth0]",
        "https://[:]",
        "https://[::1]@a",
        f"https://{'a' * 64}.example",
        f"https://{'a.' * 130}example",
    ],
)
def test_an_endpoint_that_is_no_web_address_is_refused(endpoint: str) -> None:
    assert refusal(f"Endpoint={endpoint};AccessKey={KEY}") == BAD_ENDPOINT


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://user@a",
        "https://user:password@a",
        "https://:password@a",
        "https://a?x=1",
        "https://a/path?x",
        "https://a#here",
        "https://a:0",
        "https://a/path AccessKey=x",
    ],
)
def test_an_address_that_is_more_than_a_base_is_refused(endpoint: str) -> None:
    """The SDK lets these pass.

    What follows a base URL would end up in the query, a password in logs, and what follows a forgotten semicolon with
    every client.
    """
    assert refusal(f"Endpoint={endpoint};AccessKey={KEY}") == BAD_ENDPOINT


@pytest.mark.parametrize(
    "host", ["faß.example", "ⓐ.example", "１２.example", "a\N{ZERO WIDTH JOINER}b.example"], ids=ascii
)
def test_a_host_that_two_standards_read_as_two_hosts_is_refused(host: str) -> None:
    """Tokens and messages would go to ``fass.example``, which belongs to somebody else."""
    assert refusal(f"Endpoint=https://{host};AccessKey={KEY}") == BAD_ENDPOINT


@pytest.mark.parametrize("port", ["2.3", "1000000", "0", "-1", "+80", "", "x", "65536", "٣", "1_0", "0x50"])
def test_a_port_is_a_number_of_its_range(port: str) -> None:
    assert refusal(f"Endpoint=https://a;AccessKey={KEY};Port={port}") == BAD_PORT


# Version.


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.0-preview", "1.1-preview", "1.10.2", "1.0_a"])
def test_versions_that_begin_with_one_are_supported(version: str) -> None:
    assert with_endpoint("https://a", f"Version={version}") == with_endpoint("https://a")


@pytest.mark.parametrize("version", ["abc", "1.x", "2.0", "1", "1.", "", "11.0", "v1.0"])
def test_other_versions_are_not_supported(version: str) -> None:
    assert refusal(f"Endpoint=https://a;AccessKey={KEY};Version={version}") == f"Version {version} is not supported."


# ClientEndpoint and ServerEndpoint.


def test_clients_and_servers_may_have_their_own_address() -> None:
    parsed = with_endpoint("http://a:500", "Port=400", "ClientEndpoint=http://B", "ServerEndpoint=https://c:444/d")

    assert (parsed.endpoint, parsed.audience_base_url) == ("http://a:400/", "http://a/")
    assert (parsed.client_endpoint, parsed.server_endpoint) == ("http://b/", "https://c:444/d/")


@pytest.mark.parametrize("path", ["/path", "/path/", "/path///"])
def test_a_path_gets_its_slash_before_what_follows(path: str) -> None:
    """The SDK glues them: ``https://x/pathclient/?hub=h``, a URL that leads nowhere."""
    assert with_endpoint("https://a", f"ClientEndpoint=https://x{path}").client_endpoint == "https://x/path/"


@pytest.mark.parametrize("value", ["aaa", "", "ftp://a", "https://u:p@a", "https://a?x=1"])
def test_a_client_endpoint_is_a_web_address(value: str) -> None:
    assert refusal(f"Endpoint=https://a;AccessKey={KEY};ClientEndpoint={value}") == BAD_CLIENT_ENDPOINT


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("aaa", "aaa"),
        ("", ""),
        ("ftp://a", "ftp://a"),
        ("https://a?x=1", "https://a"),
        ("ftp://u:pw@a", "(not shown)"),
        ("x" * 20, "(not shown)"),
    ],
)
def test_a_server_endpoint_is_a_web_address(value: str, shown: str) -> None:
    error = refusal(f"Endpoint=https://a;AccessKey={KEY};ServerEndpoint={value}")

    assert error == f"ServerEndpoint property in connection string is not a valid URI: {shown}."


# Credentials.


def entra(kind: str, *values: str | None) -> EntraCredential:
    return EntraCredential(kind, *values)  # type: ignore[arg-type]


APPLICATION = "ClientId=c;TenantId=t"


@pytest.mark.parametrize(
    ("properties", "credential"),
    [
        ("AuthType=azure", entra("default")),
        ("AuthType=AZURE;ClientId=c;TenantId=t;ClientSecret=s", entra("default")),
        ("AuthType=azure.msi", entra("managed_identity")),
        ("AuthType=Azure.MSI;ClientId=c", entra("managed_identity", "c")),
        ("AuthType=azure.msi;TenantId=t;ClientSecret=s", entra("managed_identity")),
        (f"AuthType=azure.app;{APPLICATION};ClientSecret=s", entra("client_secret", "c", "t", "s")),
        (f"AuthType=azure.app;{APPLICATION};ClientSecret=s;ClientCert=f", entra("client_secret", "c", "t", "s")),
        (f"AuthType=azure.app;{APPLICATION};ClientCert=f", entra("client_certificate", "c", "t", None, "f")),
        (f"AuthType=aad;{APPLICATION};ClientSecret=s", entra("client_secret", "c", "t", "s")),
        (f"AuthType=aad;{APPLICATION};ClientCert=f", entra("client_certificate", "c", "t", None, "f")),
        ("AuthType=aad;ClientId=c", entra("managed_identity", "c")),
        ("AuthType=aad", entra("managed_identity")),
        ("AuthType=aad;TenantId=t;ClientSecret=s", entra("managed_identity")),
        (f"AuthType=azure;AccessKey={KEY}", entra("default")),
    ],
)
def test_the_auth_type_selects_the_credential(properties: str, credential: EntraCredential) -> None:
    """An access key beside it is ignored."""
    parsed = parse_connection_string(f"Endpoint=https://a;{properties}")

    assert (parsed.credential, parsed.access_key) == (credential, None)


@pytest.mark.parametrize("auth_type", ["AuthType=", "AuthType=none", "AuthType=azure.unknown", "AuthType=aad2"])
def test_an_unknown_auth_type_means_the_access_key(auth_type: str) -> None:
    parsed = with_endpoint("https://a", auth_type, "ClientId=c")

    assert (parsed.credential, parsed.access_key) == (None, KEY)


@pytest.mark.parametrize(
    ("properties", "missing"),
    [
        ("AuthType=azure.app", "clientId"),
        ("AuthType=azure.app;TenantId=t;ClientSecret=s", "clientId"),
        ("AuthType=azure.app;ClientId=;TenantId=t", "clientId"),
        ("AuthType=azure.app;ClientId=c;ClientSecret=s", "tenantId"),
        (f"AuthType=azure.app;{APPLICATION}", "clientSecret or clientCert"),
        (f"AuthType=aad;{APPLICATION}", "clientSecret or clientCert"),
        (f"AuthType=aad;{APPLICATION};ClientSecret=;ClientCert=", "clientSecret or clientCert"),
    ],
)
def test_an_application_without_one_of_its_parts_is_refused(properties: str, missing: str) -> None:
    assert refusal(f"Endpoint=https://a;{properties}") == f"Connection string missing required properties {missing}."


@pytest.mark.parametrize("auth_type", ["azure.app", "aad"])
def test_the_documented_name_of_the_certificate_works_too(auth_type: str) -> None:
    """The SDK reads ``ClientCert`` alone, Microsoft's documents say ``ClientCertPath``."""
    parsed = parse_connection_string(f"Endpoint=https://a;AuthType={auth_type};{APPLICATION};ClientCertPath=/f.pem")

    assert parsed.credential == entra("client_certificate", "c", "t", None, "/f.pem")


def test_faults_are_found_in_the_sdks_order() -> None:
    """So that a text with two of them gets the same message."""
    faults = ["Endpoint=x", "Version=x", "Port=x", "ClientEndpoint=x", "ServerEndpoint=x", "AuthType=azure.app"]
    mended = ["Endpoint=https://a", "Version=1.0", "Port=1", "ClientEndpoint=https://a", "ServerEndpoint=https://a"]

    errors = [refusal(";".join(mended[:count] + faults[count:])) for count in range(len(faults))]

    assert [error.split(" ")[0] for error in errors] == [
        "Invalid",
        "Version",
        "Invalid",
        "Invalid",
        "ServerEndpoint",
        "Connection",
    ]
    assert errors[0] == BAD_ENDPOINT
    assert errors[2] == BAD_PORT
    assert errors[3] == BAD_CLIENT_ENDPOINT


# Secrets.


def test_no_repr_shows_a_secret() -> None:
    with_key = with_endpoint("https://a")
    with_secret = parse_connection_string(f"Endpoint=https://a;AuthType=azure.app;{APPLICATION};ClientSecret={KEY}")

    for value in (with_key, with_secret, with_secret.credential):
        assert KEY not in repr(value)
        assert KEY not in str(value)


@pytest.mark.parametrize(
    "text",
    [
        f"Endpoint=https://a AccessKey={KEY};x=1",
        f"Endpoint=https://a,AccessKey={KEY};x=1",
        f"Endpoint=https://a/AccessKey={KEY}?;x=1",
        f"Endpoint=https://user:{KEY}@a;AccessKey=x",
        f"Endpoint=https://a;ServerEndpoint=b AccessKey={KEY}",
        f"Endpoint=https://a;ServerEndpoint=AccessKey={KEY};AccessKey=x",
        f"Endpoint=https://a;ServerEndpoint=ftp://user:{KEY}@a;AccessKey=x",
        f"Endpoint=https://a;Version=1.0 AccessKey={KEY}",
        f"Endpoint=https://a;Version=1.0,AccessKey={KEY}",
        f"Endpoint=https://a;Version={KEY};AccessKey=1.0",
        f"Endpoint=https://a;Port=1 AccessKey={KEY}",
        f"Endpoint=https://a;{KEY}=;{KEY}=",
        f"Endpoint=https://a;AccessKey:{KEY}",
        KEY,
    ],
)
def test_a_key_that_stands_in_the_wrong_place_is_not_shown(text: str) -> None:
    """A forgotten semicolon makes the key a part of the value before it, and errors of the start end up in logs."""
    with pytest.raises(ConfigurationError) as refused:
        parse_connection_string(text)

    assert KEY not in str(refused.value)


@given(st.text())
@example("Endpoint=https://a/\ud800;AccessKey=b")
@example("Endpoint=https://\ud800;AccessKey=b")
@example("Endpoint=https://a;AccessKey=\ud800")
@example("Endpoint=http://[;AccessKey=b")
def test_any_text_is_parsed_or_refused(text: str) -> None:
    parse_or_refuse(text)


KEYS = (
    "Endpoint AccessKey Version Port ClientEndpoint ServerEndpoint AuthType ClientId TenantId ClientSecret ClientCert"
)
VALUES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["https://a", "http://[::1]:8888/p", "1.0", "443", "azure.app", "aad", "azure", "c"]),
    st.builds("{}://{}:{}".format, st.sampled_from(["http", "https"]), st.text(max_size=8), st.integers(-1, 70000)),
)
SECRETS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=30, max_size=60)


@given(st.lists(st.tuples(st.sampled_from(KEYS.split()), VALUES, st.sampled_from("; ,\n")), max_size=8), SECRETS)
def test_the_key_never_shows_in_an_error(parts: list[tuple[str, str, str]], secret: str) -> None:
    """Wherever it stands, and whichever separators around it are wrong."""
    text = "".join(f"{key}={value}{separator}" for key, value, separator in parts)

    for written in (
        f"{text}AccessKey={secret}",
        f"AccessKey={secret};{text}",
        f"{text}ClientSecret={secret};AccessKey=x",
    ):
        assert secret not in parse_or_refuse(written)


def parse_or_refuse(text: str) -> str:
    """Return the text of the error; empty if there is none."""
    try:
        parsed = parse_connection_string(text)
    except ConfigurationError as error:
        return str(error)
    urls = [parsed.endpoint, parsed.audience_base_url, parsed.client_endpoint, parsed.server_endpoint]
    assert all(url is None or (url.isascii() and url.endswith("/") and url.startswith("http")) for url in urls)
    assert (parsed.access_key is None) != (parsed.credential is None)
    return ""


@pytest.mark.parametrize("value", ["a", "ü", "9", "a.", ":", "/", "=", ";", ";a=", "ß.", "["], ids=repr)
@pytest.mark.parametrize("key", ["Endpoint=https://", "Endpoint=https://a/", "Port=", "Version=1.", "AccessKey=", ""])
def test_a_huge_text_is_no_trouble(key: str, value: str) -> None:
    parse_or_refuse(f"Endpoint=https://a;{key}{value * 100_000}")
    parse_or_refuse(f"{key}{value * 100_000};AccessKey={KEY}")
