"""Host names and addresses."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine itself, so that nobody is on the way to it."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
