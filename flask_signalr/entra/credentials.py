"""The credentials of Microsoft Entra ID that connection strings describe, made with azure-identity."""

import inspect
import os
import re
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from flask_signalr.connection_string import EntraCredential
from flask_signalr.entra.renewed_value import FetchFailed
from flask_signalr.error_text import kind_of
from flask_signalr.errors import ConfigurationError, MissingExtra

SCOPE = "https://signalr.azure.com/.default"
"""What the tokens are for: Azure SignalR Service, whichever instance it is (``MicrosoftEntraApplication.cs``)."""

_TENANT = re.compile(r"[A-Za-z0-9.-]+")  # as azure-identity's validate_tenant_id has it

# A process that forks in the midst of an import leaves its child a module's lock that nobody opens any more. The holder
# itself may fork: with gevent, even the `uname` that azure-identity asks for is a fork of this process.
_making = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_making.acquire, after_in_parent=_making.release, after_in_child=_making.release)

_READ_TIMEOUT = 15
_OF_AN_APPLICATION = {"connection_timeout": 5, "read_timeout": _READ_TIMEOUT, "retry_total": 2}
"""A fetch shall end soon enough to be repeated; azure-identity's own patience goes into minutes."""

_OF_A_MACHINE = {"read_timeout": _READ_TIMEOUT}
"""Managed identities keep azure-identity's own repetitions: they know what the machine's token service needs."""


class AccessToken(Protocol):
    """A token of Microsoft Entra ID, as azure-identity returns it."""

    @property
    def token(self) -> str:
        """The token."""

    @property
    def expires_on(self) -> int:
        """When it ends, in Unix seconds."""


class TokenCredential(Protocol):
    """What gets tokens of Microsoft Entra ID: every synchronous credential of azure-identity, or one's own class."""

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Return a token for a scope; keeps it itself, or fetches one at each call."""


def check_credential(credential: object) -> TokenCredential:
    """Return a credential that the app brings.

    Raises:
        ConfigurationError: It has no ``get_token`` that could be called without an event loop.
    """
    get_token = getattr(credential, "get_token", None)
    if isinstance(credential, type) and callable(get_token):
        raise ConfigurationError(f"this is {kind_of(credential)}: give an object of it, {credential.__name__}(…)")
    if not callable(get_token):
        raise ConfigurationError(
            f"a credential has get_token and {kind_of(credential)} has not: give an object such as "
            "azure.identity.DefaultAzureCredential()"
        )
    if inspect.iscoroutinefunction(get_token):
        raise ConfigurationError("the credential's get_token is async: give the synchronous one, of azure.identity")
    return credential  # type: ignore[return-value] # it has what the protocol asks for


def check_description(description: EntraCredential) -> None:
    """Check what can be seen of a described credential before it is made, which takes a second or two.

    Raises:
        MissingExtra: azure-identity is not installed.
        ConfigurationError: The tenant cannot be one, or the certificate's file cannot be read.
    """
    if not _is_installed():
        raise MissingExtra("an AuthType in the connection string", "entra")
    if description.tenant_id is not None and not _TENANT.fullmatch(description.tenant_id):
        raise ConfigurationError(f"{_named(description)}: TenantId has to be the id of a tenant, or one of its domains")
    if description.certificate_path is not None:
        try:
            with Path(description.certificate_path).open("rb"):
                pass
        except OSError as exc:
            raise ConfigurationError(
                f"{_named(description)}: {exc.strerror}: check the path, and that the app may read the file"
            ) from None


def make_credential(description: EntraCredential) -> TokenCredential:
    """Return the azure-identity credential that a connection string describes; makes no connection.

    Raises:
        FetchFailed: It cannot be made, such as of a file that is no certificate.
    """
    try:
        with _making:
            import azure.identity

            return _made(azure.identity, description)
    except Exception as exc:  # whatever the environment, a file and cryptography come to
        cause = f"{type(exc).__name__}: {' '.join(str(exc).split())}"  # no text quotes a secret here
        remedy = "check the environment variables that it reads, AZURE_… among them, and the extra entra"
        if description.certificate_path is not None:
            remedy = "give a PEM file with the certificate and its RSA key, without a password"
        raise FetchFailed(f"{_named(description)} cannot be made: {cause}: {remedy}") from exc


def _is_installed() -> bool:
    try:
        return find_spec("azure.identity") is not None  # imports no more than the namespace around it
    except ModuleNotFoundError:  # not even that is there
        return False


def _named(description: EntraCredential) -> str:
    place = description.certificate_path or description.kind
    return f"the credential of the connection string's AuthType ({place})"


def _made(identity: Any, description: EntraCredential) -> TokenCredential:
    credential: TokenCredential
    match description.kind:
        case "managed_identity":
            credential = identity.ManagedIdentityCredential(client_id=description.client_id, **_OF_A_MACHINE)
        case "client_secret":
            credential = identity.ClientSecretCredential(
                description.tenant_id, description.client_id, description.client_secret, **_OF_AN_APPLICATION
            )
        case "client_certificate":
            credential = identity.CertificateCredential(
                description.tenant_id, description.client_id, description.certificate_path, **_OF_AN_APPLICATION
            )
        case _:
            credential = identity.DefaultAzureCredential(**_OF_A_MACHINE)
    return credential
