"""The auth chain: schemes in their order, and who passes when none of them knows the caller."""

from typing import Any

import pytest
from flask import Request

from flask_signalr import ANONYMOUS, AuthenticationFailed, AuthScheme, BearerAuth, Principal, SignalR, Unavailable
from flask_signalr.auth.chain import authenticate, challenges
from tests.apps import Says, bearer_headers, body, create_app, negotiate, service_claims
from tests.signing import SECRET, bearing, request_with, token

ADA = Principal("ada", scheme="Test")
BOB = Principal("bob", scheme="Test")
BASE_URLS = frozenset({"https://chat.service.example/"})


def ask(*schemes: AuthScheme, request: Request | None = None, allow_anonymous: bool = False) -> Principal:
    return authenticate(
        schemes, request or request_with(), allow_anonymous=allow_anonymous, audience_base_urls=BASE_URLS
    )


def test_the_first_scheme_that_knows_the_caller_wins_and_nobody_else_is_asked() -> None:
    """A caller with two identities is the one that the app put first."""
    schemes = [Says(None), Says(ADA), Says(BOB), Says(AuthenticationFailed("no"))]

    principal = ask(*schemes)

    assert principal is ADA
    assert [scheme.asked for scheme in schemes] == [1, 1, 0, 0]


def test_a_refusal_ends_the_search() -> None:
    """Fall-through: wrong credentials must not be tried on weaker schemes, nor pass as none."""
    schemes = [Says(None), Says(AuthenticationFailed("wrong key")), Says(ADA)]

    with pytest.raises(AuthenticationFailed, match="wrong key"):
        ask(*schemes, allow_anonymous=True)

    assert schemes[2].asked == 0


def test_what_is_down_ends_the_search() -> None:
    """Denial of service: taking the identity provider down must not make callers anonymous."""
    schemes = [Says(Unavailable("down")), Says(ADA)]

    with pytest.raises(Unavailable):
        ask(*schemes, allow_anonymous=True)

    assert schemes[1].asked == 0


@pytest.mark.parametrize("schemes", [[], [Says(None)], [Says(None), Says(None)]])
def test_nobody_knows_a_caller_without_credentials(schemes: list[AuthScheme]) -> None:
    with pytest.raises(AuthenticationFailed, match="sign in to connect"):
        ask(*schemes)


@pytest.mark.parametrize("schemes", [[], [Says(None)], [Says(None), Says(None)]])
def test_an_open_hub_takes_a_caller_without_credentials(schemes: list[AuthScheme]) -> None:
    assert ask(*schemes, allow_anonymous=True) is ANONYMOUS


def test_an_open_hub_knows_who_signs_in() -> None:
    assert ask(Says(ADA), allow_anonymous=True) is ADA


@pytest.mark.parametrize("anonymous", [ANONYMOUS, Principal("ada", scheme=None)])
def test_a_scheme_cannot_open_a_hub_by_returning_an_anonymous_principal(anonymous: Principal) -> None:
    """A guest account of a scheme is not what the hub's author allowed with ``allow_anonymous``."""
    assert ask(Says(anonymous), Says(ADA)) is ADA

    with pytest.raises(AuthenticationFailed, match="sign in to connect"):
        ask(Says(anonymous))


@pytest.mark.parametrize("name", [None, "", " ", "\u2003"])
def test_signing_in_without_a_name_fails(name: str | None) -> None:
    """An empty session value is nobody; taken for somebody, it would open closed hubs to everybody."""
    with pytest.raises(AuthenticationFailed, match="no name"):
        ask(Says(Principal(name, scheme="Test")), allow_anonymous=True)


@pytest.mark.parametrize("by_header", [True, False], ids=["header", "query"])
@pytest.mark.parametrize("schemes", [[], [Says(None)], [BearerAuth(SECRET, issuer="https://login.example")]])
def test_passing_a_bearer_token_that_nobody_accepts_for_none_fails(schemes: list[AuthScheme], by_header: bool) -> None:
    """A wrong credential is refused also where anonymous callers are welcome: its owner thinks it is signed in."""
    foreign = token("somebody-elses-key-of-a-good-length-0123456789", iss="https://evil.example")
    request = bearing(foreign) if by_header else request_with(query=f"access_token={foreign}")

    with pytest.raises(AuthenticationFailed, match="nobody here accepts this bearer token"):
        ask(*schemes, request=request, allow_anonymous=True)


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer a b", "Bearer é", "Bearer " + "a" * 20_000, "Bearer a, Bearer b", "Bearer =a"]
)
def test_passing_a_broken_bearer_token_for_none_fails(header: str) -> None:
    """Closed by default: what cannot be read is refused before any scheme is asked."""
    scheme = Says(ADA)

    with pytest.raises(AuthenticationFailed):
        ask(scheme, request=request_with({"Authorization": header}), allow_anonymous=True)

    assert scheme.asked == 0


