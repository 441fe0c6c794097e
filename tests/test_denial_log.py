"""What the log tells of a denial."""

import logging

import pytest

from flask_signalr.authorization import AuthorizationContext, Policy, require_role
from flask_signalr.denial_log import log_denial
from flask_signalr.errors import AuthorizationDenied
from flask_signalr.principal import Principal


@pytest.mark.parametrize(("method", "place"), [(None, "connect"), ("say", "say")])
def test_the_log_of_whoever_asked_tells_which_requirement_denied(
    method: str | None, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "shop")

    with pytest.raises(AuthorizationDenied) as denied:
        Policy(require_role("staff")).check(AuthorizationContext(Principal("eve"), "chat", method))
    log_denial(logging.getLogger("shop"), denied.value, "chat", method)

    assert caplog.record_tuples == [("shop", logging.INFO, f"hub 'chat', '{place}': denied by require_role('staff')")]


def test_the_log_shows_why_a_requirement_could_not_be_checked(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(AuthorizationDenied) as denied:
        Policy(lambda context: bool(context.arguments[3])).check(AuthorizationContext(Principal("ada"), "chat"))
    log_denial(logging.getLogger("shop"), denied.value, "chat", None)

    (record,) = caplog.records
    assert (record.levelno, record.exc_info is not None) == (logging.ERROR, True)
    assert "could not be checked, which denies: tuple index out of range" in record.getMessage()
