"""A key set: fetched when needed, kept for a while, never fetched more often than the cool-down allows."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from flask_signalr.auth.key_set import KeyFetching, KeySet
from flask_signalr.auth.verification_key import ASYMMETRIC, PublishedKey, usable_keys
from flask_signalr.errors import AuthenticationFailed, ConfigurationError, IdentityProviderUnavailable
from tests.signing import ec_key, jwk, rsa_key

LIFETIME = 3600
COOL_DOWN = 30


class Clock:
    """A clock that stands still until it is told the time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.on_reading: Callable[[], object] = lambda: None

    def __call__(self) -> float:
        self.on_reading()
        return self.now


class Provider:
    """Publishes keys, counts how often they are fetched, and can be down."""

    def __init__(self, *members: Any) -> None:
        self.members: Sequence[Any] = members
        self.fetches = 0
        self.is_down = False

    def __call__(self) -> tuple[PublishedKey, ...]:
        self.fetches += 1
        if self.is_down:
            raise OSError("no route to host")
        return tuple(usable_keys(self.members, ASYMMETRIC))


def key_set_of(
    provider: Callable[[], tuple[PublishedKey, ...]], clock: Callable[[], float], timeout: float = 3
) -> KeySet:
    fetching = KeyFetching(lifetime=LIFETIME, cool_down=COOL_DOWN, timeout=timeout, clock=clock)
    return KeySet("https://login.example/keys", ASYMMETRIC, provider, fetching)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def provider() -> Provider:
    return Provider(jwk(rsa_key(), "k1"))


@pytest.fixture
def key_set(provider: Provider, clock: Clock) -> KeySet:
    return key_set_of(provider, clock)


def test_nothing_is_fetched_before_the_first_need(key_set: KeySet, provider: Provider) -> None:
    """An identity provider that is down must not keep the app from starting."""
    assert provider.fetches == 0


def test_keys_are_fetched_once_in_their_lifetime(key_set: KeySet, provider: Provider, clock: Clock) -> None:
    key = key_set.find("k1", "RS256")
    clock.now = LIFETIME - 1

    assert key_set.find("k1", "RS256") is key
    assert provider.fetches == 1


def test_keys_past_their_lifetime_are_fetched_again(key_set: KeySet, provider: Provider, clock: Clock) -> None:
    key_set.find("k1", "RS256")
    clock.now = LIFETIME

    key_set.find("k1", "RS256")

    assert provider.fetches == 2


def test_a_new_key_is_found_after_the_cool_down(key_set: KeySet, provider: Provider, clock: Clock) -> None:
    """Key rotation: the first token of the new key makes the fetch."""
    key_set.find("k1", "RS256")
    provider.members = [jwk(rsa_key("second"), "k2")]
    clock.now = COOL_DOWN

    key_set.find("k2", "RS256")

    assert provider.fetches == 2
    with pytest.raises(AuthenticationFailed, match="does not publish"):
        key_set.find("k1", "RS256")


def test_an_unknown_kid_flood_makes_one_fetch_in_a_cool_down(key_set: KeySet, provider: Provider, clock: Clock) -> None:
    key_set.find("k1", "RS256")

    for moment in range(COOL_DOWN * 3):
        clock.now = moment
        with pytest.raises(AuthenticationFailed, match="does not publish"):
            key_set.find(f"forged-{moment}", "RS256")

    assert provider.fetches == 3  # at 0, 30 and 60 s


def test_a_dead_provider_is_asked_once_in_a_cool_down(key_set: KeySet, provider: Provider, clock: Clock) -> None:
    """Or every request would wait for the time-out."""
    provider.is_down = True

    for moment in range(COOL_DOWN):
        clock.now = moment
        with pytest.raises(IdentityProviderUnavailable, match="cannot be fetched; try again") as failure:
            key_set.find("k1", "RS256")
        assert failure.value.retry_after == COOL_DOWN - moment

    assert provider.fetches == 1


def test_a_provider_that_comes_back_is_found_again(key_set: KeySet, provider: Provider, clock: Clock) -> None:
    provider.is_down = True
    with pytest.raises(IdentityProviderUnavailable):
        key_set.find("k1", "RS256")
    provider.is_down = False
    clock.now = COOL_DOWN

    assert key_set.find("k1", "RS256").algorithm_name == "RS256"


def test_known_keys_outlast_a_dead_provider_up_to_their_lifetime(
    key_set: KeySet, provider: Provider, clock: Clock
) -> None:
    """Past it they are not used: the provider may have withdrawn them because they were stolen."""
    key_set.find("k1", "RS256")
    provider.is_down = True
    clock.now = LIFETIME - 1
    with pytest.raises(IdentityProviderUnavailable):  # and not a refusal: nobody knows whether k2 is one of its keys
        key_set.find("k2", "RS256")

    key_set.find("k1", "RS256")
    clock.now = LIFETIME

    with pytest.raises(IdentityProviderUnavailable):
        key_set.find("k1", "RS256")


