"""A real OpenID Connect provider for the tests: npm's oidc-provider in a process of its own, and its clients."""

import base64
import hashlib
import json
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Self
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, Request, build_opener

HERE = Path(__file__).parent
REDIRECT_URI = "http://127.0.0.1/callback"


def missing_requirement() -> str | None:
    """Return what the provider lacks to run here, with the remedy."""
    if shutil.which("node") is None:
        return "Node.js is not installed"
    if not (HERE / "node_modules" / "oidc-provider").is_dir():
        return "tests/node_modules is not there; 'npm ci --prefix tests' makes it"
    return None


class OidcProvider:
    """A provider with the issuer `issuer`; a context manager, so that it never outlives its test."""

    def __enter__(self) -> Self:
        command = ["node", str(HERE / "oidc_provider.mjs")]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.issuer: str = json.loads(self._answer())["issuer"]
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the provider by ending its standard input, which would also end with this process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()

    def rotate_keys(self) -> None:
        """Replace all signing keys; the old ones are gone from the key set at once."""
        assert self._process.stdin is not None
        self._process.stdin.write("rotate\n")
        self._process.stdin.flush()
        assert self._answer() == "rotated"

    def robot_token(self, resource: str = "api://chat") -> str:
        """Return the access token of a machine for an API (client credentials; RFC 8707, RFC 9068)."""
        form = {"grant_type": "client_credentials", "resource": resource, "scope": "chat"}
        return str(self._token(form, client=("robot", "only-for-tests"))["access_token"])

    def sign_in(self, user: str, resource: str = "api://chat") -> dict[str, str]:
        """Return the tokens of a person who signed in on the provider's pages (authorization code with PKCE)."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "client_id": "page",
            "response_type": "code",
            "redirect_uri": REDIRECT_URI,
            "scope": "openid email chat",
            "resource": resource,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        browser = _Browser()
        page = browser.open(f"{self.issuer}/auth?{urlencode(query)}")
        page = browser.open(page, {"prompt": "login", "login": user, "password": "anything"})
        callback = browser.open(page, {"prompt": "consent"})
        code = parse_qs(urlsplit(callback).query)["code"][0]
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": REDIRECT_URI,
            "code_verifier": verifier,
            "client_id": "page",
            "resource": resource,
        }
        return self._token(form)

    def _token(self, form: Mapping[str, str], client: tuple[str, str] | None = None) -> dict[str, Any]:
        request = Request(f"{self.issuer}/token", urlencode(form).encode())
        if client is not None:
            request.add_header("Authorization", "Basic " + base64.b64encode(":".join(client).encode()).decode())
        with build_opener().open(request, timeout=30) as answer:
            tokens: dict[str, Any] = json.load(answer)
        return tokens

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


class _Browser:
    """Follows redirects with cookies, up to the app that the person came from."""

    def __init__(self) -> None:
        self._opener = build_opener(HTTPCookieProcessor(), _StopAtCallback())

    def open(self, url: str, form: Mapping[str, str] | None = None) -> str:
        """Return where a page, or the answer to its form, leads to."""
        try:
            with self._opener.open(url, urlencode(form).encode() if form is not None else None, timeout=30) as answer:
                return str(answer.geturl())
        except HTTPError as answer:
            with answer:
                if 300 <= answer.code < 400:
                    return str(answer.headers["Location"])
                raise


class _StopAtCallback(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        if newurl.startswith(REDIRECT_URI):
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)
