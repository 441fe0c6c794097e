"""The sign-in of a live connection: reading its claims at the service, and renewing them.

Source: Azure/azure-signalr, issues 2281 and 2282; there is no swagger of these operations yet.
"""

import re
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
"""Seconds that all questions of one refresh may take together: so long may one endpoint that hangs hold a worker."""

DOWN_TIMEOUT = 0.5
"""Seconds that an endpoint may take at most which is known to be down."""


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

    So all are asked, and all are waited for: exactly one must have it. An endpoint that does not answer in time keeps
    nobody from the refresh that the one granted which has the connection; whether it would have said so too is not
    known. The connection token is the secret of one service, so that it would be the same service under two names.

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
        """Return the connection as it is, within half of the time that is left: a renewal after it has as much again.

        Raises:
            RefreshRefused: It is another user's, or not there; or the service failed.
        """
        return self._owned(self._ask("/connections/claims", {}, self.time_left() / 2))

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
        outcomes = self._ask("/connections/:refreshAuth", {"expireTime": end, "claims": sent}, self.time_left())
        if not any(isinstance(outcome, ServiceResponse) for _, outcome in outcomes):
            for endpoint, outcome in outcomes:
                if isinstance(outcome, ServiceError) and outcome.status == 403 and outcome.code is None:
                    self.at(endpoint.endpoint)._check_user()
        return self._owned(outcomes)

    def at(self, endpoint: ServiceEndpoint) -> "LiveConnection":
        """Return the same connection, to be asked for at this endpoint alone."""
        found = tuple(each for each in self.caller.endpoints if each.endpoint is endpoint)
        return replace(self, caller=replace(self.caller, endpoints=found))

    def time_left(self) -> float:
        """Return the seconds until there must be an answer; 0 when there must be one now."""
        return max(self.deadline - time.monotonic(), 0)

    def _ask(self, path: str, more: dict[str, object], timeout: float) -> Outcomes:
        """Return what each endpoint says within a time. The token is in the body: URLs are logged."""
        body = json_body({"connectionToken": self.token, **more})
        caller = replace(_in_version(self.caller), timeout=min(self.caller.timeout, timeout))
        outcomes = caller.ask_each(Call("POST", path, _SUBJECT, body=body), DOWN_TIMEOUT)
        return list(zip(caller.endpoints, outcomes, strict=True))

    def _without_token(self, text: str) -> str:
        """Return a text for the log; a made-up token, which is no secret, does not make it unreadable."""
        if len(self.token) < _SHORTEST_SECRET:
            return text
        cut_off = re.escape(self.token[:_SHORTEST_SECRET]) + r"\S*"  # where what the service said was too long
        return re.sub(cut_off, "[redacted]", text.replace(self.token, "[redacted]"))

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


def _has_connection(outcome: Outcome) -> bool:
    """Tell whether an endpoint says that it has the connection, the user's own or not."""
    if isinstance(outcome, ServiceError):
        return outcome.status == 403 and outcome.code == _MISMATCH
    return isinstance(outcome, ServiceResponse)


def _owner(outcomes: Outcomes) -> tuple[EndpointClient, ServiceResponse]:
    """Return the one endpoint that has the connection, and its answer.

    Raises:
        RefreshRefused: None has it or several have, it is another user's, or an endpoint that might have it failed.
    """
    having = [(each, outcome) for each, outcome in outcomes if _has_connection(outcome)]
    if len(having) > 1:
        names = ", ".join(each.name for each, _ in having)
        raise _failed(f"{names} all say that they have the connection: are they one service under several names?")
    for endpoint, outcome in having:
        if isinstance(outcome, ServiceResponse):
            return endpoint, outcome
        raise RefreshRefused(_REFUSED, str(outcome))
    for _, outcome in outcomes:
        if isinstance(outcome, ServiceError) and outcome.status != 404:
            raise _failed(str(outcome))
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
