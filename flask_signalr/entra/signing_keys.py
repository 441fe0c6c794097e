"""Keys that the service hands out to who has a role for it: client tokens are signed with them, here."""

import math
from dataclasses import dataclass, field, replace
from functools import partial

import msgspec

from flask_signalr.clocks import SYSTEM_CLOCKS, Clocks
from flask_signalr.endpoint_errors import SigningKeyUnavailable
from flask_signalr.endpoint_health import NoVerdict
from flask_signalr.endpoints import ServiceEndpoint
from flask_signalr.entra.identity import EntraIdentity
from flask_signalr.entra.renewed_value import FIRST_WAIT, FetchFailed, Fresh, NotFetched, NotTried, Pace, RenewedValue
from flask_signalr.rest.exchange import ServiceRequest, ServiceResponse, Transport
from flask_signalr.rest.refusals import refusal
from flask_signalr.service_errors import ServiceError
from flask_signalr.tokens import SigningKey, sign_access_token

RENEWAL = 55 * 60
"""Seconds after which a key is renewed; as the SDK's, like `EXPIRY` and `PAUSE` (``MicrosoftEntraAccessKey.cs``)."""

DOUBT = 85 * 60
"""Seconds after which a use waits for the next key: the service's documents promise 90 minutes.

An app that nobody visited for so long would else send its first visitor away with a key of yesterday.
"""

EXPIRY = 110 * 60
"""Seconds after which a key that could not be renewed is used no longer."""

PAUSE = 5 * 60
"""Seconds between two tries to renew a key that is still good."""

CHECK = 60
"""Seconds after which the service is asked whether it still knows the key, while the key is used."""

TIMEOUT = 10
"""Seconds that one request for a key, or about one, may take."""

CHECKED_HUB = "flask_signalr"
"""The hub that a check opens a connection of, which nobody takes up; only the answer's status matters."""

_KEY_NOT_FOUND = "signature key was not found"
"""What a 401 says where the key's id is unknown; others speak of the clock or of a gateway, and may pass."""

UNAVAILABLE = "the service gave no key to sign with, please try again later"
"""What the caller gets to read; cause and remedy are in the log."""


class _Answer(msgspec.Struct, rename="pascal"):
    """The answer to a request for a key."""

    key_id: str = ""
    access_key: str = ""


@dataclass(frozen=True)
class _HandedOut:
    """A key that was handed out.

    Attributes:
        key: The key.
        access_key: What the service called it.
        fetched_at: When, in Unix seconds.
        is_checked: Whether the service is asked if it still knows it.
    """

    key: SigningKey
    access_key: str = field(repr=False)
    fetched_at: float = 0
    is_checked: bool = True


