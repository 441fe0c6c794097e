"""Requirements and policies: who may, and that every doubt is a no."""

import functools
from typing import Any

import pytest

from flask_signalr.authorization import (
    AuthorizationContext,
    Policy,
    Requirement,
    dropped_claim_types,
    require_authenticated,
    require_claim,
    require_role,
)
from flask_signalr.claims import Claims
from flask_signalr.error_text import kind_of
from flask_signalr.errors import AuthorizationDenied, ConfigurationError
from flask_signalr.principal import (
    ANONYMOUS,
    ClaimsFilter,
    Principal,
    everything,
    nothing,
    only,
    rename,
)

LONG_ROLE = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
LONG_EMAIL = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"


def allows(policy: Policy, principal: Principal, method: str | None = "sendMessage", *arguments: Any) -> bool:
    """Return whether a policy lets a caller pass."""
    try:
        policy.check(AuthorizationContext(principal, "chat", method, arguments))
    except AuthorizationDenied:
        return False
    return True


# The requirements that come with the package.


def test_a_policy_without_requirements_lets_everybody_pass() -> None:
    assert allows(Policy(), ANONYMOUS)


def test_who_is_signed_in_is_authenticated() -> None:
    signed_in = Policy(require_authenticated)

    assert allows(signed_in, Principal("ada"))
    assert not allows(signed_in, ANONYMOUS)


def test_a_guest_with_a_user_id_is_not_authenticated() -> None:
    assert not allows(Policy(require_authenticated), Principal("guest-7", scheme=None))


@pytest.mark.parametrize("claim_type", ["role", "roles", LONG_ROLE])
def test_administrators_may_ban(claim_type: str) -> None:
    ban_user = Policy(require_role("Administrators"))

    assert allows(ban_user, Principal("ada", {claim_type: ["Staff", "Administrators"]}), "BanUser")
    assert not allows(ban_user, Principal("bob", {claim_type: ["Staff"]}), "BanUser")
    assert not allows(ban_user, Principal("eve"), "BanUser")


def test_any_one_of_the_roles_is_enough() -> None:
    policy = Policy(require_role("staff", "admin"))

    assert allows(policy, Principal("ada", {"role": "admin"}))
    assert not allows(policy, Principal("eve", {"role": "guest"}))


@pytest.mark.parametrize("role", ["administrators", "Administrators ", "Administrators,Staff", "Admin", "", True])
def test_a_role_that_is_only_similar_is_another_role(role: Any) -> None:
    assert not allows(Policy(require_role("Administrators")), Principal("eve", {"role": role}))


def test_a_role_in_a_claim_of_another_type_is_no_role() -> None:
    """Whoever may choose a display name must not become an administrator by it."""
    eve = Principal("Administrators", {"name": "Administrators", "Role": "Administrators", "x-role": "Administrators"})

    assert not allows(Policy(require_role("Administrators")), eve)


def test_a_claim_may_have_any_one_of_the_values() -> None:
    policy = Policy(require_claim("Type", "gold", "silver"))

    assert allows(policy, Principal("ada", {"Type": ["tin", "silver"]}))
    assert not allows(policy, Principal("eve", {"Type": "tin"}))
    assert not allows(policy, Principal("eve", {"type": "gold"}))


def test_without_values_any_value_of_a_claim_will_do() -> None:
    policy = Policy(require_claim("Type"))

    assert allows(policy, Principal("ada", {"Type": ""}))
    assert not allows(policy, Principal("eve", {"Other": "Type"}))


@pytest.mark.parametrize(("asked", "known"), [(LONG_EMAIL, "email"), ("email", LONG_EMAIL), ("email", "email")])
def test_a_claim_is_found_under_its_long_and_its_short_name(asked: str, known: str) -> None:
    """At negotiate a scheme may bring long names; in the service token there are only short ones."""
    assert allows(Policy(require_claim(asked, "a@example.org")), Principal("ada", {known: "a@example.org"}))


@pytest.mark.parametrize(
    ("asked", "known"), [("roles", "role"), ("role", "roles"), ("sub", "nameid"), ("nameid", "sub")]
)
def test_a_claim_is_found_under_the_name_that_the_service_reads_it_as(asked: str, known: str) -> None:
    """What opens the door at negotiate opens the method too, where ``roles`` has come back as ``role``."""
    assert allows(Policy(require_claim(asked, "Task.Write")), Principal("ada", {known: "Task.Write"}))
    assert not allows(Policy(require_claim(asked, "Task.Write")), Principal("eve", {known: "Task.Read"}))


@pytest.mark.parametrize(("value", "wanted"), [(True, 1), (1, True), ("1", True), (1, "1"), (0, False)], ids=repr)
def test_values_of_another_kind_are_other_values(value: Any, wanted: Any) -> None:
    assert not allows(Policy(require_claim("level", wanted)), Principal("eve", {"level": value}))
    assert allows(Policy(require_claim("level", wanted)), Principal("ada", {"level": wanted}))


