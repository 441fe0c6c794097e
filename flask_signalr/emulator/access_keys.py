"""The access keys of a service, which can be replaced while it runs."""

from collections.abc import Iterator, Sequence

from flask_signalr.errors import ConfigurationError


class AccessKeys:
    """The keys that may sign tokens, and that sign what is sent to the app; all count alike.

    Args:
        keys: The first keys.

    Raises:
        ConfigurationError: There is none, or one cannot stand in a connection string.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = checked_access_keys(keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def replace(self, keys: Sequence[str]) -> None:
        """Use these keys from now on, and no other.

        Raises:
            ConfigurationError: There is none, or one cannot stand in a connection string.
        """
        self._keys = checked_access_keys(keys)


def checked_access_keys(keys: Sequence[str]) -> tuple[str, ...]:
    """Return keys that can be used.

    Raises:
        ConfigurationError: There is none, or one cannot stand in a connection string.
    """
    if isinstance(keys, str):  # else each of its letters would be a key
        raise ConfigurationError("access_keys: give a tuple of access keys, with a comma after a single one")
    if not keys:
        raise ConfigurationError("access_keys: the emulator needs at least one access key")
    for key in keys:
        if not key.strip() or key != key.strip() or ";" in key or not key.isprintable():
            raise ConfigurationError(
                "access_keys: an access key must not be empty, hold a semicolon or control characters, or "
                "begin or end with blanks: it stands in a connection string"
            )
    return tuple(keys)
