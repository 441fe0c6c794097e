"""Sign-on with a Kerberos ticket that goes with the request itself: MIT's library, on Windows SSPI, by pyspnego."""

import re
import sys
from base64 import b64encode
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import spnego
from requests import PreparedRequest, Response
from requests.auth import AuthBase
from requests.sessions import SessionRedirectMixin
from requests.utils import requote_uri

from flask_signalr.client.account import SERVICE, Account
from flask_signalr.errors import SignOnFailed

if sys.platform != "win32":  # pyspnego itself does without these two until the first token is wanted
    import gssapi  # noqa: F401
    import krb5  # noqa: F401

_REDIRECTS = SessionRedirectMixin()  # its rules, by which requests itself drops the header
_GET_A_TICKET = "`klist` shows this account's tickets, `kinit` gets one"
_REMEDIES = {
    2529638919: "ask the directory's administrators for that name (setspn), or give sign_on(host=…) the one it has",
    2529638944: _GET_A_TICKET,  # KRB5KRB_AP_ERR_TKT_EXPIRED; the one above: KRB5KDC_ERR_S_PRINCIPAL_UNKNOWN
    2529638949: "let the clocks be set by NTP: they may differ by five minutes",  # KRB5KRB_AP_ERR_SKEW
    2529639053: _GET_A_TICKET,  # KRB5_FCC_NOFILE
}
_REASON_LENGTH = 300


@dataclass(frozen=True)
class KerberosSignOn(AuthBase):
    """Puts a fresh token into each request; `sign_on` makes it.

    A token opens one request at one service. The request that follows a redirect gets one of its own, as long as the
    redirect stays within the origin; whatever leaves it gets none, and neither does what comes back.

    Attributes:
        account: Whose sign-on it is.
    """

    account: Account

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Sign on a request that is about to be sent.

        Raises:
            SignOnFailed: This machine cannot.
        """
        request.headers["Authorization"] = self._authorization(request.url)
        request.register_hook("response", self._follow)
        return request

    def _follow(self, response: Response, **_: Any) -> None:
        """Prepare what requests sends after a redirect: a copy of the request that was answered."""
        location = _REDIRECTS.get_redirect_target(response)
        headers = response.request.headers
        if location is None or headers.pop("Authorization", None) is None:
            return
        try:
            target = urljoin(response.url, requote_uri(location))
            if _REDIRECTS.should_strip_auth(response.url, target):
                return
        except ValueError:  # what requests makes of it gets no token
            return
        try:
            headers["Authorization"] = self._authorization(target)
        except SignOnFailed:
            response.close()  # nobody else gets hold of it
            raise

    def _authorization(self, url: str | None) -> str:
        host = self.account.host_for(url)
        flags = spnego.ContextReq.default
        if self.account.delegate:
            flags |= spnego.ContextReq.delegate
        try:
            # By Kerberos alone: Negotiate would fall back to NTLM, which takes two requests and proves less.
            context = spnego.client(
                self.account.user,
                self.account.password,
                hostname=host,
                service=SERVICE,
                context_req=flags,
                protocol="kerberos",
            )
            token = context.step() or b""
        except Exception as exc:  # SpnegoError, krb5's own, and whatever else a library makes of a ticket cache
            raise _failure(f"{SERVICE}/{host}", exc) from exc
        return f"Negotiate {b64encode(token).decode()}"


def _failure(service: str, error: Exception) -> SignOnFailed:
    """Return what a reader can do something about: the last part of a text that starts with numbers of the library."""
    cause = getattr(error, "base_error", None) or error
    text = re.sub(r"^.*Minor \(\d+\): | -\d+$", "", str(cause), flags=re.DOTALL)[:_REASON_LENGTH].rstrip(".")
    remedy = _REMEDIES.get(getattr(cause, "min_code", 0))
    return SignOnFailed(f"cannot sign on to {service}: {text}" + (f"; {remedy}" if remedy else ""))
