"""Where the service sends what happens on its hubs: an ordered list of rules, and the settings file that holds it.

Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR.Emulator/Upstreams/UpstreamTemplateItem.cs and Common/Utils.cs
there; MicrosoftDocs/azure-docs:articles/azure-signalr/concept-upstream.md.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote, urlsplit

import msgspec

from flask_signalr.errors import ConfigurationError

DEFAULT_PATH = "/{hub}/upstream/{category}/{event}"
"""What is added to a URL that has no parameters: where an app of this package answers."""

_PARAMETERS = ("hub", "category", "event")
_REFERENCE_TO_A_SECRET = re.compile(r"\{@", re.IGNORECASE)
_EVERYTHING = "*"
_MEMBERS = ("UrlTemplate", "HubPattern", "CategoryPattern", "EventPattern", "Auth")


@dataclass(frozen=True)
class UpstreamRule:
    """One rule: events that fit all three patterns are posted to the URL.

    A pattern is ``*``, one name, or several joined by commas; case counts.

    Attributes:
        url_template: The URL, in which ``{hub}``, ``{category}`` and ``{event}`` stand for the event's own.
        hub_pattern: The hubs.
        category_pattern: The categories, ``connections`` and ``messages``.
        event_pattern: The events: ``connected``, ``disconnected``, or the method that the client calls.

    Raises:
        ConfigurationError: The template makes no absolute HTTP URL.
    """

    url_template: str
    hub_pattern: str = _EVERYTHING
    category_pattern: str = _EVERYTHING
    event_pattern: str = _EVERYTHING

    def __post_init__(self) -> None:
        if _REFERENCE_TO_A_SECRET.search(self.url_template):
            raise ConfigurationError("the URL refers to a Key Vault, which the emulator does not read: write it out")
        url = self.url("hub", "messages", "event")
        try:
            parts = urlsplit(url)
            is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_usable = False
        if not is_usable or any(character.isspace() or not character.isprintable() for character in url):
            raise ConfigurationError(
                "the URL must be absolute and begin with http:// or https://, such as "
                "http://localhost:5000/{hub}/upstream/{category}/{event}"
            )

    @classmethod
    def to(cls, url: str) -> Self:
        """Return the rule that sends everything to one app; a URL without parameters gets `DEFAULT_PATH`.

        Raises:
            ConfigurationError: It is no absolute HTTP URL.
        """
        return cls(url if "{" in url else url.rstrip("/") + DEFAULT_PATH)

    def matches(self, hub: str, category: str, event: str) -> bool:
        """Tell whether an event is one of this rule's."""
        return (
            _fits(self.hub_pattern, hub) and _fits(self.category_pattern, category) and _fits(self.event_pattern, event)
        )

    def url(self, hub: str, category: str, event: str) -> str:
        """Return where an event goes; what it puts into the template is percent-encoded."""
        values = dict(zip(_PARAMETERS, (hub, category, event), strict=True))
        return re.sub(r"\{(hub|category|event)\}", lambda match: _quoted(values[match[1]]), self.url_template)


@dataclass(frozen=True)
class UpstreamRules:
    """Rules in their order: the first that fits decides alone."""

    rules: tuple[UpstreamRule, ...] = ()

    @classmethod
    def to(cls, url: str) -> "UpstreamRules":
        """Return the one rule by which every event goes to an app; see `UpstreamRule.to`."""
        return cls((UpstreamRule.to(url),))

    def url(self, hub: str, category: str, event: str) -> str | None:
        """Return where an event goes, ``None`` if no rule fits."""
        for rule in self.rules:
            if rule.matches(hub, category, event):
                return rule.url(hub, category, event)
        return None


def parse_upstream_settings(text: bytes, source: str) -> UpstreamRules:
    """Return the rules of a settings file, whose form is that of Microsoft's emulator.

    Args:
        text: The file.
        source: What error texts call it: its path.

    Raises:
        ConfigurationError: It cannot be used; the text names the file, the place and the fault.
    """
    try:
        settings = msgspec.json.decode(text.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError) as exc:
        raise ConfigurationError(f"{source}: not JSON: {str(exc)[:200]}") from exc
    templates = _member(_member(settings, "UpstreamSettings", source, source), "Templates", source, "UpstreamSettings")
    if not isinstance(templates, list):
        raise ConfigurationError(f"{source}: UpstreamSettings.Templates must be an array of rules")
    return UpstreamRules(tuple(_rule(item, source, index) for index, item in enumerate(templates)))


def _rule(item: Any, source: str, index: int) -> UpstreamRule:
    place = f"UpstreamSettings.Templates[{index}]"
    members = _folded(item, source, place)
    unknown = [name for name in item if name.lower() not in {known.lower() for known in _MEMBERS}]
    if unknown:
        raise ConfigurationError(f"{source}: {place} has the unknown member {unknown[0]!r}; known: {_MEMBERS}")
    auth = members.get("auth")
    if auth is not None and (not isinstance(auth, dict) or str(_folded(auth, source, place).get("type")) != "None"):
        raise ConfigurationError(f"{source}: {place}.Auth: the emulator has no managed identity: leave it out")
    texts = []
    for name, default in zip(_MEMBERS[:4], (None, _EVERYTHING, _EVERYTHING, _EVERYTHING), strict=True):
        value = members.get(name.lower(), default)
        if not isinstance(value, str) or not value.strip():
            raise ConfigurationError(f"{source}: {place}.{name} must be a text that is not empty")
        texts.append(value)
    try:
        return UpstreamRule(*texts)
    except ConfigurationError as exc:
        raise ConfigurationError(f"{source}: {place}.UrlTemplate: {exc}") from exc


def _member(value: Any, name: str, source: str, place: str) -> Any:
    members = _folded(value, source, place)
    if name.lower() not in members:
        where = "the file" if place == source else place
        raise ConfigurationError(f"{source}: {where} has no member {name!r}")
    return members[name.lower()]


def _folded(value: Any, source: str, place: str) -> Mapping[str, Any]:
    """Return the members of an object by their names in lower case: .NET reads settings without regard to it."""
    if not isinstance(value, dict):
        where = "the file" if place == source else place
        raise ConfigurationError(f"{source}: {where} must be a JSON object")
    return {name.lower(): item for name, item in value.items()}


def _fits(pattern: str, name: str) -> bool:
    names = [each.strip() for each in pattern.split(",")]
    return _EVERYTHING in names or name in names


def _quoted(value: str) -> str:
    """Return a value as RFC 3986 has it; dots that would be a step of their own in the path are encoded too."""
    return value.replace(".", "%2E") if value in {".", ".."} else quote(value, safe="-._~")
