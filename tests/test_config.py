"""Configuration: each key's default, what a text of the environment becomes, and errors that name the key."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from flask import Config
from hypothesis import given
from hypothesis import strategies as st

from flask_signalr.config import Settings
from flask_signalr.errors import ConfigurationError
from flask_signalr.token_claims import TokenOptions
from tests.apps import ACCESS_KEY, CONNECTION_STRING, OTHER_CONNECTION_STRING

SECRET = "Secret0123456789secret0123456789"


def settings(**keys: Any) -> Settings:
    """Return the settings of an app with these keys and a connection string."""
    return Settings.from_config(
        {"SIGNALR_CONNECTION_STRING": CONNECTION_STRING} | {f"SIGNALR_{key}": value for key, value in keys.items()}
    )


def from_environment(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    """Return the settings of an app that reads the environment, as the documents advise."""
    config = Config(".")
    monkeypatch.setenv("FLASK_SIGNALR_CONNECTION_STRING", CONNECTION_STRING)
    for name, text in variables.items():
        monkeypatch.setenv(f"FLASK_SIGNALR_{name}", text)
    config.from_prefixed_env()
    return Settings.from_config(config)


def option(name: str, value: Any) -> dict[str, Any]:
    """Return the attributes of settings in which one token option is set."""
    return {"token_options": TokenOptions(**{name: value})}


def short(value: Any) -> str | None:
    """Return the name that a value has in the name of a test."""
    return None if isinstance(value, dict) else repr(value)


# Defaults.


def test_a_connection_string_is_all_that_is_needed() -> None:
    alone = settings()

    assert [endpoint.url for endpoint in alone.endpoints] == ["https://chat.service.example/"]
    assert alone == Settings(
        endpoints=alone.endpoints,
        application_name="",
        access_token_lifetime=3600,
        access_token_algorithm="HS256",
        access_token_warning_length=3072,
        allowed_origins=frozenset(),
        token_options=TokenOptions(),
    )


@pytest.mark.parametrize("connection_string", [None, ""], ids=repr)
@pytest.mark.parametrize("endpoints", [None, {}], ids=repr)
def test_without_a_service_the_remedy_is_told(connection_string: Any, endpoints: Any) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Settings.from_config({"SIGNALR_CONNECTION_STRING": connection_string, "SIGNALR_ENDPOINTS": endpoints})

    assert str(refusal.value).startswith("SIGNALR_CONNECTION_STRING is missing: set it to")
    assert "Azure portal" in str(refusal.value)
    assert "flask-signalr emulator" in str(refusal.value)


def test_an_empty_configuration_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="SIGNALR_CONNECTION_STRING is missing"):
        Settings.from_config({})


def test_keys_that_are_none_have_their_default() -> None:
    names = [field.name.upper() for field in dataclasses.fields(Settings)]

    assert settings(**dict.fromkeys(names)) == settings()


def test_keys_of_others_are_left_alone() -> None:
    assert (
        Settings.from_config(
            {"SIGNALR_CONNECTION_STRING": CONNECTION_STRING, "SECRET_KEY": b"x", "signalr_server_name": 5}
        )
        == settings()
    )


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings().access_token_lifetime = 5  # type: ignore[misc]


# Values.


@pytest.mark.parametrize(
    ("key", "value", "attributes"),
    [
        ("APPLICATION_NAME", "App_1", {"application_name": "App_1"}),
        ("APPLICATION_NAME", "", {}),
        ("ACCESS_TOKEN_LIFETIME", 1, {"access_token_lifetime": 1}),
        ("ACCESS_TOKEN_LIFETIME", 86_400, {"access_token_lifetime": 86_400}),
        ("ACCESS_TOKEN_ALGORITHM", "HS512", {"access_token_algorithm": "HS512"}),
        ("ACCESS_TOKEN_WARNING_LENGTH", 4096, {"access_token_warning_length": 4096}),
        ("ALLOWED_ORIGINS", ["https://A.example:443"], {"allowed_origins": frozenset({"https://a.example"})}),
        ("ALLOWED_ORIGINS", ("https://a", "http://b:1"), {"allowed_origins": frozenset({"https://a", "http://b:1"})}),
        ("ALLOWED_ORIGINS", {"https://a"}, {"allowed_origins": frozenset({"https://a"})}),
        ("ALLOWED_ORIGINS", "https://a, https://b", {"allowed_origins": frozenset({"https://a", "https://b"})}),
        ("ALLOWED_ORIGINS", "", {}),
        ("ALLOWED_ORIGINS", [], {}),
        ("DETAILED_ERRORS", True, option("detailed_errors", True)),
        ("SERVER_NAME", "web-1", option("server_name", "web-1")),
        ("SERVER_STICKY_MODE", "Required", option("server_sticky_mode", "Required")),
        ("HANDSHAKE_TIMEOUT", 30, option("handshake_timeout", 30)),
        ("MAX_POLL_INTERVAL", 300, option("max_poll_interval", 300)),
        ("TRANSPORTS", ["WebSockets"], option("transports", ("WebSockets",))),
        ("TRANSPORTS", ("LongPolling", "WebSockets"), option("transports", ("LongPolling", "WebSockets"))),
    ],
    ids=short,
)
def test_each_key_reaches_its_setting(key: str, value: Any, attributes: dict[str, Any]) -> None:
    assert settings(**{key: value}) == dataclasses.replace(settings(), **attributes)


@pytest.mark.parametrize(
    ("name", "text", "attributes"),
    [
        ("APPLICATION_NAME", "App_1", {"application_name": "App_1"}),
        ("ACCESS_TOKEN_LIFETIME", "60", {"access_token_lifetime": 60}),
        ("ACCESS_TOKEN_ALGORITHM", "HS512", {"access_token_algorithm": "HS512"}),
        ("ACCESS_TOKEN_WARNING_LENGTH", "2000", {"access_token_warning_length": 2000}),
        ("ALLOWED_ORIGINS", "https://a,https://b", {"allowed_origins": frozenset({"https://a", "https://b"})}),
        ("ALLOWED_ORIGINS", '["https://a"]', {"allowed_origins": frozenset({"https://a"})}),
        ("DETAILED_ERRORS", "true", option("detailed_errors", True)),
        ("DETAILED_ERRORS", "True", option("detailed_errors", True)),
        ("DETAILED_ERRORS", "1", option("detailed_errors", True)),
        ("DETAILED_ERRORS", "false", {}),
        ("DETAILED_ERRORS", "False", {}),
        ("DETAILED_ERRORS", "0", {}),
        ("SERVER_NAME", "web-1", option("server_name", "web-1")),
        ("SERVER_STICKY_MODE", "Preferred", option("server_sticky_mode", "Preferred")),
        ("HANDSHAKE_TIMEOUT", "1", option("handshake_timeout", 1)),
        ("MAX_POLL_INTERVAL", "1", option("max_poll_interval", 1)),
        ("TRANSPORTS", '["WebSockets", "LongPolling"]', option("transports", ("WebSockets", "LongPolling"))),
    ],
    ids=short,
)
def test_each_key_can_be_an_environment_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, attributes: dict[str, Any]
) -> None:
    assert from_environment(monkeypatch, **{name: text}) == dataclasses.replace(settings(), **attributes)


def test_texts_of_another_loader_are_read_alike() -> None:
    """``from_prefixed_env`` makes numbers of texts itself; what reads a dotenv file may not."""
    assert settings(ACCESS_TOKEN_LIFETIME="60", DETAILED_ERRORS="true", MAX_POLL_INTERVAL="5") == dataclasses.replace(
        settings(), access_token_lifetime=60, token_options=TokenOptions(detailed_errors=True, max_poll_interval=5)
    )


# Endpoints.

EAST, WEST = CONNECTION_STRING, OTHER_CONNECTION_STRING


def listed(some: Settings) -> list[tuple[str, str, str]]:
    return [(endpoint.name, endpoint.type, endpoint.url) for endpoint in some.endpoints]


def test_several_endpoints_come_by_name() -> None:
    several = Settings.from_config({"SIGNALR_ENDPOINTS": {"west:secondary": WEST, "east": EAST}})

    assert listed(several) == [
        ("east", "primary", "https://chat.service.example/"),
        ("west", "secondary", "https://other.service.example/"),
    ]


def test_the_connection_string_comes_before_the_list() -> None:
    assert [name for name, _, _ in listed(settings(ENDPOINTS={"other": WEST}))] == ["", "other"]


@pytest.mark.parametrize("variable", ["ENDPOINTS", "ENDPOINTS__west:secondary"], ids=["json", "nested"])
def test_several_endpoints_can_be_environment_variables(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    text = WEST if "__" in variable else f'{{"west:secondary": "{WEST}"}}'

    assert [name for name, _, _ in listed(from_environment(monkeypatch, **{variable: text}))] == ["", "west"]


def test_the_audiences_of_all_endpoints_are_known() -> None:
    assert settings(ENDPOINTS={"west": WEST}).audience_base_urls == {
        "https://chat.service.example/",
        "https://other.service.example/",
    }


# Faults: the text begins with the key, says what is wrong, and shows no secret.

BAD_CONNECTION = f"Endpoint=nonsense;AccessKey={SECRET}"
WITHOUT_TENANT = f"Endpoint=https://a;AuthType=azure.app;ClientId=c;ClientSecret={SECRET}"


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("CONNECTION_STRING", 5, "SIGNALR_CONNECTION_STRING: Expected `str`, got `int`"),
        ("CONNECTION_STRING", SECRET.encode(), "SIGNALR_CONNECTION_STRING: Expected `str`, got `bytes`"),
        ("CONNECTION_STRING", {"a": SECRET}, "SIGNALR_CONNECTION_STRING: Expected `str`, got `object`"),
        ("CONNECTION_STRING", SECRET, "SIGNALR_CONNECTION_STRING: Connection string missing required properties"),
        ("CONNECTION_STRING", " ", "SIGNALR_CONNECTION_STRING: 'connectionString' cannot be null or whitespace."),
        ("CONNECTION_STRING", BAD_CONNECTION, "SIGNALR_CONNECTION_STRING: Invalid value for endpoint property"),
        ("CONNECTION_STRING", WITHOUT_TENANT, "SIGNALR_CONNECTION_STRING: Connection string missing required"),
        ("CREDENTIAL", SECRET, "SIGNALR_CREDENTIAL: a credential has get_token and a str has not: give an"),
        ("TOKEN_SOURCE", "keys", "SIGNALR_TOKEN_SOURCE: Invalid enum value 'keys'; choose among key, service"),
        ("TOKEN_SOURCE", f"service;{SECRET}", "SIGNALR_TOKEN_SOURCE: Invalid enum value '(not shown)'; choose among"),
        ("REST_TIMEOUT", f"\udce9{SECRET}", "SIGNALR_REST_TIMEOUT: this is not UTF-8; give seconds, such as 10"),
        ("TRANSPORTS", ["\udce9"], "SIGNALR_TRANSPORTS: this is not UTF-8; choose among"),
        ("ENDPOINTS", SECRET, "SIGNALR_ENDPOINTS: Expected `object`, got `str`"),
        ("ENDPOINTS", [CONNECTION_STRING], "SIGNALR_ENDPOINTS: Expected `object`, got `array`"),
        ("ENDPOINTS", {"east": EAST, "west": 5}, "SIGNALR_ENDPOINTS['west']: Expected `str`, got `int`"),
        ("ENDPOINTS", {SECRET: 5}, "SIGNALR_ENDPOINTS['(not shown)']: Expected `str`, got `int`"),
        ("ENDPOINT_WEIGHTS", {"east": 3, "west": 0}, "SIGNALR_ENDPOINT_WEIGHTS['west']: Expected `float` > 0.0"),
        ("SECONDARY_KEYS", {"east": ACCESS_KEY, "west": 5}, "SIGNALR_SECONDARY_KEYS['west']: Expected `"),
        ("SECONDARY_KEYS", {"east": [ACCESS_KEY, 5]}, "SIGNALR_SECONDARY_KEYS['east'][1]: Expected `str`, got `int`"),
        ("ENDPOINTS", {5: CONNECTION_STRING}, "SIGNALR_ENDPOINTS: Expected `str`, got `int`"),
        ("ENDPOINTS", {"east": BAD_CONNECTION}, "SIGNALR_ENDPOINTS['east']: Invalid value for endpoint property"),
        ("ENDPOINTS", {"east": ""}, "SIGNALR_ENDPOINTS['east']: 'connectionString' cannot be null or whitespace."),
        ("ENDPOINTS", {"e:secondary": WITHOUT_TENANT}, "SIGNALR_ENDPOINTS['e:secondary']: Connection string missing"),
        ("APPLICATION_NAME", "my-app", "SIGNALR_APPLICATION_NAME: Property 'ApplicationName' value should be prefixed"),
        ("APPLICATION_NAME", 5, "SIGNALR_APPLICATION_NAME: Expected `str`, got `int`"),
        ("ACCESS_TOKEN_LIFETIME", 0, "SIGNALR_ACCESS_TOKEN_LIFETIME: Expected `int` >= 1"),
        ("ACCESS_TOKEN_LIFETIME", "-5", "SIGNALR_ACCESS_TOKEN_LIFETIME: Expected `int` >= 1"),
        ("ACCESS_TOKEN_LIFETIME", 86_401, "SIGNALR_ACCESS_TOKEN_LIFETIME: Expected `int` <= 86400"),
        ("ACCESS_TOKEN_LIFETIME", "an hour", "SIGNALR_ACCESS_TOKEN_LIFETIME: Expected `int`, got `str`"),
        ("ACCESS_TOKEN_LIFETIME", 1.5, "SIGNALR_ACCESS_TOKEN_LIFETIME: Expected `int`, got `float`"),
        ("ACCESS_TOKEN_LIFETIME", True, "SIGNALR_ACCESS_TOKEN_LIFETIME: Expected `int`, got `bool`"),
        ("ACCESS_TOKEN_ALGORITHM", "none", "SIGNALR_ACCESS_TOKEN_ALGORITHM: Invalid enum value 'none'; choose among "),
        ("ACCESS_TOKEN_ALGORITHM", "hs256", "SIGNALR_ACCESS_TOKEN_ALGORITHM: Invalid enum value 'hs256'"),
        (
            "ACCESS_TOKEN_ALGORITHM",
            5,
            "SIGNALR_ACCESS_TOKEN_ALGORITHM: Expected `str`, got `int`; choose among HS256, HS",
        ),
        ("ACCESS_TOKEN_WARNING_LENGTH", 4097, "SIGNALR_ACCESS_TOKEN_WARNING_LENGTH: Expected `int` <= 4096"),
        ("ALLOWED_ORIGINS", "*", "SIGNALR_ALLOWED_ORIGINS: '*' is no origin; browsers send"),
        ("ALLOWED_ORIGINS", ["null"], "SIGNALR_ALLOWED_ORIGINS: 'null' is no origin; write https://"),
        ("ALLOWED_ORIGINS", "https://a,", "SIGNALR_ALLOWED_ORIGINS: '' is no origin"),
        ("ALLOWED_ORIGINS", [5], "SIGNALR_ALLOWED_ORIGINS[0]: Expected `str`, got `int`"),
        ("ALLOWED_ORIGINS", 5, "SIGNALR_ALLOWED_ORIGINS: Expected `str | array`, got `int`"),
        ("DETAILED_ERRORS", "no", "SIGNALR_DETAILED_ERRORS: Expected `bool`, got `str`"),
        ("SERVER_NAME", 5, "SIGNALR_SERVER_NAME: Expected `str | null`, got `int`"),
        (
            "SERVER_STICKY_MODE",
            "required",
            "SIGNALR_SERVER_STICKY_MODE: Invalid enum value 'required'; choose among Dis",
        ),
        ("HANDSHAKE_TIMEOUT", 0, "SIGNALR_HANDSHAKE_TIMEOUT: Expected `int` >= 1"),
        ("HANDSHAKE_TIMEOUT", 31, "SIGNALR_HANDSHAKE_TIMEOUT: Expected `int` <= 30"),
        ("MAX_POLL_INTERVAL", 0, "SIGNALR_MAX_POLL_INTERVAL: Expected `int` >= 1"),
        ("MAX_POLL_INTERVAL", 301, "SIGNALR_MAX_POLL_INTERVAL: Expected `int` <= 300"),
        (
            "TRANSPORTS",
            "WebSockets",
            "SIGNALR_TRANSPORTS: Expected `array | null`, got `str`; choose among WebSockets, ",
        ),
        ("TRANSPORTS", ["WebSockets", "x"], "SIGNALR_TRANSPORTS[1]: Invalid enum value 'x'; choose among WebSockets, "),
    ],
    ids=repr,
)
def test_a_wrong_value_is_refused_under_its_keys_name(key: str, value: Any, text: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        settings(**{key: value})

    assert str(refusal.value).startswith(text)
    assert SECRET not in str(refusal.value)
    assert ACCESS_KEY not in str(refusal.value)
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__, "the library's own error may quote the value"


@pytest.mark.parametrize(
    ("key", "value", "form"),
    [
        (
            "CONNECTION_STRING",
            5,
            "; it looks like Endpoint=https://…;AccessKey=…;Version=1.0; and has no quotes around it",
        ),
        ("ENDPOINTS", CONNECTION_STRING, '; give a JSON object of name to connection string, as {"east": "Endpoint=h'),
        ("ACCESS_TOKEN_LIFETIME", "1h", "; give whole seconds, such as 3600"),
        ("ACCESS_TOKEN_WARNING_LENGTH", "long", "; give a whole number of characters"),
        ("ALLOWED_ORIGINS", 5, "; give a list of origins, or a text with commas"),
        ("DETAILED_ERRORS", "yes", "; give true or false"),
        ("SERVER_NAME", 5, "; give a text; the environment's JSON has quotes around one that is a number"),
        ("HANDSHAKE_TIMEOUT", "15s", "; give whole seconds, such as 15"),
        ("MAX_POLL_INTERVAL", "5s", "; give whole seconds, such as 5"),
        ("TRANSPORTS", "WebSockets", "; choose among WebSockets, ServerSentEvents, LongPolling, in a list"),
    ],
)
def test_a_value_of_another_kind_is_told_the_form_that_is_expected(key: str, value: Any, form: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        settings(**{key: value})

    assert form in str(refusal.value)


def test_the_first_of_several_faults_is_the_one_that_is_told() -> None:
    with pytest.raises(ConfigurationError, match=r"^SIGNALR_REST_TIMEOUT: this is not UTF-8"):
        settings(REST_TIMEOUT="\udce9", ACCESS_TOKEN_LIFETIME=60, HEALTH_TIMEOUT="long", APPLICATION_NAME="my-app")


def test_a_server_name_of_digits_can_be_written_as_the_error_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert from_environment(monkeypatch, SERVER_NAME='"5"').token_options.server_name == "5"


@pytest.mark.parametrize(
    "text",
    [SECRET, f'"{CONNECTION_STRING}"', BAD_CONNECTION, "Endpoint=https://a;AccessKy=b", f"{CONNECTION_STRING}Port=0"],
)
@pytest.mark.parametrize("key", ["SIGNALR_CONNECTION_STRING", "SIGNALR_ENDPOINTS"])
def test_a_malformed_connection_string_is_told_the_form_after_the_sdks_text(key: str, text: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Settings.from_config({key: text if key == "SIGNALR_CONNECTION_STRING" else {"east": text}})

    assert str(refusal.value).startswith(key)
    assert str(refusal.value).endswith(
        ". A connection string: it looks like Endpoint=https://…;AccessKey=…;Version=1.0; and has no quotes around it"
    )


def test_secondary_endpoints_alone_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^SIGNALR_ENDPOINTS: No primary endpoint defined: leave"):
        Settings.from_config({"SIGNALR_ENDPOINTS": {"east:secondary": CONNECTION_STRING}})


def test_a_fault_of_the_environment_is_refused_under_the_keys_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ConfigurationError, match=r"^SIGNALR_ENDPOINTS: Expected `object`, got `str`; give a JSON object"
    ):
        from_environment(monkeypatch, ENDPOINTS='{"east": "no end of the JSON')


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text() | st.integers(), inner, max_size=2),
    max_leaves=4,
)
DOCUMENTED = Path(__file__, "../../docs/reference/configuration.md").resolve().read_text()
KEYS = sorted(
    {cell.strip("`") for line in DOCUMENTED.splitlines() for cell in line.split()[1:2] if "`SIGNALR_" in cell}
)


@pytest.mark.parametrize("key", KEYS)
def test_each_documented_key_takes_or_refuses_anything(key: str) -> None:
    @given(ANYTHING)
    def take_or_refuse(value: Any) -> None:
        try:
            Settings.from_config({"SIGNALR_CONNECTION_STRING": CONNECTION_STRING, key: value})
        except ConfigurationError as refusal:
            named = key in str(refusal)  # it may be told with another key that it does not fit
        else:
            named = True
        assert named

    take_or_refuse()


def test_all_keys_are_documented() -> None:
    read = set()

    class Recording(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            read.add(key)
            return super().get(key, default)

    Settings.from_config(Recording({"SIGNALR_CONNECTION_STRING": CONNECTION_STRING}))

    assert sorted(read) == KEYS


# Secrets.


def test_no_repr_shows_a_key() -> None:
    several = settings(ENDPOINTS={"west": WEST})

    assert ACCESS_KEY not in f"{several} {several!r} {several.endpoints} {vars(several)}"


def test_a_misspelt_key_is_told_with_the_one_that_was_meant(caplog: pytest.LogCaptureFixture) -> None:
    """A lifetime that is not read is an hour where somebody wanted a minute; another version's key is no error."""
    Settings.from_config({"SIGNALR_CONNECTION_STRING": CONNECTION_STRING, "SIGNALR_ACESS_TOKEN_LIFETIME": 60, "X": 1})

    assert [record.getMessage() for record in caplog.records] == [
        "SIGNALR_ACESS_TOKEN_LIFETIME is no configuration key; do you mean SIGNALR_ACCESS_TOKEN_LIFETIME?"
    ]


