"""The URL of a store: what is wrong is said, and no password is shown."""

import subprocess
import sys

import pytest

from flask_signalr import SignalR
from flask_signalr.errors import ConfigurationError, MissingExtra
from flask_signalr.stores.memory import MemoryStore
from flask_signalr.stores.store_settings import StoreSettings
from flask_signalr.stores.store_url import store_from_url
from tests.apps import create_app

SECRET = "hunter2"


def test_memory_is_a_store() -> None:
    assert isinstance(store_from_url("memory://"), MemoryStore)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"redis://:{SECRET}@cache.example:6379/1", "RedisStore('redis://cache.example:6379/1')"),
        (f"rediss://ada:{SECRET}@cache.example:6380", "RedisStore('rediss://cache.example:6380')"),
        ("redis://[::1]", "RedisStore('redis://[::1]')"),
        (f"unix://:{SECRET}@/run/redis.sock?db=2", "RedisStore('unix:///run/redis.sock')"),
    ],
)
def test_a_redis_is_a_store_and_shows_no_password(url: str, shown: str) -> None:
    assert repr(store_from_url(url)) == shown


@pytest.mark.parametrize(
    "url",
    [
        "",
        SECRET,
        f"http://:{SECRET}@cache.example",
        f"{SECRET}:6379",
        f"redis:{SECRET}",
        f"redis://:{SECRET}@",
        f"redis://:{SECRET}@cache.example:port",
        f"redis://:{SECRET}@cache.example:99999",
        f"redis://:{SECRET}@cache.example:0",
        f"redis://:{SECRET}@cache.example/chat",
        f"redis://:12/{SECRET}@cache.example",
        f"redis://:?{SECRET}@cache.example",
        "redis://cache.example/\N{ARABIC-INDIC DIGIT THREE}",
        f"redis://cache.example#{SECRET}",
        f"redis://cache.example?decode_responses={SECRET}",
        f"redis://cache.example?db={SECRET}",
        f"redis://[{SECRET}",
        f"unix://{SECRET}",
        f"unix://:{SECRET}@",
        f"memory://{SECRET}",
        f"memory:?{SECRET}",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_showing_it(url: str) -> None:
    """A password in the wrong place must not end in a log."""
    with pytest.raises(ConfigurationError, match=r"give memory:// .*redis://") as refusal:
        store_from_url(url)

    assert SECRET not in str(refusal.value)
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize("prefix", ["", "a b", "{chat}", "x\n", "é", "x" * 65])
def test_a_prefix_is_a_plain_word(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="prefix"):
        store_from_url("memory://", prefix)


def test_an_app_with_a_wrong_store_does_not_start() -> None:
    with pytest.raises(ConfigurationError, match=r"^SIGNALR_STORE_URL: ") as refusal:
        create_app(SignalR(), SIGNALR_STORE_URL=f"redis:/{SECRET}")

    assert SECRET not in str(refusal.value)


def test_settings_show_no_password() -> None:
    assert SECRET not in repr(StoreSettings(f"redis://:{SECRET}@cache.example"))


def test_without_redis_py_the_configuration_names_the_extra() -> None:
    program = (
        "import sys; sys.modules['redis'] = None\n"
        "from flask_signalr.stores.store_settings import StoreSettings\n"
        "from flask_signalr.errors import MissingExtra\n"
        "from flask_signalr.stores.store_url import store_from_url\n"
        "StoreSettings('memory://').open()\n"
        "try: StoreSettings('redis://cache.example').open()\n"
        "except MissingExtra as exc: print(exc.extra, exc)\n"
        "try: store_from_url('redis://cache.example')\n"
        "except MissingExtra as exc: print(exc)"
    )

    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    by_key, by_url = MissingExtra("SIGNALR_STORE_URL", "redis"), MissingExtra("a store in Redis", "redis")
    assert run.stdout == f"redis {by_key}\n{by_url}\n"
