"""A throw-away directory: OpenLDAP's slapd on a free loopback port, its database in a folder of its own.

Nothing of the machine's own directory is read or changed, and no rights are needed.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# Debian keeps it where only root looks.
_SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/lib/openldap"])
_SCHEMAS = Path("/etc/ldap/schema")
_MODULES = Path("/usr/lib/ldap")
LONGEST_WAIT = 60

SUFFIX = "dc=intranet,dc=example"
PEOPLE, GROUPS, ELSEWHERE = (f"ou={name},{SUFFIX}" for name in ("people", "groups", "elsewhere"))
READER = f"cn=reader,{SUFFIX}"
LIMITED_READER = f"cn=limited reader,{SUFFIX}"
FEW = 3
READER_PASSWORD = "of-the-reader-of-a-test"
ADMIN = f"cn=admin,{SUFFIX}"
ADMIN_PASSWORD = "of-the-admin-of-a-test"

_TLS = """\
olcTLSCertificateFile: {folder}/server.pem
olcTLSCertificateKeyFile: {folder}/server.key
"""
_CONFIGURATION = """\
dn: cn=config
objectClass: olcGlobal
cn: config
olcLogLevel: stats
{tls}
dn: cn=module,cn=config
objectClass: olcModuleList
cn: module
olcModulePath: {modules}
olcModuleLoad: back_mdb
olcModuleLoad: memberof

dn: cn=schema,cn=config
objectClass: olcSchemaConfig
cn: schema

include: file://{schemas}/core.ldif

include: file://{schemas}/cosine.ldif

include: file://{schemas}/inetorgperson.ldif

dn: cn=microsoft,cn=schema,cn=config
objectClass: olcSchemaConfig
cn: microsoft
olcAttributeTypes: ( 1.2.840.113556.1.4.221 NAME 'sAMAccountName'
  EQUALITY caseIgnoreMatch SYNTAX '1.3.6.1.4.1.1466.115.121.1.15' )
olcAttributeTypes: ( 1.2.840.113556.1.4.8 NAME 'userAccountControl'
  SYNTAX '1.3.6.1.4.1.1466.115.121.1.15' SINGLE-VALUE )
olcObjectClasses: ( 1.2.840.113556.1.5.9 NAME 'user'
  SUP inetOrgPerson STRUCTURAL MAY ( sAMAccountName $ userAccountControl ) )

dn: olcDatabase=frontend,cn=config
objectClass: olcDatabaseConfig
objectClass: olcFrontendConfig
olcDatabase: frontend
olcSizeLimit: 2000

dn: olcDatabase=mdb,cn=config
objectClass: olcDatabaseConfig
objectClass: olcMdbConfig
olcDatabase: mdb
olcSuffix: {suffix}
olcDbDirectory: {folder}/database
olcDbEnvFlags: nosync
olcDbIndex: member eq
olcRootDN: {admin}
olcRootPW: {admin_password}
olcLimits: dn.exact="{limited_reader}" size={few}
olcAccess: to attrs=userPassword by anonymous auth by * none
olcAccess: to * by dn.exact="{reader}" read by dn.exact="{limited_reader}" read by * none

