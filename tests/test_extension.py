"""The extension: hubs declared once, mounted in any number of apps, configured in three places."""

import gc
import re
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from flask import Flask, Request
from werkzeug.test import TestResponse

from flask_signalr import (
    AuthScheme,
    CookieAuth,
    EndpointRouter,
    Policy,
    Principal,
    ServiceEndpoint,
    SignalR,
    TokenOptions,
    by_email,
    by_name,
    everything,
    nothing,
    require_role,
)
from flask_signalr.errors import ConfigurationError
from flask_signalr.hub_options import HubKeywords
from flask_signalr.redaction import URL_LOGGERS
from tests.apps import (
    CONNECTION_STRING,
    ENDPOINT,
    OTHER_CONNECTION_STRING,
    OTHER_ENDPOINT,
    Says,
    body,
    create_app,
    negotiate,
    service_claims,
)

ADA = Principal("ada", {"email": "ada@example.org"}, expires_at=4_000_000_000)
BOB = Principal("bob", {"email": "bob@example.org"})


# Mounting.


@pytest.mark.parametrize("declared_first", [True, False], ids=["before init_app", "after init_app"])
def test_a_hub_may_be_declared_before_and_after_init_app(declared_first: bool) -> None:
    """Hubs are found at request time: modules may be imported in any order."""
    signalr, app = SignalR(allow_anonymous=True), create_app()
    if declared_first:
        signalr.hub("chat")
    signalr.init_app(app)
    if not declared_first:
        signalr.hub("chat")

    assert service_claims(negotiate(app))


def test_a_hub_may_be_declared_after_the_first_request() -> None:
    signalr = SignalR(allow_anonymous=True)
    app = create_app(signalr)
    before = negotiate(app)
    signalr.hub("chat")

    after = negotiate(app)

    assert (before.status_code, after.status_code) == (404, 200)


def test_the_constructor_mounts_at_once() -> None:
    app = create_app()
    signalr = SignalR(app, allow_anonymous=True)
    signalr.hub("chat")

    assert service_claims(negotiate(app))


def test_one_object_serves_several_apps_with_settings_of_their_own() -> None:
    """The factory pattern: hubs belong to the module, services and keys to each app."""
    signalr = SignalR(allow_anonymous=True)
    signalr.hub("chat")
    one = create_app(signalr, SIGNALR_ACCESS_TOKEN_LIFETIME=60)
    two = create_app(signalr, SIGNALR_CONNECTION_STRING=OTHER_CONNECTION_STRING, SIGNALR_APPLICATION_NAME="Two")

    of_one, of_two = service_claims(negotiate(one)), service_claims(negotiate(two), "two_chat", OTHER_ENDPOINT)

    assert of_one["exp"] - of_one["iat"] == 60
    assert of_two["exp"] - of_two["iat"] == 3600


def test_a_hub_that_is_declared_later_is_there_in_every_app() -> None:
    signalr = SignalR(allow_anonymous=True)
    apps = [create_app(signalr) for _ in range(3)]
    signalr.hub("chat")

    assert [negotiate(app).status_code for app in apps] == [200, 200, 200]


def test_two_objects_in_two_apps_know_nothing_of_each_other() -> None:
    one, two = SignalR(allow_anonymous=True), SignalR(allow_anonymous=True)
    one.hub("chat")
    two.hub("news")

    statuses = [negotiate(create_app(signalr), hub).status_code for signalr in (one, two) for hub in ("chat", "news")]

    assert statuses == [200, 404, 404, 200]


@pytest.mark.parametrize("same", [True, False], ids=["the same", "another one"])
def test_an_app_has_one_signalr(same: bool) -> None:
    """Of two, the one that came last would hide the other's hubs."""
    signalr = SignalR()
    app = create_app(signalr)

    with pytest.raises(ConfigurationError, match="has a SignalR already"):
        (signalr if same else SignalR()).init_app(app, name="again")


def test_a_configuration_that_is_wrong_leaves_the_app_as_it_was() -> None:
    app = create_app(SIGNALR_CONNECTION_STRING="Endpoint=nowhere")
    signalr = SignalR(allow_anonymous=True)
    signalr.hub("chat")

    with pytest.raises(ConfigurationError, match="SIGNALR_CONNECTION_STRING"):
        signalr.init_app(app)

    assert not app.blueprints
    app.config["SIGNALR_CONNECTION_STRING"] = CONNECTION_STRING
    signalr.init_app(app)
    assert service_claims(negotiate(app))


