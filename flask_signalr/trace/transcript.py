"""What a trace tells: steps and facts, without secrets and without anything that a terminal would obey."""

import re
from collections.abc import Callable
from urllib.parse import quote

from flask_signalr.redaction import redact

SHOWN = 300
"""Characters that are shown of a text that came from elsewhere."""

# RFC 9110 §11.4, of schemes whose tokens are sign-ons; shorter ones are words, as in "Negotiate authentication".
_TOKEN68 = re.compile(r"\b(Negotiate|NTLM|Kerberos|Basic)(\s+)[\w.~+/-]{20,}=*", re.ASCII | re.IGNORECASE)


class Stopped(Exception):
    """The road ends here: a client cannot connect.

    Args:
        reason: Why, fit to be shown.
        remedy: What the reader can do about it.
    """

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class Transcript:
    """Tells a trace as it goes on.

    Args:
        write: Takes a line of it.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._secrets: set[str] = set()
        self._steps = 0

    def step(self, title: str) -> None:
        """Begin a step."""
        self._steps += 1
        self._write(f"{self._steps}. {title}")

    def fact(self, text: str) -> None:
        """Tell something about the step; what came from elsewhere has gone through `shown`."""
        self._write(f"   {text}")

    def keep_secret(self, *secrets: str) -> None:
        """Keep texts from being shown, as they are and as they stand in a URL."""
        for secret in secrets:
            if secret:
                self._secrets |= {secret, quote(secret, safe="")}

    def shown(self, text: str, limit: int = SHOWN) -> str:
        """Return a text from elsewhere as it may be shown: on one line, cut, with neither secrets nor control codes."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "[redacted]")
        text = _TOKEN68.sub(r"\1\2[redacted]", redact(text)).strip()
        text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
        return text if len(text) <= limit else f"{text[:limit]}… ({len(text) - limit} more characters)"
