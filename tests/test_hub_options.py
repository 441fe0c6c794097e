"""The choices of a hub: closed by default, and a wrong one is refused where it is written."""

import dataclasses
from typing import Any

import pytest
from flask import Request

from flask_signalr.auth.bearer import BearerAuth
from flask_signalr.auth.scheme import AuthScheme
from flask_signalr.authorization import Policy, require_authenticated, require_role
from flask_signalr.endpoints import DEFAULT_ROUTER, EndpointRouter
from flask_signalr.errors import ConfigurationError
from flask_signalr.hub_options import HubKeywords, HubOptions, check_keywords
from flask_signalr.principal import Principal, by_claim, by_email, by_name, everything, nothing, only, rename
from flask_signalr.server_sdk_url import ServerSdkUrl
from flask_signalr.token_claims import DEFAULT_TOKEN_OPTIONS, TokenOptions
from tests.signing import SECRET


class Somebody(AuthScheme):
    def authenticate(self, request: object) -> Principal | None:
        return Principal("somebody")


def test_a_hub_of_which_nothing_is_said_lets_nobody_in_and_no_claim_out() -> None:
    options = HubOptions()

    assert options.auth == ()
    assert options.allow_anonymous is False
    assert options.origins == frozenset()
    assert options.claims_filter is nothing
    assert options.user_id_provider is by_name
    assert options.collision_guard is None
    assert options.endpoint_router is DEFAULT_ROUTER
    assert (options.access_token_lifetime, options.access_token_algorithm) == (3600, "HS256")
    assert options.token_options is DEFAULT_TOKEN_OPTIONS


def test_every_choice_is_taken() -> None:
    keywords: HubKeywords = {
        "auth": (Somebody(),),
        "allow_anonymous": True,
        "policy": Policy(require_authenticated),
        "user_id_provider": by_email,
        "claims_filter": everything,
        "collision_guard": lambda user_id, principal: True,
        "allowed_origins": ("https://a",),
        "endpoint_router": EndpointRouter(),
        "access_token_lifetime": 60,
        "access_token_algorithm": "HS512",
        "token_options": TokenOptions(detailed_errors=True),
        "close_on_expiry": True,
        "refresh_gate": lambda context: True,
        "server_sdk_url": True,
    }

    options = HubOptions(**keywords)

    assert {name: getattr(options, name) for name in keywords} == keywords
    assert set(keywords) == HubKeywords.__optional_keys__
    assert set(keywords) == {field.name for field in dataclasses.fields(HubOptions) if field.init}


def test_origins_are_kept_in_the_form_that_browsers_send() -> None:
    assert HubOptions(allowed_origins=["HTTPS://App.example:443/"]).origins == {"https://app.example"}


def test_bearer_tokens_of_whatever_issuer_may_be_asked_for_last() -> None:
    """Before another one such a scheme would take the other's tokens for its own, and refuse them."""
    schemes = (BearerAuth(SECRET, issuer="a"), BearerAuth(SECRET), Somebody())

    assert HubOptions(auth=schemes).auth == schemes


class OfOnePath(BearerAuth):
    """Leaves other requests to others."""

    def authenticate(self, request: Request) -> Principal | None:
        return super().authenticate(request) if request.path.startswith("/chat") else None


def test_a_scheme_that_chooses_its_requests_may_stand_before_another() -> None:
    schemes = (OfOnePath(SECRET), BearerAuth(SECRET))

    assert HubOptions(auth=schemes).auth == schemes


def test_options_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        HubOptions().allow_anonymous = True  # type: ignore[misc]


SCHEMES = "auth= takes a list of auth schemes, as auth=[CookieAuth()]"
POLICY = 'policy= takes a Policy, as policy=Policy(require_role("staff"))'
LIFETIME = "access_token_lifetime= takes whole seconds, 1 to 86400"
ORIGINS = "allowed_origins= takes a list of origins"


