"""What REST calls ask and change about connections, users and groups."""

from flask_signalr.emulator.rest_call import RestCall
from flask_signalr.emulator.rest_response import RestResponse, error_response
from flask_signalr.errors import BadRequest

_LONGEST_TTL = 2**31 - 1


def add_connection(call: RestCall) -> RestResponse:
    """Put a connection into a group."""
    if not call.members.add_to_group(call.connection_id, call.group):
        return error_response(404, "The connection does not exist.", "Error.Connection.NotExisted")
    return RestResponse(200)


def remove_connection(call: RestCall) -> RestResponse:
    """Take a connection out of a group."""
    if not call.members.remove_from_group(call.connection_id, call.group):
        return error_response(404, "The connection is not in the group.", "Error.Connection.NotExisted")
    return RestResponse(200)


def add_user(call: RestCall) -> RestResponse:
    """Put a user into a group, for as long as the query's ``ttl`` says."""
    ttl = call.request.single("ttl")
    if ttl is not None and not (ttl.isascii() and ttl.isdecimal() and len(ttl) <= 10 and int(ttl) <= _LONGEST_TTL):
        raise BadRequest(f"The query parameter 'ttl' must be a number of seconds between 0 and {_LONGEST_TTL}.")
    call.members.add_user_to_group(call.user_id, call.group, call.now, None if ttl is None else int(ttl))
    return RestResponse(200)


def remove_user(call: RestCall) -> RestResponse:
    """Take a user out of a group."""
    call.members.remove_user_from_group(call.user_id, call.group)
    return RestResponse(204)


def remove_user_from_all(call: RestCall) -> RestResponse:
    """Take a user out of all groups."""
    call.members.remove_user_from_groups(call.user_id)
    return RestResponse(204)
