"""The echo: our own service token, which the official JavaScript client sends back to us when it reconnects.

The client keeps the token of the last answer as its credential for every later request, the next negotiate included
(``dotnet/aspnetcore:src/SignalR/clients/ts/signalr/src/HttpConnection.ts``). It proves nothing to us, and taking it
for a wrong credential would end the reconnect of every caller who signs on by cookie or Windows.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Set
from urllib.parse import parse_qsl, urlencode

import msgspec
from flask import Request


class _Audience(msgspec.Struct):
    aud: str


_decode_audience = msgspec.json.Decoder(_Audience).decode

_AFTER_BASE_URL = "client/?hub="
"""What follows a service endpoint's URL in the audience of a client's token."""


def _spellings(text: bytes) -> tuple[str, ...]:
    """Return the three ways that a text looks in base64, by where it begins in a group of three bytes."""
    return tuple(
        urlsafe_b64encode(bytes(before) + text)[(8 * before + 5) // 6 : 8 * (before + len(text)) // 6].decode()
        for before in range(3)
    )


_SPELLINGS = _spellings(_AFTER_BASE_URL.encode())


def is_service_token(token: str, audience_base_urls: Set[str]) -> bool:
    """Return whether a token says that it was made for one of the service endpoints.

    The signature is not looked at, so that the echo is also known after a change of keys. That is safe because the
    answer can only take a credential away.

    Args:
        token: What the caller brought.
        audience_base_urls: Of the app's service endpoints.
    """
    for spelling in _SPELLINGS:
        if spelling in token:
            break
    else:
        return False  # at a glance, as most are not ours
    try:
        payload = token.split(".", 2)[1]
        audience = _decode_audience(urlsafe_b64decode(payload + "==")).aud
    except (IndexError, ValueError, RecursionError, binascii.Error, msgspec.DecodeError):
        return False
    base_url, separator, _ = audience.partition(_AFTER_BASE_URL)
    return bool(separator) and base_url in audience_base_urls


def forget_credential(request: Request) -> None:
    """Take the bearer token that comes first out of a request, for everybody who looks at it from here on.

    That is the one of the header, else that of the query: a client that was given a URL with a bearer token in it
    adds its echo to the header and goes on sending that URL.

    Changed in place and not in a copy: Flask-Login's ``request_loader`` and an app's own code look at Flask's global
    request.
    """
    environ = request.environ
    if environ.get("HTTP_AUTHORIZATION", "").lstrip(" \t")[:7].lower() == "bearer ":
        del environ["HTTP_AUTHORIZATION"]
        request.__dict__.pop("authorization", None)
        return
    query = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    kept = urlencode([(key, value) for key, value in query if key != "access_token"])
    environ["QUERY_STRING"] = kept
    request.query_string = kept.encode()
    for cached in ("args", "values", "full_path", "url"):
        request.__dict__.pop(cached, None)
