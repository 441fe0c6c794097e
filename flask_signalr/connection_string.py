"""Connection strings, as the Azure portal shows them: ``Endpoint=https://…;AccessKey=…;Version=1.0;``."""

import re
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Literal
from urllib.parse import SplitResult, quote, urlsplit

from flask_signalr.errors import ConfigurationError


@dataclass(frozen=True)
class EntraCredential:
    """The Microsoft Entra ID credential that a connection string describes with its ``AuthType``.

    Attributes:
        kind: ``default`` (the default chain), ``managed_identity``, ``client_secret`` or ``client_certificate``.
        client_id: The application, or the user-assigned managed identity; ``None`` for the system-assigned one.
        tenant_id: The directory of the application.
        client_secret: The application's secret.
        certificate_path: The file of the application's certificate.
    """

    kind: Literal["default", "managed_identity", "client_secret", "client_certificate"]
    client_id: str | None = None
    tenant_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    certificate_path: str | None = None


@dataclass(frozen=True)
class ConnectionString:
    """A connection string's parts. Every URL ends in a slash.

    Attributes:
        endpoint: The base URL of the service, with the port that applies and the path if it has one.
        audience_base_url: Scheme and host of ``endpoint``, without port and path: tokens are made for it.
        client_endpoint: The base URL for clients, if it is another one.
        server_endpoint: The base URL for REST calls, if it is another one.
        access_key: The shared key; ``None`` when ``credential`` takes its place.
        credential: The Entra ID credential; ``None`` when there is an access key.
    """

    endpoint: str
    audience_base_url: str
    client_endpoint: str | None
    server_endpoint: str | None
    access_key: str | None = field(repr=False)
    credential: EntraCredential | None


def parse_connection_string(text: str) -> ConnectionString:
    """Return the parts of a connection string.

    Args:
        text: ``Endpoint=…;AccessKey=…`` with the optional keys ``Port``, ``ClientEndpoint``, ``ServerEndpoint``,
            ``Version``, ``AuthType``, ``ClientId``, ``TenantId``, ``ClientSecret``, ``ClientCert`` (also
            ``ClientCertPath``). Keys in any case; unknown ones are ignored.

    Raises:
        ConfigurationError: It is malformed. The texts begin as the SDK's and never show a secret. The SDK lets pass
            what is refused here: control characters, URLs with a user, a query, a space or port 0.

    Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR.Common/Utilities/ConnectionStringParser.cs.
    """
    # In the SDK's order, so that a string with two faults gets the same message.
    properties = _properties(text)
    url = _endpoint_url(properties)
    _check_version(properties)
    endpoint = _with_port(url, properties)
    client = _other_url(
        properties, "clientendpoint", "Invalid value for clientEndpoint property, it must be a valid URI."
    )
    server = _other_url(
        properties,
        "serverendpoint",
        "ServerEndpoint property in connection string is not a valid URI: {value}.",
    )
    credential = _credential(properties)
    if credential is None and not properties.get("accesskey"):
        raise ConfigurationError("accesskey is required.")
    return ConnectionString(
        endpoint=_base_url(endpoint),
        audience_base_url=f"{endpoint.scheme}://{_host(endpoint)}/",
        client_endpoint=client and _base_url(client),
        server_endpoint=server and _base_url(server),
        access_key=properties["accesskey"] if credential is None else None,
        credential=credential,
    )


AUTH_TYPES = ("azure", "azure.msi", "azure.app", "aad")
"""What ``AuthType`` may be; to the SDK everything else means the access key."""


def auth_type(text: str) -> str:
    """Return the ``AuthType`` of a connection string in lower case; empty if it has none.

    Raises:
        ConfigurationError: The text is no list of keys and values.
    """
    return _properties(text).get("authtype", "").lower()


_VERSION = re.compile(r"1\.[0-9]+[\w.-]*", re.ASCII)
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?|\[[0-9a-f:.]+\]", re.ASCII)
_IPV6 = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]*)?", re.ASCII)
_LONGEST_NAME = 253  # characters, RFC 1035
_DEFAULT_PORTS = {"http": 80, "https": 443}
_MISSING = "Connection string missing required properties {}."
_UNREADABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_ODD = re.compile(r"[^\w.:/-]", re.ASCII)


def _properties(connection_string: str) -> dict[str, str]:
    """Return the key-value pairs, keys in lower case."""
    if not connection_string.strip():
        raise ConfigurationError("'connectionString' cannot be null or whitespace.")
    pieces = [piece for piece in connection_string.split(";") if piece]
    if len(pieces) < 2:
        raise ConfigurationError(_MISSING.format("endpoint"))
    properties: dict[str, str] = {}
    for piece in pieces:
        key, separator, value = piece.partition("=")
        if not separator:
            continue
        key, value = key.strip(), value.strip()
        if _UNREADABLE.search(key + value):
            raise ConfigurationError("The connection string holds a control character or bytes that are not UTF-8.")
        if key.lower() in properties:
            raise ConfigurationError(f"Duplicate properties found in connection string: {_shown(key)}.")
        properties[key.lower()] = value
    return properties


