"""Sign-in by cookie: whoever is signed in to the app, as Flask-Login or a function of the app says."""

import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask, request, session
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, UserMixin, login_user, logout_user
from werkzeug.test import TestResponse

from flask_signalr import (
    AuthenticationFailed,
    BearerAuth,
    CookieAuth,
    MissingExtra,
    Principal,
    SignalR,
    by_claim,
    by_email,
    everything,
    user_principal,
)
from flask_signalr.errors import ConfigurationError
from tests.apps import bearer_headers, body, create_app, service_claims
from tests.signing import SECRET


@dataclass(eq=False)
class User(UserMixin):  # type: ignore[misc] # published without types
    id: str
    email: str | None = None
    roles: list[Any] = field(default_factory=list)
    active: bool = True

    @property
    def is_active(self) -> bool:
        return self.active


@dataclass
class Role:
    """A role as database models have it."""

    name: str


USERS = {
    "ada": User("ada", "Ada@Example.org", ["staff", Role("admin")]),
    "bob": User("bob"),
    "eve": User("eve", active=False),
}


def login_app(protection: str | None = "basic", scheme: CookieAuth | None = None, **options: Any) -> Flask:
    """Return an app with Flask-Login, a view to sign in, and the hub ``chat`` for who has done so."""
    signalr = SignalR(auth=[scheme or CookieAuth()], **options)
    signalr.hub("chat")
    signalr.hub("open", allow_anonymous=True)
    app = create_app(signalr)
    login = LoginManager(app)
    login.session_protection = protection
    login.login_view = "/login"
    login.user_loader(USERS.get)

    @app.post("/login/<name>")
    @app.post("/login/<name>/<remember>")
    def sign_in(name: str, remember: str | None = None) -> ResponseReturnValue:
        login_user(USERS[name], remember=remember is not None, force=True)
        return {"fresh": session["_fresh"]}

    @app.post("/logout")
    def sign_out() -> ResponseReturnValue:
        logout_user()
        return {}

    return app


def signed_in(app: Flask, path: str = "/login/ada") -> FlaskClient:
    client = app.test_client()
    client.post(path)
    return client


def login_manager(app: Flask) -> LoginManager:
    return app.login_manager  # type: ignore[attr-defined] # where Flask-Login keeps it


def connect(client: FlaskClient, hub: str = "chat", **headers: str) -> TestResponse:
    return client.post(f"/{hub}/negotiate?negotiateVersion=1", headers=headers)


# With Flask-Login.


def test_a_signed_in_user_connects_with_nothing_else_to_do() -> None:
    claims = service_claims(connect(signed_in(login_app())))

    assert claims["asrs.s.uid"] == "ada"
    assert claims["asrs.s.aut"] == "Cookie"


def test_nobody_else_connects() -> None:
    answer = connect(login_app().test_client())

    assert (answer.status_code, body(answer)) == (401, {"error": "sign in to connect"})
    assert "WWW-Authenticate" not in answer.headers
    assert "Location" not in answer.headers


def test_who_has_signed_out_connects_no_more() -> None:
    client = signed_in(login_app())
    client.post("/logout")

    assert connect(client).status_code == 401


def test_the_remember_me_cookie_alone_signs_in() -> None:
    """A browser that was closed has lost the session and kept this cookie."""
    client = signed_in(login_app(), "/login/ada/remember")
    client.delete_cookie("session")

    assert service_claims(connect(client))["asrs.s.uid"] == "ada"


def test_a_remembered_user_who_is_not_fresh_connects() -> None:
    client = signed_in(login_app(), "/login/ada/remember")
    client.delete_cookie("session")
    connect(client)

    with client.session_transaction() as current:
        assert current["_fresh"] is False

    assert service_claims(connect(client))["asrs.s.uid"] == "ada"


@pytest.mark.parametrize("cookie", ["ada|forged", "ada|" + "0" * 128, "ada", "|", ""])
def test_forging_a_remember_me_cookie_fails(cookie: str) -> None:
    client = login_app().test_client()
    client.set_cookie("remember_token", cookie)

    assert connect(client).status_code == 401


