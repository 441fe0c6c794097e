"""Host names and addresses."""

import pytest

from flask_signalr.hosts import is_loopback


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_this_machine_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "app.example", "localhost.example", "127.0.0.1.example", "10.0.0.1", "0.0.0.0", "::", "LOCALHOST "]
)
def test_other_hosts_are_not(host: str) -> None:
    """Whatever begins with a loopback name or address."""
    assert not is_loopback(host)
