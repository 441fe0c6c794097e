"""From the AuthType of a connection string to a credential of azure-identity."""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from flask_signalr import ConfigurationError, MissingExtra, ServiceClient, ServiceEndpoint
from flask_signalr.connection_string import EntraCredential
from flask_signalr.entra.credentials import check_credential, check_description, make_credential
from flask_signalr.entra.identity import EntraIdentity
from flask_signalr.entra.renewed_value import FetchFailed
from tests.live import LONGEST_WAIT
from tests.signing import rsa_key

SECRET = "Secret0123456789secret0123456789"
TENANT, CLIENT = "5a6b4c8e-0f1d-4b7a-9c3e-2d1f0e9b8a71", "0c1d2e3f-4a5b-4c6d-8e7f-901a2b3c4d5e"


def self_signed() -> bytes:
    """Return a certificate with its RSA key, as an application registers one."""
    key = rsa_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    certificate = builder.sign(key, SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private + certificate.public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    ("description", "kind"),
    [
        (EntraCredential("default"), "DefaultAzureCredential"),
        (EntraCredential("managed_identity"), "ManagedIdentityCredential"),
        (EntraCredential("managed_identity", CLIENT), "ManagedIdentityCredential"),
        (EntraCredential("client_secret", CLIENT, TENANT, SECRET), "ClientSecretCredential"),
    ],
    ids=["default", "system-assigned", "user-assigned", "secret"],
)
def test_each_kind_is_azure_identitys_own(description: EntraCredential, kind: str) -> None:
    assert type(make_credential(description)).__name__ == kind


FORKS = """
import os, sys, threading, time
from flask_signalr.connection_string import EntraCredential
from flask_signalr.entra.credentials import make_credential

def make():
    make_credential(EntraCredential("client_secret", "client", "tenant", "secret"))

threading.Thread(target=make).start()
while "azure.identity" not in sys.modules:
    time.sleep(0.0005)
child = os.fork()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
made = threading.Thread(target=make, daemon=True)
made.start()
made.join(20)
os._exit(made.is_alive())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_process_that_is_forked_while_azure_identity_is_imported_can_import_it_too() -> None:
    """A server that loads the app, uses it and forks would have a worker that never gets a token."""
    ended = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKS], check=False, capture_output=True, text=True)

    assert (ended.returncode, ended.stderr) == (0, "")


FORKS_ITSELF = """
import os, sys
from flask_signalr.connection_string import EntraCredential
from flask_signalr.entra import credentials

class Forking:
    def find_spec(self, name, path=None, target=None):
        if name == "azure.identity":
            sys.meta_path.remove(self)
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)

sys.meta_path.insert(0, Forking())
credentials.make_credential(EntraCredential("client_secret", "client", "tenant", "secret"))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_an_import_that_forks_does_not_wait_for_itself() -> None:
    """With gevent, azure-identity's own question for the processor is a fork of this process."""
    command = [sys.executable, "-W", "ignore", "-c", FORKS_ITSELF]

    assert subprocess.run(command, check=False, timeout=LONGEST_WAIT).returncode == 0


def test_a_certificate_is_read(tmp_path: Path) -> None:
    path = tmp_path / "certificate.pem"
    path.write_bytes(self_signed())

    credential = make_credential(EntraCredential("client_certificate", CLIENT, TENANT, certificate_path=str(path)))

    assert type(credential).__name__ == "CertificateCredential"


def certificate_at(path: Path) -> EntraCredential:
    return EntraCredential("client_certificate", CLIENT, TENANT, certificate_path=str(path))


@pytest.mark.parametrize(("name", "fault"), [("gone.pem", "No such file"), ("", "Is a directory")])
def test_a_certificate_that_cannot_be_read_is_named_at_set_up(name: str, fault: str, tmp_path: Path) -> None:
    path = tmp_path / name

    with pytest.raises(ConfigurationError, match=rf"AuthType \({re.escape(str(path))}\): {fault}.*: check the path"):
        check_description(certificate_at(path))


