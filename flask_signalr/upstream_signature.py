"""The signature of an upstream request: whoever made it knows an access key of the service.

It covers the connection id alone: not the event, the user, the body or the time. Whoever has seen one request can
make others of the same connection.

Source: Azure/azure-functions-signalrservice-extension, SignalRRequestResolver.cs.
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence

from flask_signalr.errors import InvalidSignature
from flask_signalr.tokens import SigningKey

MAX_SIGNATURES = 8
"""Values that the header may list; the service lists one for each of its two keys."""

_PREFIX = "sha256="
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
_LENGTH = len(_PREFIX) + 2 * hashlib.sha256().digest_size


def connection_signature(key: SigningKey | bytes, connection_id: str) -> str:
    """Return one value of the header ``X-ASRS-Signature``, as the service computes it with this key."""
    return _PREFIX + _digest(key, connection_id).hex()


def verify_signature(
    header: str | None,
    connection_id: str,
    keys: Sequence[SigningKey | bytes],
    likely: Sequence[SigningKey | bytes] = (),
) -> None:
    """Verify that one of the header's values was made with one of the keys.

    Every value is compared with that of every key, each in constant time: how long it takes tells nothing of them,
    but for whether one of the likely keys was the right one.

    Args:
        header: The values with commas between them, in either case, blanks around them; ``None`` without the header.
        connection_id: What was signed.
        keys: All the keys that the service may sign with.
        likely: Those of them to try before the others are; with none, all are tried at once.

    Raises:
        InvalidSignature: None was; or nothing is listed, or more than `MAX_SIGNATURES` values; or there is no key.
    """
    if not keys:
        raise InvalidSignature("no key is known here that could verify the signature")
    if not header:
        raise InvalidSignature("the request has no signature (X-ASRS-Signature)")
    listed = header.split(",", MAX_SIGNATURES)
    if len(listed) > MAX_SIGNATURES:
        raise InvalidSignature(f"the request has more than {MAX_SIGNATURES} signatures (X-ASRS-Signature)")
    found = list(map(_listed_digest, listed))
    if likely and _is_among(found, connection_id, likely):
        return
    if not _is_among(found, connection_id, set(keys).difference(likely) if likely else keys):
        raise InvalidSignature("the signature is wrong: it was made with another key or for another connection")


def _is_among(found: Sequence[bytes], connection_id: str, keys: Iterable[SigningKey | bytes]) -> bool:
    """Return whether one of the digests is that of one of the keys."""
    wanted = [_digest(key, connection_id) for key in keys]
    matches = [hmac.compare_digest(one, other) for one in found for other in wanted]  # all: `any` would end early
    return True in matches


def _digest(key: SigningKey | bytes, connection_id: str) -> bytes:
    if isinstance(key, SigningKey):
        return key.connection_digest(connection_id)
    return hmac.digest(key, connection_id.encode(), "sha256")


def _listed_digest(value: str) -> bytes:
    """Return the digest in a listed value; none, which equals no digest, if it has another form."""
    value = value.strip(" \t")
    digits = value[len(_PREFIX) :]
    if len(value) != _LENGTH or value[: len(_PREFIX)].lower() != _PREFIX or not _HEX_DIGITS.issuperset(digits):
        return b""
    return bytes.fromhex(digits)
