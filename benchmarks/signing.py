"""(a) What it costs to sign a service token."""

import hmac
import time

import jwt

from benchmarks.measure import Bound, Row, take_turns
from flask_signalr.claims import ClaimValue
from flask_signalr.tokens import SigningKey, sign_access_token

ACCESS_KEY = "VGhpcyBrZXkgaXMgb25seSBmb3IgdGhlIGJlbmNobWFya3M="
AUDIENCE = "https://benchmark.service.signalr.net/client/?hub=chat"
CLAIMS: list[tuple[str, ClaimValue]] = [
    ("asrs.s.uid", "ada@example.org"),
    ("asrs.s.aut", "Cookie"),
    ("name", "Ada L"),
    ("site", "north"),
    ("role", "staff"),
    ("lang", "en"),
    ("tid", "42"),
    ("oid", "4711"),
    ("team", "red"),
    ("level", 3),
]
SIGNED_BYTES = 400

SUBJECT = f"service token of {len(CLAIMS)} claims"
PEER = f"hmac.digest over the same {SIGNED_BYTES} bytes"
OTHER_PEER = "PyJWT, the same token"


def access_key(number: int) -> str:
    """Return another key for each number: an app with many endpoints has as many keys to fetch from memory."""
    return f"{number:06}{ACCESS_KEY[6:]}"


def run() -> list[Row]:
    """Sign a token of ten claims (and the four of each token), by turns with HMAC alone and with PyJWT."""
    key = SigningKey(ACCESS_KEY)
    now = int(time.time())

    def sign() -> str:
        return sign_access_token(key, AUDIENCE, CLAIMS, lifetime=3600, now=now)

    octets = ACCESS_KEY.encode()
    signed = sign().rpartition(".")[0].encode()
    payload = jwt.decode(sign(), octets, ["HS256"], audience=AUDIENCE)
    if len(signed) != SIGNED_BYTES or len(payload) != len(CLAIMS) + 4:
        raise AssertionError(f"the token to compare has {len(signed)} bytes and {len(payload)} claims")

    turns = take_turns(
        {
            SUBJECT: sign,
            PEER: lambda: hmac.digest(octets, signed, "sha256"),
            OTHER_PEER: lambda: jwt.encode(payload, octets, "HS256"),
        }
    )
    return [turns.row(SUBJECT, PEER, Bound(at_most=2.0)), turns.row(SUBJECT, OTHER_PEER)]
