"""The tokens of Microsoft Entra ID that REST calls and the key exchange bring."""

import math
import re
from collections.abc import Callable, Iterable
from functools import partial

from flask_signalr.clocks import SYSTEM_CLOCKS, Clocks
from flask_signalr.connection_string import EntraCredential
from flask_signalr.endpoints import ServiceEndpoint
from flask_signalr.entra.credentials import SCOPE, TokenCredential, check_credential, check_description, make_credential
from flask_signalr.entra.entra_settings import check_encryption
from flask_signalr.entra.renewed_value import FetchFailed, Fresh, Pace, RenewedValue
from flask_signalr.rest.per_process import PerProcess

_TOKEN = re.compile(r"[!-~]+")  # what an Authorization header carries

RENEWAL = 300
"""Seconds before its end at which a token is renewed; azure-identity's own cache gives out another one from then on."""

MARGIN = 30
"""Seconds before its end at which a token is used no longer: the clocks of two machines differ."""

PAUSE = 30
"""Seconds between two tries to renew a token that is still good."""


class EntraTokens:
    """The tokens of one credential; they open every service instance that its identity has a role for.

    Args:
        make: Makes the credential, at the first fetch in each process; when it raises, the next fetch tries again.
        clocks: Where time and chance come from.
    """

    def __init__(self, make: Callable[[], TokenCredential], clocks: Clocks = SYSTEM_CLOCKS) -> None:
        self._credential = PerProcess(make)
        self._clocks = clocks
        self._token: RenewedValue[str] = RenewedValue(
            "the Microsoft Entra token", self._fetched, Pace(meanwhile=PAUSE), clocks
        )

    def token(self, audience: str = "", wait: float | None = None, within: float = math.inf) -> str:
        """Return the token; it is the same for every audience.

        Args:
            audience: What it shall open.
            wait: As `RenewedValue.get` takes it.
            within: As `RenewedValue.get` takes it.

        Raises:
            NotFetched: None is to be had at the moment.
        """
        return self._token.get(wait, within)

    def _fetched(self, known: str | None) -> Fresh[str]:
        answer = self._credential().get_token(SCOPE)
        now = self._clocks.unix()
        token: object = answer.token  # which an app's own class may break its word about
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise FetchFailed("the credential's get_token returned something that is no token")
        expires_on = answer.expires_on
        if expires_on - MARGIN <= now:
            raise FetchFailed("the credential's get_token returned a token that has ended: check this machine's clock")
        return Fresh(token, max(expires_on - RENEWAL, now + min(PAUSE, MARGIN)), expires_on - MARGIN)


class EntraIdentity:
    """Who an app is at its service endpoints that have no access key.

    Args:
        endpoints: The service endpoints; those with an access key need nothing of this.
        credential: The app's own, in the place of what the connection strings describe; ``None`` for these.
        clocks: Where time and chance come from.

    Raises:
        MissingExtra: azure-identity is not installed.
        ConfigurationError: A credential cannot be used, or its tokens would travel in plain text.
    """

    def __init__(
        self,
        endpoints: Iterable[ServiceEndpoint],
        credential: object | None = None,
        clocks: Clocks = SYSTEM_CLOCKS,
    ) -> None:
        endpoints = tuple(endpoints)
        for endpoint in endpoints:
            check_encryption(endpoint)
        described = {each.credential for each in endpoints if each.credential is not None}
        self._tokens: dict[EntraCredential | None, EntraTokens]
        if credential is None:
            for each in described:
                check_description(each)
            self._tokens = {each: EntraTokens(partial(make_credential, each), clocks) for each in described}
        else:
            own = check_credential(credential)
            self._tokens = dict.fromkeys(described, EntraTokens(lambda: own, clocks))

    def tokens(self, endpoint: ServiceEndpoint) -> EntraTokens:
        """Return the tokens for an endpoint without an access key."""
        return self._tokens[endpoint.credential]
