"""Hub methods: the table of one hub, and how a client's arguments become those of a function."""

import functools
import inspect
import re
import typing
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import msgspec

from flask_signalr.authorization import Policy
from flask_signalr.errors import BadRequest, ConfigurationError
from flask_signalr.method_names import check_method_name

Handler = Callable[..., Any]
"""A function, sync or async, whose first parameter is the `Invocation`."""

_EVERYBODY = Policy()
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_WITHOUT_VALUES = re.compile(r"Expected |Object missing required field ")


class HubMethod:
    """A function that clients may call.

    Args:
        name: The name that clients invoke.
        function: What runs; its annotations say what the arguments become.
        policy: What is asked at each call.
        is_stream: Whether it answers with a stream, whose items and end it sends itself.

    Attributes:
        name: As given.
        function: As given.
        policy: As given; a policy of no requirement if none is.
        is_stream: As given.

    Raises:
        ConfigurationError: Nobody could call the function with an invocation and arguments by position, or an
            annotation is nothing that a message can be converted to.
    """

    def __init__(self, name: str, function: Handler, policy: Policy | None = None, *, is_stream: bool = False) -> None:
        self.name = name
        self.function = function
        self.policy = _EVERYBODY if policy is None else policy
        self.is_stream = is_stream
        self._parameters, self._rest = _parameters(f"hub method {name!r}", function)
        self._least = sum(parameter.default is inspect.Parameter.empty for parameter in self._parameters)
        self._defaults = tuple(parameter.default for parameter in self._parameters[self._least :])
        self._types: tuple[Any, ...] | None = None
        self._returns_nothing = True
        with suppress(NameError):  # the name may be defined further down in the module: the first call looks again
            self._resolve()

    @property
    def returns_nothing(self) -> bool:
        """Whether ``None`` is no result but the lack of one: the function is annotated so, or not at all."""
        return self._returns_nothing

    def bind(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return a client's arguments as the function takes them, with the defaults of those left out.

        Raises:
            BadRequest: They are too many or too few, or one cannot be converted; the text is for the caller and
                holds none of the values.
            ConfigurationError: An annotation names what does not exist.
        """
        types = self._types or self._late_types()
        given, most = len(arguments), len(self._parameters)
        if given < self._least or (given > most and self._rest is None):
            raise BadRequest(f"Invocation provides {given} argument(s) but target expects {self._expected()}.")
        bound = list(arguments)
        for position, value in enumerate(arguments):
            wanted = types[min(position, most)]
            if wanted is not Any:
                bound[position] = self._converted(value, wanted, position)
        return (*bound, *self._defaults[max(0, given - self._least) :])

    def _converted(self, value: Any, wanted: Any, position: int) -> Any:
        try:
            return msgspec.convert(value, wanted)
        except msgspec.ValidationError as exc:
            parameter = (*self._parameters, self._rest)[min(position, len(self._parameters))]
            named = f" ({parameter.name})" if parameter else ""
            raise BadRequest(f"Argument {position + 1}{named}: {_without_values(exc)}.") from exc

    def _expected(self) -> str:
        if self._rest is not None:
            return f"at least {self._least}"
        most = len(self._parameters)
        return str(most) if self._least == most else f"{self._least} to {most}"

    def _late_types(self) -> tuple[Any, ...]:
        try:
            return self._resolve()
        except NameError as exc:
            raise ConfigurationError(f"hub method {self.name!r}: an annotation cannot be resolved: {exc}") from exc

    def _resolve(self) -> tuple[Any, ...]:
        """Look the annotations up; the last of the types is that of the arguments beyond the named ones."""
        hints = _hints(self.function)
        types = [hints.get(parameter.name, Any) for parameter in self._parameters]
        types.append(Any if self._rest is None else hints.get(self._rest.name, Any))
        for wanted in types:
            self._check(wanted)
        self._returns_nothing = hints.get("return", type(None)) is type(None)
        self._types = tuple(types)
        return self._types

    def _check(self, wanted: Any) -> None:
        try:
            kind = msgspec.inspect.type_info(wanted)
        except TypeError as exc:
            raise ConfigurationError(f"hub method {self.name!r}: {exc}") from exc
        if isinstance(kind, msgspec.inspect.CustomType) and kind.cls is not object:
            raise ConfigurationError(
                f"hub method {self.name!r}: no message can be converted to {kind.cls.__name__}; annotate with a "
                "dataclass, a msgspec.Struct, a type of the standard library, or Any"
            )

    def __repr__(self) -> str:
        return f"HubMethod({self.name!r}, {self.policy!r})"


class HubMethods:
    """What a hub runs: its methods, and its handlers of clients that come and go.

    Attributes:
        connected: Called with the `Invocation`, in the order in which they were added.
        disconnected: Called with the `Invocation` and the error, a text or ``None``, in that order too.
    """

    def __init__(self) -> None:
        self.connected: list[Handler] = []
        self.disconnected: list[Handler] = []
        self._methods: dict[str, HubMethod] = {}

    def add(self, name: str, function: Handler, policy: Policy | None = None, *, is_stream: bool = False) -> HubMethod:
        """Add a method, as `HubMethod` takes it.

        Raises:
            ConfigurationError: No call could have the name, as `check_method_name` tells, or it is taken: clients find
                a method whatever the case. The policy is none. Or as `HubMethod`.
        """
        check_method_name(name)
        given: object = policy
        if not isinstance(given, Policy | None):
            kind = type(given).__name__
            raise ConfigurationError(f"hub method {name!r}: policy= takes a Policy, not a {kind}: Policy(…) makes one")
        known = self._methods.get(name.lower())
        if known is not None:
            raise ConfigurationError(
                f"hub method {name!r} is already there as {known.name!r}: case does not tell methods apart"
            )
        method = self._methods[name.lower()] = HubMethod(name, function, policy, is_stream=is_stream)
        return method

    def add_connected(self, function: Handler) -> None:
        """Add a handler of clients that connect.

        Raises:
            ConfigurationError: It cannot be called with an invocation.
        """
        _check_event("on_connected", function, ("invocation",))
        self.connected.append(function)

    def add_disconnected(self, function: Handler) -> None:
        """Add a handler of clients that are gone.

        Raises:
            ConfigurationError: It cannot be called with an invocation and an error.
        """
        _check_event("on_disconnected", function, ("invocation", "error"))
        self.disconnected.append(function)

    def find(self, target: str) -> HubMethod | None:
        """Return the method that a client means; case does not matter, as in ASP.NET."""
        return self._methods.get(target.lower())

    def __iter__(self) -> Iterator[HubMethod]:
        return iter(self._methods.values())

    def __len__(self) -> int:
        return len(self._methods)


def _signature(subject: str, function: Handler) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError) as exc:
        raise ConfigurationError(f"{subject}: {function!r} is no function whose parameters are known") from exc


def _parameters(subject: str, function: Handler) -> tuple[tuple[inspect.Parameter, ...], inspect.Parameter | None]:
    """Return the parameters after the invocation, and the one that takes all further arguments."""
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
    return tuple(named[1:]), rest


def _check_event(subject: str, function: Handler, arguments: tuple[str, ...]) -> None:
    try:
        _signature(subject, function).bind(*arguments)
    except TypeError as exc:
        raise ConfigurationError(f"{subject}: the function is called with ({', '.join(arguments)}): {exc}") from exc


def _hints(function: Handler) -> dict[str, Any]:
    """Return the resolved annotations of what runs in the end: within a partial, a decorator or an object."""
    inner: Any = inspect.unwrap(function)
    while isinstance(inner, functools.partial):
        inner = inspect.unwrap(inner.func)
    if not inspect.isroutine(inner):
        inner = type(inner).__call__
    return typing.get_type_hints(inner, include_extras=True)


def _without_values(error: msgspec.ValidationError) -> str:
    """Return msgspec's reason without what the client sent, which has no place in answers and logs."""
    reason, at, path = str(error).partition(" - at `")
    if error.__cause__ is not None:  # raised by the app's own __post_init__
        reason = "Invalid value"
    elif not _WITHOUT_VALUES.match(reason):
        reason = re.split(r" (?:[`'\"]|-?\d)", reason, maxsplit=1)[0]
    return f"{reason}{at}{path}"
