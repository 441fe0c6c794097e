"""The time limit of an answer."""

import socket

import pytest

from flask_signalr.rest.timed_connection import connection_class
from tests.scripted_server import LONGEST_WAIT


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_each_read_of_an_answer_has_what_is_left_of_its_time(scheme: str) -> None:
    """One that comes late and then falls silent would have its time twice."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(LONGEST_WAIT)
        theirs.sendall(b"HTTP/1.1 204 X\r\n\r\n")

        with connection_class(scheme).response_class(ours) as response:
            response.begin()

        left = ours.gettimeout()
        assert left is not None
        assert 0 < left < LONGEST_WAIT


def test_an_answer_without_a_time_limit_is_waited_for() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"HTTP/1.1 204 X\r\n\r\n")

        with connection_class("http").response_class(ours) as response:
            response.begin()

        assert (response.status, ours.gettimeout()) == (204, None)


def test_a_socket_is_closed_with_its_last_answer() -> None:
    """Sockets stay open as long as something reads from them."""
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(b"HTTP/1.1 204 X\r\n\r\n")
        response = connection_class("http").response_class(ours)
        response.begin()

        ours.close()
        response.close()

        assert ours.fileno() == -1
