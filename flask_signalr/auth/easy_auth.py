"""Azure Easy Auth: the header in which App Service tells an app who is signed in."""

import binascii
from base64 import b64decode
from typing import Annotated

import msgspec

from flask_signalr.claim_types import name_as_read
from flask_signalr.principal import Principal

HEADER = "X-MS-CLIENT-PRINCIPAL"

MAX_LENGTH = 64 * 1024
"""Characters of the longest header that is looked at."""

MAX_CLAIMS = 1000
"""Claims of the largest principal that is looked at; identity providers leave groups out long before that."""

_ENTRA, _APP_ROLES = "aad", "roles"


class _Claim(msgspec.Struct):
    typ: Annotated[str, msgspec.Meta(min_length=1)]
    val: str


class _ClientPrincipal(msgspec.Struct):
    auth_typ: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    claims: Annotated[list[_Claim], msgspec.Meta(max_length=MAX_CLAIMS)]
    name_typ: str
    role_typ: str


_decode = msgspec.json.Decoder(_ClientPrincipal).decode


def read_client_principal(header: str) -> Principal:
    """Return the principal of a header.

    Its name is the claim of the type ``name_typ``. Claims of the type ``role_typ`` become ``role``, and no other claim
    does: a claim that merely looks like a role, under any name that the service or a policy takes for one, proves none.
    Of Microsoft Entra ID the app roles count too: App Service leaves them under ``roles``, where nobody can put claims
    of their own, and calls another type the one of roles.

    Raises:
        ValueError: It cannot be read; the text says why, without a word of it.

    Source: AzureAD/microsoft-identity-web:src/Microsoft.Identity.Web/AppServicesAuth/
    AppServicesAuthenticationInformation.cs.
    """
    if len(header) > MAX_LENGTH:
        raise ValueError(f"it is longer than {MAX_LENGTH} characters")
    try:
        caller = _decode(b64decode(header, validate=True))
    except (binascii.Error, ValueError, RecursionError) as exc:
        raise ValueError("it is not the base64 of a JSON object as App Service writes it") from exc
    name = next((claim.val for claim in caller.claims if claim.typ == caller.name_typ), "")
    if not name.strip() or not name.isprintable():
        raise ValueError(f"it has no name in its claim {caller.name_typ!r:.100}")
    role_types = {caller.role_typ, _APP_ROLES} if caller.auth_typ == _ENTRA else {caller.role_typ}
    claims = [
        ("role" if claim.typ in role_types else claim.typ, claim.val)
        for claim in caller.claims
        if claim.typ in role_types or name_as_read(claim.typ) != "role"
    ]
    return Principal(name, claims, caller.auth_typ)
