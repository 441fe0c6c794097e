"""What an app's configuration says of Microsoft Entra ID."""

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from flask_signalr.endpoints import ServiceEndpoint
from flask_signalr.entra.credentials import check_credential
from flask_signalr.errors import ConfigurationError
from flask_signalr.hosts import is_loopback

TokenOrigin = Literal["key", "service"]
"""Who makes the tokens of clients: the app, with a key of the service; or the service."""


@dataclass(frozen=True)
class EntraSettings:
    """What holds for the service endpoints without an access key.

    Attributes:
        credential: The app's own, in the place of those that the connection strings describe; ``None`` for these.
        has_issued_tokens: Whether the service makes the tokens of clients.

    Raises:
        ConfigurationError: The credential cannot be used.
    """

    credential: object | None = field(default=None, repr=False)
    has_issued_tokens: bool = False

    def __post_init__(self) -> None:
        if self.credential is not None:
            check_credential(self.credential)


NO_ENTRA = EntraSettings()
"""What holds unless the configuration says otherwise."""


def check_encryption(endpoint: ServiceEndpoint) -> None:
    """Check that no token of Microsoft Entra ID would leave this machine in plain text.

    An access key never travels, but such a token does, and opens every service instance that the app has a role for.

    Raises:
        ConfigurationError: The endpoint has no access key, and is reached by http at another machine.
    """
    url = urlsplit(endpoint.server_base_url)
    if endpoint.credential is not None and url.scheme != "https" and not is_loopback(url.hostname or ""):
        raise ConfigurationError(
            f"with an AuthType, each call would bring a token of Microsoft Entra ID to {endpoint.server_base_url} in "
            "plain text: take https (Endpoint, or ServerEndpoint if there is one); http will do for this machine alone"
        )
