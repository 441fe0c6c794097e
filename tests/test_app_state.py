"""What the extension keeps for one app."""

import pytest
from flask import Flask

from flask_signalr import Claims, CookieAuth, HubNotFound, Principal
from flask_signalr.app_state import AppState
from flask_signalr.config import Settings
from flask_signalr.configured import LONGEST_WINDOW_IN_MEMORY
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
    state.hub_at_service("chat")
    declarations["News"] = Declaration({})

    assert state.hub_at_service("news").name == "News"
    assert state.hub_at_service("chat").name == "chat"


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
