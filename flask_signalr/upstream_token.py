"""The token that the service's managed identity brings to upstream requests, besides the signature."""

from collections.abc import Mapping
from typing import Any

from flask import Request

from flask_signalr.auth.bearer import BearerAuth
from flask_signalr.auth.key_set import KeyFetching
from flask_signalr.errors import AuthenticationFailed, ConfigurationError, MissingExtra
from flask_signalr.principal import Principal
from flask_signalr.upstream_settings import UpstreamToken

_DEFAULT_FETCHING = KeyFetching()


class UpstreamTokenCheck:
    """Verifies the bearer token of an upstream request.

    Args:
        token: What it must say.
        fetching: How the identity provider's keys are fetched and kept.

    Raises:
        ConfigurationError: The issuer is no URL that keys may be fetched from.
        MissingExtra: The extra ``jwks`` is not installed.
    """

    def __init__(self, token: UpstreamToken, fetching: KeyFetching = _DEFAULT_FETCHING) -> None:
        self._app_id = token.app_id
        try:
            self._bearer = BearerAuth.oidc(
                token.issuer, audience=token.audience, fetching=fetching, to_principal=self._identity
            )
        except MissingExtra as exc:
            raise MissingExtra("SIGNALR_UPSTREAM_ISSUER", exc.extra) from None
        except ConfigurationError as exc:
            fault = str(exc).removeprefix("BearerAuth(issuer=…): ")
            raise ConfigurationError(f"SIGNALR_UPSTREAM_ISSUER: {fault}") from None

    def check(self, request: Request) -> None:
        """Let the request of the service's identity pass.

        Raises:
            AuthenticationFailed: There is no token in the header ``Authorization``, or it is wrong, or of another
                issuer, audience or application.
            IdentityProviderUnavailable: The keys that verify it cannot be fetched.
        """
        scheme = request.headers.get("Authorization", "").partition(" ")[0]
        if scheme.lower() != "bearer":  # a token in the URL stands in the logs of everything on the way
            raise AuthenticationFailed("the request has no bearer token (Authorization)")
        if self._bearer.authenticate(request) is None:
            raise AuthenticationFailed("the request has no bearer token, or one of another issuer (Authorization)")

    def _identity(self, claims: Mapping[str, Any]) -> Principal:
        app_ids = [claims[name] for name in ("appid", "azp") if name in claims]  # tokens of version 1, and of 2
        if not app_ids or any(app_id != self._app_id for app_id in app_ids):
            raise AuthenticationFailed("the bearer token is of another application (appid, azp)")
        return Principal(self._app_id)
