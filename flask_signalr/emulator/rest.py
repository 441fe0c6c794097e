"""The data-plane REST API: what an app says to its clients, and who is in which group.

Source: Azure/azure-signalr:docs/swagger/V20220601.json and V20241201.json.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
from aiohttp import web

from flask_signalr.emulator.connections import Connection
from flask_signalr.emulator.membership import Membership
from flask_signalr.emulator.names import group_name, hub_name
from flask_signalr.emulator.requests import access_token, read_body, single
from flask_signalr.emulator.service import Service
from flask_signalr.emulator.settings import EmulatorSettings
from flask_signalr.emulator.tokens import TokenCheck
from flask_signalr.errors import BadRequest
from flask_signalr.messages import InvocationMessage

API_VERSIONS = ("2022-06-01", "2024-12-01")

_LONGEST_TTL = 2**31 - 1


@dataclass(frozen=True)
class Call:
    """One call of the API, understood and admitted.

    Attributes:
        service: The service that it is for.
        members: Who is in the hub that it is for.
        names: The connection, user and group that its path names, as far as it does.
        request: The request.
        body: Its body.
        now: The time, in seconds of the service's clock.
    """

    service: Service
    members: Membership
    names: Mapping[str, str]
    request: web.Request
    body: bytes
    now: float

    @property
    def recipients(self) -> list[Connection]:
        """The connections that the path names, but those that the query excludes."""
        excluded = frozenset(self.request.query.getall("excluded", []))
        match self.names:
            case {"connection": connection_id}:
                return self.members.with_id(connection_id)
            case {"group": group}:
                return self.members.in_group(group_name(group), excluded)
            case {"user": user_id}:
                return self.members.of_user(user_id, excluded)
        return self.members.everyone(excluded)


def send(call: Call) -> web.Response:
    """Send an invocation to the recipients; nobody there is no error."""
    if call.request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="The body must be application/json.")
    call.service.send(call.recipients, read_message(call.body), call.now)
    return web.Response(status=202)


def close(call: Call) -> web.Response:
    """Close the connections of the recipients, who may reconnect."""
    call.service.close(call.recipients, call.now, error=single(call.request, "reason"), allow_reconnect=True)
    return web.Response(status=204)


def close_connection(call: Call) -> web.Response:
    """Close one connection, which may reconnect."""
    if not call.recipients:
        raise _not_found("Warning.Connection.NotExisted", "The connection does not exist.")
    close(call)
    return web.Response(status=200)


def add_connection(call: Call) -> web.Response:
    """Put a connection into a group."""
    if not call.members.add_to_group(call.names["connection"], group_name(call.names["group"])):
        raise _not_found("Error.Connection.NotExisted", "The connection does not exist.")
    return web.Response(status=200)


def remove_connection(call: Call) -> web.Response:
    """Take a connection out of a group."""
    if not call.members.remove_from_group(call.names["connection"], group_name(call.names["group"])):
        raise _not_found("Error.Connection.NotExisted", "The connection is not in the group.")
    return web.Response(status=200)


def add_user(call: Call) -> web.Response:
    """Put a user into a group, for as long as the query's ``ttl`` says."""
    ttl = single(call.request, "ttl")
    if ttl is not None and not (ttl.isascii() and ttl.isdecimal() and len(ttl) <= 10 and int(ttl) <= _LONGEST_TTL):
        raise BadRequest(f"The query parameter 'ttl' must be a number of seconds between 0 and {_LONGEST_TTL}.")
    group = group_name(call.names["group"])
    call.members.add_user_to_group(call.names["user"], group, call.now, None if ttl is None else int(ttl))
    return web.Response(status=200)


def remove_user(call: Call) -> web.Response:
    """Take a user out of a group."""
    call.members.remove_user_from_group(call.names["user"], group_name(call.names["group"]))
    return web.Response(status=204)


def remove_user_from_all(call: Call) -> web.Response:
    """Take a user out of all groups."""
    call.members.remove_user_from_groups(call.names["user"])
    return web.Response(status=204)


Operation = Callable[[Call], web.Response]

