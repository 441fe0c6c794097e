"""What is read from every request; the other promises are kept by the tests of the transports and the REST API."""

import asyncio

import pytest
from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.test_utils import make_mocked_request

from flask_signalr.emulator.requests import read_body
from flask_signalr.emulator.rest.request import bearer_token
from flask_signalr.errors import AccessTokenRefused, BadRequest


@pytest.mark.parametrize(
    "values", [["Bearer a", "Bearer b"], ["Bearer a", "Basic b"], ["Basic a"], ["a"], [""]], ids=str
)
def test_header_confusion_a_request_that_is_authorized_in_two_ways_or_another_is_refused(values: list[str]) -> None:
    """The attack: whoever stands before the service checks one of the tokens, and the service reads the other."""
    with pytest.raises(AccessTokenRefused, match="there must be one Authorization header") as caught:
        bearer_token(values)

    assert caught.value.check == "form"


async def test_a_body_that_the_server_gave_up_is_the_callers_fault() -> None:
    """Which broken bodies end this way depends on how aiohttp was built."""
    loop = asyncio.get_running_loop()
    payload = StreamReader(BaseProtocol(loop), 2**16, loop=loop)
    payload.set_exception(web.RequestPayloadError())

    with pytest.raises(BadRequest, match="its length or its chunks are wrong"):
        await read_body(make_mocked_request("POST", "/", payload=payload), within=30)