def test_a_bearer_token_beside_other_credentials_does_not_disturb() -> None:
    """An API behind a gateway may get the gateway's token along with its own key."""
    assert ask(Says(ADA), request=bearing(token())) is ADA


def test_several_issuers_stand_side_by_side() -> None:
    schemes = [BearerAuth(SECRET, issuer="https://one.example"), BearerAuth(SECRET, issuer="https://two.example")]

    principal = ask(*schemes, request=bearing(token(sub="bob", iss="https://two.example")))

    assert principal.name == "bob"


class ReadsBasic(AuthScheme):
    """A scheme of an app, as Flask's documentation shows it."""

    def authenticate(self, request: Request) -> Principal | None:
        credentials = request.authorization
        return Principal(credentials.username, scheme="Basic") if credentials and credentials.username else None


@pytest.mark.parametrize("allow_anonymous", [True, False])
@pytest.mark.parametrize("header", ["Basic YTpi\xe4", "Negotiate YII\xe4", "\xe4 YTpi", 'Digest username="\xe4"'])
def test_crashing_a_scheme_with_odd_letters_fails(header: str, allow_anonymous: bool) -> None:
    """What cannot be read is refused before werkzeug tries: it raises at letters that base64 has not."""
    request = request_with({"Authorization": header})

    with pytest.raises(AuthenticationFailed, match="ASCII"):
        ask(ReadsBasic(), request=request, allow_anonymous=allow_anonymous)


class Crashes(AuthScheme):
    def authenticate(self, request: Request) -> Principal | None:
        raise LookupError("a fault in the program")


class ReturnsTheUser(AuthScheme):
    """Returns what it should not: something that is no principal."""

    def __init__(self, user: object) -> None:
        self._user = user

    def authenticate(self, request: Request) -> Principal | None:
        return self._user  # type: ignore[return-value]


class User:
    name = "ada"
    is_authenticated = True


@pytest.mark.parametrize(
    "scheme", [Crashes(), ReturnsTheUser(True), ReturnsTheUser(User()), ReturnsTheUser("ada")], ids=repr
)
@pytest.mark.parametrize("allow_anonymous", [True, False])
def test_making_a_scheme_fail_opens_nothing(scheme: AuthScheme, allow_anonymous: bool) -> None:
    """A check that cannot run denies: the answer is a 500 and not an anonymous connection."""
    signalr = SignalR(auth=[scheme])
    signalr.hub("chat", allow_anonymous=allow_anonymous)

    answer = negotiate(create_app(signalr))

    assert answer.status_code == 500
    assert "accessToken" not in answer.text


def test_schemes_are_asked_in_the_apps_context() -> None:
    class ReadsTheConfiguration(AuthScheme):
        def authenticate(self, request: Request) -> Principal | None:
            from flask import current_app

            return Principal(current_app.config["ROBOTS"][request.headers["X-Api-Key"]])

    signalr = SignalR(auth=[ReadsTheConfiguration()])
    signalr.hub("chat")

    answer = negotiate(create_app(signalr, ROBOTS={"k": "cleaner"}), headers={"X-Api-Key": "k"})

    assert service_claims(answer)["asrs.s.uid"] == "cleaner"


def test_a_hub_asks_its_own_schemes() -> None:
    """Its list takes the place of the default one; it is not added to it."""
    signalr = SignalR(auth=[BearerAuth(SECRET)])
    signalr.hub("chat")
    signalr.hub("robots", auth=[Says(BOB)])
    app = create_app(signalr)

    chat, robots = (negotiate(app, hub) for hub in ("chat", "robots"))
    refused = negotiate(app, "robots", headers=bearer_headers("ada"))

    assert (chat.status_code, body(chat)["error"]) == (401, "sign in to connect")
    assert service_claims(robots, "robots")["asrs.s.uid"] == "bob"
    assert service_claims(refused, "robots")["asrs.s.uid"] == "bob"


def test_challenges_stand_once_each_in_the_order_of_the_schemes() -> None:
    schemes = [Says(None, "Negotiate"), Says(None), Says(None, "Bearer"), Says(None, ""), Says(None, "Negotiate")]

    assert challenges(schemes) == ["Negotiate", "Bearer"]


def test_a_scheme_advertises_nothing_unless_it_says_so() -> None:
    assert Crashes().challenge() is None


@pytest.mark.parametrize("returned", ["ada", {"name": "ada"}, True], ids=repr)
def test_a_scheme_that_returns_no_principal_signs_nobody_in(returned: Any) -> None:
    with pytest.raises(TypeError, match=r"Says\.authenticate returned a (str|dict|bool), not a Principal"):
        ask(Says(returned), allow_anonymous=True)
