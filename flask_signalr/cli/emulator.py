"""``flask-signalr emulator``: the service on this machine."""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys

from flask_signalr import emulator
from flask_signalr.emulator import DEVELOPMENT_KEY, EmulatorSettings
from flask_signalr.emulator.entra_roles import EntraRole
from flask_signalr.emulator.settings import ENTRA_AUDIENCE
from flask_signalr.emulator.upstream_rules import DEFAULT_PATH, UpstreamRule

_DESCRIPTION = """\
Run an emulator of Azure SignalR Service in Serverless mode on this machine.

Start it, and give your app the connection string that it prints:

  $ flask-signalr emulator
  $ export FLASK_SIGNALR_CONNECTION_STRING='Endpoint=http://localhost;Port=8888;AccessKey=...;Version=1.0;'
  $ flask run

With the URL of your app, the emulator tells it who comes and goes and what clients call:

  $ flask-signalr emulator --upstream http://localhost:5000

With the issuer of your tenant's Microsoft Entra tokens, apps can use these instead of an access key:

  $ flask-signalr emulator --entra-issuer https://sts.windows.net/<tenant id>/
  $ export FLASK_SIGNALR_CONNECTION_STRING='Endpoint=http://localhost;Port=8888;AuthType=azure;Version=1.0;'
"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = commands.add_parser(
        "emulator",
        help="run the service on this machine, for development",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--host", default="localhost", help="address or name to listen on (default: %(default)s)")
    command.add_argument(
        "--port", type=int, default=8888, help="port to listen on, 0 for any free one (default: %(default)s)"
    )
    command.add_argument(
        "--access-key",
        action="append",
        metavar="KEY",
        help="key that signs tokens; give it twice for a secondary one (default: the published development key)",
    )
    command.add_argument(
        "--audience-host",
        action="append",
        default=[],
        metavar="NAME",
        help="host name that tokens may be made for, besides the host and the loopback names; repeatable",
    )
    _add_entra_to(command)
    upstreams = command.add_mutually_exclusive_group()
    upstreams.add_argument(
        "--upstream",
        metavar="URL",
        help="URL of the app that is told what clients do, such as http://localhost:5000; "
        f"{DEFAULT_PATH} is added unless the URL says where these go",
    )
    upstreams.add_argument(
        "--upstream-settings",
        metavar="FILE",
        help="file with upstream rules instead, in the form of Microsoft's emulator; read again when it changes",
    )
    command.add_argument("--quiet", action="store_true", help="do not tell what clients and apps do")
    command.set_defaults(run=run)


def _add_entra_to(command: argparse.ArgumentParser) -> None:
    entra = command.add_argument_group("Microsoft Entra ID")
    entra.add_argument(
        "--entra-issuer",
        metavar="URL",
        help="issuer of Entra tokens that the REST API accepts, such as https://sts.windows.net/<tenant id>/; its keys "
        "are fetched from there (default: none)",
    )
    entra.add_argument(
        "--entra-audience",
        default=ENTRA_AUDIENCE,
        metavar="AUDIENCE",
        help="audience that these tokens must be for (default: %(default)s)",
    )
    entra.add_argument(
        "--entra-app-id",
        action="append",
        default=[],
        metavar="ID[=ROLE]",
        help="application that has a role on the service, others get 403; repeatable (default: all own the service). "
        f"Roles are {', '.join(role.word for role in EntraRole)} (default: {EntraRole.SERVICE_OWNER.word})",
    )


def run(options: argparse.Namespace) -> int:
    """Run the emulator until it is told to stop, and return the exit code.

    Raises:
        ConfigurationError: An option's value, or the file of upstream rules, cannot be used.
        MissingExtra: The extra ``emulator`` is not installed.
        EmulatorUnavailable: It cannot listen there.
    """
    settings = EmulatorSettings(
        host=options.host,
        port=options.port,
        access_keys=tuple(options.access_key or (DEVELOPMENT_KEY,)),
        audience_hosts=tuple(options.audience_host),
        entra_issuer=options.entra_issuer,
        entra_audience=options.entra_audience,
        entra_app_ids=tuple(options.entra_app_id),
        upstream=options.upstream,
        upstream_settings=options.upstream_settings,
    )
    logging.basicConfig(level=logging.WARNING if options.quiet else logging.INFO, format="%(asctime)s %(message)s")
    with contextlib.suppress(KeyboardInterrupt):  # which is how it is stopped on Windows
        asyncio.run(_serve_until_stopped(settings))
    return 0


async def _serve_until_stopped(settings: EmulatorSettings) -> None:
    stopping = asyncio.Event()
    async with emulator.running(settings) as running_here:
        for name in ("SIGINT", "SIGTERM"):
            try:
                asyncio.get_running_loop().add_signal_handler(getattr(signal, name), stopping.set)
            except NotImplementedError:  # Windows, where Ctrl-C arrives as a KeyboardInterrupt
                break
        _greet(running_here.settings)
        await stopping.wait()


def _greet(settings: EmulatorSettings) -> None:
    print(f"The emulator listens on {settings.url} (Ctrl-C stops it). Your app's connection string:\n")
    print(f"  {settings.connection_string}\n")
    if settings.entra_issuer is not None:
        print(f"With Entra tokens of {settings.entra_issuer} instead:\n")
        print(f"  {settings.entra_connection_string}\n")
    if settings.upstream is not None:
        print(f"What clients do is told to {UpstreamRule.to(settings.upstream).url_template}\n")
    elif settings.upstream_settings is not None:
        print(f"What clients do is told by the rules of {settings.upstream_settings}\n")
    print("Or, for an app that reads its environment:\n")
    print(f"  export FLASK_SIGNALR_CONNECTION_STRING='{settings.connection_string}'\n")
    if DEVELOPMENT_KEY in settings.access_keys and settings.host not in {"localhost", "127.0.0.1", "::1"}:
        print("Warning: whoever reaches this address can sign tokens, because the development key is public.\n")
    sys.stdout.flush()
