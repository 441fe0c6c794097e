"""Tokens that the service makes itself: what is asked of it, and what they cannot carry."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from flask_signalr import ConfigurationError, InvalidClaim, Principal, ServiceResponse, SignalR, everything
from flask_signalr.auth.scheme import AuthScheme
from flask_signalr.token_claims import TokenOptions
from tests.entra import TOKEN, Clock, Credential
from tests.recorded_service import EAST, RecordedService

ISSUED = ServiceResponse(200, {}, b'{"token":"the.services.token"}')
CONNECTION_STRING = "Endpoint=https://chat.service.example;AuthType=azure;ClientEndpoint=https://gate.example/x"
FAR = 4_000_000_000.0


class Known(AuthScheme):
    """Knows everybody, by what the test says."""

    def __init__(self, **facts: Any) -> None:
        self.principal = Principal("ada", **facts)

    def authenticate(self, request: object) -> Principal:
        return self.principal


class Site:
    """An app whose tokens the service makes."""

    def __init__(self, answer: Callable[..., ServiceResponse] = lambda request: ISSUED, **config: Any) -> None:
        self.service = RecordedService(answer)
        self.app = Flask("issued")
        self.app.config |= {
            "SIGNALR_CONNECTION_STRING": CONNECTION_STRING,
            "SIGNALR_TOKEN_SOURCE": "service",
            "SIGNALR_CREDENTIAL": Credential(Clock(FAR)),
            **config,
        }

    def mounted(self, **keywords: Any) -> SignalR:
        signalr = SignalR(**keywords)
        signalr.hub("Chat")
        signalr.init_app(self.app)
        self.app.extensions["signalr"].use_transport(self.service)
        return signalr

    def negotiate(self) -> Any:
        return self.app.test_client().post("/Chat/negotiate?negotiateVersion=1")


def test_the_service_is_asked_for_each_token() -> None:
    site = Site(SIGNALR_ACCESS_TOKEN_LIFETIME=3599)
    site.mounted(auth=[Known()])

    answers = [site.negotiate().json for _ in range(2)]

    assert answers[0] == answers[1]
    assert answers[0]["url"] == "https://gate.example/x/client/?hub=chat"
    assert answers[0]["accessToken"] == "the.services.token"
    url = "POST chat.service.example/api/hubs/chat/:generateToken?v&userId=ada&minutesToExpire=59"
    assert site.service.calls == [url, url]
    assert site.service.requests[0].headers["Authorization"] == f"Bearer {TOKEN}"


def test_the_application_name_is_a_part_of_the_hubs() -> None:
    """This operation takes no ``application``, as the client's URL has none."""
    site = Site(SIGNALR_APPLICATION_NAME="App")
    site.mounted(auth=[Known()])

    answer = site.negotiate().json

    assert answer["url"].endswith("client/?hub=app_chat")
    assert "/api/hubs/app_chat/:generateToken?v&" in site.service.calls[0]


def test_a_guest_without_a_user_id_connects_without_one() -> None:
    site = Site()
    site.mounted(allow_anonymous=True)

    assert site.negotiate().status_code == 200
    assert "userId" not in site.service.calls[0]


def test_a_user_id_leads_the_call_nowhere_else() -> None:
    site = Site()
    site.mounted(auth=[Known()], user_id_provider=lambda principal: "a&minutesToExpire=1440&b=/../")

    assert site.negotiate().status_code == 200
    assert site.service.calls[0].endswith("?v&userId=a%26minutesToExpire%3D1440%26b%3D%2F..%2F&minutesToExpire=60")


def test_a_guest_who_gets_a_user_id_is_refused() -> None:
    """The mark that tells guests from who signed in is a claim, and could not come along."""
    site = Site()
    site.mounted(allow_anonymous=True, user_id_provider=lambda principal: "guest-1")

    answer = site.negotiate()

    assert answer.status_code == 403
    assert site.service.requests == []


def test_the_token_ends_before_the_sign_in() -> None:
    site = Site()
    site.mounted(auth=[Known(expires_at=int(time.time()) + 179)])

    assert site.negotiate().status_code == 200
    assert site.service.calls[0].endswith("&minutesToExpire=2")


def test_a_sign_in_that_ends_within_a_minute_connects_nobody() -> None:
    """The shortest token that the service makes would outlive it."""
    site = Site()
    site.mounted(auth=[Known(expires_at=int(time.time()) + 59)])

    answer = site.negotiate()

    assert answer.status_code == 401
    assert "the sign-in ends within a minute" in answer.json["error"]
    assert site.service.requests == []


# Claims and options.


def test_claims_are_refused_when_the_app_is_set_up() -> None:
    with pytest.raises(ConfigurationError, match=r"SIGNALR_TOKEN_SOURCE=service: .* leave claims_filter= out"):
        Site().mounted(claims_filter=everything)


def test_claims_of_one_hub_are_refused_when_the_app_is_set_up() -> None:
    signalr = SignalR()
    signalr.hub("chat", claims_filter=everything)

    with pytest.raises(ConfigurationError, match="claims_filter="):
        signalr.init_app(Site().app)


