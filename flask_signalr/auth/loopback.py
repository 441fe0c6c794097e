"""This machine itself: the one peer that may be spoken to without TLS."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Return whether a host, by name or address, is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
