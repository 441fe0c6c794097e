"""The OpenAPI document of the REST API that the emulator serves, made from its route table."""

import re
from collections.abc import Mapping
from typing import Any

from flask_signalr.emulator.names import NOT_BLANK
from flask_signalr.emulator.rest.bodies import FRAMED, JSON, MESSAGEPACK
from flask_signalr.emulator.rest.filter import LONGEST_FILTER
from flask_signalr.emulator.rest.members import LARGEST_PAGE
from flask_signalr.emulator.rest.parameters import LARGEST_NUMBER, LONGEST_STREAM_ID
from flask_signalr.emulator.rest.routes import API_VERSIONS, ROUTES, Route
from flask_signalr.names import HUB_NAME_PATTERN

_TEXT: Mapping[str, Any] = {"type": "string"}
_SOME_TEXT = {"type": "string", "minLength": 1}
_NAME = {"type": "string", "pattern": f"^{HUB_NAME_PATTERN}$"}
_GROUP = {"type": "string", "minLength": 1, "maxLength": 1024, "pattern": NOT_BLANK}
_ANYTHING: Mapping[str, Any] = {}

_IN_PATH: Mapping[str, Mapping[str, Any]] = {
    "hub": _NAME,
    "group": _GROUP,
    "user": _SOME_TEXT,
    "connectionId": _SOME_TEXT,
    "streamId": {**_GROUP, "maxLength": LONGEST_STREAM_ID},
}
_IN_QUERY: Mapping[str, Mapping[str, Any]] = {
    "application": _NAME,
    "excluded": {"type": "array", "items": _TEXT},
    "reason": _TEXT,
    "ttl": {"type": "integer", "minimum": 0, "maximum": LARGEST_NUMBER},
    "maxpagesize": {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": LARGEST_PAGE},
    "top": {"type": "integer", "minimum": 1, "maximum": LARGEST_NUMBER},
    "continuationToken": _TEXT,
    "completed": {"type": "boolean", "default": False},
    "filter": {
        "type": "string",
        "format": "odata-filter",
        "maxLength": LONGEST_FILTER,
        "example": "startswith(userId, 'listener-')",
    },
    "userId": _TEXT,
    "minutesToExpire": {"type": "integer", "minimum": 1, "maximum": LARGEST_NUMBER, "default": 60},
}
_BODIES: Mapping[str, Mapping[str, str]] = {
    "Message": {JSON: "Message", MESSAGEPACK: "Message", FRAMED: "Frames"},
    "Item": {JSON: "Item", MESSAGEPACK: "Item"},
    "Commands": {JSON: "Commands"},
    "ConnectionToken": {JSON: "ConnectionToken"},
    "Renewal": {JSON: "Renewal"},
}


def _object(required: tuple[str, ...], **properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}


def _command(kind: str, required: tuple[str, ...], **properties: Mapping[str, Any]) -> dict[str, Any]:
    return _object(("type", *required), type={"type": "string", "enum": [kind]}, **properties)


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


_SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "Message": _object(
        ("target",), target=_SOME_TEXT, arguments={"type": "array", "items": _ANYTHING, "nullable": True}
    ),
    "Frames": {
        "type": "string",
        "format": "binary",
        "description": "A MessagePack map from the names of hub protocols to the message as each of them frames it.",
    },
    "Item": _ANYTHING,
    "Commands": {"type": "array", "items": _reference("Command")},
    "Command": {
        "oneOf": [
            _command("SendMessage", ("message",), message=_reference("Message")),
            _command("JoinGroup", ("group",), group=_GROUP),
            _command("LeaveGroup", ("group",), group=_GROUP),
            _command("CloseConnection", (), reason={"type": "string", "nullable": True}),
        ]
    },
    "AccessKey": _object(("KeyId", "AccessKey"), KeyId=_TEXT, AccessKey=_TEXT),
    "Token": _object(("token",), token=_TEXT),
    "Result": _object((), result=_ANYTHING),
    "Page": _object(
        ("value",),
        value={"type": "array", "items": _object(("connectionId",), connectionId=_TEXT, userId=_TEXT)},
        nextLink={"type": "string", "format": "uri"},
    ),
    "ConnectionToken": _object(("connectionToken",), connectionToken=_SOME_TEXT),
    "Renewal": _object(
        ("connectionToken", "expireTime"),
        connectionToken=_SOME_TEXT,
        expireTime={"type": "string", "format": "date-time", "example": "2026-07-01T12:00:00Z"},
        claims={"type": "array", "nullable": True, "items": _reference("Claim")},
    ),
    "Claims": _object(("claims",), claims={"type": "array", "items": _reference("Claim")}),
    "Claim": _object(("type", "value"), type=_SOME_TEXT, value=_TEXT),
    "ErrorDetail": _object(("code", "message"), code=_TEXT, message=_TEXT),
}


def openapi_document(url: str) -> dict[str, Any]:
    """Return the document, in the version 3.0.3 of OpenAPI.

    Args:
        url: The base URL of the emulator, without a slash at the end.
    """
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        if route.method == "QUERY":  # a method that this version of OpenAPI cannot describe; POST does the same
            continue
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Data plane of Azure SignalR Service, as the emulator serves it",
            "version": API_VERSIONS[-1],
        },
        "servers": [{"url": url}],
        "paths": paths,
        "components": {
            "schemas": _SCHEMAS,
            "securitySchemes": {"accessToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": (route.operation.__doc__ or "").partition("\n")[0],
        "parameters": list(_parameters(route)),
        "responses": {str(route.status): _success(route), "default": _failure(route)},
        "security": [] if route.is_public else [{"accessToken": []}],
    }
    if route.body is not None:
        content = {kind: {"schema": _reference(name)} for kind, name in _BODIES[route.body].items()}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": _IN_PATH[name]}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    in_query = [{"name": name, "in": "query", "schema": _IN_QUERY[name]} for name in route.query]
    if route.is_public or not route.is_versioned:
        return in_path + in_query
    versions = {"type": "string", "enum": list(API_VERSIONS[API_VERSIONS.index(route.since) :])}
    return [*in_path, {"name": "api-version", "in": "query", "required": True, "schema": versions}, *in_query]


def _success(route: Route) -> dict[str, Any]:
    success: dict[str, Any] = {"description": "It is done, or will be."}
    if route.answer is not None:
        success["content"] = {JSON: {"schema": _reference(route.answer)}}
    return success


def _failure(route: Route) -> dict[str, Any]:
    failure: dict[str, Any] = {
        "description": "It was refused; the header says why in a word, the body in a sentence.",
        "headers": {"x-ms-error-code": {"schema": _TEXT}},
    }
    if route.method != "HEAD":
        failure["content"] = {JSON: {"schema": _reference("ErrorDetail")}}
    return failure
