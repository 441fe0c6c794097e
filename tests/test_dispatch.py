"""What becomes of one invocation: the answers, in ASP.NET's words, and what stays in the log."""

import functools
import logging
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from flask import Flask, current_app

from flask_signalr.authorization import AuthorizationContext, Policy, require_claim, require_role
from flask_signalr.dispatch import connected, disconnected, encoded, invoke
from flask_signalr.errors import AuthorizationDenied, HubException
from flask_signalr.hub_methods import HubMethods
from flask_signalr.hub_protocols import HUB_PROTOCOLS
from flask_signalr.invocation import Invocation
from flask_signalr.messages import CompletionMessage
from flask_signalr.principal import Principal

run = Flask(__name__).ensure_sync
UNAUTHORIZED = "Failed to invoke '{}' because user is unauthorized"
UNEXPECTED = "An unexpected error occurred invoking '{}' on the server."


def call(target: str | None, *arguments: Any, principal: Principal = Principal("ada"), **more: Any) -> Invocation:  # noqa: B008
    """Return an invocation whose caller waits for the answer ``1``."""
    known = {"hub": "chat", "connection_id": "c1", "invocation_id": "1"} | more
    return Invocation(principal=principal, target=target, arguments=arguments, **known)


def methods_of(function: Callable[..., Any], policy: Policy | None = None, name: str = "method") -> HubMethods:
    methods = HubMethods()
    methods.add(name, function, policy)
    return methods


def error_of(completion: CompletionMessage | None) -> str:
    assert completion is not None
    assert completion.result is msgspec.UNSET
    assert completion.error is not None
    return completion.error


# Results.


def send_message(invocation: Invocation, text: str) -> str:
    return f"{invocation.user_id} by {invocation.connection_id}: {text}"


def test_a_result_completes_the_invocation() -> None:
    completion = invoke(methods_of(send_message), call("method", "hello"), run)

    assert completion == CompletionMessage(invocation_id="1", result="ada by c1: hello")


def test_nobody_is_answered_who_does_not_wait() -> None:
    called = []

    def remember(invocation: Invocation, text: str) -> int:
        called.append(text)
        return 1

    assert invoke(methods_of(remember), call("method", "hello", invocation_id=None), run) is None
    assert called == ["hello"]


def test_a_method_that_returns_nothing_completes_without_result() -> None:
    def nothing(invocation: Invocation) -> None: ...

    assert invoke(methods_of(nothing), call("method"), run) == CompletionMessage(invocation_id="1")


def test_none_is_a_result_if_the_method_promises_one() -> None:
    def perhaps(invocation: Invocation) -> int | None:
        return None

    assert invoke(methods_of(perhaps), call("method"), run) == CompletionMessage(invocation_id="1", result=None)


class Adder:
    async def __call__(self, invocation: Invocation, number: int) -> int:
        return number + 1

    async def add(self, invocation: Invocation, number: int) -> int:
        return number + 1

    def add_now(self, invocation: Invocation, number: int) -> int:
        return number + 1


async def add(step: int, invocation: Invocation, number: int) -> int:
    return number + step


@pytest.mark.parametrize(
    "function",
    [
        Adder(),
        Adder().add,
        Adder().add_now,
        functools.partial(add, 1),
        functools.partial(Adder()),
        lambda invocation, number: Adder().add(invocation, number),
    ],
    ids=["object", "async bound method", "bound method", "partial", "partial object", "lambda"],
)
def test_handlers_of_every_kind_return_their_result(function: Callable[..., Any]) -> None:
    completion = invoke(methods_of(function), call("method", 7), run)

    assert completion == CompletionMessage(invocation_id="1", result=8)


def test_an_async_handler_runs_in_the_app() -> None:
    app = Flask("the app")

    async def name(invocation: Invocation) -> str:
        return current_app.name

    with app.app_context():
        completion = invoke(methods_of(name), call("method"), app.ensure_sync)

    assert completion == CompletionMessage(invocation_id="1", result="the app")


# What never reaches a function.


def test_an_unknown_method_is_named() -> None:
    completion = invoke(HubMethods(), call("clear"), run)

    assert error_of(completion) == "Unknown hub method 'clear'"


