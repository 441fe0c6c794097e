"""The acceptor: takes the one token of a Kerberos sign-on and says whose it is. It keeps nothing between requests."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask_signalr.auth.keytab import is_http
from flask_signalr.errors import MissingExtra

if TYPE_CHECKING:
    from spnego import ContextProxy

# Minor codes of MIT's library (krb5_err.h), and errno of its replay cache, whose cause may well be on our side.
_REMEDIES = {
    2529638947: "the keytab has no key for the name in the URL",  # KRB5KRB_AP_ERR_NOT_US
    2529638949: "let the clocks be set by NTP: they may differ by five minutes",  # KRB5KRB_AP_ERR_SKEW
    2529638956: "the keytab is older than the service's password: export it anew",  # KRB5KRB_AP_ERR_BADKEYVER
    2529638957: "the keytab has no key of this kind: export it anew",  # KRB5KRB_AP_ERR_NOKEY
    errno.ENOENT: "the folder of the replay cache is missing: name another one in KRB5RCACHEDIR",
    errno.EACCES: "the replay cache cannot be written: name another folder in KRB5RCACHEDIR",
    errno.ENOSPC: "the disk of the replay cache is full",
    errno.EROFS: "the replay cache cannot be written: name another folder in KRB5RCACHEDIR",
}
_GSS_S_NO_CRED = 7 << 16  # RFC 2744 §3.9.1
_NO_CREDENTIALS = "the keytab cannot be read, or has no key for HTTP: see KRB5_KTNAME"
_REASON_LENGTH = 400


class SignOnRefused(Exception):
    """A sign-on token that proves nothing.

    Args:
        reason: Why, for the log; never a part of the token.
        is_ours: Whether the cause is likely on our side.
    """

    def __init__(self, reason: str, *, is_ours: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_ours = is_ours


class SignOnIncomplete(SignOnRefused):
    """A sign-on that is not done after its first token, or not by Kerberos."""


CLOCK_SKEW = 300
"""Seconds that MIT Kerberos adds to what is left of a ticket: its default for clocks that differ."""


@dataclass(frozen=True)
class Acceptance:
    """What an accepted token proved.

    Attributes:
        name: Who signed on: a Kerberos principal as MIT's library writes it, or, `is_account`, as Windows does.
        is_account: Which of the two.
        protocol: ``Kerberos`` or ``NTLM``.
        reply: What lets the client check that it reached the right service; empty if there is nothing.
        lifetime: Seconds until the ticket ends; ``None`` where that is not told.
    """

    name: str
    is_account: bool
    protocol: str
    reply: bytes = field(repr=False)
    lifetime: int | None = None


def on_windows() -> bool:
    """Return whether sign-on goes through Windows' own SSPI."""
    return sys.platform == "win32"


def demand_spnego() -> None:
    """Check that sign-on can work at all.

    Raises:
        MissingExtra: A package of the extra ``windows`` is not installed.
    """
    try:
        import spnego  # noqa: F401 -- asked only whether it is there

        if not on_windows():  # pyspnego does without these two until the first token comes
            import gssapi  # noqa: F401
            import krb5  # noqa: F401
    except ImportError as exc:
        raise MissingExtra("WindowsAuth", "windows") from exc


def accept(token: bytes, service_principal: str | None) -> Acceptance:
    """Return whose sign-on token this is.

    Args:
        token: The first and only one.
        service_principal: The service that its ticket must be for, ``HTTP/app.intranet.example``; with ``None``
            any web service whose key is in the keytab.

    Raises:
        SignOnRefused: It proves nothing.
        SignOnIncomplete: The client wants to go on, or used something else than Kerberos.
    """
    import spnego

    context = spnego.server(service="HTTP")
    with refusing(context):
        reply = context.step(token) or b""
        if not context.complete or context.negotiated_protocol != "kerberos":
            raise SignOnIncomplete("it is no sign-on by Kerberos with one token (for which pyspnego 0.12.4 is needed)")
        name = str(context.client_principal)
        if on_windows():
            return Acceptance(name, True, "Kerberos", reply)
        established = context._context._context  # type: ignore[attr-defined] # python-gssapi's: pyspnego hides it
        service = str(established.target_name)
        if not _is_meant(service, service_principal):
            raise SignOnRefused(f"its ticket is for {service!r} and not for {service_principal or 'a web service'}")
        return Acceptance(name, False, "Kerberos", reply, established.lifetime - CLOCK_SKEW)


@contextmanager
def refusing(context: "ContextProxy") -> Iterator[None]:
    """Turn whatever a token makes the libraries raise into `SignOnRefused`: a bad token must never be a 500."""
    try:
        yield
    except SignOnRefused:
        raise
    except Exception as exc:
        raise _refused(exc, context) from exc


def _is_meant(service: str, wanted: str | None) -> bool:
    if wanted is None:
        return is_http(service)
    return service.rpartition("@")[0].lower() == wanted.lower() and service.isascii()


def _refused(error: Exception, context: "ContextProxy") -> SignOnRefused:
    """Return the real reason of an error.

    python-gssapi keeps it back while there is a token to be sent about it, and pyspnego trips over that. Messages of
    other errors than theirs may quote the token, so of those only the kind is told.
    """
    from spnego.exceptions import SpnegoError

    cause: Any = _kept_back(context) or error
    text = str(cause) if isinstance(cause, SpnegoError) else ""
    while isinstance(cause, SpnegoError) and cause.base_error is not None:
        cause = cause.base_error
    if hasattr(cause, "min_code"):  # python-gssapi's GSSError, which Windows lacks
        text = text or str(cause)
        remedy = _NO_CREDENTIALS if cause.maj_code == _GSS_S_NO_CRED else _REMEDIES.get(cause.min_code)
        if remedy:
            return SignOnRefused(f"{text[:_REASON_LENGTH]!r}; {remedy}", is_ours=True)
    return SignOnRefused(repr(text[:_REASON_LENGTH]) if text else f"it is malformed ({type(cause).__name__})")


def _kept_back(context: "ContextProxy") -> Any:
    try:
        return context._context._context._last_err  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 -- not public: where there is none, it raises this and that
        return None
