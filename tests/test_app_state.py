"""What the extension keeps for one app."""

from math import inf
from threading import Thread
from urllib.parse import urlsplit

import pytest
from flask import Flask, request

from flask_signalr import (
    AuthorizationDenied,
    Claims,
    CookieAuth,
    HubNotFound,
    Principal,
    ServiceRequest,
    ServiceResponse,
    SignalR,
)
from flask_signalr.app_state import LONGEST_KEPT, AppState
from flask_signalr.config import Settings
from flask_signalr.configured import LONGEST_WINDOW_IN_MEMORY, Configured
from flask_signalr.hub import Declaration
from flask_signalr.hub_options import HubKeywords
from tests.apps import ACCESS_KEY, CONNECTION_STRING, OTHER_CONNECTION_STRING

SETTINGS = Settings.from_config(
    {"SIGNALR_CONNECTION_STRING": CONNECTION_STRING, "SIGNALR_ALLOWED_ORIGINS": "https://page.example"}
)


def state_with(declarations: dict[str, HubKeywords], defaults: HubKeywords | None = None) -> AppState:
    defaults = defaults or {}
    declared = {name: Declaration(defaults | keywords) for name, keywords in declarations.items()}
    return AppState(Flask(__name__), SETTINGS, declared, defaults)


class Reloading:
    """An app whose configuration moves to another service; it tells which one everything of a request goes to."""

    def __init__(self) -> None:
        self.app = Flask(__name__)
        self._configure("old")
        self.signalr = SignalR(self.app)
        self.chat = self.signalr.hub("chat")
        self._asked: list[str] = []
        self.app.extensions["signalr"].use_transport(self._answer)

    def _configure(self, name: str) -> None:
        self.app.config["SIGNALR_CONNECTION_STRING"] = f"Endpoint=https://{name}.service.example;AccessKey={ACCESS_KEY}"
        self.app.config["SIGNALR_ALLOWED_ORIGINS"] = f"https://{name}.service.example"

    def _answer(self, request: ServiceRequest) -> ServiceResponse:
        self._asked.append(urlsplit(request.url).hostname or "")
        return ServiceResponse(202, {}, b"")

    def here(self) -> None:
        """Take the new settings."""
        self._configure("new")
        self.signalr.reload(self.app)

    def elsewhere(self) -> None:
        """Take the new settings, as another request or a thread of the app's would."""
        thread = Thread(target=self.here)
        thread.start()
        thread.join()

    def sent(self) -> set[str]:
        """Return the hosts that all that an app can use leads to."""
        self._asked.clear()
        self.chat.clients.all.send("news")
        self.app.extensions["signalr"].service.hub("chat").all.send("news")
        state: AppState = self.app.extensions["signalr"]
        to = {urlsplit(endpoint.url).hostname or "" for endpoint in self.signalr.endpoints.all}
        to |= {urlsplit(endpoint.url).hostname or "" for endpoint in state.settings.endpoints}
        to |= {origin.removeprefix("https://") for origin in state.options.origins}
        return to | {*self._asked, urlsplit(self.chat.negotiate("ada").url).hostname or ""}


@pytest.fixture
def reloading() -> Reloading:
    return Reloading()


def test_a_hub_is_made_once() -> None:
    """Its warnings are counted in it, and a negotiate must not pay for its checks again."""
    state = state_with({"chat": {}})

    assert state.hub("chat") is state.hub("chat")


def test_what_is_warned_of_once_is_not_warned_of_again_after_a_reload(caplog: pytest.LogCaptureFixture) -> None:
    state = state_with({"chat": {}})
    nameless = Principal(None, Claims((("role", "staff"),)), scheme="Cookie")
    state.hub("chat").user_id(nameless)

    state.reload(SETTINGS)
    state.hub("chat").user_id(nameless)

    assert caplog.text.count("finds no id in a principal") == 1


def test_a_request_in_flight_keeps_everything_that_it_had(reloading: Reloading) -> None:
    """Half of its messages at one service and half at another would be an order that nobody gave."""
    with reloading.app.test_request_context():
        before = reloading.sent()
        reloading.elsewhere()
        after = reloading.sent()
    with reloading.app.test_request_context():
        in_the_next = reloading.sent()

    assert before == after == {"old.service.example"}
    assert in_the_next == {"new.service.example"}


