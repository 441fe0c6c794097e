"""Client tokens that the service makes itself (``:generateToken``): no key leaves it, and no claim gets in."""

from dataclasses import fields

import msgspec

from flask_signalr.claims import Claims
from flask_signalr.endpoint_errors import SigningKeyUnavailable
from flask_signalr.endpoints import ServiceEndpoint
from flask_signalr.entra.identity import EntraIdentity
from flask_signalr.entra.renewed_value import logger
from flask_signalr.errors import AuthenticationFailed, ConfigurationError, InvalidClaim
from flask_signalr.negotiation import ClientAccess, prefixed_hub
from flask_signalr.principal import ClaimsFilter, nothing
from flask_signalr.rest.calls import Call, HubAddress, parameters
from flask_signalr.rest.endpoint_client import EndpointClient
from flask_signalr.rest.exchange import Transport
from flask_signalr.service_errors import ServiceBusy, ServiceError
from flask_signalr.token_claims import DEFAULT_TOKEN_OPTIONS, TokenOptions
from flask_signalr.tokens import TOKEN_LIMIT

_KEY = "SIGNALR_TOKEN_SOURCE=service"
_RETRY_AFTER = 5
_UNAVAILABLE = "the service issued no token, please try again later"


class IssuedTokens:
    """Has the service make the tokens of clients; a request for each.

    Args:
        identity: Who asks.
        transport: Carries the requests.
        application_name: The prefix that keeps the hubs of several apps at one service apart.
        timeout: Seconds that one request may take, with its repetitions.
    """

    def __init__(self, identity: EntraIdentity, transport: Transport, application_name: str, timeout: float) -> None:
        self._identity = identity
        self._transport = transport
        self._application_name = application_name
        self._timeout = timeout
        self._clients: dict[str, EndpointClient] = {}

    @staticmethod
    def check(claims_filter: ClaimsFilter, options: TokenOptions, lifetime: int) -> None:
        """Refuse what a hub wants in its tokens, and the service's own cannot carry.

        Raises:
            ConfigurationError: There is such a thing; the text names it.
        """
        if claims_filter is not nothing:
            raise ConfigurationError(
                f"{_KEY}: tokens that the service issues carry no claims: leave claims_filter= out, or let "
                "the app sign them (SIGNALR_TOKEN_SOURCE=key)"
            )
        lost = [
            each.name
            for each in fields(TokenOptions)
            if each.init and getattr(options, each.name) != getattr(DEFAULT_TOKEN_OPTIONS, each.name)
        ]
        if lost:
            raise ConfigurationError(
                f"{_KEY}: tokens that the service issues cannot carry {', '.join(lost)}: leave it at its default, "
                "or let the app sign them (SIGNALR_TOKEN_SOURCE=key)"
            )
        if lifetime < 60:
            raise ConfigurationError(f"{_KEY}: the service counts in minutes: access_token_lifetime is 60 at least")

    def client_access(
        self, endpoint: ServiceEndpoint, hub: str, user_id: str | None, claims: Claims, lifetime: int, within: float
    ) -> ClientAccess:
        """Return what a client needs to connect.

        Args:
            endpoint: The service endpoint that the client connects to.
            hub: The hub's name.
            user_id: What the service routes by; ``None`` connects without one.
            claims: Must be empty.
            lifetime: Seconds that the token may be valid at most; of these, the whole minutes.
            within: Seconds that the request for it may take, if that is less than the time limit of all.

        Raises:
            InvalidClaim: There are claims.
            AuthenticationFailed: The lifetime is shorter than a minute.
            SigningKeyUnavailable: The service makes none; the log tells why.
        """
        for claim_type in claims.types():
            raise InvalidClaim(claim_type, f"a token that the service issues cannot carry it ({_KEY})")
        if lifetime < 60:
            raise AuthenticationFailed(
                "the sign-in ends within a minute, and the service issues no token so short: sign in again"
            )
        try:
            token = self._issued(endpoint, hub, user_id, lifetime // 60, min(self._timeout, within))
        except ServiceError as exc:
            logger.error("%s issues no token: %s", endpoint.name or endpoint.url, exc)
            wait = exc.retry_after if isinstance(exc, ServiceBusy) else None
            raise SigningKeyUnavailable(_UNAVAILABLE, wait or _RETRY_AFTER) from exc
        path = f"client/?hub={prefixed_hub(hub, self._application_name)}"
        return ClientAccess(endpoint.client_base_url + path, token)

    def _issued(self, endpoint: ServiceEndpoint, hub: str, user_id: str | None, minutes: int, timeout: float) -> str:
        """Return a token of the service.

        Source: Azure/azure-signalr:docs/swagger/v20241201.json, ``WebSocketConnection_GenerateClientToken``.
        """
        query = parameters(userId=user_id, minutesToExpire=minutes)
        call = Call("POST", "/:generateToken", "a client's token", query, knows_application=False)
        response = self._client(endpoint).answer(HubAddress.of(hub, self._application_name), call, timeout)
        try:
            token = msgspec.json.decode(response.body if response else b"", type=dict[str, object]).get("token")
        except (ValueError, RecursionError):
            token = None
        if not isinstance(token, str) or not token.isascii() or not 0 < len(token) <= TOKEN_LIMIT:
            raise ServiceError(
                "the service's answer to :generateToken holds no token", method=call.method, path=call.path
            )
        return token

    def _client(self, endpoint: ServiceEndpoint) -> EndpointClient:
        client = self._clients.get(endpoint.url)
        if client is None:
            client = EndpointClient(endpoint, self._transport, self._identity.tokens(endpoint))
            client = self._clients.setdefault(endpoint.url, client)
        return client
