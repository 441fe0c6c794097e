"""Running the emulator: inside an event loop, or in a thread of its own."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self, TypeVar

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from flask_signalr.emulator.app import build_app
from flask_signalr.emulator.entra_check import EntraCheck
from flask_signalr.emulator.service import Service
from flask_signalr.emulator.settings import EmulatorSettings
from flask_signalr.emulator.sockets import listen
from flask_signalr.emulator.upstream import UpstreamCaller
from flask_signalr.emulator.upstream_file import UpstreamFile
from flask_signalr.errors import ConfigurationError, EmulatorUnavailable

_T = TypeVar("_T")

_START_WITHIN = 10
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
            hub: The hub whose connections end; all hubs if ``None``.
            user_id: The user whose connections end; all users if ``None``.
            abruptly: Break them off without a word. Else they are closed, and asked to reconnect.

        Returns:
            How many there were.
        """
        now = asyncio.get_running_loop().time()
        chosen = [
            connection
            for connection in self.service.connections
            if hub in {None, connection.hub} and user_id in {None, connection.client.user_id}
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


@dataclass(frozen=True)
class _Running:
    """What other threads need to know of a running emulator."""

    emulator: RunningEmulator
    loop: asyncio.AbstractEventLoop
    stopping: asyncio.Event


class Emulator:
    """An emulator in a thread of its own, for tests and demos.

    Use it as a context manager, or call `start` and `stop`. Apart from its methods, all that it offers is there
    once it runs.

    Args:
        settings: Its settings; the defaults of `EmulatorSettings` if ``None``. Port 0 takes a free port.
        clock: Returns the time in Unix seconds, for tokens.
    """

    def __init__(self, settings: EmulatorSettings | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._started: Future[_Running] = Future()
        self._thread = threading.Thread(target=self._run, name="flask-signalr-emulator", daemon=True)

    @property
    def settings(self) -> EmulatorSettings:
        """Its settings, with the port that it really listens on."""
        return self._running.emulator.settings

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        return self.settings.url

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self.settings.port

    @property
    def connection_string(self) -> str:
        """What an app is configured with to use it."""
        return self.settings.connection_string

    def start(self) -> Self:
        """Start the thread and wait until the emulator listens; once only.

        Raises:
            EmulatorUnavailable: It cannot listen on its address.
            ConfigurationError: The file of upstream rules, or the issuer of Entra tokens, cannot be used.
        """
        self._thread.start()
        self._started.result(timeout=_START_WITHIN)
        return self

    def stop(self) -> None:
        """Ask every client to reconnect, stop listening and end the thread."""
        running_here = self._running
        with suppress(RuntimeError):  # the loop is closed: it was stopped before
            running_here.loop.call_soon_threadsafe(running_here.stopping.set)
        self._thread.join()

    def call(self, function: Callable[[RunningEmulator], _T]) -> _T:
        """Return what a function returns that is called with the running emulator, in its thread."""
        running_here = self._running

        async def called() -> _T:
            return function(running_here.emulator)

        return asyncio.run_coroutine_threadsafe(called(), running_here.loop).result()

    def drop(self, hub: str | None = None, *, user_id: str | None = None, abruptly: bool = True) -> int:
        """End connections; see `RunningEmulator.drop`."""
        return self.call(lambda emulator: emulator.drop(hub, user_id=user_id, abruptly=abruptly))

    def replace_access_keys(self, *access_keys: str) -> None:
        """Use other access keys from now on; see `RunningEmulator.replace_access_keys`."""
        self.call(lambda emulator: emulator.replace_access_keys(*access_keys))

    def rotate_exchanged_key(self, *, forget: bool = False) -> None:
        """Hand out another key from now on; see `RunningEmulator.rotate_exchanged_key`."""
        self.call(lambda emulator: emulator.rotate_exchanged_key(forget=forget))

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _running(self) -> _Running:
        if not self._started.done():
            raise EmulatorUnavailable("the emulator does not run: call start() first")
        return self._started.result()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except (EmulatorUnavailable, ConfigurationError) as exc:
            self._started.set_exception(exc)

    async def _serve(self) -> None:
        async with running(self._settings, clock=self._clock) as emulator:
            stopping = asyncio.Event()
            self._started.set_result(_Running(emulator, asyncio.get_running_loop(), stopping))
            await stopping.wait()


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


class _WithoutQuotations(logging.Filter):
    """Drops the exceptions that quote a request which could not be read: it may hold an access token."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
            record.exc_info = None
            record.exc_text = None
        return True


_http_logger = logging.getLogger("flask_signalr.emulator.http")
_http_logger.addFilter(_WithoutQuotations())
