"""Which endpoints an app has, and how its configuration weighs them."""

from typing import Any

import pytest

from flask_signalr.config import Settings
from flask_signalr.errors import ConfigurationError
from tests.apps import CONNECTION_STRING, OTHER_CONNECTION_STRING

EAST, WEST = CONNECTION_STRING, OTHER_CONNECTION_STRING


def settings(**config: Any) -> Settings:
    return Settings.from_config({"SIGNALR_ENDPOINTS": {"east": EAST, "west:secondary": WEST}, **config})


def test_the_configuration_weighs_endpoints_by_name() -> None:
    endpoints = settings(SIGNALR_ENDPOINT_WEIGHTS={"west": 3}).endpoints

    assert [(one.name, one.weight) for one in endpoints] == [("east", 1), ("west", 3)]


@pytest.mark.parametrize(
    ("weights", "fault"),
    [
        ({"north": 3}, "SIGNALR_ENDPOINT_WEIGHTS: no endpoint is named 'north'; there are 'east', 'west'"),
        ({"east": 0}, "SIGNALR_ENDPOINT_WEIGHTS.*give a JSON object of endpoint name to a number above 0"),
        ({"east": "much"}, "SIGNALR_ENDPOINT_WEIGHTS.*give a JSON object of endpoint name to a number above 0"),
        ({"east": "inf"}, "SIGNALR_ENDPOINT_WEIGHTS: a weight is a number above 0, not inf"),
        ({"east": "nan"}, "SIGNALR_ENDPOINT_WEIGHTS"),
        (3, "SIGNALR_ENDPOINT_WEIGHTS.*give a JSON object of endpoint name to a number above 0"),
    ],
)
def test_weights_that_cannot_be_used_are_refused(weights: object, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        settings(SIGNALR_ENDPOINT_WEIGHTS=weights)
