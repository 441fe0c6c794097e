"""A token authority like Microsoft Entra ID, on this machine, over TLS: the real azure-identity signs in to it.

It serves what applications with a client secret need: discovery, the token endpoint, the public keys. `Faults` make it
fail as the real one can.
"""

import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs

import jwt
from azure.identity import ClientSecretCredential

from tests.certificate import tls_server, write_certificate
from tests.document_server import DocumentServer, answer
from tests.signing import jwk, rsa_key

TENANT = "5a6b4c8e-0f1d-4b7a-9c3e-2d1f0e9b8a71"
APP_ID = "0c1d2e3f-4a5b-4c6d-8e7f-901a2b3c4d5e"
OTHER_APP_ID = "ffffffff-4a5b-4c6d-8e7f-901a2b3c4d5e"
CLIENT_SECRET = "a-client-secret-that-only-tests-use"


@dataclass
class Faults:
    """What the token endpoint does wrong: nothing, until a test changes it.

    Attributes:
        status: The status that it answers in place of a token.
        audience: The audience of the tokens, in place of the one asked for.
        lifetime: Seconds that a token is good for.
        may_answer: It answers while this is set.
    """

    status: int | None = None
    audience: str | None = None
    lifetime: int = 3600
    may_answer: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.may_answer.set()


class EntraAuthority:
    """The authority; a context manager.

    Args:
        folder: Where its certificate is written.

    Attributes:
        certificate: The file with the certificate that callers must trust; it is a throw-away authority of its own, and
            good for a service called ``signalr.test`` too.
        faults: What the authority does wrong.
        tokens: The tokens that it gave, in their order.
        was_asked: Set when a token is asked for.
        requested: The paths that were asked for, in their order.
    """

    def __init__(self, folder: Path) -> None:
        self.certificate = write_certificate(folder, "signalr.test")
        self.faults = Faults()
        self.tokens: list[str] = []
        self.was_asked = threading.Event()
        self._key_name = str(uuid.uuid4())
        rsa_key(self._key_name)  # two first requests at once would each get a key of their own
        self._server = DocumentServer(tls_server(self.certificate))
        self.requested = self._server.requested

    def __enter__(self) -> Self:
        self._server.__enter__()
        self.url = f"https://localhost:{self._server.port}"
        self.issuer = f"{self.url}/{TENANT}/"  # as that of https://sts.windows.net, which signs tokens of version 1
        self._server.documents.update(
            {
                f"/{TENANT}/.well-known/openid-configuration": self._discovery(self.issuer),
                f"/{TENANT}/v2.0/.well-known/openid-configuration": self._discovery(f"{self.issuer}v2.0"),
                f"/{TENANT}/discovery/keys": self._publish_keys,
                f"/{TENANT}/oauth2/v2.0/token": self._give_token,
            }
        )
        return self

    def __exit__(self, *exception: object) -> None:
        self.faults.may_answer.set()
        self._server.__exit__(*exception)

    def credential(self, app_id: str = APP_ID, secret: str = CLIENT_SECRET, **options: Any) -> ClientSecretCredential:
        """Return the real azure-identity's credential of an application; it tries once, unless told otherwise."""
        trusting = {
            "authority": self.url,
            "disable_instance_discovery": True,
            "connection_verify": str(self.certificate),
        }
        return ClientSecretCredential(TENANT, app_id, secret, **{"retry_total": 0, **trusting, **options})

    def token(self, **changes: Any) -> str:
        """Return a token that nobody had to ask for; a change to ``...`` leaves a claim out."""
        now = int(time.time())
        claims = {
            "aud": self.faults.audience or "https://signalr.azure.com",
            "iss": self.issuer,
            "iat": now,
            "nbf": now,
            "exp": now + self.faults.lifetime,
            "appid": APP_ID,
            "tid": TENANT,
            "ver": "1.0",
        }
        present = {name: value for name, value in (claims | changes).items() if value is not ...}
        return jwt.encode(present, rsa_key(self._key_name), "RS256", {"kid": self._key_name})

    def public_key(self) -> Any:
        """Return the key that everybody may know."""
        return rsa_key(self._key_name).public_key()

    def _discovery(self, issuer: str) -> dict[str, str]:
        tenant = f"{self.url}/{TENANT}"
        return {
            "issuer": issuer,
            "authorization_endpoint": f"{tenant}/oauth2/v2.0/authorize",
            "token_endpoint": f"{tenant}/oauth2/v2.0/token",
            "jwks_uri": f"{tenant}/discovery/keys",
        }

    def _publish_keys(self, handler: BaseHTTPRequestHandler) -> None:
        answer_json(handler, 200, {"keys": [jwk(rsa_key(self._key_name), self._key_name)]})

    def _give_token(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer the grant of RFC 6749 §4.4 with the words of Entra."""
        body = handler.rfile.read(int(handler.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        self.was_asked.set()
        self.faults.may_answer.wait()
        if self.faults.status is not None:
            answer_json(handler, self.faults.status, {"error": "temporarily_unavailable"})
        elif form["grant_type"] != "client_credentials" or form["client_secret"] != CLIENT_SECRET:
            error = {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."}
            answer_json(handler, 401, error)
        else:
            scope = form["scope"].split()[0]
            audience = self.faults.audience or scope.removesuffix("/.default")
            token = self.token(appid=form["client_id"], aud=audience)
            self.tokens.append(token)
            lifetime = self.faults.lifetime
            answer_json(handler, 200, {"token_type": "Bearer", "expires_in": lifetime, "access_token": token})


def answer_json(handler: BaseHTTPRequestHandler, status: int, content: object) -> None:
    """Write a whole answer."""
    answer(handler, json.dumps(content).encode(), status, Content_Type="application/json")
