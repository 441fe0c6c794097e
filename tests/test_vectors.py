"""The service's URLs and tokens, checked against vectors made from the .NET SDKs' own tests.

Each vector names the file that it comes from.
"""

import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask import Flask

from flask_signalr import EndpointRouter, QueryRouter, SignalR
from flask_signalr.claims import Claims
from flask_signalr.endpoints import ServiceEndpoint
from flask_signalr.errors import ConfigurationError, InvalidClaim
from flask_signalr.key_source import AccessKeys
from flask_signalr.negotiation import (
    ClientAccess,
    check_application_name,
    client_access,
    original_path,
    original_query,
    prefixed_hub,
    url_suffix,
)
from flask_signalr.principal import ANONYMOUS, Principal
from flask_signalr.server_sdk_url import ServerSdkUrl
from flask_signalr.token_claims import TokenOptions, token_claims
from flask_signalr.views import negotiate
from tests.apps import Says, body, create_app

VECTORS: list[dict[str, Any]] = json.loads(Path(__file__, "../vectors/client_tokens.json").resolve().read_text())[
    "vectors"
]
NOW = 1_700_000_000

REFUSED_ON_PURPOSE = {
    # The SDK lets a customer claim name the user; we refuse every claim that is the service's own.
    "claims_asrs_s_is_not_filtered": (InvalidClaim, "service's own"),
    # The SDK logs the value and takes 15; we say at start-up what is wrong with it.
    "default_handshake_timeout_0": (ConfigurationError, "1 to 30"),
}
"""Vectors that record what the SDK does and we do not."""

LEGACY = "legacy_management"
"""The SDK's obsolete GenerateClientAccessToken puts the user id elsewhere and renames nothing; it has no twin here."""

ACCEPTED = [
    vector
    for vector in VECTORS
    if not vector["expected_error"]
    and vector["options"].get("sdk") != LEGACY
    and vector["name"] not in REFUSED_ON_PURPOSE
]
REFUSED = [vector for vector in VECTORS if vector["expected_error"]]


