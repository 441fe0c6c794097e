"""What every answer of the emulator has in common: CORS, errors as answers, and no secret in the log."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.emulated import API, HANDSHAKE, Wire, client_token, emulating, token

ORIGIN = {"Origin": "http://127.0.0.1:5000"}
ADA = client_token("ada")


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with emulating() as each:
        yield each


@pytest.mark.parametrize("path", ["/client/negotiate?hub=chat", "/client/?hub=chat&id=x", "/api/hubs/chat/:send", "/"])
async def test_a_preflight_is_granted_without_a_token(wire: Wire, path: str) -> None:
    """A browser sends none with it, and would refuse the request if it were asked for one."""
    asked = {
        "Access-Control-Request-Method": "DELETE",
        "Access-Control-Request-Headers": "authorization,x-requested-with,x-signalr-user-agent",
    }

    async with wire.request("OPTIONS", path, headers=ORIGIN | asked) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN["Origin"]
        assert response.headers["Access-Control-Allow-Credentials"] == "true"
        assert response.headers["Access-Control-Allow-Headers"] == asked["Access-Control-Request-Headers"]
        assert {"DELETE", "POST"} <= set(response.headers["Access-Control-Allow-Methods"].split(", "))
        assert response.headers["Vary"] == "Origin"


async def test_a_request_that_is_no_preflight_may_ask_for_its_options(wire: Wire) -> None:
    async with wire.request("OPTIONS", "/client/") as response:
        assert response.status == 204
        assert "Access-Control-Allow-Origin" not in response.headers
        assert "Access-Control-Allow-Headers" not in response.headers


@pytest.mark.parametrize(
    ("method", "path", "text", "status"),
    [
        ("POST", "/client/negotiate?hub=chat", ADA, 200),
        ("POST", "/client/negotiate?hub=chat", None, 401),
        ("GET", "/client/?hub=chat", ADA, 400),
        ("GET", "/client/?hub=chat&id=x", ADA, 404),
        ("PUT", "/client/?hub=chat&id=x", ADA, 405),
        ("GET", "/nowhere", None, 404),
        ("POST", "/api/hubs/chat/:send", None, 401),
    ],
)
async def test_the_page_can_read_every_answer(
    wire: Wire, method: str, path: str, text: str | None, status: int
) -> None:
    """Without these headers it would see ``TypeError: Failed to fetch`` in the place of the reason."""
    async with wire.request(method, path, text, headers=ORIGIN) as response:
        assert response.status == status
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN["Origin"]
        assert response.headers["Access-Control-Allow-Credentials"] == "true"
        assert response.headers["Vary"] == "Origin"


async def test_the_page_can_read_a_stream(wire: Wire) -> None:
    path = await wire.open_id(ADA)
    headers = ORIGIN | {"Accept": "text/event-stream"}

    async with wire.request("GET", f"{path}&access_token={ADA}", headers=headers) as response:
        assert response.headers["Access-Control-Allow-Origin"] == ORIGIN["Origin"]


async def test_errors_have_the_form_that_their_reader_expects(wire: Wire) -> None:
    """Clients show the whole body to their user, and the server SDK reads a code."""
    _, to_client = await wire.status("GET", "/nowhere")
    _, to_caller = await wire.status("GET", "/api/nowhere")

    assert json.loads(to_client) == {"error": "404: Not Found"}
    assert json.loads(to_caller) == {"code": "Error.Request.Invalid", "message": "There is no such operation."}


async def test_access_tokens_are_in_no_log(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    """Neither of those who got in, nor of those who did not, nor in what could not even be read."""
    caplog.set_level(logging.DEBUG)
    rest = token({"aud": "http://localhost/api/hubs/chat/:send"})
    expired = client_token("ada", exp=1)

    async with wire.session.ws_connect(wire.url(f"/client/?hub=chat&access_token={ADA}")) as socket:
        await socket.send_str(HANDSHAKE)
        await socket.receive_str()
        await wire.status("POST", f"/api/hubs/chat/:send?{API}", rest, json={"target": "x"})
    await wire.status("GET", f"/client/?hub=chat&id=x&access_token={expired}", headers={"Accept": "text/event-stream"})
    await raw(wire, f"GET /client/?hub=chat&access_token={ADA}&x={'x' * 20_000} HTTP/1.1\r\n\r\n".encode())
    await raw(wire, f"GET /client/?hub=chat&access_token={ADA} HTTP/9.9\r\nAuthorization Bearer {ADA}\r\n\r\n".encode())

    logged = caplog.text + "".join(f"{record.__dict__}" for record in caplog.records)
    assert "opened over WebSockets" in logged
    assert "expired" in logged
    assert "Error handling request" in logged
    assert "LineTooLong" in logged
    for secret in (ADA, rest, expired):
        for part in (secret, secret.split(".")[2]):
            assert part not in logged


async def raw(wire: Wire, request: bytes) -> bytes:
    """Send bytes, and return what comes back until the emulator hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.emulator.settings.port)
    writer.write(request)
    try:
        async with asyncio.timeout(30):
            return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize(
    "request_line",
    [
        "GET /client/\r\nX-Injected: 1?hub=chat HTTP/1.1",
        "GET //client/?hub=chat HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "CONNECT localhost:80 HTTP/1.1",
        "GET http://elsewhere.example/client/?hub=chat HTTP/1.1",
        "GET http://[::1/client/?hub=chat HTTP/1.1",
        "GET /api/hubs/\xff\xfe/:send HTTP/1.1",
        "GET /%zz/%FF HTTP/1.1",
        "GET /client/?hub=%ED%A0%BD&id=%FF HTTP/1.1",
        "GET /client/..%2f..%2fapi HTTP/1.1",
        "nonsense",
    ],
)
async def test_a_request_that_is_none_is_the_callers_fault(wire: Wire, request_line: str) -> None:
    answer = await raw(wire, f"{request_line}\r\nHost: x\r\nConnection: close\r\n\r\n".encode("latin-1"))

    assert answer.split(b" ")[1][:1] in {b"2", b"4"}
    assert b"X-Injected" not in answer.partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize(
    "request_text",
    [f"GET /{'x' * 20_000} HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "GET / HTTP/9.9\r\n\r\n"],
    ids=["long line", "no length", "no version"],
)
async def test_what_a_scanner_sends_alarms_nobody(
    wire: Wire, caplog: pytest.LogCaptureFixture, request_text: str
) -> None:
    """Whoever is woken by errors in the log can do nothing about what strangers send."""
    caplog.set_level(logging.INFO)

    answer = await raw(wire, request_text.encode())

    (told,) = [record for record in caplog.records if "cannot be read" in record.message]
    assert answer.split(b" ")[1] == b"400"
    assert (told.levelname, told.exc_info) == ("INFO", None)
    assert "127.0.0.1" in told.message
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


async def test_an_origin_cannot_smuggle_a_header(wire: Wire) -> None:
    request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nOrigin: http://a\rX-Injected: 1\r\n\r\n"

    answer = await raw(wire, request)

    assert answer.split(b" ")[1] == b"400"
    assert b"Access-Control-Allow-Origin" not in answer


def head_of_a_send() -> bytes:
    """Return the head of a REST call, up to what it says about its body."""
    text = token({"aud": "http://localhost/api/hubs/chat/:send"})
    lines = (
        f"POST /api/hubs/chat/:send?{API} HTTP/1.1",
        "Host: x",
        "Connection: close",
        f"Authorization: Bearer {text}",
        "Content-Type: application/json",
    )
    return "".join(f"{line}\r\n" for line in lines).encode()


@pytest.mark.parametrize("rest", [b"zz\r\n", b"2\r\n{"], ids=["broken", "never complete"])
async def test_a_body_that_does_not_end_is_not_waited_for(rest: bytes) -> None:
    """The head is good and the handler waits: slow or broken bodies must not pile up."""
    async with emulating(body_within=0.05, close_within=0.05) as wire:
        reader, writer = await asyncio.open_connection("127.0.0.1", wire.emulator.settings.port)
        writer.write(head_of_a_send() + b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
        await reader.readuntil(b"100 Continue\r\n\r\n")

        writer.write(rest)

        assert (await reader.read()).split(b" ")[1] == b"408"
        writer.close()


async def test_a_broken_body_is_the_callers_fault(wire: Wire) -> None:
    for body in (
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}x\r\n",
        b"Content-Length: -1\r\n\r\n{}",
        b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    ):
        assert (await raw(wire, head_of_a_send() + body)).split(b" ")[1] == b"400"


segments = st.sampled_from(
    ["api", "client", "negotiate", "hubs", "chat", "users", "groups", "connections", ":send", ":closeConnections",
     "health", "", ".", "..", "%2F", "%FF", "%00", "%ED%A0%BD", "a%20b", "\u00fc", "*", "{hub}"]
)  # fmt: skip
names = st.sampled_from(
    ["hub", "id", "access_token", "api-version", "application", "excluded", "reason", "ttl", "negotiateVersion"]
)
values = st.sampled_from(["", "chat", "1", "2022-06-01", "%FF", "%00", "%ED%A0%BD", "x" * 300, "+", "%", "&", "="])
headers = st.dictionaries(
    st.sampled_from(["Authorization", "Accept", "Content-Type", "Content-Encoding", "Origin", "Upgrade", "Connection"]),
    st.sampled_from(["", "Bearer", "Bearer x.y.z", "text/event-stream", "application/json", "gzip", "websocket",
                     "Upgrade", "null", "\xff", "x" * 500]),
)  # fmt: skip
requests = st.lists(
    st.tuples(
        st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "get", "X"]),
        st.lists(segments, max_size=7).map("/".join),
        st.lists(st.tuples(names, values).map("=".join), max_size=4).map("&".join),
        headers,
        st.booleans(),
        st.binary(max_size=20) | st.sampled_from([b"{}", b'{"target":"x"}', b'{"target":"x","arguments":[{}]}']),
    ),
    min_size=10,
    max_size=20,
)


@settings(max_examples=30)
@given(requests)
def test_no_request_leads_to_an_error_of_the_emulator(
    sent: list[tuple[str, str, str, dict[str, str], bool, bytes]],
) -> None:
    """Paths, queries, headers and bodies that look right in parts, half of them with the right token."""

    async def send_all() -> None:
        async with emulating() as wire:
            for method, path, query, fields, is_admitted, body in sent:
                if is_admitted:
                    rest = token({"aud": f"http://localhost/{path}"})
                    fields["Authorization"] = f"Bearer {rest if path.startswith('api') else ADA}"
                head = f"{method} /{path}?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode()
                head += b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in fields.items())
                answer = await raw(wire, head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
                assert answer.split(b" ")[1][:1] in {b"2", b"4"}, (head, answer)

    asyncio.run(send_all())
