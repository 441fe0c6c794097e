"""Signing in to the demo: by a cookie session, for a bearer token that the demo issues, or on to the intranet."""

import time
from dataclasses import replace
from typing import Annotated, Any

import jwt
import msgspec
from flask import Blueprint, current_app, session
from flask_login import current_user, login_user, logout_user

from demo.requests import json_body, refuse_other_pages
from demo.users import USERS, User, find_user
from flask_signalr import (
    AuthenticationFailed,
    BearerAuth,
    Claims,
    Principal,
    WindowsAuth,
    WindowsIdentity,
    windows_principal,
)

ISSUER = "flask-signalr-demo"
AUDIENCE = "flask-signalr-demo-chat"
REALM = "EXAMPLE.ORG"
"""The Kerberos realm of the demo's users: in lower case it is the domain of their addresses."""

blueprint = Blueprint("sign_in", __name__, url_prefix="/api")
blueprint.before_request(refuse_other_pages)

_ShortText = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class Credentials(msgspec.Struct):
    """What somebody types to sign in."""

    name: _ShortText
    password: _ShortText


@blueprint.get("/session")
def show_session() -> dict[str, Any]:
    """Say who the cookie belongs to."""
    return {"user": _public(current_user._get_current_object()) if current_user.is_authenticated else None}


@blueprint.post("/session")
def sign_in() -> dict[str, Any]:
    """Start a session: the answer sets the cookie."""
    user = _known_user()
    session.clear()
    login_user(user)
    return {"user": _public(user)}


@blueprint.delete("/session")
def sign_out() -> dict[str, Any]:
    """End the session."""
    logout_user()
    session.clear()
    return {"user": None}


@blueprint.post("/token")
def issue_token() -> dict[str, Any]:
    """Issue a bearer token, as an identity provider would."""
    user = _known_user()
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": user.id,
        "name": user.name,
        "email": user.email,
        "role": user.roles,
        "iat": now,
        "exp": now + current_app.config["DEMO_TOKEN_LIFETIME"],
    }
    token = jwt.encode(claims, current_app.config["DEMO_TOKEN_KEY"], "HS256")
    return {"user": _public(user), "accessToken": token}


def token_auth(key: str) -> BearerAuth:
    """Return the scheme that accepts the demo's tokens."""
    return BearerAuth(key, issuer=ISSUER, audience=AUDIENCE)


def windows_auth() -> WindowsAuth:
    """Return the scheme that signs on whoever has a Kerberos ticket; the demo's users keep their roles."""
    roles = {f"{user.id}@{REALM}": user.roles for user in USERS.values()}
    return WindowsAuth(identity_mapper=_with_address, roles_provider=roles)


def _with_address(identity: WindowsIdentity) -> Principal:
    """Return the principal of an account, named by its address: one user with those of cookie and token."""
    principal = windows_principal(identity)
    return replace(principal, claims=principal.claims + Claims.of({"email": identity.user_id}))


def _known_user() -> User:
    credentials = json_body(Credentials)
    user = find_user(credentials.name, credentials.password)
    if user is None:
        raise AuthenticationFailed("this name and this password do not belong together")
    return user


def _public(user: User) -> dict[str, Any]:
    return {"name": user.name, "email": user.email, "roles": user.roles}
