"""The signature of an app's handler: its parameters, the first of which is the invocation, and their annotations."""

import functools
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Union

from flask_signalr.errors import ConfigurationError
from flask_signalr.invocation import Invocation

Handler = Callable[..., Any]
"""A function, sync or async, whose first parameter is the `Invocation`."""

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_FORWARD = re.compile(r"ForwardRef\('(.*?)'[^)]*\)")

if sys.version_info >= (3, 14):  # annotations without quotes are looked up when they are read (PEP 649)
    from annotationlib import Format, get_annotations

    _signature_of = functools.partial(inspect.signature, annotation_format=Format.STRING)
    _annotations_of = functools.partial(get_annotations, format=Format.FORWARDREF)
else:
    _signature_of, _annotations_of = inspect.signature, inspect.get_annotations


@dataclass(frozen=True)
class Unresolved:
    """An annotation that names what does not exist, or not yet.

    Attributes:
        annotation: As it is written.
        reason: What is missing.
    """

    annotation: str
    reason: str

    def remedy(self, subject: str) -> ConfigurationError:
        """Return the error that says what to do about it.

        Args:
            subject: Whose annotation it is.
        """
        return ConfigurationError(
            f"{subject}: the annotation {self.annotation!r} cannot be resolved: {self.reason}. What arguments are "
            "converted to must be there at run time: import it outside of 'if TYPE_CHECKING', and define it in the "
            "module, not in a function"
        )


def annotations(subject: str, function: Handler) -> dict[str, Any]:
    """Return the annotations of what runs in the end: within a partial, a decorator or an object.

    Each is resolved by itself, so that one that nobody needs to know at run time spoils no other.

    Args:
        subject: What the function is, for an error.
        function: The handler.

    Returns:
        Types by parameter, and ``return``; `Unresolved` where a name is missing.

    Raises:
        ConfigurationError: One is nothing that an annotation can be.
    """
    inner: Any = inspect.unwrap(function)
    while isinstance(inner, functools.partial):
        inner = inspect.unwrap(inner.func)
    if not inspect.isroutine(inner):
        inner = type(inner).__call__
    return {name: _resolved(subject, inner, annotation) for name, annotation in _annotations_of(inner).items()}


def _resolved(subject: str, owner: Any, annotation: object) -> Any:
    names = getattr(owner, "__globals__", {})
    # Type checkers alone see what stands under `if TYPE_CHECKING`, and `Invocation` is all too often imported there.
    more = {} if "Invocation" in names else {"Invocation": Invocation}
    one = types.SimpleNamespace(
        __annotations__={"one": annotation}, __type_params__=getattr(owner, "__type_params__", ())
    )
    try:
        return typing.get_type_hints(one, names, more, include_extras=True)["one"]
    except (NameError, AttributeError) as exc:
        return Unresolved(_FORWARD.sub(r"\1", str(annotation)), str(exc))
    except (SyntaxError, TypeError) as exc:
        raise ConfigurationError(f"{subject}: {annotation!r} is no annotation: {exc}") from exc


def check_first(subject: str, first: inspect.Parameter, hints: dict[str, Any]) -> Unresolved | None:
    """Refuse a first parameter that is meant for something else than the invocation.

    Whoever forgets the invocation would hand it out: the function takes it for what the client sent.

    Args:
        subject: Whose parameter it is, for an error.
        first: The parameter.
        hints: What `annotations` returned.

    Returns:
        The annotation, where nobody can tell yet.

    Raises:
        ConfigurationError: It is annotated as something else, or is the object that a method belongs to.
    """
    if first.name == "self":
        raise ConfigurationError(
            f"{subject}: the first parameter is the Invocation, and this is a method without its object: register it "
            'of an object, as hub.method("say")(room.say)'
        )
    if first.name not in hints:
        return None
    wanted = hints[first.name]
    if isinstance(wanted, Unresolved):
        return None if _names_invocation(wanted.annotation) else wanted
    if not _takes_invocation(wanted):
        kind = getattr(wanted, "__name__", str(wanted))
        raise ConfigurationError(
            f"{subject}: the function's first parameter is the Invocation, and {first.name!r} is annotated as {kind}: "
            f"put a parameter before it, as (invocation: Invocation, {str(first).partition(':')[0]}: {kind})"
        )
    return None


