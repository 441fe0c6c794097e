"""What REST calls say to the streams that a client asked for."""

from flask_signalr.emulator.rest.bodies import read_value
from flask_signalr.emulator.rest.call import RestCall
from flask_signalr.emulator.rest.parameters import read_flag, stream_name
from flask_signalr.emulator.rest.response import RestResponse, error_response


def send_item(call: RestCall) -> RestResponse:
    """Send an item of a stream; with ``completed`` it is the last one."""
    stream_id, completed = stream_name(call.names["streamId"]), read_flag(call.request, "completed")
    item = read_value(call.request)
    if call.connection is None or not call.service.send_item(call.connection, stream_id, item, call.now):
        return _no_stream(call)
    if completed:
        call.service.end_stream(call.connection, stream_id, None, call.now)
    return RestResponse(202)


def complete(call: RestCall) -> RestResponse:
    """End a stream; a ``reason`` is an error."""
    stream_id, reason = stream_name(call.names["streamId"]), call.request.single("reason")
    if call.connection is None or not call.service.end_stream(call.connection, stream_id, reason, call.now):
        return _no_stream(call)
    return RestResponse(202)


def _no_stream(call: RestCall) -> RestResponse:
    if call.connection is None:
        return error_response(404, "The connection does not exist.", "Error.Connection.NotExisted")
    return error_response(404, "The client asked for no such stream, or it has ended.", "Error.Unknown.NotExisted")