_HUB = ("hubs", "{hub}")
_CONNECTION_IN_GROUP = (*_HUB, "groups", "{group}", "connections", "{connection}")
_USER_IN_GROUP = (*_HUB, "users", "{user}", "groups", "{group}")
_ROUTES: Mapping[tuple[str, ...], Mapping[str, Operation]] = {
    (*_HUB, ":send"): {"POST": send},
    (*_HUB, ":closeConnections"): {"POST": close},
    (*_HUB, "connections", "{connection}"): {"DELETE": close_connection},
    (*_HUB, "connections", "{connection}", ":send"): {"POST": send},
    (*_HUB, "groups", "{group}", ":send"): {"POST": send},
    (*_HUB, "groups", "{group}", ":closeConnections"): {"POST": close},
    _CONNECTION_IN_GROUP: {"PUT": add_connection, "DELETE": remove_connection},
    (*_HUB, "users", "{user}", ":send"): {"POST": send},
    (*_HUB, "users", "{user}", ":closeConnections"): {"POST": close},
    _USER_IN_GROUP: {"PUT": add_user, "DELETE": remove_user},
    (*_HUB, "users", "{user}", "groups"): {"DELETE": remove_user_from_all},
}


class RestEndpoint:
    """The handlers below ``/api/``.

    Args:
        service: The service that the calls are for.
        check: The check of access tokens.
        settings: The times to keep.
        clock: Returns the time in Unix seconds, for tokens.
    """

    def __init__(
        self, service: Service, check: TokenCheck, settings: EmulatorSettings, clock: Callable[[], float]
    ) -> None:
        self._service = service
        self._check = check
        self._settings = settings
        self._clock = clock

    async def health(self, request: web.Request) -> web.Response:
        """Answer ``HEAD /api/health``, which anyone may ask."""
        return web.Response(status=200)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer any other call."""
        operation, names = _find_operation(request)
        url = request.rel_url
        self._check.rest(access_token(request), url.raw_path, url.raw_query_string, self._clock())
        if single(request, "api-version") not in API_VERSIONS:
            raise BadRequest(f"The query parameter 'api-version' must be one of {', '.join(API_VERSIONS)}.")
        hub = hub_name(names["hub"], single(request, "application"))
        body = await read_body(request, self._settings.body_within)
        now = asyncio.get_running_loop().time()
        return operation(Call(self._service, self._service.members(hub), names, request, body, now))


def read_message(body: bytes) -> InvocationMessage:
    """Return the invocation that a body describes; the case of its members does not matter.

    Raises:
        BadRequest: The body is no such message.
    """
    if not body.strip():
        raise BadRequest("Message in request body is required.")
    try:
        members = msgspec.json.decode(body, type=dict[str, Any])
    except (ValueError, RecursionError) as exc:
        raise BadRequest(f"The body is no JSON object: {str(exc)[:200]}") from exc
    folded = {name.lower(): value for name, value in members.items()}
    if len(folded) < len(members):
        raise BadRequest("The body has two members whose names differ in case only.")
    target, arguments = folded.get("target"), folded.get("arguments")
    if not isinstance(target, str) or not target:
        raise BadRequest("The body's 'target' must be the name of the method to call, as text.")
    if arguments is not None and not isinstance(arguments, list):
        raise BadRequest("The body's 'arguments' must be an array.")
    return InvocationMessage(target=target, arguments=tuple(arguments or ()))


def _find_operation(request: web.Request) -> tuple[Operation, dict[str, str]]:
    """Return what a request asks for, and the names in its path.

    The path is cut before it is decoded: an encoded slash is part of a name.
    """
    segments = [_decoded(segment) for segment in request.rel_url.raw_path.split("/")[2:]]
    for pattern, operations in _ROUTES.items():
        names = _match(pattern, segments)
        if names is not None:
            if request.method not in operations:
                raise web.HTTPMethodNotAllowed(request.method, list(operations))
            return operations[request.method], names
    raise web.HTTPNotFound(text="There is no such operation.")


def _decoded(segment: str) -> str:
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeError as exc:
        raise BadRequest("The path is not UTF-8.") from exc


def _match(pattern: tuple[str, ...], segments: list[str]) -> dict[str, str] | None:
    """Return the names that stand for the pattern's placeholders, ``None`` if the path is another one."""
    if len(pattern) != len(segments):
        return None
    names = {}
    for expected, segment in zip(pattern, segments, strict=True):
        if expected.startswith("{") and segment:
            names[expected.strip("{}")] = segment
        elif expected != segment:
            return None
    return names


def _not_found(code: str, message: str) -> web.HTTPNotFound:
    return web.HTTPNotFound(text=message, headers={"x-ms-error-code": code})
