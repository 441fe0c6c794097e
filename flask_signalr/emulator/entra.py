"""What a Microsoft Entra token says of a caller of the REST API, as values."""

from dataclasses import dataclass

from flask_signalr.errors import SignalRError


@dataclass(frozen=True)
class EntraCaller:
    """An application, or a managed identity, that the issuer vouches for.

    Attributes:
        app_id: Its application id, which is its client id too.
    """

    app_id: str


@dataclass(frozen=True)
class EntraVerdict:
    """What became of a call's token where Microsoft Entra tokens are accepted.

    Attributes:
        identity: Whom it names; ``None`` if there is none, or one that the issuer did not make.
        refusal: What is wrong with one of the issuer's.
    """

    identity: EntraCaller | None = None
    refusal: SignalRError | None = None


NO_ENTRA_TOKEN = EntraVerdict()
"""The call brings no token of the issuer; an access key may have signed the one it brings."""
