"""``flask-signalr negotiate``, from the command line to a real app, realm and service."""

import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from flask_signalr import SignalR, WindowsAuth
from flask_signalr.cli import main
from tests.apps import create_app
from tests.document_server import DocumentServer, answer
from tests.intranet import Intranet
from tests.kdc import environment
from tests.live import ADA, Site, live_emulator, live_site, serving, with_another_key
from tests.windows_sspi import windows_modules

ROOT = Path(__file__).parent.parent

requires_sspi = pytest.mark.skipif(
    find_spec("requests_negotiate_sspi") is None, reason="tests of requests-negotiate-sspi: it is missing"
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with live_site(tmp_path / "record") as running:
        yield running


@pytest.fixture
def intranet_url(intranet: Intranet) -> Iterator[str]:
    """The URL of a hub in the intranet; this process runs for nobody yet."""
    signalr = SignalR(auth=[WindowsAuth()])
    signalr.hub("chat")
    with live_emulator() as emulator:
        app = create_app(signalr, SIGNALR_CONNECTION_STRING=emulator.connection_string)
        with serving(app) as url:
            yield f"{url.replace('127.0.0.1', 'localhost')}/chat"


def negotiate(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from flask_signalr.cli import main; sys.exit(main())",
            "negotiate",
            *arguments,
        ],
        cwd=ROOT,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_windows_user_sees_each_step_and_no_token(intranet: Intranet, intranet_url: str) -> None:
    done = negotiate(intranet_url, "--windows", KRB5CCNAME=intranet.caches["alice"])

    assert (done.returncode, done.stderr) == (0, "")
    for line in (
        "WWW-Authenticate: Negotiate",
        "2. Ask the app, with this account's Windows sign-on",
        "WWW-Authenticate: Negotiate [redacted]",
        "asrs.s.uid  alice@intranet.test   (the user id)",
        "asrs.s.aut  Kerberos   (how the user signed in)",
        "transports: WebSockets, ServerSentEvents, LongPolling",
    ):
        assert f"   {line}\n" in done.stdout or f"{line}\n" in done.stdout
    assert done.stdout.endswith("\nA client can connect.\n")
    assert "eyJ" not in done.stdout
    assert "Negotiate YI" not in done.stdout


@requires_sspi
def test_on_windows_sspi_signs_on(intranet: Intranet, intranet_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With requests-negotiate-sspi over a stand-in for Windows."""
    with environment({"KRB5CCNAME": intranet.caches["alice"]}), windows_modules():
        code = main(["negotiate", intranet_url, "--windows"])

    assert code == 0
    assert "asrs.s.uid  alice@intranet.test" in capsys.readouterr().out


@requires_sspi
def test_an_app_that_echoes_what_sspi_sent_gets_it_redacted(
    intranet: Intranet, capsys: pytest.CaptureFixture[str]
) -> None:
    """The token was made after the request was handed to requests."""
    brought: list[str] = []

    def echo(handler: Any) -> None:
        if "Authorization" not in handler.headers:
            answer(handler, b"", 401, WWW_Authenticate="Negotiate")
        else:
            brought.append(str(handler.headers["Authorization"]).split()[1])
            answer(handler, f"you brought {brought[-1]}".encode(), 403)

    with DocumentServer() as server, environment({"KRB5CCNAME": intranet.caches["alice"]}), windows_modules():
        server.documents["/chat/negotiate?negotiateVersion=1"] = echo
        code = main(["negotiate", f"http://localhost:{server.port}/chat", "--windows"])

    output = capsys.readouterr().out
    assert code == 1
    assert "the app answers 403: you brought [redacted]\n" in output
    assert brought[0][:30] not in output


def test_a_machine_without_a_ticket_is_told_so(intranet_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["negotiate", intranet_url, "--windows"])

    assert code == 1
    assert "A client cannot connect: cannot sign on to HTTP/localhost: No Kerberos" in capsys.readouterr().out


def test_an_account_that_may_not_connect_is_told_so(
    intranet: Intranet, intranet_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A machine has a ticket, and is no person."""
    with environment({"KRB5CCNAME": intranet.caches["PC7$"]}):
        code = main(["negotiate", intranet_url, "--windows"])

    assert code == 1
    assert "A client cannot connect: the app answers 403: " in capsys.readouterr().out


def test_the_wrong_keys_are_found_at_the_service(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with live_site(tmp_path / "record", change_key=with_another_key) as site:
        code = main(["negotiate", site.hub("open")])

    output = capsys.readouterr().out
    assert code == 1
    assert "A client cannot connect: the service answers 401: the access token's signature does not match" in output
    assert "What to do: compare the app's connection string with the keys of the service, and the clocks\n" in output


def test_an_app_that_wants_a_sign_in_is_exit_code_1(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["negotiate", site.hub("bearer")])

    output = capsys.readouterr().out
    assert code == 1
    assert "What to do: bring a token with --bearer\n" in output


def test_an_open_hub_is_exit_code_0(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["negotiate", site.hub("open")])

    assert code == 0
    assert capsys.readouterr().out.endswith("\nA client can connect.\n")


# Where a bearer token comes from.


def test_a_token_on_the_command_line(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    token = site.bearer(ADA)

    code = main(["negotiate", site.hub("bearer"), "--bearer", token])

    output = capsys.readouterr().out
    assert code == 0
    assert f"asrs.s.uid  {ADA}" in output
    assert token not in output


def test_a_token_of_an_environment_variable(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_TOKEN", f" {site.bearer(ADA)}\n")

    code = main(["negotiate", site.hub("bearer"), "--bearer-from", "CHAT_TOKEN"])

    assert code == 0
    assert site.bearer(ADA)[:30] not in capsys.readouterr().out


def test_a_token_of_standard_input(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{site.bearer(ADA)}\nanother line"))

    code = main(["negotiate", site.hub("bearer"), "--bearer", "-"])

    assert code == 0
    assert site.bearer(ADA)[:30] not in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    ["", "   ", "Bearer abc", "a b", "a\r\nX-Header: 1", "ümlaut", "a" * 16_385, "=abc", '"abc"'],
    ids=["empty", "blank", "with the scheme", "two words", "a header", "umlaut", "too long", "padding first", "quoted"],
)
def test_what_is_no_token_is_not_sent_and_not_shown(capsys: pytest.CaptureFixture[str], text: str) -> None:
    """The most frequent one is a header copied whole."""
    code = main(["negotiate", "http://127.0.0.1:1/chat", "--bearer", text])

    captured = capsys.readouterr()
    assert (code, captured.out) == (2, "")
    assert captured.err == (
        "flask-signalr: --bearer: this is no bearer token; give it alone, on one line and without the word Bearer\n"
    )


def test_a_token_in_the_place_of_a_variables_name_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["negotiate", "http://127.0.0.1:1/chat", "--bearer-from", "s3cret-token"])

    captured = capsys.readouterr()
    assert code == 2
    assert "there is no environment variable of that name" in captured.err
    assert "s3cret" not in captured.err + captured.out


# Usage.


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["app.example/chat"], "flask-signalr: URL: it is no absolute URL of https or http"),
        (["ftp://app.example/chat"], "flask-signalr: URL: it is no absolute URL of https or http"),
        (["https://ada:s3cret@app.example/"], "flask-signalr: URL: it holds a user name"),
        (["http://127.0.0.1:1/", "--timeout", "0"], "flask-signalr: --timeout: give seconds, up to 300"),
        (["http://127.0.0.1:1/", "--timeout", "nan"], "flask-signalr: --timeout: give seconds, up to 300"),
        (["http://127.0.0.1:1/", "--timeout", "inf"], "flask-signalr: --timeout: give seconds, up to 300"),
    ],
)
def test_arguments_that_cannot_work_are_one_sentence_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], error: str
) -> None:
    code = main(["negotiate", *arguments])

    captured = capsys.readouterr()
    assert (code, captured.out, captured.err) == (2, "", f"{error}\n")


