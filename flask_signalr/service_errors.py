"""What can become of a call of the service's REST API; `flask_signalr.errors` draws the tree."""

from collections.abc import Mapping

from flask_signalr.errors import InvalidName, SignalRError

_SHOWN_FAILURES = 10


class ServiceError(SignalRError):
    """The service refused a REST call, or could not be reached.

    Args:
        message: What happened; never a token.
        method: The HTTP method of the call.
        path: The path of the call, without its query.
        status: The HTTP status of the answer; ``None`` if there was none.
        code: The service's own code, such as ``Error.Connection.NotExisted``; ``None`` if it gave none.
        request_id: What the service calls the request, for its support; ``None`` if it did not say.
    """

    def __init__(
        self,
        message: str,
        *,
        method: str,
        path: str,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.method = method
        self.path = path
        self.status = status
        self.code = code
        self.request_id = request_id


_NOT_MADE = ServiceError("no call was made", method="", path="")


class ServiceUnreachable(ServiceError):
    """There was no answer of the service, or none in time.

    Attributes:
        may_have_arrived: Whether the service may have carried the call out all the same; ``False`` is certain.
    """

    may_have_arrived = True


class ServiceBusy(ServiceError):
    """The service is overloaded or down (429, 503), and was so at each try.

    Attributes:
        retry_after: Seconds after which the service wants to be asked again; ``None`` if it did not say.
    """

    retry_after: int | None = None


class ServiceRefusedToken(ServiceError):
    """The service does not accept what the call was signed with (401, 403)."""


class EntraTokenUnavailable(ServiceError):
    """Microsoft Entra ID gave no token for the call, which was not made."""


class ServiceRefusedCall(ServiceError):
    """The service finds a fault in the call: its names, its size, its form (400, 413, 414, 415)."""


class RecipientNotFound(ServiceError):
    """Nobody is connected under the name that the call goes to."""


class ClientInvocationFailed(ServiceError):
    """A client was asked for a result and answered with an error, or not in time; the text has the client's words."""


class PartialFailure(ServiceError):
    """Some of several calls failed; the others were carried out.

    Args:
        failures: The error of each call that failed, by what it was for, such as ``user 'ada'``; an `InvalidName`
            where no call can name the recipient.
        count: How many calls there were.
    """

    def __init__(self, failures: Mapping[str, ServiceError | InvalidName], count: int) -> None:
        first = next((error for error in failures.values() if isinstance(error, ServiceError)), _NOT_MADE)
        shown = "; ".join(f"{name}: {error}" for name, error in list(failures.items())[:_SHOWN_FAILURES])
        more = len(failures) - _SHOWN_FAILURES
        super().__init__(
            f"{len(failures)} of {count} calls failed: {shown}" + (f"; and {more} more" if more > 0 else ""),
            method=first.method,
            path=first.path,
            status=first.status,
            code=first.code,
            request_id=first.request_id,
        )
        self.failures = dict(failures)
        self.count = count
