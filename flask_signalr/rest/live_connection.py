"""The sign-in of a live connection: reading its claims at the service, and renewing them.

Source: Azure/azure-signalr, issues 2281 and 2282; there is no swagger of these operations yet.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import msgspec

from flask_signalr.claims import ClaimValue, short_name
from flask_signalr.endpoints import ServiceEndpoint
from flask_signalr.refresh import RefreshRefused
from flask_signalr.rest.caller import HubCaller, Outcome
from flask_signalr.rest.calls import API_VERSION, Call, json_body
from flask_signalr.rest.endpoint_client import EndpointClient
from flask_signalr.rest.exchange import ServiceResponse
from flask_signalr.service_errors import ServiceError

REFRESH_API_VERSION = "2026-07-01"

_KEEP_THE_END = "9999-12-31T23:59:59.9999999Z"  # .NET's last moment: the connection keeps the end that it has
_SUBJECT = "a connection's sign-in"
_SHORTEST_SECRET = 8  # characters; the service's have several times as many
_MISMATCH = "ConnectionUserMismatch"
_REFUSED = "permission_change_rejected"

REFRESH_TIMEOUT = 3
"""Seconds that all questions of one refresh may take together: a guessed connection token holds a worker so long."""

DOWN_TIMEOUT = 0.5
"""Seconds that an endpoint may take which is known to be down."""


class _Claim(msgspec.Struct, frozen=True):
    type: str
    value: str


class _Answer(msgspec.Struct):
    claims: list[_Claim]


Pairs = tuple[tuple[str, str], ...]
Outcomes = list[tuple[EndpointClient, Outcome]]


@dataclass(frozen=True)
class RenewedConnection:
    """A connection after its refresh, as the service answers.

    Attributes:
        endpoint: The service endpoint that it is at.
        claims: All that its next service token says, the service's own claims included.
    """

    endpoint: ServiceEndpoint
    claims: Pairs = field(repr=False)

    @property
    def expires_at(self) -> int | None:
        """When the sign-in ends that the service knows of, in Unix seconds."""
        end = next((value for name, value in self.claims if name == "asrs.s.aeo"), "")
        return int(end) if end.isascii() and end.isdecimal() and len(end) <= 12 else None


@dataclass(frozen=True)
class LiveConnection:
    """A connection that its connection token names, at one of the service endpoints: nobody knows at which.

    Attributes:
        caller: Makes the calls.
        token: The connection token: who has it and the user's sign-in may speak for the connection.
        user_id: Whose the connection must be.
        deadline: When there must be an answer, by the monotonic clock.
    """

    caller: HubCaller = field(repr=False)
    token: str = field(repr=False)
    user_id: str
    deadline: float = field(default_factory=lambda: time.monotonic() + REFRESH_TIMEOUT)

    def claims(self) -> RenewedConnection:
        """Return the connection as it is.

        Raises:
            RefreshRefused: It is another user's, or not there; or the service failed.
        """
        return self._owned(self._ask("/connections/claims", {}))

    def renew(self, claims: Iterable[tuple[str, ClaimValue]], expires_at: int | None) -> RenewedConnection:
        """Return the connection after it was given other claims and another end.

        The claims are always sent, the user id first: what the service compares is the user that they name, and
        without them a stolen connection token would do.

        Args:
            claims: The app's, as they stand in a service token.
            expires_at: When the new sign-in ends, in Unix seconds; ``None`` keeps the former end.

        Raises:
            RefreshRefused: As `claims`.
        """
        end = _KEEP_THE_END if expires_at is None else _time(expires_at)
        sent = [_Claim("asrs.s.uid", self.user_id), *(_Claim(name, _text(value)) for name, value in claims)]
        outcomes = self._ask("/connections/:refreshAuth", {"expireTime": end, "claims": sent})
        if not any(isinstance(outcome, ServiceResponse) for _, outcome in outcomes):
            for endpoint, outcome in outcomes:
                if isinstance(outcome, ServiceError) and outcome.status == 403 and outcome.code is None:
                    self.at(endpoint.endpoint)._check_user()
        return self._owned(outcomes)

    def at(self, endpoint: ServiceEndpoint) -> "LiveConnection":
        """Return the same connection, to be asked for at this endpoint alone."""
        found = tuple(each for each in self.caller.endpoints if each.endpoint is endpoint)
        return replace(self, caller=replace(self.caller, endpoints=found))

    def _ask(self, path: str, more: dict[str, object]) -> Outcomes:
        """Return what each endpoint says. The token is in the body: URLs are logged."""
        body = json_body({"connectionToken": self.token, **more})
        caller = _in_version(self.caller)
        outcomes = caller.ask_each(Call("POST", path, _SUBJECT, body=body), self._patience, _is_decisive)
        return list(zip(caller.endpoints, outcomes, strict=True))

    def _patience(self, endpoint: EndpointClient) -> float:
        left = self.deadline - time.monotonic()
        return left if endpoint.limit() is None else min(left, DOWN_TIMEOUT)

    def _without_token(self, text: str) -> str:
        """Return a text for the log; a made-up token, which is no secret, does not make it unreadable."""
        return text if len(self.token) < _SHORTEST_SECRET else text.replace(self.token, "[redacted]")

    def _check_user(self) -> None:
        """Refuse another user's connection where a 403 does not say whom it blames: our own role may be missing."""
        try:
            self.claims()
        except RefreshRefused as refusal:
            if refusal.code == _REFUSED:
                raise

    def _owned(self, outcomes: Outcomes) -> RenewedConnection:
        """Return the connection that an answer tells of, if it is the user's own: an answer is not just believed."""
        try:
            endpoint, response = _owner(outcomes)
        except RefreshRefused as refusal:  # the service may quote what it was sent
            raise RefreshRefused(refusal.code, self._without_token(refusal.reason)) from None
        try:
            claims = msgspec.json.decode(response.body, type=_Answer).claims
        except (ValueError, RecursionError) as exc:
            raise _failed(f"{endpoint.name} answered without claims: it may be too old") from exc
        pairs = tuple((claim.type, claim.value) for claim in claims)
        if not pairs:
            raise _failed(f"{endpoint.name} answered without claims: it may be too old")
        if _user_id(pairs) != self.user_id:
            raise RefreshRefused(_REFUSED, "the connection is another user's")
        return RenewedConnection(endpoint.endpoint, pairs)


