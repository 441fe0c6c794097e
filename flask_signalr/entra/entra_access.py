"""What one app needs of Microsoft Entra ID, put together."""

from collections.abc import Iterable
from pathlib import Path

from flask_signalr.endpoints import ServiceEndpoint
from flask_signalr.entra.entra_settings import EntraSettings
from flask_signalr.entra.identity import EntraIdentity
from flask_signalr.entra.issued_tokens import IssuedTokens
from flask_signalr.entra.signing_keys import SigningKeys
from flask_signalr.rest.client import urllib3_transport
from flask_signalr.rest.exchange import ServiceRequest, ServiceResponse, Transport


class EntraAccess:
    """The identity of an app, and where its clients' tokens come from.

    Args:
        endpoints: The service endpoints.
        settings: What the configuration says of Microsoft Entra ID.
        application_name: The prefix that keeps the hubs of several apps at one service apart.
        timeout: Seconds that a request for a client's token may take.
        retries: How often a request is repeated at most, until `use_transport` names another road for it.

    Attributes:
        identity: Who the app is.
        keys: The keys that clients' tokens are signed with.
        issued_tokens: The service, if it makes these tokens; ``None`` if the app does.

    Raises:
        MissingExtra: azure-identity or urllib3 is not installed.
        ConfigurationError: A credential cannot be used.
    """

    def __init__(
        self,
        endpoints: Iterable[ServiceEndpoint],
        settings: EntraSettings,
        application_name: str,
        timeout: float,
        retries: int,
    ) -> None:
        endpoints = tuple(endpoints)
        self._made_of = _facts(endpoints, settings, application_name, timeout, retries)
        self._transport = urllib3_transport(retries, "an AuthType in the connection string", "entra")
        self.identity = EntraIdentity(endpoints, settings.credential)
        self.keys = SigningKeys(self.identity, self._carry)
        self.issued_tokens: IssuedTokens | None = None
        if settings.has_issued_tokens:
            self.issued_tokens = IssuedTokens(self.identity, self._carry, application_name, timeout)

    def use_transport(self, transport: Transport) -> None:
        """Let every request take this road from now on."""
        self._transport = transport

    def is_made_of(self, endpoints: Iterable[ServiceEndpoint], *others: object) -> bool:
        """Return whether another one, given all this, would be the same and have to fetch everything anew."""
        return self._made_of == _facts(endpoints, *others)

    def _carry(self, request: ServiceRequest) -> ServiceResponse:
        return self._transport(request)


def _facts(endpoints: Iterable[ServiceEndpoint], *others: object) -> tuple[object, ...]:
    without_key = [each for each in endpoints if each.key is None]
    return (*without_key, *(_certificate_written_at(each) for each in without_key), *others)


def _certificate_written_at(endpoint: ServiceEndpoint) -> int | None:
    """Return when the file of its certificate was written, in ns: a new one often takes the old one's place."""
    path = endpoint.credential and endpoint.credential.certificate_path
    try:
        return Path(path).stat().st_mtime_ns if path else None
    except OSError:  # whoever makes the credential tells
        return None
