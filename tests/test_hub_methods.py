"""The table of a hub's methods, and how a client's arguments become those of a function."""

import dataclasses
import datetime as dt
import decimal
import enum
import functools
import sys
import types
import typing
import uuid
from collections.abc import Callable
from numbers import Number
from typing import Annotated, Any, Literal, ParamSpec, Protocol, TypeVar

import msgspec
import pytest

from flask_signalr.authorization import Policy, require_role
from flask_signalr.errors import BadRequest, ConfigurationError
from flask_signalr.handler_signature import Handler
from flask_signalr.hub_methods import HubMethod, HubMethods
from flask_signalr.invocation import Invocation


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


class Message(msgspec.Struct, rename="camel"):
    room_name: str
    sent_at: dt.datetime | None = None


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Account:
    number: str

    def __post_init__(self) -> None:
        if not self.number.isdigit():
            raise ValueError(f"{self.number} has letters")


NOON = dt.datetime(2026, 1, 2, 12, 0, tzinfo=dt.UTC)
NUMBER = uuid.UUID("12345678-1234-5678-1234-567812345678")


def method_of(annotation: Any) -> HubMethod:
    """Return a method with one argument of this type."""

    def function(invocation: Invocation, argument: Any) -> None:
        pass

    function.__annotations__["argument"] = annotation
    return HubMethod("method", function)


def through_json(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def through_messagepack(value: Any) -> Any:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value))


both_protocols = pytest.mark.parametrize("carry", [through_json, through_messagepack], ids=["json", "messagepack"])


# Conversion.


@both_protocols
@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (str, "é"),
        (int, 7),
        (float, 0.5),
        (bool, True),
        (bytes, b"\x00\xff"),
        (dt.datetime, NOON),
        (dt.date, NOON.date()),
        (uuid.UUID, NUMBER),
        (decimal.Decimal, decimal.Decimal("0.1")),
        (Colour, Colour.BLUE),
        (Literal["a", "b"], "b"),
        (Point, Point(1, 2)),
        (list[Point], [Point(1, 2), Point(3, 0)]),
        (dict[str, Colour], {"sky": Colour.BLUE}),
        (tuple[int, str], (1, "a")),
        (set[int], {1, 2}),
        (Message, Message("lobby", NOON)),
        (Message | None, None),
        (Point | None, Point(1, 2)),
        (Annotated[int, msgspec.Meta(ge=0)], 0),
        (list, [1, "a", None]),
        (dict, {"a": 1}),
        (object, "as it is"),
        (Any, [1, {"a": None}]),
    ],
    ids=repr,
)
def test_an_argument_becomes_what_the_annotation_says(carry: Callable[[Any], Any], annotation: Any, value: Any) -> None:
    bound = method_of(annotation).bind((carry(value),))

    assert bound == (value,)
    assert type(bound[0]) is type(value)


def test_a_whole_number_may_stand_for_a_float() -> None:
    """JavaScript writes 2.0 as 2."""
    (bound,) = method_of(float).bind((2,))

    assert (bound, type(bound)) == (2.0, float)


def test_an_argument_without_annotation_stays_as_it_came() -> None:
    def function(invocation, argument):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202, RUF100
        pass

    value = {"a": [1, None]}

    assert HubMethod("method", function).bind((value,))[0] is value


