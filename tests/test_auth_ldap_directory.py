"""The settings of a directory: what cannot work, or would not be safe, is refused before anybody is asked."""

from pathlib import Path
from typing import Any

import pytest

from flask_signalr.auth.ldap_directory import LdapDirectory, LdapServer
from flask_signalr.errors import ConfigurationError

URL = "ldaps://dc1.intranet.example"


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("ldaps://dc1.intranet.example", LdapServer("dc1.intranet.example", 636, True)),
        ("ldaps://dc1.intranet.example:3269/", LdapServer("dc1.intranet.example", 3269, True)),
        ("LDAP://localhost", LdapServer("localhost", 389, False)),
        ("ldap://127.0.0.1:1389", LdapServer("127.0.0.1", 1389, False)),
        ("ldap://[::1]", LdapServer("::1", 389, False)),
    ],
)
def test_a_url_names_a_server(url: str, server: LdapServer) -> None:
    assert LdapDirectory(url).servers == (server,)


def test_several_servers_keep_their_order() -> None:
    directory = LdapDirectory(["ldaps://dc2.intranet.example", "ldaps://dc1.intranet.example"])

    assert [server.host for server in directory.servers] == ["dc2.intranet.example", "dc1.intranet.example"]


@pytest.mark.parametrize(
    "urls",
    [
        [],
        "",
        "dc1.intranet.example",
        "https://dc1.intranet.example",
        "ldapi:///var/run/slapd",
        "ldaps://",
        "ldaps://dc1.intranet.example/dc=example",
        "ldaps://dc1.intranet.example?cn",
        "ldaps://dc1.intranet.example#1",
        "ldaps://reader:secret@dc1.intranet.example",
        "ldaps://dc1.intranet.example:0",
        "ldaps://dc1.intranet.example:many",
        "ldaps://[::1",
        [None],
        [7],
    ],
    ids=repr,
)
def test_what_is_no_server_is_refused(urls: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"LdapDirectory\(urls="):
        LdapDirectory(urls)


def test_plain_ldap_to_another_machine_is_refused() -> None:
    """Attack: somebody on the way reads the password, or answers with roles of their own."""
    with pytest.raises(ConfigurationError, match=r"plain ldap is for this machine only: use ldaps:// or start_tls"):
        LdapDirectory("ldap://dc1.intranet.example")


@pytest.mark.parametrize("options", [{"start_tls": True}, {"allow_plain": True}], ids=str)
def test_ldap_urls_of_other_machines_need_tls_or_a_word(options: dict[str, Any]) -> None:
    assert LdapDirectory("ldap://dc1.intranet.example", **options).servers[0].port == 389


def test_tls_within_tls_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"start_tls=True\): goes with ldap://"):
        LdapDirectory(URL, start_tls=True)


@pytest.mark.parametrize(
    ("bind_dn", "password"), [("cn=reader", None), (None, "secret"), ("cn=reader", ""), ("", "secret"), ("", "")]
)
def test_a_service_account_without_a_password_is_refused(bind_dn: str | None, password: str | None) -> None:
    """Attack: a bind with an empty password succeeds, as nobody (RFC 4513 §5.1.2)."""
    with pytest.raises(ConfigurationError, match=r"LdapDirectory\(bind_dn=…, password=…\): give both"):
        LdapDirectory(URL, bind_dn, password)


def test_the_password_is_not_shown() -> None:
    directory = LdapDirectory(URL, "cn=reader", "correct horse")

    assert "horse" not in repr(directory)


@pytest.mark.parametrize(
    "options",
    [{"timeout": 0}, {"timeout": float("inf")}, {"timeout": True}, {"cool_down": "10"}, {"connections": 0}],
    ids=str,
)
def test_a_number_that_cannot_be_used_is_named(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=rf"LdapDirectory\({next(iter(options))}=…\): give "):
        LdapDirectory(URL, **options)


def test_certificates_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    """Else nobody could sign on, and the first user would be the one to find out."""
    no_pem = tmp_path / "ca.pem"
    no_pem.write_text("not a certificate")

    for file in (no_pem, tmp_path / "missing.pem"):
        with pytest.raises(ConfigurationError, match=r"LdapDirectory\(ca_certificates=.*\): no readable file of PEM"):
            LdapDirectory(URL, ca_certificates=file)