def test_a_missing_configuration_stops_init_app_and_names_the_key() -> None:
    with pytest.raises(ConfigurationError, match="SIGNALR_CONNECTION_STRING is missing"):
        SignalR(Flask(__name__))


def test_mounting_keeps_tokens_out_of_the_servers_logs() -> None:
    """Once, however many apps there are."""
    import logging

    for _ in range(3):
        create_app(SignalR())

    for name in URL_LOGGERS:
        kinds = [type(found).__name__ for found in logging.getLogger(name).filters]
        assert kinds.count("RedactTokens") == 1, name


def test_an_app_that_is_gone_is_forgotten() -> None:
    """Test suites make thousands of apps of one module."""
    signalr = SignalR()
    hub = signalr.hub("chat")
    apps = [create_app(signalr), create_app(signalr)]
    del apps[0]
    gc.collect()

    assert hub.negotiate().url.startswith(ENDPOINT)

    apps.clear()
    gc.collect()

    with pytest.raises(ConfigurationError, match="or that app is gone: keep a reference to it"):
        hub.negotiate()


# Hub names.


class Nobody:
    """What declares a hub elsewhere: a class."""


@pytest.mark.parametrize("name", ["a", "Chat", "chat_2", "a`,.[]", "x" * 128])
def test_a_hub_has_a_name_that_the_service_takes(name: str) -> None:
    signalr = SignalR(allow_anonymous=True)
    app = create_app(signalr)

    hub = signalr.hub(name)

    assert hub.name == name
    assert repr(hub) == f"Hub({name!r})"
    assert service_claims(negotiate(app, name.replace("[", "%5B").replace("]", "%5D")), name.lower())


@pytest.mark.parametrize(
    "name",
    ["", "1chat", "_chat", "ch at", "chat/x", "chät", "chat\n", "a-b", "x" * 129, "..", "ſ", "chat?x", None, 5, Nobody],
    ids=str,
)
def test_a_name_that_the_service_does_not_take_is_refused(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="is no hub name"):
        SignalR().hub(name)


@pytest.mark.parametrize("again", ["chat", "Chat", "CHAT"])
def test_a_name_stands_for_one_hub(again: str) -> None:
    """Confused hubs: the service has no case, so a token for the one would open the other with its weaker policy."""
    signalr = SignalR()
    signalr.hub("chat")

    with pytest.raises(ConfigurationError, match="declared twice"):
        signalr.hub(again, allow_anonymous=True)

    assert negotiate(create_app(signalr)).status_code == 401


# Keywords.


@pytest.mark.parametrize("declare", [SignalR, lambda **options: SignalR().hub("chat", **options)], ids=["all", "one"])
@pytest.mark.parametrize(
    ("keyword", "text"),
    [("alow_anonymous", "do you mean allow_anonymous?"), ("url_prefix", "give it to init_app")],
)
def test_a_misspelt_keyword_is_refused_where_it_is_written(
    declare: Callable[..., object], keyword: str, text: str
) -> None:
    """Protection that is spelt wrong must not be missing in silence."""
    with pytest.raises(ConfigurationError, match=re.escape(text)):
        declare(**{keyword: True})


class Nth(EndpointRouter):
    def __init__(self, index: int) -> None:
        self._index = index

    def negotiate_endpoint(self, principal: Principal, endpoints: Any) -> ServiceEndpoint:
        endpoint: ServiceEndpoint = endpoints[self._index]
        return endpoint


def claim(name: str) -> Callable[[TestResponse], Any]:
    """Return a look at one claim of the service token, whoever it is for."""
    return lambda answer: jwt.decode(body(answer)["accessToken"], options={"verify_signature": False}).get(name)


def lifetime(answer: TestResponse) -> int:
    return int(claim("exp")(answer)) - int(claim("iat")(answer))


def algorithm(answer: TestResponse) -> Any:
    return jwt.get_unverified_header(body(answer)["accessToken"])["alg"]


def status(answer: TestResponse) -> int:
    return answer.status_code


