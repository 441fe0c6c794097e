"""What the tests in a Kerberos realm need of this machine, and how they become members of one."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from demo import kdc

PROGRAMS = (*kdc.PROGRAMS, "kvno", "faketime")
MODULES = (*kdc.MODULES, "requests_gssapi", "requests_kerberos")


def missing_requirement() -> str | None:
    """Return what keeps the tests in a realm from running here, or ``None``."""
    return kdc.missing_requirement(PROGRAMS, MODULES)


@contextmanager
def environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Change environment variables while a block runs; Kerberos reads them anew at each use."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
