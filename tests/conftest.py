"""What tests of several modules share: real programs that they talk to."""

from collections.abc import Iterator

import pytest

from tests.oidc import OidcProvider, missing_requirement


def _provider() -> Iterator[OidcProvider]:
    missing = missing_requirement()
    if missing is not None:
        pytest.skip(f"tests against a real OpenID Connect provider: {missing}")
    with OidcProvider() as provider:
        yield provider


@pytest.fixture(scope="session")
def oidc_provider() -> Iterator[OidcProvider]:
    """Return a running OpenID Connect provider; its keys stay the same."""
    yield from _provider()


@pytest.fixture(scope="session")
def other_oidc_provider() -> Iterator[OidcProvider]:
    """Return a second provider, another issuer with keys of its own."""
    yield from _provider()


@pytest.fixture
def own_oidc_provider() -> Iterator[OidcProvider]:
    """Return a provider of the test's own, which it may change and stop."""
    yield from _provider()