dn: olcOverlay=memberof,olcDatabase={{1}}mdb,cn=config
objectClass: olcOverlayConfig
objectClass: olcMemberOfConfig
olcOverlay: memberof
"""


def missing_requirement() -> str | None:
    """Return what keeps a directory from being started here, or ``None``."""
    for program in ("slapd", "ldapmodify"):
        if shutil.which(program, path=_SEARCH_PATH) is None:
            return f"the program {program} is missing (Debian: slapd ldap-utils)"
    if not (_SCHEMAS / "core.ldif").exists() or not (_MODULES / "memberof.la").exists():
        return "slapd's schemas or modules are not where Debian has them"
    if find_spec("ldap3") is None:
        return "the Python package ldap3 is missing"
    return None


class Slapd:
    """A directory that runs while its ``with`` block does, with a reader, people and groups yet to be added.

    Args:
        folder: An empty folder for all of its files.
        certificate_names: What the server's certificate is for: host names and addresses. With none the server knows
            no TLS.

    Attributes:
        ca_certificates: The file with the certificate of who signed the server's.
    """

    def __init__(self, folder: Path, certificate_names: Iterable[str] = ("127.0.0.1",)) -> None:
        self._folder = folder
        self._ports = (0, 0)
        self.ca_certificates = folder / "ca.pem"
        self._certificate_names = tuple(certificate_names)
        self._log: list[str] = []
        self._told = threading.Condition()

    def __enter__(self) -> Self:
        write_certificates(self._folder, self._certificate_names)
        self._load_configuration()
        while not self._started(_free_port(), _free_port()):
            pass  # another program took a port that was free a moment ago
        try:
            self._fill()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self._ports[0]}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://127.0.0.1:{self._ports[1]}"

    @property
    def log(self) -> str:
        """What the server tells of all that it is asked."""
        return "".join(self._log)

    def add_person(self, name: str, **attributes: str) -> str:
        """Add a person and return their DN."""
        dn = f"cn={escaped(name)},{PEOPLE}"
        self.add(dn, {"objectClass": "user", "cn": name, "sn": name, "sAMAccountName": name} | attributes)
        return dn

    def add_group(self, name: str, *members: str, ou: str = GROUPS) -> str:
        """Add a group and return its DN."""
        dn = f"cn={escaped(name)},{ou}"
        self.add(dn, {"objectClass": "groupOfNames", "cn": name, "member": list(members)})
        return dn

    def add_groups(self, names: Iterable[str], *members: str) -> None:
        """Add many groups at once."""
        group: dict[str, str | list[str]] = {"objectClass": "groupOfNames", "member": list(members)}
        self._modify("".join(_record(f"cn={name},{GROUPS}", "add", group) for name in names))

    def add(self, dn: str, attributes: Mapping[str, str | list[str]]) -> None:
        self._modify(_record(dn, "add", attributes))

    def replace_values(self, dn: str, attribute: str, *values: str) -> None:
        """Give an entry's attribute other values."""
        self._modify(_record(dn, "modify", {"replace": attribute, attribute: list(values)}))

    def stop(self) -> None:
        """End the server; its data stays."""
        self._process.terminate()
        self._join()

    def start(self) -> None:
        """Start the server anew, on the ports that it had."""
        assert self._started(*self._ports)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let the server be silent: the kernel takes connections and bytes for it, and nobody answers."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)  # until its last thread stands still
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _load_configuration(self) -> None:
        for name in ("config", "database"):
            (self._folder / name).mkdir()
        configuration = _CONFIGURATION.format(
            tls=_TLS.format(folder=self._folder) if self._certificate_names else "",
            folder=self._folder,
            modules=_MODULES,
            schemas=_SCHEMAS,
            suffix=SUFFIX,
            admin=ADMIN,
            admin_password=ADMIN_PASSWORD,
            reader=READER,
            limited_reader=LIMITED_READER,
            few=FEW,
        )
        subprocess.run(
            [_program("slapd"), "-T", "add", "-n", "0", "-F", str(self._folder / "config")],
            input=configuration,
            text=True,
            check=True,
            capture_output=True,
        )

    def _started(self, port: int, tls_port: int) -> bool:
        self._ports = (port, tls_port)
        urls = f"{self.url}/ {self.tls_url}/" if self._certificate_names else f"{self.url}/"
        command = [_program("slapd"), "-h", urls, "-F", str(self._folder / "config"), "-d", "stats"]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="backslashreplace")
        assert self._process.stderr is not None
        self._has_ended, told_before = False, len(self._log)
        self._reader = threading.Thread(target=self._read, args=[self._process.stderr])
        self._reader.start()
        if self._tells("slapd starting", told_before) and self._takes_connections(port):
            return True
        self._join()
        assert "Address already in use" in self.log, self.log
        return False

    def _takes_connections(self, port: int) -> bool:
        """Wait until the server takes connections, or ends: two can choose one port, and the later one then ends."""
        end = time.monotonic() + LONGEST_WAIT
        while not self._has_ended and time.monotonic() < end:
            try:
                probe = socket.create_connection(("127.0.0.1", port))
            except ConnectionRefusedError:  # it listens a moment after it told that it starts
                continue
            with probe:
                return self._tells(f"ACCEPT from IP=127.0.0.1:{probe.getsockname()[1]} ")
        return False

    def _tells(self, text: str, since: int = 0) -> bool:
        """Wait until the server logs a text, or ends without."""
        with self._told:
            return self._told.wait_for(lambda: self._has_told(text, since) or self._has_ended, LONGEST_WAIT) and (
                self._has_told(text, since)
            )

    def _has_told(self, text: str, since: int) -> bool:
        return any(text in line for line in self._log[since:])

    def _read(self, output: IO[str]) -> None:
        with output:
            for line in output:
                with self._told:
                    self._log.append(line)
                    self._told.notify_all()
        with self._told:
            self._has_ended = True
            self._told.notify_all()

    def _join(self) -> None:
        try:
            self._process.wait(LONGEST_WAIT)
        finally:
            self._process.kill()
            self._process.wait()
            self._reader.join()

    def _fill(self) -> None:
        self.add(SUFFIX, {"objectClass": ["dcObject", "organization"], "dc": "intranet", "o": "Example"})
        for dn in (PEOPLE, GROUPS, ELSEWHERE):
            self.add(dn, {"objectClass": "organizationalUnit"})
        for dn in (READER, LIMITED_READER):
            self.add(dn, {"objectClass": "person", "sn": "reader", "userPassword": READER_PASSWORD})

    def _modify(self, records: str) -> None:
        """Carry out changes (RFC 2849) as the administrator."""
        command = [_program("ldapmodify"), "-x", "-H", self.url, "-D", ADMIN, "-w", ADMIN_PASSWORD]
        done = subprocess.run(command, input=records, text=True, check=False, capture_output=True)
        assert done.returncode == 0, f"{done.stderr}\n{self._process.poll()}\n{self.url}{self.log[-3000:]}"


