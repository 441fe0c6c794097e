"""The signature of a handler: who takes the invocation, and what annotations resolve to."""

import inspect
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any, Optional, ParamSpec, TypeVar, TypeVarTuple, Union, Unpack

import pytest

from flask_signalr.errors import ConfigurationError
from flask_signalr.handler_signature import Unresolved, annotations, check_event, check_first, parameters
from flask_signalr.hub_methods import HubMethods
from flask_signalr.invocation import Invocation

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")
FIRST = inspect.Parameter("first", inspect.Parameter.POSITIONAL_OR_KEYWORD)
TYPE_CHECKING_ALONE = """
from __future__ import annotations
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from decimal import Decimal
    from flask_signalr import Invocation
    import flask_signalr as realtime
"""


def function_of(source: str, prelude: str = TYPE_CHECKING_ALONE) -> Any:
    """Return the function ``handler`` of a module."""
    names: dict[str, Any] = {"Room": Invocation}
    exec(f"{prelude}\n{source}", names)
    return names["handler"]


def first_of(annotation: object) -> Unresolved | None:
    def handler(first: Any) -> None: ...

    handler.__annotations__["first"] = annotation
    return check_first("x", FIRST, annotations("x", handler))


@pytest.mark.parametrize(
    "annotation",
    [
        Invocation,
        "Invocation",
        Any,
        object,
        "Any",
        Annotated[Invocation, "of ours"],
        Annotated[Any, "of ours"],
        Invocation | None,
        Optional["Invocation"],  # an object of another kind than the one above
        Union[str, Invocation],  # noqa: UP007
        "realtime.Invocation",
        "'Invocation | Nowhere'",
        P.args,  # type: ignore[attr-defined] # of a decorator for any function, as the next two
        T,
        TypeVar("I", bound=Invocation),
        TypeVar("Later", bound="Invocation"),
        Unpack[Ts],
    ],
    ids=str,
)
def test_the_first_parameter_takes_the_invocation(annotation: object) -> None:
    assert first_of(annotation) is None


@pytest.mark.parametrize(
    "annotation",
    [
        TypeVar("S", bound=str),
        TypeVar("C", str, int),
        TypeVar("F", bound="str"),
        Unpack[tuple[str, int]],
        int,
        "int",
        "'int'",
        list[int],
        dict,
        str | None,
        Annotated[int, "x"],
        Annotated[str, Invocation],
        None,
        7,
    ],
    ids=str,
)
def test_handing_out_the_invocation_by_a_forgotten_parameter_fails(annotation: object) -> None:
    """The function would take it for what the client sent, and return the caller's claims and query."""
    with pytest.raises(ConfigurationError, match=r"x: .*"):
        first_of(annotation)


def test_a_forgotten_invocation_is_told_with_the_remedy() -> None:
    with pytest.raises(ConfigurationError) as refused:
        first_of(int)

    assert str(refused.value) == (
        "x: the function's first parameter is the Invocation, and 'first' is annotated as int: "
        "put a parameter before it, as (invocation: Invocation, first: int)"
    )


def test_a_decorator_within_a_class_is_refused() -> None:
    """There is no object yet: the invocation would be ``self``, and the client would choose the invocation."""

    class Room:
        def say(self, invocation, text) -> None: ...  # type: ignore[no-untyped-def] # noqa: ANN001, RUF100

    with pytest.raises(ConfigurationError, match=r"a method without its object: .*\(room\.say\)"):
        HubMethods().add("say", Room.say)
    HubMethods().add("say", Room().say)


def test_a_first_parameter_that_nobody_knows_is_told_apart() -> None:
    assert first_of("Nowhere") == Unresolved("Nowhere", "name 'Nowhere' is not defined")


def test_what_a_type_checker_alone_imports_spoils_nothing_else() -> None:
    """Linters move imports that annotations alone need under ``if TYPE_CHECKING``."""
    handler = function_of("def handler(invocation: Invocation, number: int, price: Decimal) -> None: ...")

    hints = annotations("x", handler)

    assert (hints["invocation"], hints["number"], hints["return"]) == (Invocation, int, type(None))
    assert hints["price"] == Unresolved("Decimal", "name 'Decimal' is not defined")
    assert check_first("x", inspect.Parameter("invocation", FIRST.kind), hints) is None


