"""Running the emulator inside an event loop."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from flask_signalr.emulator.app import build_app
from flask_signalr.emulator.entra_check import EntraCheck
from flask_signalr.emulator.service import Service
from flask_signalr.emulator.settings import EmulatorSettings
from flask_signalr.emulator.sockets import listen
from flask_signalr.emulator.upstream import UpstreamCaller
from flask_signalr.emulator.upstream_file import UpstreamFile
from flask_signalr.emulator.upstream_rules import UpstreamRules

logger = logging.getLogger("flask_signalr.emulator")

_LONGEST_LINE = 16 * 1024


@dataclass(frozen=True)
class RunningEmulator:
    """An emulator that listens.

    Attributes:
        settings: Its settings, with the port that it really listens on.
        service: Its state machine; to be used in the thread of its event loop only.
    """

    settings: EmulatorSettings
    service: Service

    def drop(self, hub: str | None = None, *, user_id: str | None = None, abruptly: bool = True) -> int:
        """End connections, as a failing network or a service that restarts would.

        Args:
            hub: The hub whose connections end, ``application_hub`` where the app has a name; all hubs if ``None``.
            user_id: The user whose connections end; all users if ``None``.
            abruptly: Break them off without a word. Else they are closed, and asked to reconnect.

        Returns:
            How many there were.
        """
        now = asyncio.get_running_loop().time()
        chosen = [
            connection
            for connection in self.service.connections
            if (hub is None or hub.lower() == connection.hub) and user_id in {None, connection.client.user_id}
        ]
        if abruptly:
            for connection in chosen:
                self.service.drop(connection, now)
        else:
            self.service.close(chosen, now, allow_reconnect=True)
        return len(chosen)

    def replace_access_keys(self, *access_keys: str) -> None:
        """Use these access keys from now on, and no other: tokens that the former ones signed are refused.

        Raises:
            ConfigurationError: There is none, or one cannot stand in a connection string.
        """
        self.service.access_keys.replace(access_keys)

    def rotate_exchanged_key(self, *, forget: bool = False) -> None:
        """Hand out another key to callers with a Microsoft Entra token from now on.

        Args:
            forget: Refuse the former keys at once. Else they sign until they expire, as when the service rotates.
        """
        self.service.exchanged_keys.rotate(forget=forget)

    def replace_upstream(self, url: str) -> None:
        """Tell the app at this URL, and no other, what clients do from now on.

        Args:
            url: As `EmulatorSettings.upstream`; it may be known only after the emulator's own, which the app needs.

        Raises:
            ConfigurationError: It is no URL that can be called.
        """
        self.service.upstream.rules = UpstreamRules.to(url)


@asynccontextmanager
async def running(
    settings: EmulatorSettings | None = None, *, clock: Callable[[], float] = time.time
) -> AsyncIterator[RunningEmulator]:
    """Run an emulator in this event loop; at the end every client is asked to reconnect.

    Args:
        settings: Its settings; the defaults of `EmulatorSettings` if ``None``.
        clock: Returns the time in Unix seconds, for tokens.

    Raises:
        EmulatorUnavailable: It cannot listen on its address.
        ConfigurationError: The file of upstream rules, or the issuer of Entra tokens, cannot be used.
    """
    settings = settings or EmulatorSettings()
    upstream_file = UpstreamFile(settings.upstream_settings) if settings.upstream_settings is not None else None
    upstream_rules = upstream_file.load() if upstream_file is not None else None
    entra = EntraCheck(settings.entra_issuer, settings) if settings.entra_issuer is not None else None
    sockets = listen(settings.host, settings.port)
    settings = replace(settings, port=sockets[0].getsockname()[1])
    service = Service(settings)
    runner = web.AppRunner(
        build_app(service, settings, clock, entra),
        access_log=None,  # its lines hold the query, and that holds access tokens
        logger=_http_logger,
        handler_cancellation=True,
        auto_decompress=False,
        max_line_size=_LONGEST_LINE,
        max_field_size=_LONGEST_LINE,
        lingering_time=settings.close_within,
        shutdown_timeout=settings.close_within,
    )
    now = asyncio.get_running_loop().time
    if upstream_rules is not None:
        service.upstream.rules = upstream_rules
    caller = UpstreamCaller(settings, lambda call, reply: service.upstream.answered(call, reply, now()))
    service.upstream.post = caller.post
    await runner.setup()
    for listening in sockets:
        await web.SockSite(runner, listening).start()
    async with caller:
        ticking = asyncio.create_task(_tick_for_ever(service, settings.tick, clock, upstream_file))
        try:
            yield RunningEmulator(settings, service)
        finally:
            ticking.cancel()
            service.close(service.connections, now(), allow_reconnect=True)
            await runner.cleanup()


async def _tick_for_ever(
    service: Service, interval: float, clock: Callable[[], float], upstream_file: UpstreamFile | None
) -> None:
    while True:
        await asyncio.sleep(interval)
        upstream_rules = upstream_file.reload() if upstream_file is not None else None
        if upstream_rules is not None:
            service.upstream.rules = upstream_rules
        now = asyncio.get_running_loop().time()
        service.tick(now)
        service.close_expired(now, clock())


class _UnreadableRequests(logging.Filter):
    """Tells in one quiet line of a request that could not be read: it is the caller's fault, not one of the emulator.

    The exception quotes the request, which may hold an access token.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, HttpProcessingError):
            return True
        logger.info("%s: it cannot be read (%s)", record.getMessage(), type(error).__name__)
        return False


_http_logger = logging.getLogger("flask_signalr.emulator.http")
_http_logger.addFilter(_UnreadableRequests())
