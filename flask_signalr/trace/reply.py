"""What an app or the service replied to negotiate: a way on, or a refusal and what to do about it."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from flask_signalr.trace.exchange import Answer
from flask_signalr.trace.transcript import Stopped, Transcript

Replier = Literal["app", "service"]

_REMEDIES: dict[tuple[Replier, int], str] = {
    ("app", 401): "the app's log has the reason: its loggers are flask_signalr.negotiate and flask_signalr.auth",
    ("app", 403): "the app knows the caller, or the page, and lets neither in; its log has the reason",
    ("app", 404): "give the URL that clients are given for the hub, with the prefix that the app is mounted at",
    ("app", 405): "give the URL that clients are given for the hub: this one takes no POST",
    ("app", 413): "fewer claims fit into the token: see claims_filter of the hub",
    ("app", 431): "the server's limit of a header line is too low for this sign-on",
    ("service", 401): "compare the app's connection string with the keys of the service, and the clocks",
    ("service", 404): "the URL leads to no SignalR service: see Endpoint and ClientEndpoint of the connection string",
    ("service", 429): "the service has no room for more connections",
}
_OPTIONS = {"negotiate": "sign on with --windows", "bearer": "bring a token with --bearer"}
_ERROR_DESCRIPTION = re.compile(r'error_description="([^"]*)"')


def read_reply(who: Replier, answer: Answer, transcript: Transcript) -> Mapping[str, Any]:
    """Return the members of a negotiation.

    Raises:
        Stopped: It is a refusal, or nothing that a client understands.
    """
    members = _members(answer)
    if answer.status != 200:
        reason = told_reason(answer)
        text = f"the {who} answers {answer.status}" + (f": {transcript.shown(reason)}" if reason else "")
        raise Stopped(text, _REMEDIES.get((who, answer.status), "see the log of the " + who))
    if members is None:
        start = transcript.shown(answer.body.decode(errors="replace"), 80)
        raise Stopped(f"the {who}'s answer is no JSON object; it begins with {start!r}", "is this the URL of a hub?")
    if isinstance(members.get("error"), str):
        raise Stopped(f"the {who} refuses: {transcript.shown(members['error'])}")
    return members


def told_reason(answer: Answer) -> str:
    """Return what an answer says about a refusal, empty if nothing."""
    members = _members(answer) or {}
    error = members.get("error") or members.get("message")
    if isinstance(error, str):
        return error
    for challenge in answer.challenges:
        if described := _ERROR_DESCRIPTION.search(challenge):
            return described[1]
    text = answer.body.decode(errors="replace").strip()
    return "" if text.startswith("<") else text  # an error page for people says no more than the status


def how_to_sign_in(challenges: Iterable[str]) -> str:
    """Return what the reader can try, by the challenges of a 401."""
    schemes = {challenge.partition(" ")[0].lower() for line in challenges for challenge in line.split(", ")}
    options = [option for scheme, option in _OPTIONS.items() if scheme in schemes]
    return " or ".join(options) if options else "it asks for none of Negotiate and Bearer: by a cookie, perhaps"


def _members(answer: Answer) -> dict[str, Any] | None:
    try:
        members = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return members if isinstance(members, dict) else None