@pytest.mark.parametrize(
    ("annotation", "written"),
    [
        ("list['Decimal']", "list['Decimal']"),
        ("Optional['Decimal']", "typing.Optional[Decimal]" if sys.version_info < (3, 14) else "Decimal | None"),
    ],
)
def test_what_is_not_there_is_told_as_it_is_written(annotation: str, written: str) -> None:
    """And not with the reference that stands for it, nor with the address of the function."""
    handler = function_of(f"def handler(prices: {annotation}): ...", "from typing import Optional")

    assert annotations("x", handler)["prices"] == Unresolved(written, "name 'Decimal' is not defined")


def test_annotations_that_are_looked_up_late_are_as_good_as_texts() -> None:
    """From Python 3.14 on they are looked up when they are read, and linters move their imports as they do those."""
    eager = sys.version_info < (3, 14)
    prelude = TYPE_CHECKING_ALONE if eager else TYPE_CHECKING_ALONE.replace("from __future__ import annotations", "")
    handler = function_of(
        "def handler(invocation: Invocation | None, number: int, price: Decimal, more: list[Decimal]) -> Decimal: ...",
        prelude,
    )

    hints = annotations("x", handler)
    first, *_ = parameters("x", handler)

    assert (hints["invocation"], hints["number"]) == (Invocation | None, int)
    assert hints["price"] == hints["return"] == Unresolved("Decimal", "name 'Decimal' is not defined")
    assert hints["more"] == Unresolved("list[Decimal]", "name 'Decimal' is not defined")
    assert check_first("x", first, hints) is None
    check_event("on_connected", function_of("def handler(first: realtime.Invocation): ...", prelude), ("first",))


def test_the_modules_own_names_are_not_overruled() -> None:
    handler = function_of("def handler(first: Invocation): ...", "from __future__ import annotations\nInvocation = int")

    assert annotations("x", handler) == {"first": int}


def test_the_remedy_names_the_annotation_and_where_it_belongs() -> None:
    text = str(Unresolved("Decimal", "name 'Decimal' is not defined").remedy("hub method 'add'"))

    assert text.startswith("hub method 'add': the annotation 'Decimal' cannot be resolved: name 'Decimal' is not")
    assert "import it outside of 'if TYPE_CHECKING'" in text


@pytest.mark.parametrize("annotation", ["two words", "int |", "1 | 'x'"])
def test_what_is_no_annotation_is_told_at_once(annotation: str) -> None:
    def handler(first: Any) -> None: ...

    handler.__annotations__["first"] = annotation

    with pytest.raises(ConfigurationError, match="is no annotation"):
        annotations("on_connected", handler)


def late_module(invocation: Invocation, value: "inspect.Nothing") -> None: ...  # type: ignore[name-defined]


def test_a_module_that_lacks_a_name_is_as_good_as_none() -> None:
    assert isinstance(annotations("x", late_module)["value"], Unresolved)


def came(name: str) -> None: ...


def went(reason: str, error: str | None) -> None: ...


def any_of(*texts: str) -> None: ...


@pytest.mark.parametrize(
    ("event", "handler", "arguments"),
    [
        ("on_connected", came, ("invocation",)),
        ("on_connected", any_of, ("invocation",)),
        ("on_disconnected", went, ("invocation", "error")),
    ],
)
def test_a_handler_of_events_takes_the_invocation_first(
    event: str, handler: Callable[..., Any], arguments: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigurationError, match=f"{event}: the function's first parameter is the Invocation"):
        check_event(event, handler, arguments)


@pytest.mark.parametrize("given", [None, "chat"])
def test_a_decorator_with_parentheses_is_told_to_have_none(given: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"write @hub\.on_connected without"):
        check_event("on_connected", given, ("invocation",))


def items(invocation: Invocation) -> Iterator[int]:
    yield 1


async def items_later(invocation: Invocation) -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("function", [items, items_later])
def test_a_yield_that_lets_everybody_in_is_refused(function: Callable[..., Any]) -> None:
    """A call of such a function runs nothing of it, so an ``on_connected`` would refuse nobody."""
    with pytest.raises(ConfigurationError, match=r"on_connected: the function has a yield"):
        check_event("on_connected", function, ("invocation",))
    with pytest.raises(ConfigurationError, match=r"hub method 'items': the function has a yield"):
        HubMethods().add("items", function, is_stream=True)
