"""The endpoints of a configuration: what is refused of names, types and AuthTypes, and what is told of repetitions."""

import logging

import pytest

from flask_signalr.endpoint_settings import configured_endpoints
from flask_signalr.errors import ConfigurationError

KEY = "0123456789abcdef0123456789abcdef"
EAST = f"Endpoint=https://east.example;AccessKey={KEY};"
WEST = f"Endpoint=https://west.example;AccessKey={KEY[::-1]};"


def refusal(connection_string: str, named: dict[str, str], weights: dict[str, float]) -> str:
    """Return the text that a configuration is refused with."""
    with pytest.raises(ConfigurationError) as refused:
        configured_endpoints(connection_string, named, weights)

    assert KEY not in str(refused.value)
    assert KEY[::-1] not in str(refused.value)
    return str(refused.value)


# One instance, described twice.


@pytest.mark.parametrize("named", [{"east": EAST, "west": WEST}, {"west": WEST, "east": EAST}])
def test_a_named_description_comes_before_one_without_a_name(
    named: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """Or the weight that belongs to the name would be lost with it."""
    endpoints = configured_endpoints(EAST, named, {"east": 3})

    assert {one.name: one.weight for one in endpoints} == {"east": 3, "west": 1}
    assert caplog.text == "", "nothing was lost"


@pytest.mark.parametrize(
    ("connection_string", "named", "weights", "text"),
    [
        ("", {"east": EAST, "west": EAST}, {}, "use the one 'east'; dropped: the name 'west'"),
        ("", {"east": EAST, "west": EAST}, {"west": 3}, "use the one 'east'; dropped: the name 'west', the weight 3"),
        (EAST, {"reserve:secondary": EAST}, {}, "use the one without a name; dropped: the name 'reserve', the type se"),
        (f"{EAST}ClientEndpoint=https://x", {"east": EAST}, {}, "'east'; dropped: the URL for clients https://x/"),
        (f"{EAST}ServerEndpoint=https://x", {"east": EAST}, {}, "'east'; dropped: the URL for servers https://x/"),
        (EAST.replace("example", "example/x"), {"east": EAST}, {}, "dropped: the URL https://east.example/x/"),
        (EAST.replace(KEY, KEY[1:]), {"east": EAST}, {}, "'east'; dropped: an AccessKey"),
        ("Endpoint=https://east.example;AuthType=azure", {"east": EAST}, {}, "'east'; dropped: an AuthType"),
    ],
)
def test_what_is_lost_with_a_repetition_is_warned_about(
    connection_string: str,
    named: dict[str, str],
    weights: dict[str, float],
    text: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (kept,) = configured_endpoints(connection_string, named, weights)

    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("2 endpoints to https://east.example found, use the one ")
    assert text in record.getMessage()
    assert KEY[1:] not in record.getMessage()
    assert kept.type == "primary"


# Keys.


@pytest.mark.parametrize(
    ("letter", "told"), [(" ", "a key has blanks, "), ("\x01", "control char"), ("\udcff", "not UTF-8")], ids=ascii
)
def test_a_key_that_was_pasted_badly_is_refused_and_not_shown(letter: str, told: str) -> None:
    """No service knows it, and what is told of it may be a log for many eyes."""
    text = refusal(EAST.replace(KEY, KEY[:9] + letter + KEY[9:]), {}, {})

    assert text.startswith("SIGNALR_CONNECTION_STRING: ")
    assert told in text
    assert KEY[9:] not in text


# Names and types.


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("reserve:secondry", "do you mean 'reserve:secondary'?"),
        ("east:Primry", "do you mean 'east:primary'?"),
        ("east:", "there are primary and secondary"),
        ("east:1", "there are primary and secondary"),
    ],
)
def test_a_misspelt_type_makes_no_reserve_primary(name: str, hint: str) -> None:
    """The SDK takes it for a part of the name, so that a third of the clients went to what was meant as a reserve."""
    text = refusal("", {"east": EAST, name: WEST}, {})

    assert text == f"SIGNALR_ENDPOINTS[{name!r}]: what follows the colon is no type of an endpoint: {hint}"


@pytest.mark.parametrize("name", ["west:primary", "west:PRIMARY", "west:secondary", "west:Secondary", "west"])
def test_a_type_may_be_written_in_any_case(name: str) -> None:
    endpoints = configured_endpoints("", {"east": EAST, name: WEST}, {})

    assert [one.name for one in endpoints] == ["east", "west"]


def test_a_reserve_alone_is_refused_with_the_remedy() -> None:
    text = refusal("", {"east:secondary": EAST}, {})

    assert text == (
        "SIGNALR_ENDPOINTS: No primary endpoint defined: leave ':secondary' out of a name, or set another one"
    )


def test_a_weight_of_a_name_with_its_type_is_told_to_drop_the_type() -> None:
    text = refusal("", {"east": EAST, "west:secondary": WEST}, {"west:secondary": 2})

    assert text.endswith("no endpoint is named 'west:secondary': write 'west', the type is no part of the name")


def test_a_weight_of_nobody_is_told_who_is_there() -> None:
    assert refusal(EAST, {"west": WEST}, {"nope": 2}).endswith("no endpoint is named 'nope'; there are 'west'")


def test_a_weight_without_any_name_is_told_where_names_come_from() -> None:
    text = refusal(EAST, {}, {"east": 2})

    assert text.endswith("is named 'east': SIGNALR_CONNECTION_STRING gives no name, SIGNALR_ENDPOINTS does")


# AuthType.


@pytest.mark.parametrize(
    ("auth_type", "hint"),
    [("azure.msii", "do you mean azure.msi? "), ("Azur", "do you mean azure? "), ("password", "")],
)
@pytest.mark.parametrize("more", ["", f"AccessKey={KEY};"])
def test_an_unknown_auth_type_does_not_fall_back_to_the_access_key(auth_type: str, hint: str, more: str) -> None:
    """Who meant to have no key in use would have one."""
    text = refusal(f"Endpoint=https://east.example;AuthType={auth_type};{more}", {}, {})

    assert text.startswith(
        f"SIGNALR_CONNECTION_STRING: AuthType is unknown: {hint}There are azure, azure.msi, azure.app, aad. "
    )


def test_an_access_key_behind_a_forgotten_semicolon_is_not_shown() -> None:
    refusal(f"Endpoint=https://east.example;AuthType=azureAccessKey={KEY};", {}, {})


def test_an_auth_type_that_lacks_something_is_told_the_form_with_an_auth_type() -> None:
    text = refusal("Endpoint=https://east.example;AuthType=azure.app;ClientId=a;", {}, {})

    assert "missing required properties tenantId. A connection string: with an AuthType it looks like" in text
    assert "ClientSecret=…" in text
    assert "AccessKey" not in text


@pytest.mark.parametrize("auth_type", ["azure", "Azure.MSI", "azure.app", "AAD"])
def test_the_known_auth_types_are_taken(auth_type: str) -> None:
    text = f"Endpoint=https://east.example;AuthType={auth_type};ClientId=a;TenantId=b;ClientSecret={KEY}"

    (endpoint,) = configured_endpoints(text, {}, {})

    assert endpoint.credential is not None
