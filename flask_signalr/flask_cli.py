"""``flask signalr hubs``: what is declared, and what the service must be told of it."""

from collections.abc import Iterator

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from werkzeug.routing import Rule

from flask_signalr.app_state import AppState, current_state
from flask_signalr.handler_check import check_hubs
from flask_signalr.mounted_hub import MountedHub
from flask_signalr.negotiation import prefixed_hub

_HELP = """Show the hubs of this app, their methods and policies, and the upstream settings for the service.

In the service mode Serverless, the service tells the app of its clients by HTTP requests. It needs to know where to:
paste the URL template under Settings, Upstream in the Azure portal, with your public https address in the place of
<your app>, or give it to the emulator. Leave {hub}, {category} and {event} in it as they are; the service puts them in.
Once you declare another hub, enter the new hub pattern, too: of a hub that the pattern lacks the app hears nothing.

\b
  $ flask --app app signalr hubs
  $ flask-signalr emulator --upstream 'http://127.0.0.1:5000/{hub}/upstream/{category}/{event}'
"""


@click.command("hubs", help=_HELP, short_help="Show hubs, methods, policies and the upstream settings.")
@with_appcontext
def hubs_command() -> None:
    """Print the hubs of the current app."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    state = current_state()
    hubs = list(state.hubs())
    check_hubs(app, hubs)
    for hub in hubs:
        click.echo("\n".join(_described(hub)))
    if not hubs:
        click.echo('No hub is declared. Declare one: signalr.hub("chat")')
    else:
        click.echo("\n".join(_settings(app, state, hubs)))


def _described(hub: MountedHub) -> Iterator[str]:
    options = hub.options
    schemes = ", ".join(type(scheme).__name__ for scheme in options.auth) or "none"
    yield f"{hub.name}  (at the service: {prefixed_hub(hub.name, hub.settings.application_name)})"
    yield f"  sign-in    {schemes}{'; guests may connect' if options.allow_anonymous else ''}"
    yield f"  policy     {options.policy or 'none'}"
    handlers = [("on_connected", hub.methods.connected), ("on_disconnected", hub.methods.disconnected)]
    for event, functions in handlers:
        for function in functions:
            yield f"  event      {event}: {getattr(function, '__qualname__', repr(function))}"
    for method in hub.methods:
        kind = "stream" if method.is_stream else "method"
        yield f"  {kind}     {method.name}: {method.policy if method.policy.requirements else 'everybody connected'}"
    if not len(hub.methods):
        yield "  method     (none)"
    yield ""


def _settings(app: Flask, state: AppState, hubs: list[MountedHub]) -> Iterator[str]:
    names = [prefixed_hub(hub.name, state.settings.application_name) for hub in hubs]
    pattern = "*" if any("," in name for name in names) else ",".join(names)  # a comma parts names, whatever they have
    yield "Upstream settings of the service, one item for all hubs:"
    for template in _url_templates(app):
        yield f"  URL template      {template}"
    yield f"  Hub pattern       {pattern}"
    yield "  Category pattern  *"
    yield "  Event pattern     *"
    yield "Put your public https address in the place of <your app>; enter the new pattern whenever you declare a hub."
    upstream = state.settings.upstream
    known = len(upstream.keys)
    proofs = [f"signature by {'the key that is known' if known == 1 else f'one of {known} keys'}"] if known else []
    if upstream.token is not None:
        proofs.append(f"token of the application {upstream.token.app_id}")
    yield f"Accepted with: {' and '.join(proofs) or 'nothing: no key is known, every request is refused'}"
    hooks = list(dict.fromkeys(_hooks(app)))
    if hooks:
        yield "Of the app, these run before each request. One that demands a sign-in must let the service pass:"
        yield from (f"  before_request    {hook}" for hook in hooks)


def _url_templates(app: Flask) -> Iterator[str]:
    """Yield the URL of each mounting; the blueprint may be nested, or have been given a prefix or a subdomain."""
    root = (app.config["APPLICATION_ROOT"] or "/").rstrip("/")
    for rule in _upstream_rules(app):
        path = rule.rule.replace("<hub>", "{hub}").replace("<category>", "{category}")
        path = path.replace("<path:event>", "{event}")
        host = f"{rule.subdomain}.<your app>" if rule.subdomain else "<your app>"
        yield f"https://{host}{root}{path}"


def _hooks(app: Flask) -> Iterator[str]:
    """Yield what the app runs before it handles an upstream request, each with the endpoint that it has to let pass."""
    for rule in _upstream_rules(app):
        *blueprints, _ = rule.endpoint.split(".")
        names = [None, *(".".join(blueprints[: end + 1]) for end in range(len(blueprints)))]
        for function in (function for name in names for function in app.before_request_funcs.get(name, ())):
            name = getattr(function, "__qualname__", repr(function))
            yield f'{name}  (request.endpoint == "{rule.endpoint}")'


def _upstream_rules(app: Flask) -> Iterator[Rule]:
    for rule in app.url_map.iter_rules():
        if rule.arguments >= {"hub", "category", "event"} and rule.endpoint.endswith(".upstream"):
            yield rule
