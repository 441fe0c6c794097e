"""Running the emulator in a thread of its own."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

from flask_signalr.emulator.server import RunningEmulator, running
from flask_signalr.emulator.settings import EmulatorSettings
from flask_signalr.errors import EmulatorUnavailable

_T = TypeVar("_T")

_START_WITHIN = 10


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
        """Return what a function returns that is called with the running emulator, in its thread.

        Raises:
            EmulatorUnavailable: The emulator does not run, or no longer.
        """
        running_here = self._running
        if not self._thread.is_alive():
            raise EmulatorUnavailable("the emulator does not run any more: stop() ended it")

        async def called() -> _T:
            return function(running_here.emulator)

        return asyncio.run_coroutine_threadsafe(called(), running_here.loop).result()

    def drop(self, hub: str | None = None, *, user_id: str | None = None, abruptly: bool = True) -> int:
        """End connections; see `RunningEmulator.drop`."""
        return self.call(lambda emulator: emulator.drop(hub, user_id=user_id, abruptly=abruptly))

    def replace_access_keys(self, *access_keys: str) -> None:
        """Use other access keys from now on; see `RunningEmulator.replace_access_keys`."""
        self.call(lambda emulator: emulator.replace_access_keys(*access_keys))

    def replace_upstream(self, url: str) -> None:
        """Tell the app at another URL from now on what clients do; see `RunningEmulator.replace_upstream`."""
        self.call(lambda emulator: emulator.replace_upstream(url))

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
        except BaseException as exc:
            if self._started.done():
                raise
            self._started.set_exception(exc)  # who waits for the start is told, whatever it is

    async def _serve(self) -> None:
        async with running(self._settings, clock=self._clock) as emulator:
            stopping = asyncio.Event()
            self._started.set_result(_Running(emulator, asyncio.get_running_loop(), stopping))
            await stopping.wait()
