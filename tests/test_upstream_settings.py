"""What an app's configuration says of upstream requests."""

from typing import Any

import pytest

from flask_signalr import ConfigurationError
from flask_signalr.config import Settings
from flask_signalr.upstream_settings import MAX_KEYS, NO_UPSTREAM_KEYS, UpstreamToken
from flask_signalr.upstream_signature import connection_signature
from tests.apps import ACCESS_KEY, CONNECTION_STRING, OTHER_CONNECTION_STRING

SECOND, THIRD = "second-key-0123456789", "third-key-0123456789="
ONE: dict[str, Any] = {"SIGNALR_CONNECTION_STRING": CONNECTION_STRING}
TWO = {"SIGNALR_ENDPOINTS": {"east": CONNECTION_STRING, "west": OTHER_CONNECTION_STRING}}
SECOND_STRING = f"Endpoint=https://chat.service.example;AccessKey={SECOND};Version=1.0;"
TOKEN = {"ISSUER": "https://login.example/", "AUDIENCE": "api://chat", "APP_ID": "an-app"}


def signatures(config: dict[str, Any]) -> list[str]:
    return [connection_signature(key, "c1") for key in Settings.from_config(config).upstream.keys]


def expected(*keys: str) -> list[str]:
    return [connection_signature(key.encode(), "c1") for key in keys]