def test_claims_are_refused_when_the_configuration_is_read_anew() -> None:
    site = Site(SIGNALR_TOKEN_SOURCE="key")
    signalr = site.mounted(claims_filter=everything)
    site.app.config["SIGNALR_TOKEN_SOURCE"] = "service"

    with pytest.raises(ConfigurationError, match="claims_filter="):
        signalr.reload(site.app)

    assert not site.app.extensions["signalr"].settings.entra.has_issued_tokens


@pytest.mark.parametrize(
    ("config", "keywords", "named"),
    [
        ({"SIGNALR_DETAILED_ERRORS": True}, {}, "detailed_errors"),
        ({"SIGNALR_TRANSPORTS": ["WebSockets"]}, {}, "transports"),
        ({"SIGNALR_CLOSE_ON_EXPIRY": True}, {}, "close_on_expiry"),
        ({}, {"token_options": TokenOptions(role_claim_type="r")}, "role_claim_type"),
        ({}, {"token_options": TokenOptions(diagnostic_client=lambda principal: True)}, "diagnostic_client"),
        ({"SIGNALR_ACCESS_TOKEN_LIFETIME": 59}, {}, "access_token_lifetime is 60 at least"),
    ],
)
def test_what_the_token_should_tell_the_service_is_refused_too(
    config: dict[str, Any], keywords: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"SIGNALR_TOKEN_SOURCE=service: .*{named}"):
        Site(**config).mounted(**keywords)


def test_claims_of_a_call_are_refused() -> None:
    site = Site()
    signalr = site.mounted()
    hub = signalr.hub("other")

    with site.app.app_context(), pytest.raises(InvalidClaim, match="claim 'team': a token that the service issues"):
        hub.negotiate("ada", claims={"team": "red"})


def test_an_endpoint_with_an_access_key_signs_by_itself() -> None:
    site = Site(SIGNALR_CONNECTION_STRING=f"Endpoint=https://a.example;AccessKey={EAST.access_key}")
    site.mounted(auth=[Known()], claims_filter=everything)

    assert site.negotiate().json["accessToken"].startswith("eyJ")
    assert site.service.requests == []


@pytest.mark.parametrize(
    ("source", "endpoints", "warnings"),
    [
        ("service", {"east": "AccessKey=k"}, 1),
        ("service", {"east": "AccessKey=k", "west": "AccessKey=k"}, 1),
        ("service", {"east": "AccessKey=k", "west": "AuthType=azure"}, 0),
        ("service", {"west": "AuthType=azure"}, 0),
        ("key", {"east": "AccessKey=k"}, 0),
    ],
)
def test_a_source_of_tokens_that_no_endpoint_asks_is_warned_of(
    source: str, endpoints: dict[str, str], warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Who set it believes that no key is in use, and that no claim gets into a token."""
    named = {name: f"Endpoint=https://{name}.example;{proof}" for name, proof in endpoints.items()}

    Site(SIGNALR_CONNECTION_STRING="", SIGNALR_ENDPOINTS=named, SIGNALR_TOKEN_SOURCE=source).mounted()

    told = [
        each.getMessage() for each in caplog.records if "SIGNALR_TOKEN_SOURCE=service has no effect" in each.message
    ]
    assert len(told) == warnings
    assert all("has no effect: every endpoint has an AccessKey" in text for text in told)


# Failures.


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (ServiceResponse(403, {}), "assign it the role 'SignalR Service Owner'"),
        (ServiceResponse(401, {}), "does not accept the Microsoft Entra token"),
        (ServiceResponse(500, {}), "answered 500"),
        (ServiceResponse(404, {"x-ms-error-code": "Warning.Connection.NotExisted"}), "holds no token"),
        (ServiceResponse(200, {}, b""), "holds no token"),
        (ServiceResponse(200, {}, b'{"token":""}'), "holds no token"),
        (ServiceResponse(200, {}, b'{"token":7}'), "holds no token"),
        (ServiceResponse(200, {}, b'{"token":"' + b"x" * 4097 + b'"}'), "holds no token"),
        (ServiceResponse(200, {}, b"[" * 100_000), "holds no token"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.body[:20].decode() or str(value.status),
)
def test_the_log_says_why_there_is_no_token(
    answer: ServiceResponse, cause: str, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(lambda request: answer)
    site.mounted(auth=[Known()])

    refused = site.negotiate()

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert refused.json == {"error": "the service issued no token, please try again later"}
    assert "https://chat.service.example/ issues no token: " in caplog.text
    assert cause in caplog.text


def test_a_busy_service_says_itself_when_to_come_again() -> None:
    site = Site(lambda request: ServiceResponse(429, {"retry-after": "17"}))
    site.mounted(auth=[Known()])

    assert site.negotiate().headers["Retry-After"] == "17"


def test_claims_that_it_cannot_carry_stop_a_hub_that_is_declared_later() -> None:
    """In an app of one file hubs are declared after `init_app`; each negotiation would fail otherwise."""
    site = Site()
    signalr = site.mounted(allow_anonymous=True)

    with pytest.raises(ConfigurationError, match="claims"):
        signalr.hub("desk", claims_filter=everything)

    assert site.app.test_client().post("/desk/negotiate").status_code == 404
    signalr.hub("desk")
    assert site.app.test_client().post("/desk/negotiate").status_code == 200
