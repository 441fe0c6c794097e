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