EFFECTS: dict[str, tuple[Any, Any, Callable[[TestResponse], Any], Any, Any]] = {
    "auth": ([Says(ADA)], [Says(BOB)], claim("asrs.s.uid"), "ada", "bob"),
    "allow_anonymous": (True, False, status, 200, 401),
    "policy": (Policy(require_role("admin")), Policy(), status, 403, 200),
    "user_id_provider": (by_name, by_email, claim("asrs.s.uid"), "ada", "ada@example.org"),
    "claims_filter": (nothing, everything, claim("email"), None, "ada@example.org"),
    "collision_guard": (lambda *_: False, None, status, 403, 200),
    "allowed_origins": (["https://other.example"], ["https://page.example"], status, 403, 200),
    "endpoint_router": (Nth(0), Nth(1), claim("aud"), f"{ENDPOINT}/client/?hub=chat",
                        f"{OTHER_ENDPOINT}/client/?hub=chat"),
    "access_token_lifetime": (60, 120, lifetime, 60, 120),
    "access_token_algorithm": ("HS256", "HS512", algorithm, "HS256", "HS512"),
    "token_options": (TokenOptions(), TokenOptions(detailed_errors=True), claim("asrs.s.derror"), None, "True"),
    "close_on_expiry": (False, True, claim("asrs.s.coae"), None, "true"),
    "server_sdk_url": (False, True, lambda answer: "asrs.op=" in body(answer)["url"], False, True),
}  # fmt: skip
"""Of each keyword a value, another one, what to look at, and how it looks with the one and with the other."""

ENDPOINTS = {"one": CONNECTION_STRING, "two": OTHER_CONNECTION_STRING}
each_keyword = pytest.mark.parametrize("keyword", EFFECTS)


def answer_with(keyword: str, defaults: dict[str, Any], own: dict[str, Any], **config: Any) -> TestResponse:
    """Return what a hub with its own keywords answers in an app that has defaults and a configuration."""
    usual = {} if keyword == "allow_anonymous" else {"auth": [Says(ADA)]}
    signalr = SignalR(**(usual | defaults))
    signalr.hub("chat", **own)
    app = create_app(signalr, SIGNALR_CONNECTION_STRING=None, SIGNALR_ENDPOINTS=ENDPOINTS, **config)
    return negotiate(app, headers={"Origin": "https://page.example"} if keyword == "allowed_origins" else {})


def test_the_table_has_every_keyword() -> None:
    assert set(EFFECTS) == set(HubKeywords.__annotations__) - {"refresh_gate"}  # it has none on negotiate


@each_keyword
def test_a_hub_has_the_defaults_of_its_signalr(keyword: str) -> None:
    first, second, look, with_first, with_second = EFFECTS[keyword]

    looks = [look(answer_with(keyword, {keyword: value}, {})) for value in (first, second)]

    assert looks == [with_first, with_second]


@each_keyword
def test_a_hub_may_override_each_default(keyword: str) -> None:
    first, second, look, with_first, with_second = EFFECTS[keyword]

    looks = [
        look(answer_with(keyword, {keyword: default}, {keyword: own}))
        for default, own in ((first, second), (second, first))
    ]

    assert looks == [with_second, with_first]


CONFIGURED = {
    "allowed_origins": {"SIGNALR_ALLOWED_ORIGINS": "https://page.example"},
    "access_token_lifetime": {"SIGNALR_ACCESS_TOKEN_LIFETIME": "120"},
    "access_token_algorithm": {"SIGNALR_ACCESS_TOKEN_ALGORITHM": "HS512"},
    "token_options": {"SIGNALR_DETAILED_ERRORS": "true"},
    "close_on_expiry": {"SIGNALR_CLOSE_ON_EXPIRY": "true"},
}


