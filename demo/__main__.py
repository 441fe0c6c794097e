"""``python -m demo``: a SignalR service and the chat, started together; Ctrl-C stops them."""

import argparse
import ipaddress
import os
import signal
import sys
from contextlib import ExitStack
from types import FrameType
from typing import NoReturn

from demo.app import create_app
from demo.kdc import KdcFailed
from demo.servers import ServerFailed, WebServer, free_port, start_emulator
from demo.users import DEMO_PASSWORD, USERS
from demo.windows import HOST, running_intranet
from flask_signalr import ServiceEndpoint, SignalRError
from flask_signalr.emulator import Emulator

CONNECTION_STRING = "FLASK_SIGNALR_CONNECTION_STRING"

UPSTREAM = "to be set there: https://<where it reaches this app>/{hub}/upstream/{category}/{event}"

EPILOG = f"""\
environment:
  {CONNECTION_STRING}
      The connection string of a SignalR service (the Azure portal shows it under Settings, Keys).
      With it the chat runs through that service, and no emulator is started. What the page calls
      comes from there: set the service's upstream to where it reaches this app.
  FLASK_…
      Any other key of the app, such as FLASK_SIGNALR_ACCESS_TOKEN_LIFETIME=60.

examples:
  python -m demo                           the chat and its SignalR service, both on this machine
  python -m demo --host 192.168.1.20       the same for the phones in the network of that address
  python -m demo --windows                 with an intranet, too, whose users connect without a password
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the demo until it is told to stop; return the exit code."""
    options = _parse(arguments)
    _stop_on_signals()
    try:
        with ExitStack() as running:
            return _run(options, running)
    except KeyboardInterrupt:
        print("Stopped.")
        return 0
    except (SignalRError, ServerFailed, KdcFailed) as exc:
        print(f"The demo cannot start: {exc}", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace, running: ExitStack) -> int:
    connection_string = os.environ.get(CONNECTION_STRING)
    emulator: Emulator | None = None
    if connection_string:
        create_app()  # a mistake in the configuration is told here, without a traceback
        service = f"{ServiceEndpoint.parse(connection_string).origin} (from {CONNECTION_STRING})"
    else:
        emulator = start_emulator(options.host, options.emulator_port)
        running.callback(emulator.stop)
        connection_string = emulator.connection_string
        create_app({"SIGNALR_CONNECTION_STRING": connection_string})
        service = f"{emulator.url} (the emulator{_instead_of(options.emulator_port, emulator.port)})"
    port = free_port(options.host, options.port)
    if emulator is not None:
        emulator.replace_upstream(f"http://{options.host}:{port}")
    environment = {CONNECTION_STRING: connection_string}
    url = f"http://{HOST if options.windows else options.host}:{port}/"
    instructions: tuple[str, ...] = ()
    if options.windows:
        intranet = running.enter_context(running_intranet())
        environment |= intranet.environment
        instructions = intranet.instructions(url)
    web = running.enter_context(WebServer(options.host, port, environment))
    is_shared = not _is_loopback(options.host)
    print(
        "",
        *instructions,
        f"  Open      {url}{_instead_of(options.port, port, ' (', ')')}",
        f"  Users     {', '.join(USERS)}; each with the password {DEMO_PASSWORD}",
        f"  SignalR   {service}",
        *(["  Upstream  " + UPSTREAM] if emulator is None else []),
        *(["  Beware    everybody in this network can sign in: the password is public"] if is_shared else []),
        "  Stop      Ctrl-C",
        "",
        sep="\n",
        flush=True,
    )
    web.wait()
    print("The demo cannot go on: the web server ended", file=sys.stderr)
    return 1


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="Start a chat that signs its users on to SignalR, together with a SignalR service on this machine. "
        "Ctrl-C stops both.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--host",
        type=_address,
        default="127.0.0.1",
        metavar="ADDRESS",
        help="the address of this machine to listen on (default 127.0.0.1: nobody else can connect)",
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=5000,
        help="the page's port (default %(default)s); a free one is taken where it is in use",
    )
    parser.add_argument(
        "--emulator-port",
        type=_port,
        default=8888,
        metavar="PORT",
        help="the SignalR service's port (default %(default)s); a free one is taken where it is in use",
    )
    parser.add_argument(
        "--windows",
        action="store_true",
        help="also start an intranet (a Kerberos realm) on this machine, and let its users connect without a password",
    )
    options = parser.parse_args(arguments)
    if options.windows and not _is_loopback(options.host):
        parser.error("--windows: the intranet is on this machine alone, so leave out --host")
    return options


def _is_loopback(host: str) -> bool:
    return ipaddress.IPv4Address(host).is_loopback


def _address(text: str) -> str:
    try:
        address = ipaddress.IPv4Address("127.0.0.1" if text == "localhost" else text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no IPv4 address, such as 127.0.0.1") from None
    if address.is_unspecified:
        raise argparse.ArgumentTypeError(
            f"{text} is every address of this machine and browsers can open only one: name that one"
        )
    return str(address)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= 65_535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 0 (any free one) to 65535")
    return int(text)


def _instead_of(wanted: int, taken: int, before: str = ", ", after: str = "") -> str:
    return f"{before}port {wanted} is in use{after}" if wanted not in (0, taken) else ""


def _stop_on_signals() -> None:
    """Let the signals that end a program end this one in an orderly way, as Ctrl-C does."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:  # else: nohup
        numbers.append(signal.SIGHUP)

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)  # it ends already, within seconds: a second Ctrl-C has nothing to add
        raise KeyboardInterrupt

    for number in numbers:
        signal.signal(number, interrupt)


if __name__ == "__main__":
    sys.exit(main())
