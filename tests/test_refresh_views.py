"""``POST /<hub>/refresh``: who may renew the sign-in of a connection, and each attack that it refuses."""

import asyncio
import json
import logging
import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import jwt
import pytest
from flask import Flask, session
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_signalr import (
    BearerAuth,
    ConfigurationError,
    CookieAuth,
    NegotiationRefused,
    Policy,
    Principal,
    RefreshContext,
    ServiceEndpoint,
    ServiceRequest,
    ServiceResponse,
    SignalR,
    SigningKeyUnavailable,
    everything,
    only,
    require_role,
)
from flask_signalr.app_state import AppState
from flask_signalr.claims import RESERVED_TYPES, merge_claims
from flask_signalr.rest.live_connection import REFRESH_TIMEOUT
from flask_signalr.testing import FakeConnection, FakeService
from flask_signalr.tokens import SigningKey
from tests.apps import (
    ACCESS_KEY,
    CONNECTION_STRING,
    OTHER_CONNECTION_STRING,
    Says,
    bearer_headers,
    body,
    create_app,
    negotiate,
)
from tests.recorded_service import ABSENT, RecordedService
from tests.scripted_server import LONGEST_WAIT
from tests.signing import SECRET

HOUR = 3600


def app_with(signalr: SignalR | None = None, **config: Any) -> Flask:
    """Return an app whose users renew their sign-in, a bearer token or a session."""
    if signalr is None:
        signalr = SignalR(
            auth=[BearerAuth(SECRET), CookieAuth(lambda: session.get("name"))], claims_filter=only("role")
        )
        signalr.hub("chat")
    return create_app(signalr, **{"SIGNALR_REFRESH": True, **config})


def ada(*roles: str, lifetime: int = 2 * HOUR, name: str = "ada") -> dict[str, str]:
    return bearer_headers(name, *roles, exp=int(time.time()) + lifetime)


def refresh(app: Flask, token: str | None = "t", hub: str = "chat", **options: Any) -> TestResponse:
    query = {} if token is None else {"id": token}
    return app.test_client().post(f"/{hub}/refresh", query_string=query, **options)


def refused(answer: TestResponse) -> tuple[int, dict[str, Any]]:
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.status_code, body(answer)


def claims_of(answer: TestResponse) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(
        body(answer)["accessToken"], ACCESS_KEY, ["HS256"], options={"verify_aud": False}
    )
    return claims


def answering(app: Flask, answer: Callable[[ServiceRequest], ServiceResponse]) -> RecordedService:
    """Let the app's calls of the service be answered so."""
    service = RecordedService(answer)
    state: AppState = app.extensions["signalr"]
    state.use_transport(service)
    return service


# Negotiate tells when to renew.


def test_without_refresh_the_answer_of_negotiate_is_what_it_was() -> None:
    answer = negotiate(app_with(SIGNALR_REFRESH=False), headers=ada())

    url, token = body(answer)["url"], body(answer)["accessToken"]
    assert answer.text == f'{{"url":"{url}","accessToken":"{token}","availableTransports":[]}}'


@pytest.mark.parametrize("lifetime", [90, 10 * HOUR])
def test_with_refresh_it_tells_how_long_the_token_lives(lifetime: int) -> None:
    answer = negotiate(app_with(), headers=ada(lifetime=lifetime))

    claims = claims_of(answer)
    assert body(answer)["tokenLifetimeSeconds"] == claims["exp"] - claims["iat"]
    assert list(body(answer)) == ["url", "accessToken", "availableTransports", "tokenLifetimeSeconds"]


@pytest.mark.parametrize(
    "signalr_options",
    [
        {"allow_anonymous": True},
        {"auth": [Says(Principal("ada", scheme="Kerberos"))]},
        {"auth": [Says(Principal("ada"))], "user_id_provider": lambda principal: None},
        {"auth": [Says(Principal("ada", expires_at=int(time.time()) + 1))], "access_token_lifetime": 1},
    ],
    ids=["nobody", "windows", "no user id", "about to end"],
)
def test_who_cannot_renew_is_not_told_to(signalr_options: dict[str, Any]) -> None:
    signalr = SignalR()
    signalr.hub(
        "chat", **{**signalr_options, "access_token_lifetime": signalr_options.get("access_token_lifetime", 60)}
    )

    answer = negotiate(app_with(signalr))

    assert "tokenLifetimeSeconds" not in body(answer)