@pytest.mark.parametrize(
    ("annotation", "value", "reason"),
    [
        (int, "7", "Expected `int`, got `str`"),
        (int, 7.5, "Expected `int`, got `float`"),
        (int, True, "Expected `int`, got `bool`"),
        (str, None, "Expected `str`, got `null`"),
        (str, 7, "Expected `str`, got `int`"),
        (dt.datetime, "secret", "Invalid RFC3339 encoded datetime"),
        (uuid.UUID, "secret", "Invalid UUID"),
        (bytes, "secret!", "Invalid base64 encoded string"),
        (Colour, "secret", "Invalid enum value"),
        (Literal["a"], "secret", "Invalid enum value"),
        (Literal[1, 2], -424242, "Invalid enum value"),
        (list[int], [1, "secret"], "Expected `int`, got `str` - at `$[1]`"),
        (dict[str, int], {"secret": "secret"}, "Expected `int`, got `str` - at `$[...]`"),
        (Point, {"y": 1}, "Object missing required field `x`"),
        (list[Point], [{"x": "secret"}], "Expected `int`, got `str` - at `$[0].x`"),
        (Message, {"roomName": 1}, "Expected `str`, got `int` - at `$.roomName`"),
        (Account, {"number": "secret"}, "Invalid value"),
        (Annotated[str, msgspec.Meta(max_length=3)], "secret", "Expected `str` of length <= 3"),
    ],
    ids=repr,
)
def test_what_cannot_be_converted_is_refused_without_its_value(annotation: Any, value: Any, reason: str) -> None:
    """The text goes to the caller and into logs, where what a user typed has no place."""
    with pytest.raises(BadRequest) as refused:
        method_of(annotation).bind((value,))

    assert str(refused.value) == f"Argument 1 (argument): {reason}."
    assert "secret" not in str(refused.value)


def test_a_member_that_no_field_takes_is_refused_without_its_name() -> None:
    strict = msgspec.defstruct("Strict", [("a", int)], forbid_unknown_fields=True)

    with pytest.raises(BadRequest) as refused:
        method_of(strict).bind(({"a": 1, "secret": 2},))

    assert str(refused.value) == "Argument 1 (argument): Object contains unknown field."


# How many.


def two(invocation: Invocation, room: str, text: str) -> None: ...


def defaults(invocation: Invocation, room: str, text: str = "hello", times: int = 1) -> None: ...


def rest(invocation: Invocation, room: str, *numbers: int) -> None: ...


def rest_alone(*everything: Any) -> None: ...


def rest_after_default(invocation: Invocation, room: str = "lobby", *numbers: int) -> None: ...


def none(invocation: Invocation) -> None: ...


def by_position(invocation: Invocation, room: str, /, text: str = "hello", *, option: int = 1, **more: int) -> None: ...


@pytest.mark.parametrize(
    ("function", "given", "bound"),
    [
        (none, (), ()),
        (two, ("a", "b"), ("a", "b")),
        (defaults, ("a",), ("a", "hello", 1)),
        (defaults, ("a", "b"), ("a", "b", 1)),
        (defaults, ("a", "b", 3), ("a", "b", 3)),
        (rest, ("a",), ("a",)),
        (rest, ("a", 1, 2), ("a", 1, 2)),
        (rest_after_default, (), ("lobby",)),
        (rest_after_default, ("a", 1), ("a", 1)),
        (rest_alone, (1, "a"), (1, "a")),
        (rest_alone, (), ()),
        (by_position, ("a",), ("a", "hello")),
        (by_position, ("a", "b"), ("a", "b")),
    ],
)
def test_arguments_left_out_get_their_defaults(function: Handler, given: tuple[Any, ...], bound: Any) -> None:
    """A requirement sees them too: it can rely on the place of each."""
    assert HubMethod("method", function).bind(given) == bound


@pytest.mark.parametrize(
    ("function", "given", "expected"),
    [
        (none, ("a",), "0"),
        (two, (), "2"),
        (two, ("a",), "2"),
        (two, ("a", "b", "c"), "2"),
        (defaults, (), "1 to 3"),
        (defaults, ("a", "b", 1, 2), "1 to 3"),
        (rest, (), "at least 1"),
        (by_position, ("a", "b", 1), "1 to 2"),
    ],
)
def test_too_many_or_too_few_arguments_are_refused(function: Handler, given: tuple[Any, ...], expected: str) -> None:
    with pytest.raises(BadRequest) as refused:
        HubMethod("method", function).bind(given)

    assert str(refused.value) == f"Invocation provides {len(given)} argument(s) but target expects {expected}."


@pytest.mark.parametrize(("given", "place"), [((1,), "1 (room)"), (("a", 1, "b"), "3 (numbers)")])
def test_a_refusal_tells_which_argument(given: tuple[Any, ...], place: str) -> None:
    with pytest.raises(BadRequest, match=r"^Argument") as refused:
        HubMethod("method", rest).bind(given)

    assert str(refused.value).startswith(f"Argument {place}: Expected")


