"""REST calls that ask for a client's access token."""

import pytest

from tests.emulated import NOW
from tests.rest_calls import Rest, content_of


@pytest.mark.parametrize(
    ("query", "user_id", "minutes"),
    [
        ({}, None, 60),
        ({"userId": ""}, None, 60),
        ({"userId": "a%2F%C3%BC%20b", "minutesToExpire": 1}, "a/\u00fc b", 1),
    ],
)
def test_the_token_opens_the_hub_as_the_user(query: dict[str, object], user_id: str | None, minutes: int) -> None:
    rest = Rest()

    answer = rest.call("POST", "hubs/Chat/:generateToken", **query)
    identity = rest.check.client(content_of(answer)["token"], "chat", NOW)

    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    assert identity.user_id == user_id
    assert identity.claims["exp"] == NOW + minutes * 60


def test_the_token_is_signed_with_the_key_of_now() -> None:
    rest = Rest()
    request = rest.request("POST", "hubs/chat/:generateToken")
    rest.service.access_keys.replace(["another-key-0123456789-0123456789-abcdefghij", *rest.settings.access_keys])

    text = content_of(rest.answer(request))["token"]
    rest.service.access_keys.replace(["another-key-0123456789-0123456789-abcdefghij"])

    assert rest.check.client(text, "chat", NOW).user_id is None


@pytest.mark.parametrize("minutes", ["0", "-1", "x", "2147483648", "1&minutesToExpire=2"])
def test_times_that_are_none_are_refused(minutes: str) -> None:
    answer = Rest().call("POST", "hubs/chat/:generateToken", minutesToExpire=minutes)

    assert answer.status == 400
    assert "'minutesToExpire'" in content_of(answer)["message"]


@pytest.mark.parametrize("user_id", ["x" * 5000, "x" * 1025, "..", "%C3%A9" * 342, "a%0D%0Ab", "%20ada"])
def test_a_user_id_that_no_other_call_can_name_is_refused(user_id: str) -> None:
    """Unbannable user: nobody could close its connections."""
    answer = Rest().call("POST", "hubs/chat/:generateToken", userId=user_id)

    assert answer.status == 400
    assert "'userId'" in content_of(answer)["message"]
