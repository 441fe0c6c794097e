"""Claims on their way through a service token and back in ``X-ASRS-User-Claims``.

The service prints the claims of the token into one header, ``{type}: {value}`` joined by ``, ``, and escapes nothing:
a display name of ``x, role: admin`` would come back as a role. So what could be mistaken is percent-encoded before it
enters the token, and decoded here. What the service prints on its own account is not escaped, the user id above all,
so nothing in the header is believed that could be part of the user id.

Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR.Emulator/HubEmulator/HttpUpstreamPropertiesFeature.cs.
"""

import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import unquote

import msgspec

from flask_signalr.claim_types import AS_READ, SHORT_NAMES, name_as_read
from flask_signalr.claims import (
    NO_CLAIMS,
    RESERVED_TYPES,
    SYSTEM_PREFIX,
    USER_PREFIX,
    Claims,
    ClaimValue,
    short_name,
)
from flask_signalr.errors import BadRequest, InvalidClaim, InvalidName
from flask_signalr.names import check_new_user_id

GUEST_TYPE = USER_PREFIX + "anonymous"
"""The type of the claim that marks a caller whom no auth scheme knows, though it was given a user id."""

GUEST_MARK = Claims(((GUEST_TYPE, "true"),))

HEADER_LIMIT = 16_384
"""Characters of the claims header that are read; a service token has 4096."""

_UNSAFE_IN_VALUE = re.compile(r"[^ -~]|[%,]|\A | \Z")
_UNSAFE_IN_TYPE = re.compile(r"[^!-~]|[%,]")
_UNREADABLE = re.compile(r"[^ -~]|%(?![0-9A-Fa-f]{2})")
_NO_LETTER = re.compile(r"[^a-z0-9]")
_DIGITS = frozenset("0123456789e")
_LONG_NAMES = {short: {long for long, known in SHORT_NAMES.items() if known == short} for short in SHORT_NAMES.values()}
_RENAMED = {USER_PREFIX + name: name for name in RESERVED_TYPES | {"sub", "nameid"}}


def check_user_id(user_id: str) -> str:
    """Return a user id that the service can print into a header, and that REST calls can name.

    Raises:
        InvalidClaim: It is none, as `check_new_user_id` says.
    """
    try:
        return check_new_user_id(user_id)
    except InvalidName as exc:
        raise InvalidClaim("asrs.s.uid", str(exc)) from None


def claims_of_user(user_id: str | None, claims: Claims, *, may_name_user: bool = False) -> Claims:
    """Return the claims as they enter a service token, and become a connection's, beside a user id.

    For every road by which a connection gets claims: what one of them refused, a user could shed by another.

    Args:
        user_id: ``None`` for none.
        claims: The app's, as its claims filter chose them.
        may_name_user: As `escape_claims`, where there is no user id.

    Raises:
        InvalidClaim: As `check_user_id`, `escape_claims` and `check_distinct`.
    """
    if user_id is None:
        return escape_claims(claims, may_name_user=may_name_user)
    escaped = escape_claims(claims)
    check_distinct(check_user_id(user_id), escaped)
    return set_apart(user_id, escaped)


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
    if not claims.pairs:
        return claims
    pairs = tuple((_escape(_UNSAFE_IN_TYPE, name, name), _escape_value(name, value)) for name, value in claims.pairs)
    if may_name_user:
        for (name, value), (_, escaped) in zip(claims.pairs, pairs, strict=True):
            if names_user(name):
                if value != escaped:
                    raise InvalidClaim(
                        name,
                        "the service would take it for the user id, which is not escaped: give the user id by itself",
                    )
                check_user_id(str(value))
    return Claims(pairs)


def check_distinct(user_id: str, escaped: Claims) -> None:
    """Refuse a user id that holds, between two commas, the text of one of the same user's claims.

    `parse_claims_header` believes no such text, whichever of the two it is: who may choose a user id could shed a
    claim that holds against them, such as ``banned: yes``.

    Args:
        user_id: As the token has it.
        escaped: What `escape_claims` returned for the same token.

    Raises:
        InvalidClaim: It does; under any name that the service may print the claim under.
    """
    pieces = _letters_between_commas(user_id)
    if not pieces:
        return
    for claim_type, value in escaped.pairs:
        for name in _printed_names(claim_type):
            if any(_is_text_of(piece, _letters(name), value) for piece in pieces):
                raise InvalidClaim(
                    claim_type,
                    "the user id holds the text of this claim between commas, and hub methods could not tell them "
                    "apart: let the user id provider return one without commas",
                )


