"""What each process makes for itself."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from flask_signalr.rest.per_process import PerProcess


def test_a_process_makes_its_own_once() -> None:
    own = PerProcess(object)

    assert own() is own()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_makes_another() -> None:
    own = PerProcess(os.getpid)
    parents = own()
    child = os.fork()
    if child == 0:
        os._exit(0 if own() == os.getpid() != parents else 1)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert own() == parents


def test_threads_that_come_first_at_once_get_the_same_value() -> None:
    """Two values would be two states: each with a fetch of its own under way."""
    barrier = threading.Barrier(8)

    def make() -> object:
        barrier.wait(30)  # every thread is in here, before any of them has made one
        return object()

    value = PerProcess(make)
    with ThreadPoolExecutor(8) as threads:
        made = {id(each) for each in [*threads.map(lambda _: value(), range(8))]}

    assert len(made) == 1
