"""Sign-on by Windows' own SSPI, with requests-negotiate-sspi; on a machine without it this module cannot be imported.

Around that package stands what it lacks: it answers whoever challenges, and it fails with a ``TypeError``.
"""

import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pywintypes
from requests import HTTPError, PreparedRequest, Response
from requests.auth import AuthBase
from requests.sessions import SessionRedirectMixin
from requests_negotiate_sspi import HttpNegotiateAuth

from flask_signalr.client.account import SERVICE, Account
from flask_signalr.errors import SignOnFailed

_REDIRECTS = SessionRedirectMixin()
_REMEDIES = {  # winerror.h
    0x80090303: "the directory does not know that name: ask its administrators (setspn), or give sign_on(host=…)",
    0x8009030C: "the user name or the password is wrong",  # SEC_E_LOGON_DENIED; above: SEC_E_TARGET_UNKNOWN
    0x8009030E: "sign in to Windows with an account of the domain",  # SEC_E_NO_CREDENTIALS
    0x80090311: "no domain controller answers",  # SEC_E_NO_AUTHENTICATING_AUTHORITY
    0x80090324: "let the clocks be set by the domain",  # SEC_E_TIME_SKEW
}

_Hook = Callable[..., Response | None]


@dataclass(frozen=True)
class SspiSignOn(AuthBase):
    """Answers an app's challenge by SSPI; `sign_on` makes it.

    Attributes:
        account: Whose sign-on it is.
    """

    account: Account

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Prepare a request for the challenge that its answer may be."""
        # One for each request, because it keeps the first host that it saw for the service's name.
        HttpNegotiateAuth(
            **self._credentials(), service=SERVICE, host=self.account.host, delegate=self.account.delegate
        )(request)
        hook = request.hooks["response"].pop()
        service = f"{SERVICE}/{self.account.host_for(request.url)}"
        request.register_hook("response", _Challenged(service, request.url or "", hook))
        return request

    def _credentials(self) -> dict[str, str | None]:
        domain, separator, name = (self.account.user or "").rpartition("\\")
        if not separator and "@" not in name:
            return {"username": self.account.user, "password": self.account.password}
        return {"username": name, "password": self.account.password, "domain": domain}


@dataclass
class _Challenged:
    """What happens to the answers to one request, and to those that follow its redirects.

    Attributes:
        service: The service's principal name.
        url: What the caller asked for.
        hook: The package's own.
        has_left: Whether a redirect led to another origin; from then on nothing is answered.
    """

    service: str
    url: str
    hook: _Hook = field(repr=False)
    has_left: bool = False

    def __call__(self, response: Response, **options: Any) -> Response | None:
        """Return the answer to the request once it is signed on; ``None`` where there is nothing to sign on to.

        Raises:
            SignOnFailed: Windows cannot.
        """
        self.has_left = self.has_left or _REDIRECTS.should_strip_auth(self.url, response.url)
        # The package would also answer a challenge of NTLM alone, which proves the password to whoever asks.
        offered = response.headers.get("WWW-Authenticate", "").lower()
        if self.has_left or response.status_code != 401 or "negotiate" not in offered:
            return None
        adapter = _RememberingAdapter(response.connection)
        response.connection = adapter  # type: ignore[assignment] # as much of one as the package uses
        try:
            return self._answered(response, options)
        except SignOnFailed:
            for each in (response, *adapter.answers):
                each.close()
            raise

    def _answered(self, response: Response, options: dict[str, Any]) -> Response | None:
        if not _can_be_sent_again(response.request.body):
            raise SignOnFailed(
                f"cannot sign on to {self.service}: the body was read while the request was sent without a sign-on, "
                "and the package would send an empty one now; give bytes or a file"
            )
        try:
            return self.hook(response, **options)
        except pywintypes.error as exc:
            raise self._failure(exc) from exc
        except TypeError as exc:
            # The package reads an error of Windows' in Python 2's way, and fails while it does.
            if not isinstance(exc.__context__, pywintypes.error):
                raise
            raise self._failure(exc.__context__) from exc
        except HTTPError as exc:
            raise SignOnFailed(f"cannot sign on to {self.service}: {exc}") from exc
        except binascii.Error as exc:
            raise SignOnFailed(f"cannot sign on to {self.service}: the app's answer to it is not base64") from exc

    def _failure(self, error: Any) -> SignOnFailed:
        code, function, text = (*error.args, "", "", "")[:3]
        number = code & 0xFFFFFFFF if isinstance(code, int) else 0
        remedy = _REMEDIES.get(number)
        return SignOnFailed(
            f"cannot sign on to {self.service}: {text} ({function}, 0x{number:08X})" + (f"; {remedy}" if remedy else "")
        )


class _RememberingAdapter:
    """An adapter of requests that remembers what was answered, so that it can be closed.

    Args:
        adapter: The real one.
    """

    def __init__(self, adapter: Any) -> None:
        self._adapter = adapter
        self.answers: list[Response] = []

    def send(self, request: PreparedRequest, **options: Any) -> Response:
        """Return the answer to a request."""
        answer: Response = self._adapter.send(request, **options)
        self.answers.append(answer)
        return answer


def _can_be_sent_again(body: Any) -> bool:
    return body is None or isinstance(body, str | bytes) or hasattr(body, "seek")