def test_the_request_that_reloads_goes_on_with_what_it_asked_for(reloading: Reloading) -> None:
    with reloading.app.test_request_context():
        before = reloading.sent()
        reloading.here()
        after = reloading.sent()

    assert (before, after) == ({"old.service.example"}, {"new.service.example"})


def test_a_request_that_never_ends_goes_on_with_the_new_settings_after_a_while() -> None:
    """An event stream would sign with a key that is long gone, and know nothing of endpoints that went down."""
    now = 1000.0
    app = Flask(__name__)
    other = Settings.from_config({"SIGNALR_CONNECTION_STRING": OTHER_CONNECTION_STRING})
    state = AppState(app, SETTINGS, {}, {}, lambda: now)
    reload = Thread(target=state.reload, args=(other,))

    with app.test_request_context():
        seen = [state.settings]
        reload.start()
        reload.join()
        now += LONGEST_KEPT
        seen.append(state.settings)
        now += 1
        seen.append(state.settings)

    assert seen == [SETTINGS, SETTINGS, other]


def test_settings_that_nobody_gave_an_end_have_one_too() -> None:
    """Two threads that reload at once tell the end of one of the settings that they replace."""
    now = 1000.0
    app = Flask(__name__)
    other = Settings.from_config({"SIGNALR_CONNECTION_STRING": OTHER_CONNECTION_STRING})
    state = AppState(app, SETTINGS, {}, {}, lambda: now)

    with app.test_request_context():
        seen = [state.settings]
        reload = Thread(target=state.reload, args=(other,))
        reload.start()
        reload.join()
        (pinned,) = (each for each in request.environ.values() if isinstance(each, Configured))
        pinned.kept_until = inf
        seen.append(state.settings)
        now += LONGEST_KEPT + 1
        seen.append(state.settings)

    assert seen == [SETTINGS, SETTINGS, other]


def test_a_client_cannot_choose_the_settings_of_its_request(reloading: Reloading) -> None:
    """What a request keeps stands in its environment, beside the client's headers."""
    state: AppState = reloading.app.extensions["signalr"]
    kept = f"flask_signalr.configured.{id(state)}"

    with reloading.app.test_request_context(f"/?{kept}=x", headers={kept: "x"}):
        assert reloading.sent() == {"old.service.example"}


def test_two_apps_that_share_a_request_have_each_its_own_settings() -> None:
    """As where one app calls another with its own environment."""
    apps = [Flask("one"), Flask("two")]
    for app, text in zip(apps, (CONNECTION_STRING, OTHER_CONNECTION_STRING), strict=True):
        app.config["SIGNALR_CONNECTION_STRING"] = text
    one, two = (SignalR(app).hub("chat") for app in apps)

    with apps[0].test_request_context():
        first = one.negotiate("ada").url
        with apps[1].request_context(request.environ):
            second = two.negotiate("ada").url

    assert first.startswith(SETTINGS.endpoints[0].url)
    assert not second.startswith(SETTINGS.endpoints[0].url)


def test_outside_of_requests_a_reload_is_heeded_at_once(reloading: Reloading) -> None:
    """A background job never ends."""
    with reloading.app.app_context():
        before = reloading.sent()
        reloading.elsewhere()
        after = reloading.sent()

    assert (before, after) == ({"old.service.example"}, {"new.service.example"})


def test_a_refusal_that_began_before_a_reload_is_told_to_the_pages_of_that_time(reloading: Reloading) -> None:
    app = reloading.app

    def refuse(principal: Principal) -> str:
        reloading.elsewhere()
        raise AuthorizationDenied("not now")

    reloading.signalr.hub("gated", allow_anonymous=True, user_id_provider=refuse)
    origin = {"Origin": "https://old.service.example"}
    first, second = (app.test_client().post("/gated/negotiate", headers=origin) for _ in range(2))

    assert first.headers["Access-Control-Allow-Origin"] == "https://old.service.example"
    assert "Access-Control-Allow-Origin" not in second.headers


def test_a_hub_may_be_declared_at_any_time() -> None:
    declarations: dict[str, Declaration] = {}
    state = AppState(Flask(__name__), SETTINGS, declarations, {})
    with pytest.raises(HubNotFound):
        state.hub("chat")
    declarations["chat"] = Declaration({"allow_anonymous": True})

    assert state.hub("chat").options.allow_anonymous


