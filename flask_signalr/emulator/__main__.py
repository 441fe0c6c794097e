"""``python -m flask_signalr.emulator``: the same as ``flask-signalr emulator``."""

import sys

from flask_signalr.cli import main

sys.exit(main(["emulator", *sys.argv[1:]]))