def _record(dn: str, change: str, attributes: Mapping[str, str | list[str]]) -> str:
    """Return a change as LDIF has it (RFC 2849)."""
    lines = [f"dn:: {_base64(dn)}", f"changetype: {change}"]
    for name, values in attributes.items():
        lines += [f"{name}:: {_base64(value)}" for value in ([values] if isinstance(values, str) else values)]
    return "\n".join(lines) + "\n\n"


def _base64(value: str) -> str:
    return b64encode(value.encode()).decode()


def escaped(name: str) -> str:
    """Return a name as a DN has it (RFC 4514 §2.4)."""
    return re.sub(r"^ | $|^#|[\"+,;<>\\=]", lambda match: f"\\{match[0]}", name)


def write_certificates(folder: Path, names: Iterable[str]) -> None:
    """Write the certificate of an authority, ``ca.pem``, and one that it signed, ``server.pem`` and ``server.key``."""
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the authority of a test")])
    server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the server of a test")])
    now = datetime.now(UTC)

    def certificate(name: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder(authority_name, name, public_key, x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        )

    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    signed = (
        certificate(authority_name, authority.public_key())
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .add_extension(usage, critical=True)
        .sign(authority, hashes.SHA256())
    )
    server = (
        certificate(server_name, key.public_key())
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .sign(authority, hashes.SHA256())
    )
    for file_name, made in (("ca.pem", signed), ("server.pem", server)):
        (folder / file_name).write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _program(name: str) -> str:
    program = shutil.which(name, path=_SEARCH_PATH)
    assert program is not None
    return program


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