def encrypted() -> bytes:
    """Return a key as `openssl` writes it where it is given a password."""
    password = BestAvailableEncryption(SECRET.encode())
    return rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, password)


@pytest.mark.parametrize("content", [SECRET.encode(), encrypted(), b""], ids=["text", "encrypted", "empty"])
def test_a_file_that_is_no_certificate_is_named_when_it_is_used(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.pem"
    path.write_bytes(content)
    check_description(certificate_at(path))

    with pytest.raises(FetchFailed, match=r"AuthType \(.*other\.pem\) cannot be made: .*: give a PEM file") as raised:
        make_credential(certificate_at(path))

    assert SECRET not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("tenant", ["not a tenant", "../../etc", "töchter.example", "a_b", ""])
def test_a_tenant_that_is_none_is_refused_at_set_up(tenant: str) -> None:
    """By the rule of azure-identity, which would say so at the first use."""
    description = EntraCredential("client_secret", CLIENT, tenant, SECRET)

    with pytest.raises(ConfigurationError, match=r"AuthType \(client_secret\): TenantId has to be") as raised:
        check_description(description)
    with pytest.raises(FetchFailed, match="tenant"):
        make_credential(description)

    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("tenant", [TENANT, TENANT.upper(), "contoso.onmicrosoft.com", "organizations"])
def test_every_form_of_a_tenant_passes(tenant: str) -> None:
    description = EntraCredential("client_secret", CLIENT, tenant, SECRET)

    check_description(description)

    assert make_credential(description) is not None


def test_an_environment_that_azure_identity_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "http://login.example")

    with pytest.raises(FetchFailed, match=r"\(default\) cannot be made: .*invalid authority.*: check the environment"):
        make_credential(EntraCredential("default"))


@pytest.fixture(params=["azure.identity", "azure"])
def without_azure_identity(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make its import fail, as where it is not installed, alone or with all else of Azure."""
    monkeypatch.delitem(sys.modules, "azure.identity", raising=False)
    monkeypatch.setitem(sys.modules, request.param, None)


@pytest.mark.usefixtures("without_azure_identity")
def test_without_azure_identity_the_extra_is_named() -> None:
    with pytest.raises(MissingExtra, match=r"an AuthType in the connection string .*flask-signalr\[entra\]"):
        check_description(EntraCredential("default"))


@pytest.mark.usefixtures("without_azure_identity")
def test_an_extra_that_goes_away_later_is_told_at_the_first_use() -> None:
    with pytest.raises(FetchFailed, match=r"ModuleNotFoundError: .*azure.*the extra entra"):
        make_credential(EntraCredential("default"))


@pytest.mark.usefixtures("without_azure_identity")
def test_ones_own_credential_needs_no_azure_identity() -> None:
    endpoint = ServiceEndpoint.parse("Endpoint=https://a.example;AuthType=azure")

    identity = EntraIdentity([endpoint], Own())

    assert identity.tokens(endpoint) is not None


@pytest.mark.usefixtures("without_azure_identity")
def test_a_service_client_names_the_extra_too() -> None:
    with pytest.raises(MissingExtra, match=r"\[entra\]"):
        ServiceClient.from_connection_string("Endpoint=https://a.example;AuthType=azure")


# One's own credential.


class Own:
    def get_token(self, *scopes: str, **options: Any) -> Any:
        raise NotImplementedError


class Asynchronous:
    async def get_token(self, *scopes: str, **options: Any) -> Any:
        raise NotImplementedError


def test_an_object_with_get_token_is_a_credential() -> None:
    own = Own()

    assert check_credential(own) is own


@pytest.mark.parametrize(
    ("credential", "text"),
    [
        ("managed", "a str has not: give an object such as azure.identity"),
        (Own, r"this is the class Own: give an object of it, Own\(…\)"),
        (object(), "an object has not"),
        (Asynchronous(), "get_token is async: give the synchronous one"),
    ],
    ids=["text", "class", "object", "async"],
)
def test_what_is_no_credential_is_refused(credential: object, text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        check_credential(credential)
