"""What the service posts to the app, and what it makes of the answer, as values.

Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR.Emulator/HubEmulator/HttpServerlessMessageHandler.cs,
HttpUpstreamPropertiesFeature.cs and Upstreams/HttpUpstreamTrigger.cs there.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from flask_signalr.claim_types import SHORT_NAMES
from flask_signalr.emulator.connections import Connection
from flask_signalr.errors import ProtocolError
from flask_signalr.messages import CompletionMessage, HubMessage
from flask_signalr.protocol import HubProtocol, TransferFormat

ANSWER_LIMIT = 16 * 1024 * 1024
"""Bytes that the answer to an invocation may have."""

_LONG_NAMES = {short: long for long, short in SHORT_NAMES.items()}
_LONG_NAMES |= {"sub": _LONG_NAMES["nameid"], "roles": _LONG_NAMES["role"]}
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, eq=False)
class UpstreamCall:
    """One POST to the app; each is itself alone, however much two may look alike.

    Attributes:
        url: Where it goes.
        headers: Its headers; their text goes out as UTF-8.
        body: Its body.
        event: What it tells, for logs: ``connections/connected`` on a hub.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    event: str


@dataclass(frozen=True)
class UpstreamAnswer:
    """The app's answer.

    Attributes:
        status: The HTTP status.
        body: The body, or as much of it as shows that it is longer than `ANSWER_LIMIT`.
    """

    status: int
    body: bytes = field(default=b"", repr=False)

    @property
    def is_good(self) -> bool:
        """Whether the status is one of success."""
        return 200 <= self.status < 300


@dataclass(frozen=True)
class UpstreamFailure:
    """There was no answer, or only half of one.

    Attributes:
        reason: What went wrong, for the log of the service.
        error: What a client is told that waits for a result.
    """

    reason: str
    error: str = "Invocation failed, status code 500"


UpstreamReply = UpstreamAnswer | UpstreamFailure


def event_headers(
    connection: Connection, category: str, event: str, access_keys: Iterable[str], content_type: str
) -> dict[str, str]:
    """Return the headers that tell the app of an event.

    No value holds a control character, so none can end its header: a blank stands for each.

    Args:
        connection: The client that it happened to.
        category: The category, ``connections`` or ``messages``.
        event: The event: ``connected``, ``disconnected``, or the method that is called.
        access_keys: The keys that sign, all of them.
        content_type: The media type of the body.
    """
    headers = {
        "Content-Type": content_type,
        "X-ASRS-Connection-Id": connection.id,
        "X-ASRS-Hub": connection.hub,
        "X-ASRS-Category": category,
        "X-ASRS-Event": event,
        "X-ASRS-Signature": ",".join(sign_connection(connection.id, key) for key in access_keys),
    }
    optional = {
        "X-ASRS-User-Id": connection.client.user_id or "",
        "X-ASRS-User-Claims": ", ".join(_claims(connection.client.claims)),
        "X-ASRS-Client-Query": f"?{connection.query}" if connection.query else "",
    }
    headers |= {name: value for name, value in optional.items() if value}
    return {name: _CONTROLS.sub(" ", value) for name, value in headers.items()}


def sign_connection(connection_id: str, access_key: str) -> str:
    """Return the signature that proves to the app that the service is the sender.

    Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR.Emulator/Common/Utils.cs.
    """
    return "sha256=" + hmac.new(access_key.encode(), connection_id.encode(), hashlib.sha256).hexdigest().upper()


def unframed(protocol: HubProtocol, message: HubMessage) -> bytes:
    """Return a message as a body: without the frame that it has on a transport.

    Raises:
        ProtocolError: The message cannot be encoded.
    """
    payloads, _ = protocol.split(protocol.encode(message))
    return payloads[0]


def completion_of(protocol: HubProtocol, invocation_id: str, reply: UpstreamReply) -> tuple[CompletionMessage, bytes]:
    """Return the completion that a reply makes, and the bytes that the client gets: the app's own where they fit.

    Azure's service writes any body of status 200 to the client. A client that gets half a message, or two, breaks
    off; here it gets an error that says what the app did wrong.

    Args:
        protocol: What the client speaks.
        invocation_id: What the client calls its invocation.
        reply: The app's reply.
    """
    error = _error_of(reply)
    if error is None and isinstance(reply, UpstreamAnswer) and reply.body:
        try:
            return _parsed(protocol, invocation_id, reply.body), reply.body
        except ProtocolError as exc:
            error = f"Invocation failed, error: the upstream's answer is no completion of this invocation: {exc}."
    completion = CompletionMessage(invocation_id=invocation_id, error=error)
    return completion, protocol.encode(completion)


def _error_of(reply: UpstreamReply) -> str | None:
    if isinstance(reply, UpstreamFailure):
        return reply.error
    if reply.status not in {200, 204}:
        return f"Invocation failed, status code {reply.status}"
    if len(reply.body) > ANSWER_LIMIT:
        return "Invocation failed, response too large."
    return None


def _parsed(protocol: HubProtocol, invocation_id: str, body: bytes) -> CompletionMessage:
    """Return the completion that a body is; raise `ProtocolError` if it is none, or of another invocation."""
    payloads, rest = protocol.split(body)
    if rest or len(payloads) != 1:
        raise ProtocolError("it must be one message with its frame")
    if protocol.transfer_format is TransferFormat.TEXT and not _is_text(body):
        raise ProtocolError("it is not UTF-8")  # which would break the client's WebSocket
    message = protocol.parse(payloads[0])
    if not isinstance(message, CompletionMessage):
        raise ProtocolError("it is a message of another type")
    if message.invocation_id != invocation_id:
        raise ProtocolError("it has the id of another invocation")
    return message


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _claims(claims: Mapping[str, Any]) -> Iterator[str]:
    """Yield all claims of a token as .NET shows them: long names, one text for each value of an array."""
    for claim_type, value in claims.items():
        for each in value if isinstance(value, list) else [value]:
            text = each if isinstance(each, str) else "" if each is None else msgspec.json.encode(each).decode()
            yield f"{_LONG_NAMES.get(claim_type, claim_type)}: {text}"