def test_what_code_hands_out_says_it_only_where_it_can_be_renewed() -> None:
    signalr = SignalR()
    hub = signalr.hub("chat")
    app_with(signalr)

    assert "tokenLifetimeSeconds" not in hub.negotiate("ada").to_dict()


# The road, with a whole service.


def site(signalr: SignalR | None = None, **config: Any) -> tuple[Flask, FakeService]:
    app = app_with(signalr, **config)
    return app, FakeService(app)


def test_a_connection_goes_on_with_a_fresh_sign_in() -> None:
    app, service = site(SIGNALR_CLOSE_ON_EXPIRY=True)
    connection = service.connect("chat", headers=ada("staff", lifetime=600))
    end = int(time.time()) + 2000

    answer = refresh(app, connection.token, headers=bearer_headers("ada", "staff", exp=end))

    claims = claims_of(answer)
    assert list(body(answer)) == ["accessToken", "tokenLifetimeSeconds"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert (claims["asrs.s.uid"], claims["role"], claims["asrs.s.aeo"]) == ("ada", "staff", str(end))
    assert claims["exp"] == end
    assert body(answer)["tokenLifetimeSeconds"] == claims["exp"] - claims["iat"]
    assert connection.claims["asrs.s.aeo"] == str(end)


def test_a_renewed_connection_outlives_its_former_sign_in() -> None:
    ahead = [0.0]
    app = app_with(SIGNALR_CLOSE_ON_EXPIRY=True)
    service = FakeService(app, clock=lambda: time.time() + ahead[0])
    renewed, left = (service.connect("chat", headers=ada(lifetime=100)) for _ in range(2))

    service.refresh("chat", renewed, headers=ada(lifetime=200))
    ahead[0] = 150
    service.close_expired()
    between = renewed.is_closed, left.is_closed
    ahead[0] = 250
    service.close_expired()

    assert between == (False, True)
    assert (renewed.is_closed, renewed.error) == (True, "The sign-in has expired.")


def test_the_claims_of_the_fresh_sign_in_replace_the_others() -> None:
    """What upstream requests tell from now on; a role that was taken away is gone."""
    seen: list[tuple[Any, ...]] = []
    signalr = SignalR(auth=[BearerAuth(SECRET)], claims_filter=only("role"))
    hub = signalr.hub("chat")

    @hub.method("roles")
    def roles(invocation: Any) -> None:
        seen.append(invocation.claims.all("role"))

    _, service = site(signalr)
    connection = service.connect("chat", headers=ada("staff", "admin"))

    connection.invoke("roles")
    service.refresh("chat", connection, headers=ada("staff"))
    connection.invoke("roles")

    assert seen == [("staff", "admin"), ("staff",)]


def test_a_session_renews_as_a_bearer_token_does() -> None:
    app, service = site()
    browser = signed_in(app)
    connection = service.connect("chat", client=browser)

    assert service.refresh("chat", connection, client=browser) == HOUR


def signed_in(app: Flask) -> FlaskClient:
    client = app.test_client()
    with client.session_transaction() as content:
        content["name"] = "ada"
    return client


@pytest.mark.parametrize("first", [0, 1])
def test_with_several_endpoints_the_one_that_has_the_connection_renews_it(first: int) -> None:
    strings = [CONNECTION_STRING, OTHER_CONNECTION_STRING]
    endpoints = {"one": strings[first], "two:secondary": strings[1 - first]}
    _, service = site(SIGNALR_CONNECTION_STRING=None, SIGNALR_ENDPOINTS=endpoints, SIGNALR_HEALTH_INTERVAL=0)
    connection = service.connect("chat", headers=ada())

    assert service.refresh("chat", connection, headers=ada()) == HOUR


def test_the_hub_of_an_app_with_a_name_and_a_prefix_is_found() -> None:
    signalr = SignalR(auth=[BearerAuth(SECRET)])
    signalr.hub("chat")
    app = create_app(SIGNALR_REFRESH="true", SIGNALR_APPLICATION_NAME="acme")
    signalr.init_app(app, url_prefix="/realtime")
    service = FakeService(app)
    connection = service.connect("chat", headers=ada())

    assert service.refresh("chat", connection, headers=ada()) == HOUR


# The attacks.


def test_a_stolen_connection_token_with_another_users_sign_in_is_refused() -> None:
    _, service = site()
    connection = service.connect("chat", headers=ada("staff"))
    before = dict(connection.claims)

    with pytest.raises(NegotiationRefused) as refusal:
        service.refresh("chat", connection, headers=ada("admin", name="bob"))

    assert (refusal.value.status, refusal.value.error) == (403, "permission_change_rejected")
    assert str(refusal.value).startswith("refresh was answered 403")
    assert (connection.is_closed, dict(connection.claims)) == (False, before)


@pytest.mark.parametrize("provider", [lambda principal: None, lambda principal: ""], ids=["None", "empty"])
def test_a_stolen_connection_token_of_somebody_without_a_user_id_is_refused(provider: Any) -> None:
    """Two users without one look the same to the service."""
    signalr = SignalR(auth=[BearerAuth(SECRET)], user_id_provider=provider)
    signalr.hub("chat")
    app, service = site(signalr)
    connection = service.connect("chat", headers=ada())

    assert refused(refresh(app, connection.token, headers=ada())) == (403, {"error": "permission_change_rejected"})


def test_a_connection_token_alone_is_worth_nothing() -> None:
    app, service = site()
    connection = service.connect("chat", headers=ada())

    answer = refresh(app, connection.token)

    assert refused(answer) == (401, {"error": "invalid_token"})
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_the_service_token_of_a_connection_renews_nothing() -> None:
    """Or it would prolong itself for ever; the official client sends it back on other requests."""
    app, service = site()
    service_token = body(negotiate(app, headers=ada()))["accessToken"]
    connection = service.connect("chat", headers=ada())

    answer = refresh(app, connection.token, headers={"Authorization": f"Bearer {service_token}"})

    assert refused(answer) == (401, {"error": "invalid_token"})


def test_an_expired_sign_in_renews_nothing() -> None:
    app, service = site()
    connection = service.connect("chat", headers=ada())

    answer = refresh(app, connection.token, headers=ada(lifetime=-120))

    assert refused(answer) == (401, {"error": "invalid_token"})


def test_a_sign_in_that_ended_in_a_cache_renews_nothing() -> None:
    """A scheme's own check may be minutes old; the service is not even asked."""
    signalr = SignalR(auth=[Says(Principal("ada", expires_at=int(time.time()) - 1))])
    signalr.hub("chat")
    app = app_with(signalr)
    service = answering(app, lambda request: ServiceResponse(200, {}))

    assert refused(refresh(app, headers=ada())) == (401, {"error": "invalid_token"})
    assert service.requests == []


def test_nobody_renews_the_connection_of_a_guest() -> None:
    signalr = SignalR(allow_anonymous=True, user_id_provider=lambda principal: "guest")
    signalr.hub("chat")
    app, service = site(signalr)
    connection = service.connect("chat")

    assert refused(refresh(app, connection.token)) == (401, {"error": "invalid_token"})


def test_windows_connects_anew_instead() -> None:
    signalr = SignalR(auth=[Says(Principal("ada", scheme="NTLM"))])
    signalr.hub("chat")

    answer = refresh(app_with(signalr))

    assert refused(answer) == (400, {"error": "windows_identity_not_supported"})


def test_who_lost_the_role_that_the_hub_asks_for_is_refused() -> None:
    signalr = SignalR(auth=[BearerAuth(SECRET)], policy=Policy(require_role("staff")))
    signalr.hub("chat")
    app, service = site(signalr)
    connection = service.connect("chat", headers=ada("staff"))

    assert refused(refresh(app, connection.token, headers=ada())) == (403, {"error": "permission_change_rejected"})


def own_claims(claims: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return the app's claims of those of a token, or of a call of the service."""
    return [pair for pair in claims if not pair[0].startswith("asrs.s.") and pair[0] not in RESERVED_TYPES]


def renewing(user_id: str, claims: dict[str, Any], *kept: str) -> tuple[Flask, RecordedService]:
    """Return an app in which a user has claims, and a service that renews whatever it is asked to."""
    signalr = SignalR(auth=[Says(Principal(user_id, claims))], claims_filter=only(*kept))
    signalr.hub("chat")
    app = app_with(signalr)
    granted = {"claims": [{"type": "asrs.s.uid", "value": user_id}]}
    return app, answering(app, lambda request: ServiceResponse(200, {}, json.dumps(granted).encode()))


def test_a_claim_that_a_user_id_makes_unreadable_is_not_shed_by_a_refresh() -> None:
    """Hub methods would not see that somebody is banned whose user id holds the same text between commas."""
    app, service = renewing("x,banned: yes,y", {"banned": ["yes"]}, "banned")

    renewed, negotiated = refresh(app), negotiate(app)

    assert (renewed.status_code, negotiated.status_code) == (403, 403)
    assert service.requests == []


@pytest.mark.parametrize("user_id", ["ada", "admin,foo", "Ada，Lovelace"])
def test_a_refresh_gives_the_claims_that_negotiate_would(user_id: str) -> None:
    """A claim that looks like a user id with a comma would say who somebody is, if it travelled under its own name."""
    claims = {"sub": ["admin"], "role": ["a, b", "c"], "naïve type": ["100 %"]}
    app, service = renewing(user_id, claims, *claims)

    refresh(app)

    sent = json.loads(service.requests[0].body or b"")["claims"]
    renewed = merge_claims(own_claims((claim["type"], claim["value"]) for claim in sent))
    assert renewed == dict(own_claims(claims_of(negotiate(app)).items()))


def test_a_user_id_that_belongs_to_another_sign_in_is_refused() -> None:
    signalr = SignalR(auth=[BearerAuth(SECRET)], collision_guard=lambda user_id, principal: False)
    signalr.hub("chat")

    assert refused(refresh(app_with(signalr), headers=ada())) == (403, {"error": "permission_change_rejected"})


def test_a_replayed_refresh_gives_no_more_than_the_first() -> None:
    """There is no nonce: who has both the token and the sign-in may ask again, and gets the same end."""
    app, service = site(SIGNALR_CLOSE_ON_EXPIRY=True)
    connection = service.connect("chat", headers=ada())
    headers = bearer_headers("ada", exp=int(time.time()) + 500)

    first, second = (claims_of(refresh(app, connection.token, headers=headers)) for _ in range(2))

    assert first["exp"] == second["exp"]
    assert first["asrs.s.aeo"] == second["asrs.s.aeo"]


def test_a_replayed_refresh_of_a_connection_that_is_gone_is_refused() -> None:
    app, service = site()
    connection = service.connect("chat", headers=ada())
    connection.close()

    assert refused(refresh(app, connection.token, headers=ada())) == (404, {"error": "connection_not_found"})


def test_a_connection_is_not_renewed_by_its_public_id() -> None:
    app, service = site()
    connection = service.connect("chat", headers=ada())

    answer = refresh(app, connection.connection_id, headers=ada())

    assert refused(answer) == (404, {"error": "connection_not_found"})


def test_a_connection_of_another_hub_is_not_renewed_by_a_hub_with_less_to_ask() -> None:
    signalr = SignalR(auth=[BearerAuth(SECRET)])
    signalr.hub("strict", policy=Policy(require_role("staff")))
    signalr.hub("chat")
    app, service = site(signalr)
    connection = service.connect("strict", headers=ada("staff"))

    assert refused(refresh(app, connection.token, headers=ada())) == (404, {"error": "connection_not_found"})


@pytest.mark.parametrize(
    "query", ["", "id=", "id=" + "x" * 1025, "id=a&id=b", "id=a%20b", "id=a%0Ab", "id=%C3%A4", "id=\xff", "ID=a"]
)
def test_an_oversize_or_malformed_connection_token_reaches_nobody(query: str) -> None:
    app = app_with()
    service = answering(app, lambda request: ServiceResponse(200, {}))

    answer = app.test_client().post("/chat/refresh", environ_overrides={"QUERY_STRING": query}, headers=ada())

    assert refused(answer) == (400, {"error": "missing_connection_token"})
    assert service.requests == []


def test_a_page_of_another_origin_renews_nothing() -> None:
    """Cross-site request forgery: the session's cookie goes along with its request."""
    app, service = site()
    browser = signed_in(app)
    connection = service.connect("chat", client=browser)

    answer = browser.post(
        "/chat/refresh", query_string={"id": connection.token}, headers={"Origin": "https://evil.example"}
    )

    assert answer.status_code == 403
    assert "origin" in body(answer)["error"]
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(("headers", "status"), [(ada(), 404), ({}, 401)])
def test_a_page_of_an_allowed_origin_reads_the_answer(headers: dict[str, str], status: int) -> None:
    app, _ = site(SIGNALR_ALLOWED_ORIGINS="https://page.example")

    answer = refresh(app, headers={**headers, "Origin": "https://page.example"})

    assert answer.status_code == status
    assert answer.headers["Access-Control-Allow-Origin"] == "https://page.example"


@pytest.mark.parametrize(("origin", "status"), [("https://page.example", 204), ("https://evil.example", 403)])
def test_a_preflight_is_answered_as_that_of_negotiate(origin: str, status: int) -> None:
    app = app_with(SIGNALR_ALLOWED_ORIGINS="https://page.example")
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }

    answers = [app.test_client().options(f"/chat/{view}", headers=headers) for view in ("negotiate", "refresh")]

    assert [answer.status_code for answer in answers] == [status, status]
    assert answers[0].headers == answers[1].headers


def test_other_methods_are_refused() -> None:
    assert app_with().test_client().get("/chat/refresh?id=t").status_code == 405


def test_the_key_is_waited_for_within_the_time_of_the_refresh() -> None:
    """Denial of service: where the service gives keys, one that is slow to come would hold the thread for longer."""
    waits = []

    class Key:
        def signing_key(self, endpoint: ServiceEndpoint, within: float = math.inf) -> SigningKey:
            waits.append(within)
            raise SigningKeyUnavailable("not yet", 5)

    app, _ = renewing("ada", {}, "role")
    state: AppState = app.extensions["signalr"]
    with app.app_context():
        state.hub("chat").services.keys = Key()

    assert refused(refresh(app)) == (500, {"error": "internal_server_error"})
    assert len(waits) == 1
    assert 0 < waits[0] < REFRESH_TIMEOUT


def test_where_nobody_switched_it_on_there_is_nothing_to_attack() -> None:
    app = app_with(SIGNALR_REFRESH=False)
    service = answering(app, lambda request: ServiceResponse(200, {}))

    assert refused(refresh(app, headers=ada())) == (404, {"error": "refresh_disabled"})
    assert service.requests == []


def test_a_hub_that_is_not_declared_is_not_found() -> None:
    assert refresh(app_with(), hub="other", headers=ada()).status_code == 404


def test_a_missing_extra_is_told_when_the_app_is_set_up() -> None:
    program = (
        "import sys; sys.modules['urllib3'] = None\n"
        "from flask import Flask; from flask_signalr import MissingExtra, SignalR\n"
        "app = Flask('app')\n"
        f"app.config.update(SIGNALR_CONNECTION_STRING={CONNECTION_STRING!r}, SIGNALR_REFRESH=True)\n"
        "try:\n    SignalR(app)\n"
        "except MissingExtra as exc:\n    print(exc)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert run.stdout == "SIGNALR_REFRESH needs an optional dependency: pip install 'flask-signalr[serverless]'\n"
    assert run.stderr == ""


def test_endpoints_with_access_keys_renew_though_others_would_issue_tokens() -> None:
    """`SIGNALR_TOKEN_SOURCE` says nothing of an endpoint with a key: the app signs."""
    app = app_with(SIGNALR_TOKEN_SOURCE="service")
    service = FakeService(app)
    connection = service.connect("chat", headers=ada())

    assert refresh(app, connection.token, headers=ada()).status_code == 200


def test_tokens_that_the_service_issues_cannot_be_renewed() -> None:
    string = "Endpoint=https://chat.service.example;AuthType=azure.msi;Version=1.0;"

    with pytest.raises(ConfigurationError, match=r"SIGNALR_REFRESH: .*SIGNALR_TOKEN_SOURCE=key"):
        app_with(SignalR(), SIGNALR_CONNECTION_STRING=string, SIGNALR_TOKEN_SOURCE="service")


# The gate.


Gate = Callable[[RefreshContext], Any]


def gated(gate: Gate) -> tuple[Flask, FakeService, FakeConnection]:
    signalr = SignalR(auth=[BearerAuth(SECRET)], claims_filter=everything)
    signalr.hub("chat", refresh_gate=gate)
    app, service = site(signalr)
    return app, service, service.connect("chat", headers=ada("staff", "a, role: admin"))


def noting(seen: list[RefreshContext]) -> Gate:
    def gate(context: RefreshContext) -> bool:
        seen.append(context)
        return True

    return gate


def test_the_gate_sees_the_claims_before_and_after() -> None:
    seen: list[RefreshContext] = []
    _, service, connection = gated(noting(seen))

    service.refresh("chat", connection, headers=ada("admin"))

    (context,) = seen
    assert (context.hub, context.user_id, context.principal.name) == ("chat", "ada", "ada")
    assert context.old_claims.all("role") == ("staff", "a, role: admin")
    assert context.new_claims.all("role") == ("admin",)


def test_async_gates_run_as_the_apps_async_views_do() -> None:
    async def gate(context: RefreshContext) -> bool:
        await asyncio.sleep(0)
        return "admin" not in context.new_claims.all("role")

    app, service, connection = gated(gate)

    assert service.refresh("chat", connection, headers=ada("staff")) == HOUR
    assert refused(refresh(app, connection.token, headers=ada("admin")))[0] == 403


def failing(context: RefreshContext) -> bool:
    raise RuntimeError("a fault of the app's own")


@pytest.mark.parametrize(
    "gate",
    [lambda context: False, lambda context: None, lambda context: 1, failing],
    ids=["no", "nothing", "a number", "an error"],
)
def test_a_gate_that_says_no_or_fails_changes_nothing(gate: Gate) -> None:
    app, _, connection = gated(gate)
    before = dict(connection.claims)

    answer = refresh(app, connection.token, headers=ada("admin"))

    assert refused(answer) == (403, {"error": "permission_change_rejected"})
    assert dict(connection.claims) == before


def test_the_gate_is_not_asked_about_a_connection_of_somebody_else() -> None:
    """It can refuse, and never overrule that it must be the same user."""
    asked: list[RefreshContext] = []
    app, _, connection = gated(noting(asked))

    answer = refresh(app, connection.token, headers=ada(name="bob"))

    assert refused(answer) == (403, {"error": "permission_change_rejected"})
    assert asked == []


def test_after_the_gate_only_the_owner_of_the_connection_is_asked() -> None:
    """The other endpoint, which answered that it does not know the connection, would be asked for nothing again."""
    signalr = SignalR(auth=[BearerAuth(SECRET)], refresh_gate=lambda context: True)
    signalr.hub("chat")
    app = app_with(
        signalr,
        SIGNALR_CONNECTION_STRING=None,
        SIGNALR_ENDPOINTS={"east": OTHER_CONNECTION_STRING, "west": CONNECTION_STRING},
    )

    def answer(request: ServiceRequest) -> ServiceResponse:
        is_owner = request.url.startswith("https://chat.")
        return ServiceResponse(200, {}, (UID % "").encode()) if is_owner else ABSENT

    service = answering(app, answer)

    renewed = refresh(app, headers=ada())

    hosts = [request.url.removeprefix("https://").partition(".")[0] for request in service.requests]
    assert renewed.status_code == 200
    assert (sorted(hosts[:-1]), hosts[-1:]) == (["chat", "other"], ["chat"])


@pytest.mark.parametrize("gate", [None, lambda context: True], ids=["no gate", "a gate"])
def test_an_endpoint_that_hangs_keeps_nobody_from_the_refresh_that_the_owner_grants(gate: Any) -> None:
    """There is time for the renewal after the gate's reading, and the key that is known is there when all is used."""
    signalr = SignalR(auth=[BearerAuth(SECRET)], refresh_gate=gate)
    signalr.hub("chat")
    app = app_with(
        signalr,
        SIGNALR_CONNECTION_STRING=None,
        SIGNALR_ENDPOINTS={"east": OTHER_CONNECTION_STRING, "west": CONNECTION_STRING},
    )
    over = threading.Event()

    def answer(request: ServiceRequest) -> ServiceResponse:
        if not request.url.startswith("https://chat."):
            over.wait(LONGEST_WAIT)
        return ServiceResponse(200, {}, (UID % "").encode())

    answering(app, answer)
    try:
        renewed = refresh(app, headers=ada())
    finally:
        over.set()

    assert renewed.status_code == 200


# What the service makes of it.

UID = '{"claims":[{"type":"asrs.s.uid","value":"ada"}%s]}'


@pytest.mark.parametrize(
    "answer",
    [
        ServiceResponse(500, {}),
        ServiceResponse(400, {}),
        ServiceResponse(401, {}),
        ServiceResponse(200, {}, b"{}"),
        ServiceResponse(200, {}, (UID % ',{"type":"asrs.s.aeo","value":"1000"}').encode()),
        ServiceResponse(200, {}, (UID % ',{"type":"x","value":"%s"}' % ("y" * 5000)).encode()),
    ],
    ids=["500", "400", "401", "no claims", "ended", "too long"],
)
def test_a_fault_of_the_service_is_a_500_with_a_code_and_no_traceback(
    answer: ServiceResponse, caplog: pytest.LogCaptureFixture
) -> None:
    app = app_with()
    answering(app, lambda request: answer)

    assert refused(refresh(app, "secret-token", headers=ada())) == (500, {"error": "internal_server_error"})
    assert [record.levelno for record in caplog.records if record.name == "flask_signalr.refresh"] == [logging.ERROR]
    assert "secret-token" not in caplog.text


def test_claims_that_another_library_wrote_are_a_fault_to_a_gate() -> None:
    signalr = SignalR(auth=[BearerAuth(SECRET)], refresh_gate=lambda context: True)
    signalr.hub("chat")
    app = app_with(signalr)
    answering(app, lambda request: ServiceResponse(200, {}, (UID % ',{"type":"x","value":"100 %"}').encode()))

    assert refused(refresh(app, headers=ada())) == (500, {"error": "internal_server_error"})


def test_the_token_says_what_the_service_answered_and_no_times_of_it() -> None:
    app = app_with()
    listed = ',{"type":"asrs.s.new","value":"7"},{"type":"exp","value":"1"},{"type":"aud","value":"x"}'
    answering(app, lambda request: ServiceResponse(200, {}, (UID % listed).encode()))

    claims = claims_of(refresh(app, headers=ada()))

    assert claims["asrs.s.new"] == "7"
    assert claims["aud"] == "https://chat.service.example/client/?hub=chat"
    assert claims["exp"] - claims["iat"] == HOUR


@pytest.mark.parametrize(("known", "lifetime"), [(100, 100), (99_999, 600)])
def test_a_token_outlives_neither_the_sign_in_nor_the_end_that_the_service_knows(known: int, lifetime: int) -> None:
    app = app_with()
    now = int(time.time())
    answering(
        app,
        lambda request: ServiceResponse(200, {}, (UID % f',{{"type":"asrs.s.aeo","value":"{now + known}"}}').encode()),
    )

    claims = claims_of(refresh(app, headers=bearer_headers(exp=now + 600)))

    assert claims["exp"] == now + lifetime


def test_a_sign_in_that_ends_this_second_has_no_token() -> None:
    """It would be one whose end is its beginning."""
    app = app_with()
    ending = ',{"type":"asrs.s.aeo","value":"%d"}'
    answering(app, lambda request: ServiceResponse(200, {}, (UID % (ending % time.time())).encode()))

    assert refused(refresh(app, headers=ada())) == (500, {"error": "internal_server_error"})


# Logs.


def test_no_log_has_a_connection_token(caplog: pytest.LogCaptureFixture) -> None:
    """Who reads the log must not learn one; it stands in the URL of our own view."""
    caplog.set_level(logging.DEBUG)
    app, service = site()
    connection = service.connect("chat", headers=ada())

    answers = [refresh(app, connection.token, headers=headers) for headers in (ada(), ada(name="bob"), {})]

    assert [answer.status_code for answer in answers] == [200, 403, 401]
    assert connection.token not in caplog.text
    assert "refused with 403: permission_change_rejected" in caplog.text
    assert connection.token not in "".join(answer.text for answer in answers)
