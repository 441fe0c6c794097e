"""From the AuthType of a connection string to a credential of azure-identity."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from flask_signalr import ConfigurationError, MissingExtra, ServiceClient, ServiceEndpoint
from flask_signalr.connection_string import EntraCredential
from flask_signalr.entra.credentials import check_credential, make_credential
from flask_signalr.entra.identity import EntraIdentity
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


def test_a_certificate_is_read(tmp_path: Path) -> None:
    path = tmp_path / "certificate.pem"
    path.write_bytes(self_signed())

    credential = make_credential(EntraCredential("client_certificate", CLIENT, TENANT, certificate_path=str(path)))

    assert type(credential).__name__ == "CertificateCredential"


def test_a_missing_certificate_is_named(tmp_path: Path) -> None:
    path = tmp_path / "gone.pem"

    with pytest.raises(ConfigurationError, match=r"AuthType \(.*gone\.pem\): No such file"):
        make_credential(EntraCredential("client_certificate", CLIENT, TENANT, certificate_path=str(path)))


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    path = tmp_path / "other.pem"
    path.write_text(SECRET)

    with pytest.raises(ConfigurationError, match=r"AuthType \(.*other\.pem\): ") as raised:
        make_credential(EntraCredential("client_certificate", CLIENT, TENANT, certificate_path=str(path)))

    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("tenant", ["not a tenant", "../../etc"])
def test_a_tenant_that_is_none_is_refused(tenant: str) -> None:
    with pytest.raises(ConfigurationError, match=r"AuthType \(client_secret\): Invalid tenant") as raised:
        make_credential(EntraCredential("client_secret", CLIENT, tenant, SECRET))

    assert SECRET not in str(raised.value)


@pytest.fixture
def without_azure_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make its import fail, as where it is not installed."""
    monkeypatch.setitem(sys.modules, "azure.identity", None)


@pytest.mark.usefixtures("without_azure_identity")
def test_without_azure_identity_the_extra_is_named() -> None:
    with pytest.raises(MissingExtra, match=r"an AuthType in the connection string .*flask-signalr\[entra\]"):
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
