"""Why there is no service endpoint for a caller; `flask_signalr.errors` draws the tree."""

from flask_signalr.errors import SignalRError, Unavailable


class NoServiceEndpoint(Unavailable):
    """No service endpoint can take the connection."""


class SigningKeyUnavailable(Unavailable):
    """The service gave no key to sign client tokens with; the log tells why, and the caller only that it is so."""


class RouterRefused(SignalRError):
    """An endpoint router lets the caller connect nowhere.

    Args:
        text: For the caller.
        status: The HTTP status of the answer, 400 to 599.

    Raises:
        ValueError: The status is none of these: a refusal must not look like a success.
    """

    def __init__(self, text: str, status: int = 400) -> None:
        given: object = status
        if not isinstance(given, int) or not 400 <= given <= 599:
            raise ValueError(f"RouterRefused(status=…) takes a whole number from 400 to 599, not {status!r}")
        super().__init__(text)
        self.status = status
