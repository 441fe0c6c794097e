"""What pywin32 gives to requests-negotiate-sspi, as far as that uses it, over this machine's Kerberos.

With it the package's own code runs on Linux. What differs on Windows is that its SSPI may choose NTLM.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import spnego
from requests.adapters import HTTPAdapter
from urllib3.response import HTTPResponse

SEC_E_NO_CREDENTIALS = 0x8009030E - 2**32  # pywin32 has the codes of winerror.h as signed numbers
SECBUFFER_TOKEN, SECBUFFER_CHANNEL_BINDINGS, ISC_REQ_DELEGATE = 2, 14, 1

asked: list[SimpleNamespace] = []
"""What SSPI was asked for: each with the members ``scheme``, ``targetspn``, ``auth_info`` and ``client``."""


class SspiError(Exception):
    """pywin32's ``pywintypes.error``: its arguments are the number, the function and the text."""


class ClientAuth:
    """pywin32's ``sspi.ClientAuth``."""

    def __init__(self, scheme: str, targetspn: str, auth_info: tuple[str, str, str] | None) -> None:
        self.scflags = 0
        self.authenticated = False
        service, _, host = targetspn.partition("/")
        user, _, password = auth_info or (None, None, None)
        self._context = fails_as_windows_does(
            "AcquireCredentialsHandle",
            spnego.client,
            user,
            password,
            hostname=host,
            service=service,
            protocol="kerberos",
        )
        asked.append(SimpleNamespace(scheme=scheme, targetspn=targetspn, auth_info=auth_info, client=self))

    def authorize(self, buffers: list[Any]) -> tuple[int, list[Any]]:
        tokens = [buffer.Buffer for buffer in buffers if buffer.type == SECBUFFER_TOKEN]
        answer = fails_as_windows_does("InitializeSecurityContext", self._context.step, *tokens[-1:])
        self.authenticated = self._context.complete
        return 0, [SimpleNamespace(Buffer=answer or b"")]


def fails_as_windows_does(function: str, call: Any, *arguments: Any, **options: Any) -> Any:
    try:
        return call(*arguments, **options)
    except Exception as exc:
        text = "No credentials are available in the security package"
        raise SspiError(SEC_E_NO_CREDENTIALS, function, text) from exc


def security_buffer(size: int, kind: int) -> SimpleNamespace:
    return SimpleNamespace(type=kind, Buffer=b"")


MODULES: dict[str, dict[str, Any]] = {
    "pywintypes": {"error": SspiError},
    "sspi": {"ClientAuth": ClientAuth},
    "sspicon": {
        "ISC_REQ_DELEGATE": ISC_REQ_DELEGATE,
        "SECBUFFER_TOKEN": SECBUFFER_TOKEN,
        "SECBUFFER_CHANNEL_BINDINGS": SECBUFFER_CHANNEL_BINDINGS,
    },
    "win32security": {
        "QuerySecurityPackageInfo": lambda scheme: {"Name": scheme, "MaxToken": 48_256},
        "PySecBufferDescType": list,
        "PySecBufferType": security_buffer,
    },
}
IMPORTED_OVER_THEM = ("requests_negotiate_sspi", "flask_signalr.client.sspi")


@contextmanager
def windows_modules() -> Iterator[list[SimpleNamespace]]:
    """Have pywin32's modules while a block runs, and yield what SSPI is asked for meanwhile."""
    # The package replaces these two for good when it is imported.
    replaced = HTTPResponse.__init__, HTTPAdapter.build_response
    for name, members in MODULES.items():
        sys.modules[name] = ModuleType(name)
        vars(sys.modules[name]).update(members)
    asked.clear()
    try:
        yield asked
    finally:
        HTTPResponse.__init__, HTTPAdapter.build_response = replaced  # type: ignore[method-assign]
        for name in list(sys.modules):
            if name in MODULES or name.startswith(IMPORTED_OVER_THEM):
                del sys.modules[name]
