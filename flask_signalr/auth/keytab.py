"""The keytab: what tells, before the first request, whether Kerberos sign-on can work here at all."""

from dataclasses import dataclass

from flask_signalr.errors import ConfigurationError

_REMEDY = (
    "export the keys of HTTP/<the name in the URL> into a keytab of its own that this process may read, and name it in "
    "the environment variable KRB5_KTNAME"
)


@dataclass(frozen=True)
class ServiceKey:
    """A key that tickets can be encrypted for.

    Attributes:
        name: The service: ``HTTP/app.intranet.example``.
        realm: Its realm.
    """

    name: str
    realm: str


def http_keys() -> tuple[ServiceKey, ...]:
    """Return the keys of the process's keytab that browsers get tickets for, each once.

    Raises:
        ConfigurationError: The keytab cannot be read or has none.
    """
    import krb5

    try:
        keytab = krb5.kt_default(krb5.init_context())
        names = [str(entry.principal) for entry in keytab]
    except krb5.Krb5Error as exc:
        raise ConfigurationError(f"WindowsAuth: the keytab cannot be read: {exc}; {_REMEDY}") from exc
    keys = {ServiceKey(*name.rsplit("@", 1)) for name in names if is_http(name)}
    if not keys:
        file = (keytab.name or b"").decode(errors="replace")
        raise ConfigurationError(f"WindowsAuth: the keytab {file} has no key of an HTTP/ service; {_REMEDY}")
    return tuple(sorted(keys, key=lambda key: (key.name, key.realm)))


def is_http(principal_name: str) -> bool:
    """Return whether a Kerberos principal is a web service's; Active Directory writes the word in either case."""
    return principal_name[:5].upper() == "HTTP/"
