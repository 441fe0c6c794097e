"""REST calls that ask a client for a result (``:invoke``)."""

import msgspec

from flask_signalr.emulator.rest.bodies import read_message
from flask_signalr.emulator.rest.call import RestCall
from flask_signalr.emulator.rest.response import PendingResult, RestResponse, error_response, json_response
from flask_signalr.messages import CompletionMessage

_NOT_JSON = (TypeError, ValueError, OverflowError, RecursionError)


def invoke(call: RestCall) -> RestResponse | PendingResult:
    """Call a method of one client, and return what it answers."""
    message, connection = read_message(call.request), call.connection
    if connection is None:
        return error_response(404, "The connection does not exist.", "Error.Connection.NotExisted")

    def give_up() -> RestResponse:
        call.service.forget_result(connection, invocation_id)
        return error_response(
            504,
            f"The client did not answer within {call.settings.invoke_within:g} seconds.",
            "Error.Connection.Unknown",
        )

    pending = PendingResult(call.settings.invoke_within, give_up)
    invocation_id = call.service.invoke(
        connection,
        message.target,
        message.arguments,
        call.now,
        lambda completion: pending.settle(_response(completion)),
    )
    return pending


def _response(completion: CompletionMessage | None) -> RestResponse:
    if completion is None:
        return error_response(404, "The connection ended before it answered.", "Error.Connection.NotExisted")
    if completion.error is not None:
        return error_response(400, completion.error, "Error.Connection.Invalid")
    if completion.result is msgspec.UNSET:
        return json_response(200, {})
    try:
        return json_response(200, {"result": completion.result})
    except _NOT_JSON:
        return error_response(400, "The client's result cannot be written as JSON.", "Error.Connection.Invalid")
