"""Who signs on and to which service."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from flask_signalr.errors import SignOnFailed

SERVICE = "HTTP"
"""The class of the principal names of web services, https ones too (RFC 4559 §4.1)."""


@dataclass(frozen=True)
class Account:
    """Whose sign-on it is, as `sign_on` was told.

    Attributes:
        user: The user's name; ``None`` for the account that is signed in on this machine.
        password: The user's.
        host: The host name in the service's principal name; ``None`` for that of the URL.
        delegate: Whether the service may act for the user.
    """

    user: str | None
    password: str | None = field(repr=False)
    host: str | None
    delegate: bool

    def host_for(self, url: str | None) -> str:
        """Return the host name in the principal name of the service behind a URL.

        Raises:
            SignOnFailed: The URL has none.
        """
        host = self.host or urlsplit(url or "").hostname
        if not host:
            raise SignOnFailed(f"there is no host to sign on to in {url!r}")
        return host
