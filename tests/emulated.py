"""Access tokens for the emulator, made as an app or a REST caller makes them."""

from typing import Any

import jwt

KEY = "a-key-of-the-emulator-0123456789-abcdefghij"
OTHER_KEY = "another-key-of-nobody-0123456789-abcdefghij"
NOW = 1_700_000_000


def token(
    claims: dict[str, Any], key: str = KEY, algorithm: str = "HS256", header: dict[str, Any] | None = None
) -> str:
    """Return a signed token; it expires in a minute unless the claims say otherwise, ``...`` leaves a claim out."""
    complete = {"exp": NOW + 60, **claims}
    present = {name: value for name, value in complete.items() if value is not ...}
    return jwt.encode(present, key, algorithm, headers=header)


def client_token(user_id: str | None = None, hub: str = "chat", **claims: Any) -> str:
    """Return the token of a client of a hub."""
    user = {} if user_id is None else {"asrs.s.uid": user_id}
    return token({**user, "aud": f"http://localhost/client/?hub={hub}", **claims})
