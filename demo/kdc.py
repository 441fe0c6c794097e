"""A throw-away Kerberos realm: MIT's KDC on a free loopback port, its database in a folder of its own.

Nothing of the machine's own Kerberos set-up is read or changed, and no rights are needed.
"""

import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

# Debian keeps them where only root looks.
_SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
PROGRAMS = ("krb5kdc", "kadmin.local", "kdb5_util", "kinit")
MODULES = ("gssapi", "krb5", "spnego")
PASSWORD = "of-a-throw-away-realm"  # noqa: S105 -- of a realm that only this machine reaches, for as long as it runs
ADDRESS_IN_USE = "Address already in use"


class KdcFailed(Exception):
    """One of Kerberos' programs did not do what it should."""


def missing_requirement(programs: Sequence[str] = PROGRAMS, modules: Sequence[str] = MODULES) -> str | None:
    """Return what keeps a realm from being started here and used, or ``None``."""
    for program in programs:
        if shutil.which(program, path=_SEARCH_PATH) is None:
            return f"the program {program} is missing (Debian: krb5-kdc krb5-admin-server krb5-user faketime)"
    for module in modules:
        if find_spec(module) is None:
            return f"the Python package {module} is missing: make demo-windows compiles it"
    return None


class Kdc:
    """A realm that runs while its ``with`` block does.

    Args:
        folder: An empty folder for all of its files.
        realm: The realm's name.

    Attributes:
        realm: As given.
        folder: As given.
        config: The ``krb5.conf`` of its clients and services.
    """

    def __init__(self, folder: Path, realm: str = "INTRANET.TEST") -> None:
        self.realm = realm
        self.folder = folder
        self.config = folder / "krb5.conf"
        self._profile = folder / "kdc.conf"
        self._port = 0
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._write_configuration()
        self._run("kdb5_util", "create", "-s", "-r", self.realm, "-P", PASSWORD)
        try:
            while not self._started():
                pass  # another program took the port that was free a moment ago
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    @property
    def environment(self) -> dict[str, str]:
        """What makes a program, or this one, a member of the realm."""
        return {
            "KRB5_CONFIG": str(self.config),
            "KRB5_KDC_PROFILE": str(self._profile),
            "KRB5RCACHEDIR": str(self.folder),
            "KRB5CCNAME": f"FILE:{self.folder / 'nobody.cc'}",
            "KRB5_KTNAME": f"FILE:{self.folder / 'missing.keytab'}",
        }

    def add_user(self, name: str, password: str = PASSWORD) -> None:
        """Add a user; a name with blanks or other odd characters is written as `kinit` wants it."""
        self.administer(f'addprinc -pw {password} "{name}"')

    def add_service(self, *names: str) -> None:
        """Add services with random keys, such as ``HTTP/localhost``."""
        self.administer(*(f"addprinc -randkey {name}" for name in names))

    def write_keytab(self, file_name: str, *services: str) -> Path:
        """Give services new keys and append these to a keytab, beside older ones that may be in it."""
        keytab = self.folder / file_name
        self.administer(*(f"ktadd -k {keytab} {service}" for service in services))
        return keytab

    def administer(self, *commands: str) -> str:
        """Run commands of ``kadmin.local`` and return what it said."""
        output = self._run("kadmin.local", "-r", self.realm, text="\n".join([*commands, "quit"]) + "\n")
        if re.search("while (creating|changing|parsing|adding|modifying)|does not exist", output):
            raise KdcFailed(output)
        return output

    def sign_in(self, user: str, *options: str, cache: str = "", password: str = PASSWORD) -> str:
        """Get a user's ticket, as the sign-in to a workstation does, and return the name of its credential cache.

        Args:
            user: Whose.
            *options: Further options of ``kinit``.
            cache: The name of the cache's file; without one, the user's name.
            password: The user's.
        """
        name = f"FILE:{self.folder / (cache or user.replace('/', '_'))}.cc"
        self._run("kinit", *options, "-c", name, user, text=password + "\n")
        return name

    def trust(self, other: "Kdc") -> None:
        """Let the users of another realm, which runs too, get tickets for this realm's services."""
        for kdc in (self, other):
            kdc.add_user(f"krbtgt/{self.realm}@{other.realm}", "between-two-realms")
        for kdc, friend in ((self, other), (other, self)):
            kdc.config.write_text(kdc.config.read_text().replace("[domain_realm]", f"{friend.entry}[domain_realm]"))

    @property
    def entry(self) -> str:
        """What a ``krb5.conf`` says about this realm."""
        return f"    {self.realm} = {{\n        kdc = 127.0.0.1:{self._port}\n    }}\n"

    def fetch_ticket(self, cache: str, service: str) -> None:
        """Put a ticket for a service into a credential cache."""
        self._run("kvno", "-c", cache, service)

    def _run(self, program: str, *arguments: str, text: str = "") -> str:
        run = subprocess.run(  # noqa: S603 -- programs of Kerberos, with arguments of our own
            [_path(program), *arguments],
            input=text,
            text=True,
            env={**os.environ, **self.environment, "LC_ALL": "C.UTF-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if run.returncode != 0:
            raise KdcFailed(f"{program} {' '.join(arguments)}: {run.stdout}")
        return run.stdout

    def _started(self) -> bool:
        """Start the KDC on a port that is free now; return whether it got it."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self._port = listening.getsockname()[1]
        self._write_configuration()
        process = self._process = subprocess.Popen(  # noqa: S603 -- as above
            [_path("krb5kdc"), "-n", "-r", self.realm],
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,  # Ctrl-C in a terminal reaches only the process that started this one, and that ends it
        )
        output = cast("IO[str]", process.stdout)
        lines: list[str] = []
        for line in output:
            lines.append(line)
            if "starting" in line:
                self._reader = threading.Thread(target=_drain, args=[output])
                self._reader.start()
                return True
        process.wait()
        output.close()
        if ADDRESS_IN_USE not in "".join(lines):
            raise KdcFailed(f"krb5kdc ended before it listened: {''.join(lines)}")
        return False

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(30)
        finally:
            self._process.kill()
            self._process.wait()
            if self._reader is not None:
                self._reader.join()

    def _write_configuration(self) -> None:
        self.config.write_text(f"""
[libdefaults]
    default_realm = {self.realm}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    dns_canonicalize_hostname = false
    rdns = false
    udp_preference_limit = 1
[realms]
{self.entry}[domain_realm]
    localhost = {self.realm}
    .localhost = {self.realm}
[logging]
    kdc = STDERR
""")
        self._profile.write_text(f"""
[realms]
    {self.realm} = {{
        database_name = {self.folder / "principal"}
        key_stash_file = {self.folder / "stash"}
        acl_file = {self.folder / "kadm5.acl"}
        kdc_listen = 127.0.0.1:{self._port}
        kdc_tcp_listen = 127.0.0.1:{self._port}
        max_life = 10h
    }}
""")


def _path(program: str) -> str:
    path = shutil.which(program, path=_SEARCH_PATH)
    if path is None:
        raise KdcFailed(f"the program {program} is missing")
    return path


def _drain(output: IO[str]) -> None:
    with output:
        for _ in output:
            pass
