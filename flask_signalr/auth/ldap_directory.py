"""A directory: where its servers are, as whom they are asked, and how long an answer may take."""

import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from flask_signalr.auth.keyword_checks import check_count, check_seconds
from flask_signalr.errors import ConfigurationError
from flask_signalr.hosts import is_loopback

_PORTS = {"ldap": 389, "ldaps": 636}


@dataclass(frozen=True)
class LdapServer:
    """One server of a directory.

    Attributes:
        host: Its name, which its certificate must have, or its address.
        port: Its TCP port.
        ldaps: Whether TLS comes before the first byte of LDAP.
    """

    host: str
    port: int
    ldaps: bool


@dataclass(frozen=True)
class LdapDirectory:
    """A directory, Active Directory or another one, that answers LDAP (RFC 4511).

    Attributes:
        urls: ``ldaps://dc1.intranet.example``, or a list of servers with the same contents; the first that answers
            is taken.
        bind_dn: The service account that asks: its DN, or with Active Directory its UPN. ``None`` asks anonymously.
        password: The service account's.
        start_tls: Starts TLS on connections to ``ldap://`` before anything else is said (RFC 4513 §3).
        ca_certificates: A file of PEM certificates that the servers' own may be signed by, in place of the system's.
        allow_plain: Speaks without TLS to other machines too: whoever is on the way reads the password and can
            answer with roles of their own.
        timeout: Seconds that finding one account's roles may take, waiting for a free connection included.
        connections: The most that are open at once, in each process.
        cool_down: Seconds after a failed connection in which no other one is tried.
        clock: Seconds that only go forward.

    Raises:
        ConfigurationError: A value cannot be used.
    """

    urls: str | Sequence[str]
    bind_dn: str | None = None
    password: str | None = field(default=None, repr=False)
    start_tls: bool = False
    ca_certificates: str | Path | None = None
    allow_plain: bool = False
    timeout: float = 5
    connections: int = 4
    cool_down: float = 10
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    def __post_init__(self) -> None:
        if not self.servers:
            raise ConfigurationError("LdapDirectory(urls=[]): name a server, 'ldaps://…'")
        if (self.bind_dn is None) != (self.password is None) or "" in (self.bind_dn, self.password):
            # A name with an empty password counts as nobody, and the bind succeeds all the same: RFC 4513 §5.1.2.
            raise ConfigurationError("LdapDirectory(bind_dn=…, password=…): give both, and neither empty, or none")
        for name in ("timeout", "cool_down"):
            check_seconds(f"LdapDirectory({name}=…)", getattr(self, name))
        check_count("LdapDirectory(connections=…)", self.connections)
        self.tls_context()

    @property
    def servers(self) -> tuple[LdapServer, ...]:
        """The servers, in the order in which they are tried."""
        urls = (self.urls,) if isinstance(self.urls, str) else self.urls
        return tuple(self._server(url) for url in urls)

    def tls_context(self) -> ssl.SSLContext:
        """Return what TLS to the servers demands: a certificate with their name, signed by whom we trust.

        Raises:
            ConfigurationError: The file of certificates cannot be read.
        """
        try:
            return ssl.create_default_context(cafile=self.ca_certificates)
        except OSError as exc:
            raise ConfigurationError(
                f"LdapDirectory(ca_certificates={str(self.ca_certificates)!r}): no readable file of PEM certificates: "
                f"{exc}"
            ) from exc

    def _server(self, url: str) -> LdapServer:
        try:
            parts = urlsplit(url)
            port = parts.port
        except (ValueError, AttributeError, TypeError) as exc:
            raise ConfigurationError(f"LdapDirectory(urls=…): not a URL: {exc}") from exc
        if parts.scheme not in _PORTS or not parts.hostname or parts.path not in ("", "/") or "@" in parts.netloc:
            raise ConfigurationError("LdapDirectory(urls=…): give 'ldaps://host' or 'ldap://host', with a port or none")
        if parts.query or parts.fragment or port == 0:
            raise ConfigurationError("LdapDirectory(urls=…): give scheme, host and port, and nothing else")
        ldaps = parts.scheme == "ldaps"
        if ldaps and self.start_tls:
            raise ConfigurationError("LdapDirectory(start_tls=True): goes with ldap:// URLs; ldaps:// has TLS already")
        if not (ldaps or self.start_tls or self.allow_plain or is_loopback(parts.hostname)):
            raise ConfigurationError(
                "LdapDirectory(urls=…): plain ldap is for this machine only: use ldaps:// or start_tls=True; "
                "allow_plain=True shows the password to everybody on the way"
            )
        return LdapServer(parts.hostname, port or _PORTS[parts.scheme], ldaps)
