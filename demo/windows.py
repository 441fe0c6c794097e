"""The demo's intranet: a throw-away Kerberos realm on this machine, whose people are the demo's users."""

import shlex
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.kdc import Kdc, missing_requirement
from demo.servers import ServerFailed
from demo.sign_in import REALM
from demo.users import DEMO_PASSWORD, USERS

HOST = "localhost"
"""The name in the page's URL: tickets are for a name, and this one needs no DNS."""

ALLOW_SIGN_ON = f"--auth-server-allowlist={HOST}"
"""The option of Chromium, Chrome and Edge; in a company it is the policy AuthServerAllowlist."""


@dataclass(frozen=True)
class Intranet:
    """A realm that runs.

    Attributes:
        folder: Where its files are, for as long as it runs.
        environment: What the web server's environment has besides that of this process.
    """

    folder: Path
    environment: Mapping[str, str]

    def instructions(self, url: str) -> tuple[str, ...]:
        """Return lines that can be pasted into a terminal: they sign a user on and open the page as that user."""
        user = next(iter(USERS))
        settings = f"KRB5_CONFIG={self.environment['KRB5_CONFIG']} KRB5CCNAME=FILE:{self.folder / user}.cc"
        profile = shlex.quote(str(self.folder / f"{user}-browser"))
        return (
            "  To sign on to the intranet, in another terminal:",
            f"    export {settings}",
            f"    kinit {user}    # the password is {DEMO_PASSWORD}",
            f"    chromium {ALLOW_SIGN_ON} --user-data-dir={profile} {url}",
            f"    curl --negotiate --user : --request POST '{url}chat/negotiate?negotiateVersion=1'",
            "",
        )


@contextmanager
def running_intranet() -> Iterator[Intranet]:
    """Run the realm; its files are gone afterwards.

    Raises:
        KdcFailed: The realm cannot be started.
        ServerFailed: What it needs is missing here.
    """
    missing = missing_requirement()
    if missing is not None:
        raise ServerFailed(f"for an intranet {missing}")
    # A browser that is still open may write to its profile while the folder is removed.
    with tempfile.TemporaryDirectory(prefix="flask-signalr-demo-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with Kdc(folder, REALM) as kdc:
            for user in USERS:
                kdc.add_user(user, DEMO_PASSWORD)
            kdc.add_service(f"HTTP/{HOST}")
            keytab = kdc.write_keytab("http.keytab", f"HTTP/{HOST}")
            yield Intranet(folder, {**kdc.environment, "KRB5_KTNAME": f"FILE:{keytab}", "FLASK_DEMO_WINDOWS": "true"})
