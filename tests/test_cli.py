"""The command ``flask-signalr``."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flask_signalr.cli import main
from flask_signalr.emulator import DEVELOPMENT_KEY

ROOT = Path(__file__).parent.parent


@contextmanager
def emulator(*options: str, module: str = "flask_signalr.emulator") -> Iterator[subprocess.Popen[str]]:
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", module, *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def greeting(process: subprocess.Popen[str]) -> list[str]:
    """Return what the command prints before it serves."""
    assert process.stdout
    lines: list[str] = []
    while not lines or not lines[-1].startswith("export "):
        line = process.stdout.readline()
        assert line, process.stderr and process.stderr.read()
        lines.append(line.strip())
    return lines


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_the_emulator_runs_until_it_is_told_to_stop(number: signal.Signals) -> None:
    """Without a traceback, and with a connection string that leads to it."""
    with emulator("--port", "0") as process:
        lines = greeting(process)
        url = lines[0].split()[4]
        with urllib.request.urlopen(f"{url}/api/health", timeout=10) as response:
            status = response.status
        process.send_signal(number)
        assert process.stdout
        assert process.stderr
        output, errors = process.stdout.read(), process.stderr.read()
        process.wait()

    port = url.rpartition(":")[2]
    connection_string = f"Endpoint=http://localhost;Port={port};AccessKey={DEVELOPMENT_KEY};Version=1.0;"
    assert status == 200
    assert connection_string in lines
    assert lines[-1] == f"export FLASK_SIGNALR_CONNECTION_STRING='{connection_string}'"
    assert (process.returncode, output.strip(), errors) == (0, "", "")


def test_the_options_reach_the_emulator() -> None:
    with emulator("--host", "127.0.0.1", "--port", "0", "--access-key", "first", "--access-key", "second") as process:
        lines = greeting(process)

    assert "http://127.0.0.1:" in lines[0]
    assert "AccessKey=first;" in lines[-1]
    assert "second" not in "".join(lines)


def test_the_upstream_is_told(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"UpstreamSettings":{"Templates":[]}}')

    with emulator("--port", "0", "--upstream", "http://localhost:5000") as process:
        to_url = greeting(process)
    with emulator("--port", "0", "--upstream-settings", str(path)) as process:
        to_rules = greeting(process)

    assert "http://localhost:5000/{hub}/upstream/{category}/{event}" in "".join(to_url)
    assert str(path) in "".join(to_rules)


def test_an_issuer_of_entra_tokens_adds_a_connection_string_without_a_key() -> None:
    options = ["--entra-issuer", "https://sts.example/", "--entra-audience", "api://x", "--entra-app-id", "an-app"]

    with emulator("--host", "127.0.0.1", "--port", "0", *options) as process:
        lines = greeting(process)

    port = lines[0].split()[4].rpartition(":")[2]
    assert "With Entra tokens of https://sts.example/ instead:" in lines
    assert f"Endpoint=http://127.0.0.1;Port={port};AuthType=azure;Version=1.0;" in lines


def test_a_public_address_with_the_published_key_is_warned_of() -> None:
    with emulator("--host", "0.0.0.0", "--port", "0") as process:
        greeting(process)
        process.send_signal(signal.SIGINT)
        assert process.stdout
        output = process.stdout.read()

    assert "Warning: whoever reaches this address can sign tokens" in output


def test_a_port_in_use_is_one_sentence_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        code = main(["emulator", "--port", str(port)])

    captured = capsys.readouterr()
    assert code == 1
    assert captured.out == ""
    assert captured.err.startswith(f"flask-signalr: the emulator cannot listen on port {port} of 127.0.0.1: another")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--port", "65536"], "port: 65536 is no port"),
        (["--access-key", "a;b"], "an access key must not be empty"),
        (["--entra-issuer", "http://sts.example/"], "entra_issuer: plain http is for this machine only"),
        (["--entra-app-id", "an-app"], "add one (--entra-issuer)"),
        (
            ["--entra-issuer", "https://sts.example/", "--entra-app-id", "an-app=king"],
            "roles are service-owner, app-server",
        ),
        (["--upstream", "localhost:5000"], "upstream: the URL must be absolute"),
        (["--upstream-settings", "/nowhere/settings.json"], "/nowhere/settings.json: cannot be read"),
    ],
)
def test_settings_that_cannot_work_are_one_sentence_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], options: list[str], error: str
) -> None:
    code = main(["emulator", *options])

    errors = capsys.readouterr().err
    assert code == 2
    assert error in errors
    assert "a;b" not in errors


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["emulator", "--port", "x"]])
def test_words_that_are_no_command_are_exit_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)

    assert caught.value.code == 2


def test_help_teaches_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["emulator", "--help"])

    text = capsys.readouterr().out
    assert caught.value.code == 0
    assert "$ flask-signalr emulator\n" in text
    assert "export FLASK_SIGNALR_CONNECTION_STRING=" in text
    assert "$ flask-signalr emulator --entra-issuer https://sts.windows.net/" in text
    assert all(option in text for option in ("--entra-audience", "--entra-app-id"))


def test_a_missing_extra_is_named_with_exit_code_2() -> None:
    program = (
        "import sys; sys.modules['aiohttp'] = None; from flask_signalr.cli import main; sys.exit(main(['emulator']))"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert done.stderr == (
        "flask-signalr: the emulator needs an optional dependency: pip install 'flask-signalr[emulator]'\n"
    )
