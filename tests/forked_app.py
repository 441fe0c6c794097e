"""An app for a server that loads it, and only then forks its workers; it tells which of them answered."""

import json
import multiprocessing
import os
import threading
from queue import SimpleQueue
from typing import Any

from azure.identity import ClientSecretCredential
from flask import Flask, Response, request

from flask_signalr import EndpointStatus, SignalR, endpoint_changed
from tests.entra_authority import APP_ID, CLIENT_SECRET, TENANT
from tests.live import LONGEST_WAIT

TOGETHER, WORKER = "X-Together", "X-Worker"


def create_app() -> Flask:
    """Return an app with the hub ``chat``, configured by ``FLASK_*`` variables.

    A request with the header `TOGETHER` waits until each of two workers has one; all answers name their `WORKER`.
    """
    app = Flask(__name__)
    app.config.from_prefixed_env()
    if "ENTRA_AUTHORITY" in app.config:
        app.config["SIGNALR_CREDENTIAL"] = ClientSecretCredential(
            TENANT,
            APP_ID,
            CLIENT_SECRET,
            authority=app.config["ENTRA_AUTHORITY"],
            connection_verify=app.config["ENTRA_CERTIFICATE"],
            disable_instance_discovery=True,
        )
    chat = SignalR(app, allow_anonymous=True).hub("chat")
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

    if app.config["USED_BEFORE_THE_FORK"]:
        answer = app.test_client().post("/chat/negotiate?negotiateVersion=1")
        assert json.loads(answer.data)["accessToken"]
    return app
