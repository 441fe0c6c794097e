"""The auth chain: the schemes of a hub, asked in their order."""

from collections.abc import Sequence, Set

from flask import Request

from flask_signalr.auth.bearer_token import bearer_token
from flask_signalr.auth.echo import forget_credential, is_service_token
from flask_signalr.auth.scheme import AuthScheme
from flask_signalr.error_text import kind_of
from flask_signalr.errors import AuthenticationFailed
from flask_signalr.principal import ANONYMOUS, Principal


def authenticate(
    schemes: Sequence[AuthScheme],
    request: Request,
    *,
    allow_anonymous: bool,
    audience_base_urls: Set[str],
) -> Principal:
    """Return the principal of the first scheme that knows the caller.

    Args:
        schemes: Asked in this order.
        request: The caller's.
        allow_anonymous: Whether a caller who brings no credentials passes, as `ANONYMOUS`.
        audience_base_urls: Of the app's service endpoints, to know our own token by.

    Raises:
        AuthenticationFailed: A scheme refuses the caller, nobody accepts its bearer token, or it brings no
            credentials and the hub demands some.
    """
    token = bearer_token(request)
    while token is not None and is_service_token(token, audience_base_urls):
        forget_credential(request)
        token = bearer_token(request)
    for scheme in schemes:
        principal: object = scheme.authenticate(request)
        if principal is not None and not isinstance(principal, Principal):
            name, kind = type(scheme).__name__, kind_of(principal)
            raise TypeError(f"{name}.authenticate returned {kind}, not a Principal or None")
        if principal is not None and principal.is_authenticated:  # ANONYMOUS opens no hub that demands a sign-in
            if not principal.name or principal.name.isspace():
                raise AuthenticationFailed("this sign-in has no name")
            return principal
    if token is not None:
        raise AuthenticationFailed("nobody here accepts this bearer token: its issuer may be another one")
    if not allow_anonymous:
        raise AuthenticationFailed("sign in to connect")
    return ANONYMOUS


def challenges(schemes: Sequence[AuthScheme]) -> list[str]:
    """Return what a 401 advertises: the challenge of every scheme that has one, each once, in their order."""
    return list(dict.fromkeys(challenge for scheme in schemes if (challenge := scheme.challenge())))
