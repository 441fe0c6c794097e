"""Posting to the app what its clients do."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from flask_signalr.emulator.settings import EmulatorSettings
from flask_signalr.emulator.upstream_calls import (
    ANSWER_LIMIT,
    UpstreamAnswer,
    UpstreamCall,
    UpstreamFailure,
    UpstreamReply,
)

_IDLE = 1  # seconds that a connection is kept: less than common servers do, so that none is closed under a call


class UpstreamCaller:
    """Makes calls, some of them at the same time, and hands back each one's reply.

    It follows no redirects, keeps no cookies, asks no proxy, and logs neither headers nor bodies: they hold tokens.
    To be used as an asynchronous context manager.

    Args:
        settings: The times and bounds to keep.
        answered: Called with a call and its reply.
    """

    def __init__(self, settings: EmulatorSettings, answered: Callable[[UpstreamCall, UpstreamReply], None]) -> None:
        self._settings = settings
        self._answered = answered
        self._free = asyncio.Semaphore(settings.upstream_calls)
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._settings.upstream_calls, keepalive_timeout=_IDLE),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,  # a small answer must not become a large one
            skip_auto_headers=("User-Agent", "Accept"),
            headers={"Accept-Encoding": "identity"},
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give the calls that are under way, and those that follow from them, a little time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.close_within):
                while self._tasks:
                    await asyncio.wait(self._tasks)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def post(self, call: UpstreamCall) -> None:
        """Begin a call; its reply is handed back later."""
        task = asyncio.create_task(self._make(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _make(self, call: UpstreamCall) -> None:
        async with self._free:
            reply = await self._reply(call)
        self._answered(call, reply)

    async def _reply(self, call: UpstreamCall) -> UpstreamReply:
        try:
            async with asyncio.timeout(self._settings.upstream_timeout):
                return await self._exchange(call)
        except TimeoutError:
            reason = f"the app did not answer within {self._settings.upstream_timeout:g} seconds"
            return UpstreamFailure(reason, "Invocation failed, response cancelled.")
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            return UpstreamFailure(f"the app cannot be reached: {exc!s:.200}")

    async def _exchange(self, call: UpstreamCall) -> UpstreamReply:
        assert self._session is not None  # noqa: S101 -- it is entered before the first call
        url = URL(call.url, encoded=True)
        async with self._session.post(url, data=call.body, headers=call.headers, allow_redirects=False) as response:
            body = bytearray()
            try:
                async for chunk in response.content.iter_chunked(2**16):
                    body += chunk
                    if len(body) > ANSWER_LIMIT:
                        response.close()
                        break
            except (aiohttp.ClientError, OSError) as exc:
                error = "Invocation failed, error: the answer broke off."
                return UpstreamFailure(f"the app's answer broke off: {exc!s:.200}", error)
            return UpstreamAnswer(response.status, bytes(body))
