"""The command ``flask-signalr``; each of its commands is a module here."""

import argparse
import sys
from collections.abc import Sequence

from flask_signalr.cli import emulator, negotiate
from flask_signalr.errors import ConfigurationError, EmulatorUnavailable


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 it cannot, 2 it is not set up for that, 130 Ctrl-C.

    Args:
        arguments: The words after the command; those of this process if ``None``.
    """
    parser = argparse.ArgumentParser(prog="flask-signalr", description="Azure SignalR Service for Flask.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (emulator, negotiate):
        command.add_to(commands)
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except ConfigurationError as exc:
        print(f"flask-signalr: {exc}", file=sys.stderr)
        return 2
    except EmulatorUnavailable as exc:
        print(f"flask-signalr: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
