"""``flask-signalr negotiate``: where does a negotiation fail."""

import argparse
import getpass
import os
import re
import sys
from typing import TYPE_CHECKING

from flask_signalr.errors import ConfigurationError, MissingExtra
from flask_signalr.trace.transcript import Stopped, Transcript
from flask_signalr.trace.urls import check_url

if TYPE_CHECKING:
    from flask_signalr.trace.negotiation import Credentials

_DESCRIPTION = """\
Negotiate as a client does, and show each step: what the app asks for, the sign-in, where the app sends its clients,
what the service token says, and whether the service accepts it. No connection is opened, and no token is shown.

URL is the one that clients are given for the hub, as in withUrl("https://app.example/chat").

  $ flask-signalr negotiate https://app.example/chat
  $ flask-signalr negotiate https://app.intranet.example/chat --windows
  $ flask-signalr negotiate https://app.example/chat --bearer-from TOKEN      # the environment variable TOKEN
  $ get-a-token | flask-signalr negotiate https://app.example/chat --bearer -
"""
_EPILOG = """\
Everybody on this machine can read the command line of a running program: give --bearer a token only where that does
not matter, and use '--bearer -' or --bearer-from elsewhere. The proxy is that of HTTPS_PROXY, HTTP_PROXY and NO_PROXY;
REQUESTS_CA_BUNDLE names the file of other certificate authorities.

Exit code: 0 a client could connect; 1 it could not, and the last lines say why; 2 the command cannot be run like this.
It needs the extra client: pip install 'flask-signalr[client]'
"""
_B64TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,16384}=*")  # RFC 6750 §2.1, of the length that apps look at
_MAX_TIMEOUT = 300


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = commands.add_parser(
        "negotiate",
        help="show each step of a negotiation, for finding out why a client cannot connect",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("url", metavar="URL", help="what clients are given for the hub")
    credentials = command.add_mutually_exclusive_group()
    credentials.add_argument(
        "--windows",
        action="store_true",
        help="sign on as the account that is signed in here (Kerberos, on Windows SSPI)",
    )
    credentials.add_argument(
        "--bearer", metavar="TOKEN", help="bring this bearer token; - reads it from standard input"
    )
    credentials.add_argument(
        "--bearer-from", metavar="NAME", help="bring the bearer token of this environment variable"
    )
    command.add_argument(
        "--timeout", type=float, default=10, metavar="SECONDS", help="for each request, sign-on included (default: 10)"
    )
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Show the steps and return the exit code.

    Raises:
        ConfigurationError: An option's value cannot be used.
        MissingExtra: The extra ``client`` is not installed.
    """
    try:
        from flask_signalr.trace.exchange import Caller
        from flask_signalr.trace.negotiation import Trace
    except ModuleNotFoundError as exc:
        if exc.name not in {"requests", "urllib3"}:
            raise
        raise MissingExtra("flask-signalr negotiate", "client") from exc
    transcript = Transcript(_print)
    if not 0 < options.timeout <= _MAX_TIMEOUT:
        raise ConfigurationError(f"--timeout: give seconds, up to {_MAX_TIMEOUT}")
    try:
        url = check_url(options.url)
    except ValueError as exc:
        raise ConfigurationError(f"URL: {exc}") from exc
    credentials = _credentials(options)
    try:
        Trace(Caller(transcript, options.timeout), transcript).run(url, credentials)
    except Stopped as exc:
        _print(f"\nA client cannot connect: {exc.reason}")
        if exc.remedy:
            _print(f"What to do: {exc.remedy}")
        return 1
    _print("\nA client can connect.")
    return 0


def _credentials(options: argparse.Namespace) -> "Credentials | None":
    from flask_signalr.trace.negotiation import Credentials

    if options.windows:
        from flask_signalr.client import sign_on

        return Credentials("this account's Windows sign-on", sign_on())
    if options.bearer == "-":
        return Credentials.of_token("the bearer token", _checked_token("standard input", _read_token()))
    if options.bearer is not None:
        return Credentials.of_token("the bearer token", _checked_token("--bearer", options.bearer))
    if options.bearer_from is not None:
        return Credentials.of_token("the bearer token", _checked_token(*_variable(options.bearer_from)))
    return None


def _read_token() -> str:
    return getpass.getpass("Bearer token: ") if sys.stdin.isatty() else sys.stdin.readline(32_768)


def _variable(name: str) -> tuple[str, str]:
    if name not in os.environ:
        raise ConfigurationError(
            "--bearer-from: there is no environment variable of that name; give its name, not a token"
        )
    return f"the environment variable {name}", os.environ[name]


def _checked_token(source: str, text: str) -> str:
    token = text.strip()
    if not _B64TOKEN.fullmatch(token):
        raise ConfigurationError(
            f"{source}: this is no bearer token; give it alone, on one line and without the word Bearer"
        )
    return token


def _print(line: str) -> None:
    encoding = sys.stdout.encoding or "ascii"
    print(line.encode(encoding, "backslashreplace").decode(encoding), flush=True)
