"""The data-plane REST API on the wire: aiohttp's requests to values, and values to its answers."""

import asyncio
import re
from collections.abc import Callable

from aiohttp import web

from flask_signalr.emulator.entra import NO_ENTRA_TOKEN
from flask_signalr.emulator.entra_check import EntraCheck
from flask_signalr.emulator.requests import read_body
from flask_signalr.emulator.rest.api import RestApi
from flask_signalr.emulator.rest.request import RestRequest
from flask_signalr.emulator.rest.response import PendingResult, RestResponse

_HOST = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


class RestEndpoint:
    """The handler of all below ``/api/``.

    Args:
        api: The API.
        body_within: Seconds that the body of a request may take to arrive.
        clock: Returns the time in Unix seconds, for tokens.
        entra: The check of Microsoft Entra tokens; ``None`` if none are accepted.
    """

    def __init__(
        self, api: RestApi, body_within: float, clock: Callable[[], float], entra: EntraCheck | None = None
    ) -> None:
        self._api = api
        self._body_within = body_within
        self._clock = clock
        self._entra = entra

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a call; its body is read when its token was found good."""
        url = request.rel_url
        headers = tuple(request.headers.items())
        call = RestRequest(request.method, url.raw_path, url.raw_query_string, headers, origin=_origin(request))
        verdict = NO_ENTRA_TOKEN
        if self._entra is not None:
            verdict = await asyncio.to_thread(self._entra.judge, call)  # it may have to fetch the issuer's keys
        admission = self._api.admit(call, self._clock(), verdict)
        if isinstance(admission, RestResponse):
            return on_the_wire(admission)
        body = await read_body(request, self._body_within)
        answer = self._api.perform(admission, body, asyncio.get_running_loop().time(), self._clock())
        return on_the_wire(await _settled(answer) if isinstance(answer, PendingResult) else answer)


def on_the_wire(response: RestResponse) -> web.Response:
    """Return the answer as aiohttp sends it."""
    return web.Response(status=response.status, headers=response.headers, body=response.body or None)


def _origin(request: web.Request) -> str:
    """Return the address that the caller used, if it looks like one: what stands before may map it to ours."""
    host = request.headers.get("Host", "")
    return f"{request.scheme}://{host}" if _HOST.fullmatch(host) else ""


async def _settled(pending: PendingResult) -> RestResponse:
    """Wait for an answer that is late, and give up when it is too late, or when the caller has gone."""
    future: asyncio.Future[RestResponse] = asyncio.get_running_loop().create_future()
    pending.listen(lambda response: None if future.done() else future.set_result(response))
    try:
        async with asyncio.timeout(pending.within):
            return await future
    except TimeoutError:
        return pending.give_up()
    except asyncio.CancelledError:
        pending.give_up()
        raise
