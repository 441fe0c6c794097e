"""Why there is no service endpoint: what the errors carry to their readers."""

import pytest

from flask_signalr.endpoint_errors import NoServiceEndpoint, RouterRefused, SigningKeyUnavailable


def test_a_router_refuses_as_a_bad_request_unless_it_says_otherwise() -> None:
    assert RouterRefused("which region?").status == 400
    assert RouterRefused("moved away", 410).status == 410


@pytest.mark.parametrize("error", [NoServiceEndpoint, SigningKeyUnavailable], ids=repr)
def test_what_is_down_says_when_to_try_again(error: type[NoServiceEndpoint | SigningKeyUnavailable]) -> None:
    assert error("down", retry_after=30).retry_after == 30
