"""What an app's configuration says of upstream requests."""

from typing import Any

import pytest

from flask_signalr import ConfigurationError, InvalidSignature
from flask_signalr.config import Settings
from flask_signalr.upstream_settings import MAX_KEYS_PER_ENDPOINT, NO_UPSTREAM_KEYS, UpstreamToken
from flask_signalr.upstream_signature import connection_signature, verify_signature
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
         [ACCESS_KEY, SECOND, f"another-{ACCESS_KEY}", THIRD]),
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
        (ONE | {"SIGNALR_SECONDARY_KEYS": {"west": SECOND}}, "no endpoint is named 'west'"),
        (ONE | {"SIGNALR_SECONDARY_KEYS": "se cond"}, "blanks"),
        (ONE | {"SIGNALR_SECONDARY_KEYS": "\udc80"}, "not UTF-8"),
        (ONE | {"SIGNALR_SECONDARY_KEYS": ";".join(f"key{n}" for n in range(MAX_KEYS_PER_ENDPOINT))},
         "the endpoint has 5 keys with its AccessKey, and 4 may be"),
        (TWO | {"SIGNALR_SECONDARY_KEYS": {"west": [f"key{n}" for n in range(MAX_KEYS_PER_ENDPOINT)]}},
         "endpoint 'west' has 5 keys"),
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
    ids=["semicolon at the end", "blank", "unknown name", "blanks", "half a character", "too many", "too many of one",
         "no name",
         "of another service", "of another endpoint", "without a key", "URL alone", "key alone", "key beside it",
         "twice", "forgotten semicolon", "blanks in it"],
)  # fmt: skip
def test_a_wrong_key_is_refused_without_showing_it(config: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Settings.from_config(config)

    assert str(refusal.value).startswith("SIGNALR_SECONDARY_KEYS: ")
    assert text in str(refusal.value)
    assert not any(part in str(refusal.value) for part in ("se cond", "second-", "third-"))


@pytest.mark.parametrize(
    ("config", "key"),
    [
        (ONE | {"SIGNALR_CONNECTION_STRING": SECOND_STRING.replace(SECOND, "se cond")}, "SIGNALR_CONNECTION_STRING"),
        ({"SIGNALR_ENDPOINTS": {"east": SECOND_STRING.replace(SECOND, "se cond")}}, "SIGNALR_ENDPOINTS['east']"),
    ],
    ids=["the one", "of several"],
)  # fmt: skip
def test_a_wrong_access_key_is_looked_for_where_it_stands(config: dict[str, Any], key: str) -> None:
    """Not in ``SIGNALR_SECONDARY_KEYS``, which the app does not set."""
    with pytest.raises(ConfigurationError) as refusal:
        Settings.from_config(config)

    assert str(refusal.value).startswith(f"{key}: a key has blanks")
    assert "se cond" not in str(refusal.value)


# Many endpoints.

MANY = 100


def many() -> dict[str, Any]:
    """Return the configuration of endpoints with two keys each."""
    return {
        "SIGNALR_ENDPOINTS": {
            f"e{n}": f"Endpoint=https://e{n}.example;AccessKey=first-key-of-e{n};Version=1.0;" for n in range(MANY)
        },
        "SIGNALR_SECONDARY_KEYS": {f"e{n}": f"second-key-of-e{n}" for n in range(MANY)},
    }


def claims_of(host: str) -> str:
    """Return the claims of a client of this host, as the service lists them."""
    return f"asrs.s.uid: ada, aud: https://{host}/client/?hub=chat, exp: 1700000000"


def test_an_app_of_a_hundred_endpoints_knows_both_keys_of_each() -> None:
    upstream = Settings.from_config(many()).upstream

    assert len(upstream.keys) == 2 * MANY
    for text in (f"{which}-key-of-e{n}" for which in ("first", "second") for n in range(MANY)):
        verify_signature(connection_signature(text.encode(), "c1"), "c1", upstream.keys)


def test_the_keys_of_the_endpoint_that_a_request_names_are_tried_first() -> None:
    """A request costs no more signatures than with one endpoint."""
    upstream = Settings.from_config(many()).upstream

    likely = upstream.likely_keys(claims_of("e7.example"))

    assert [connection_signature(key, "c1") for key in likely] == expected("first-key-of-e7", "second-key-of-e7")


@pytest.mark.parametrize(
    "claims",
    ["", "asrs.s.uid: ada", claims_of("other.example"), claims_of("e8.example"), "aud: https://", "name: x, aud: e7"],
    ids=["none", "no audience", "of another service", "of another endpoint", "half", "no URL"],
)
def test_a_request_that_names_another_endpoint_or_none_is_believed_for_its_signature_alone(claims: str) -> None:
    """What the claims say is not proven: it may cost time and decides nothing."""
    upstream = Settings.from_config(many()).upstream
    likely = upstream.likely_keys(claims)

    verify_signature(expected("first-key-of-e7")[0], "c1", upstream.keys, likely)
    with pytest.raises(InvalidSignature):
        verify_signature(expected("a-key-of-nobody")[0], "c1", upstream.keys, likely)


def test_one_endpoint_has_no_keys_to_try_first() -> None:
    upstream = Settings.from_config(ONE | {"SIGNALR_SECONDARY_KEYS": SECOND}).upstream

    assert upstream.likely_keys(claims_of("chat.service.example")) == ()


def test_endpoints_on_several_ports_of_a_host_share_their_likely_keys() -> None:
    """The audience of a token names no port."""
    strings = {f"e{port}": f"Endpoint=http://127.0.0.1:{port};AccessKey=key-of-{port};" for port in (8888, 8889)}
    strings["west"] = OTHER_CONNECTION_STRING
    upstream = Settings.from_config({"SIGNALR_ENDPOINTS": strings}).upstream

    likely = upstream.likely_keys("aud: http://127.0.0.1/client/?hub=chat")

    assert [connection_signature(key, "c1") for key in likely] == expected("key-of-8888", "key-of-8889")


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
