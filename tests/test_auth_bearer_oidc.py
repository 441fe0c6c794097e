"""BearerAuth with a real OpenID Connect provider: discovery, real sign-ins, key rotation, several issuers."""

import pytest

from flask_signalr.auth.bearer import BearerAuth
from flask_signalr.auth.key_set import KeyFetching
from flask_signalr.errors import AuthenticationFailed, IdentityProviderUnavailable
from flask_signalr.principal import Principal
from tests.oidc import OidcProvider
from tests.signing import bearing, rsa_key, token


def principal_of(auth: BearerAuth, token: str) -> Principal:
    principal = auth.authenticate(bearing(token))
    assert principal is not None
    return principal


def test_a_person_who_signed_in_connects(oidc_provider: OidcProvider) -> None:
    """Authorization code with PKCE, for an API of its own: what a single-page app gets."""
    auth = BearerAuth.oidc(oidc_provider.issuer, audience="api://chat")

    principal = principal_of(auth, oidc_provider.sign_in("ada")["access_token"])

    assert (principal.name, principal.scheme) == ("ada", "Bearer")
    assert principal.claims.all("role") == ("staff", "moderator")
    assert principal.claims.get("iss") == oidc_provider.issuer
    assert principal.expires_at is not None


@pytest.mark.parametrize("audience", ["api://chat", "api://chat-es256"], ids=["RS256", "ES256"])
def test_a_machine_connects(oidc_provider: OidcProvider, audience: str) -> None:
    """Client credentials; the provider signs for the two APIs with keys of two types."""
    auth = BearerAuth.oidc(oidc_provider.issuer, audience=audience)

    assert principal_of(auth, oidc_provider.robot_token(audience)).name == "robot"


def test_an_id_token_connects_where_its_client_is_the_audience(oidc_provider: OidcProvider) -> None:
    """Not what OpenID Connect has it for, but what some pages have, Google's button for one."""
    auth = BearerAuth.oidc(oidc_provider.issuer, audience="page", name_claim="email")

    principal = principal_of(auth, oidc_provider.sign_in("ada")["id_token"])

    assert principal.name == "ada@example.org"
    assert principal.claims.get("email_verified") is True


def test_an_id_token_is_no_access_token_for_the_api(oidc_provider: OidcProvider) -> None:
    auth = BearerAuth.oidc(oidc_provider.issuer, audience="api://chat")

    with pytest.raises(AuthenticationFailed, match="another audience"):
        auth.authenticate(bearing(oidc_provider.sign_in("ada")["id_token"]))


def test_a_token_for_another_api_of_the_same_provider_is_refused(oidc_provider: OidcProvider) -> None:
    auth = BearerAuth.oidc(oidc_provider.issuer, audience="api://chat")

    with pytest.raises(AuthenticationFailed, match="another audience"):
        auth.authenticate(bearing(oidc_provider.robot_token("api://other")))


def test_a_forged_token_in_the_providers_name_is_refused(oidc_provider: OidcProvider) -> None:
    auth = BearerAuth.oidc(oidc_provider.issuer, audience="api://chat")
    forged = token(rsa_key("attacker"), "RS256", iss=oidc_provider.issuer, aud="api://chat", header={"kid": "forged"})

    with pytest.raises(AuthenticationFailed, match="does not publish"):
        auth.authenticate(bearing(forged))


def test_a_changed_token_of_the_provider_is_refused(oidc_provider: OidcProvider) -> None:
    auth = BearerAuth.oidc(oidc_provider.issuer, audience="api://chat")
    header, _, signature = oidc_provider.robot_token().split(".")
    payload = token(iss=oidc_provider.issuer, aud="api://chat", sub="root").split(".")[1]

    with pytest.raises(AuthenticationFailed, match="signature is wrong"):
        auth.authenticate(bearing(f"{header}.{payload}.{signature}"))


def test_several_issuers_stand_side_by_side(oidc_provider: OidcProvider, other_oidc_provider: OidcProvider) -> None:
    """Each scheme takes the tokens of its own provider and leaves the others to the next."""
    first = BearerAuth.oidc(oidc_provider.issuer, audience="api://chat")
    second = BearerAuth.oidc(other_oidc_provider.issuer, audience="api://chat")
    token = other_oidc_provider.robot_token()

    assert first.authenticate(bearing(token)) is None
    assert principal_of(second, token).claims.get("iss") == other_oidc_provider.issuer


def test_a_key_set_without_discovery_does_the_same(oidc_provider: OidcProvider) -> None:
    auth = BearerAuth.jwks(f"{oidc_provider.issuer}/jwks", issuer=oidc_provider.issuer, audience="api://chat")

    assert principal_of(auth, oidc_provider.robot_token()).name == "robot"


def test_a_rotated_key_is_learnt_and_the_old_one_forgotten(own_oidc_provider: OidcProvider) -> None:
    now = 0.0
    fetching = KeyFetching(cool_down=30, clock=lambda: now)
    auth = BearerAuth.oidc(own_oidc_provider.issuer, audience="api://chat", fetching=fetching)
    old = own_oidc_provider.robot_token()
    principal_of(auth, old)

    own_oidc_provider.rotate_keys()
    new = own_oidc_provider.robot_token()

    with pytest.raises(AuthenticationFailed, match="does not publish"):
        auth.authenticate(bearing(new))  # too soon after the last fetch
    now = 30
    assert principal_of(auth, new).name == "robot"
    with pytest.raises(AuthenticationFailed, match="does not publish"):
        auth.authenticate(bearing(old))


def test_a_provider_that_has_gone_is_unavailable(own_oidc_provider: OidcProvider) -> None:
    """503, and the caller may try again; never a success on the word of the token."""
    auth = BearerAuth.oidc(own_oidc_provider.issuer, audience="api://chat")
    good = own_oidc_provider.robot_token()
    own_oidc_provider.stop()

    with pytest.raises(IdentityProviderUnavailable):
        auth.authenticate(bearing(good))
