"""(d) What more hubs and service endpoints cost, and what importing the package does."""

import json
import os
import subprocess
import sys
import tempfile
from statistics import median

from benchmarks.apps import create_app
from benchmarks.measure import Bound, Row, take_turns
from benchmarks.wsgi import caller

EXTRAS = ("aiohttp", "cryptography", "flask_login", "spnego", "urllib3")
"""Top modules of the packages that only extras bring."""

IMPORTS = 15
"""How often the package is imported, each time in a new process."""

MAX_IMPORT = 10
"""Milliseconds that it may take."""

_MEASURE = """
import json, sys, time
import flask, jwt
before, start = set(sys.modules), time.process_time()
{code}
print(json.dumps([time.process_time() - start, sorted(set(sys.modules) - before)]))
"""

_PACKAGE = "import flask_signalr"
_ROAD = "from flask_signalr import SignalR, CookieAuth"
_ALL_IN_USE = """
import flask_signalr
app = flask.Flask("app")
app.config["SIGNALR_CONNECTION_STRING"] = "Endpoint=https://a.service.signalr.net;AccessKey=QUJD;Version=1.0;"
flask_signalr.SignalR(app).hub("chat", auth=[flask_signalr.BearerAuth("s" * 32)], allow_anonymous=True)
assert app.test_client().post("/chat/negotiate").status_code == 200
"""


def run() -> list[Row]:
    """Compare apps of different size, and import the package in processes of their own."""
    return [*_sizes(), *_imports()]


def _sizes() -> list[Row]:
    """Ask each of many hubs in turn, and one hub with any of many service endpoints."""
    hubs, one_hub = "1 000 hubs", "1 hub"
    endpoints, one_endpoint = "100 service endpoints", "1 service endpoint"
    many = create_app(hubs=1000)
    turns = take_turns(
        {
            hubs: caller(many, *(f"/hub{number}/negotiate" for number in range(1, 1000))),
            one_hub: caller(create_app(), "/open/negotiate"),
            endpoints: caller(create_app(endpoints=100), "/open/negotiate"),
            one_endpoint: caller(create_app(), "/open/negotiate"),
        }
    )
    return [
        turns.row(hubs, one_hub, Bound(at_most=1.05)),
        turns.row(endpoints, one_endpoint, Bound(at_most=1.05)),
    ]


def _imports() -> list[Row]:
    with tempfile.TemporaryDirectory() as bytecode:
        package, road = _milliseconds(_PACKAGE, bytecode), _milliseconds(_ROAD, bytecode)
        loaded = {module.partition(".")[0] for module in _imported(_ALL_IN_USE, bytecode)[1]} & set(EXTRAS)
    allowed = f"{MAX_IMPORT} ms"
    return [
        Row(_PACKAGE, f"{package:.1f} ms", allowed, "", package / MAX_IMPORT, Bound(at_most=1.0)),
        Row(_ROAD, f"{road:.1f} ms", "", ""),
        Row(
            "extras loaded by negotiate", ", ".join(sorted(loaded)) or "none", "none", "", len(loaded), Bound(at_most=0)
        ),
    ]


def _milliseconds(code: str, bytecode: str) -> float:
    _imported(code, bytecode)  # compiles
    return median(_imported(code, bytecode)[0] for _ in range(IMPORTS)) * 1e3


def _imported(code: str, bytecode: str) -> tuple[float, list[str]]:
    """Run code after the imports of Flask and PyJWT; return its CPU seconds and the modules that it loaded.

    Bytecode is compiled before, as pip does it when it installs a package.
    """
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode, "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-c", _MEASURE.format(code=code)]
    ended = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    found: tuple[float, list[str]] = json.loads(ended.stdout)
    return found
