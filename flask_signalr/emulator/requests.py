"""What is read from every request: the access token, single query parameters, the body."""

import asyncio
from typing import overload

from aiohttp import web

from flask_signalr.emulator.rest.request import bearer_token, single_value
from flask_signalr.errors import BadRequest


def access_token(request: web.Request, *, in_query: bool = False) -> str | None:
    """Return the access token that a request brings, ``None`` if there is none.

    Args:
        request: The request.
        in_query: Whether the query parameter ``access_token`` may stand in for the header. Only for what browsers
            cannot add headers to.

    Raises:
        AccessTokenRefused: There is another kind of authorization, or more than one.
        BadRequest: The query parameter is given more than once.
    """
    headers = request.headers.getall("Authorization", [])
    if not headers and in_query:
        return single(request, "access_token")
    return bearer_token(headers)


@overload
def single(request: web.Request, name: str) -> str | None: ...
@overload
def single(request: web.Request, name: str, default: str) -> str: ...
def single(request: web.Request, name: str, default: str | None = None) -> str | None:
    """Return a query parameter that may be given once.

    Raises:
        BadRequest: It is given more often, so that two readers could see two different values.
    """
    value = single_value(name, request.query.getall(name, []))
    return default if value is None else value


async def read_body(request: web.Request, within: float) -> bytes:
    """Return the body of a request.

    Args:
        request: The request.
        within: Seconds that its body may take to arrive. A client can stop in the midst of one, and one with broken
            chunks never ends.

    Raises:
        BadRequest: It cannot be read to its end.
        web.HTTPException: It is too long (413), compressed (415) or too slow (408).
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise web.HTTPUnsupportedMediaType(text="The body must not be compressed.")
    try:
        async with asyncio.timeout(within):
            return await request.read()
    except TimeoutError as exc:
        raise web.HTTPRequestTimeout(text=f"The body did not arrive within {within:g} seconds.") from exc
    except web.HTTPRequestEntityTooLarge as exc:
        raise web.HTTPRequestEntityTooLarge(
            request.client_max_size, text=f"The body is longer than {request.client_max_size} bytes."
        ) from exc
    except web.RequestPayloadError as exc:
        raise BadRequest("The body cannot be read: its length or its chunks are wrong.") from exc