@pytest.mark.parametrize(
    ("keyword", "value", "text"),
    [
        ("auth", Somebody(), SCHEMES),
        ("auth", Somebody, SCHEMES),
        ("auth", [Somebody], SCHEMES),
        ("auth", [Somebody(), None], SCHEMES),
        ("auth", None, SCHEMES),
        ("auth", "cookie", SCHEMES),
        (
            "auth",
            [
                Somebody(),
                BearerAuth(SECRET, issuer="a"),
                BearerAuth(SECRET),
                Somebody(),
                BearerAuth(SECRET, issuer="b"),
            ],
            "auth= has a BearerAuth without issue",
        ),
        (
            "auth",
            [BearerAuth(SECRET, issuer="a"), Somebody(), BearerAuth(SECRET, issuer="a", audience="b")],
            "auth= has two BearerAuth of the issuer 'a', and the first",
        ),
        ("allow_anonymous", "no", "allow_anonymous= takes True or False"),
        ("allow_anonymous", 1, "allow_anonymous= takes True or False"),
        ("allow_anonymous", None, "allow_anonymous= takes True or False"),
        ("close_on_expiry", "no", "close_on_expiry= takes True or False"),
        ("refresh_gate", True, "refresh_gate= takes a callable of a RefreshContext"),
        ("server_sdk_url", "no", "server_sdk_url= takes True, False or a ServerSdkUrl(…)"),
        ("server_sdk_url", ServerSdkUrl, "server_sdk_url= takes True, False or a ServerSdkUrl(…)"),
        ("server_sdk_url", None, "server_sdk_url= takes True, False or a ServerSdkUrl(…)"),
        ("user_id_provider", "email", "user_id_provider= takes a callable of one principal"),
        ("user_id_provider", None, "user_id_provider= takes a callable of one principal"),
        ("claims_filter", ["role"], "claims_filter= takes a callable of one principal"),
        ("claims_filter", None, "claims_filter= takes a callable of one principal"),
        ("user_id_provider", by_claim, 'user_id_provider= takes what by_claim returns, as user_id_provider=by_claim("'),
        ("claims_filter", only, 'claims_filter= takes what only returns, as claims_filter=only("role")'),
        ("claims_filter", rename, "claims_filter= takes what rename returns, as claims_filter=rename({"),
        ("policy", require_role("staff"), POLICY),
        ("policy", [require_authenticated], POLICY),
        ("policy", Policy, POLICY),
        ("collision_guard", True, "collision_guard= takes a callable of a user id and a principal"),
        ("allowed_origins", "https://a", ORIGINS),
        ("allowed_origins", [5], ORIGINS),
        ("allowed_origins", None, ORIGINS),
        (
            "allowed_origins",
            ["*"],
            "allowed_origins=: '*' is no origin; browsers send credentials to no star: list each",
        ),
        ("allowed_origins", ["null"], "allowed_origins=: 'null' is no origin; write https://host:port"),
        ("allowed_origins", ["a.example"], "allowed_origins=: 'a.example' is no origin; write https://host:port"),
        ("endpoint_router", EndpointRouter, "endpoint_router= takes an EndpointRouter, not its class or a function"),
        ("endpoint_router", None, "endpoint_router= takes an EndpointRouter, not its class or a function"),
        ("access_token_lifetime", 0, LIFETIME),
        ("access_token_lifetime", 86_401, LIFETIME),
        ("access_token_lifetime", 1.5, LIFETIME),
        ("access_token_lifetime", "60", LIFETIME),
        ("access_token_lifetime", True, LIFETIME),
        ("access_token_algorithm", "none", "access_token_algorithm= is one of HS256, HS512"),
        ("access_token_algorithm", "RS256", "access_token_algorithm= is one of HS256, HS512"),
        ("access_token_algorithm", None, "access_token_algorithm= is one of HS256, HS512"),
        ("token_options", {"detailed_errors": True}, "token_options= takes a TokenOptions(…)"),
        ("token_options", None, "token_options= takes a TokenOptions(…)"),
    ],
    ids=lambda value: getattr(value, "__name__", None) or ascii(value)[:30],
)
def test_a_wrong_choice_is_refused_by_its_keyword(keyword: str, value: Any, text: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        HubOptions(**{keyword: value})

    assert str(refusal.value).startswith(text)


@pytest.mark.parametrize("lifetime", [1, 86_400])
def test_a_token_lives_a_second_to_a_day(lifetime: int) -> None:
    assert HubOptions(access_token_lifetime=lifetime).access_token_lifetime == lifetime


MOUNT = "= is no option of a hub: it says where the app mounts the hubs, so give it to init_app"


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("alow_anonymous", "alow_anonymous= is no option of a hub; do you mean allow_anonymous?"),
        ("user_id", "user_id= is no option of a hub; do you mean user_id_provider?"),
        ("origins", "origins= is no option of a hub; do you mean allowed_origins?"),
        ("polices", "polices= is no option of a hub; do you mean policy?"),
        ("url_prefix", f"url_prefix{MOUNT}"),
        ("subdomain", f"subdomain{MOUNT}"),
        ("name", f"name{MOUNT}"),
    ],
)
def test_an_unknown_keyword_is_told_with_the_one_that_was_meant(keyword: str, text: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        check_keywords({keyword: True})  # type: ignore[misc]

    assert str(refusal.value) == text


def test_schemes_and_origins_that_can_be_read_once_are_kept() -> None:
    """Keywords are read for each app anew: a generator would protect the first one and leave the second without."""
    scheme = Somebody()

    keywords = check_keywords(
        {"auth": iter([scheme]), "allowed_origins": (origin for origin in ["https://a"])}  # type: ignore[typeddict-item]
    )

    for _ in range(2):
        assert HubOptions(**keywords).auth == (scheme,)
        assert HubOptions(**keywords).origins == {"https://a"}


def test_checking_keywords_adds_none() -> None:
    """What a hub leaves open stays open for the defaults of the extension."""
    assert check_keywords({"access_token_lifetime": 60}) == {"access_token_lifetime": 60}


def test_checking_keywords_refuses_wrong_ones() -> None:
    with pytest.raises(ConfigurationError, match="access_token_lifetime="):
        check_keywords({"access_token_lifetime": -1})