@pytest.mark.parametrize(
    "arguments", [[], ["URL", "--windows", "--bearer", "x"], ["URL", "--timeout", "x"], ["URL", "--x"]]
)
def test_words_that_do_not_go_together_are_exit_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["negotiate", *arguments])

    assert caught.value.code == 2


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    """With examples, where a token may come from, and what the exit code means."""
    with pytest.raises(SystemExit):
        main(["negotiate", "--help"])

    text = capsys.readouterr().out
    assert "$ flask-signalr negotiate https://app.intranet.example/chat --windows\n" in text
    assert "$ get-a-token | flask-signalr negotiate https://app.example/chat --bearer -\n" in text
    assert "Everybody on this machine can read the command line" in text
    assert "Exit code: 0 a client could connect; 1 it could not" in text


@pytest.mark.parametrize(
    ("package", "arguments"), [("requests", []), ("spnego", ["--windows"]), ("gssapi", ["--windows"])]
)
def test_a_missing_extra_is_named_with_exit_code_2(package: str, arguments: list[str]) -> None:
    program = f"import sys; sys.modules['{package}'] = None; from flask_signalr.cli import main; sys.exit(main())"

    done = subprocess.run(
        [sys.executable, "-c", program, "negotiate", "http://127.0.0.1:1/chat", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("needs an optional dependency: pip install 'flask-signalr[client]'\n")
    assert done.stderr.count("\n") == 1


# A bad day.


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/chat", "https://127.0.0.1:{port}/chat"])
def test_a_network_error_is_a_sentence_and_no_traceback(url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

    done = negotiate(url.format(port=port))

    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.endswith("\nA client cannot connect: no answer: Connection refused\n")


def test_a_server_that_never_answers_does_not_keep_the_command_from_ending() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        done = negotiate(f"http://127.0.0.1:{listening.getsockname()[1]}/chat", "--timeout", "0.3")

    assert (done.returncode, done.stderr) == (1, "")
    assert (
        "A client cannot connect: no complete answer within 0.3 s\nWhat to do: --timeout waits longer\n" in done.stdout
    )


def test_ctrl_c_ends_it_without_a_traceback() -> None:
    program = "import sys; from flask_signalr.cli import main; sys.exit(main())"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        command = [sys.executable, "-c", program, "negotiate", f"http://127.0.0.1:{listening.getsockname()[1]}/chat"]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            connection, _ = listening.accept()  # the command waits for the answer from now on
            with connection:
                process.send_signal(signal.SIGINT)
                _, errors = process.communicate()

    assert (process.returncode, errors) == (130, "")


def test_a_terminal_without_those_letters_still_gets_the_answer() -> None:
    with DocumentServer() as server:
        server.documents["/chat/negotiate?negotiateVersion=1"] = lambda handler: answer(
            handler, "geschloßen 閉".encode(), 403
        )
        done = negotiate(f"{server.url}/chat", PYTHONIOENCODING="ascii", PYTHONUTF8="0")

    assert (done.returncode, done.stderr) == (1, "")
    assert "the app answers 403: geschlo\\xdfen \\u9589\n" in done.stdout
