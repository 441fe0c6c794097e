"""Where an app under test answers."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

from flask import Flask
from werkzeug.routing import BuildError, MapAdapter, Rule

from flask_signalr import views
from flask_signalr.errors import ConfigurationError

_PARAMETERS = {"hub", "category", "event"}


class AppRoutes:
    """The views of the extension's blueprint, wherever the app mounts it.

    Args:
        app: The app, which has been set up with `SignalR`.
        url_values: The values of the variables in the path that leads to the blueprint.

    Raises:
        ConfigurationError: The app has no `SignalR`, or a variable has no value.
    """

    def __init__(self, app: Flask, url_values: Mapping[str, Any]) -> None:
        self._urls: MapAdapter = app.url_map.bind(app.config["SERVER_NAME"] or "localhost")
        self._url_values = dict(url_values)
        self._blueprint = _blueprint_of(app)
        self.upstream_template = self._upstream_template(app)

    def negotiate(self, hub: str) -> str:
        """Return the URL of a hub's negotiate: a path, or ``//host/path`` of a subdomain."""
        return self._build(f"{self._blueprint}.negotiate", {"hub": hub})

    def refresh(self, hub: str) -> str:
        """Return the URL where a hub's clients renew their sign-in."""
        return self._build(f"{self._blueprint}.refresh", {"hub": hub})

    def _upstream_template(self, app: Flask) -> str:
        """Return the URL template that an upstream rule needs to reach the app."""
        rule = next(rule for rule in app.url_map.iter_rules() if self._is_upstream(rule))
        url = self._build(rule.endpoint, {name: f"-{name}-" for name in _PARAMETERS})
        for name in _PARAMETERS:
            url = url.replace(f"-{name}-", f"{{{name}}}")
        return urljoin(f"http://{self._urls.server_name}/", url)

    def _is_upstream(self, rule: Rule) -> bool:
        return rule.endpoint.rpartition(".")[0] == self._blueprint and rule.arguments >= _PARAMETERS

    def _build(self, endpoint: str, values: Mapping[str, Any]) -> str:
        try:
            return self._urls.build(endpoint, {**self._url_values, **values}, method="POST")
        except BuildError as exc:
            raise ConfigurationError(
                "the app mounts its hubs under a path with variables: FakeService(app, url_values={...}) needs a value "
                f"for each of them ({exc})"
            ) from exc


def _blueprint_of(app: Flask) -> str:
    """Return what the app calls the blueprint, which may be nested or mounted under another name."""
    if "signalr" in app.extensions:
        for name, blueprint in app.blueprints.items():
            if blueprint.import_name == views.__name__:
                return name
    raise ConfigurationError("this app has no SignalR: call init_app(app) before FakeService(app)")
