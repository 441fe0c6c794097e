"""What an app cannot run is told when it is mounted."""

import functools
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from flask_signalr import CookieAuth, Invocation, ServerSdkUrl, SignalR
from flask_signalr.errors import ConfigurationError
from flask_signalr.handler_check import accept_for
from tests.apps import create_app, negotiate

WITHOUT_ASGIREF = """
import sys
sys.modules["asgiref"] = sys.modules["asgiref.sync"] = None
from tests.test_handler_check import *
try:
    {}()
except ConfigurationError as exc:
    print(exc)
"""


class Room:
    async def say(self, invocation: Invocation) -> None: ...

    async def __call__(self, invocation: Invocation) -> None: ...


async def later(invocation: Invocation, *_error: Any) -> None: ...


LATER: Any = later


def plain(invocation: Invocation) -> None: ...


ASYNC: list[Callable[..., Any]] = [later, Room().say, Room(), functools.partial(later)]


class OwnLoop(Flask):
    """An app with its own way to run async functions, which needs nothing of Flask's."""

    def async_to_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return plain


def check_each() -> None:
    accept, refused = accept_for(Flask(__name__)), 0
    accept("plain", plain)
    for function in ASYNC:
        try:
            accept("it", function)
        except ConfigurationError:
            refused += 1
    raise ConfigurationError(f"{refused} of {len(ASYNC)}")


def mount_method() -> None:
    signalr = SignalR()
    signalr.hub("chat").method("later")(later)
    create_app(signalr)


def mount_event() -> None:
    signalr = SignalR()
    signalr.hub("chat").on_disconnected(later)
    create_app(signalr)


def declare_when_mounted() -> None:
    signalr = SignalR()
    _app = create_app(signalr)
    signalr.hub("chat").on_connected(later)


def mount_provider() -> None:
    create_app(SignalR(user_id_provider=LATER))


def mount_filter_of_a_hub() -> None:
    signalr = SignalR()
    signalr.hub("chat", claims_filter=LATER)
    create_app(signalr)


def declare_guard_when_mounted() -> None:
    signalr = SignalR()
    _app = create_app(signalr)
    signalr.hub("chat", collision_guard=LATER)


def mount_culture() -> None:
    create_app(SignalR(server_sdk_url=ServerSdkUrl(culture=LATER)))


async def load_user() -> str:
    return "ada"


def mount_user_loader() -> None:
    create_app(SignalR(auth=[CookieAuth(load_user)]))


def run_without_asgiref(name: str) -> str:
    program = [sys.executable, "-c", WITHOUT_ASGIREF.format(name)]
    return subprocess.run(program, capture_output=True, text=True, check=True).stdout


def test_every_form_of_an_async_function_is_seen() -> None:
    assert run_without_asgiref("check_each") == "4 of 4\n"


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("mount_method", "hub method 'later'"),
        ("mount_event", "on_disconnected"),
        ("declare_when_mounted", "on_connected"),
        ("mount_user_loader", "CookieAuth(load_user)"),
        ("mount_culture", "ServerSdkUrl(culture=…)"),
        ("mount_provider", "user_id_provider="),
        ("mount_filter_of_a_hub", "claims_filter="),
        ("declare_guard_when_mounted", "collision_guard="),
    ],
)
def test_an_async_function_without_the_extra_stops_configuration(name: str, subject: str) -> None:
    """It would fail at its first call, with an error that the client cannot read."""
    assert run_without_asgiref(name).startswith(f"{subject} is async: pip install 'flask[async]'")


def test_an_app_may_run_async_functions_its_own_way() -> None:
    accept = accept_for(OwnLoop(__name__))

    for function in ASYNC:
        accept("it", function)


def misspelt(names: dict[str, Any]) -> Any:
    exec("def misspelt(invocation, point: 'Later'): ...", names)
    return names["misspelt"]


def test_an_annotation_that_names_nothing_stops_init_app() -> None:
    signalr, app = SignalR(), create_app()
    signalr.hub("chat").method("add")(misspelt({}))

    with pytest.raises(ConfigurationError, match=r"hub method 'add': the annotation 'Later' cannot be resolved"):
        signalr.init_app(app)

    assert "signalr" not in app.extensions


def test_an_annotation_that_names_nothing_is_told_by_the_first_request() -> None:
    """No connection begins whose calls cannot be answered; when all is well nothing is looked at again."""
    signalr, names = SignalR(allow_anonymous=True), dict[str, Any]()
    app = create_app(signalr)
    signalr.hub("chat").method("add")(misspelt(names))

    assert [negotiate(app).status_code for _ in range(2)] == [500, 500]
    names["Later"] = int
    assert [negotiate(app).status_code for _ in range(2)] == [200, 200]


def test_what_is_defined_after_the_method_is_found() -> None:
    signalr, names = SignalR(allow_anonymous=True), dict[str, Any]()
    signalr.hub("chat").method("add")(misspelt(names))
    names["Later"] = int

    app = create_app(signalr)

    assert negotiate(app).status_code == 200
