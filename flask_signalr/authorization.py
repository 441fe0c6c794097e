"""Authorization: requirements that a caller must meet, and the policies made of them.

A hub's policy guards the door, at negotiate; a hub method's policy guards each call.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flask_signalr.claim_types import name_as_read
from flask_signalr.claims import ClaimValue, short_name
from flask_signalr.error_text import kind_of
from flask_signalr.errors import AuthorizationDenied, ConfigurationError
from flask_signalr.principal import ClaimsFilter, Principal, passing_types


@dataclass(frozen=True, slots=True)
class AuthorizationContext:
    """What a requirement may look at.

    Attributes:
        principal: The caller.
        hub: The hub's name.
        method: The hub method under its declared name, however the client spelt it; ``None`` at negotiate.
        arguments: Its arguments, converted and with their defaults; empty at negotiate.
    """

    principal: Principal
    hub: str
    method: str | None = None
    arguments: tuple[Any, ...] = ()


Requirement = Callable[[AuthorizationContext], bool]
"""Says whether a caller may; anything but ``True``, such as an exception or a coroutine, denies.

One that only reads claims can name their types in an attribute ``claim_types``, any one of which is enough for it:
then a claims filter that drops them all is found when the app starts.
"""


@dataclass(frozen=True)
class _Authenticated:
    """Wants a principal that an auth scheme proved."""

    def __call__(self, context: AuthorizationContext | None = None) -> bool:
        if context is None:  # called as one calls `require_role`, to make a requirement
            raise ConfigurationError("Policy(…) takes require_authenticated as it is: do not call it")
        return context.principal.is_authenticated

    def __repr__(self) -> str:
        return "require_authenticated"


@dataclass(frozen=True)
class _Claim:
    """Wants a claim of one of some types, with one of some values."""

    text: str
    claim_types: frozenset[str]
    values: tuple[ClaimValue, ...]

    def __call__(self, context: AuthorizationContext) -> bool:
        wanted_types = _names_as_read(self.claim_types)
        for known, value in context.principal.claims.pairs:
            if name_as_read(known) in wanted_types and (not self.values or _is_one_of(value, self.values)):
                return True
        return False

    def __repr__(self) -> str:
        return self.text


ROLE_TYPES = frozenset({"role", "roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"})
"""The claim types that name a caller's roles."""

require_authenticated = _Authenticated()
"""The requirement that an auth scheme proved who the caller is."""


def require_role(*roles: str) -> Requirement:
    """Return the requirement of any one of these roles, spelt exactly so.

    Roles are claims of the type ``role``, ``roles`` or .NET's long name of them.

    Raises:
        ConfigurationError: No role is given, or one is no text.
    """
    given: tuple[object, ...] = roles
    if not given or not all(isinstance(role, str) and role for role in given):
        raise ConfigurationError('require_role takes names of roles, each a text: require_role("staff", "admin")')
    return _Claim(f"require_role({', '.join(map(repr, roles))})", ROLE_TYPES, roles)


def require_claim(claim_type: str, *values: ClaimValue) -> Requirement:
    """Return the requirement of a claim with any one of these values; without values, with whatever value.

    The type may be .NET's long name or the short one: a service token knows the short one alone. As the service reads
    ``sub`` as ``nameid`` and ``roles`` as ``role``, either stands for both.

    Raises:
        ConfigurationError: The type is no text, or a value is a collection.
    """
    given: object = claim_type
    if not isinstance(given, str) or not given:
        raise ConfigurationError('require_claim takes a claim type, a text: require_claim("department", "sales")')
    if not all(isinstance(value, str | int | float | bool) for value in values):
        raise ConfigurationError(
            f"require_claim({claim_type!r}, …) takes values one by one, each a text, number or boolean"
        )
    text = f"require_claim({', '.join(map(repr, (claim_type, *values)))})"
    return _Claim(text, frozenset({claim_type}), values)


class Policy:
    """Requirements that must all hold; without any, everybody may.

    Args:
        requirements: In the order in which they are asked; the first that does not hold ends it.

    Attributes:
        requirements: As given.

    Raises:
        ConfigurationError: One is nothing that can be called with an `AuthorizationContext`.
    """

    def __init__(self, *requirements: Requirement) -> None:
        given: tuple[object, ...] = requirements
        for requirement in given:
            if not callable(requirement):
                kind = kind_of(requirement)
                raise ConfigurationError(
                    f"Policy(…) takes requirements, callables of an AuthorizationContext, not {kind}; "
                    "the requirements of another policy are *policy.requirements"
                )
            if any(requirement is factory for factory in (require_role, require_claim)):
                raise ConfigurationError("Policy(…) takes what require_role(…) and require_claim(…) return: call them")
        self.requirements = requirements

    def check(self, context: AuthorizationContext) -> None:
        """Let a caller pass.

        Raises:
            AuthorizationDenied: A requirement does not hold, raises (then that is its cause), or returns something
                else than a boolean (then a ``TypeError`` that says so is). Its ``requirement`` tells which; its text,
                which a caller may read, does not.
        """
        for requirement in self.requirements:
            try:
                answer: object = requirement(context)
            except Exception as exc:
                raise _denied(requirement) from exc
            if not isinstance(answer, bool):
                raise _denied(requirement) from _no_boolean(answer)
            if not answer:
                raise _denied(requirement)

    def __repr__(self) -> str:
        return f"Policy({', '.join(map(describe, self.requirements))})"


def dropped_claim_types(policy: Policy, claims_filter: ClaimsFilter) -> frozenset[str]:
    """Return the claim types that a method's policy reads and that no client will ever bring.

    Calls see the claims that the filter let into the service token. A requirement that several types would do for
    misses them only if all are dropped. Of a filter that is not `only`, `rename`, `nothing` or `everything` nothing
    can be known: the answer is empty.
    """
    dropped: set[str] = set()
    for requirement in policy.requirements:
        claim_types: frozenset[str] = getattr(requirement, "claim_types", frozenset())
        passing = passing_types(claims_filter, claim_types)
        if passing is not None and not _names_as_read(claim_types) & _names_as_read(passing):
            dropped |= set(map(short_name, claim_types))
    return frozenset(dropped)


def describe(requirement: Requirement) -> str:
    """Return what people call a requirement: a function's name, else its representation."""
    return getattr(requirement, "__qualname__", None) or repr(requirement)


def _denied(requirement: Requirement) -> AuthorizationDenied:
    return AuthorizationDenied("this sign-in may not do this", describe(requirement))


def _no_boolean(answer: object) -> TypeError:
    if inspect.iscoroutine(answer):
        answer.close()  # it will not be awaited, and Python would complain of that
        return TypeError("it returned a coroutine, not True or False: a requirement is no async function")
    return TypeError(f"it returned {kind_of(answer)}, not True or False")


@lru_cache
def _names_as_read(claim_types: frozenset[str]) -> frozenset[str]:
    return frozenset(map(name_as_read, claim_types))


def _is_one_of(value: ClaimValue, values: tuple[ClaimValue, ...]) -> bool:
    return (type(value) is str and value in values) or any(_same(value, wanted) for wanted in values)


def _same(value: ClaimValue, wanted: ClaimValue) -> bool:
    if isinstance(value, str) and not isinstance(wanted, str):  # at a hub method every claim has become a text
        return value.lower() == str(wanted).lower()
    return value == wanted and isinstance(value, bool) == isinstance(wanted, bool)  # True is no 1
