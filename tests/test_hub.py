"""Hubs: user ids, the guard of user ids, warnings, and negotiating without a request."""

import logging
from typing import Any, cast

import jwt
import pytest
from flask import Flask

from flask_signalr import (
    ANONYMOUS,
    AccessTokenTooLong,
    Claims,
    EndpointRouter,
    InvalidClaim,
    Invocation,
    Principal,
    ServiceEndpoint,
    SignalR,
    TokenOptions,
    by_claim,
    everything,
    only,
)
from flask_signalr.errors import ConfigurationError
from flask_signalr.hub import Hub
from tests.apps import (
    ACCESS_KEY,
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

ADA = Principal("ada", {"email": "ada@example.org", "role": ["staff", "admin"]}, scheme="Test")
BOB = Principal("bob", {"email": "bob@example.org", "role": ["staff"]}, scheme="Test")
by_oid = by_claim("oid")


def app_with(principal: Principal | None = ADA, config: dict[str, Any] | None = None, **options: Any) -> Flask:
    """Return an app whose hub ``chat`` takes everybody for this principal."""
    signalr = SignalR(auth=[Says(principal)])
    signalr.hub("chat", **options)
    return create_app(signalr, **config or {})


def mounted_hub(**options: Any) -> tuple[Hub, Flask]:
    signalr = SignalR()
    hub = signalr.hub("chat", **options)
    return hub, create_app(signalr)


def claims_of(token: str, endpoint: str = ENDPOINT, key: str = ACCESS_KEY) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, key, ["HS256", "HS512"], audience=f"{endpoint}/client/?hub=chat")
    return claims


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


# User ids.


def test_a_user_id_is_what_the_provider_makes_of_the_principal() -> None:
    claims = service_claims(negotiate(app_with(user_id_provider=lambda principal: f"user:{principal.name}")))

    assert claims["asrs.s.uid"] == "user:ada"


def test_a_client_cannot_name_its_own_user_id() -> None:
    """User id forgery, by every way in which other systems take one."""
    answer = app_with().test_client().post(
        "/chat/negotiate?userId=bob&user_id=bob&asrs.s.uid=bob&nameid=bob",
        headers={"X-MS-SignalR-UserId": "bob", "X-MS-CLIENT-PRINCIPAL-NAME": "bob", "X-User-Id": "bob"},
        environ_overrides={"REMOTE_USER": "bob"},
    )  # fmt: skip

    assert service_claims(answer)["asrs.s.uid"] == "ada"
    assert "bob" not in str(service_claims(answer))


