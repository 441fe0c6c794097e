"""The page's script that renews sign-ins: what it does when a renewal fails, by a clock that the tests turn."""

import subprocess

import pytest

from tests.client_process import HERE, missing_node_client


def test_a_failed_renewal_is_tried_again_in_time_and_never_given_up_in_silence() -> None:
    """What Node's own runner tests of it, in the file that it runs."""
    reason = missing_node_client()
    if reason is not None:
        pytest.skip(reason)

    run = subprocess.run(
        ["node", "--test", str(HERE / "node" / "refresh.mjs")], capture_output=True, text=True, check=False, timeout=120
    )

    assert run.returncode == 0, run.stdout
    assert "# pass 11" in run.stdout