@pytest.mark.parametrize("target", ["x" * 100_000, "", None])
def test_an_odd_name_is_an_unknown_method_and_cut_short(target: str | None) -> None:
    completion = invoke(HubMethods(), call(target), run)

    assert error_of(completion) == f"Unknown hub method '{'x' * 200 if target else ''}'"


def test_arguments_that_do_not_fit_are_told_to_the_caller() -> None:
    """Who called wrongly can only put it right by reading how."""
    methods = methods_of(send_message)

    too_many = invoke(methods, call("method", "a", "b"), run)
    wrong = invoke(methods, call("method", 7), run)

    assert error_of(too_many) == (
        "Failed to invoke 'method' due to an error on the server. "
        "Invocation provides 2 argument(s) but target expects 1."
    )
    assert error_of(wrong) == (
        "Failed to invoke 'method' due to an error on the server. Argument 1 (text): Expected `str`, got `int`."
    )


REFUSED_STREAM = "The client attempted to invoke the {} 'method' method with a {} invocation."


def test_a_method_does_not_answer_with_a_stream() -> None:
    completion = invoke(methods_of(send_message), call("method", "a", is_stream=True), run)

    assert error_of(completion) == REFUSED_STREAM.format("non-streaming", "streaming")


def streaming(function: Callable[..., Any], policy: Policy | None = None) -> HubMethods:
    methods = HubMethods()
    methods.add("method", function, policy, is_stream=True)
    return methods


def test_a_method_that_streams_runs_and_leaves_the_stream_open() -> None:
    """Its items come by REST, perhaps from a job that goes on when the call has been answered."""
    seen: list[Any] = []

    completion = invoke(streaming(lambda invocation, n: seen.append(n)), call("method", 3, is_stream=True), run)

    assert completion is None
    assert seen == [3]


def test_a_method_that_streams_has_no_result() -> None:
    seen: list[Any] = []

    completion = invoke(streaming(seen.append), call("method"), run)

    assert error_of(completion) == REFUSED_STREAM.format("streaming", "non-streaming")
    assert not seen


def test_a_generator_is_no_stream_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """Or the client would wait for items that nobody makes."""

    def count(invocation: Invocation) -> Any:
        return (number for number in range(3))

    completion = invoke(streaming(count), call("method", is_stream=True), run)

    assert error_of(completion).startswith(UNEXPECTED.format("method"))
    assert "sends its items itself and returns None, not a generator" in caplog.text


def test_a_method_that_has_not_begun_is_an_error_though_nobody_waits(caplog: pytest.LogCaptureFixture) -> None:
    """It would do nothing, and nobody would know."""
    result = invoke(methods_of(lambda invocation: (each for each in range(3))), call("method", invocation_id=None), run)

    assert result is None
    assert "a handler returned a generator, so nothing of it ran" in caplog.text


def test_a_stream_is_asked_for_under_the_methods_policy() -> None:
    seen: list[Any] = []

    completion = invoke(streaming(seen.append, Policy(require_role("admin"))), call("method", is_stream=True), run)

    assert error_of(completion) == UNAUTHORIZED.format("method")
    assert not seen


# Policies.


def domain_restricted(context: AuthorizationContext) -> bool:
    """Let people of one mail domain pass, and one of them not to ban anybody."""
    name = context.principal.name or ""
    return name.endswith("@example.org") and not (name == "trainee@example.org" and context.method == "BanUser")


@pytest.fixture
def moderation() -> tuple[HubMethods, list[Any]]:
    """Return methods that moderators may call, and the list of the calls that came through."""
    methods, done = HubMethods(), list[Any]()

    def ban(invocation: Invocation, name: str) -> None:
        done.append(("ban", invocation.user_id, name))

    def history(invocation: Invocation, name: str) -> None:
        done.append(("history", invocation.user_id, name))

    methods.add("BanUser", ban, Policy(domain_restricted))
    methods.add("ViewUserHistory", history, Policy(domain_restricted))
    methods.add("PurgeUser", ban, Policy(require_role("Administrators")))
    methods.add("Gift", history, Policy(require_claim("Type", "gold")))
    return methods, done


