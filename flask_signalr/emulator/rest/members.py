"""What REST calls ask and change about connections, users and groups."""

from urllib.parse import urlencode

from flask_signalr.emulator.rest.call import RestCall
from flask_signalr.emulator.rest.parameters import read_number
from flask_signalr.emulator.rest.response import RestResponse, error_response, json_response

LARGEST_PAGE = 200
"""Members of a group that one answer lists."""


def find_connection(call: RestCall) -> RestResponse:
    """Tell whether a connection exists."""
    return _found(call.connection is not None, "The connection does not exist.", "Warning.Connection.NotExisted")


def find_user(call: RestCall) -> RestResponse:
    """Tell whether a user has a connection."""
    return _found(bool(call.members.of_user(call.user_id)), "The user does not exist.", "Warning.User.NotExisted")


def find_group(call: RestCall) -> RestResponse:
    """Tell whether a connection is in a group."""
    return _found(bool(call.members.in_group(call.group)), "The group does not exist.", "Warning.Group.NotExisted")


def find_user_in_group(call: RestCall) -> RestResponse:
    """Tell whether a user was put into a group."""
    is_in = call.members.is_user_in_group(call.user_id, call.group, call.now)
    return _found(is_in, "The user is not in the group.", "Info.User.NotInGroup")


def list_connections(call: RestCall) -> RestResponse:
    """List the connections of a group, in the order of their ids, page by page.

    What joins or leaves between two pages is listed or not; nothing is listed twice. A later page is found by the
    last id of the one before, so that nothing need be remembered.
    """
    size = read_number(call.request, "maxpagesize", 1, LARGEST_PAGE) or LARGEST_PAGE
    top = read_number(call.request, "top", 1)
    after = call.request.single("continuationToken") or ""
    rest = sorted((each for each in call.members.in_group(call.group) if each.id > after), key=lambda each: each.id)
    page = rest[: size if top is None else min(size, top)]
    content: dict[str, object] = {
        "value": [
            {"connectionId": each.id} | ({} if each.client.user_id is None else {"userId": each.client.user_id})
            for each in page
        ]
    }
    left = None if top is None else top - len(page)
    if len(rest) > len(page) and left != 0:
        content["nextLink"] = _next_link(call, page[-1].id, size, left)
    return json_response(200, content)


def add_connection(call: RestCall) -> RestResponse:
    """Put a connection into a group."""
    is_here = call.members.add_to_group(call.connection_id, call.group)
    return _found(is_here, "The connection does not exist.", "Error.Connection.NotExisted")


def remove_connection(call: RestCall) -> RestResponse:
    """Take a connection out of a group."""
    was_in = call.members.remove_from_group(call.connection_id, call.group)
    return _found(was_in, "The connection is not in the group.", "Error.Connection.NotExisted")


def remove_connection_from_all(call: RestCall) -> RestResponse:
    """Take a connection out of all groups; one that is not here is no error."""
    call.members.remove_from_groups(call.connection_id)
    return RestResponse(200)


def add_user(call: RestCall) -> RestResponse:
    """Put a user into a group, for as many seconds as the query's ``ttl`` says."""
    call.members.add_user_to_group(call.user_id, call.group, call.now, read_number(call.request, "ttl", 0))
    return RestResponse(200)


def remove_user(call: RestCall) -> RestResponse:
    """Take a user out of a group."""
    call.members.remove_user_from_group(call.user_id, call.group)
    return RestResponse(204)


def remove_user_from_all(call: RestCall) -> RestResponse:
    """Take a user out of all groups."""
    call.members.remove_user_from_groups(call.user_id)
    return RestResponse(204)


def _found(is_found: bool, message: str, code: str) -> RestResponse:
    return RestResponse(200) if is_found else error_response(404, message, code)


def _next_link(call: RestCall, last_id: str, size: int, left: int | None) -> str:
    query = {
        "api-version": call.request.single("api-version"),
        "application": call.request.single("application"),
        "maxpagesize": size,
        "top": left,
        "continuationToken": last_id,
    }
    given = urlencode({name: value for name, value in query.items() if value is not None})
    return f"{call.request.origin or call.settings.url}{call.request.path}?{given}"