@pytest.mark.parametrize("returned", [7, b"ada", ["ada"], True, object()], ids=repr)
def test_a_provider_that_returns_no_text_is_a_fault_of_the_app(returned: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The number of a database row in a token would reach nobody: the service routes by text."""
    answer = negotiate(app_with(user_id_provider=lambda _: returned))

    assert answer.status_code == 500
    assert "accessToken" not in answer.text
    assert "the user_id_provider of hub 'chat' returned a" in caplog.text


def test_a_provider_that_fails_connects_nobody() -> None:
    def provider(principal: Principal) -> str:
        raise LookupError(principal.name)

    assert negotiate(app_with(user_id_provider=provider)).status_code == 500


def test_an_open_hub_gives_strangers_no_user_id() -> None:
    """All strangers with one id would be one user."""
    claims = service_claims(negotiate(app_with(None, allow_anonymous=True)))

    assert not [name for name in claims if name.startswith("asrs.s.")]


def test_a_guest_with_a_user_id_is_marked() -> None:
    """The service tells the app the user id of a connection, and not whether anybody proved it."""
    guests: dict[str, Any] = {"allow_anonymous": True, "user_id_provider": lambda caller: caller.name or "guest-7"}

    guest = service_claims(negotiate(app_with(None, **guests)))
    ada = service_claims(negotiate(app_with(**guests)))
    nobody = service_claims(negotiate(app_with(None, allow_anonymous=True)))

    assert (guest["asrs.s.uid"], guest["asrs.u.anonymous"]) == ("guest-7", "true")
    assert "asrs.u.anonymous" not in ada
    assert "asrs.u.anonymous" not in nobody


@pytest.mark.parametrize(
    "claim_type", ["sub", "nameid", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"]
)
def test_a_guest_whom_a_claim_names_is_marked_too(claim_type: str) -> None:
    """Without another user id the service takes such a claim for one, and the guest would be somebody signed in."""
    options: dict[str, Any] = {"claims_filter": lambda caller: Claims.of({claim_type: "guest-7"})}

    guest = service_claims(negotiate(app_with(None, allow_anonymous=True, **options)))

    assert guest["asrs.u.anonymous"] == "true"


@pytest.mark.parametrize("user_id", [".", "..", "a" * 1500, "é" * 700, " ada"], ids=lambda user_id: ascii(user_id[:5]))
def test_nobody_connects_whom_nobody_could_ban(user_id: str) -> None:
    """Evasion: who chooses the user id would choose one that no call of the REST API can name."""
    answer = negotiate(app_with(user_id_provider=lambda _: user_id))

    assert answer.status_code == 403
    assert "asrs.s.uid" in body(answer)["error"]


def test_a_user_id_with_a_line_break_begins_no_header_of_its_own() -> None:
    """The service prints the user id into the headers that it sends to the app."""
    answer = negotiate(app_with(user_id_provider=lambda _: "x\r\nX-ASRS-User-Claims: role: admin"))

    assert answer.status_code == 403
    assert "line breaks" in body(answer)["error"]


def test_shedding_a_ban_by_a_user_id_that_holds_its_text_fails() -> None:
    """What could be part of the user id is not believed at upstream, and so the ban would be gone."""
    mallory = Principal("mallory, banned: yes", {"banned": "yes"}, scheme="Test")

    answer = negotiate(app_with(mallory, claims_filter=everything))

    assert answer.status_code == 403
    assert "claim 'banned': the user id holds the text" in body(answer)["error"]


def test_a_user_id_may_have_a_comma() -> None:
    """Directories write ``Lovelace, Ada``."""
    ada = Principal("Lovelace, Ada", {"role": ["staff"]}, scheme="Test")

    claims = service_claims(negotiate(app_with(ada, claims_filter=everything)))

    assert (claims["asrs.s.uid"], claims["role"]) == ("Lovelace, Ada", "staff")


def test_a_display_name_forges_no_role() -> None:
    """The service prints claims into one header, between commas; so no comma of a name may get there."""
    forger = Principal("mal", {"name": "x, role: admin"}, scheme="Test")

    claims = service_claims(negotiate(app_with(forger, claims_filter=everything)))

    assert claims["name"] == "x%2C role: admin"


# The guard of user ids.


def test_taking_over_the_user_id_of_another_sign_in_fails() -> None:
    """Account collision: two providers may both vouch for a name, and mean two people."""
    asked: list[tuple[str, Principal]] = []

    def guard(user_id: str, principal: Principal) -> bool:
        asked.append((user_id, principal))
        return principal.scheme == "Portal"

    mine = negotiate(app_with(Principal("ada", scheme="Portal"), collision_guard=guard))
    theirs = negotiate(app_with(ADA, collision_guard=guard))

    assert service_claims(mine)["asrs.s.uid"] == "ada"
    assert (theirs.status_code, "another sign-in" in body(theirs)["error"]) == (403, True)
    assert asked == [("ada", Principal("ada", scheme="Portal")), ("ada", ADA)]


@pytest.mark.parametrize(
    ("answer", "kind"), [(None, "None"), (1, "an int"), ("yes", "a str"), (object(), "an object")], ids=repr
)
def test_a_guard_that_says_neither_yes_nor_no_connects_nobody(
    answer: Any, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Closed by default: an ``async`` guard returns a coroutine, which is true whatever it would have said."""
    assert negotiate(app_with(collision_guard=lambda *_: answer)).status_code == 500
    assert f"collision_guard of hub 'chat' returned {kind}, not True or False" in caplog.text


def test_the_guard_is_not_asked_without_a_user_id() -> None:
    def guard(user_id: str, principal: Principal) -> bool:
        raise AssertionError

    assert negotiate(app_with(BOB, user_id_provider=by_oid, collision_guard=guard)).status_code == 200


def test_a_guard_that_fails_connects_nobody() -> None:
    def guard(user_id: str, principal: Principal) -> bool:
        raise LookupError("the directory is gone")

    assert negotiate(app_with(collision_guard=guard)).status_code == 500


@pytest.mark.parametrize("user_id", ["", None])
def test_a_provider_that_finds_nothing_lets_no_claim_name_the_user(user_id: str | None) -> None:
    """Impersonation: without a user id of ours the service takes ``sub`` for one, and so it would with an empty one."""
    app = app_with(
        Principal("bob", {"sub": "ada"}, scheme="Test"), user_id_provider=lambda _: user_id, claims_filter=everything
    )

    claims = service_claims(negotiate(app))

    assert "asrs.s.uid" not in claims
    assert "sub" not in claims


# Warnings.


def test_a_sign_in_without_user_id_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """The types of the claims tell which provider would have found one; their values are the user's."""
    app = app_with(BOB, user_id_provider=by_oid)

    for _ in range(3):
        assert "asrs.s.uid" not in service_claims(negotiate(app))

    (warning,) = warnings_in(caplog)
    assert "'chat'" in warning
    assert "scheme Test" in warning
    assert "'email', 'role'" in warning
    assert "bob@example.org" not in warning
    assert "staff" not in warning


def test_log_forging_by_a_claims_type_fails(caplog: pytest.LogCaptureFixture) -> None:
    """Log injection: an identity provider may let its users name claims."""
    app = app_with(Principal("bob", {"x\nINFO root ada signed in\x1b[2J": 1}, scheme="Test"), user_id_provider=by_oid)

    negotiate(app)

    (warning,) = warnings_in(caplog)
    assert warning.isprintable()


def test_a_principal_without_claims_is_warned_of_too(caplog: pytest.LogCaptureFixture) -> None:
    negotiate(app_with(Principal("bob", scheme="Test"), user_id_provider=by_oid))

    (warning,) = warnings_in(caplog)
    assert "(none)" in warning


@pytest.mark.parametrize(
    ("principal", "options"),
    [(None, {"allow_anonymous": True}), (BOB, {"allow_anonymous": True, "user_id_provider": by_oid}), (ADA, {})],
    ids=["stranger", "open hub", "has an id"],
)
def test_who_needs_no_user_id_is_not_warned_of(
    principal: Principal | None, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    negotiate(app_with(principal, **options))

    assert warnings_in(caplog) == []


def test_each_hub_of_each_app_warns_for_itself(caplog: pytest.LogCaptureFixture) -> None:
    signalr = SignalR(auth=[Says(BOB)], user_id_provider=by_oid)
    signalr.hub("chat")
    signalr.hub("news")
    for app in (create_app(signalr), create_app(signalr)):
        for hub in ("chat", "news", "chat"):
            negotiate(app, hub)

    assert len(warnings_in(caplog)) == 4


def test_a_long_token_is_warned_of_once_before_it_is_too_long(caplog: pytest.LogCaptureFixture) -> None:
    """Groups grow: the warning comes while everybody still connects."""
    app = app_with(Principal("ada", {"group": "x" * 2500, "role": "staff"}), claims_filter=everything)

    for _ in range(3):
        service_claims(negotiate(app))

    (warning,) = warnings_in(caplog)
    assert "'group', 'role'" in warning
    assert "xxx" not in warning


def test_the_configuration_says_what_a_long_token_is(caplog: pytest.LogCaptureFixture) -> None:
    negotiate(app_with(config={"SIGNALR_ACCESS_TOKEN_WARNING_LENGTH": 100}))

    assert len(warnings_in(caplog)) == 1


def test_a_token_of_the_length_above_which_is_warned_is_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """The same token, once as long as the setting says and once a character longer."""
    length = len(body(negotiate(app_with()))["accessToken"])

    negotiate(app_with(config={"SIGNALR_ACCESS_TOKEN_WARNING_LENGTH": length}))
    assert warnings_in(caplog) == []

    negotiate(app_with(config={"SIGNALR_ACCESS_TOKEN_WARNING_LENGTH": length - 1}))
    assert len(warnings_in(caplog)) == 1


# Negotiating without a request.


def test_negotiate_outside_a_request_makes_what_a_client_needs() -> None:
    """The Management SDK's ``NegotiateAsync``: for code that already knows whom it serves."""
    hub, _app = mounted_hub()

    access = hub.negotiate("ada", {"role": ["staff", "admin"], "age": 36}, lifetime=300)

    claims = claims_of(access.token)
    assert access.url == f"{ENDPOINT}/client/?hub=chat"
    assert claims["asrs.s.uid"] == "ada"
    assert (claims["role"], claims["age"]) == (["staff", "admin"], 36)
    assert claims["exp"] - claims["iat"] == 300
    assert access.to_dict() == {"url": access.url, "accessToken": access.token, "availableTransports": []}


def test_negotiate_outside_a_request_forges_no_role_either() -> None:
    hub, _app = mounted_hub()

    claims = claims_of(hub.negotiate("ada", {"name": "x, role: admin"}).token)

    assert claims["name"] == "x%2C role: admin"
    assert "asrs.u.anonymous" not in claims


@pytest.mark.parametrize(
    ("user_id", "claims"), [("x\nrole: admin", {}), (None, {"sub": "x, role: admin"})], ids=["user id", "subject"]
)
def test_negotiate_outside_a_request_takes_no_user_id_that_forges(user_id: str | None, claims: dict[str, str]) -> None:
    hub, _app = mounted_hub()

    with pytest.raises(InvalidClaim):
        hub.negotiate(user_id, claims)


def test_negotiate_without_arguments_makes_an_anonymous_client() -> None:
    hub, _app = mounted_hub()

    claims = claims_of(hub.negotiate().token)

    assert set(claims) == {"aud", "exp", "iat", "nbf"}
    assert claims["exp"] - claims["iat"] == 3600


def test_negotiate_needs_no_sign_in_and_no_filter() -> None:
    """Its caller decides alone; the hub's other choices hold."""
    hub, _app = mounted_hub(
        auth=[Says(None)],
        claims_filter=only("role"),
        user_id_provider=lambda _: "nobody",
        collision_guard=lambda *_: False,
        access_token_lifetime=90,
        access_token_algorithm="HS512",
        token_options=TokenOptions(transports=("WebSockets",)),
    )

    access = hub.negotiate("ada", {"email": "ada@example.org"})

    claims = claims_of(access.token)
    assert (claims["asrs.s.uid"], claims["email"]) == ("ada", "ada@example.org")
    assert (claims["exp"] - claims["iat"], claims["asrs.s.htt"]) == (90, "1")
    assert jwt.get_unverified_header(access.token)["alg"] == "HS512"


def test_negotiate_within_a_request_belongs_to_its_app() -> None:
    """A login view may hand the connection out along with its own answer."""
    signalr = SignalR()
    hub = signalr.hub("chat")
    one = create_app(signalr)
    two = create_app(signalr, SIGNALR_CONNECTION_STRING=OTHER_CONNECTION_STRING)
    for app in (one, two):
        app.add_url_rule("/me", "me", lambda: hub.negotiate("ada").to_dict())

    first, second = (body(app.test_client().get("/me")) for app in (one, two))

    assert claims_of(first["accessToken"])["asrs.s.uid"] == "ada"
    assert claims_of(second["accessToken"], OTHER_ENDPOINT, f"another-{ACCESS_KEY}")["asrs.s.uid"] == "ada"


def test_negotiate_in_another_apps_context_takes_the_only_app_there_is() -> None:
    hub, _app = mounted_hub()
    other = create_app(SignalR())

    for context in (other.app_context(), Flask(__name__).app_context()):
        with context:
            assert hub.negotiate().url.startswith(ENDPOINT)


def test_negotiate_without_an_app_says_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match=r"not mounted in an app: call init_app\(app\)"):
        SignalR().hub("chat").negotiate()


def test_negotiate_with_several_apps_asks_which_one() -> None:
    signalr = SignalR()
    hub = signalr.hub("chat")
    one, two = create_app(signalr), create_app(signalr, SIGNALR_CONNECTION_STRING=OTHER_CONNECTION_STRING)

    with pytest.raises(ConfigurationError, match=r"several apps; use 'with app\.app_context\(\):'"):
        hub.negotiate()

    with two.app_context():
        assert hub.negotiate().url.startswith(OTHER_ENDPOINT)
    with one.app_context():
        assert hub.negotiate().url.startswith(ENDPOINT)


@pytest.mark.parametrize("lifetime", [0, -1, 60.5, "60", True, 86_401], ids=repr)
def test_negotiate_makes_no_token_of_a_lifetime_that_is_none(lifetime: Any) -> None:
    hub, _app = mounted_hub()

    with pytest.raises(ConfigurationError, match="lifetime= takes whole seconds, 1 to 86400"):
        hub.negotiate(lifetime=lifetime)


@pytest.mark.parametrize("user_id", [7, b"ada", True], ids=repr)
def test_negotiate_takes_no_number_for_a_user_id(user_id: Any) -> None:
    """The usual mistake is ``user_id=user.id``; no message would ever arrive."""
    hub, _app = mounted_hub()

    with pytest.raises(TypeError, match="user_id takes a str"):
        hub.negotiate(user_id)


@pytest.mark.parametrize(
    ("claims", "error"),
    [
        ({"asrs.s.uid": "bob"}, InvalidClaim),
        ({"x": object()}, InvalidClaim),
        ({"x": "y" * 5000}, AccessTokenTooLong),
    ],
    ids=["the service's own", "no JSON", "too long"],
)
def test_negotiate_refuses_claims_that_no_token_carries(claims: dict[str, Any], error: type[Exception]) -> None:
    hub, _app = mounted_hub()

    with pytest.raises(error):
        hub.negotiate("ada", claims)


def test_what_a_client_needs_does_not_show_its_token() -> None:
    """A repr ends in logs and error reports."""
    hub, app = mounted_hub()

    access = hub.negotiate("ada")

    assert access.token not in repr(access)
    assert ACCESS_KEY not in repr(app.extensions["signalr"].hub("chat"))


def test_nobody_is_no_principal_of_a_hub() -> None:
    """`ANONYMOUS` has neither a name nor a scheme that would show in the token."""
    assert (ANONYMOUS.name, ANONYMOUS.scheme, ANONYMOUS.is_authenticated) == (None, None, False)


# What an app's own functions return.


@pytest.mark.parametrize("returned", [None, {"role": "x"}, only], ids=repr)
def test_a_claims_filter_that_returns_no_claims_connects_nobody(returned: Any) -> None:
    """``claims_filter=only``, without its call, returns a function; a filter that forgot its return, nothing."""
    answer = negotiate(app_with(claims_filter=lambda principal: returned))

    assert answer.status_code == 500


def test_a_router_that_returns_no_endpoint_connects_nobody() -> None:
    class Lost(EndpointRouter):
        def negotiate_endpoint(self, principal: Principal, endpoints: Any) -> Any:
            return None

    assert negotiate(app_with(endpoint_router=Lost())).status_code == 500


def test_sending_clients_to_an_endpoint_that_is_not_the_apps_fails(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever runs it would get them, and their tokens; such as one of a list that the router keeps of its own."""

    class Abroad(EndpointRouter):
        def negotiate_endpoint(self, principal: Principal, endpoints: Any) -> Any:
            return ServiceEndpoint.parse(OTHER_CONNECTION_STRING, "abroad")

    answer = negotiate(app_with(endpoint_router=Abroad()))

    assert answer.status_code == 500
    assert OTHER_ENDPOINT not in answer.text
    assert "negotiate_endpoint of the endpoint_router of hub 'chat' returned endpoint 'abroad'" in caplog.text
    assert "none of the app's" in caplog.text


def test_an_endpoint_may_be_an_equal_one() -> None:
    """A router may read connection strings of its own, as long as they are the app's."""

    class Reading(EndpointRouter):
        def negotiate_endpoint(self, principal: Principal, endpoints: Any) -> Any:
            return ServiceEndpoint.parse(CONNECTION_STRING)

    assert negotiate(app_with(endpoint_router=Reading())).status_code == 200


@pytest.mark.parametrize(
    ("chosen", "fault"),
    [
        (None, "it returned None, not a list"),
        (ServiceEndpoint.parse(CONNECTION_STRING), "are a ServiceEndpoint, not a list of them"),
        (CONNECTION_STRING, "are a str, not a list of them"),
        ([None], "have None among them"),
        ([], "none of the endpoints"),
        (
            [ServiceEndpoint.parse(CONNECTION_STRING), ServiceEndpoint.parse(OTHER_CONNECTION_STRING, "abroad")],
            "abroad",
        ),
    ],
    ids=["none", "one", "text", "none in a list", "empty", "a stranger"],
)
def test_messages_go_to_the_apps_own_endpoints_or_nowhere(chosen: Any, fault: str) -> None:
    """A message that is not sent where the router says would be lost without a word."""

    class Wrong(EndpointRouter):
        def message_endpoints(self, hub: str, endpoints: Any) -> Any:
            return chosen

    hub, _app = mounted_hub(endpoint_router=Wrong())

    with pytest.raises(ConfigurationError, match=f"message_endpoints of the endpoint_router: hub 'chat': .*{fault}"):
        _ = hub.clients


def test_async_functions_of_the_app_run_as_its_async_views_do() -> None:
    """A coroutine is true and no text: taken as it is, a guard would let everybody pass."""

    class UserIds:
        async def __call__(self, principal: Principal) -> str:
            return f"async {principal.name}"

    async def claims(principal: Principal) -> Claims:
        return Claims.of({"role": "async"})

    async def guard(user_id: str, principal: Principal) -> bool:
        return user_id == "async ada"

    async def diagnosed(principal: Principal) -> bool:
        return False

    app = app_with(
        user_id_provider=cast("Any", UserIds()),
        claims_filter=claims,
        collision_guard=guard,
        token_options=TokenOptions(diagnostic_client=cast("Any", diagnosed)),
    )
    sent = service_claims(negotiate(app))

    assert (sent["asrs.s.uid"], sent["role"]) == ("async ada", "async")
    assert "asrs.s.dc" not in sent
    bob = app_with(BOB, user_id_provider=cast("Any", UserIds()), collision_guard=guard)
    assert negotiate(bob).status_code == 403


def test_a_decorator_without_its_name_registers_nothing() -> None:
    """It would put a decorator in the place of the function, and no client could call it."""
    chat = SignalR().hub("chat")

    def ping(invocation: Invocation) -> None: ...

    with pytest.raises(ConfigurationError, match=r'write @hub\.method\("ping"\)'):
        chat.method(ping)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="begins with a slash"):
        chat.method("/ping")
    for decorator in (chat.on_connected, chat.on_disconnected):
        with pytest.raises(ConfigurationError, match=rf"write @hub\.{decorator.__name__} without"):
            decorator()
