"""Azure SignalR Service for Flask: negotiation, authentication, user ids and claims.

A public name is loaded when it is first asked for, so that an app pays for what it uses.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask_signalr.auth.bearer import BearerAuth, ToPrincipal
    from flask_signalr.auth.cookie import CookieAuth, user_principal
    from flask_signalr.auth.expiring_cache import RoleCaching
    from flask_signalr.auth.frontend import FrontEndAuth
    from flask_signalr.auth.key_set import KeyFetching
    from flask_signalr.auth.ldap_directory import LdapDirectory
    from flask_signalr.auth.ldap_groups import LdapGroups
    from flask_signalr.auth.ldap_roles import LdapRoles
    from flask_signalr.auth.scheme import AuthScheme
    from flask_signalr.auth.windows import WindowsAuth
    from flask_signalr.auth.windows_accounts import windows_principal
    from flask_signalr.auth.windows_identity import WindowsIdentity, WindowsRealm, by_windows_account
    from flask_signalr.auth.windows_roles import RolesProvider, static_roles
    from flask_signalr.authorization import (
        AuthorizationContext,
        Policy,
        Requirement,
        require_authenticated,
        require_claim,
        require_role,
    )
    from flask_signalr.claims import Claims
    from flask_signalr.endpoint_errors import NoServiceEndpoint, RouterRefused, SigningKeyUnavailable
    from flask_signalr.endpoint_health import EndpointStatus
    from flask_signalr.endpoint_signal import endpoint_changed
    from flask_signalr.endpoints import EndpointGroup, EndpointRouter, ServiceEndpoint
    from flask_signalr.errors import (
        AccessTokenRefused,
        AccessTokenTooLong,
        AuthenticationFailed,
        AuthorizationDenied,
        BadRequest,
        BodyTooLarge,
        ConfigurationError,
        ConnectRefused,
        EmulatorUnavailable,
        HubException,
        HubNotFound,
        IdentityProviderUnavailable,
        InvalidClaim,
        InvalidName,
        InvalidSignature,
        InvocationFailed,
        MissingExtra,
        NegotiationRefused,
        OriginNotAllowed,
        ProtocolError,
        RequestReplayed,
        SignalRError,
        SignOnFailed,
        StoreUnavailable,
        Unavailable,
        UnsupportedMediaType,
    )
    from flask_signalr.extension import SignalR
    from flask_signalr.hub import Hub
    from flask_signalr.hub_options import HubOptions
    from flask_signalr.invocation import Invocation
    from flask_signalr.negotiation import ClientAccess
    from flask_signalr.principal import (
        ANONYMOUS,
        ClaimsFilter,
        CollisionGuard,
        Principal,
        UserIdProvider,
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
    from flask_signalr.refresh import RefreshContext, RefreshGate, RefreshRefused
    from flask_signalr.rest.client import ServiceClient
    from flask_signalr.rest.commands import CloseConnection, JoinGroup, LeaveGroup, SendMessage
    from flask_signalr.rest.exchange import ServiceRequest, ServiceResponse, Transport
    from flask_signalr.rest.group_members import GroupMember
    from flask_signalr.rest.hub_clients import HubClients
    from flask_signalr.routers import ClaimRouter, QueryRouter, RegionRouter
    from flask_signalr.server_sdk_url import ServerSdkUrl
    from flask_signalr.service_errors import (
        ClientInvocationFailed,
        EntraTokenUnavailable,
        PartialFailure,
        RecipientNotFound,
        ServiceBusy,
        ServiceError,
        ServiceRefusedCall,
        ServiceRefusedToken,
        ServiceUnreachable,
    )
    from flask_signalr.token_claims import TokenOptions

__all__ = [
    "ANONYMOUS",
    "AccessTokenRefused",
    "AccessTokenTooLong",
    "AuthScheme",
    "AuthenticationFailed",
    "AuthorizationContext",
    "AuthorizationDenied",
    "BadRequest",
    "BearerAuth",
    "BodyTooLarge",
    "ClaimRouter",
    "Claims",
    "ClaimsFilter",
    "ClientAccess",
    "ClientInvocationFailed",
    "CloseConnection",
    "CollisionGuard",
    "ConfigurationError",
    "ConnectRefused",
    "CookieAuth",
    "EmulatorUnavailable",
    "EndpointGroup",
    "EndpointRouter",
    "EndpointStatus",
    "EntraTokenUnavailable",
    "FrontEndAuth",
    "GroupMember",
    "HideTokens",
    "Hub",
    "HubClients",
    "HubException",
    "HubNotFound",
    "HubOptions",
    "IdentityProviderUnavailable",
    "InvalidClaim",
    "InvalidName",
    "InvalidSignature",
    "Invocation",
    "InvocationFailed",
    "JoinGroup",
    "KeyFetching",
    "LdapDirectory",
    "LdapGroups",
    "LdapRoles",
    "LeaveGroup",
    "MissingExtra",
    "NegotiationRefused",
    "NoServiceEndpoint",
    "OriginNotAllowed",
    "PartialFailure",
    "Policy",
    "Principal",
    "ProtocolError",
    "QueryRouter",
    "RecipientNotFound",
    "RedactTokens",
    "RefreshContext",
    "RefreshGate",
    "RefreshRefused",
    "RegionRouter",
    "RequestReplayed",
    "Requirement",
    "RoleCaching",
    "RolesProvider",
    "RouterRefused",
    "SendMessage",
    "ServerSdkUrl",
    "ServiceBusy",
    "ServiceClient",
    "ServiceEndpoint",
    "ServiceError",
    "ServiceRefusedCall",
    "ServiceRefusedToken",
    "ServiceRequest",
    "ServiceResponse",
    "ServiceUnreachable",
    "SignOnFailed",
    "SignalR",
    "SignalRError",
    "SigningKeyUnavailable",
    "StoreUnavailable",
    "ToPrincipal",
    "TokenOptions",
    "Transport",
    "Unavailable",
    "UnsupportedMediaType",
    "UserIdProvider",
    "WindowsAuth",
    "WindowsIdentity",
    "WindowsRealm",
    "by_claim",
    "by_email",
    "by_name",
    "by_windows_account",
    "canonical_user_id",
    "endpoint_changed",
    "everything",
    "nothing",
    "only",
    "redact_logs",
    "rename",
    "require_authenticated",
    "require_claim",
    "require_role",
    "static_roles",
    "user_principal",
    "windows_principal",
]

_HOMES = {
    "auth.bearer": "BearerAuth ToPrincipal",
    "auth.cookie": "CookieAuth user_principal",
    "auth.expiring_cache": "RoleCaching",
    "auth.frontend": "FrontEndAuth",
    "auth.key_set": "KeyFetching",
    "auth.ldap_directory": "LdapDirectory",
    "auth.ldap_groups": "LdapGroups",
    "auth.ldap_roles": "LdapRoles",
    "auth.scheme": "AuthScheme",
    "auth.windows": "WindowsAuth",
    "auth.windows_accounts": "windows_principal",
    "auth.windows_identity": "WindowsIdentity WindowsRealm by_windows_account",
    "auth.windows_roles": "RolesProvider static_roles",
    "authorization": "AuthorizationContext Policy Requirement require_authenticated require_claim require_role",
    "claims": "Claims",
    "endpoint_errors": "NoServiceEndpoint RouterRefused SigningKeyUnavailable",
    "endpoint_health": "EndpointStatus",
    "endpoint_signal": "endpoint_changed",
    "endpoints": "EndpointGroup EndpointRouter ServiceEndpoint",
    "errors": "AccessTokenRefused AccessTokenTooLong AuthenticationFailed AuthorizationDenied BadRequest "
    "BodyTooLarge ConfigurationError ConnectRefused EmulatorUnavailable HubException HubNotFound "
    "IdentityProviderUnavailable InvalidClaim InvalidName InvalidSignature InvocationFailed MissingExtra "
    "NegotiationRefused OriginNotAllowed ProtocolError RequestReplayed "
    "SignOnFailed SignalRError StoreUnavailable Unavailable UnsupportedMediaType",
    "extension": "SignalR",
    "hub": "Hub",
    "hub_options": "HubOptions",
    "invocation": "Invocation",
    "negotiation": "ClientAccess",
    "principal": "ANONYMOUS ClaimsFilter CollisionGuard Principal UserIdProvider by_claim by_email by_name "
    "canonical_user_id everything nothing only rename",
    "redaction": "HideTokens RedactTokens redact_logs",
    "refresh": "RefreshContext RefreshGate RefreshRefused",
    "rest.client": "ServiceClient",
    "rest.commands": "CloseConnection JoinGroup LeaveGroup SendMessage",
    "rest.exchange": "ServiceRequest ServiceResponse Transport",
    "rest.group_members": "GroupMember",
    "rest.hub_clients": "HubClients",
    "routers": "ClaimRouter QueryRouter RegionRouter",
    "server_sdk_url": "ServerSdkUrl",
    "service_errors": "ClientInvocationFailed EntraTokenUnavailable PartialFailure RecipientNotFound ServiceBusy "
    "ServiceError ServiceRefusedCall ServiceRefusedToken ServiceUnreachable",
    "token_claims": "TokenOptions",
}
"""Which module has which public names."""

_MODULES = {name: f"{__name__}.{module}" for module, names in _HOMES.items() for name in names.split()}

if not TYPE_CHECKING:  # or type checkers would take every name for one of ours

    def __getattr__(name: str) -> object:
        """Load a public name (PEP 562)."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_MODULES[name]), name)
        return value

    def __dir__() -> list[str]:
        """Return the public names too that were not asked for yet."""
        return sorted({*globals(), *__all__})
