"""Is this Microsoft Entra token any good: the issuer's keys verify it, and it names an application."""

from collections.abc import Mapping
from typing import Any

from flask_signalr.auth.identity_provider import HttpFetch, check_url, discover_key_set_url, fetch_keys
from flask_signalr.auth.key_set import KeyFetching, KeySet
from flask_signalr.auth.token_verifier import TokenVerifier
from flask_signalr.auth.verification_key import PublishedKey, demand_cryptography, key_set_algorithms
from flask_signalr.emulator.entra import NO_ENTRA_TOKEN, EntraCaller, EntraVerdict
from flask_signalr.emulator.rest.request import RestRequest
from flask_signalr.emulator.settings import EmulatorSettings
from flask_signalr.errors import AuthenticationFailed, ConfigurationError, SignalRError

_DEFAULT_FETCHING = KeyFetching()
_ALGORITHMS = key_set_algorithms(None)


class EntraCheck:
    """Checks Microsoft Entra tokens of REST calls; it may wait for the issuer, so no event loop may call it.

    Args:
        issuer: The issuer, to the letter as its discovery document and its tokens have it.
        settings: The audience of the tokens.
        fetching: How the issuer's keys are fetched and kept.

    Raises:
        ConfigurationError: The issuer is no URL that keys may be fetched from.
        MissingExtra: The extra ``jwks`` is not installed.
    """

    def __init__(self, issuer: str, settings: EmulatorSettings, fetching: KeyFetching = _DEFAULT_FETCHING) -> None:
        try:
            check_url(issuer, "issuer")
        except ConfigurationError as exc:
            raise ConfigurationError(
                f"entra_issuer: {str(exc).removeprefix('BearerAuth(issuer=…): ')} (--entra-issuer)"
            ) from None
        demand_cryptography("the emulator with Microsoft Entra tokens")
        fetch = fetching.fetch or HttpFetch(fetching.timeout)

        def load() -> tuple[PublishedKey, ...]:
            return fetch_keys(fetch, discover_key_set_url(fetch, issuer), _ALGORITHMS)

        audience = settings.entra_audience.rstrip("/")
        keys = KeySet(issuer, _ALGORITHMS, load, fetching)
        self._verifier = TokenVerifier(keys, issuer, (audience, f"{audience}/"), leeway=0)

    def judge(self, call: RestRequest) -> EntraVerdict:
        """Return what becomes of a call's token; it never raises for what the caller did."""
        try:
            token = call.access_token
            claims = self._verifier.verify(token) if token else None
            return NO_ENTRA_TOKEN if claims is None else EntraVerdict(identity=self._identity(claims))
        except SignalRError as exc:
            return EntraVerdict(refusal=exc)

    def _identity(self, claims: Mapping[str, Any]) -> EntraCaller:
        """Return whom a verified token names.

        Raises:
            AuthenticationFailed: It names several applications, or none that is text.
        """
        app_ids = [claims[name] for name in ("appid", "azp") if name in claims]  # tokens of version 1, and of 2
        app_id = app_ids[0] if app_ids else None
        if not isinstance(app_id, str) or any(each != app_id for each in app_ids):
            raise AuthenticationFailed("the bearer token does not name one application (appid, azp)")
        return EntraCaller(app_id)
