"""The tokens of REST calls."""

import threading

import jwt
import pytest

from flask_signalr import ConfigurationError, InvalidName, ServiceEndpoint
from flask_signalr.rest.token_cache import KEPT, LIFETIME, RENEWAL, TokenCache
from tests.apps import ACCESS_KEY, CONNECTION_STRING

NOW = 1_700_000_000
AUDIENCE = "https://service.example/api/hubs/chat/:send?api-version=2024-12-01"
ENDPOINT = ServiceEndpoint.parse(CONNECTION_STRING)


class Clock:
    def __init__(self) -> None:
        self.now: float = NOW

    def __call__(self) -> float:
        return self.now


def claims(token: str, algorithm: str = "HS256") -> dict[str, object]:
    return dict(jwt.decode(token, ACCESS_KEY, [algorithm], options={"verify_aud": False, "verify_exp": False}))


@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
def test_a_token_opens_one_audience_for_an_hour(algorithm: str) -> None:
    token = TokenCache(ENDPOINT, algorithm, Clock()).token(AUDIENCE)

    assert claims(token, algorithm) == {"aud": AUDIENCE, "nbf": NOW, "iat": NOW, "exp": NOW + LIFETIME}


def test_a_token_is_signed_once_until_it_is_about_to_expire() -> None:
    """The service's clock may be minutes ahead of this machine's."""
    clock = Clock()
    cache = TokenCache(ENDPOINT, clock=clock)
    first = cache.token(AUDIENCE)

    clock.now = NOW + LIFETIME - RENEWAL - 1
    second = cache.token(AUDIENCE)
    clock.now = NOW + LIFETIME - RENEWAL
    third = cache.token(AUDIENCE)

    assert first is second
    assert claims(third)["exp"] == NOW + LIFETIME - RENEWAL + LIFETIME


def test_a_token_of_a_clock_that_was_ahead_is_signed_anew() -> None:
    """Its ``nbf`` lies in the future, and the service would refuse it for as long."""
    clock = Clock()
    cache = TokenCache(ENDPOINT, clock=clock)
    cache.token(AUDIENCE)

    clock.now = NOW - 60

    assert claims(cache.token(AUDIENCE))["nbf"] == NOW - 60


def test_a_million_users_do_not_fill_the_memory() -> None:
    """What was used last is kept."""
    cache = TokenCache(ENDPOINT, clock=Clock())
    first = cache.token(AUDIENCE)
    for number in range(KEPT - 1):
        cache.token(f"{AUDIENCE}{number}")
    kept = cache.token(AUDIENCE)
    cache.token(f"{AUDIENCE}one more")

    assert kept is first
    assert cache.token(AUDIENCE) is first
    assert len(cache._kept()[1]) == KEPT


def test_threads_may_ask_at_once() -> None:
    cache = TokenCache(ENDPOINT, clock=Clock())
    tokens: list[str] = []

    def ask() -> None:
        tokens.extend(cache.token(f"{AUDIENCE}{number}") for number in range(2 * KEPT))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(tokens)) == 2 * KEPT


def test_a_name_that_makes_the_token_too_long_is_told_so() -> None:
    with pytest.raises(InvalidName, match="longer than the 4096"):
        TokenCache(ENDPOINT, clock=Clock()).token(AUDIENCE + "x" * 4000)


def test_an_endpoint_without_a_key_is_refused_at_once() -> None:
    endpoint = ServiceEndpoint.parse("Endpoint=https://service.example;AuthType=azure;")

    with pytest.raises(ConfigurationError, match="no AccessKey to sign with"):
        TokenCache(endpoint)


def test_neither_key_nor_token_shows() -> None:
    cache = TokenCache(ENDPOINT, clock=Clock())

    assert cache.token(AUDIENCE) not in repr(cache)
    assert ACCESS_KEY not in repr(vars(cache))
