"""An app for a server that loads it, and only then forks its workers; it tells which of them answered."""

import json
import multiprocessing
import os
import re
import threading
from queue import SimpleQueue
from typing import Any

from azure.identity import ClientSecretCredential
from flask import Config, Flask, Response, request

from flask_signalr import EndpointStatus, Hub, SignalR, endpoint_changed
from tests.entra_authority import APP_ID, CLIENT_SECRET, TENANT
from tests.live import LONGEST_WAIT
from tests.server_process import ROOT

TOGETHER, WORKER = "X-Together", "X-Worker"


def key_file_recipe() -> str:
    """Return the code of the page about new keys that has each worker watch a file."""
    page = (ROOT / "docs" / "how-to" / "rotate-keys.md").read_text()
    (recipe,) = (block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "class KeyFile" in block)
    return str(recipe)


def create_app() -> Flask:
    """Return an app with the hub ``chat``, configured by ``FLASK_*`` variables.

    A request with the header `TOGETHER` waits until each of two workers has one; all answers name their `WORKER`.
    """
    app = Flask(__name__)
    app.config.from_prefixed_env()
    if "ENTRA_AUTHORITY" in app.config:
        app.config["SIGNALR_CREDENTIAL"] = credential(app.config)
    signalr = SignalR(app, allow_anonymous=True)
    chat = signalr.hub("chat")
    if "KEY_FILE" in app.config:
        os.environ["SIGNALR_KEY_FILE"] = app.config["KEY_FILE"]
        exec(key_file_recipe(), {"app": app, "signalr": signalr})
    _register_views(app, chat)
    if app.config["USED_BEFORE_THE_FORK"]:
        answer = app.test_client().post("/chat/negotiate?negotiateVersion=1")
        assert json.loads(answer.data)["accessToken"]
    return app


def credential(config: Config) -> ClientSecretCredential:
    return ClientSecretCredential(
        TENANT,
        APP_ID,
        CLIENT_SECRET,
        authority=config["ENTRA_AUTHORITY"],
        connection_verify=config["ENTRA_CERTIFICATE"],
        disable_instance_discovery=True,
    )


def _register_views(app: Flask, chat: Hub) -> None:
    both = multiprocessing.Barrier(2)
    loaded_by = os.getpid()
    changes: SimpleQueue[EndpointStatus] = SimpleQueue()

    @app.before_request
    def wait_for_the_other() -> None:
        if TOGETHER in request.headers:
            both.wait(LONGEST_WAIT)

    @app.after_request
    def name_the_worker(response: Response) -> Response:
        response.headers[WORKER] = str(os.getpid())
        return response

    @endpoint_changed.connect_via(app, weak=False)
    def keep(sender: Flask, status: EndpointStatus) -> None:
        changes.put(status)

    @app.get("/change")
    def next_change() -> list[Any]:
        status = changes.get(timeout=LONGEST_WAIT)
        return [status.name, status.is_up]

    @app.get("/process")
    def process() -> dict[str, Any]:
        return {"loaded_by": loaded_by, "threads": [thread.name for thread in threading.enumerate()]}

    @app.post("/news")
    def news() -> tuple[str, int]:
        chat.clients.all.send("news", os.getpid())
        return "", 202
