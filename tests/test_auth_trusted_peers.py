"""The addresses of the front ends whose headers are believed."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import waitress
from flask import Flask
from werkzeug.serving import make_server

from flask_signalr import ConfigurationError, SignalR
from flask_signalr.auth.frontend import FrontEndAuth
from flask_signalr.auth.trusted_peers import TrustedPeers
from tests.apps import create_app

PEERS = TrustedPeers(["10.1.0.0/16", "127.0.0.1", "fd00::/8", "::1"])


@pytest.mark.parametrize("address", ["10.1.0.0", "10.1.255.255", "127.0.0.1", "::1", "fd12::1", "::ffff:10.1.2.3"])
def test_an_address_in_one_of_the_networks_is_trusted(address: str) -> None:
    """Servers on an IPv6 socket write IPv4 peers in the mapped form."""
    assert PEERS.has_sent({"REMOTE_ADDR": address})


@pytest.mark.parametrize(
    "address",
    [
        *(
            "10.2.0.0",
            "127.0.0.2",
            "::2",
            "fe80::1",
            "::ffff:10.2.2.3",
            "010.1.2.3",
            "10.1.2.3:80",
            "10.1.2.3, 1.1.1.1",
        ),
        *("localhost.example", "127.1", "2130706433", "unix", "", "<local>", "localhost", "None"),
    ],
)
def test_any_other_address_is_a_stranger(address: str) -> None:
    """Also one that a resolver might read in another way, and a Unix socket that was not named."""
    assert not PEERS.has_sent({"REMOTE_ADDR": address})


@pytest.mark.parametrize("environ", [{}, {"REMOTE_ADDR": None}])
def test_a_peer_that_the_server_does_not_tell_is_a_stranger(environ: dict[str, Any]) -> None:
    assert not TrustedPeers(["unix", "127.0.0.1"]).has_sent(environ)


def test_the_peer_before_proxy_fix_counts() -> None:
    environ = {"REMOTE_ADDR": "127.0.0.1", "werkzeug.proxy_fix.orig": {"REMOTE_ADDR": "203.0.113.9"}}

    assert not PEERS.has_sent(environ)


@pytest.mark.parametrize(
    "entries",
    [[], "127.0.0.1", ["0.0.0.0/0"], ["::/0"], ["localhost"], ["10.1.2.3/16"], ["*"], [""], [None]],
    ids=repr,
)
def test_peers_that_mean_everybody_or_nobody_are_an_error(entries: Any) -> None:
    with pytest.raises(ConfigurationError, match="trusted_peers="):
        TrustedPeers(entries)


def _run_until_closed(server: Any) -> None:
    with suppress(OSError):  # its loop may look at the socket once more after another thread has closed it
        server.run()


@contextmanager
def served_on_a_unix_socket(server: str, app: Flask, path: str) -> Iterator[None]:
    """Serve an app on a Unix socket, in a thread."""
    if server == "werkzeug":
        development = make_server(f"unix://{path}", 0, app)
        serve, stop = development.serve_forever, development.shutdown
    else:
        production = waitress.create_server(app, unix_socket=path)
        serve, stop = partial(_run_until_closed, production), production.close
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join()


@pytest.mark.parametrize("server", ["werkzeug", "waitress"])
@pytest.mark.parametrize(("peers", "status"), [(["unix"], b"200"), (["127.0.0.1"], b"401")])
def test_a_front_end_on_the_servers_unix_socket_is_trusted_when_named(
    tmp_path: Path, server: str, peers: list[str], status: bytes
) -> None:
    """Each server writes another thing where a peer has no address."""
    path = str(tmp_path / "socket")
    signalr = SignalR()
    signalr.hub("chat", auth=[FrontEndAuth.header("X-Remote-User", trusted_peers=peers)])

    with served_on_a_unix_socket(server, create_app(signalr), path), socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        client.sendall(
            b"POST /chat/negotiate HTTP/1.1\r\nHost: localhost\r\nX-Remote-User: alice\r\nContent-Length: 0\r\n\r\n"
        )
        answer = client.recv(100)

    assert answer.split()[1] == status
