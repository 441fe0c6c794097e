"""The names of ``flask_signalr``: each is there, and is loaded only when it is asked for."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import flask_signalr
from flask_signalr import errors

EXTRAS = {"aiohttp", "cryptography", "flask_login", "spnego", "urllib3"}


def modules_after(code: str) -> set[str]:
    """Return the modules that a fresh process has loaded for this code, beyond those of Flask and PyJWT."""
    program = (
        "import json, sys; import flask, jwt; before = set(sys.modules)\n"
        f"{code}\nprint(json.dumps(sorted(set(sys.modules) - before)))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(ended.stdout))


@pytest.mark.parametrize("name", flask_signalr.__all__)
def test_a_public_name_is_what_its_module_defines(name: str) -> None:
    value = getattr(flask_signalr, name)

    assert name in dir(flask_signalr)
    assert value is getattr(sys.modules[flask_signalr._MODULES[name]], name)


def test_every_error_can_be_imported_from_the_package() -> None:
    """As docs/reference/errors.md says."""
    kinds = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}

    assert kinds - set(flask_signalr.__all__) == set()


def test_type_checkers_read_the_names_that_are_loaded() -> None:
    """The imports that only type checkers see and the table that is used at run time say the same."""
    tree = ast.parse(Path(flask_signalr.__file__).read_text())
    imported = {
        (f"{node.module}", alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and f"{node.module}".startswith("flask_signalr.")
        for alias in node.names
    }

    assert imported == {(module, name) for name, module in flask_signalr._MODULES.items()}
    assert {name for _, name in imported} == set(flask_signalr.__all__)


def test_an_unknown_name_is_an_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="module 'flask_signalr' has no attribute 'HubContext'"):
        flask_signalr.HubContext  # type: ignore[attr-defined] # noqa: B018 -- the access is the act


def test_importing_the_package_loads_nothing_of_it() -> None:
    """An app pays for what it uses, and a tool that only looks at the package for nothing."""
    assert modules_after("import flask_signalr") == {"flask_signalr"}


def test_no_extra_is_loaded_before_something_needs_it() -> None:
    code = (
        "from flask_signalr import BearerAuth, SignalR\n"
        "app = flask.Flask('app')\n"
        "app.config['SIGNALR_CONNECTION_STRING'] = 'Endpoint=https://a.example;AccessKey=QUJD'\n"
        "SignalR(app).hub('chat', auth=[BearerAuth('s' * 32)], allow_anonymous=True)\n"
        "assert app.test_client().post('/chat/negotiate').status_code == 200"
    )

    assert {module.partition(".")[0] for module in modules_after(code)} & EXTRAS == set()
