"""Hub methods: the table of one hub, and how a client's arguments become those of a function."""

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from flask_signalr.authorization import Policy
from flask_signalr.error_text import kind_of
from flask_signalr.errors import BadRequest, ConfigurationError
from flask_signalr.handler_signature import (
    Handler,
    Unresolved,
    annotations,
    check_event,
    check_first,
    parameters,
    passes_on,
)
from flask_signalr.invocation import Invocation
from flask_signalr.method_names import check_method_name

Accept = Callable[[str, Handler], None]
"""Refuses a function that an app could not run by a `ConfigurationError`; is told what the function is, too."""

_EVERYBODY = Policy()
_UNHASHABLE = re.compile(r"unhashable type: '(list|dict)'")
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
        self._subject = f"hub method {name!r}"
        self._first, self._parameters, self._rest = parameters(self._subject, function)
        self._least = sum(parameter.default is inspect.Parameter.empty for parameter in self._parameters)
        self._defaults = tuple(parameter.default for parameter in self._parameters[self._least :])
        self._types: tuple[Any, ...] | None = None
        self._returns_nothing = True
        self._resolve()  # what is missing may be defined further down in the module: `check` looks again

    @property
    def returns_nothing(self) -> bool:
        """Whether ``None`` is no result but the lack of one: the function is annotated so, or not at all."""
        return self._returns_nothing

    def check(self) -> tuple[Any, ...]:
        """Return the types of the arguments, the last of them that of those beyond the named ones.

        Raises:
            ConfigurationError: An annotation names what does not exist, although all should be there by now.
        """
        if self._types is None:
            missing = self._resolve()
            if missing is not None:
                raise missing.remedy(self._subject)
        return self._types or ()

    def bind(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return a client's arguments as the function takes them, with the defaults of those left out.

        Raises:
            BadRequest: They are too many or too few, or one cannot be converted; the text is for the caller and
                holds none of the values.
            ConfigurationError: An annotation names what does not exist.
        """
        types = self._types or self.check()
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
        cause: Exception
        try:
            return msgspec.convert(value, wanted)
        except msgspec.ValidationError as exc:
            cause, reason = exc, _without_values(exc)
        except TypeError as exc:
            if not _UNHASHABLE.search(str(exc)):
                raise
            cause, reason = exc, "Expected items of a set, or keys, that are no arrays and no objects"
        parameter = (*self._parameters, self._rest)[min(position, len(self._parameters))]
        named = f" ({parameter.name})" if parameter else ""
        raise BadRequest(f"Argument {position + 1}{named}: {reason}.") from cause

    def _expected(self) -> str:
        if self._rest is not None:
            return f"at least {self._least}"
        most = len(self._parameters)
        return str(most) if self._least == most else f"{self._least} to {most}"

    def _resolve(self) -> Unresolved | None:
        """Look up the annotations that matter, and return the first that names what is not there."""
        hints = annotations(self._subject, self.function)
        types = [hints.get(parameter.name, Any) for parameter in self._parameters]
        rest = Any if self._rest is None else hints.get(self._rest.name, Any)
        types.append(Any if passes_on(rest) else rest)
        missing = [check_first(self._subject, self._first, hints), *types]
        for wanted in missing:
            if isinstance(wanted, Unresolved):
                return wanted
        for wanted in types:
            try:
                self._check(wanted)
            except (NameError, AttributeError) as exc:  # of a class whose own annotations name what is not there
                return Unresolved(wanted.__name__ if isinstance(wanted, type) else str(wanted), str(exc))
        self._returns_nothing = hints.get("return", type(None)) is type(None)
        self._types = tuple(types)
        return None

    def _check(self, wanted: Any) -> None:
        try:
            kind = msgspec.inspect.type_info(wanted)
        except TypeError as exc:
            raise ConfigurationError(f"{self._subject}: {exc}") from exc
        for part in _with_items(kind):
            known = getattr(part, "cls", object)
            # Any client could write one, and be whoever it likes.
            if isinstance(known, type) and issubclass(known, Invocation):
                raise ConfigurationError(f"{self._subject}: the Invocation is the first parameter, and no other is one")
            if isinstance(part, msgspec.inspect.CustomType) and not _is_brought(known):
                raise ConfigurationError(
                    f"{self._subject}: no message can be converted to {known.__name__}; annotate with a "
                    "dataclass, a msgspec.Struct, a type of the standard library, or Any"
                )

    def __repr__(self) -> str:
        return f"HubMethod({self.name!r}, {self.policy!r})"


class HubMethods:
    """What a hub runs: its methods, and its handlers of clients that come and go.

    Args:
        accept: Sees each function before it is added.

    Attributes:
        connected: Called with the `Invocation`, in the order in which they were added.
        disconnected: Called with the `Invocation` and the error, a text or ``None``, in that order too.
    """

    def __init__(self, accept: Accept = lambda subject, function: None) -> None:
        self._accept = accept
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
            kind = kind_of(given)
            raise ConfigurationError(f"hub method {name!r}: policy= takes a Policy, not {kind}: Policy(…) makes one")
        known = self._methods.get(name.lower())
        if known is not None:
            raise ConfigurationError(
                f"hub method {name!r} is already there as {known.name!r}: case does not tell methods apart"
            )
        method = HubMethod(name, function, policy, is_stream=is_stream)
        self._accept(f"hub method {name!r}", function)
        self._methods[name.lower()] = method
        return method

    def add_connected(self, function: Handler) -> None:
        """Add a handler of clients that connect.

        Raises:
            ConfigurationError: It cannot be called with an invocation.
        """
        check_event("on_connected", function, ("invocation",))
        self._accept("on_connected", function)
        self.connected.append(function)

    def add_disconnected(self, function: Handler) -> None:
        """Add a handler of clients that are gone.

        Raises:
            ConfigurationError: It cannot be called with an invocation and an error.
        """
        check_event("on_disconnected", function, ("invocation", "error"))
        self._accept("on_disconnected", function)
        self.disconnected.append(function)

    def find(self, target: str) -> HubMethod | None:
        """Return the method that a client means; case does not matter, as in ASP.NET."""
        return self._methods.get(target.lower())

    def check(self, accept: Accept) -> None:
        """Check all that is declared once more, when an app is to run it.

        Args:
            accept: The app's.

        Raises:
            ConfigurationError: An annotation names what does not exist, or the app could not run a function.
        """
        for method in tuple(self):
            method.check()
            accept(f"hub method {method.name!r}", method.function)
        for event, functions in (("on_connected", self.connected), ("on_disconnected", self.disconnected)):
            for function in tuple(functions):
                accept(event, function)

    def __iter__(self) -> Iterator[HubMethod]:
        return iter(self._methods.values())

    def __len__(self) -> int:
        return len(self._methods)


def _with_items(kind: object) -> Iterator[msgspec.inspect.Type]:
    """Yield a type and those of its items; a class may have members that no message brings."""
    if isinstance(kind, msgspec.inspect.Type):
        yield kind
        kind = tuple(getattr(kind, name) for name in kind.__struct_fields__)
    if isinstance(kind, tuple):
        for each in kind:
            yield from _with_items(each)


_BROUGHT: tuple[object, ...] = (0, 0.0, "", b"", [], {})


def _is_brought(kind: type) -> bool:
    """Tell whether something that a message holds may be of this class, such as of an abstract one."""
    try:
        return any(isinstance(each, kind) for each in _BROUGHT)
    except TypeError:  # a protocol that is for type checkers alone
        return False


def _without_values(error: msgspec.ValidationError) -> str:
    """Return msgspec's reason without what the client sent, which has no place in answers and logs."""
    reason, at, path = str(error).partition(" - at `")
    if error.__cause__ is not None:  # raised by the app's own __post_init__
        reason = "Invalid value"
    elif not _WITHOUT_VALUES.match(reason):
        reason = re.split(r" (?:[`'\"]|-?\d)", reason, maxsplit=1)[0]
    return f"{reason}{at}{path}"