@pytest.mark.parametrize(
    ("text", "wanted"), [("5", 5), ("1.5", 1.5), ("true", True), ("True", True), ("false", False)], ids=repr
)
def test_a_claim_that_became_a_text_on_its_way_is_the_one_that_was_meant(text: str, wanted: Any) -> None:
    """At negotiate a level is a number; the service prints it into a header, and at a hub method it is a text."""
    policy = Policy(require_claim("level", wanted))

    assert allows(policy, Principal("ada", {"level": text}))
    assert not allows(policy, Principal("eve", {"level": text + "0"}))


# Requirements of an app.


def domain_restricted(context: AuthorizationContext) -> bool:
    """Let people of one mail domain pass, and one of them not to ban anybody."""
    name = context.principal.name or ""
    return name.endswith("@example.org") and not (name == "trainee@example.org" and context.method == "BanUser")


@pytest.mark.parametrize(
    ("name", "may_ban", "may_view"),
    [
        ("ada@example.org", True, True),
        ("trainee@example.org", False, True),
        ("eve@example.com", False, False),
        ("eve@example.org.example.com", False, False),
        (None, False, False),
    ],
)
def test_a_requirement_looks_at_the_method_and_the_mail_domain(name: str | None, may_ban: bool, may_view: bool) -> None:
    policy, principal = Policy(domain_restricted), Principal(name)

    assert allows(policy, principal, "BanUser", "bob") is may_ban
    assert allows(policy, principal, "ViewUserHistory", "bob") is may_view


def test_a_requirement_looks_at_the_arguments() -> None:
    def own_history(context: AuthorizationContext) -> bool:
        return context.arguments == (context.principal.name,)

    assert allows(Policy(own_history), Principal("ada"), "ViewUserHistory", "ada")
    assert not allows(Policy(own_history), Principal("ada"), "ViewUserHistory", "bob")


class OfDomain:
    def __init__(self, domain: str) -> None:
        self.domain = domain

    def __call__(self, context: AuthorizationContext) -> bool:
        return (context.principal.name or "").endswith("@" + self.domain)

    def allows(self, context: AuthorizationContext) -> bool:
        return self(context)


def of_domain(domain: str, context: AuthorizationContext) -> bool:
    return OfDomain(domain)(context)


@pytest.mark.parametrize(
    "requirement",
    [OfDomain("example.org"), OfDomain("example.org").allows, functools.partial(of_domain, "example.org")],
    ids=["object", "bound method", "partial"],
)
def test_whatever_can_be_called_is_a_requirement(requirement: Requirement) -> None:
    assert allows(Policy(requirement), Principal("ada@example.org"))
    assert not allows(Policy(requirement), Principal("eve@example.com"))
    assert "OfDomain" in repr(Policy(requirement)) or "of_domain" in repr(Policy(requirement))


def test_all_requirements_must_hold_and_the_first_that_does_not_ends_it() -> None:
    asked = []

    def remember(context: AuthorizationContext) -> bool:
        asked.append(context.principal.name)
        return True

    policy = Policy(remember, require_role("staff"), remember)

    assert not allows(policy, Principal("eve"))
    assert asked == ["eve"]
    assert allows(policy, Principal("ada", {"role": "staff"}))
    assert asked == ["eve", "ada", "ada"]


# Every doubt denies.


def test_a_check_that_raises_denies() -> None:
    def reads_what_is_not_there(context: AuthorizationContext) -> bool:
        return bool(context.arguments[3])

    with pytest.raises(AuthorizationDenied) as denied:
        Policy(reads_what_is_not_there).check(AuthorizationContext(Principal("ada"), "chat"))

    assert isinstance(denied.value.__cause__, IndexError)
    assert "reads_what_is_not_there" in denied.value.requirement


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(1, "an int"), ("yes", "a str"), (None, "None"), ([True], "a list"), (object(), "an object")],
)
def test_an_answer_that_is_no_boolean_denies(answer: Any, kind: str) -> None:
    with pytest.raises(AuthorizationDenied) as denied:
        Policy(lambda context: answer).check(AuthorizationContext(Principal("ada"), "chat"))

    assert str(denied.value.__cause__) == f"it returned {kind}, not True or False"


class AsyncRequirement:
    async def __call__(self, context: AuthorizationContext) -> bool:
        return True


async def async_requirement(context: AuthorizationContext) -> bool:
    return True


@pytest.mark.parametrize("requirement", [async_requirement, AsyncRequirement(), AsyncRequirement().__call__])
def test_a_coroutine_denies_and_says_so(requirement: Any) -> None:
    """A coroutine is true, whatever it would have come to; and nothing of it is left to be awaited."""
    with pytest.raises(AuthorizationDenied) as denied:
        Policy(requirement).check(AuthorizationContext(Principal("ada"), "chat"))

    assert "coroutine" in str(denied.value.__cause__)
    assert "async" in str(denied.value.__cause__)


