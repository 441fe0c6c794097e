"""The operations of the data-plane REST API, by method and path.

Source: Azure/azure-signalr:docs/swagger/V20220601.json and v20241201.json.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from flask_signalr.emulator.rest import commands, invocations, live_connection, members, messages, streams, tokens
from flask_signalr.emulator.rest.call import Operation, RestCall
from flask_signalr.emulator.rest.response import RestResponse
from flask_signalr.errors import BadRequest

API_VERSIONS = ("2022-06-01", "2022-11-01", "2023-07-01", "2024-12-01", "2026-07-01")
"""The versions that a call may name, oldest first; what two of them have in common means the same in both."""


@dataclass(frozen=True)
class Route:
    """One operation and where it is found.

    Attributes:
        method: The HTTP method.
        path: The path, with placeholders in braces; each stands for one segment.
        operation: What it does.
        status: The status of its success.
        query: The query parameters that it takes, besides ``api-version``.
        body: What its body is called in the OpenAPI document; ``None`` if it reads none.
        answer: What the body of its answer is called there; ``None`` if it has none.
        since: The first version of the API that has it.
        is_public: Whether anyone may call it, without a token and an api-version.
        is_versioned: Whether it wants an api-version.
        wants_entra: Whether it wants a Microsoft Entra token, and no access key will do.
    """

    method: str
    path: str
    operation: Operation
    status: int
    query: tuple[str, ...] = ("application",)
    body: str | None = None
    answer: str | None = None
    since: str = API_VERSIONS[0]
    is_public: bool = False
    is_versioned: bool = True
    wants_entra: bool = False

    def match(self, segments: Sequence[str]) -> dict[str, str] | None:
        """Return what stands for the placeholders, ``None`` if the path is another one."""
        pattern = self.path.split("/")
        if len(pattern) != len(segments):
            return None
        names = {}
        for expected, segment in zip(pattern, segments, strict=True):
            if expected.startswith("{") and segment:
                names[expected.strip("{}")] = segment
            elif expected != segment:
                return None
        return names


def health(call: RestCall) -> RestResponse:
    """Tell that the service is up."""
    return RestResponse(200)


_HUB = "/api/hubs/{hub}"
_CONNECTION = f"{_HUB}/connections/{{connectionId}}"
_STREAM = f"{_CONNECTION}/streams/{{streamId}}"
_GROUP = f"{_HUB}/groups/{{group}}"
_USER = f"{_HUB}/users/{{user}}"
_GROUP_CONNECTION = f"{_GROUP}/connections/{{connectionId}}"
_USER_GROUP = f"{_USER}/groups/{{group}}"
_SENDING = ("application", "excluded")
_CLOSING = ("application", "excluded", "reason")
_PAGING = ("application", "maxpagesize", "top", "continuationToken")
_2022, _2023, _2024, _2026 = API_VERSIONS[1:]

_READERS = (
    ("/api/health", health, True),
    (_CONNECTION, members.find_connection, False),
    (_GROUP, members.find_group, False),
    (_USER, members.find_user, False),
    (_USER_GROUP, members.find_user_in_group, False),
)

ROUTES = (
    *(
        Route(method, path, operation, 200, () if is_public else ("application",), is_public=is_public)
        for path, operation, is_public in _READERS
        for method in ("HEAD", "GET")  # the swagger has HEAD, and the server SDK asks with GET
    ),
    Route("GET", "/api/auth/accessKey", tokens.exchange_key, 200, (), answer="AccessKey", since=_2024,
          wants_entra=True),
    Route("GET", "/api/v1/auth/accessKey", tokens.exchange_key, 200, (), answer="AccessKey",  # the server SDK's
          is_versioned=False, wants_entra=True),
    Route("POST", f"{_HUB}/:send", messages.send, 202, _SENDING, "Message"),
    Route("POST", f"{_HUB}/:closeConnections", messages.close, 204, _CLOSING),
    Route("POST", f"{_HUB}/:generateToken", tokens.generate_token, 200, ("userId", "minutesToExpire"),
          answer="Token", since=_2022),
    Route("POST", f"{_HUB}/:execute", commands.execute, 202, ("filter",), "Commands", since=_2023),
    Route("DELETE", _CONNECTION, messages.close_connection, 200, ("application", "reason")),
    Route("POST", f"{_HUB}/connections/:refreshAuth", live_connection.refresh, 200, body="Renewal", answer="Claims",
          since=_2026),
    Route("POST", f"{_HUB}/connections/claims", live_connection.read_claims, 200, body="ConnectionToken",
          answer="Claims", since=_2026),
    Route("QUERY", f"{_HUB}/connections/claims", live_connection.read_claims, 200, body="ConnectionToken",
          answer="Claims", since=_2026),
    Route("POST", f"{_CONNECTION}/:send", messages.send, 202, body="Message"),
    Route("POST", f"{_CONNECTION}/:invoke", invocations.invoke, 200, body="Message", answer="Result", since=_2024),
    Route("DELETE", f"{_CONNECTION}/groups", members.remove_connection_from_all, 200),
    Route("POST", f"{_STREAM}/:send", streams.send_item, 202, ("application", "completed"), "Item", since=_2024),
    Route("POST", f"{_STREAM}/:complete", streams.complete, 202, ("application", "reason"), since=_2024),
    Route("POST", f"{_GROUP}/:send", messages.send, 202, _SENDING, "Message"),
    Route("POST", f"{_GROUP}/:closeConnections", messages.close, 204, _CLOSING),
    Route("GET", f"{_GROUP}/connections", members.list_connections, 200, _PAGING, answer="Page", since=_2024),
    Route("PUT", _GROUP_CONNECTION, members.add_connection, 200),
    Route("DELETE", _GROUP_CONNECTION, members.remove_connection, 200),
    Route("POST", f"{_USER}/:send", messages.send, 202, _SENDING, "Message"),
    Route("POST", f"{_USER}/:closeConnections", messages.close, 204, _CLOSING),
    Route("PUT", _USER_GROUP, members.add_user, 200, ("application", "ttl")),
    Route("DELETE", _USER_GROUP, members.remove_user, 204),
    Route("DELETE", f"{_USER}/groups", members.remove_user_from_all, 204),
)  # fmt: skip


def routes_of(path: str) -> Iterator[tuple[Route, dict[str, str]]]:
    """Yield the routes that lead to a path, with the names in it.

    The path is cut before it is decoded: an encoded slash is part of a name.

    Raises:
        BadRequest: The path is not UTF-8.
    """
    try:
        segments = [unquote_to_bytes(segment).decode() for segment in path.split("/")]
    except UnicodeError as exc:
        raise BadRequest("The path is not UTF-8.") from exc
    for route in ROUTES:
        names = route.match(segments)
        if names is not None:
            yield route, names