class SigningKeys:
    """The keys of all service endpoints that have no access key.

    A key is fetched when it is first asked for, and renewed in the background. While it is used, the service is asked
    now and then whether it still knows it: one that it does not know is dropped, and another one fetched.

    Args:
        identity: Who asks.
        transport: Carries the requests.
        clocks: Where time and chance come from.
    """

    def __init__(self, identity: EntraIdentity, transport: Transport, clocks: Clocks = SYSTEM_CLOCKS) -> None:
        self._identity = identity
        self._transport = transport
        self._clocks = clocks
        self._keys: dict[str, RenewedValue[_HandedOut]] = {}  # by URL: an endpoint takes longer to find

    def signing_key(self, endpoint: ServiceEndpoint, within: float = math.inf) -> SigningKey:
        """Return the key to sign with now: the access key of an endpoint that has one, else one of the service's.

        Args:
            endpoint: The service endpoint.
            within: Seconds that the caller waits for a key at most.

        Raises:
            SigningKeyUnavailable: There is none; the log tells why.
        """
        if endpoint.key is not None:
            return endpoint.key
        try:
            return self._of(endpoint).get(within=within).key
        except NotFetched as exc:
            raise SigningKeyUnavailable(UNAVAILABLE, exc.retry_after) from exc

    def fault(self, endpoint: ServiceEndpoint) -> str | None:
        """Return why an endpoint gives no key to sign with; ``None`` if there is one. Waits for nothing.

        Raises:
            NoVerdict: It was not asked yet, or there is no token to ask it with.
        """
        try:
            self._of(endpoint).get(wait=0)
        except NotFetched as exc:
            if exc.is_refused:
                return f"it gives no key to sign clients' tokens with: {exc}"
            raise NoVerdict from exc
        return None

    def _of(self, endpoint: ServiceEndpoint) -> RenewedValue[_HandedOut]:
        keys = self._keys.get(endpoint.url)
        if keys is None:
            name = f"the signing key of {endpoint.name or endpoint.url}"
            keys = RenewedValue(name, partial(self._renewed, endpoint), Pace(meanwhile=PAUSE), self._clocks)
            keys = self._keys.setdefault(endpoint.url, keys)
        return keys

    def _renewed(self, endpoint: ServiceEndpoint, known: _HandedOut | None) -> Fresh[_HandedOut]:
        """Return the key that is used from now on; the present one, if it is young and the service knows it."""
        now = self._clocks.unix()
        if known is not None and now < known.fetched_at + RENEWAL:
            refused = self._refusal(endpoint, known.key) if known.is_checked else None
            if refused is None:
                return self._timed(known)
            if _KEY_NOT_FOUND in refused.headers.get("www-authenticate", "").lower():
                self._keys[endpoint.url].drop(known)
            fetched = self._fetched(endpoint)  # where there is none, a key stays that may be good all the same
            if fetched.access_key == known.access_key:  # then the check is wrong: the service stands by its key
                fetched = replace(fetched, is_checked=False)
            return self._timed(fetched)
        return self._timed(self._fetched(endpoint))

    def _timed(self, handed_out: _HandedOut) -> Fresh[_HandedOut]:
        renew_at = handed_out.fetched_at + RENEWAL
        if handed_out.is_checked:
            renew_at = min(renew_at, self._clocks.unix() + CHECK)
        fetched_at = handed_out.fetched_at
        return Fresh(handed_out, renew_at, fetched_at + EXPIRY, fetched_at + DOUBT)

    def _fetched(self, endpoint: ServiceEndpoint) -> _HandedOut:
        """Return a key of the service.

        Raises:
            FetchFailed: There is no token to ask with, or the service refuses or cannot be reached.

        Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR.Common/Auth/MicrosoftEntraAccessKey.cs.
        """
        try:
            token = self._identity.tokens(endpoint).token(wait=FIRST_WAIT)  # here no request waits
        except NotFetched as exc:
            raise NotTried(f"Microsoft Entra ID gave no token to ask for it with: {exc}") from exc
        url = f"{endpoint.server_base_url}api/v1/auth/accessKey"
        request = ServiceRequest("GET", url, {"Authorization": f"Bearer {token}"}, None, TIMEOUT)
        try:
            response = self._transport(request)
            if response.status != 200:
                raise refusal(request, response, of_identity=True)
        except ServiceError as exc:
            raise FetchFailed(str(exc)) from exc
        try:
            answer = msgspec.json.decode(response.body, type=_Answer)
        except (ValueError, RecursionError) as exc:
            raise FetchFailed("the service's answer is no JSON object of texts") from exc
        if not answer.key_id or not answer.access_key:
            raise FetchFailed(f"Missing required <{'AccessKey' if answer.key_id else 'KeyId'}> field.")
        return _HandedOut(SigningKey(answer.access_key, answer.key_id), answer.access_key, self._clocks.unix())

    def _refusal(self, endpoint: ServiceEndpoint, key: SigningKey) -> ServiceResponse | None:
        """Return the service's answer if it refuses a token of this key; ``None`` if nothing speaks against it.

        Asks as a client does, so that what is true for clients is found out.
        """
        path = f"client/?hub={CHECKED_HUB}"
        now = int(self._clocks.unix())
        token = sign_access_token(key, endpoint.audience_base_url + path, (), lifetime=TIMEOUT * 6, now=now)
        url = f"{endpoint.server_base_url}client/negotiate?hub={CHECKED_HUB}&negotiateVersion=1"
        request = ServiceRequest("POST", url, {"Authorization": f"Bearer {token}"}, None, TIMEOUT)
        try:
            response = self._transport(request)
        except ServiceError:
            return None  # nobody said anything of the key
        return response if response.status == 401 else None
