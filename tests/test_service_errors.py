"""What a caller learns of calls that failed."""

from flask_signalr.service_errors import (
    PartialFailure,
    RecipientNotFound,
    ServiceBusy,
    ServiceError,
    ServiceUnreachable,
)


def busy(user_id: str) -> ServiceBusy:
    return ServiceBusy("try again later", method="POST", path=f"/api/hubs/chat/users/{user_id}/:send", status=429)


def test_a_call_without_an_answer_may_have_arrived() -> None:
    """Whoever repeats it by hand might do it twice; only a transport that knows better says otherwise."""
    assert ServiceUnreachable("no answer", method="POST", path="/").may_have_arrived


def test_a_busy_service_need_not_say_for_how_long() -> None:
    assert busy("ada").retry_after is None


def test_failed_calls_are_all_named() -> None:
    gone = RecipientNotFound("gone", method="POST", path="/", status=404)

    error = PartialFailure({"user 'ada'": busy("ada"), "user 'bob'": gone}, 3)

    assert str(error) == "2 of 3 calls failed: user 'ada': try again later; user 'bob': gone"
    assert error.failures["user 'bob'"] is gone
    assert (error.count, error.status, error.path) == (3, 429, "/api/hubs/chat/users/ada/:send")
    assert isinstance(error, ServiceError)


def test_a_text_of_a_thousand_failures_stays_readable() -> None:
    """All of them are in the attribute."""
    error = PartialFailure({f"user '{number}'": busy(str(number)) for number in range(1000)}, 1000)

    assert str(error).startswith("1000 of 1000 calls failed: user '0': try again later; ")
    assert str(error).endswith("user '9': try again later; and 990 more")
    assert len(error.failures) == 1000
