"""Dispatch: what becomes of one invocation, in the words that ASP.NET uses."""

import inspect
import logging
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from dataclasses import replace
from typing import Any

import msgspec

from flask_signalr.authorization import AuthorizationContext
from flask_signalr.denial_log import log_denial
from flask_signalr.error_text import error_text, kind_of
from flask_signalr.errors import AuthorizationDenied, BadRequest, HubException, ProtocolError
from flask_signalr.handler_signature import Handler
from flask_signalr.hub_methods import HubMethods
from flask_signalr.invocation import Invocation
from flask_signalr.messages import CompletionMessage
from flask_signalr.method_names import LONGEST_NAME

logger = logging.getLogger("flask_signalr.upstream")

Run = Callable[[Handler], Handler]
"""Makes a function that runs as the app's views do, such as Flask's ``ensure_sync``."""


def invoke(
    methods: HubMethods, invocation: Invocation, run: Run, *, detailed_errors: bool = False
) -> CompletionMessage | None:
    """Run the method that a client invokes and return the answer; ``None`` if it waits for none, or for a stream.

    Whatever goes wrong is an answer too: nothing is raised but what ends a task, a request or the process.

    Args:
        methods: The hub's.
        invocation: With a target.
        run: The app's ``ensure_sync``.
        detailed_errors: Whether the caller gets to read every error, not only a `HubException`.

    Source: dotnet/aspnetcore:src/SignalR/server/Core/src/Internal/DefaultHubDispatcher.cs.
    """
    target = invocation.target or ""
    try:
        result = _result(methods, invocation, run)
    except _Refused as exc:
        logger.debug("hub %r: %r", invocation.hub, str(exc))
        return _failed(invocation, str(exc))
    except AuthorizationDenied as exc:
        log_denial(logger, exc, invocation.hub, target)
        return _failed(invocation, f"Failed to invoke '{target}' because user is unauthorized")
    except HubException as exc:
        return _failed(invocation, f"{_unexpected(target)} {type(exc).__name__}: {error_text(exc)}")
    except Exception as exc:  # noqa: BLE001 - an app's function may raise anything; it is logged
        return _failed(invocation, _hidden(invocation, exc, detailed_errors))
    if invocation.invocation_id is None or invocation.is_stream:
        return None
    return CompletionMessage(invocation_id=invocation.invocation_id, result=result)


def encoded(
    completion: CompletionMessage,
    invocation: Invocation,
    encode: Callable[[CompletionMessage], bytes],
    *,
    detailed_errors: bool = False,
) -> bytes:
    """Return the bytes of an answer; a result that cannot be written is the method's error.

    Args:
        completion: What `invoke` returned.
        invocation: What it answers.
        encode: The hub protocol's.
        detailed_errors: As for `invoke`.
    """
    try:
        return encode(completion)
    except ProtocolError as exc:
        error = _hidden(invocation, exc, detailed_errors)
        return encode(CompletionMessage(invocation_id=completion.invocation_id, error=error))


def connected(methods: HubMethods, invocation: Invocation, run: Run) -> None:
    """Let a hub's handlers see a client that connects, each in its turn; the first that refuses it is the last.

    Raises:
        AuthorizationDenied: One refused the client, or failed; the text is for the client.
    """
    try:
        for function in methods.connected:
            _check_ran(_call(run, function, invocation))
    except AuthorizationDenied as exc:
        log_denial(logger, exc, invocation.hub, None)
        raise
    except HubException as exc:
        raise AuthorizationDenied(error_text(exc)) from exc
    except Exception as exc:
        error_id = _log(invocation, exc)
        raise AuthorizationDenied(f"An unexpected error occurred on the server. (error id {error_id})") from exc


def disconnected(methods: HubMethods, invocation: Invocation, error: str | None, run: Run) -> None:
    """Tell all of a hub's handlers that a client is gone; what one raises is logged and keeps no other from it.

    Args:
        methods: The hub's.
        invocation: Without a target.
        error: Why the connection ended, if not as it should.
        run: The app's ``ensure_sync``.
    """
    for function in methods.disconnected:
        try:
            _check_ran(_call(run, function, invocation, error))
        except Exception as exc:  # noqa: BLE001 - an app's function may raise anything; it is logged
            _log(invocation, exc)


def _check_ran(result: object) -> None:
    """Refuse what a handler returns that has not begun: the gate in it would let everybody in.

    Raises:
        TypeError: It is a generator, or is to be awaited in another way than a coroutine.
    """
    if isinstance(result, Generator | AsyncGenerator | Awaitable):
        raise TypeError(f"a handler returned {kind_of(result)}, so nothing of it ran")


class _Refused(Exception):
    """Holds the answer to a call that reached no function."""


def _result(methods: HubMethods, invocation: Invocation, run: Run) -> Any:
    """Find, bind, authorize and call: the road of every invocation."""
    target = invocation.target or ""
    method = methods.find(target)
    if method is None:
        raise _Refused(f"Unknown hub method '{target[:LONGEST_NAME]}'")
    if invocation.is_stream != method.is_stream:
        kind, way = ("streaming", "non-streaming") if method.is_stream else ("non-streaming", "streaming")
        raise _Refused(f"The client attempted to invoke the {kind} '{target}' method with a {way} invocation.")
    try:
        arguments = method.bind(invocation.arguments)
    except BadRequest as exc:
        raise _Refused(f"Failed to invoke '{target}' due to an error on the server. {exc}") from exc
    method.policy.check(AuthorizationContext(invocation.principal, invocation.hub, method.name, arguments))
    if target != method.name:  # who compares names must not be fooled by another case
        invocation = replace(invocation, target=method.name)
    result = _call(run, method.function, invocation, *arguments)
    if method.is_stream and result is not None:  # a generator, whose items nobody would ever see
        raise TypeError(f"a method that streams sends its items itself and returns None, not {kind_of(result)}")
    _check_ran(result)
    return msgspec.UNSET if result is None and method.returns_nothing else result


def _call(run: Run, function: Handler, *arguments: Any) -> Any:
    result = run(function)(*arguments)
    if inspect.iscoroutine(result):  # of an object or a lambda that nobody could know to be async
        result = run(_awaited)(result)
    return result


async def _awaited(result: Any) -> Any:
    return await result


def _unexpected(target: str) -> str:
    return f"An unexpected error occurred invoking '{target}' on the server."


def _hidden(invocation: Invocation, error: Exception, detailed_errors: bool) -> str:
    """Log an error and return what the caller may read of it."""
    error_id = _log(invocation, error)
    details = f" {type(error).__name__}: {error_text(error)}" if detailed_errors else ""
    return f"{_unexpected(invocation.target or '')}{details} (error id {error_id})"


def _failed(invocation: Invocation, error: str) -> CompletionMessage | None:
    if invocation.invocation_id is None:
        return None
    return CompletionMessage(invocation_id=invocation.invocation_id, error=error)


def _log(invocation: Invocation, error: Exception) -> str:
    error_id = uuid.uuid4().hex[:12]
    logger.error(
        "hub %r, %r: a handler failed (error id %s)",
        invocation.hub,
        invocation.target or "event",
        error_id,
        exc_info=error,
    )
    return error_id
