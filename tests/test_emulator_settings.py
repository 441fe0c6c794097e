"""The emulator's settings: what they refuse, and what they tell an app."""

from typing import Any

import pytest

from flask_signalr.emulator.settings import DEVELOPMENT_KEY, EmulatorSettings
from flask_signalr.endpoints import ServiceEndpoint
from flask_signalr.errors import ConfigurationError


def test_the_defaults_are_those_of_microsofts_emulator() -> None:
    """An app's settings for one work with the other."""
    assert EmulatorSettings().connection_string == (
        "Endpoint=http://localhost;Port=8888;AccessKey=ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH;Version=1.0;"
    )


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("localhost", "http://localhost:5"),
        ("127.0.0.1", "http://127.0.0.1:5"),
        ("::1", "http://[::1]:5"),
        ("0.0.0.0", "http://localhost:5"),
        ("::", "http://localhost:5"),
        ("build.example", "http://build.example:5"),
    ],
)
def test_the_connection_string_leads_back_to_the_emulator(host: str, url: str) -> None:
    settings = EmulatorSettings(host=host, port=5)

    assert settings.url == url
    assert ServiceEndpoint.parse(settings.connection_string).url == f"{url}/"


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none_is_refused(port: int) -> None:
    with pytest.raises(ConfigurationError, match=f"port: {port} is no port"):
        EmulatorSettings(port=port)


def test_an_empty_host_is_refused() -> None:
    """It comes of a variable that is not set, and would open the emulator to the whole network."""
    with pytest.raises(ConfigurationError, match="host: it is empty; give what to listen on, such as localhost"):
        EmulatorSettings(host="")


@pytest.mark.parametrize("setting", ["audience_hosts", "entra_app_ids"])
def test_one_text_in_the_place_of_several_is_refused(setting: str) -> None:
    """Each of its letters would be taken for one."""
    wrong: Any = {setting: "signalr.example"}

    with pytest.raises(ConfigurationError, match=f"{setting}: give a tuple"):
        EmulatorSettings(**wrong)


@pytest.mark.parametrize("keys", [(), ("",), (" ",), ("a;b",), ("a\n",), (" a",), (DEVELOPMENT_KEY, "")])
def test_an_access_key_that_no_connection_string_can_hold_is_refused(keys: Any) -> None:
    with pytest.raises(ConfigurationError, match="access key") as caught:
        EmulatorSettings(access_keys=keys)

    assert "a;b" not in str(caught.value)


@pytest.mark.parametrize("host", ["http://build.example", "build.example:8888", "[::1]", "", "a b", "a/b", "é.example"])
def test_a_host_that_no_token_could_name_is_refused(host: str) -> None:
    """It would never match, and each refusal would name it as what the token needs."""
    with pytest.raises(ConfigurationError, match=r"audience_hosts: .* is no host name; give it alone"):
        EmulatorSettings(audience_hosts=("localhost", host))


def test_hosts_that_tokens_may_name_are_names_and_addresses() -> None:
    hosts = ("build.example", "Build-7_x.Example", "192.0.2.1", "::1", "fe80::1", "::ffff:192.0.2.1")

    assert EmulatorSettings(audience_hosts=hosts).audience_hosts == hosts


def test_a_single_key_is_not_taken_for_as_many_as_it_has_letters() -> None:
    """Each letter would sign tokens."""
    keys: Any = "a-single-key"

    with pytest.raises(ConfigurationError, match="give a tuple of access keys") as caught:
        EmulatorSettings(access_keys=keys)

    assert keys not in str(caught.value)


def test_access_keys_are_not_shown() -> None:
    assert DEVELOPMENT_KEY not in repr(EmulatorSettings())


def test_an_upstream_that_is_no_url_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="upstream: the URL must be absolute"):
        EmulatorSettings(upstream="localhost:5000")


def test_two_upstreams_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="choose one, a URL for everything or a file with rules"):
        EmulatorSettings(upstream="http://localhost:5000", upstream_settings="settings.json")


def test_the_entra_connection_string_holds_no_key() -> None:
    endpoint = ServiceEndpoint.parse(EmulatorSettings(host="127.0.0.1", port=5).entra_connection_string)

    assert (endpoint.url, endpoint.access_key) == ("http://127.0.0.1:5/", None)
    assert endpoint.credential is not None


def test_a_role_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="roles are service-owner"):
        EmulatorSettings(entra_issuer="https://sts.example/", entra_app_ids=("an-app=king",))


def test_applications_without_an_issuer_are_refused() -> None:
    """They would look like a protection, and nothing would ask for them."""
    with pytest.raises(ConfigurationError, match="entra_app_ids: there is no issuer"):
        EmulatorSettings(entra_app_ids=("an-app",))
