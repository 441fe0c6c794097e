"""Is this access token any good: one check for clients and for REST calls, which says what is wrong."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
import msgspec
from jwt.algorithms import HMACAlgorithm

from flask_signalr.emulator.audiences import ServiceAddress
from flask_signalr.emulator.exchanged_keys import ExchangedKeys
from flask_signalr.errors import AccessTokenRefused, AuthenticationFailed
from flask_signalr.tokens import TOKEN_LIMIT

_LATEST = 2**53
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True)
class ClientIdentity:
    """Whom a client access token names.

    Attributes:
        user_id: The string that the service routes by, ``None`` for an anonymous client.
        claims: All claims of the token.
    """

    user_id: str | None
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def closes_at(self) -> int | None:
        """When the connections of this sign-in are to be closed, in Unix seconds; ``None`` where nobody asks for it."""
        end = self.claims.get("asrs.s.aeo")
        if self.claims.get("asrs.s.coae") != "true" or not isinstance(end, str):
            return None
        return int(end) if re.fullmatch("[0-9]{1,12}", end) else None

    def number(self, claim: str, lowest: int, highest: int) -> int | None:
        """Return one of the service's own claims that is a number as text; ``None`` if it is none within bounds."""
        text = self.claims.get(claim)
        if not isinstance(text, str) or not re.fullmatch("[0-9]{1,9}", text) or not lowest <= int(text) <= highest:
            return None
        return int(text)


class _AccessKeyHmac(HMACAlgorithm):
    """HMAC with the keys that the service hands out, whose length is not the signer's to choose."""

    def check_key_length(self, key: bytes) -> str | None:
        return None


_SIGNATURES = jwt.PyJWS(algorithms=[])
_SIGNATURES.register_algorithm("HS256", _AccessKeyHmac(hashlib.sha256))
_SIGNATURES.register_algorithm("HS512", _AccessKeyHmac(hashlib.sha512))


def challenge(refusal: AuthenticationFailed) -> str:
    """Return the header ``WWW-Authenticate`` of a refusal; it names an unknown key, so that callers fetch a new one.

    Source: dotnet/aspnetcore:src/Security/Authentication/JwtBearer/src/JwtBearerHandler.cs, CreateErrorDescription.
    """
    if isinstance(refusal, AccessTokenRefused) and refusal.check == "kid":
        return 'Bearer error="invalid_token", error_description="The signature key was not found"'
    return "Bearer"


class TokenCheck:
    """Checks access tokens against the keys and the addresses of one service.

    Args:
        access_keys: The keys that may have signed; asked for at each check, so that they can change.
        hosts: As `ServiceAddress` takes them.
        port: As `ServiceAddress` takes it.
        exchanged_keys: The keys that were handed out; a token names the one that signed it in its header (``kid``).

    Source: RFC 7519.
    """

    def __init__(
        self,
        access_keys: Iterable[str],
        hosts: frozenset[str],
        port: int | None,
        exchanged_keys: ExchangedKeys | None = None,
    ) -> None:
        self._access_keys = access_keys
        self._exchanged_keys = exchanged_keys
        self._address = ServiceAddress(hosts, port)

    def client(self, token: str | None, hub: str, now: float) -> ClientIdentity:
        """Return whom a client's token names.

        Args:
            token: The token, if there was one.
            hub: The hub to be opened, in lower case.
            now: The time, in Unix seconds.

        Raises:
            AccessTokenRefused: The token does not open this hub.
        """
        claims = self._valid_claims(token, now, self._exchanged_keys)
        self._address.check_client(claims, hub)
        return ClientIdentity(_user_id(claims), claims)

    def rest(self, token: str | None, path: str, query: str, now: float) -> None:
        """Check the token of a REST call, which an exchanged key does not sign: it is for client tokens alone.

        Args:
            token: The token, if there was one.
            path: The path of the call, still percent-encoded.
            query: Its query, still percent-encoded.
            now: The time, in Unix seconds.

        Raises:
            AccessTokenRefused: The token is not for this call.
        """
        self._address.check_call(self._valid_claims(token, now), path, query)

    def _valid_claims(self, token: str | None, now: float, exchanged: ExchangedKeys | None = None) -> dict[str, Any]:
        """Return the claims of a token that is signed, with an access key or one of those, and in force."""
        claims = self._signed_claims(token, now, exchanged)
        expires_at = _time(claims, "exp")
        if expires_at is None:
            raise AccessTokenRefused("exp", "the access token has no expiry: add the claim exp, in Unix seconds")
        if expires_at <= now:
            raise AccessTokenRefused(
                "exp", f"the access token expired {now - expires_at:.0f} seconds ago (claim exp): negotiate again"
            )
        not_before = _time(claims, "nbf")
        if not_before is not None and not_before > now:
            raise AccessTokenRefused(
                "nbf",
                f"the access token is not valid for another {not_before - now:.0f} seconds (claim nbf): "
                "compare the clocks",
            )
        return claims

    def _signed_claims(self, token: str | None, now: float, exchanged: ExchangedKeys | None) -> dict[str, Any]:
        if not token:
            raise AccessTokenRefused(
                "form",
                "there is no access token: send the header 'Authorization: Bearer <token>'; "
                "WebSockets and Server-Sent Events may use the query parameter access_token",
            )
        if len(token) > TOKEN_LIMIT:
            raise AccessTokenRefused(
                "length", f"the access token has {len(token)} characters and the service accepts {TOKEN_LIMIT}"
            )
        try:
            key_id = None if exchanged is None else _SIGNATURES.get_unverified_header(token).get("kid")
            named = exchanged.find(key_id, now) if exchanged is not None and key_id else None
            for access_key in self._access_keys if named is None else (named,):
                try:
                    return _claims(_SIGNATURES.decode(token, access_key.encode(), algorithms=["HS256", "HS512"]))
                except jwt.InvalidSignatureError:
                    continue
        except jwt.InvalidAlgorithmError as exc:
            raise AccessTokenRefused(
                "signature", "the access token must be signed with HS256 or HS512 and an access key"
            ) from exc
        except (jwt.PyJWTError, ValueError, RecursionError) as exc:
            raise AccessTokenRefused("form", "the access token is not a JSON Web Token") from exc
        if key_id is not None:
            raise AccessTokenRefused(
                "kid",
                "the access token is signed with a key that is not known here, or no longer (kid): fetch the key anew "
                "from /api/v1/auth/accessKey",
            )
        raise AccessTokenRefused(
            "signature",
            "the access token's signature does not match: sign it with the AccessKey of the connection string",
        )


def _claims(payload: bytes) -> dict[str, Any]:
    return msgspec.json.decode(payload, type=dict[str, Any])


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    """Return a claim that is a time in Unix seconds, ``None`` if the token has none."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _LATEST:
        raise AccessTokenRefused(name, f"the access token's claim {name} is not a number of Unix seconds")
    return value


def _user_id(claims: Mapping[str, Any]) -> str | None:
    """Return the user id: the service's own claim, else the first of the two that name a subject.

    Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR.Emulator/Common/HttpContextExtenstions.cs.
    """
    names = ["asrs.s.uid"] if "asrs.s.uid" in claims else [name for name in claims if name in {"nameid", "sub"}]
    if not names:
        return None
    user_id = claims[names[0]]
    if not isinstance(user_id, str):
        raise AccessTokenRefused(names[0], f"the access token's user id (claim {names[0]}) must be one string")
    if _CONTROLS.search(user_id):  # no header can carry it, and another text must not stand in for it
        raise AccessTokenRefused(names[0], f"the access token's user id (claim {names[0]}) holds control characters")
    return user_id or None
