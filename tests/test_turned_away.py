"""Upstream requests that the app's own code answers."""

import logging

import pytest
from flask import Blueprint, Flask, Response, redirect
from flask.typing import ResponseReturnValue

from flask_signalr import SignalR
from flask_signalr.turned_away import warn_once
from tests.apps import create_app, negotiate

WARNING = "answered with {} by the app's own code"
CALL = "/chat/upstream/messages/add"


def guarded_app(answer: ResponseReturnValue | None) -> Flask:
    """Return an app whose ``before_request`` function answers so."""
    signalr = SignalR()
    signalr.hub("chat")
    app = create_app(signalr)
    app.before_request(lambda: answer)
    return app


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "own code" in record.getMessage()]


@pytest.mark.parametrize(("answer", "status"), [(redirect("/login"), 302), (Response(status=401), 401)])
def test_an_app_that_turns_the_service_away_is_told_once(
    answer: Response, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing else in the log says why no call arrives."""
    client = guarded_app(answer).test_client()

    answers = [client.post(CALL).status_code for _ in range(3)]

    assert answers == [status] * 3
    (warning,) = warnings_of(caplog)
    assert WARNING.format(status) in warning
    assert "'signalr.upstream'" in warning


def test_what_is_told_of_upstream_requests_is_not_used_up_by_others(caplog: pytest.LogCaptureFixture) -> None:
    app = guarded_app(redirect("/login"))

    negotiate(app)

    assert not warnings_of(caplog)
    app.test_client().post(CALL)
    assert len(warnings_of(caplog)) == 1


def test_a_refusal_of_ours_is_not_taken_for_the_apps(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    client = guarded_app(None).test_client()

    assert client.post(CALL, content_type="application/json").status_code in (400, 401)
    assert client.post(CALL, content_type="text/plain").status_code == 415
    assert client.post(CALL.replace("chat", "nowhere")).status_code == 404

    assert not warnings_of(caplog)


def test_a_guard_of_an_outer_blueprint_is_seen(caplog: pytest.LogCaptureFixture) -> None:
    signalr, outer = SignalR(), Blueprint("outer", __name__, url_prefix="/outer")
    signalr.hub("chat")
    outer.before_request(lambda: redirect("/login"))
    outer.register_blueprint(signalr.blueprint)
    app = create_app(signalr, SIGNALR_CONNECTION_STRING=create_app().config["SIGNALR_CONNECTION_STRING"])
    app.register_blueprint(outer)

    app.test_client().post(f"/outer{CALL}")

    (warning,) = warnings_of(caplog)
    assert "'outer.signalr.upstream'" in warning


def test_an_app_without_such_functions_pays_nothing() -> None:
    signalr = SignalR()
    signalr.hub("chat")
    app = create_app(signalr)

    negotiate(app)

    assert not any(warn_once in hooks for hooks in app.after_request_funcs.values())