def _is_decisive(outcome: Outcome) -> bool:
    """Tell whether an endpoint says that it has the connection, the user's own or not."""
    return isinstance(outcome, ServiceResponse) or _is_mismatch(outcome)


def _is_mismatch(outcome: Outcome) -> bool:
    return isinstance(outcome, ServiceError) and outcome.status == 403 and outcome.code == _MISMATCH


def _owner(outcomes: Outcomes) -> tuple[EndpointClient, ServiceResponse]:
    """Return the one endpoint that has the connection, and its answer.

    An endpoint that was too slow for the others to wait might say that it has it too. The connection token is the
    secret of one service, so that would be the same one under two names.

    Raises:
        RefreshRefused: None has it, it is another user's, or an endpoint that might have it failed.
    """
    found = [(each, outcome) for each, outcome in outcomes if isinstance(outcome, ServiceResponse)]
    if len(found) == 1:
        return found[0]
    if found:
        raise _failed(f"{', '.join(each.name for each, _ in found)} all say that they have the connection")
    errors = [outcome for _, outcome in outcomes if isinstance(outcome, ServiceError)]
    for error in errors:
        if _is_mismatch(error):
            raise RefreshRefused(_REFUSED, str(error))
    for error in errors:
        if error.status != 404:
            raise _failed(str(error))
    raise RefreshRefused("connection_not_found", "no service endpoint has the connection, or no longer")


def _in_version(caller: HubCaller) -> HubCaller:
    """Return the caller for the version of the API that has these operations."""
    query = caller.address.query.removesuffix(API_VERSION) + REFRESH_API_VERSION
    return replace(caller, address=replace(caller.address, query=query))


def _user_id(claims: Pairs) -> str | None:
    """Return the user id that claims come to, as the service reads them."""
    named = [value for name, value in claims if name == "asrs.s.uid"]
    named += [value for name, value in claims if short_name(name) in {"nameid", "sub"}]
    return named[0] if named else None


def _time(seconds: int) -> str:
    """Return a time in Unix seconds as ISO 8601; one that no calendar has is .NET's last moment."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return _KEEP_THE_END


def _text(value: ClaimValue) -> str:
    """Return a claim's value as .NET has it, where all are texts."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _failed(reason: str) -> RefreshRefused:
    return RefreshRefused("internal_server_error", reason)