@pytest.mark.parametrize("hub", ["chat", "open"])
@pytest.mark.parametrize(
    "cookie", ["remember_token=ada|\xff", 'remember_token="ada|\\303\\244"'], ids=["raw", "quoted"]
)
def test_crashing_the_sign_in_with_a_remember_me_cookie_fails(cookie: str, hub: str) -> None:
    """Flask-Login hands the digest to ``hmac.compare_digest``, which wants ASCII: unreadable is refused, no 500."""
    client = login_app().test_client(use_cookies=False)

    answer = client.post(f"/{hub}/negotiate", headers={"Cookie": cookie})

    assert answer.status_code == 401
    assert "remember-me cookie" in body(answer)["error"]


def test_a_fault_in_the_apps_user_loader_is_the_apps() -> None:
    app = login_app()
    client = signed_in(app)

    def load(user_id: str) -> UserMixin:
        raise TypeError("a fault in the program")

    login_manager(app).user_loader(load)

    assert connect(client).status_code == 500


def test_stealing_a_session_cookie_fails_where_the_app_protects_it() -> None:
    """Session protection ``strong`` ties the session to the browser; another one brings the cookie in vain."""
    app = login_app("strong")
    ada = app.test_client()
    ada.post("/login/ada", headers={"User-Agent": "hers"})

    mine, stolen = connect(ada, **{"User-Agent": "hers"}), connect(ada, **{"User-Agent": "his"})

    assert (mine.status_code, stolen.status_code) == (200, 401)


def test_forging_a_session_cookie_fails() -> None:
    other = create_app(SECRET_KEY="another secret")
    forged = other.session_interface.get_signing_serializer(other).dumps({"_user_id": "ada"})  # type: ignore[attr-defined]
    client = login_app().test_client()
    client.set_cookie("session", forged)

    assert connect(client).status_code == 401


def test_the_apps_request_loader_signs_in() -> None:
    app = login_app()

    login_manager(app).request_loader(lambda request: USERS.get(request.headers.get("X-Api-Key")))

    bob, stranger = connect(app.test_client(), **{"X-Api-Key": "bob"}), connect(app.test_client())

    assert service_claims(bob)["asrs.s.uid"] == "bob"
    assert stranger.status_code == 401


@pytest.mark.parametrize("hub", ["chat", "open"])
def test_connecting_with_a_deactivated_account_fails(hub: str) -> None:
    """Its session may still be good; at an open hub it must not pass for a stranger either."""
    answer = connect(signed_in(login_app(), "/login/eve"), hub)

    assert (answer.status_code, body(answer)["error"]) == (401, "this account is not active")


def test_an_open_hub_takes_strangers_and_knows_users() -> None:
    app = login_app()

    stranger, ada = connect(app.test_client(), "open"), connect(signed_in(app), "open")

    assert "asrs.s.uid" not in service_claims(stranger, "open")
    assert service_claims(ada, "open")["asrs.s.uid"] == "ada"


def test_a_bearer_token_can_come_first() -> None:
    """The order of the list decides who a caller with two identities is."""
    app = login_app(scheme=None)
    first_token = SignalR(auth=[BearerAuth(SECRET), CookieAuth()])
    first_token.hub("chat")
    other = create_app(first_token)
    LoginManager(other).user_loader(USERS.get)
    cookie = signed_in(app).get_cookie("session")
    assert cookie
    client = other.test_client()
    client.set_cookie("session", cookie.value)

    with_both = connect(client, **bearer_headers("bob"))
    with_cookie = connect(client)

    assert service_claims(with_both)["asrs.s.uid"] == "bob"
    assert service_claims(with_cookie)["asrs.s.uid"] == "ada"


def test_without_a_login_manager_nobody_connects_and_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    signalr = SignalR(auth=[CookieAuth()])
    signalr.hub("chat", allow_anonymous=True)

    answer = connect(create_app(signalr).test_client())

    assert answer.status_code == 500
    assert "LoginManager(app)" in caplog.text