@pytest.mark.parametrize("keyword", CONFIGURED)
def test_what_the_code_does_not_say_the_configuration_says(keyword: str) -> None:
    first, _, look, with_first, with_second = EFFECTS[keyword]
    config = CONFIGURED[keyword]

    configured = look(answer_with(keyword, {}, {}, **config))
    in_code = look(answer_with(keyword, {keyword: first}, {}, **config))
    of_the_hub = look(answer_with(keyword, {}, {keyword: first}, **config))

    assert (configured, in_code, of_the_hub) == (with_second, with_first, with_first)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("auth", CookieAuth(lambda: None)),
        ("auth", [CookieAuth]),
        ("auth", ["cookie"]),
        ("auth", None),
        ("auth", "cookie"),
        ("allow_anonymous", "no"),
        ("allow_anonymous", None),
        ("allow_anonymous", 1),
        ("user_id_provider", "email"),
        ("user_id_provider", None),
        ("claims_filter", ["role"]),
        ("claims_filter", None),
        ("collision_guard", "guard"),
        ("allowed_origins", "https://page.example"),
        ("allowed_origins", None),
        ("allowed_origins", [5]),
        ("allowed_origins", ["*"]),
        ("allowed_origins", ["page.example"]),
        ("endpoint_router", EndpointRouter),
        ("endpoint_router", lambda *_: None),
        ("access_token_lifetime", 0),
        ("access_token_lifetime", -60),
        ("access_token_lifetime", "3600"),
        ("access_token_lifetime", 0.5),
        ("access_token_lifetime", True),
        ("access_token_algorithm", "none"),
        ("access_token_algorithm", "RS256"),
        ("access_token_algorithm", None),
        ("token_options", {"detailed_errors": True}),
        ("token_options", None),
    ],
    ids=repr,
)
@pytest.mark.parametrize("place", ["SignalR", "hub"])
def test_a_value_that_cannot_be_used_stops_configuration(place: str, keyword: str, value: Any) -> None:
    """Not the first request; the message names the keyword."""
    options: Any = {keyword: value}
    signalr = SignalR()

    with pytest.raises(ConfigurationError, match=keyword.replace("_", "[_ ]")):
        SignalR(**options) if place == "SignalR" else signalr.hub("chat", **options)


@pytest.mark.parametrize("place", ["SignalR", "hub"])
def test_what_can_be_read_only_once_serves_every_app(place: str) -> None:
    options: Any = {
        "allowed_origins": (f"https://{host}.example" for host in ("page", "other")),
        "auth": (Says(principal) for principal in (ADA, BOB)),
    }
    signalr = SignalR(**options if place == "SignalR" else {})
    signalr.hub("chat", **options if place == "hub" else {})

    answers = [negotiate(create_app(signalr), headers={"Origin": "https://other.example"}) for _ in range(2)]

    assert [service_claims(answer)["asrs.s.uid"] for answer in answers] == ["ada", "ada"]


def test_changing_a_list_after_the_declaration_changes_nothing() -> None:
    """What was checked is what holds."""
    origins, schemes = ["https://page.example"], [Says(None)]
    signalr = SignalR(allowed_origins=origins, auth=schemes)
    signalr.hub("chat")
    origins.append("https://evil.example")
    schemes.append(Says(ADA))

    answers = [negotiate(create_app(signalr), headers={"Origin": origin}) for origin in origins]

    assert [answer.status_code for answer in answers] == [401, 403]


class Remembers(AuthScheme):
    """A scheme that remembers the apps that it was set up for, and refuses some."""

    def __init__(self, *refused: Flask) -> None:
        self.apps: list[Flask] = []
        self._refused = refused

    def init_app(self, app: Flask) -> None:
        if app in self._refused:
            raise ConfigurationError("this app will not do")
        self.apps.append(app)

    def authenticate(self, request: Request) -> None:
        return None


def test_each_scheme_is_set_up_once_for_each_app() -> None:
    """Those of the defaults, of a hub, and of a hub that is declared later."""
    default, own, later = Remembers(), Remembers(), Remembers()
    signalr = SignalR(auth=[default, own])
    signalr.hub("chat", auth=[own, default])
    apps = [create_app(signalr), create_app(signalr)]

    signalr.hub("later", auth=[later, own])

    assert default.apps == own.apps == apps
    assert sorted(map(id, later.apps)) == sorted(map(id, apps))


def test_a_scheme_that_cannot_work_stops_init_app_and_leaves_the_app_as_it_was() -> None:
    app = Flask(__name__)
    app.config["SIGNALR_CONNECTION_STRING"] = CONNECTION_STRING
    signalr = SignalR()
    signalr.hub("chat", auth=[Remembers(app)])

    with pytest.raises(ConfigurationError, match="will not do"):
        signalr.init_app(app)

    assert not app.blueprints
    assert "signalr" not in app.extensions


def test_a_scheme_that_cannot_work_stops_the_declaration_of_its_hub() -> None:
    app = create_app()
    signalr = SignalR(app)

    with pytest.raises(ConfigurationError, match="will not do"):
        signalr.hub("chat", auth=[Remembers(app)])

    signalr.hub("chat", allow_anonymous=True)
    assert negotiate(app).status_code == 200
