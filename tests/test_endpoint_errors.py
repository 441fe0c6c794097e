"""Why there is no service endpoint: what the errors carry to their readers."""

from typing import Any

import pytest

from flask_signalr.endpoint_errors import NoServiceEndpoint, RouterRefused, SigningKeyUnavailable


def test_a_router_refuses_as_a_bad_request_unless_it_says_otherwise() -> None:
    assert RouterRefused("which region?").status == 400
    assert RouterRefused("moved away", 410).status == 410


@pytest.mark.parametrize("status", [200, 302, 399, 600, 0, "403", 403.0, True, None])
def test_a_refusal_that_looks_like_a_success_is_an_error(status: Any) -> None:
    with pytest.raises(ValueError, match="400 to 599"):
        RouterRefused("which region?", status)


@pytest.mark.parametrize("error", [NoServiceEndpoint, SigningKeyUnavailable], ids=repr)
def test_what_is_down_says_when_to_try_again(error: type[NoServiceEndpoint | SigningKeyUnavailable]) -> None:
    assert error("down", retry_after=30).retry_after == 30
