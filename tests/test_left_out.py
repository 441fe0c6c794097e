"""A test that cannot run here says so loudly, and fails in CI: ``pytest.skip(reason)`` is all it takes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
IN_A_TEST = """
import pytest

def test_browser():
    pytest.skip("no Chromium on this machine")

def test_known_fault():
    pytest.xfail("fails as expected")
"""
IN_A_MODULE = """
import pytest

pytest.skip("no Chromium on this machine", allow_module_level=True)
"""


def run_pytest(tmp_path: Path, source: str, ci: str) -> subprocess.CompletedProcess[str]:
    """Run pytest with the project's root conftest on a test file with this source."""
    test_file = tmp_path / "test_example.py"
    test_file.write_text(source)
    options = ["-p", "conftest", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--rootdir", str(tmp_path), str(test_file)],
        cwd=ROOT,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("source", [IN_A_TEST, IN_A_MODULE], ids=["in a test", "in a module"])
def test_what_is_left_out_is_listed_and_the_rest_counts(tmp_path: Path, source: str) -> None:
    """Without a browser the suite still runs, and its reader learns what it did not test."""
    run = run_pytest(tmp_path, source, ci="")

    assert "LEFT OUT: this run did not test everything" in run.stdout
    assert "1 x no Chromium on this machine" in run.stdout
    assert " failed" not in run.stdout
    assert " error" not in run.stdout


@pytest.mark.parametrize("source", [IN_A_TEST, IN_A_MODULE], ids=["in a test", "in a module"])
def test_ci_fails_instead_of_leaving_out(tmp_path: Path, source: str) -> None:
    """A green CI that left half of the tests out would prove nothing; an expected failure is no skip."""
    run = run_pytest(tmp_path, source, ci="true")

    assert run.returncode in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)
    assert "CI leaves nothing out. Skipped: no Chromium on this machine" in run.stdout
    assert "1 failed, 1 xfailed" in run.stdout or "1 error" in run.stdout