@pytest.mark.parametrize(
    ("config", "keys"),
    [
        (ONE, [ACCESS_KEY]),
        (ONE | {"SIGNALR_SECONDARY_KEYS": ""}, [ACCESS_KEY]),
        (ONE | {"SIGNALR_SECONDARY_KEYS": SECOND}, [ACCESS_KEY, SECOND]),
        (ONE | {"SIGNALR_SECONDARY_KEYS": f"{SECOND}; {THIRD}"}, [ACCESS_KEY, SECOND, THIRD]),
        (ONE | {"SIGNALR_SECONDARY_KEYS": [SECOND, THIRD]}, [ACCESS_KEY, SECOND, THIRD]),
        (ONE | {"SIGNALR_SECONDARY_KEYS": {"": SECOND}}, [ACCESS_KEY, SECOND]),
        (ONE | {"SIGNALR_SECONDARY_KEYS": ACCESS_KEY}, [ACCESS_KEY]),
        (TWO, [ACCESS_KEY, f"another-{ACCESS_KEY}"]),
        (TWO | {"SIGNALR_SECONDARY_KEYS": {"west": [SECOND, THIRD]}},
         [ACCESS_KEY, f"another-{ACCESS_KEY}", SECOND, THIRD]),
        (ONE | {"SIGNALR_SECONDARY_KEYS": SECOND_STRING}, [ACCESS_KEY, SECOND]),
        (ONE | {"SIGNALR_SECONDARY_KEYS": f" accesskey = {SECOND} ;ENDPOINT=HTTPS://CHAT.SERVICE.EXAMPLE:443/"},
         [ACCESS_KEY, SECOND]),
        (ONE | {"SIGNALR_SECONDARY_KEYS": [THIRD, SECOND_STRING]}, [ACCESS_KEY, THIRD, SECOND]),
        (TWO | {"SIGNALR_SECONDARY_KEYS": {"east": SECOND_STRING, "west": THIRD}},
         [ACCESS_KEY, f"another-{ACCESS_KEY}", SECOND, THIRD]),
    ],
    ids=["none", "empty", "text", "several in a text", "list", "by name", "the same", "two endpoints", "one of two",
         "connection string", "in another order and case", "connection string in a list", "connection string by name"],
)  # fmt: skip
def test_every_key_verifies_and_each_is_asked_once(config: dict[str, Any], keys: list[str]) -> None:
    assert signatures(config) == expected(*keys)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (ONE | {"SIGNALR_SECONDARY_KEYS": f"{SECOND};"}, "a key is empty"),
        (ONE | {"SIGNALR_SECONDARY_KEYS": {"": []} | {"": [" "]}}, "a key is empty"),
        (ONE | {"SIGNALR_SECONDARY_KEYS": {"west": SECOND}}, "no endpoint of the name 'west'"),
        (ONE | {"SIGNALR_SECONDARY_KEYS": "se cond"}, "blanks"),
        (ONE | {"SIGNALR_SECONDARY_KEYS": "\udc80"}, "not UTF-8"),
        (ONE | {"SIGNALR_SECONDARY_KEYS": ";".join(f"key{n}" for n in range(MAX_KEYS))}, "17 keys"),
        (TWO | {"SIGNALR_SECONDARY_KEYS": SECOND}, "several endpoints"),
        (ONE | {"SIGNALR_SECONDARY_KEYS": SECOND_STRING.replace("chat.", "other.")},
         "is of https://other.service.example/, and the endpoint is https://chat.service.example/: take"),
        (TWO | {"SIGNALR_SECONDARY_KEYS": {"west": SECOND_STRING}}, "and endpoint 'west' is https://other."),
        (ONE | {"SIGNALR_SECONDARY_KEYS": "Endpoint=https://chat.service.example;AuthType=azure"}, "no key"),
        (ONE | {"SIGNALR_SECONDARY_KEYS": "Endpoint=https://chat.service.example"}, "missing"),
        (ONE | {"SIGNALR_SECONDARY_KEYS": f"AccessKey={SECOND};"}, "missing"),
        (ONE | {"SIGNALR_SECONDARY_KEYS": f"{THIRD};{SECOND_STRING}"}, "give a list"),
        (ONE | {"SIGNALR_SECONDARY_KEYS": SECOND_STRING + SECOND_STRING}, "Duplicate"),
        (ONE | {"SIGNALR_SECONDARY_KEYS": f"Endpoint=https://chat.service.example AccessKey={SECOND};Version=1.0"},
         "must be a valid URI"),
        (ONE | {"SIGNALR_SECONDARY_KEYS": SECOND_STRING.replace(SECOND, "se cond")}, "blanks"),
    ],
    ids=["semicolon at the end", "blank", "unknown name", "blanks", "half a character", "too many", "no name",
         "of another service", "of another endpoint", "without a key", "URL alone", "key alone", "key beside it",
         "twice", "forgotten semicolon", "blanks in it"],
)  # fmt: skip
def test_a_wrong_key_is_refused_without_showing_it(config: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Settings.from_config(config)

    assert str(refusal.value).startswith("SIGNALR_SECONDARY_KEYS: ")
    assert text in str(refusal.value)
    assert not any(part in str(refusal.value) for part in ("se cond", "second-", "third-"))


def test_a_token_is_described_by_three_keys() -> None:
    config = ONE | {f"SIGNALR_UPSTREAM_{name}": value for name, value in TOKEN.items()}

    assert Settings.from_config(config).upstream.token == UpstreamToken(*TOKEN.values())


@pytest.mark.parametrize("missing", TOKEN)
@pytest.mark.parametrize("blank", [None, "", "  "], ids=repr)
def test_a_token_that_is_described_by_half_is_refused(missing: str, blank: str | None) -> None:
    """Without the application id, the token of every app of the directory would do."""
    config = ONE | {f"SIGNALR_UPSTREAM_{name}": value for name, value in TOKEN.items()}
    config[f"SIGNALR_UPSTREAM_{missing}"] = blank

    with pytest.raises(ConfigurationError, match=rf"set SIGNALR_UPSTREAM_{missing} too"):
        Settings.from_config(config)


def test_what_is_not_configured_is_small_and_closed() -> None:
    upstream = Settings.from_config(ONE).upstream

    assert (upstream.token, upstream.body_limit, upstream.replay_window) == (None, 1024 * 1024, 0)
    assert NO_UPSTREAM_KEYS.keys == ()


def test_no_repr_shows_a_key() -> None:
    settings = Settings.from_config(ONE | {"SIGNALR_SECONDARY_KEYS": SECOND})

    assert SECOND not in f"{settings} {settings.upstream} {vars(settings.upstream)} {settings.upstream.keys}"
