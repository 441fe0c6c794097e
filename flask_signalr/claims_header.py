"""Claims on their way through a service token and back in ``X-ASRS-User-Claims``.

The service prints the claims of the token into one header, ``{type}: {value}`` joined by ``, ``, and escapes nothing:
a display name of ``x, role: admin`` would come back as a role. So what could be mistaken is percent-encoded before it
enters the token, and decoded here. What the service prints on its own account is not escaped, the user id above all,
so nothing in the header is believed that could be part of the user id.

Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR.Emulator/HubEmulator/HttpUpstreamPropertiesFeature.cs.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

import msgspec

from flask_signalr.claims import (
    NO_CLAIMS,
    RESERVED_TYPES,
    SYSTEM_PREFIX,
    USER_PREFIX,
    Claims,
    ClaimValue,
    short_name,
)
from flask_signalr.errors import BadRequest, InvalidClaim

GUEST_TYPE = USER_PREFIX + "anonymous"
"""The type of the claim that marks a caller whom no auth scheme knows, though it was given a user id."""

GUEST_MARK = Claims(((GUEST_TYPE, "true"),))

HEADER_LIMIT = 16_384
"""Characters of the claims header that are read; a service token has 4096."""

_UNSAFE_IN_VALUE = re.compile(r"[^ -~]|[%,]|\A | \Z")
_UNSAFE_IN_TYPE = re.compile(r"[^!-~]|[%,]")
_UNREADABLE = re.compile(r"[^ -~]|%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NO_LETTER = re.compile(r"[^a-z0-9]")
_RENAMED = {USER_PREFIX + name: name for name in RESERVED_TYPES | {"sub", "nameid"}}


def check_user_id(user_id: str) -> str:
    """Return a user id that the service can print into a header.

    Raises:
        InvalidClaim: It has line breaks or other control characters, which could end a header and begin another.
    """
    if _CONTROL.search(user_id):
        raise InvalidClaim("asrs.s.uid", "a user id has no line breaks and no other control characters")
    return user_id


def escape_claims(claims: Claims, *, may_name_user: bool = False) -> Claims:
    """Return claims that come back as they were, whatever they hold.

    ``%``, ``,``, controls, all that is not ASCII, and blanks at the ends become ``%XX`` of UTF-8, in a type every
    blank. An object becomes text: it would come back as text anyhow. Numbers and booleans stay.

    Args:
        claims: The app's, as its claims filter chose them.
        may_name_user: Whether the token has no other user id, so that the service takes ``sub`` or ``nameid`` for it.

    Raises:
        InvalidClaim: ``sub`` or ``nameid`` would name a user that is not the one meant, or the text is no Unicode.
    """
    pairs = tuple((_escape(_UNSAFE_IN_TYPE, name, name), _escape_value(name, value)) for name, value in claims.pairs)
    if may_name_user:
        for (name, value), (_, escaped) in zip(claims.pairs, pairs, strict=True):
            if names_user(name) and value != escaped:
                raise InvalidClaim(
                    name, "the service would take it for the user id, which is not escaped: give the user id by itself"
                )
    return Claims(pairs)


def names_user(claim_type: str) -> bool:
    """Tell whether the service takes a claim of this type for the user id where the token has no other."""
    return short_name(claim_type) in {"sub", "nameid"}


def parse_claims_header(header: str, user_id: str | None) -> Claims:
    """Return the app's claims, as they were before `escape_claims`; every value is a text.

    Types come back under their short names; the service reads ``sub`` as ``nameid`` and ``roles`` as ``role``. A type
    that comes twice keeps both values. The mark of a guest (`GUEST_TYPE`) is one of the claims.

    Args:
        header: ``X-ASRS-User-Claims``.
        user_id: ``X-ASRS-User-Id``, ``None`` if there is none. What stands between two of its commas is no claim,
            even where there is one of that text: the user loses it.

    Raises:
        BadRequest: The header is too long or not written by the service from escaped claims.
    """
    if len(header) > HEADER_LIMIT:
        raise BadRequest(f"X-ASRS-User-Claims is longer than {HEADER_LIMIT} characters")
    if not header.strip(" "):
        return NO_CLAIMS
    return Claims(tuple(_claims(header.split(","), _letters_between_commas(user_id or ""))))


def unescape_claims(pairs: Iterable[tuple[str, str]]) -> Claims:
    """Return the app's claims of those that the service lists of a connection, as they were before `escape_claims`.

    Raises:
        BadRequest: One is not escaped.
    """
    return Claims(tuple(_unescaped(name, value) for name, value in pairs if not _is_the_service_s(name)))


def _claims(pieces: list[str], of_user_id: frozenset[str]) -> Iterator[tuple[str, ClaimValue]]:
    for piece in pieces:
        name, separator, value = piece.strip(" ").partition(": ")
        if not separator and name.endswith(":"):  # an empty value: the blank is gone with those around the piece
            name, separator = name[:-1], ": "
        if separator and name == GUEST_TYPE:  # nobody sheds it by a user id that holds its text
            yield name, value
        elif _letters(piece) in of_user_id or _is_the_service_s(name):
            continue
        elif not separator or not name:
            raise BadRequest("X-ASRS-User-Claims has a part that is no claim: was the token made by another library?")
        else:
            yield _unescaped(name, value)


def _unescaped(name: str, value: str) -> tuple[str, ClaimValue]:
    claim_type = short_name(_unescape(name))
    return _RENAMED.get(claim_type, claim_type), _unescape(value)


def _is_the_service_s(name: str) -> bool:
    return name in RESERVED_TYPES or name[:7].casefold() == SYSTEM_PREFIX


def _letters_between_commas(user_id: str) -> frozenset[str]:
    """Return what a user id could add to the header; of one without a comma nothing, but it may be all blanks."""
    pieces = unicodedata.normalize("NFKC", user_id).split(",")
    return frozenset(map(_letters, pieces)) if len(pieces) > 1 else frozenset()


def _letters(text: str) -> str:
    """Return what is left of a text however the service writes it: full-width forms are ASCII, the rest may be gone."""
    return _NO_LETTER.sub("", unicodedata.normalize("NFKC", text).lower())


def _escape_value(claim_type: str, value: ClaimValue) -> ClaimValue:
    if isinstance(value, dict):
        value = msgspec.json.encode(value).decode()
    return _escape(_UNSAFE_IN_VALUE, claim_type, value) if isinstance(value, str) else value


def _escape(unsafe: re.Pattern[str], claim_type: str, text: str) -> str:
    try:
        return unsafe.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), text)
    except UnicodeEncodeError as exc:
        raise InvalidClaim(ascii(claim_type), "a text with half a character (a lone surrogate)") from exc


def _unescape(text: str) -> str:
    if _UNREADABLE.search(text):
        raise BadRequest("X-ASRS-User-Claims has a claim that is not escaped: was the token made by another library?")
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as exc:
        raise BadRequest("X-ASRS-User-Claims has a claim that is not UTF-8") from exc