def test_without_flask_login_installed_configuration_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the first request: the program does not start."""
    monkeypatch.setitem(sys.modules, "flask_login", None)

    with pytest.raises(MissingExtra, match=r"^CookieAuth\(\) needs .*pip install 'flask-signalr\[login\]'$"):
        CookieAuth()


def test_a_function_of_ones_own_needs_no_flask_login() -> None:
    """A process of its own, in which nobody has imported it before."""
    program = (
        "import sys; sys.modules['flask_login'] = None; import flask_signalr; flask_signalr.CookieAuth(lambda: None)"
    )

    subprocess.run([sys.executable, "-c", program], check=True)


# With a function of the app.


@dataclass
class Account:
    """A user object of an app that has no Flask-Login."""

    number: int
    name: str | None = None
    username: str | None = None

    def get_id(self) -> int:
        return self.number


class Guest(Account):
    is_authenticated = False


class Pending(Account):
    """Has given a password and no second factor."""

    is_authenticated = False
    is_anonymous = False


def authenticate(user: Any, **options: Any) -> Principal | None:
    with Flask(__name__).test_request_context() as context:
        return CookieAuth(lambda: user, **options).authenticate(context.request)


def test_a_text_is_the_users_name() -> None:
    assert authenticate("ada") == Principal("ada", scheme="Cookie")


def test_nobody_is_none() -> None:
    assert authenticate(None) is None


@pytest.mark.parametrize("user", [Guest(7), Pending(7)], ids=["guest", "no second factor"])
def test_who_is_not_authenticated_is_nobody(user: Account) -> None:
    """An object is there, and it says itself that it proves nothing."""
    assert authenticate(user) is None


def test_the_function_may_read_the_session() -> None:
    signalr = SignalR(auth=[CookieAuth(lambda: session.get("user_name"))])
    signalr.hub("chat")
    client = create_app(signalr).test_client()
    stranger = connect(client)
    with client.session_transaction() as current:
        current["user_name"] = "ada"

    answer = connect(client)

    assert stranger.status_code == 401
    assert service_claims(answer)["asrs.s.uid"] == "ada"


def test_the_function_may_refuse() -> None:
    def load() -> str:
        raise AuthenticationFailed("your session was ended by an administrator")

    signalr = SignalR(auth=[CookieAuth(load)])
    signalr.hub("chat", allow_anonymous=True)

    answer = connect(create_app(signalr).test_client())

    assert (answer.status_code, body(answer)["error"]) == (401, "your session was ended by an administrator")


# What of a user becomes known.


def test_a_user_has_the_claims_that_its_attributes_say() -> None:
    assert user_principal(USERS["ada"]) == Principal(
        "ada", [("email", "Ada@Example.org"), ("role", "staff"), ("role", "admin")], scheme="Cookie"
    )


@pytest.mark.parametrize(
    ("user", "claims"),
    [
        (Account(7), {}),
        (Account(7, name="Ada"), {"name": "Ada"}),
        (Account(7, username="ada"), {"name": "ada"}),
        (Account(7, name="Ada", username="ada"), {"name": "Ada"}),
        (User("7", roles=["staff"]), {"role": ["staff"]}),
        (User("7", roles=[Role("a"), 5, None, "b"]), {"role": ["a", "b"]}),
        (User("7", roles="staff"), {}),  # type: ignore[arg-type]
        (User("7", roles=5), {}),  # type: ignore[arg-type]
        (User("7", email=5), {}),  # type: ignore[arg-type]
    ],
    ids=str,
)
def test_attributes_that_are_not_there_or_not_texts_are_no_claims(user: Any, claims: dict[str, Any]) -> None:
    assert user_principal(user) == Principal("7", claims, scheme="Cookie")


@pytest.mark.parametrize("user", [object(), 7, True, {"id": "ada"}, b"ada"], ids=repr)
def test_an_object_without_an_id_is_nobodys(user: object) -> None:
    with pytest.raises(TypeError, match=r"get_id.*to_principal"):
        authenticate(user)


@pytest.mark.parametrize("identifier", [None, ""])
def test_sharing_the_id_of_users_without_one_fails(identifier: Any) -> None:
    """User id collision: rows that are not saved yet would all be the user ``None`` and read each other's messages."""
    with pytest.raises(TypeError, match="names nobody"):
        authenticate(User(identifier))


