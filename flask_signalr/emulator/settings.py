"""What can be chosen about the emulator."""

import re
from dataclasses import dataclass, field

from flask_signalr.emulator.access_keys import checked_access_keys
from flask_signalr.emulator.entra_roles import EntraRoles
from flask_signalr.emulator.upstream_rules import UpstreamRule
from flask_signalr.errors import ConfigurationError

DEVELOPMENT_KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789ABCDEFGH"
"""The access key that Microsoft's emulator uses and publishes; it protects nothing."""

ENTRA_AUDIENCE = "https://signalr.azure.com"
"""The audience of Microsoft Entra tokens for the service, in every subscription."""

_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 -- compared with, not bound to


@dataclass(frozen=True)
class EmulatorSettings:
    """How an emulator listens, whom it believes, and when it loses patience; durations are in seconds.

    Attributes:
        host: The address or name to listen on.
        port: The port to listen on; 0 takes any free one.
        access_keys: The keys that may sign tokens; the first is part of the connection string.
        audience_hosts: Host names that tokens may be made for, besides ``host`` and the loopback names.
        open_within: How long a negotiated connection waits to be opened.
        handshake_within: How long an opened connection waits for the handshake.
        keep_alive: A client that was sent nothing for so long is sent a ping.
        client_timeout: A client that sent nothing for so long is let go; long polling has ``poll_gap`` instead.
        body_within: How long the body of a request may take to arrive.
        invoke_within: How long a client that the app calls may take to send its result.
        poll_timeout: How long a poll waits for messages.
        poll_gap: How long a long-polling client may stay away between two polls.
        close_within: How long a closing connection may take to deliver its last messages.
        tick: How often these times are looked at.
        message_limit: Bytes of one message from a client, and of one REST body.
        outbox_limit: Bytes that may wait for a client; one that lets more pile up is dropped.
        entra_issuer: The issuer of Microsoft Entra tokens, to the letter as its discovery document has it. REST calls
            may bring them then, and fetch a key that signs client tokens. ``None`` accepts none.
        entra_audience: Whom these tokens must be for.
        entra_app_ids: The applications that have a role on the service, by id: ``id=app-server``,
            ``id=rest-api-owner``, ``id=rest-api-reader``, or the id alone for its owner. Empty: all own it.
        entra_key_lifetime: How long such a key signs after it was handed out.
        upstream: The URL of the app that is told what clients do; `DEFAULT_PATH` of
            `flask_signalr.emulator.upstream_rules` is added to one without ``{hub}``, ``{category}`` or ``{event}``.
        upstream_settings: The path of a file with rules instead, in the form of Microsoft's emulator.
        upstream_timeout: How long the app may take to answer one call.
        upstream_calls: Calls to the app that may be under way, for all connections together.
        upstream_limit: Bytes that may wait for the app, for each connection; a client that sends more is closed.

    Raises:
        ConfigurationError: The port is none, an access key is missing or cannot stand in a connection string, a host
            name is none, or there are two upstreams or one that is no URL.

    Source: the defaults are the service's and ASP.NET Core's; ``open_within`` and ``poll_gap`` are in
    MicrosoftDocs/azure-docs:articles/azure-signalr/signalr-howto-troubleshoot-guide.md.
    """

    host: str = "localhost"
    port: int = 8888
    access_keys: tuple[str, ...] = field(default=(DEVELOPMENT_KEY,), repr=False)
    audience_hosts: tuple[str, ...] = ()
    open_within: float = 5
    handshake_within: float = 15
    keep_alive: float = 15
    client_timeout: float = 30
    body_within: float = 30
    invoke_within: float = 30
    poll_timeout: float = 90
    poll_gap: float = 5
    close_within: float = 2
    tick: float = 1
    message_limit: int = 1_048_576
    outbox_limit: int = 1_048_576
    entra_issuer: str | None = None
    entra_audience: str = ENTRA_AUDIENCE
    entra_app_ids: tuple[str, ...] = ()
    entra_key_lifetime: float = 5400
    upstream: str | None = None
    upstream_settings: str | None = None
    upstream_timeout: float = 100
    upstream_calls: int = 100
    upstream_limit: int = 16_777_216

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ConfigurationError(f"port: {self.port} is no port; choose one from 0 (any free one) to 65535")
        if not self.host:  # asyncio would listen on all addresses
            raise ConfigurationError("host: it is empty; give what to listen on, such as localhost (--host)")
        checked_access_keys(self.access_keys)
        self._check_texts()
        EntraRoles(self.entra_app_ids)
        if self.entra_issuer is None and self.entra_app_ids:
            raise ConfigurationError(
                "entra_app_ids: there is no issuer whose tokens could name them; add one (--entra-issuer)"
            )
        self._check_upstream()

    def _check_texts(self) -> None:
        for name in ("audience_hosts", "entra_app_ids"):
            if isinstance(getattr(self, name), str):  # else each of its letters would be one
                raise ConfigurationError(f"{name}: give a tuple, with a comma after a single one")
        for host in self.audience_hosts:
            if not _HOST.fullmatch(host):
                raise ConfigurationError(
                    f"audience_hosts: {host!r} is no host name; give it alone, without scheme, port and brackets "
                    "(--audience-host)"
                )

    def _check_upstream(self) -> None:
        if self.upstream is not None and self.upstream_settings is not None:
            raise ConfigurationError(
                "upstream, upstream_settings: choose one, a URL for everything or a file with rules (--upstream, "
                "--upstream-settings)"
            )
        if self.upstream is not None:
            try:
                UpstreamRule.to(self.upstream)
            except ConfigurationError as exc:
                raise ConfigurationError(f"upstream: {exc}") from exc

    @property
    def public_host(self) -> str:
        """The host name that clients use; an IPv6 address has its brackets."""
        host = "localhost" if self.host in _WILDCARDS else self.host
        return f"[{host}]" if ":" in host else host

    @property
    def url(self) -> str:
        """The base URL of the emulator, without a slash at the end."""
        return f"http://{self.public_host}:{self.port}"

    @property
    def connection_string(self) -> str:
        """What an app is configured with to use the emulator."""
        return f"Endpoint=http://{self.public_host};Port={self.port};AccessKey={self.access_keys[0]};Version=1.0;"

    @property
    def entra_connection_string(self) -> str:
        """What an app is configured with to use the emulator with Microsoft Entra tokens."""
        return f"Endpoint=http://{self.public_host};Port={self.port};AuthType=azure;Version=1.0;"
