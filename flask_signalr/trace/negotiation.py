"""The road of a negotiation as a client goes it: the app, its sign-in, its answer, the service."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin

from requests import PreparedRequest

from flask_signalr.trace.exchange import Answer, Auth, Caller
from flask_signalr.trace.reply import how_to_sign_in, read_reply, told_reason
from flask_signalr.trace.service_token import ServiceToken, duration
from flask_signalr.trace.transcript import Stopped, Transcript
from flask_signalr.trace.urls import check_url, is_downgrade, is_readable_on_the_way, is_same_origin, negotiate_url

MAX_REDIRECTS = 5
"""Redirects that are followed, of HTTP and of SignalR; the official clients give up after 100."""

_MAX_CHALLENGES = 8


@dataclass(frozen=True)
class Credentials:
    """What the caller signs in with.

    Attributes:
        name: What that is, to be read after "with".
        auth: Puts it into a request.
        secrets: What must not be shown.
    """

    name: str
    auth: Auth = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def of_token(cls, name: str, token: str) -> "Credentials":
        """Return those that are a bearer token (RFC 6750)."""

        def bring(request: PreparedRequest) -> PreparedRequest:
            request.headers["Authorization"] = f"Bearer {token}"
            return request

        return cls(name, bring, (token, token.rpartition(".")[2]))  # the last part of a JWT is its signature


class Trace:
    """Goes the road of one negotiation and tells of it.

    Args:
        caller: Sends the requests.
        transcript: Is told.
    """

    def __init__(self, caller: Caller, transcript: Transcript) -> None:
        self._caller = caller
        self._transcript = transcript

    def run(self, hub_url: str, credentials: Credentials | None) -> None:
        """Go the road to its end, where a client could open its connection.

        Args:
            hub_url: What a client is given for the hub.
            credentials: What to sign in with, if anything.

        Raises:
            Stopped: It ends before.
        """
        answer = self._ask_app(negotiate_url(hub_url), credentials)
        reply = read_reply("app", answer, self._transcript)
        if "url" not in reply:
            self._end(reply, "The app holds the connections itself, without a service")
            return
        for _ in range(MAX_REDIRECTS):
            answer = self._ask_service(answer.url, reply)
            reply = read_reply("service", answer, self._transcript)
            if "url" not in reply:
                self._end(reply, "The service is ready for a connection")
                return
        raise Stopped(f"clients are sent on, again and again: {MAX_REDIRECTS} times so far")

    def _ask_app(self, url: str, credentials: Credentials | None) -> Answer:
        if credentials is not None:
            self._transcript.keep_secret(*credentials.secrets)
        answer = self._ask("Ask the app, without credentials", url, None)
        if credentials is None and answer.status == 401:
            raise Stopped("the app wants its callers to sign in", how_to_sign_in(answer.challenges))
        if credentials is None or answer.status not in {200, 401, 403}:
            return answer
        return self._ask(f"Ask the app, with {credentials.name}", url, credentials.auth)

    def _ask_service(self, app_url: str, reply: Mapping[str, Any]) -> Answer:
        url, text = reply.get("url"), reply.get("accessToken")
        if not isinstance(url, str) or not isinstance(text, str):
            raise Stopped("the answer names a URL and no access token to go with it")
        credentials = Credentials.of_token("that token", text)
        self._transcript.keep_secret(*credentials.secrets)
        self._transcript.step("Read the answer and its service token")
        self._transcript.fact(f"clients are sent to {self._transcript.shown(url)}")
        token = self._read(url, text)
        if is_downgrade(app_url, url):
            raise Stopped("clients are sent from https to plain http, which browsers refuse")
        answer = self._ask("Ask the service, with that token", negotiate_url(url), credentials.auth)
        if answer.status == 401 and not token.is_in_force(self._caller.clock() + (answer.clock_offset or 0)):
            self._transcript.fact("by the service's clock the token is not in force: compare the clocks")
        return answer

    def _read(self, url: str, text: str) -> ServiceToken:
        try:
            check_url(url)
        except ValueError as exc:
            raise Stopped(f"no client can go to that URL: {exc}") from exc
        try:
            token = ServiceToken.read(text)
        except ValueError as exc:
            raise Stopped(f"the access token is unusable: {exc}") from exc
        for fact in token.facts(self._caller.clock()):
            self._transcript.fact(self._transcript.shown(fact))
        return token

    def _ask(self, title: str, url: str, auth: Auth | None) -> Answer:
        """Return what a URL answers, or what it redirects to, as browsers do; no credentials leave its origin."""
        self._transcript.step(title)
        for _ in range(MAX_REDIRECTS + 1):
            if auth is not None and is_readable_on_the_way(url):
                self._transcript.fact("warning: over plain http, others on the way can read what is sent")
            self._transcript.fact(f"POST {self._transcript.shown(url)}")
            answer = self._caller.post(url, auth)
            self._tell(answer)
            if answer.location is None:
                return answer
            target = self._redirection(answer, answer.location)
            if auth is not None and not is_same_origin(url, target):
                self._transcript.fact("the credentials are not sent there: it is another origin")
                auth = None
            url = target
        raise Stopped(f"one redirect follows the other: {MAX_REDIRECTS + 1} so far")

    def _redirection(self, answer: Answer, location: str) -> str:
        self._transcript.fact(f"Location: {self._transcript.shown(location)}")
        if answer.status not in {307, 308}:
            raise Stopped(
                f"negotiate is redirected with {answer.status}, which a client follows with a GET",
                "a page for signing in, or a proxy, stands in the way: exempt negotiate, or use the URL it leads to",
            )
        try:
            target = check_url(urljoin(answer.url, location))
        except ValueError as exc:
            raise Stopped(f"no client can follow that redirect: {exc}") from exc
        if is_downgrade(answer.url, target):
            raise Stopped("the redirect leads from https to plain http, which browsers refuse")
        return target

    def _tell(self, answer: Answer) -> None:
        phrase = self._transcript.shown(answer.phrase, 60)
        self._transcript.fact(f"{answer.status} {phrase}, after {answer.elapsed * 1000:.0f} ms")
        for challenge in answer.challenges[:_MAX_CHALLENGES]:
            self._transcript.fact(f"WWW-Authenticate: {self._transcript.shown(challenge)}")
        if answer.status >= 400 and (reason := told_reason(answer)):
            self._transcript.fact(f"reason: {self._transcript.shown(reason)}")
        offset = answer.clock_offset
        if offset is not None:
            relation = "ahead of" if offset > 0 else "behind"
            # The header has whole seconds, and when in the exchange it was written nobody knows.
            differ = abs(offset) > 1 + answer.elapsed
            told = f"is {duration(abs(offset))} {relation}" if differ else "agrees with"
            self._transcript.fact(f"its clock {told} this machine's")

    def _end(self, reply: Mapping[str, Any], conclusion: str) -> None:
        """Tell that a client could open its connection now.

        Raises:
            Stopped: It could not, because the reply names no connection.
        """
        if not isinstance(reply.get("connectionId"), str):
            raise Stopped("the answer names neither a URL to go on to nor a connection: this is no negotiation")
        transports = reply.get("availableTransports")
        names = (
            [one.get("transport") for one in transports if isinstance(one, dict)]
            if isinstance(transports, list)
            else []
        )
        self._transcript.fact(f"transports: {self._transcript.shown(', '.join(map(str, names))) or 'none'}")
        self._transcript.fact(f"{conclusion}.")