def test_a_hub_that_is_declared_later_is_found_by_its_name_at_the_service() -> None:
    """The table of these names is made at the first request, and modules may be imported after that."""
    declarations = {"chat": Declaration({})}
    state = AppState(Flask(__name__), SETTINGS, declarations, {})
    state.hub_at_service("chat", {})
    declarations["News"] = Declaration({})

    assert state.hub_at_service("news", {}).name == "News"
    assert state.hub_at_service("chat", {}).name == "chat"


@pytest.mark.parametrize(
    ("window", "store_url", "warned"),
    [
        (LONGEST_WINDOW_IN_MEMORY, "memory://", False),
        (LONGEST_WINDOW_IN_MEMORY + 1, "memory://", True),
        (LONGEST_WINDOW_IN_MEMORY + 1, "redis://localhost:1/0", False),
    ],
)
def test_a_window_that_memory_will_not_hold_is_warned_about(
    window: int, store_url: str, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Calls beyond it are refused, which nobody should learn from the first busy day."""
    config = {
        "SIGNALR_CONNECTION_STRING": CONNECTION_STRING,
        "SIGNALR_UPSTREAM_REPLAY_WINDOW": window,
        "SIGNALR_STORE_URL": store_url,
    }

    AppState(Flask(__name__), Settings.from_config(config), {}, {})

    assert ("SIGNALR_UPSTREAM_REPLAY_WINDOW" in caplog.text) == warned


def test_a_warning_comes_once_however_often_the_configuration_is_read(caplog: pytest.LogCaptureFixture) -> None:
    """A thread may read it each minute."""
    config = {"SIGNALR_CONNECTION_STRING": CONNECTION_STRING, "SIGNALR_TOKEN_SOURCE": "service"}
    settings = Settings.from_config(config)
    state = AppState(Flask(__name__), settings, {}, {})

    state.reload(settings)

    assert caplog.text.count("SIGNALR_TOKEN_SOURCE=service has no effect") == 1


@pytest.mark.parametrize("name", ["", "Chat", "chat ", "__class__", "chat/negotiate", "\ud800"])
def test_there_is_no_hub_but_those_declared(name: str) -> None:
    with pytest.raises(HubNotFound) as refusal:
        state_with({"chat": {}}).hub(name)

    assert not name or name not in str(refusal.value)


def test_asking_for_hubs_that_do_not_exist_fills_no_memory() -> None:
    """Denial of service: a table that grows with what strangers ask for."""
    state = state_with({"chat": {}})

    for number in range(100):
        with pytest.raises(HubNotFound):
            state.hub(f"x{number}")

    assert all(len(value) <= 1 for value in vars(state).values() if isinstance(value, dict))


def test_a_hubs_keywords_go_before_the_defaults_and_these_before_the_settings() -> None:
    cookie = CookieAuth(lambda: None)
    state = state_with(
        {"chat": {"access_token_lifetime": 60}, "news": {}}, {"access_token_lifetime": 90, "auth": [cookie]}
    )

    chat, news = state.hub("chat").options, state.hub("news").options

    assert (chat.access_token_lifetime, news.access_token_lifetime) == (60, 90)
    assert chat.auth == news.auth == (cookie,)
    assert chat.origins == news.origins == {"https://page.example"}


def test_a_hub_that_is_not_declared_would_have_the_defaults() -> None:
    """So the refusal can be read by the pages that may ask."""
    state = state_with({"chat": {"allowed_origins": []}})

    assert state.options.origins == {"https://page.example"}
    assert state.hub("chat").options.origins == frozenset()


def test_apps_of_one_extension_share_declarations_and_nothing_else() -> None:
    declarations = {"chat": Declaration({})}
    other = Settings.from_config({"SIGNALR_CONNECTION_STRING": OTHER_CONNECTION_STRING})

    one, two = (AppState(Flask(__name__), settings, declarations, {}) for settings in (SETTINGS, other))

    assert one.hub("chat") is not two.hub("chat")
    assert one.hub("chat").settings is SETTINGS
    assert two.hub("chat").settings is other


def test_no_repr_shows_the_key() -> None:
    """Error reports print the values of an app's extensions."""
    state = state_with({"chat": {}})

    shown = repr([state, vars(state), state.hub("chat"), state.settings, state.options])

    assert ACCESS_KEY not in shown
