"""The operations of the data-plane REST API, by method and path.

Source: Azure/azure-signalr:docs/swagger/V20220601.json and v20241201.json.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from flask_signalr.emulator import rest_members, rest_messages
from flask_signalr.emulator.rest_call import Operation, RestCall
from flask_signalr.emulator.rest_response import RestResponse
from flask_signalr.errors import BadRequest


@dataclass(frozen=True)
class Route:
    """One operation and where it is found.

    Attributes:
        method: The HTTP method.
        path: The path, with placeholders in braces; each stands for one segment.
        operation: What it does.
        is_public: Whether anyone may call it, without a token and an api-version.
    """

    method: str
    path: str
    operation: Operation
    is_public: bool = False

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
_GROUP = f"{_HUB}/groups/{{group}}"
_USER = f"{_HUB}/users/{{user}}"
ROUTES = (
    Route("HEAD", "/api/health", health, is_public=True),
    Route("GET", "/api/health", health, is_public=True),
    Route("POST", f"{_HUB}/:send", rest_messages.send),
    Route("POST", f"{_HUB}/:closeConnections", rest_messages.close),
    Route("DELETE", _CONNECTION, rest_messages.close_connection),
    Route("POST", f"{_CONNECTION}/:send", rest_messages.send),
    Route("POST", f"{_GROUP}/:send", rest_messages.send),
    Route("POST", f"{_GROUP}/:closeConnections", rest_messages.close),
    Route("PUT", f"{_GROUP}/connections/{{connectionId}}", rest_members.add_connection),
    Route("DELETE", f"{_GROUP}/connections/{{connectionId}}", rest_members.remove_connection),
    Route("POST", f"{_USER}/:send", rest_messages.send),
    Route("POST", f"{_USER}/:closeConnections", rest_messages.close),
    Route("PUT", f"{_USER}/groups/{{group}}", rest_members.add_user),
    Route("DELETE", f"{_USER}/groups/{{group}}", rest_members.remove_user),
    Route("DELETE", f"{_USER}/groups", rest_members.remove_user_from_all),
)


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
