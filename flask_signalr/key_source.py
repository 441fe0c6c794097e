"""Where the keys come from that client tokens are signed with."""

import math
from typing import Protocol

from flask_signalr.endpoints import ServiceEndpoint
from flask_signalr.errors import ConfigurationError
from flask_signalr.tokens import SigningKey


class KeySource(Protocol):
    """Knows the key of every service endpoint of an app."""

    def signing_key(self, endpoint: ServiceEndpoint, within: float = math.inf) -> SigningKey:
        """Return the key that the client tokens of an endpoint are signed with now.

        Args:
            endpoint: The service endpoint.
            within: Seconds that the caller waits for it at most.

        Raises:
            ConfigurationError: There is no way to one.
            SigningKeyUnavailable: The service gives none at the moment.
        """


class AccessKeys:
    """The access keys that stand in the connection strings, and no others."""

    def signing_key(self, endpoint: ServiceEndpoint, within: float = math.inf) -> SigningKey:
        """Return the endpoint's access key; raises `ConfigurationError` without one."""
        if endpoint.key is None:
            raise ConfigurationError(
                f"service endpoint {endpoint.name or endpoint.url!r} has no AccessKey to sign with"
            )
        return endpoint.key
