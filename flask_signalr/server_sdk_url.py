"""The server SDK's URL: it also tells the service about the request that negotiated."""

import os
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, unquote_plus

import msgspec
from flask import Request

from flask_signalr.errors import ConfigurationError
from flask_signalr.negotiation import ClientAccess, original_path, original_query, url_suffix

_SERVICES_OWN = frozenset({"access_token", "hub", "id"})
_IN_A_QUERY = "!$&'()*+,/:;=?@%"
"""What stands unescaped in a query, besides letters, digits and ``-._~`` (RFC 3986 §3.4)."""


def new_request_id() -> str:
    """Return a name for a request: of the form that the SDK's have, and without a meaning.

    Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR.Common/Auth/AuthUtility.cs.
    """
    return b64encode(os.urandom(8)).decode()


@dataclass(frozen=True)
class ServerSdkUrl:
    """What a hub's URLs tell the service of the request that negotiated, as ``server_sdk_url=`` takes it.

    Its functions, sync or async, are called in the request.

    Attributes:
        request_id: Names the request, so that it can be found again at the service.
        culture: Tells the culture of the request, such as ``de-DE`` or Flask-Babel's locale; ``None``, or empty, tells
            none.
        ui_culture: The same for the culture of texts.

    Raises:
        ConfigurationError: One of them cannot be called.
    """

    request_id: Callable[[], str] = new_request_id
    culture: Callable[[], object] | None = None
    ui_culture: Callable[[], object] | None = None

    def __post_init__(self) -> None:
        for name in ("request_id", "culture", "ui_culture"):
            function = getattr(self, name)
            if not callable(function) and (function is not None or name == "request_id"):
                raise ConfigurationError(f"ServerSdkUrl({name}=…) takes a function without arguments")

    def applied(self, access: ClientAccess, request: Request) -> ClientAccess:
        """Return the same access with a URL that tells about the request in which it was asked for.

        What the functions return is taken as it is: a mounted hub's are sync.
        """
        cultures = _name(self.culture), _name(self.ui_culture)
        query = original_query(client_query(request.query_string), self.request_id(), *cultures)
        return msgspec.structs.replace(access, url=access.url + url_suffix(original_path(request.path), query))


SERVER_SDK_URL = ServerSdkUrl()


def client_query(query: bytes) -> str:
    """Return a client's query as it came, but without what is not the client's to say.

    That is its bearer token, which the service and its logs must not get, and what the service reads for itself: a
    link that a page takes parameters from must not decide on the hub or the connection. What cannot stand in a URL as
    it is gets escaped.

    Args:
        query: The query string of the negotiate request.
    """
    parts = quote(query, safe=_IN_A_QUERY).split("&")
    return "&".join(part for part in parts if not _is_services_own(part))


def _is_services_own(part: str) -> bool:
    name = unquote_plus(part.partition("=")[0]).lower()  # ASP.NET reads names in any case
    return name in _SERVICES_OWN or name.startswith(("asrs.", "asrs_"))


def _name(culture: Callable[[], object] | None) -> str:
    """Return the name of a culture as .NET writes it; nothing else gets into the URL."""
    found = None if culture is None else culture()
    return "" if found is None else quote(str(found).replace("_", "-"), safe="")
