"""Every error that this package raises.

::

    SignalRError
    ├── ConfigurationError          a setting or keyword is missing or wrong; raised while the app is set up,
    │                               a few when what they speak of is first needed
    │   └── MissingExtra            an optional dependency is not installed
    ├── InvalidClaim                a claim cannot be put into a token                             403
    ├── AuthenticationFailed        a caller's credentials are missing or wrong                    401
    │   └── AccessTokenRefused      an access token opens nothing at the service (emulator)        401
    ├── OriginNotAllowed            a page of another site asked                                   403
    ├── AuthorizationDenied         the caller is known and may not do this                        403
    ├── InvalidSignature            an upstream request that does not prove it is the service's    401
    ├── RequestReplayed             an upstream request that was handled before                    409
    ├── RefreshRefused              a connection's sign-in is not renewed           its own, the code says which
    ├── RouterRefused               an endpoint router's refusal                    its own, 400 unless it says
    ├── HubNotFound                 no hub of that name is declared                                404
    ├── BadRequest                  a request that no client of the protocol sends                 400
    ├── ProtocolError               bytes or a message that the hub protocol does not allow        400
    ├── UnsupportedMediaType        a body of a kind that is not read                              415
    ├── BodyTooLarge                a body of more bytes than are read                             413
    ├── HubException                a hub method's refusal, which its caller gets to read
    │   └── InvocationFailed        what the caller gets, in a test (`flask_signalr.testing`)
    ├── InvalidName                 a name that no REST call can carry, or that would lead it elsewhere
    ├── ServiceError                the service refused a REST call, or could not be reached
    │   ├── ServiceUnreachable      there was no answer, or none in time
    │   ├── ServiceBusy             it is overloaded or down: try again later
    │   ├── ServiceRefusedToken     it does not accept the token
    │   ├── EntraTokenUnavailable   Microsoft Entra ID gave no token for the call
    │   ├── ServiceRefusedCall      it finds a fault in the call
    │   ├── RecipientNotFound       nobody is connected where the call goes
    │   ├── ClientInvocationFailed  a client was asked for a result and gave none
    │   └── PartialFailure          some of several calls failed
    ├── StoreUnavailable            the store that processes share cannot be reached
    ├── AccessTokenTooLong          the claims do not fit into a service token                     413
    ├── NegotiationRefused          the app refused a negotiate (`flask_signalr.testing`)
    ├── ConnectRefused              the app's ``on_connected`` refused a client (`flask_signalr.testing`)
    ├── SignOnFailed                this machine cannot sign on to an app (`flask_signalr.client`)
    ├── EmulatorUnavailable         the emulator cannot listen where it was told to
    └── Unavailable                 something that the answer depends on is down                   503
        ├── IdentityProviderUnavailable
        ├── NoServiceEndpoint       no service endpoint can take the connection
        └── SigningKeyUnavailable   no key to sign with is to be had through Entra ID

`ServiceError` and what is below it stand in `flask_signalr.service_errors`, what speaks of endpoints in
`flask_signalr.endpoint_errors`, and `RefreshRefused` in `flask_signalr.refresh`.
The numbers are the HTTP statuses that ``flask_signalr.views`` answers with; nothing else knows HTTP.
The text of every error is written for its reader and never holds a secret or a token.
"""

from collections.abc import Sequence


class SignalRError(Exception):
    """The root of all errors of this package."""


class ConfigurationError(SignalRError):
    """A setting or keyword is missing or wrong; the text names it, its fault and the remedy.

    Raised while the app is set up, where that can tell; else when it is first needed, as by ``hub.negotiate`` when no
    app is known.
    """