def test_one_user_of_the_domain_may_view_and_not_ban(moderation: tuple[HubMethods, list[Any]]) -> None:
    methods, done = moderation
    trainee = Principal("trainee@example.org")

    viewed = invoke(methods, call("ViewUserHistory", "bob", principal=trainee), run)
    banned = invoke(methods, call("BanUser", "bob", principal=trainee), run)

    assert viewed == CompletionMessage(invocation_id="1")
    assert error_of(banned) == UNAUTHORIZED.format("BanUser")
    assert done == [("history", "trainee@example.org", "bob")]


@pytest.mark.parametrize("target", ["banuser", "BANUSER", "bANuSER"])
def test_a_method_spelt_in_another_case_evades_no_policy(moderation: tuple[HubMethods, list[Any]], target: str) -> None:
    """Methods are found whatever the case, so requirements get to see the declared name."""
    methods, done = moderation

    completion = invoke(methods, call(target, "bob", principal=Principal("trainee@example.org")), run)

    assert error_of(completion) == UNAUTHORIZED.format(target)
    assert not done


def test_a_handler_sees_the_declared_name() -> None:
    def target(invocation: Invocation) -> str | None:
        return invocation.target

    completion = invoke(methods_of(target), call("METHOD"), run)

    assert completion == CompletionMessage(invocation_id="1", result="method")


@pytest.mark.parametrize(
    ("target", "claims", "allowed"),
    [
        ("PurgeUser", {"role": "Administrators"}, True),
        ("PurgeUser", {"role": "Staff"}, False),
        ("Gift", {"Type": ["tin", "gold"]}, True),
        ("Gift", {"Type": "tin"}, False),
        ("Gift", {}, False),
    ],
)
def test_claims_open_methods(
    moderation: tuple[HubMethods, list[Any]], target: str, claims: dict[str, Any], allowed: bool
) -> None:
    methods, done = moderation

    completion = invoke(methods, call(target, "bob", principal=Principal("eve", claims)), run)

    assert completion == CompletionMessage(invocation_id="1", error=None if allowed else UNAUTHORIZED.format(target))
    assert len(done) == allowed


def test_a_requirement_sees_the_converted_arguments_with_their_defaults() -> None:
    seen = []

    def remember(context: AuthorizationContext) -> bool:
        seen.append((context.hub, context.method, context.arguments))
        return True

    def say(invocation: Invocation, loudness: float, text: str = "hello") -> None: ...

    invoke(methods_of(say, Policy(remember)), call("method", 2), run)

    assert seen == [("chat", "method", (2.0, "hello"))]


def test_who_does_not_wait_for_an_answer_is_refused_all_the_same(moderation: tuple[HubMethods, list[Any]]) -> None:
    methods, done = moderation

    assert invoke(methods, call("PurgeUser", "bob", invocation_id=None), run) is None
    assert not done


def test_a_check_that_raises_denies_and_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    def broken(context: AuthorizationContext) -> bool:
        raise LookupError("no such table")

    completion = invoke(methods_of(send_message, Policy(broken)), call("method", "hello"), run, detailed_errors=True)

    assert error_of(completion) == UNAUTHORIZED.format("method")
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "broken could not be checked, which denies: no such table" in record.getMessage()
    assert record.exc_info


def test_a_requirement_that_returns_a_coroutine_denies_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    async def later(context: AuthorizationContext) -> bool:
        return True

    completion = invoke(methods_of(send_message, Policy(later)), call("method", "hello"), run)  # type: ignore[arg-type]

    assert error_of(completion) == UNAUTHORIZED.format("method")
    assert "it returned a coroutine, not True or False" in caplog.text


def test_the_log_tells_which_requirement_denied(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "flask_signalr")

    invoke(methods_of(send_message, Policy(require_role("staff"))), call("method", "hello"), run)

    assert [record.getMessage() for record in caplog.records] == [
        "hub 'chat', 'method': denied by require_role('staff')"
    ]


