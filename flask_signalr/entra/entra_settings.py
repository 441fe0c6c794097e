"""What an app's configuration says of Microsoft Entra ID."""

from dataclasses import dataclass, field
from typing import Literal

from flask_signalr.entra.credentials import check_credential

TokenOrigin = Literal["key", "service"]
"""Who makes the tokens of clients: the app, with a key of the service; or the service."""


@dataclass(frozen=True)
class EntraSettings:
    """What holds for the service endpoints without an access key.

    Attributes:
        credential: The app's own, in the place of those that the connection strings describe; ``None`` for these.
        has_issued_tokens: Whether the service makes the tokens of clients.
    """

    credential: object | None = field(default=None, repr=False)
    has_issued_tokens: bool = False

    @classmethod
    def of(cls, keyword: object | None, configured: object | None, origin: TokenOrigin) -> "EntraSettings":
        """Return the settings.

        Args:
            keyword: What ``credential=`` was given, which comes before the configuration's.
            configured: ``SIGNALR_CREDENTIAL``.
            origin: ``SIGNALR_TOKEN_SOURCE``.

        Raises:
            ConfigurationError: A credential cannot be used.
        """
        for name, given in (("credential=", keyword), ("SIGNALR_CREDENTIAL", configured)):
            if given is not None:
                check_credential(name, given)
        return cls(configured if keyword is None else keyword, origin == "service")


NO_ENTRA = EntraSettings()
"""What holds unless the configuration says otherwise."""
