"""Roles of Windows accounts: where they come from."""

from collections.abc import Callable, Iterable

from flask_signalr.auth.windows_identity import WindowsIdentity

RolesProvider = Callable[[WindowsIdentity], Iterable[str]]
"""Returns the roles of an account that signed on; each becomes a claim of the type ``role``.

It runs at every sign-on, so it keeps what is slow to find. When it cannot tell, it raises: `Unavailable` for a
directory that is down (503), `AuthorizationDenied` for an account that may not come in (403).
"""