# What may be a method.


class Room:
    def say(self, invocation: Invocation, number: int) -> None: ...

    async def __call__(self, invocation: Invocation, number: int) -> None: ...

    @classmethod
    def of_class(cls, invocation: Invocation, number: int) -> None: ...

    @staticmethod
    def static(invocation: Invocation, number: int) -> None: ...


def with_store(store: str, invocation: Invocation, number: int) -> None: ...


def with_option(invocation: Invocation, number: int, option: str) -> None: ...


async def later(invocation: Invocation, number: int) -> None: ...


@functools.wraps(later)
def decorated(*arguments: Any, **keywords: Any) -> Any: ...


@pytest.mark.parametrize(
    "function",
    [
        Room().say,
        Room(),
        Room.of_class,
        Room.static,
        functools.partial(with_store, "store"),
        functools.partial(with_option, option="x"),
        functools.partial(functools.partial(Room())),
        functools.partial(decorated),
        later,
        decorated,
    ],
    ids=[
        "bound method",
        "object",
        "class method",
        "static method",
        "partial",
        "partial keyword",
        "partial object",
        "partial decorated",
        "async",
        "decorated",
    ],
)
def test_whatever_can_be_called_is_a_method_with_its_own_annotations(function: Handler) -> None:
    method = HubMethod("method", function)

    assert method.bind((7,)) == (7,)
    with pytest.raises(BadRequest, match="Expected `int`"):
        method.bind(("7",))


def keyword_only(invocation: Invocation, *, text: str) -> None: ...


def no_parameters() -> None: ...


def takes_a_room(invocation: Invocation, room: Room) -> None: ...


def takes_either(invocation: Invocation, room: Room | HubMethod) -> None: ...


def takes_rooms(invocation: Invocation, rooms: dict[str, list[Room | None]]) -> None: ...


def takes_texts_alone(*texts: str) -> None: ...


class Special(Invocation):
    """Not for clients to write either."""


class Checked(Protocol):
    """For type checkers alone."""


def takes_another(invocation: Invocation, other: Special) -> None: ...


def takes_checked(invocation: Invocation, it: Checked) -> None: ...


def takes_numbers(invocation: Invocation, numbers: list[Number]) -> None: ...


P = ParamSpec("P")
R = TypeVar("R")


def for_any_function(function: Callable[P, R]) -> Callable[P, R]:
    """Without ``functools.wraps``: nobody can tell what it passes on."""

    def passing_on(*arguments: P.args, **named: P.kwargs) -> R:
        return function(*arguments, **named)

    return passing_on


def test_a_decorator_for_any_function_passes_on_what_the_client_sent() -> None:
    method = HubMethods().add("method", for_any_function(takes_numbers))

    assert method.bind(([1], "two")) == ([1], "two")


