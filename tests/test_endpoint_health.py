"""Up and down: what the outcomes of probes make of an endpoint, and when the next one is due."""

import pytest

from flask_signalr.endpoint_health import DEFAULT_HEALTH, EndpointHealth, HealthSettings
from flask_signalr.errors import ConfigurationError
from tests.recorded_service import EAST

START = EndpointHealth(since=1000, next_probe_at=0)
BEFORE_JITTER = 0.0


def after(outcomes: str, settings: HealthSettings = DEFAULT_HEALTH, health: EndpointHealth = START) -> EndpointHealth:
    """Return the health after outcomes: ``x`` is a failure, ``o`` a success; one comes each ten seconds."""
    for number, outcome in enumerate(outcomes, start=1):
        health = health.probed("it is gone" if outcome == "x" else None, settings, 1000 + 10 * number)
    return health


def pause_after(outcomes: str, settings: HealthSettings = DEFAULT_HEALTH, luck: float = BEFORE_JITTER) -> float:
    return after(outcomes, settings).scheduled(settings, now=500, luck=luck).next_probe_at - 500


@pytest.mark.parametrize(
    ("failures", "successes", "outcomes", "is_up"),
    [
        (2, 1, "", True),
        (2, 1, "x", True),
        (2, 1, "xx", False),
        (2, 1, "xox", True),
        (2, 1, "xoxx", False),
        (2, 1, "xxo", True),
        (2, 1, "xxox", True),
        (1, 1, "x", False),
        (3, 2, "xx", True),
        (3, 2, "xxx", False),
        (3, 2, "xxxo", False),
        (3, 2, "xxxoxo", False),
        (3, 2, "xxxoo", True),
        (3, 2, "xxxooxx", True),
    ],
)
def test_so_many_outcomes_in_a_row_change_the_health(failures: int, successes: int, outcomes: str, is_up: bool) -> None:
    """A single lost packet moves nobody to another continent."""
    settings = HealthSettings(failures=failures, successes=successes)

    assert after(outcomes, settings).is_up is is_up


def test_the_status_tells_since_when_and_why() -> None:
    status = after("oxxx").status(EAST)

    assert (status.name, status.url, status.type) == ("east", "https://east.example/", "primary")
    assert (status.is_up, status.since, status.checked_at) == (False, 1030, 1040)
    assert status.reason == "it is gone"
    assert EAST.access_key is not None
    assert EAST.access_key not in repr(status)


def test_an_endpoint_that_is_well_has_nothing_to_explain() -> None:
    assert after("xo").status(EAST).reason == ""
    assert START.status(EAST).checked_at is None


@pytest.mark.parametrize(
    ("outcomes", "pause"),
    [
        ("", 30),
        ("o", 30),
        ("x", 1),
        ("xx", 1),
        ("xxx", 2),
        ("xxxx", 4),
        ("xxxxxx", 16),
        ("xxxxxxx", 30),
        ("x" * 5000, 30),
        ("xxxxo", 30),
    ],
)
def test_a_surprise_is_looked_at_soon_and_a_long_outage_ever_more_rarely(outcomes: str, pause: float) -> None:
    assert pause_after(outcomes) == pause


def test_an_endpoint_on_its_way_up_is_looked_at_soon() -> None:
    settings = HealthSettings(successes=3)

    assert pause_after("xxxxxo", settings) == pause_after("xxxxxoo", settings) == 1
    assert pause_after("xxxxxox", settings) == 1
    assert pause_after("xxxxxooo", settings) == 30


def test_chance_shortens_a_pause_and_never_makes_it_longer() -> None:
    """The workers of an app started at the same time; and the promise below must hold."""
    assert pause_after("o", luck=0.5) == 28.5
    assert pause_after("o", luck=1) == 27


@pytest.mark.parametrize(
    "settings",
    [
        DEFAULT_HEALTH,
        HealthSettings(interval=1, timeout=0.25),
        HealthSettings(interval=10, timeout=3, failures=3),
        HealthSettings(interval=1, timeout=0.009, failures=100),
        HealthSettings(interval=3600, timeout=60, failures=1),
        HealthSettings(interval=2.001, timeout=1, failures=2),
    ],
    ids=repr,
)
def test_an_endpoint_that_hangs_is_out_of_the_choice_within_two_intervals(settings: HealthSettings) -> None:
    """The worst case: it hangs right after a probe that succeeded, and every probe takes all the time there is."""
    health = after("o", settings).scheduled(settings, now=0, luck=BEFORE_JITTER)
    now = health.next_probe_at
    while health.is_up:
        now = max(now, health.next_probe_at) + settings.patience
        health = health.probed("no answer", settings, now).scheduled(settings, now, luck=BEFORE_JITTER)

    assert now < 2 * settings.interval


@pytest.mark.parametrize(("interval", "timeout", "failures"), [(4, 2, 2), (3, 2, 2), (1, 0.4, 3), (0.5, 0.1, 2)])
def test_an_interval_that_cannot_keep_the_promise_is_refused(interval: float, timeout: float, failures: int) -> None:
    with pytest.raises(
        ConfigurationError, match=r"SIGNALR_HEALTH_INTERVAL: .* s are too short for .* probes"
    ) as refusal:
        HealthSettings(interval, timeout, failures)

    assert "or 0 to probe nothing" in str(refusal.value)


def test_who_probes_nothing_may_say_anything_of_the_rest() -> None:
    assert HealthSettings(interval=0, timeout=60, failures=100).interval == 0
