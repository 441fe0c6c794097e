"""The bearer token of a request: where it may stand, and what is refused before anyone looks into it."""

import re
from typing import NoReturn

from flask import Request

from flask_signalr.errors import AuthenticationFailed

HUB_PATHS = ("/negotiate",)
"""How the paths end on which a token may stand in the query: elsewhere it would only end up in logs and histories."""

MAX_LENGTH = 16 * 1024
"""Characters of the longest token that is looked at. Servers stop header lines at about the same length."""

# RFC 6750 §2.1, b64token; it has neither whitespace nor commas, so two credentials joined into one never match.
_B64TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_SECOND_CREDENTIAL = re.compile(r",\s*bearer(?:\s|$)", re.IGNORECASE)
_TOKEN_CHARACTER = re.compile(r"[\w!#$%&'*+.^`|~-]", re.ASCII)  # RFC 9110 §5.6.2


def bearer_token(request: Request) -> str | None:
    """Return the bearer token that a request brings, or ``None`` if it brings none.

    The ``Authorization`` header wins over the query's ``access_token``, which is how browsers send the token where
    they cannot set headers; it counts on a hub's paths only. A header with credentials of another scheme (Basic,
    Negotiate) leaves the query to look at.

    Raises:
        AuthenticationFailed: There is a bearer token and it cannot be one: it is empty, too long, given several
            times, or has characters that RFC 6750 does not allow. Unreadable is refused, never taken for none.
    """
    environ = request.environ
    header = environ.get("HTTP_AUTHORIZATION")
    if header is not None:
        token = _token_of_header(header.strip(" \t"))
        if token is not None:
            return _checked(token)
    query = environ.get("QUERY_STRING", "")
    if not environ.get("PATH_INFO", "").endswith(HUB_PATHS):
        return None
    if "access_token" in query or "%" in query:  # the name itself may be percent-encoded
        try:
            values = request.args.getlist("access_token")
        except UnicodeDecodeError as exc:
            raise AuthenticationFailed("the query with the bearer token (access_token) is not UTF-8") from exc
        if len(values) > 1:
            raise AuthenticationFailed("the query has several bearer tokens (access_token); send one")
        if values:
            return _checked(values[0])
    return None


def _token_of_header(header: str) -> str | None:
    """Return what follows ``Bearer``, or ``None`` if the header has another scheme."""
    if header[:6].lower() == "bearer":
        if header[6:7] == " ":
            return header[7:].lstrip(" ")
        if not _TOKEN_CHARACTER.match(header, 6):
            raise AuthenticationFailed("the Authorization header says Bearer without a token after one space")
    if not header.isascii():  # werkzeug raises at such a Basic, and with it a scheme that asks for `authorization`
        raise AuthenticationFailed("the Authorization header has other characters than ASCII")
    if "," in header and _SECOND_CREDENTIAL.search(header):
        _refuse_several_credentials()
    return None


def _checked(token: str) -> str:
    if len(token) > MAX_LENGTH:
        raise AuthenticationFailed(f"the bearer token is longer than {MAX_LENGTH} characters")
    if _B64TOKEN.fullmatch(token):
        return token
    if not token:
        raise AuthenticationFailed("the bearer token is empty")
    if "," in token:
        _refuse_several_credentials()
    raise AuthenticationFailed("the bearer token has characters that no bearer token has, such as spaces")


def _refuse_several_credentials() -> NoReturn:
    raise AuthenticationFailed("the request has several credentials (Authorization); send one")