def _names_invocation(annotation: str) -> bool:
    return re.search(r"\bInvocation\b", annotation) is not None


def passes_on(wanted: object) -> bool:
    """Tell whether this annotates what a decorator for any function passes on: ``*args: P.args`` or ``*args: *Ts``."""
    return isinstance((*typing.get_args(wanted), wanted)[0], typing.ParamSpecArgs | typing.TypeVarTuple)


def _takes_invocation(wanted: Any) -> bool:
    origin = typing.get_origin(wanted)
    if wanted is Any or passes_on(wanted):
        return True
    if isinstance(wanted, typing.TypeVar):
        bound = (Any if wanted.__bound__ is None else wanted.__bound__,)
        return any(map(_takes_invocation, wanted.__constraints__ or bound))
    if isinstance(wanted, typing.ForwardRef):  # of a TypeVar, whose bound nobody has resolved
        return _names_invocation(wanted.__forward_arg__)
    if origin in (Annotated, Union, types.UnionType):
        members = typing.get_args(wanted)
        return any(map(_takes_invocation, members[:1] if origin is Annotated else members))
    return isinstance(wanted, type) and wanted in Invocation.__mro__


def _signature(subject: str, function: Handler) -> inspect.Signature:
    try:
        signature = _signature_of(function)
    except (TypeError, ValueError) as exc:
        raise ConfigurationError(f"{subject}: {function!r} is no function whose parameters are known") from exc
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigurationError(
            f"{subject}: the function has a yield, so a call of it would run nothing: return a result, or send the "
            "items of a stream by hub.clients.client(invocation.connection_id).stream(invocation.invocation_id)"
        )
    return signature


def parameters(
    subject: str, function: Handler
) -> tuple[inspect.Parameter, tuple[inspect.Parameter, ...], inspect.Parameter | None]:
    """Return the parameter of the invocation, those after it, and the one that takes all further arguments.

    Args:
        subject: What the function is, for an error.
        function: The handler of clients' calls.

    Returns:
        The first may be the last too: that of ``def handler(*everything)``.

    Raises:
        ConfigurationError: It could not be called with an invocation and arguments by position.
    """
    known = list(_signature(subject, function).parameters.values())
    rest = next((parameter for parameter in known if parameter.kind is inspect.Parameter.VAR_POSITIONAL), None)
    named = [parameter for parameter in known if parameter.kind in _POSITIONAL]
    if not named and rest is None:
        raise ConfigurationError(f"{subject}: the function's first parameter is the invocation, and it has none")
    for parameter in known:
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and parameter.default is inspect.Parameter.empty:
            raise ConfigurationError(
                f"{subject}: clients pass arguments by position, and {parameter.name!r} can only be passed by name"
            )
    return known[0], tuple(named[1:]), rest


def check_event(event: str, function: Handler, arguments: tuple[str, ...]) -> None:
    """Check that a function can be called with what an event has.

    Args:
        event: The name of the decorator, for an error.
        function: The handler.
        arguments: What the event has, the invocation first.

    Raises:
        ConfigurationError: It cannot.
    """
    if not callable(function):
        raise ConfigurationError(
            f"{event}: {function!r} is no function: the decorator takes nothing else, write @hub.{event} without (…)"
        )
    signature = _signature(event, function)
    try:
        signature.bind(*arguments)
    except TypeError as exc:
        raise ConfigurationError(f"{event}: the function is called with ({', '.join(arguments)}): {exc}") from exc
    check_first(event, next(iter(signature.parameters.values())), annotations(event, function))
