"""Answers to requests that are granted: responses that are made, and go out, in one step."""

from collections.abc import Iterable
from typing import Any

import msgspec
from flask import Response
from werkzeug.datastructures import Headers, HeaderSet

JSON = ("Content-Type", "application/json")

FIXED_HEADERS = (("Cache-Control", "no-store"), ("Vary", "Origin"))
"""What every answer says, those that refuse too."""


def _vary(response: Response) -> HeaderSet:
    """Return the names in ``Vary``, which Flask's sessions add one to; as they stand here they need no parsing."""
    if response.headers.get("Vary") != "Origin":
        parsed: HeaderSet = Response.vary.__get__(response)
        return parsed
    return HeaderSet(("Origin",), lambda names: setattr(response, "vary", ", ".join(names)))


_encode_json = msgspec.json.Encoder().encode
_FRESH = vars(Response())


class ReadyResponse(Response):
    """A response with status 200 whose body and headers are there.

    To the app a response like any other. Flask's general way to one takes a fifth of the time of a whole bare view,
    because it looks at each header several times and copies them all for the server. Here they are put in at once,
    and go out as they are unless the app has made something else of the answer.

    Args:
        content: The body.
        headers: The headers but ``Content-Length``: constants, in which no line break needs to be looked for.
    """

    def __init__(self, content: bytes, headers: Iterable[tuple[str, str]]) -> None:
        made = Headers()
        made._list += (("Content-Length", str(len(content))), *headers)
        self.__dict__.update(_FRESH)  # what `Response.__init__` sets, without its work
        self.headers = made
        self.response = self._as_made = [content]
        self._on_close = []  # made anew like the others that can change, or all answers would share one

    vary = property(_vary, Response.vary.__set__)

    def get_wsgi_response(self, environ: dict[str, Any]) -> tuple[Iterable[bytes], str, list[tuple[str, str]]]:
        """Return body, status and headers for the server."""
        if self.response is not self._as_made or self.status_code != 200 or self._on_close:
            return super().get_wsgi_response(environ)
        return self._as_made, self.status, self.headers.to_wsgi_list()


class Answer(ReadyResponse):
    """A JSON answer with status 200 that no cache keeps.

    Args:
        body: What is encoded as JSON.
        more_headers: Headers besides those of every answer.
    """

    def __init__(self, body: Any, more_headers: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(_encode_json(body), (JSON, *FIXED_HEADERS))
        for name, value in more_headers:
            self.headers.add(name, value)
