"""An intranet: a Kerberos realm with people, services and machines, and an app that they sign on to."""

import os
import shutil
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from demo.kdc import Kdc
from flask_signalr import SignalR
from flask_signalr.auth.windows import WindowsAuth
from tests.apps import create_app, negotiate

REALM, PARTNER, LOOKALIKE = "INTRANET.TEST", "PARTNER.TEST", "intranet.test"
PEOPLE = ("alice", "bob", "Carol", "josé", "alice@PARTNER.TEST")
SERVICE, OTHER_SERVICE, FOREIGN_SERVICE = "HTTP/localhost", "HTTP/other.localhost", "host/localhost"
SIGN_ON = """
import logging, sys
from tests.intranet import sign_on, windows_app

logging.basicConfig(level=logging.INFO)
print("status", sign_on(windows_app(), sys.argv[1]).status_code)
"""


@dataclass(frozen=True)
class Intranet:
    """A realm that runs, with what is in it.

    Attributes:
        kdc: Its KDC.
        keytab: The keys of `SERVICE` and `OTHER_SERVICE`.
        caches: The names of the credential caches of those who signed in to their workstation.
    """

    kdc: Kdc
    keytab: Path
    caches: dict[str, str]

    @property
    def environment(self) -> dict[str, str]:
        """What a process of an app in this intranet has in its environment."""
        return {**self.kdc.environment, "KRB5_KTNAME": f"FILE:{self.keytab}"}

    def token(self, user: str = "alice", service: str = SERVICE, protocol: str = "negotiate") -> str:
        """Return a new sign-on token of somebody, as the header has it."""
        return token(self.caches[user], service, protocol)

    def headers(self, user: str = "alice", **options: Any) -> dict[str, str]:
        """Return the headers of a request that signs somebody on."""
        return {"Authorization": f"Negotiate {self.token(user, **options)}"}

    def ask_at(self, time: str, token: str) -> str:
        """Sign on to an app on a machine whose clock is wrong; return the status, and what it logged.

        Args:
            time: As ``faketime`` wants it: ``+6m``.
            token: Made on a machine whose clock is right.
        """
        faketime = shutil.which("faketime")
        assert faketime is not None
        run = subprocess.run(
            [faketime, "-f", time, sys.executable, "-c", SIGN_ON, token],
            env={**os.environ, **self.environment},
            cwd=Path(__file__).parent.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        )
        return run.stdout


@contextmanager
def running_intranet(folder: Path) -> Iterator[Intranet]:
    """Run an intranet with all its files in an empty folder."""
    with Kdc(folder, REALM) as kdc:
        for person in PEOPLE:
            kdc.add_user(person.replace("@", "\\@"))
        kdc.add_user("carol/admin")
        kdc.add_user("PC7$")
        kdc.add_service(SERVICE, OTHER_SERVICE, FOREIGN_SERVICE)
        keytab = kdc.write_keytab("http.keytab", SERVICE, OTHER_SERVICE)
        caches = {name: kdc.sign_in(name.replace("@", "\\@")) for name in (*PEOPLE, "carol/admin", "PC7$")}
        yield Intranet(kdc, keytab, caches)


def token(cache: str, service: str, protocol: str) -> str:
    """Return a sign-on token made with a credential cache, as the header has it."""
    import spnego

    kind, _, host = service.partition("/")
    client = spnego.client(spnego.KerberosCCache(cache), hostname=host, service=kind, protocol=protocol)
    return b64encode(client.step() or b"").decode()


def sign_on(app: Flask, token: str, **headers: str) -> TestResponse:
    """Return the answer to a negotiate request with a sign-on token."""
    return negotiate(app, headers={"Authorization": f"Negotiate {token}", **headers})


def windows_app(*arguments: Any, hub: dict[str, Any] | None = None, **options: Any) -> Flask:
    """Return an app whose hub ``chat`` has `WindowsAuth` with these arguments.

    Args:
        *arguments: As `WindowsAuth` takes them.
        hub: Keywords of the hub.
        **options: Further keywords of `WindowsAuth`.
    """
    signalr = SignalR()
    signalr.hub("chat", **{"auth": [WindowsAuth(*arguments, **options)], **(hub or {})})
    return create_app(signalr)
