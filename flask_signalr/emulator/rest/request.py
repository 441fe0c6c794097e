"""A call of the data-plane REST API as a value: no socket is needed to make one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qsl, urlsplit

from flask_signalr.errors import AccessTokenRefused, BadRequest


@dataclass(frozen=True)
class RestRequest:
    """One call, as it came.

    Attributes:
        method: The HTTP method, in upper case.
        path: The path, still percent-encoded: an encoded slash is part of a name.
        query: The query, still percent-encoded, without its question mark.
        headers: The headers, in order; a name may repeat.
        body: The body.
        origin: The scheme and host that the caller used, for links in the answer; empty if nobody knows.
    """

    method: str
    path: str
    query: str = field(default="", repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    origin: str = ""

    @classmethod
    def to_url(cls, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> "RestRequest":
        """Return the call that a client makes which was given this URL."""
        parts = urlsplit(url)
        return cls(method, parts.path, parts.query, tuple(headers.items()), body, f"{parts.scheme}://{parts.netloc}")

    @property
    def access_token(self) -> str | None:
        """The access token of the header ``Authorization``, ``None`` without one; raises `AccessTokenRefused`."""
        return bearer_token(self.header("Authorization"))

    @property
    def content_type(self) -> str:
        """The media type of the body, in lower case and without parameters; empty if the call does not say."""
        values = self.header("Content-Type")
        return values[0].partition(";")[0].strip().lower() if len(values) == 1 else ""

    def header(self, name: str) -> list[str]:
        """Return the values of a header, whose name may be in any case."""
        return [value for given, value in self.headers if given.lower() == name.lower()]

    def each(self, name: str) -> list[str]:
        """Return the values of a query parameter that may be given more than once.

        Raises:
            BadRequest: The query is not UTF-8.
        """
        return [value for given, value in self._parameters if given == name]

    def single(self, name: str) -> str | None:
        """Return a query parameter that may be given once.

        Raises:
            BadRequest: It is given more often, or the query is not UTF-8.
        """
        return single_value(name, self.each(name))

    @cached_property
    def _parameters(self) -> list[tuple[str, str]]:
        try:
            return parse_qsl(self.query, keep_blank_values=True, errors="strict")
        except UnicodeError as exc:
            raise BadRequest("The query is not UTF-8.") from exc


def bearer_token(headers: Sequence[str]) -> str | None:
    """Return the access token of the values of ``Authorization``, ``None`` if there are none.

    Raises:
        AccessTokenRefused: There is another kind of authorization, or more than one.
    """
    if not headers:
        return None
    scheme, _, token = headers[0].partition(" ")
    if len(headers) > 1 or scheme.lower() != "bearer":
        raise AccessTokenRefused("form", "there must be one Authorization header, of the form 'Bearer <token>'")
    return token.strip()


def single_value(name: str, values: Sequence[str]) -> str | None:
    """Return the value of a query parameter that may be given once, ``None`` if it is not given.

    Raises:
        BadRequest: It is given more often, so that two readers could see two different values.
    """
    if len(values) > 1:
        raise BadRequest(f"The query parameter '{name}' is given more than once.")
    return values[0] if values else None
