"""Trusted peers: the addresses of the front ends whose headers are believed."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from flask_signalr.errors import ConfigurationError

UNIX = "unix"
"""The entry for peers on the server's Unix socket; who may open it is the file system's to say."""

# What WSGI servers write where a peer has no address: gunicorn and granian, werkzeug, waitress.
_UNIX_ADDRESSES = frozenset({"", "<local>", "localhost"})


class TrustedPeers:
    """The addresses that may speak for others.

    Args:
        entries: Networks (``10.1.0.0/16``), addresses (``127.0.0.1``, ``::1``), or ``unix``.

    Raises:
        ConfigurationError: There is none, or one cannot be read or means everybody.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        if isinstance(entries, str):
            raise ConfigurationError("trusted_peers= takes a list, as trusted_peers=['10.1.2.3', 'unix']")
        texts = tuple(entries)
        if not texts:
            raise ConfigurationError("trusted_peers=[]: no front end could be believed; name its address")
        self._takes_unix = UNIX in texts
        self._networks = tuple(_network(text) for text in texts if text != UNIX)

    def has_sent(self, environ: Mapping[str, Any]) -> bool:
        """Return whether a request came from one of these peers, over its own connection.

        The peer is the one that the server saw, not the client that werkzeug's ``ProxyFix`` puts in its place. With
        two of these one inside the other nobody can tell it: use one, with the right numbers.
        """
        before_proxy_fix: Mapping[str, Any] = environ.get("werkzeug.proxy_fix.orig", environ)
        peer = before_proxy_fix.get("REMOTE_ADDR")
        if peer in _UNIX_ADDRESSES:
            return self._takes_unix
        try:
            address = ip_address(str(peer))
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(text)
    except ValueError as exc:
        raise ConfigurationError(f"trusted_peers=…: {text!r} is no network, no address and not 'unix': {exc}") from exc
    if network.prefixlen == 0:
        raise ConfigurationError(f"trusted_peers=…: {text!r} is everybody; name the front end's own address")
    return network