def test_an_abstract_class_takes_what_a_message_holds_of_it() -> None:
    method = HubMethods().add("method", takes_numbers)

    assert method.bind(([1, 2.5],)) == ([1, 2.5],)
    with pytest.raises(BadRequest):
        method.bind((["1"],))


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (keyword_only, "'text' can only be passed by name"),
        (no_parameters, "first parameter is the invocation"),
        (takes_a_room, "no message can be converted to Room"),
        (takes_rooms, "no message can be converted to Room"),
        (takes_another, "the Invocation is the first parameter, and no other is one"),
        (takes_checked, "no message can be converted to Checked"),
        (takes_texts_alone, r"put a parameter before it, as \(invocation: Invocation, \*texts: str\)"),
        (takes_either, "Type unions may not contain more than one custom type"),
        ("text", "is no function"),
        (None, "is no function"),
    ],
)
def test_what_no_client_could_call_is_no_method(function: Any, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as wrong:
        HubMethods().add("method", function)

    assert "hub method 'method'" in str(wrong.value)


def test_an_annotation_may_name_what_is_defined_later() -> None:
    names: dict[str, Any] = {"Invocation": Invocation}
    exec("def function(invocation: Invocation, point: 'Later') -> None: ...", names)
    method = HubMethod("method", names["function"])

    names["Later"] = Point

    assert method.bind(({"x": 1},)) == (Point(1),)


@pytest.mark.parametrize("annotation", ["Message", "list[Message]"])
@pytest.mark.parametrize(
    ("base", "member"),
    [("typing.NamedTuple", "Later"), ("typing.TypedDict", "Later"), ("msgspec.Struct", "here.Later"), ("", "Later")],
    ids=["named tuple", "typed dict", "struct", "dataclass"],
)
def test_a_class_may_name_what_is_defined_later(
    base: str, member: str, annotation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is reported as an annotation is, when all should be there."""
    module = types.ModuleType("late_module")
    monkeypatch.setitem(sys.modules, "late_module", module)
    names = vars(module)
    names |= {"typing": typing, "msgspec": msgspec, "here": module, "Invocation": Invocation}
    exec(f"class Message({base}): price: '{member}'", names)
    if not base:
        dataclasses.dataclass(names["Message"])
    exec(f"def function(invocation: Invocation, message: {annotation}) -> None: ...", names)
    method = HubMethod("method", names["function"])

    with pytest.raises(ConfigurationError, match=r"the annotation '(list\[.*)?Message\]?' cannot be resolved: .*Later"):
        method.check()
    names["Later"] = int

    assert len(method.check()) == 2


@pytest.mark.parametrize(
    "parameters", ["invocation, point: 'Nowhere'", "invocation, *points: 'Nowhere'", "x: 'Nowhere'"]
)
def test_an_annotation_that_names_nothing_is_told_when_all_should_be_there(parameters: str) -> None:
    names: dict[str, Any] = {}
    exec(f"def function({parameters}): ...", names)
    methods = HubMethods()
    method = methods.add("method", names["function"])

    with pytest.raises(ConfigurationError, match=r"'method': the annotation 'Nowhere' cannot be resolved: .*Nowhere"):
        methods.check(lambda subject, function: None)
    with pytest.raises(ConfigurationError, match="Nowhere"):
        method.bind((1,))


def test_a_result_that_a_type_checker_alone_knows_is_a_result() -> None:
    """Nobody needs to know which."""
    names: dict[str, Any] = {}
    exec("def function(invocation: 'Invocation', number: int) -> 'Nowhere': ...", names)
    method = HubMethod("method", names["function"])

    assert method.bind((1,)) == (1,)
    assert not method.returns_nothing


@pytest.mark.parametrize("annotation", [Invocation, Invocation | None, list[Invocation]], ids=str)
def test_forging_an_invocation_as_an_argument_fails(annotation: Any) -> None:
    """It is a dataclass, and a client could send one that names somebody else."""
    with pytest.raises(ConfigurationError, match="the Invocation is the first parameter, and no other"):
        method_of(annotation)


def test_a_class_may_have_members_that_no_message_brings() -> None:
    @dataclasses.dataclass
    class Upload:
        name: str
        room: Room = dataclasses.field(default_factory=Room)

    assert method_of(list[Upload]).bind(([{"name": "a"}],))[0][0].name == "a"


@pytest.mark.parametrize(
    ("annotation", "value"),
    [(set, [[1]]), (set, [{"a": 1}]), (frozenset, [[1]]), (set | None, [[1]])],
    ids=str,
)
def test_what_no_set_can_hold_is_the_callers_fault(annotation: Any, value: Any) -> None:
    with pytest.raises(BadRequest, match=r"Argument 1 \(argument\): Expected items of a set") as refused:
        method_of(annotation).bind((value,))

    assert str(refused.value).isprintable()


def test_an_object_that_no_set_can_hold_is_the_apps_fault() -> None:
    """`Point` has no hash: no client could do any better."""
    with pytest.raises(TypeError, match="unhashable type: 'Point'"):
        method_of(set[Point]).bind(([{"x": 1}],))


@pytest.mark.parametrize(
    ("annotation", "returns_nothing"),
    [(None, True), ("None", True), (int, False), (str | None, False), (Any, False)],
    ids=repr,
)
def test_none_is_a_result_of_a_function_that_says_so(annotation: Any, returns_nothing: bool) -> None:
    def function(invocation: Invocation) -> None: ...

    function.__annotations__["return"] = annotation

    assert HubMethod("method", function).returns_nothing is returns_nothing


# The table.


@pytest.mark.parametrize("target", ["sendMessage", "SendMessage", "SENDMESSAGE"])
def test_a_method_is_found_whatever_the_case(target: str) -> None:
    methods = HubMethods()
    added = methods.add("sendMessage", two)

    assert methods.find(target) is added
    assert (added.name, added.function) == ("sendMessage", two)


@pytest.mark.parametrize("target", ["", "send", "sendMessage ", "__init__", "on_connected", "sendMessage\x00"])
def test_what_was_not_added_is_not_found(target: str) -> None:
    """Only what is registered can be called, whatever else the objects around it have."""
    methods = HubMethods()
    methods.add("sendMessage", two)
    methods.add_connected(none)

    assert methods.find(target) is None


@pytest.mark.parametrize("name", ["sendMessage", "SendMessage"])
def test_two_methods_that_differ_by_case_alone_are_refused(name: str) -> None:
    """A client could else call the one that its policy keeps from it by writing it like the other."""
    methods = HubMethods()
    methods.add("sendMessage", two)

    with pytest.raises(ConfigurationError, match="already there as 'sendMessage'"):
        methods.add(name, none)


@pytest.mark.parametrize("name", ["", None, 7, two, "/add", "a\nb"])
def test_a_method_needs_a_name_that_can_be_called(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="name"):
        HubMethods().add(name, two)


@pytest.mark.parametrize("policy", [require_role("staff"), "staff", (require_role("staff"),), False])
def test_what_is_no_policy_is_refused_and_not_taken_for_none(policy: Any) -> None:
    with pytest.raises(ConfigurationError, match="takes a Policy"):
        HubMethods().add("clear", two, policy)


def test_a_method_keeps_its_policy() -> None:
    methods, policy = HubMethods(), Policy(require_role("staff"))

    methods.add("clear", none, policy)
    methods.add("say", two)

    assert [method.policy.requirements for method in methods] == [policy.requirements, ()]
    assert len(methods) == 2
    assert repr(methods.find("clear")) == "HubMethod('clear', Policy(require_role('staff')))"


# Those who come and go.


def test_handlers_of_events_are_kept_in_order() -> None:
    methods = HubMethods()
    methods.add_connected(none)
    methods.add_connected(rest_alone)
    methods.add_disconnected(rest_alone)

    assert methods.connected == [none, rest_alone]
    assert methods.disconnected == [rest_alone]


def test_a_handler_that_takes_other_arguments_is_refused() -> None:
    methods = HubMethods()

    with pytest.raises(ConfigurationError, match=r"on_connected: the function is called with \(invocation\)"):
        methods.add_connected(two)
    with pytest.raises(ConfigurationError, match=r"on_disconnected: .* \(invocation, error\)"):
        methods.add_disconnected(none)
    with pytest.raises(ConfigurationError, match=r"on_connected: .* is no function"):
        methods.add_connected("text")  # type: ignore[arg-type]
    assert not methods.connected + methods.disconnected


def test_an_app_has_a_say_in_what_is_added() -> None:
    def accept(subject: str, function: Handler) -> None:
        raise ConfigurationError(subject)

    methods = HubMethods(accept)

    for add, subject in (
        (lambda: methods.add("say", none), "hub method 'say'"),
        (lambda: methods.add_connected(none), "on_connected"),
        (lambda: methods.add_disconnected(rest_alone), "on_disconnected"),
    ):
        with pytest.raises(ConfigurationError, match=subject):
            add()
    assert not (*methods, *methods.connected, *methods.disconnected)


def test_an_app_has_a_say_in_what_is_there() -> None:
    methods, seen = HubMethods(), list[tuple[str, Handler]]()
    methods.add("say", two)
    methods.add_connected(none)
    methods.add_disconnected(rest_alone)

    methods.check(lambda subject, function: seen.append((subject, function)))

    assert seen == [("hub method 'say'", two), ("on_connected", none), ("on_disconnected", rest_alone)]
