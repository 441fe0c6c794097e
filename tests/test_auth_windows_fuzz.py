"""Windows sign-on against mutated tokens: whatever comes, the answer is a refusal or a sign-on, never a fault."""

import base64
import os
from collections.abc import Callable
from functools import reduce
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.apps import negotiate
from tests.intranet import Intranet, sign_on, windows_app

Mutation = Callable[[bytes], bytes]


def at(token: bytes, place: float) -> int:
    return int(place * len(token))


places = st.floats(0, 1)
mutations: st.SearchStrategy[Mutation] = st.one_of(
    st.builds(lambda place: lambda token: token[: at(token, place)], places),
    st.builds(
        lambda place, octet: lambda token: token[: at(token, place)] + bytes([octet]) + token[at(token, place) + 1 :],
        places,
        st.integers(0, 255),
    ),
    st.builds(
        lambda place, octets: lambda token: token[: at(token, place)] + octets + token[at(token, place) :],
        places,
        st.binary(max_size=16),
    ),
    st.builds(lambda first, last: lambda token: token[: at(token, first)] + token[at(token, last) :], places, places),
)


@pytest.fixture
def tokens(intranet: Intranet) -> list[bytes]:
    """Return a token of each kind that clients send, and of those that servers send."""
    import spnego
    from spnego._spnego import NegState, NegTokenResp

    kerberos = "1.2.840.113554.1.2.2"
    ntlm = spnego.client("INTRANET\\alice", "guessed", protocol="ntlm").step()
    return [
        base64.b64decode(intranet.token()),
        base64.b64decode(intranet.token(protocol="kerberos")),
        ntlm or b"",
        NegTokenResp(NegState.accept_incomplete, kerberos, b"token", b"mic").pack(),
    ]


@pytest.mark.parametrize("ntlm", [False, True], ids=["Kerberos", "NTLM too"])
def test_no_mutated_token_is_a_fault_of_ours(
    intranet: Intranet, tokens: list[bytes], ntlm: bool, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten thousand of them, in the one request that a client has."""
    users = tmp_path / "users"
    users.write_text("INTRANET:alice:secret\n")
    monkeypatch.setenv("LM_COMPAT_LEVEL", "5")
    if ntlm:
        monkeypatch.setenv("NTLM_USER_FILE", str(users))
    app = windows_app(ntlm=ntlm)
    seen = set()

    @settings(max_examples=10_000 if not ntlm else 1_000, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(tokens), st.lists(mutations, min_size=1, max_size=4))
    def send(token: bytes, changes: list[Mutation]) -> None:
        mutated = reduce(lambda octets, change: change(octets), changes, token)
        answer = sign_on(app, base64.b64encode(mutated).decode())
        seen.add(answer.status_code)
        assert answer.status_code in (200, 401, 403)
        assert list(answer.json or {}) in (["error"], ["url", "accessToken", "availableTransports"])

    send()
    assert 401 in seen


@given(header=st.text(st.characters(max_codepoint=255), max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_header_is_a_fault_of_ours(intranet: Intranet, header: str) -> None:
    answer = negotiate(windows_app(), environ_overrides={"HTTP_AUTHORIZATION": f"Negotiate {header}"})

    assert answer.status_code in (401, 403)


def test_random_tokens_open_nothing(intranet: Intranet) -> None:
    app = windows_app()

    statuses = {sign_on(app, base64.b64encode(os.urandom(766)).decode()).status_code for _ in range(200)}

    assert statuses == {401}
