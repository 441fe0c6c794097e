"""What an app's configuration says about its store."""

from dataclasses import dataclass, field

from flask_signalr.errors import ConfigurationError, MissingExtra
from flask_signalr.stores.store import Store
from flask_signalr.stores.store_url import store_from_url


@dataclass(frozen=True)
class StoreSettings:
    """Where the processes of an app keep what they share, and how long presence believes what it heard.

    Attributes:
        url: The store, as `store_from_url` takes it.
        prefix: What the keys of this app in a shared store begin with.
        presence_check_after: Seconds without a sign of life after which presence asks the service about a connection.
        presence_lifetime: Seconds after which presence forgets a connection that nothing confirms.
    """

    url: str = field(default="memory://", repr=False)
    prefix: str = "signalr"
    presence_check_after: int = 300
    presence_lifetime: int = 86_400

    def open(self) -> Store:
        """Return the store; nothing is connected yet.

        Raises:
            ConfigurationError: Its URL cannot be used.
            MissingExtra: It needs an optional dependency.
        """
        try:
            return store_from_url(self.url, self.prefix)
        except MissingExtra as exc:
            raise MissingExtra("SIGNALR_STORE_URL", exc.extra) from None
        except ConfigurationError as exc:
            raise ConfigurationError(f"SIGNALR_STORE_URL: {exc}") from None


IN_MEMORY = StoreSettings()
"""What holds unless the configuration says otherwise."""
