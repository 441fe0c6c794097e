"""REST calls that do several things to the connections of a filter (``:execute``)."""

from collections.abc import Callable
from typing import Any

from flask_signalr.emulator.connections import Connection, Phase
from flask_signalr.emulator.names import group_name
from flask_signalr.emulator.rest.bodies import JSON, folded, message_of, read_value
from flask_signalr.emulator.rest.call import RestCall
from flask_signalr.emulator.rest.filter import Subject, parse_filter
from flask_signalr.emulator.rest.response import RestResponse
from flask_signalr.errors import BadRequest

_Command = Callable[[list[Connection]], None]


def execute(call: RestCall) -> RestResponse:
    """Do all commands, in order, to the connections that the filter chooses: to all without one.

    Nothing is done if one of the commands is wrong.
    """
    test = parse_filter(call.request.single("filter") or "connectionId ne null")
    content = read_value(call.request, (JSON,))
    if not isinstance(content, list):
        raise BadRequest("The body must be an array of commands.")
    commands = [_command(call, each) for each in content]
    chosen = [each for each in call.members.everyone() if test(_subject(call, each))]
    for recipients in ([], chosen):  # to nobody first: what cannot be encoded is found before anything is done
        for command in commands:
            command(recipients)
    return RestResponse(202)


def _subject(call: RestCall, connection: Connection) -> Subject:
    groups = frozenset(call.members.groups_of(connection.id))
    return Subject(connection.id, connection.client.user_id, groups)


def _command(call: RestCall, content: Any) -> _Command:
    members = folded(content)
    match members.get("type"):
        case "SendMessage":
            message = message_of(members.get("message"))
            return lambda connections: call.service.send(_connected(connections), message, call.now)
        case "CloseConnection":
            reason = _text(members, "reason", None)
            return lambda connections: call.service.close(connections, call.now, error=reason, allow_reconnect=True)
        case "JoinGroup":
            group = _group(members)
            return lambda connections: _each(connections, lambda id_: call.members.add_to_group(id_, group))
        case "LeaveGroup":
            group = _group(members)
            return lambda connections: _each(connections, lambda id_: call.members.remove_from_group(id_, group))
    raise BadRequest("A command's 'type' must be SendMessage, JoinGroup, LeaveGroup or CloseConnection.")


def _connected(connections: list[Connection]) -> list[Connection]:
    """Return those that no command before has closed: nothing may follow a goodbye."""
    return [connection for connection in connections if connection.phase is Phase.CONNECTED]


def _each(connections: list[Connection], act: Callable[[str], object]) -> None:
    for connection in connections:
        act(connection.id)


def _group(members: dict[str, Any]) -> str:
    return group_name(_text(members, "group", "") or "")


def _text(members: dict[str, Any], name: str, default: str | None) -> str | None:
    value = members.get(name, default)
    if value is not None and not isinstance(value, str):
        raise BadRequest(f"A command's '{name}' must be text.")
    return value
