"""Who an app under test is at a service of which it knows no access key."""

import secrets
import time
from dataclasses import dataclass, field, replace
from typing import Any

from flask_signalr.config import Settings
from flask_signalr.tokens import SigningKey

_LIFETIME = 24 * 3600


@dataclass(frozen=True)
class FakeToken:
    """What stands for a Microsoft Entra token.

    Attributes:
        token: The token.
        expires_on: When it ends, in Unix seconds.
    """

    token: str = field(repr=False)
    expires_on: int


class FakeCredential:
    """A credential that signs in nowhere: a test needs no network, and no secret of production."""

    def __init__(self) -> None:
        self._token = secrets.token_urlsafe(32)

    def get_token(self, *scopes: str, **options: Any) -> FakeToken:
        """Return a token that only the service of the test accepts."""
        return FakeToken(self._token, int(time.time()) + _LIFETIME)


def identified(settings: Settings, upstream_key: str) -> Settings:
    """Return an app's settings, with a credential of the test's own in the place of a real one.

    Args:
        settings: The settings.
        upstream_key: What the service of the test signs upstream requests with; accepted where the app knows other
            keys to verify them with (``SIGNALR_SECONDARY_KEYS``).
    """
    if all(endpoint.key is not None for endpoint in settings.endpoints):
        return settings
    upstream = settings.upstream
    if upstream.keys:
        added = {"": (SigningKey(upstream_key),)}  # of no audience
        upstream = replace(upstream, keys_by_audience={**upstream.keys_by_audience, **added})
    return replace(settings, entra=replace(settings.entra, credential=FakeCredential()), upstream=upstream)