def set_apart(user_id: str, escaped: Claims) -> Claims:
    """Return claims of no type that the service prints the user id under, if `parse_claims_header` would not see more.

    Of a user id with commas the first piece comes with such a type before it, and nothing in the header tells whether
    the claim ends there. So claims of these types travel under ``asrs.u.``, and what comes without that is no claim.

    Args:
        user_id: As the token has it.
        escaped: What `escape_claims` returned for the same token.
    """
    if not _letters_between_commas(user_id) or not any(map(names_user, escaped.types())):
        return escaped
    return Claims(
        tuple((USER_PREFIX + short_name(name) if names_user(name) else name, value) for name, value in escaped)
    )


def names_user(claim_type: str) -> bool:
    """Tell whether the service takes a claim of this type for the user id where the token has no other."""
    return name_as_read(claim_type) == "nameid"


def parse_claims_header(header: str, user_id: str | None, hub: str = "") -> Claims:
    """Return the app's claims, as they were before `escape_claims`; every value is a text.

    Types come back under their short names; the service reads ``sub`` as ``nameid`` and ``roles`` as ``role``. A type
    that comes twice keeps both values. The mark of a guest (`GUEST_TYPE`) is one of the claims.

    Args:
        header: ``X-ASRS-User-Claims``.
        user_id: ``X-ASRS-User-Id``, ``None`` if there is none. What stands between two of its commas is no claim,
            even where there is one of that text: `check_distinct` sees to it that no token holds both.
        hub: ``X-ASRS-Hub``. It may have commas, and some services print the token's audience, which ends in it.

    Raises:
        BadRequest: The header is too long or not written by the service from escaped claims.
    """
    if len(header) > HEADER_LIMIT:
        raise BadRequest(f"X-ASRS-User-Claims is longer than {HEADER_LIMIT} characters")
    if not header.strip(" "):
        return NO_CLAIMS
    pieces, of_audience = header.split(","), hub.split(",")[1:]
    if of_audience:
        pieces = [piece for piece in pieces if piece not in of_audience]
    return Claims(tuple(_claims(pieces, _letters_between_commas(user_id or ""), is_plain=_is_plain(header))))


def unescape_claims(pairs: Iterable[tuple[str, str]]) -> Claims:
    """Return the app's claims of those that the service lists of a connection, as they were before `escape_claims`.

    Raises:
        BadRequest: One is not escaped.
    """
    return Claims(tuple(_unescaped(name, value) for name, value in pairs if not _is_the_service_s(name)))


def _claims(pieces: list[str], of_user_id: frozenset[str], *, is_plain: bool) -> list[tuple[str, ClaimValue]]:
    pairs: list[tuple[str, ClaimValue]] = []
    for piece in pieces:
        name, separator, value = piece.strip(" ").partition(": ")
        if not separator and name.endswith(":"):  # an empty value: the blank is gone with those around the piece
            name, separator = name[:-1], ": "
        if separator and name == GUEST_TYPE:  # nobody sheds it by a user id that holds its text
            pairs.append((name, value))
        elif _is_the_service_s(name) or _letters_in(piece, of_user_id):
            continue  # the service's own, or what may be a part of the user id
        elif separator and of_user_id and names_user(name):
            continue  # the user id as far as its first comma: see `set_apart`
        elif not separator or not name:
            raise BadRequest("X-ASRS-User-Claims has a part that is no claim: was the token made by another library?")
        else:
            pairs.append((_renamed(name), value) if is_plain else _unescaped(name, value))
    return pairs


def _unescaped(name: str, value: str) -> tuple[str, ClaimValue]:
    return _renamed(_unescape(name)), _unescape(value)


def _renamed(name: str) -> str:
    claim_type = short_name(name)
    return _RENAMED.get(claim_type, claim_type)


def _is_the_service_s(name: str) -> bool:
    return name in RESERVED_TYPES or name[:7].casefold() == SYSTEM_PREFIX


def _letters_in(piece: str, of_user_id: frozenset[str]) -> bool:
    return bool(of_user_id) and _letters(piece) in of_user_id


def _is_plain(header: str) -> bool:
    """Return whether nothing in it is escaped or needs to be: so are most."""
    return "%" not in header and header.isascii() and header.isprintable()


def _printed_names(claim_type: str) -> set[str]:
    """Return the names that a claim may have in the header: long ones, the short one, those of reserved types."""
    names = {claim_type, short_name(claim_type)}
    names |= {AS_READ[name] for name in names if name in AS_READ}
    return names.union(*(_LONG_NAMES.get(name, ()) for name in names), {USER_PREFIX + name for name in names})


def _is_text_of(piece: str, name: str, value: ClaimValue) -> bool:
    """Return whether letters are those of a claim; of a fraction, whichever: there are many ways to print it."""
    if isinstance(value, float):
        return piece.startswith(name) and _DIGITS.issuperset(piece[len(name) :])
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return piece == name + _letters(text)


def _letters_between_commas(user_id: str) -> frozenset[str]:
    """Return what a user id could add to the header; of one without a comma nothing, but it may be all blanks."""
    if user_id.isascii() and "," not in user_id:
        return frozenset()
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
