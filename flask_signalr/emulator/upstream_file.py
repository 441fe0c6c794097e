"""The settings file that holds upstream rules, read again whenever it changes."""

import logging
import os
from pathlib import Path

from flask_signalr.emulator.upstream_rules import UpstreamRules, parse_upstream_settings
from flask_signalr.errors import ConfigurationError

logger = logging.getLogger("flask_signalr.emulator")

_Stamp = tuple[int, int, int]


class UpstreamFile:
    """A file of upstream rules.

    Args:
        path: Where it is.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._stamp: _Stamp | None = None

    def load(self) -> UpstreamRules:
        """Return the rules that the file holds now.

        Raises:
            ConfigurationError: It cannot be read or used; the text names the file, the place and the fault.
        """
        try:
            with self._path.open("rb") as file:
                self._stamp = _stamp(os.fstat(file.fileno()))
                text = file.read()
        except OSError as exc:
            raise ConfigurationError(f"{self._path}: cannot be read: {exc.strerror or exc}") from exc
        return parse_upstream_settings(text, str(self._path))

    def reload(self) -> UpstreamRules | None:
        """Return the rules if the file has changed since it was last read; what cannot be used is logged, once."""
        try:
            stamp = _stamp(self._path.stat())
        except OSError:
            return None  # it is being replaced; the rules that were read stay in force
        if stamp == self._stamp:
            return None
        self._stamp = stamp
        try:
            rules = self.load()
        except ConfigurationError as exc:
            logger.error("the upstream rules stay as they were: %s", exc)
            return None
        logger.info("%d upstream rules were read from %s", len(rules.rules), self._path)
        return rules


def _stamp(status: os.stat_result) -> _Stamp:
    return status.st_mtime_ns, status.st_size, status.st_ino
