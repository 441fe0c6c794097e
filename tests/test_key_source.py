"""Where the keys come from that client tokens are signed with."""

import pytest

from flask_signalr.endpoints import ServiceEndpoint
from flask_signalr.errors import ConfigurationError
from flask_signalr.key_source import AccessKeys


def test_an_access_key_is_the_one_of_the_connection_string() -> None:
    endpoint = ServiceEndpoint.parse("Endpoint=https://a.example;AccessKey=secret")

    assert AccessKeys().signing_key(endpoint) is endpoint.key


@pytest.mark.parametrize(("name", "shown"), [("east", "'east'"), ("", "'https://a.example/'")])
def test_an_endpoint_without_an_access_key_is_named(name: str, shown: str) -> None:
    endpoint = ServiceEndpoint.parse("Endpoint=https://a.example;AuthType=azure", name)

    with pytest.raises(ConfigurationError, match=f"service endpoint {shown} has no AccessKey"):
        AccessKeys().signing_key(endpoint)
