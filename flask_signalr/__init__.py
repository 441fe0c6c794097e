"""Azure SignalR Service for Flask: negotiation, authentication, user ids and claims."""

from flask_signalr.auth.bearer import BearerAuth
from flask_signalr.auth.cookie import CookieAuth, user_principal
from flask_signalr.auth.key_set import KeyFetching
from flask_signalr.auth.scheme import AuthScheme
from flask_signalr.claims import Claims
from flask_signalr.endpoints import EndpointRouter, ServiceEndpoint
from flask_signalr.errors import (
    AccessTokenTooLong,
    AuthenticationFailed,
    AuthorizationDenied,
    BadRequest,
    ConfigurationError,
    HubNotFound,
    IdentityProviderUnavailable,
    InvalidClaim,
    MissingExtra,
    NoServiceEndpoint,
    OriginNotAllowed,
    SignalRError,
    Unavailable,
)
from flask_signalr.extension import SignalR
from flask_signalr.hub import Hub
from flask_signalr.hub_options import HubOptions
from flask_signalr.negotiation import ClientAccess
from flask_signalr.principal import (
    ANONYMOUS,
    Principal,
    by_claim,
    by_email,
    by_name,
    canonical_user_id,
    everything,
    nothing,
    only,
    rename,
)
from flask_signalr.redaction import HideTokens, RedactTokens, redact_logs
from flask_signalr.token_claims import TokenOptions

__all__ = [
    "ANONYMOUS",
    "AccessTokenTooLong",
    "AuthScheme",
    "AuthenticationFailed",
    "AuthorizationDenied",
    "BadRequest",
    "BearerAuth",
    "Claims",
    "ClientAccess",
    "ConfigurationError",
    "CookieAuth",
    "EndpointRouter",
    "HideTokens",
    "Hub",
    "HubNotFound",
    "HubOptions",
    "IdentityProviderUnavailable",
    "InvalidClaim",
    "KeyFetching",
    "MissingExtra",
    "NoServiceEndpoint",
    "OriginNotAllowed",
    "Principal",
    "RedactTokens",
    "ServiceEndpoint",
    "SignalR",
    "SignalRError",
    "TokenOptions",
    "Unavailable",
    "by_claim",
    "by_email",
    "by_name",
    "canonical_user_id",
    "everything",
    "nothing",
    "only",
    "redact_logs",
    "rename",
    "user_principal",
]
