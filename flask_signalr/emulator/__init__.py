"""An emulator of Azure SignalR Service in Serverless mode, for development and tests.

The state machine (`flask_signalr.emulator.service`) works without a network and without optional dependencies. What
listens is imported when it is first asked for, because it needs the extra ``emulator``.
"""

import importlib
from typing import TYPE_CHECKING, Any

from flask_signalr.emulator.settings import DEVELOPMENT_KEY, EmulatorSettings
from flask_signalr.errors import MissingExtra

if TYPE_CHECKING:
    from flask_signalr.emulator.server import RunningEmulator, running
    from flask_signalr.emulator.threaded import Emulator

__all__ = ["DEVELOPMENT_KEY", "Emulator", "EmulatorSettings", "RunningEmulator", "running"]


def __getattr__(name: str) -> Any:
    """Return one of the names that need the extra.

    Raises:
        MissingExtra: It is not installed.
    """
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(f"flask_signalr.emulator.{'threaded' if name == 'Emulator' else 'server'}")
    except ModuleNotFoundError as exc:
        if exc.name != "aiohttp":
            raise
        raise MissingExtra("the emulator", "emulator") from exc
    return getattr(module, name)