def test_a_refusal_does_not_tell_the_caller_what_would_be_needed() -> None:
    with pytest.raises(AuthorizationDenied) as denied:
        Policy(require_role("Administrators")).check(AuthorizationContext(Principal("eve"), "chat"))

    assert "Administrators" not in str(denied.value)
    assert denied.value.requirement == "require_role('Administrators')"
    assert denied.value.__cause__ is None


# Mistakes in a declaration.


@pytest.mark.parametrize("mistake", [None, "staff", True, Policy(), [require_authenticated]], ids=repr)
def test_what_cannot_be_asked_is_no_requirement(mistake: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"not {kind_of(mistake)}"):
        Policy(mistake)


@pytest.mark.parametrize("factory", [require_role, require_claim])
def test_a_factory_that_was_not_called_is_no_requirement(factory: Any) -> None:
    with pytest.raises(ConfigurationError, match="call them"):
        Policy(factory)


def test_a_requirement_that_was_called_says_that_it_is_none_to_call() -> None:
    """The two beside it are called, so it is easily done."""
    with pytest.raises(ConfigurationError, match="as it is"):
        require_authenticated()


@pytest.mark.parametrize("roles", [(), ("",), (["staff"],), ("staff", None)], ids=repr)
def test_roles_are_texts(roles: Any) -> None:
    """A role that no claim can have would deny everybody, and no role at all looks like everybody."""
    with pytest.raises(ConfigurationError, match="require_role"):
        require_role(*roles)


@pytest.mark.parametrize("arguments", [("",), (None,), (7,), ("Type", None), ("Type", ["gold"])], ids=repr)
def test_claims_are_asked_for_by_type_and_single_values(arguments: Any) -> None:
    with pytest.raises(ConfigurationError, match="require_claim"):
        require_claim(*arguments)


def test_a_policy_reads_as_it_was_written() -> None:
    policy = Policy(require_authenticated, require_role("staff", "admin"), require_claim("Type", 1), domain_restricted)

    assert repr(policy) == (
        "Policy(require_authenticated, require_role('staff', 'admin'), require_claim('Type', 1), domain_restricted)"
    )
    assert policy.requirements[0] is require_authenticated


# Claims that never arrive.


@pytest.mark.parametrize(
    ("requirement", "claims_filter", "dropped"),
    [
        (require_role("staff"), nothing, {"role", "roles"}),
        (require_role("staff"), everything, set()),
        (require_role("staff"), only("role"), set()),
        (require_role("staff"), only("roles"), set()),
        (require_role("staff"), only(LONG_ROLE), set()),
        (require_role("staff"), only("email"), {"role", "roles"}),
        (require_role("staff"), only(""), {"role", "roles"}),
        (require_role("staff"), rename({"groups": "role"}), set()),
        (require_role("staff"), rename({"groups": "role"}, only("groups")), set()),
        (require_role("staff"), rename({"groups": "role"}, only("email")), {"role", "roles"}),
        (require_role("staff"), rename({"role": "r"}), {"role", "roles"}),
        (require_role("staff"), rename({"role": "r"}, everything), set()),
        (require_claim("r"), rename({"role": "r"}), set()),
        (require_claim(LONG_EMAIL), only("email"), set()),
        (require_claim(LONG_EMAIL), nothing, {"email"}),
        (require_claim("roles"), only("role"), set()),
        (require_claim("sub"), rename({"oid": "nameid"}), set()),
        (require_claim("roles"), only("email"), {"roles"}),
        (require_claim("Type", "gold"), only("type"), {"Type"}),
        (require_authenticated, nothing, set()),
        (domain_restricted, nothing, set()),
    ],
)
def test_a_policy_that_asks_for_a_dropped_claim_is_found(
    requirement: Requirement, claims_filter: ClaimsFilter, dropped: set[str]
) -> None:
    assert dropped_claim_types(Policy(require_authenticated, requirement), claims_filter) == dropped


def test_filters_of_an_app_are_not_tried_out() -> None:
    """It may look into a database, and its answer to a made-up principal says nothing."""

    def own_filter(principal: Principal) -> Claims:
        raise AssertionError("called")

    policy = Policy(require_role("staff"))

    assert not dropped_claim_types(policy, own_filter)
    assert not dropped_claim_types(policy, rename({"a": "b"}, own_filter))


def test_a_requirement_of_an_app_can_say_what_it_reads() -> None:
    class Tenant:
        claim_types = frozenset({"tid", "tenant"})

        def __call__(self, context: AuthorizationContext) -> bool:
            return "t1" in context.principal.claims.all("tid")

    assert dropped_claim_types(Policy(Tenant()), only("role")) == {"tid", "tenant"}
    assert not dropped_claim_types(Policy(Tenant()), only("tenant"))
