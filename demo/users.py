"""The demo's users. Their password is public; they are kept as a real app would keep them, hashed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from werkzeug.security import check_password_hash

DEMO_PASSWORD = "signalr"  # noqa: S105 -- everybody may know it: the page and the terminal show it


@dataclass(frozen=True)
class User:
    """One who can sign in; has what Flask-Login asks of a user.

    Attributes:
        id: What the session remembers, and what is typed to sign in.
        name: The name for people.
        email: The address, which becomes the SignalR user id.
        roles: What the user may be allowed to do.
        password_hash: The hashed password.
    """

    id: str
    name: str
    email: str
    roles: tuple[str, ...]
    password_hash: str = field(repr=False)

    is_authenticated = True
    is_active = True
    is_anonymous = False

    def get_id(self) -> str:
        """Return what Flask-Login keeps in the session."""
        return self.id


# Each the hash of the demo password with a salt of its own, and one of a password that nobody knows.
_ADA = (
    "scrypt:32768:8:1$1VnseAAqxAtxnAEV$307ee08c147e63656c8f87b7669f426d0ac51cf65e045bde406838fe4792f56a"
    "0a95edebd5c6227e6dbe1d8fb7127c0c67745d40b3058ba7517ef426b7e10bc2"
)
_BOB = (
    "scrypt:32768:8:1$S2rwcyEChBB7QaRb$e17a850830bce4ddc3f43c8a0b7c9aa37127b0e37636e36d8224d4d5e599f51e"
    "7d8f42f555fd5966e340b8e5753d20855639489493b1be442ece54a5439d78f1"
)
_EVE = (
    "scrypt:32768:8:1$3xPHbkwWOmYEGIrx$48c517674dedc328b3b61ffa73c087e873ae96d1ed320d2536c361a5bd935e4d"
    "faa2b1cfbee725430c0ea7238488c335218b6f8097d57552a89e6af20ae2e927"
)
_NOBODY = (
    "scrypt:32768:8:1$ZEn9Tp6i8aUE2xxb$8f9fe09d0dbba0b0706f1e4e36d890fe88e9f392d0a024ef9b2d35cbe8e295c4"
    "f11132f98d41126c63ac10f16424daf44bdb84b38cc6e636fefd3e357888c544"
)

USERS: Mapping[str, User] = {
    user.id: user
    for user in (
        User("ada", "Ada", "ada@example.org", ("staff", "moderator"), _ADA),
        User("bob", "Bob", "bob@example.org", ("staff",), _BOB),
        User("eve", "Eve", "eve@example.org", ("guest",), _EVE),
    )
}


def find_user(name: str, password: str) -> User | None:
    """Return the user of a name and a password, ``None`` if they do not belong together.

    A name that nobody has takes as long as a wrong password, so that the time does not tell who has an account.
    """
    user = USERS.get(name.strip().lower())
    matches = check_password_hash(user.password_hash if user else _NOBODY, password)
    return user if matches else None