class MissingExtra(ConfigurationError):
    """An optional dependency is not installed.

    Args:
        feature: What needs it, as the reader of the message knows it.
        extra: The extra of this package that brings it.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an optional dependency: pip install 'flask-signalr[{extra}]'")
        self.feature = feature
        self.extra = extra


class InvalidClaim(SignalRError):
    """A claim that no service token can carry.

    Args:
        claim_type: The claim's type.
        reason: What is wrong with it; never its value.
    """

    def __init__(self, claim_type: str, reason: str) -> None:
        super().__init__(f"claim {claim_type!r}: {reason}")
        self.claim_type = claim_type
        self.reason = reason


class AuthenticationFailed(SignalRError):
    """The caller brought no credentials, or wrong ones; the text is shown to the caller."""


class AccessTokenRefused(AuthenticationFailed):
    """The service, or its emulator, does not accept an access token.

    Args:
        check: The check that failed: ``form``, ``length``, ``kid``, ``signature`` or the name of a claim.
        reason: What was expected, and the remedy; never the token.
    """

    def __init__(self, check: str, reason: str) -> None:
        super().__init__(reason)
        self.check = check


class OriginNotAllowed(SignalRError):
    """A page of an origin that is neither the app's own nor on the hub's list sent the request."""


class AuthorizationDenied(SignalRError):
    """The caller is known and may not do this.

    Args:
        text: For the caller; it does not tell what would be needed.
        requirement: What a policy's requirement that does not hold is called, for the log; empty for other refusals.
    """

    requirement = ""  # of an app's subclass too that does not call ours

    def __init__(self, text: str, requirement: str = "") -> None:
        super().__init__(text)
        self.requirement = requirement


class InvalidSignature(SignalRError):
    """An upstream request does not prove that it comes from the service; the text says what is missing."""


class RequestReplayed(SignalRError):
    """An upstream request that was handled before, within the replay window."""


class HubNotFound(SignalRError):
    """No hub of that name is declared."""


class BadRequest(SignalRError):
    """The request cannot be understood; the text says what to change."""


class UnsupportedMediaType(SignalRError):
    """The body is of a kind that is not read; the text names those that are."""


class BodyTooLarge(SignalRError):
    """The body has more bytes than are read; the text says how many may be."""


class HubException(SignalRError):
    """Raised by a hub method for its caller to read.

    It is the only error whose text reaches a client; all others are logged and hidden.
    """


class InvocationFailed(HubException):
    """What a client of a test called failed, or was refused; the text is what the client gets to read.

    .NET's client raises a ``HubException`` too.
    """


class ProtocolError(SignalRError):
    """Bytes that are no message of the hub protocol, or a message that it cannot carry; the text says why."""


class AccessTokenTooLong(SignalRError):
    """The claims make the service token longer than the service accepts.

    Args:
        length: Characters of the token that was refused.
        limit: Characters that the service accepts.
        sizes: Claim types with the characters that each takes in the token, largest first.
        fits_without: The fewest of the largest claims that must go for the token to fit; empty if none would do.
    """

    def __init__(self, length: int, limit: int, sizes: Sequence[tuple[str, int]], fits_without: Sequence[str]) -> None:
        largest = ", ".join(f"{claim_type!r} {size}" for claim_type, size in sizes[:5])
        remedy = (
            f"it fits without {', '.join(map(repr, fits_without))}: choose fewer claims, in the hub's claims_filter "
            "or in the claims= of hub.negotiate"
            if fits_without
            else "no choice of claims makes it fit: shorten the user id"
        )
        super().__init__(
            f"the access token would be {length} characters and the service accepts {limit}; "
            f"largest claims in characters: {largest}; {remedy}"
        )
        self.length = length
        self.limit = limit
        self.sizes = tuple(sizes)
        self.fits_without = tuple(fits_without)


class Unavailable(SignalRError):
    """Something that the answer depends on is down; try again.

    Args:
        message: What is down, for the caller to read.
        retry_after: Seconds after which another try makes sense.
    """

    def __init__(self, message: str, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class IdentityProviderUnavailable(Unavailable):
    """The keys that verify a bearer token cannot be fetched."""


class NegotiationRefused(SignalRError):
    """The app did not let a client of a test connect, or stay connected.

    Args:
        status: The HTTP status of the answer.
        error: What the answer says.
        request: What the client asked for: ``negotiate``, or ``refresh`` for one that is connected.
    """

    def __init__(self, status: int, error: str, request: str = "negotiate") -> None:
        super().__init__(f"{request} was answered {status}: {error}")
        self.status = status
        self.error = error


class ConnectRefused(SignalRError):
    """The app's ``on_connected`` did not let a client of a test in; the text says what the client was told."""


class InvalidName(SignalRError):
    """A hub, group, user or connection name that no REST call can carry, or that would lead the call elsewhere."""


class StoreUnavailable(SignalRError):
    """The store that processes share cannot be reached."""


class SignOnFailed(SignalRError):
    """This machine cannot sign on to an app; the text says why and what to do."""


class EmulatorUnavailable(SignalRError):
    """The emulator cannot listen on its address; the text says why and what to do."""
