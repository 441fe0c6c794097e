"""What every auth scheme is."""

from abc import ABC, abstractmethod

from flask import Flask, Request

from flask_signalr.principal import Principal


class AuthScheme(ABC):
    """A plugin that proves who the caller is.

    Subclass it and override `authenticate`. Schemes are asked in the order in which they are given to
    ``SignalR(auth=[…])``, within the request's application context.
    """

    def init_app(self, app: Flask) -> None:  # noqa: B027 -- optional: most schemes have nothing to check
        """Check that the scheme can work in an app; called once for each app that it serves, before the first request.

        Raises:
            ConfigurationError: It cannot; the text says what to do about it.
        """

    @abstractmethod
    def authenticate(self, request: Request) -> Principal | None:
        """Return who the caller is, or ``None`` when the request holds nothing that is meant for this scheme.

        ``ANONYMOUS`` counts as ``None``: whether a hub is open is the hub's to say. A scheme whose protocol needs a
        header on the answer adds it with Flask's ``after_this_request``, after a look at the answer's status.

        Raises:
            AuthenticationFailed: The credentials are meant for this scheme and are wrong: 401, and no other scheme
                is asked. The text is shown to the caller and must not say whether an account exists.
            AuthorizationDenied: They are right, and this caller may not connect: 403, without a challenge.
            Unavailable: Something that the check depends on is down: 503.
        """

    def challenge(self) -> str | None:
        """Return what a 401 advertises in ``WWW-Authenticate`` (RFC 9110 §11.6.1); ``None`` for nothing."""
        return None
