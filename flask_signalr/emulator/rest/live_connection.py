"""REST calls about the sign-in of a live connection: read its claims, and renew them.

No swagger with these operations is published yet; what the service does not say about them is decided here, strictly.

Source: Azure/azure-signalr, issues 2281 and 2282, and pull request 2283.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec

from flask_signalr.claims import RESERVED_TYPES, SYSTEM_PREFIX, ClaimValue, merge_claims, short_name
from flask_signalr.emulator.connections import Connection
from flask_signalr.emulator.rest.bodies import JSON, folded, read_value
from flask_signalr.emulator.rest.call import RestCall
from flask_signalr.emulator.rest.response import RestResponse, error_response, json_response
from flask_signalr.errors import BadRequest

_LAST_YEAR = 9999
"""The year of .NET's last moment, which stands for the end that the connection has."""

_NO_STORE = {"Cache-Control": "no-store"}
_Pairs = Sequence[tuple[str, str]]


def read_claims(call: RestCall) -> RestResponse:
    """Return the claims of a connection, which its connection token names."""
    connection = _connection(call, folded(read_value(call.request, (JSON,))))
    return _not_found() if connection is None else _claims_response(connection)


def refresh(call: RestCall) -> RestResponse:
    """Give a connection the claims and the end of another sign-in of the same user, all or nothing."""
    members = folded(read_value(call.request, (JSON,)))
    ends_at = _end(members.get("expiretime"))
    sent = _sent(members.get("claims"))
    connection = _connection(call, members)
    if connection is None:
        return _not_found()
    if sent is not None and _user_id(sent) != connection.client.user_id:
        return error_response(403, "The claims are those of another user.", "ConnectionUserMismatch")
    claims = _renewed(connection.client.claims, sent, ends_at)
    connection.client = replace(connection.client, claims=claims)
    return _claims_response(connection)


def _connection(call: RestCall, members: Mapping[str, Any]) -> Connection | None:
    token = members.get("connectiontoken")
    if not isinstance(token, str) or not token:
        raise BadRequest("The body's 'connectionToken' must be the token of a connection, as text.")
    return call.service.with_token(call.hub, token)


def _end(text: Any) -> int | None:
    """Return the new end of the sign-in, in Unix seconds; ``None`` keeps the old one."""
    try:
        end = datetime.fromisoformat(text)
    except (TypeError, ValueError) as exc:
        raise _bad_end() from exc
    if end.tzinfo is None:
        raise _bad_end()
    return None if end.year == _LAST_YEAR else max(0, int(end.timestamp()))  # .NET's first moment is long past, too


def _bad_end() -> BadRequest:
    return BadRequest("The body's 'expireTime' must be a time such as 2026-07-01T12:00:00Z.")


def _sent(content: Any) -> _Pairs | None:
    """Return the claims of a body, ``None`` if it has none and the old ones stay."""
    if content is None:
        return None
    if not isinstance(content, list):
        raise BadRequest("The body's 'claims' must be an array.")
    return [_claim(folded(each)) for each in content]


def _claim(members: Mapping[str, Any]) -> tuple[str, str]:
    match members:
        case {"type": str(name), "value": str(value)} if name:
            return name, value
    raise BadRequest("Each of the body's 'claims' must have a 'type' and a 'value', both text.")


def _user_id(claims: _Pairs) -> str | None:
    """Return the user id that claims come to, as those of an access token do."""
    named = [value for name, value in claims if name == "asrs.s.uid"]
    named += [value for name, value in claims if short_name(name) in {"nameid", "sub"}]
    return (named[0] or None) if named else None


def _renewed(old: Mapping[str, Any], sent: _Pairs | None, ends_at: int | None) -> dict[str, Any]:
    """Return a connection's claims after a refresh: the service's own stay, the others are replaced as a set."""
    own = {name: value for name, value in old.items() if _is_own(name)}
    if ends_at is not None:
        own["asrs.s.aeo"] = str(ends_at)
    if sent is None:
        return own | {name: value for name, value in old.items() if not _is_own(name) and name not in RESERVED_TYPES}
    pairs: list[tuple[str, ClaimValue]] = [(name, value) for name, value in sent if not _is_own(name)]
    return own | merge_claims((name, value) for name, value in pairs if name not in RESERVED_TYPES)


def _is_own(name: str) -> bool:
    return name.lower().startswith(SYSTEM_PREFIX)


def _claims_response(connection: Connection) -> RestResponse:
    """Return the complete claims of a connection, but those that belong to one token alone; never its id."""
    listed = [
        {"type": name, "value": each if isinstance(each, str) else msgspec.json.encode(each).decode()}
        for name, value in connection.client.claims.items()
        if name not in RESERVED_TYPES
        for each in (value if isinstance(value, list) else [value])
    ]
    return json_response(200, {"claims": listed}, _NO_STORE)


def _not_found() -> RestResponse:
    return error_response(404, "There is no such connection, or no longer.", "ConnectionNotFound")