def test_a_handler_may_deny_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "flask_signalr")

    def own_room_only(invocation: Invocation) -> None:
        raise AuthorizationDenied("the room is not yours") from KeyError("room")

    completion = invoke(methods_of(own_room_only), call("method"), run)

    assert error_of(completion) == UNAUTHORIZED.format("method")
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.INFO, "hub 'chat', 'method': denied by a handler")
    ]


# Errors.


class RoomFull(HubException):
    pass


@pytest.mark.parametrize("detailed", [False, True])
@pytest.mark.parametrize("kind", [HubException, RoomFull])
def test_a_hub_exception_is_for_the_caller_to_read(
    kind: type[HubException], detailed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(invocation: Invocation) -> None:
        raise kind("a message needs text")

    completion = invoke(methods_of(refuse), call("method"), run, detailed_errors=detailed)

    assert error_of(completion) == f"{UNEXPECTED.format('method')} {kind.__name__}: a message needs text"
    assert not caplog.records


def leak(invocation: Invocation) -> None:
    raise ValueError("password=hunter2")


def test_another_error_is_hidden_and_found_in_the_log_by_its_id(caplog: pytest.LogCaptureFixture) -> None:
    completion = invoke(methods_of(leak), call("method"), run)

    found = re.fullmatch(re.escape(UNEXPECTED.format("method")) + r" \(error id ([0-9a-f]{12})\)", error_of(completion))
    assert found
    (record,) = caplog.records
    assert f"(error id {found[1]})" in record.getMessage()
    assert "ValueError: password=hunter2" in caplog.text
    assert record.levelno == logging.ERROR


def test_detailed_errors_show_it_to_the_caller() -> None:
    completion = invoke(methods_of(leak), call("method"), run, detailed_errors=True)

    assert error_of(completion).startswith(f"{UNEXPECTED.format('method')} ValueError: password=hunter2 (error id ")


def test_an_error_is_logged_though_nobody_waits(caplog: pytest.LogCaptureFixture) -> None:
    assert invoke(methods_of(leak), call("method", invocation_id=None), run) is None
    assert "ValueError: password=hunter2" in caplog.text


def test_a_line_break_in_a_name_forges_no_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "flask_signalr")

    invoke(HubMethods(), call("x\nERROR all is lost"), run)

    assert [record.getMessage().count("\n") for record in caplog.records] == [0]


# Results that no protocol can carry.


@pytest.mark.parametrize(
    "result", [object(), {"number": 2**70}, "\ud800", {1j: 1}], ids=["object", "number", "text", "key"]
)
def test_a_result_that_cannot_be_written_is_the_methods_error(result: Any, caplog: pytest.LogCaptureFixture) -> None:
    protocol = HUB_PROTOCOLS["json"]
    methods = methods_of(lambda invocation: result)
    invocation = call("method")
    completion = invoke(methods, invocation, run)
    assert completion is not None

    data = encoded(completion, invocation, protocol.encode)

    answer = protocol.parse(protocol.split(data)[0][0])
    assert isinstance(answer, CompletionMessage)
    assert error_of(answer).startswith(UNEXPECTED.format("method") + " (error id ")
    assert "ProtocolError" in caplog.text


def test_a_result_that_can_be_written_is_written() -> None:
    protocol = HUB_PROTOCOLS["json"]
    completion = CompletionMessage(invocation_id="1", result=[1])

    assert encoded(completion, call("method"), protocol.encode) == protocol.encode(completion)


class Mute(HubException):
    """Has no text, and an ``__init__`` that tells our own class nothing."""

    def __init__(self) -> None: ...

    def __str__(self) -> str:
        raise ValueError("no text")


class MuteDenial(AuthorizationDenied):
    def __init__(self) -> None: ...

    __str__ = Mute.__str__


class MuteError(Exception):
    __str__ = Mute.__str__


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Mute(), rf"{UNEXPECTED.format('method')} Mute: Mute"),
        (MuteDenial(), UNAUTHORIZED.format("method")),
        (MuteError(), rf"{UNEXPECTED.format('method')} MuteError: MuteError \(error id [0-9a-f]{{12}}\)"),
    ],
    ids=["HubException", "AuthorizationDenied", "another"],
)
def test_an_error_that_cannot_say_what_it_is_is_an_answer_too(error: Exception, text: str) -> None:
    """A text that is made when it is asked for may fail: in a lazy translation, or over a record that is gone."""

    def refuse(invocation: Invocation) -> None:
        raise error

    completion = invoke(methods_of(refuse), call("method"), run, detailed_errors=True)

    assert re.fullmatch(text, error_of(completion))


