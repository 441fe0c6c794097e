"""``python -m demo --windows``: what it prints signs a user on, in a process of its own."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest

from demo.kdc import missing_requirement
from demo.users import DEMO_PASSWORD
from tests.demo_process import Demo, is_refused, started

EPHEMERAL = ("--windows", "--port", "0", "--emulator-port", "0")


@pytest.fixture
def demo() -> Iterator[Demo]:
    missing = missing_requirement()
    if missing is not None:
        pytest.skip(f"tests of the demo's intranet: {missing}")
    with started(*EPHEMERAL) as running:
        yield running


def printed_line(demo: Demo, start: str) -> str:
    (line,) = re.findall(rf"^ +({start} .*)$", demo.printed, re.MULTILINE)
    assert isinstance(line, str)
    return line


def typed(*lines: str, answer: str = "") -> str:
    """Return what a shell prints for these lines, of which one asks for a password."""
    run = subprocess.run(
        ["/bin/sh", "-ec", "\n".join(lines)], input=answer, stdout=subprocess.PIPE, check=True, text=True
    )
    return run.stdout


def claims_in(negotiation: dict[str, str]) -> dict[str, object]:
    claims: dict[str, object] = jwt.decode(negotiation["accessToken"], options={"verify_signature": False})
    return claims


def demand_negotiating_curl() -> None:
    curl = shutil.which("curl")
    if curl is None or "SPNEGO" not in typed(f"{curl} --version"):
        pytest.skip("tests of the demo's intranet: there is no curl that knows SPNEGO (Debian: curl)")


def test_the_printed_lines_sign_on_the_same_user_as_cookie_does(demo: Demo) -> None:
    demand_negotiating_curl()

    output = typed(
        printed_line(demo, "export"), printed_line(demo, "kinit"), printed_line(demo, "curl"), answer=DEMO_PASSWORD
    )
    by_cookie = demo.call("POST", "/chat/negotiate", Cookie=demo.sign_in("ada")).json()

    signed_on = claims_in(json.loads(output[output.index("{") :]))
    assert signed_on["name"] == "ada@EXAMPLE.ORG"
    assert (signed_on["realm"], signed_on["asrs.s.aut"]) == ("EXAMPLE.ORG", "Kerberos")
    assert signed_on["asrs.s.uid"] == claims_in(by_cookie)["asrs.s.uid"] == "ada@example.org"
    assert signed_on["role"] == claims_in(by_cookie)["role"]


def test_the_printed_browser_command_opens_the_printed_page(demo: Demo) -> None:
    """With a profile of its own: a browser that is already open would take the page without the options."""
    command = printed_line(demo, "chromium")

    assert re.fullmatch(r"chromium --auth-server-allowlist=localhost --user-data-dir=\S+ \S+", command)
    assert command.endswith(f" {demo.url}/")
    assert demo.url.startswith("http://localhost:")


def test_without_a_ticket_the_hub_challenges(demo: Demo) -> None:
    negotiation = demo.call("POST", "/chat/negotiate")

    assert negotiation.status == 401
    assert negotiation.headers.getlist("WWW-Authenticate")[-1] == "Negotiate"


def test_ctrl_c_ends_the_realm_too_and_leaves_no_file(demo: Demo) -> None:
    match = re.search(r"KRB5_CONFIG=(\S+)", demo.printed)
    assert match
    config = Path(match[1])
    kdc = re.search(r"kdc = (127\S+)", config.read_text())
    assert kdc
    kdc_url = f"http://{kdc[1]}"
    was_refused = is_refused(kdc_url)

    os.killpg(demo.process.pid, signal.SIGINT)
    output = demo.rest_of_output()

    assert (demo.process.returncode, output) == (0, "Stopped.")
    assert not was_refused
    assert is_refused(kdc_url)
    assert is_refused(demo.url)
    assert not config.parent.exists()


def test_what_the_realm_needs_and_is_missing_is_told_in_one_sentence(tmp_path: Path) -> None:
    """No traceback, and nothing is left running."""
    with started(*EPHEMERAL, path=str(tmp_path)) as demo:
        output = (demo.printed + demo.rest_of_output()).strip()

    assert demo.process.returncode == 1
    assert re.fullmatch(r"The demo cannot start: for an intranet the program \S+ is missing \(Debian: .*\)", output)
