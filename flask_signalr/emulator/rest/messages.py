"""What REST calls say to connections: messages and goodbye."""

from flask_signalr.emulator.rest.bodies import FRAMED, read_framed, read_message
from flask_signalr.emulator.rest.call import RestCall
from flask_signalr.emulator.rest.response import RestResponse, error_response


def send(call: RestCall) -> RestResponse:
    """Send an invocation to the recipients; nobody there is no error.

    A framed message reaches those whose protocol it was framed for.
    """
    recipients = call.recipients
    if call.request.content_type == FRAMED:
        framed = read_framed(call.request)
        recipients = [each for each in recipients if each.protocol is not None and each.protocol.name in framed]
        call.service.deliver(recipients, framed, call.now)
    else:
        call.service.send(recipients, read_message(call.request), call.now)
    return RestResponse(202)


def close(call: RestCall) -> RestResponse:
    """Close the connections of the recipients, who may reconnect."""
    call.service.close(call.recipients, call.now, error=call.request.single("reason"), allow_reconnect=True)
    return RestResponse(204)


def close_connection(call: RestCall) -> RestResponse:
    """Close one connection, which may reconnect."""
    if call.connection is None:
        return error_response(404, "The connection does not exist.", "Warning.Connection.NotExisted")
    close(call)
    return RestResponse(200)
