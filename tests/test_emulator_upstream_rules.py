"""Upstream rules: which event goes where, and what is wrong with a settings file."""

import json
from typing import Any

import pytest

from flask_signalr.emulator.upstream_rules import UpstreamRule, UpstreamRules, parse_upstream_settings
from flask_signalr.errors import ConfigurationError

TEMPLATE = "http://host.example/{hub}/api/{category}/{event}"


def settings(*templates: Any) -> bytes:
    return json.dumps({"UpstreamSettings": {"Templates": templates}}).encode()


@pytest.mark.parametrize(
    ("event", "url"),
    {
        "connect": (("chat", "connections", "connected"), "http://host.example/chat/api/connections/connected"),
        "invoke": (("chat", "messages", "broadcast"), "http://host.example/chat/api/messages/broadcast"),
        "slash": (("app_chat", "messages", "a/b ?#é%2F"), "http://host.example/app_chat/api/messages/a%2Fb%20%3F%23%C3%A9%252F"),
        "parameter": (("chat", "messages", "{hub}"), "http://host.example/chat/api/messages/%7Bhub%7D"),
        "step up": (("chat", "messages", ".."), "http://host.example/chat/api/messages/%2E%2E"),
    }.values(),
    ids=["connect", "invoke", "slash", "parameter", "step up"],
)  # fmt: skip
def test_what_happened_is_put_into_the_url_percent_encoded(event: tuple[str, str, str], url: str) -> None:
    """A method's name is the client's to choose: it must not lead to another path or host."""
    assert UpstreamRule(TEMPLATE).url(*event) == url


def test_other_braces_are_left_alone() -> None:
    assert UpstreamRule("http://h/{Hub}/{x}").url("chat", "messages", "a") == "http://h/{Hub}/{x}"


def test_a_url_without_parameters_gets_the_path_of_an_app_of_this_package() -> None:
    rule = UpstreamRule.to("http://localhost:5000/")

    assert rule.url("chat", "messages", "say") == "http://localhost:5000/chat/upstream/messages/say"


def test_a_url_with_parameters_is_taken_as_it_is() -> None:
    assert UpstreamRule.to(TEMPLATE).url_template == TEMPLATE


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("*", "chat", True),
        ("chat", "chat", True),
        ("chat", "Chat", False),
        ("chat", "chatter", False),
        ("news, chat ", "chat", True),
        ("news,*", "chat", True),
        ("news,sport", "chat", False),
        ("c*", "chat", False),
    ],
)
@pytest.mark.parametrize("place", ["hub_pattern", "category_pattern", "event_pattern"])
def test_a_pattern_is_everything_a_name_or_a_list_of_names(place: str, pattern: str, name: str, fits: bool) -> None:
    names = [name if each == place else "x" for each in ("hub_pattern", "category_pattern", "event_pattern")]

    assert UpstreamRule(TEMPLATE, **{place: pattern}).matches(*names) is fits


def test_the_first_rule_that_fits_decides_alone() -> None:
    rules = parse_upstream_settings(
        settings(
            {"UrlTemplate": "http://one/{event}", "HubPattern": "chat", "EventPattern": "connected"},
            {"UrlTemplate": "http://two/{event}", "HubPattern": "chat"},
            {"UrlTemplate": "http://three/{event}", "HubPattern": "chat"},
        ),
        "settings.json",
    )

    assert rules.url("chat", "connections", "connected") == "http://one/connected"
    assert rules.url("chat", "messages", "say") == "http://two/say"
    assert rules.url("news", "messages", "say") is None


def test_microsofts_own_settings_file_is_understood() -> None:
    """The one that its emulator writes; .NET reads members in any case, and a byte order mark."""
    text = settings(
        {
            "UrlTemplate": "http://localhost:7071/runtime/webhooks/signalr",
            "eventpattern": "*",
            "HubPattern": "*",
            "CategoryPattern": "*",
        }
    )

    rules = parse_upstream_settings(b"\xef\xbb\xbf" + text, "settings.json")

    assert rules == UpstreamRules((UpstreamRule("http://localhost:7071/runtime/webhooks/signalr"),))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"{", "settings.json: not JSON"),
        (b"\xff", "settings.json: not JSON"),
        (b"[" * 100_000, "settings.json: not JSON"),
        (b"[]", "settings.json: the file must be a JSON object"),
        (b"{}", "settings.json: the file has no member 'UpstreamSettings'"),
        (b'{"UpstreamSettings":3}', "UpstreamSettings must be a JSON object"),
        (b'{"UpstreamSettings":{}}', "UpstreamSettings has no member 'Templates'"),
        (b'{"UpstreamSettings":{"Templates":{}}}', "UpstreamSettings.Templates must be an array"),
        (settings(3), r"Templates\[0\] must be a JSON object"),
        (settings({}), r"Templates\[0\].UrlTemplate must be a text"),
        (settings({"UrlTemplate": 3}), r"Templates\[0\].UrlTemplate must be a text"),
        (settings({"UrlTemplate": TEMPLATE}, {"UrlTemplate": "/x"}), r"Templates\[1\].UrlTemplate: .*must be absolute"),
        (settings({"UrlTemplate": "ftp://h/"}), r"Templates\[0\].UrlTemplate: .*must be absolute"),
        (settings({"UrlTemplate": "http://[h/"}), r"Templates\[0\].UrlTemplate: .*must be absolute"),
        (settings({"UrlTemplate": "http://h:99999/"}), r"Templates\[0\].UrlTemplate: .*must be absolute"),
        (settings({"UrlTemplate": "http://h/ x"}), r"Templates\[0\].UrlTemplate: .*must be absolute"),
        (settings({"UrlTemplate": "{@Microsoft.KeyVault(SecretUri=x)}"}), "Key Vault"),
        (settings({"UrlTemplate": TEMPLATE, "HubPattern": None}), r"Templates\[0\].HubPattern must be a text"),
        (settings({"UrlTemplate": TEMPLATE, "Hubpatern": "*"}), r"Templates\[0\] has the unknown member 'Hubpatern'"),
        (settings({"UrlTemplate": TEMPLATE, "Auth": {"Type": "ManagedIdentity"}}), r"Templates\[0\].Auth: .*managed"),
    ],
)  # fmt: skip
def test_a_faulty_file_is_told_where_its_fault_is(text: bytes, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault) as refusal:
        parse_upstream_settings(text, "settings.json")

    assert str(refusal.value).startswith("settings.json: ")