MISTAKEN = "Endpoint=https://a.example;AccessKey=S3cretS3cretS3cretS3cretS3cretS3cretS3cretS3=;Version=1.0;"


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("SIGNALR_ENDPOINTS", MISTAKEN),
        ("SIGNALR_ENDPOINTS", "S3cretS3cretS3cretS3cretS3cretS3cretS3cretS3="),
        ("SIGNALR_ENDPOINTS", "S3cretS3cretS3cretS3cretS3cretS3cretS3cretS3A"),
        ("SIGNALR_ENDPOINTS", "S3cret/S3cret+S3cret:S3cret"),
        ("SIGNALR_ENDPOINT_WEIGHTS", MISTAKEN),
        ("SIGNALR_SECONDARY_KEYS", MISTAKEN),
        ("SIGNALR_SECONDARY_KEYS", "S3cretS3cretS3cretS3cretS3cretS3cretS3cretS3A"),
    ],
)
def test_an_access_key_in_the_place_of_a_name_is_not_shown(key: str, name: str) -> None:
    """Errors of the start stand in logs, and this is the likely one: name and value the wrong way round."""
    value: object = 3 if key == "SIGNALR_ENDPOINT_WEIGHTS" else "east"

    with pytest.raises(ConfigurationError) as refusal:
        Settings.from_config({"SIGNALR_CONNECTION_STRING": CONNECTION_STRING} | {key: {name: value}})

    assert str(refusal.value).startswith(key)
    assert "S3cret" not in str(refusal.value)


@pytest.mark.parametrize("name", ["a=b", "a;b", "key="])
def test_a_name_that_could_be_a_connection_string_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="SIGNALR_ENDPOINTS: a name has ';' or '='"):
        Settings.from_config({"SIGNALR_ENDPOINTS": {name: CONNECTION_STRING}})


def test_a_name_is_shown_where_it_looks_like_one() -> None:
    with pytest.raises(ConfigurationError, match=r"SIGNALR_ENDPOINTS\['production-west-europe'\]: "):
        Settings.from_config({"SIGNALR_ENDPOINTS": {"production-west-europe": "Endpoint=nowhere"}})