def test_a_failure_is_logged_with_its_cause(
    key_set: KeySet, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller reads only that the provider is down; the operator needs the reason."""
    provider.is_down = True

    with pytest.raises(IdentityProviderUnavailable) as failure:
        key_set.find("k1", "RS256")

    assert "the keys of https://login.example/keys cannot be fetched: OSError: no route to host" in caplog.text
    assert "route" not in str(failure.value)


def test_a_token_without_kid_needs_a_single_key_for_its_algorithm(clock: Clock) -> None:
    key_set = key_set_of(Provider(jwk(rsa_key(), "k1"), jwk(ec_key(), "k2")), clock)

    assert key_set.find(None, "ES256").key_id == "k2"


def test_a_token_without_kid_is_refused_when_there_are_several_keys(clock: Clock) -> None:
    """Trying them all would let a forger spend our time, and say nothing about who signed."""
    key_set = key_set_of(Provider(jwk(rsa_key(), "k1"), jwk(rsa_key("second"), None)), clock)

    with pytest.raises(AuthenticationFailed, match="which of its issuer's keys"):
        key_set.find(None, "RS256")


def test_a_kid_that_several_keys_have_is_refused(clock: Clock) -> None:
    key_set = key_set_of(Provider(jwk(rsa_key(), "k1"), jwk(rsa_key("second"), "k1")), clock)

    with pytest.raises(AuthenticationFailed, match="which of its issuer's keys"):
        key_set.find("k1", "RS256")


def test_a_key_without_kid_is_not_every_kid(clock: Clock) -> None:
    key_set = key_set_of(Provider(jwk(rsa_key(), None)), clock)

    with pytest.raises(AuthenticationFailed, match="does not publish"):
        key_set.find("k1", "RS256")


def test_a_key_is_not_used_with_another_kinds_algorithm(key_set: KeySet) -> None:
    with pytest.raises(AuthenticationFailed, match="does not publish"):
        key_set.find("k1", "ES256")


def test_a_known_key_does_not_wait_for_a_fetch(clock: Clock) -> None:
    """A flood of unknown key ids and a slow provider together must not stop those who are signed in."""
    is_fetching, may_finish = threading.Event(), threading.Event()
    keys = tuple(usable_keys([jwk(rsa_key(), "k1")], ASYMMETRIC))
    is_slow = False

    def load() -> tuple[PublishedKey, ...]:
        if is_slow:
            is_fetching.set()
            assert may_finish.wait(60)
        return keys

    key_set = key_set_of(load, clock, timeout=0.01)
    key_set.find("k1", "RS256")
    is_slow = True
    clock.now = COOL_DOWN
    refusals: list[BaseException] = []

    def ask_for_unknown() -> None:
        with pytest.raises(AuthenticationFailed) as refusal:
            key_set.find("forged", "RS256")
        refusals.append(refusal.value)

    thread = threading.Thread(target=ask_for_unknown)
    thread.start()
    assert is_fetching.wait(60)
    try:
        assert key_set.find("k1", "RS256") is keys[0].by_algorithm["RS256"]
        with pytest.raises(IdentityProviderUnavailable) as failure:  # waits as long as a fetch may take, not longer
            key_set.find("k2", "RS256")
    finally:
        may_finish.set()
        thread.join()

    assert failure.value.retry_after == 1
    assert len(refusals) == 1


def test_who_waited_for_a_fetch_does_not_fetch_again(key_set: KeySet, provider: Provider, clock: Clock) -> None:
    """At the start many requests come at once; here the second comes between the first's look and its fetch."""
    looks = 0

    def let_another_in() -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            key_set.find("k1", "RS256")

    clock.on_reading = let_another_in

    key_set.find("k1", "RS256")

    assert provider.fetches == 1


def test_many_threads_at_the_start_make_one_fetch(key_set: KeySet, provider: Provider) -> None:
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(key_set.find("k1", "RS256"))) for _ in range(20)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 20
    assert provider.fetches == 1


@pytest.mark.parametrize("name", ["lifetime", "cool_down", "timeout"])
@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan"), True, "30", None])
def test_a_senseless_time_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"KeyFetching\({name}=…\)"):
        KeyFetching(**{name: value})


def test_a_cool_down_beyond_the_lifetime_is_refused() -> None:
    """It would keep old keys from being replaced."""
    with pytest.raises(ConfigurationError, match="cool_down"):
        KeyFetching(lifetime=10, cool_down=30)


def test_a_key_sets_repr_names_its_provider(key_set: KeySet) -> None:
    assert "https://login.example/keys" in repr(key_set)