def test_a_requirement_whose_error_cannot_say_what_it_is_denies(caplog: pytest.LogCaptureFixture) -> None:
    def broken(context: AuthorizationContext) -> bool:
        raise MuteError

    completion = invoke(methods_of(send_message, Policy(broken)), call("method", "a"), run)

    assert error_of(completion) == UNAUTHORIZED.format("method")
    assert "could not be checked, which denies: MuteError" in caplog.text


# Those who come and go.


def test_all_handlers_see_a_client_that_connects_in_their_order() -> None:
    methods, seen = HubMethods(), list[Any]()

    async def second(invocation: Invocation) -> None:
        seen.append(("second", invocation.connection_id))

    methods.add_connected(lambda invocation: seen.append(("first", invocation.connection_id)))
    methods.add_connected(second)

    connected(methods, call(None), run)

    assert seen == [("first", "c1"), ("second", "c1")]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (HubException("the room is full"), "the room is full"),
        (AuthorizationDenied("not today"), "not today"),
        (Mute(), "Mute"),
        (ValueError("password=hunter2"), r"An unexpected error occurred on the server. \(error id [0-9a-f]{12}\)"),
    ],
    ids=["HubException", "AuthorizationDenied", "mute", "ValueError"],
)
def test_whatever_a_handler_raises_refuses_the_client(error: Exception, text: str) -> None:
    """A handler that fails may have been about to refuse."""
    methods, seen = HubMethods(), list[Any]()

    def refuse(invocation: Invocation) -> None:
        raise error

    methods.add_connected(refuse)
    methods.add_connected(seen.append)

    with pytest.raises(AuthorizationDenied) as denied:
        connected(methods, call(None), run)

    assert re.fullmatch(text, str(denied.value))
    assert not seen


def gate(invocation: Invocation) -> Any:
    yield
    raise AuthorizationDenied("nobody")


async def later_gate(invocation: Invocation) -> Any:
    yield
    raise AuthorizationDenied("nobody")


def behind_a_decorator(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call_it(*arguments: Any) -> Any:
        return function(*arguments)

    return call_it


class Later:
    """To be awaited, and no coroutine."""

    def __await__(self) -> Any:
        yield
        raise AuthorizationDenied("nobody")


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (behind_a_decorator(gate), "a generator"),
        (behind_a_decorator(later_gate), "an async_generator"),
        (lambda invocation: Later(), "a Later"),
    ],
)
def test_a_gate_that_has_not_begun_lets_nobody_in(
    function: Callable[..., Any], kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Such a function cannot be told when it is declared, and a call of it runs nothing."""
    methods = HubMethods()
    methods.add_connected(function)

    with pytest.raises(AuthorizationDenied):
        connected(methods, call(None), run)

    assert f"a handler returned {kind}, so nothing of it ran" in caplog.text


def test_a_failure_at_connect_is_found_in_the_log_by_its_id(caplog: pytest.LogCaptureFixture) -> None:
    methods = HubMethods()
    methods.add_connected(leak)

    with pytest.raises(AuthorizationDenied) as denied:
        connected(methods, call(None), run)

    assert str(denied.value)[-13:-1] in caplog.records[0].getMessage()
    assert "hunter2" in caplog.text


@pytest.mark.parametrize("error", [None, "the connection timed out"])
def test_all_handlers_hear_that_a_client_is_gone_though_one_fails(
    error: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    methods, heard = HubMethods(), list[Any]()

    def fail(invocation: Invocation, error: str | None) -> None:
        raise HubException("nobody reads this but the log")

    async def hear(invocation: Invocation, error: str | None) -> None:
        heard.append((invocation.connection_id, error))

    methods.add_disconnected(fail)
    methods.add_disconnected(hear)

    disconnected(methods, call(None), error, run)

    assert heard == [("c1", error)]
    assert "nobody reads this but the log" in caplog.text
