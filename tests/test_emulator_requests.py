"""What is read from every request; the other promises are kept by the tests of the transports and the REST API."""

import asyncio

import pytest
from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.test_utils import make_mocked_request

from flask_signalr.emulator.requests import read_body
from flask_signalr.errors import BadRequest


async def test_a_body_that_the_server_gave_up_is_the_callers_fault() -> None:
    """Which broken bodies end this way depends on how aiohttp was built."""
    loop = asyncio.get_running_loop()
    payload = StreamReader(BaseProtocol(loop), 2**16, loop=loop)
    payload.set_exception(web.RequestPayloadError())

    with pytest.raises(BadRequest, match="its length or its chunks are wrong"):
        await read_body(make_mocked_request("POST", "/", payload=payload), within=30)
