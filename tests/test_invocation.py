"""What handlers get to see of a call."""

import dataclasses

import pytest
from werkzeug.datastructures import ImmutableMultiDict

from flask_signalr.claims import Claims
from flask_signalr.invocation import Invocation
from flask_signalr.principal import ANONYMOUS, Principal


def test_the_user_id_and_the_claims_are_the_principals() -> None:
    invocation = Invocation(hub="chat", connection_id="c1", principal=Principal("ada", {"role": ["staff", "admin"]}))

    assert invocation.user_id == "ada"
    assert invocation.claims == Claims((("role", "staff"), ("role", "admin")))


def test_a_client_without_user_id_has_none() -> None:
    invocation = Invocation(hub="chat", connection_id="c1", principal=ANONYMOUS)

    assert invocation.user_id is None
    assert len(invocation.claims) == 0


def test_an_invocation_cannot_be_changed() -> None:
    """Several handlers see the same one."""
    invocation = Invocation(
        hub="chat", connection_id="c1", principal=ANONYMOUS, query=ImmutableMultiDict([("room", "a"), ("room", "b")])
    )

    with pytest.raises(dataclasses.FrozenInstanceError):
        invocation.hub = "admin"  # type: ignore[misc]
    with pytest.raises(TypeError):
        invocation.query["room"] = "c"
    assert invocation.query.getlist("room") == ["a", "b"]


def test_what_is_not_given_is_not_there() -> None:
    invocation = Invocation(hub="chat", connection_id="c1", principal=ANONYMOUS)

    assert (invocation.target, invocation.arguments, invocation.invocation_id) == (None, (), None)
    assert not invocation.is_stream
    assert len(invocation.query) == 0
