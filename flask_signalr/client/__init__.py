"""Sign-on for Python callers: `sign_on` returns what requests takes as ``auth=…`` on this machine.

Nothing but this module is loaded before it is called, because the rest needs the extra ``client``.
"""

import logging
import re
from typing import TYPE_CHECKING

from flask_signalr.client.account import SERVICE, Account
from flask_signalr.errors import ConfigurationError, MissingExtra

if TYPE_CHECKING:
    from requests.auth import AuthBase

__all__ = ["sign_on"]

_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?", re.ASCII)


def sign_on(
    *, user: str | None = None, password: str | None = None, host: str | None = None, delegate: bool = False
) -> "AuthBase":
    r"""Return an auth object for requests that signs on to a web app of the intranet, by HTTP's scheme Negotiate.

    On Windows it is requests-negotiate-sspi, if that is installed: it answers the app's challenge by SSPI. Anywhere
    else, and on a Windows without it, a Kerberos ticket goes with the request itself, by pyspnego, so that a body
    which can be read only once arrives. Neither sends anything to another origin that the app redirects to.

    An object can be used for any number of requests, apps and threads::

        requests.post("https://app.intranet.example/report", auth=sign_on(), timeout=10)

    Args:
        user: Who signs on: ``alice@INTRANET.EXAMPLE``, or ``INTRANET\alice`` on Windows; by default the account
            that is signed in on this machine.
        password: The user's.
        host: The host name in the service's principal name; by default that of the URL. For an app that is reached
            by another name than the one that the directory knows.
        delegate: Whether the app may act for the user elsewhere. It can do all that the user can: leave it off unless
            the app is trusted with that.

    Raises:
        ConfigurationError: A keyword cannot be used.
        MissingExtra: The extra ``client`` is not installed.

    Requests that use the object raise `SignOnFailed` when this machine cannot sign on. An app that refuses answers
    401 or 403, as usual.

    Source: RFC 4559.
    """
    account = Account(_checked("user", user), _checked("password", password), _checked_host(host), delegate)
    if (user is None) != (password is None):
        raise ConfigurationError(
            "sign_on(user=…, password=…): give both, or neither to sign on as the account that is signed in here"
        )
    logging.getLogger("spnego").setLevel(logging.INFO)  # at DEBUG it writes out every token
    try:
        import requests  # noqa: F401 -- asked only whether it is there
    except ImportError as exc:
        raise MissingExtra("sign_on", "client") from exc
    try:
        from flask_signalr.client.sspi import SspiSignOn
    except ImportError:  # not on Windows, or not installed there
        return _kerberos_sign_on(account)
    return SspiSignOn(account)


def _kerberos_sign_on(account: Account) -> "AuthBase":
    try:
        from flask_signalr.client.kerberos import KerberosSignOn
    except ImportError as exc:
        raise MissingExtra("sign_on", "client") from exc
    return KerberosSignOn(account)


def _checked(keyword: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"sign_on({keyword}=…): give a text that is not empty")
    return value


def _checked_host(value: object) -> str | None:
    host = _checked("host", value)
    if host is not None and not _HOST_NAME.fullmatch(host):
        raise ConfigurationError(
            f"sign_on(host=…): give the host name alone, as in {SERVICE}/app.intranet.example, without scheme and port"
        )
    return host