def test_the_app_may_make_the_principal_itself() -> None:
    def account_principal(account: Account) -> Principal:
        return Principal(f"account-{account.number}", {"department": "sales"}, scheme="Portal")

    principal = authenticate(Account(7), to_principal=account_principal)

    assert principal == Principal("account-7", {"department": "sales"}, scheme="Portal")


@pytest.mark.parametrize(
    ("provider", "user_id"), [(None, "ada"), (by_email, "ada@example.org"), (by_claim("role"), "staff")]
)
def test_the_user_id_can_be_any_claim_of_the_user(provider: Any, user_id: str) -> None:
    options = {"user_id_provider": provider} if provider else {}

    claims = service_claims(connect(signed_in(login_app(**options))))

    assert claims["asrs.s.uid"] == user_id


def test_claims_enter_the_token_only_through_the_filter() -> None:
    quiet, open_hearted = login_app(), login_app(claims_filter=everything)

    without, with_claims = service_claims(connect(signed_in(quiet))), service_claims(connect(signed_in(open_hearted)))

    assert "role" not in without
    assert (with_claims["role"], with_claims["email"]) == (["staff", "admin"], "Ada@Example.org")


# The session.


@pytest.mark.parametrize("hub", ["open", "robots"])
def test_a_hub_without_cookies_does_not_touch_the_session(hub: str) -> None:
    """Reading it costs, and makes the answer vary by cookie."""
    signalr = SignalR()
    signalr.hub("open", allow_anonymous=True)
    signalr.hub("robots", auth=[BearerAuth(SECRET)])
    client = create_app(signalr).test_client()
    with client.session_transaction() as current:
        current["user_name"] = "ada"

    answer = connect(client, hub, **bearer_headers("cleaner") if hub == "robots" else {})

    assert service_claims(answer, hub)
    assert answer.headers["Vary"] == "Origin"
    assert "Set-Cookie" not in answer.headers


def test_an_answer_that_a_cookie_decided_varies_by_cookie() -> None:
    answer = connect(signed_in(login_app()))

    assert {"Origin", "Cookie"} <= set(", ".join(answer.headers.getlist("Vary")).split(", "))


@pytest.mark.parametrize("nobody", [None, "", 0, False, {}], ids=repr)
def test_connecting_with_an_empty_session_value_fails(nobody: object) -> None:
    """Apps keep all of these for "nobody is signed in"; none of them is a user, and none a fault."""
    signalr = SignalR(auth=[CookieAuth(lambda: nobody)])
    signalr.hub("chat")

    assert create_app(signalr).test_client().post("/chat/negotiate").status_code == 401


def test_a_keyword_that_is_no_function_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError, match="takes functions, not 'session'"):
        CookieAuth("session")  # type: ignore[arg-type]


async def nobody() -> None:
    """Nobody is signed in."""


def find() -> Any:
    return nobody()


class Finds:
    async def __call__(self) -> None:
        """Nobody is signed in."""


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_a_coroutine_passes_for_no_user() -> None:
    """It is true, whoever it would have found, and a lenient ``to_principal`` takes it for a user."""
    scheme = CookieAuth(find, to_principal=lambda user: Principal("somebody"))

    with Flask(__name__).test_request_context(), pytest.raises(TypeError, match="returned a coroutine: give it the"):
        scheme.authenticate(request)


def test_an_object_that_is_called_asynchronously_is_awaited() -> None:
    scheme = CookieAuth(Finds(), to_principal=lambda user: Principal("somebody"))

    with Flask(__name__).test_request_context():
        assert scheme.authenticate(request) is None


def test_an_async_function_finds_the_user_as_an_async_view_would() -> None:
    async def load_user() -> str:
        return "ada"

    signalr = SignalR(auth=[CookieAuth(load_user)])
    signalr.hub("chat")

    assert service_claims(create_app(signalr).test_client().post("/chat/negotiate"))["asrs.s.uid"] == "ada"