def shown_name(name: str) -> str:
    """Return an endpoint's name for the text of an error: only what looks like one, and is shorter than a key.

    Where a configuration is written the wrong way round, a key or a connection string stands in the name's place.
    """
    return name if _NAME.fullmatch(name) else _NOT_SHOWN


_SHORTEST_SECRET = 20
_NOT_SHOWN = "(not shown)"
_NAME = re.compile(r"[\w .:-]{0,31}")


def _shown(text: str) -> str:
    """Return as much of a wrong text as is no secret: behind it may stand all that follows a forgotten semicolon."""
    shown = _ODD.split(text, maxsplit=1)[0]
    return shown if len(shown) < _SHORTEST_SECRET and "@" not in text else _NOT_SHOWN


def _endpoint_url(properties: dict[str, str]) -> SplitResult:
    if "endpoint" not in properties:
        raise ConfigurationError(_MISSING.format("endpoint"))
    url = _http_url(properties["endpoint"].rstrip("/"))
    if url is None:
        raise ConfigurationError("Invalid value for endpoint property, it must be a valid URI.")
    return url


def _http_url(text: str) -> SplitResult | None:
    """Return an absolute URL of http or https, in lower case up to its path; ``None`` if the text is none."""
    try:
        url = urlsplit(text)
        host = _url_host(url)
        port = url.port
    except ValueError:  # also a UnicodeError of a host name
        return None
    # A space comes of a forgotten semicolon: the access key would be a part of the URL that each client gets.
    odd_parts = url.username or url.password or url.query or url.fragment or " " in url.path
    if url.scheme not in _DEFAULT_PORTS or odd_parts or port == 0 or not _HOST.fullmatch(host):
        return None
    netloc = host if port in (None, _DEFAULT_PORTS[url.scheme]) else f"{host}:{port}"
    return url._replace(netloc=netloc)


def _url_host(url: SplitResult) -> str:
    """Return the host as a URL has it: a name in ASCII, or an IPv6 address in its brackets."""
    if "[" in url.netloc:
        address = _IPV6.fullmatch(url.netloc)
        return f"[{IPv6Address(address[1])}]" if address else ""
    name = url.hostname or ""
    ascii_name = name.encode("idna").decode() if len(name) <= _LONGEST_NAME else ""
    if not name.isascii() and ascii_name.encode().decode("idna") != name:
        return ""  # the standards disagree about such names: of faß.example one makes fass.example, another host
    return ascii_name


def _check_version(properties: dict[str, str]) -> None:
    version = properties.get("version")
    if version is not None and not _VERSION.fullmatch(version):
        raise ConfigurationError(f"Version {_shown(version)} is not supported.")


def _with_port(url: SplitResult, properties: dict[str, str]) -> SplitResult:
    port = properties.get("port")
    if port is None:
        return url
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        raise ConfigurationError("Invalid value for port property, it must be an positive integer between (0, 65536)")
    netloc = _host(url) if int(port) == _DEFAULT_PORTS[url.scheme] else f"{_host(url)}:{int(port)}"
    return url._replace(netloc=netloc)


def _other_url(properties: dict[str, str], key: str, message: str) -> SplitResult | None:
    value = properties.get(key)
    if value is None:
        return None
    url = _http_url(value)
    if url is None:
        raise ConfigurationError(message.format(value=_shown(value)))
    return url


def _host(url: SplitResult) -> str:
    """Return the host without port; of IPv6 with its brackets."""
    return re.sub(r":[0-9]+$", "", url.netloc)


def _base_url(url: SplitResult) -> str:
    """Return the URL with a slash at its end.

    The SDK glues a path without one to what follows (``https://x/pathclient/``), which is no use to anybody.
    """
    path = quote(url.path, safe="/%:@!$&'()*+,;=~-._").rstrip("/")
    return f"{url.scheme}://{url.netloc}{path}/"


def _credential(properties: dict[str, str]) -> EntraCredential | None:
    """Return the credential that ``AuthType`` selects; ``None`` means the access key."""
    client_id, tenant_id = properties.get("clientid"), properties.get("tenantid")
    match properties.get("authtype", "").lower():
        case "azure":
            return EntraCredential("default")
        case "azure.msi":
            return EntraCredential("managed_identity", client_id)
        case "azure.app":
            if not client_id:
                raise ConfigurationError(_MISSING.format("clientId"))
            if not tenant_id:
                raise ConfigurationError(_MISSING.format("tenantId"))
            return _application(properties, client_id, tenant_id)
        case "aad":
            if client_id and tenant_id:
                return _application(properties, client_id, tenant_id)
            return EntraCredential("managed_identity", client_id)
        case _:
            return None


def _application(properties: dict[str, str], client_id: str, tenant_id: str) -> EntraCredential:
    if secret := properties.get("clientsecret"):
        return EntraCredential("client_secret", client_id, tenant_id, client_secret=secret)
    # The SDK reads clientCert; Microsoft's documents call it ClientCertPath.
    if certificate := properties.get("clientcert") or properties.get("clientcertpath"):
        return EntraCredential("client_certificate", client_id, tenant_id, certificate_path=certificate)
    raise ConfigurationError(_MISSING.format("clientSecret or clientCert"))