def named(vectors: list[dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("vector", vectors, ids=[vector["name"] for vector in vectors])


def answer(vector: dict[str, Any]) -> ClientAccess:
    """Answer a negotiation as the vector's inputs describe it."""
    options = vector["options"]
    identity = options.get("identity") or {}
    principal = principal_of(options, identity)
    endpoint = ServiceEndpoint.parse(vector["connection_string"])
    access = client_access(
        endpoint,
        prefixed_hub(vector["hub"], check_application_name(vector["application_name"] or "")),
        token_claims(
            vector["user_id"],
            Claims.of([(claim_type, value) for claim_type, value in vector["claims"]]),
            principal,
            token_options(options, identity),
            options.get("endpoints_count", 1),
        ),
        lifetime=options.get("lifetime_seconds", 3600),
        now=NOW,
        key=AccessKeys().signing_key(endpoint),
        algorithm=options.get("algorithm", "HS256"),
    )
    return ClientAccess(access.url + query_suffix(options), access.token)


def principal_of(options: dict[str, Any], identity: dict[str, Any]) -> Principal:
    expires_at = options.get("authentication_expires_on")
    scheme = identity.get("authentication_type")
    return Principal("caller", scheme=scheme, expires_at=expires_at) if identity or expires_at else ANONYMOUS


def token_options(options: dict[str, Any], identity: dict[str, Any]) -> TokenOptions:
    diagnostic = options.get("diagnostic_client", False)
    transports = options.get("transports")
    return TokenOptions(
        detailed_errors=options.get("detailed_errors", False),
        diagnostic_client=lambda principal: diagnostic,
        server_name=options.get("server_name"),
        server_sticky_mode="Required" if options.get("blazor") else options.get("server_sticky_mode", "Disabled"),
        handshake_timeout=options.get("handshake_timeout_seconds", 15),
        max_poll_interval=options.get("max_poll_interval_seconds"),
        transports=None if transports is None else tuple(transports),
        name_claim_type=identity.get("name_claim_type"),
        role_claim_type=identity.get("role_claim_type"),
        close_on_expiry=options.get("close_on_authentication_expiration", False),
    )


def query_suffix(options: dict[str, Any]) -> str:
    """What the server SDK appends to the URL; the generator is called with the parts ready made."""
    if options["sdk"] == "default":
        query = original_query(
            options["request_query"],
            options["request_id"],
            options.get("culture") or "",
            options.get("ui_culture") or "",
        )
        return url_suffix(original_path(options["request_path"]), query)
    if options["sdk"] == "generator":
        return url_suffix(options["original_path"] or "", options["query_string"] or "")
    return ""


def algorithm_of(vector: dict[str, Any]) -> str:
    return str(vector["options"].get("algorithm", "HS256"))


def payload_of(token: str, vector: dict[str, Any], *, verify_exp: bool = True) -> dict[str, Any]:
    """Return what a token says, once PyJWT has verified it."""
    key = dict(part.split("=", 1) for part in vector["connection_string"].split(";") if part)
    secret = next(value for name, value in key.items() if name.lower() == "accesskey")
    payload: dict[str, Any] = jwt.decode(
        token, secret, [algorithm_of(vector)], audience=vector["expected_audience"], options={"verify_exp": verify_exp}
    )
    return payload


def test_the_vectors_are_all_here() -> None:
    assert len(VECTORS) == 101
    assert len(ACCEPTED) + len(REFUSED) + len(REFUSED_ON_PURPOSE) + 3 == len(VECTORS)


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")  # the SDK's tests use a short key
@named(ACCEPTED)
def test_url_audience_and_claims_are_those_of_the_sdk(vector: dict[str, Any]) -> None:
    access = answer(vector)

    payload = payload_of(access.token, vector, verify_exp=False)
    assert access.url == vector["expected_url"]
    assert jwt.get_unverified_header(access.token) == {"alg": algorithm_of(vector), "typ": "JWT"}
    assert (payload.pop("nbf"), payload.pop("iat")) == (NOW, NOW)
    assert payload.pop("exp") == NOW + vector["options"].get("lifetime_seconds", 3600)
    assert payload == vector["expected_payload_claims"]


def app_of(vector: dict[str, Any]) -> Flask:
    """Return an app whose negotiate view stands where the vector's does."""
    options, hub = vector["options"], vector["hub"]
    identity = options.get("identity") or {}
    scheme = identity.get("authentication_type", "Bearer")  # which no token tells
    principal = Principal("caller", scheme=scheme, expires_at=options.get("authentication_expires_on"))
    others = [f"other{number}" for number in range(1, options.get("endpoints_count", 1))]
    endpoints = {name: f"Endpoint=https://{name};AccessKey=fake_key" for name in others}
    chosen = QueryRouter() if others and "endpoint=" in options["request_query"] else EndpointRouter(_chosen_weight)
    signalr = SignalR(auth=[Says(principal)], endpoint_router=chosen)
    signalr.hub(
        hub,
        user_id_provider=lambda principal: vector["user_id"],
        claims_filter=lambda principal: Claims.of([(claim_type, value) for claim_type, value in vector["claims"]]),
        access_token_lifetime=options.get("lifetime_seconds", 3600),
        access_token_algorithm=algorithm_of(vector),
        token_options=token_options(options, identity),
        server_sdk_url=ServerSdkUrl(
            request_id=lambda: options["request_id"],
            culture=lambda: options.get("culture"),
            ui_culture=lambda: options.get("ui_culture"),
        ),
    )
    app = create_app(
        signalr,
        SIGNALR_CONNECTION_STRING=None,
        SIGNALR_ENDPOINTS={**endpoints, "chosen": vector["connection_string"]},
        SIGNALR_APPLICATION_NAME=vector["application_name"] or "",
    )
    app.url_map.merge_slashes = False
    path = options["request_path"] or "/"
    app.add_url_rule(path, "vector", negotiate, methods=["POST"], defaults={"hub": hub})
    return app


def _chosen_weight(endpoint: ServiceEndpoint) -> float:
    return float(endpoint.name == "chosen")


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")  # the SDK's tests use a short key
@named([vector for vector in ACCEPTED if vector["options"].get("sdk") == "default"])
def test_the_view_answers_as_the_sdks_does(vector: dict[str, Any]) -> None:
    """The same on the whole road: request, routing, hub, token. Only the clock is the real one."""
    options, expected = vector["options"], vector["expected_payload_claims"]
    if "asrs.s.aeo" in expected:
        tomorrow = int(time.time()) + 86_400
        expected = {**expected, "asrs.s.aeo": str(tomorrow)}
        vector = {**vector, "options": {**options, "authentication_expires_on": tomorrow}}
    client = app_of(vector).test_client()

    answer = client.post(options["request_path"] or "/", query_string=options["request_query"])

    assert answer.status_code == 200, answer.text
    access = body(answer)
    payload = payload_of(access["accessToken"], vector)
    times = [payload.pop(name) for name in ("nbf", "iat", "exp")]
    assert access["url"] == vector["expected_url"]
    assert times[2] - times[1] == options.get("lifetime_seconds", 3600)
    assert payload == expected


@named(REFUSED)
def test_errors_begin_as_those_of_the_sdk(vector: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        answer({**vector, "options": {"sdk": "management", **vector["options"]}})

    assert str(refusal.value).startswith(vector["expected_error"])


@named([vector for vector in VECTORS if vector["name"] in REFUSED_ON_PURPOSE])
def test_quirks_of_the_sdk_are_refused(vector: dict[str, Any]) -> None:
    error, text = REFUSED_ON_PURPOSE[vector["name"]]

    with pytest.raises(error, match=text):
        answer(vector)


@pytest.mark.parametrize("path", ["/path", "/path/", "/path//"])
def test_a_client_endpoint_with_a_path_gets_its_slash(path: str) -> None:
    """The SDK glues them: ``https://x/pathclient/?hub=h``, a URL that leads nowhere."""
    endpoint = ServiceEndpoint.parse(f"Endpoint=https://a;AccessKey=fake_key;ClientEndpoint=https://x{path}")

    access = client_access(endpoint, "h", [], lifetime=60, now=NOW, key=AccessKeys().signing_key(endpoint))

    assert access.url == "https://x/path/client/?hub=h"
