"""NTLM: a handshake of two tokens, whose half-done state waits in this process for the second one."""

import os
import secrets
import struct
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from flask_signalr.auth.kerberos_acceptor import Acceptance, SignOnIncomplete, SignOnRefused, on_windows, refusing
from flask_signalr.errors import ConfigurationError

if TYPE_CHECKING:
    from spnego import ContextProxy

COOKIE = "signalr-ntlm"
"""The cookie that brings the second token to the state of the first."""

LIFETIME = 30
"""Seconds that a half-done handshake waits; clients answer at once."""

CAPACITY = 1000
"""Half-done handshakes that are kept; with one more, the oldest is dropped."""

_NTLM = b"NTLMSSP\0"
_NEGOEX = b"NEGOEXTS"
_LOOK_INTO = 512  # bytes: the list of mechanisms comes first, then the token of the first one
_SAFE_LEVEL = "5"


def is_other_mechanism(token: bytes) -> bool:
    """Return whether a token begins with a mechanism that Windows falls back to without a Kerberos ticket."""
    return any(signature in token[:_LOOK_INTO] for signature in (_NTLM, _NEGOEX))


def is_second_token(token: bytes) -> bool:
    """Return whether a token, bare or within SPNEGO, is NTLM's AUTHENTICATE_MESSAGE ([MS-NLMP] §2.2.1.3)."""
    return _NTLM + b"\x03\0\0\0" in token[:_LOOK_INTO]


def demand_safe_ntlm() -> None:
    """Check that NTLM is checked strictly here.

    Windows does that by itself. Elsewhere pyspnego compares with a file of passwords, and its default level also
    accepts the old answers that can be forged; the level is an environment variable, read at every sign-on.

    Raises:
        ConfigurationError: It is not, or there is nothing to compare with.
    """
    if on_windows():
        return
    if os.environ.get("LM_COMPAT_LEVEL") != _SAFE_LEVEL:
        raise ConfigurationError(
            f"WindowsAuth(ntlm=True): set the environment variable LM_COMPAT_LEVEL={_SAFE_LEVEL}, below which NTLM's "
            "forgeable old forms are accepted; Kerberos alone, ntlm=False, is the better choice"
        )
    users = os.environ.get("NTLM_USER_FILE", "")
    if not users or not Path(users).is_file() or not os.access(users, os.R_OK):
        raise ConfigurationError(
            "WindowsAuth(ntlm=True): outside of Windows the environment variable NTLM_USER_FILE names a readable file "
            "of DOMAIN:user:password lines; accounts of Active Directory cannot be checked here"
        )


class Handshakes:
    """Half-done handshakes of this process, each good for one more token.

    Args:
        clock: Returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: OrderedDict[str, tuple[float, ContextProxy]] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, token: bytes) -> tuple[str, bytes]:
        """Return the id of a new handshake, and the challenge that answers its first token.

        Raises:
            SignOnRefused: The token is wrong.
        """
        import spnego

        demand_safe_ntlm()
        context = spnego.server(service="HTTP")
        with refusing(context):
            challenge = context.step(token)
        if context.complete or not challenge:
            raise SignOnRefused("it is no first token of NTLM")
        handshake = secrets.token_urlsafe(32)
        with self._lock:
            self._waiting[handshake] = (self._clock() + LIFETIME, context)
            while len(self._waiting) > CAPACITY:
                self._waiting.popitem(last=False)
        return handshake, challenge

    def finish(self, handshake: str, token: bytes) -> Acceptance:
        """Return who the second token of a handshake proves to be there.

        Raises:
            SignOnRefused: The token is wrong, or the handshake is unknown: used, too old, or of another process.
        """
        demand_safe_ntlm()
        with self._lock:  # taken out before it is used: a context that is done accepts any further token
            ends, context = self._waiting.pop(handshake, (0.0, None))
        if context is None or ends < self._clock():
            raise SignOnRefused("its handshake is not waiting in this process: NTLM needs a single one")
        with refusing(context):
            reply = context.step(token) or b""
            if not context.complete or context.negotiated_protocol != "ntlm":
                raise SignOnIncomplete("NTLM is not done after its second token")
            name = str(context.client_principal)
        if not on_windows() and name.casefold() != account_sent(token).casefold():
            raise SignOnRefused("its user name is not the one that was found")
        return Acceptance(name, True, "NTLM", reply)


def account_sent(token: bytes) -> str:
    r"""Return the account that an AUTHENTICATE_MESSAGE names, as its client wrote it ([MS-NLMP] §2.2.1.3).

    pyspnego takes a name with a backslash apart anew, and an empty one for the first line of the file of passwords:
    whoever knows that password could put any domain before that line's user. So what it accepts must be what was sent.

    Raises:
        SignOnRefused: The message cannot be read.
    """
    try:
        message = token[token.index(_NTLM) :]
        domain, user = (_text(message, position) for position in (28, 36))
    except (ValueError, struct.error) as exc:
        raise SignOnRefused("its token names no account that can be read") from exc
    return f"{domain}\\{user}" if domain else user


def _text(message: bytes, position: int) -> str:
    length, _, offset = struct.unpack_from("<HHI", message, position)
    return message[offset : offset + length].decode("utf-16-le")
