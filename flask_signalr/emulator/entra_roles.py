"""The roles that applications with a Microsoft Entra token have on the service, and what these permit."""

from collections.abc import Sequence
from enum import Enum

from flask_signalr.emulator.entra import EntraCaller
from flask_signalr.errors import AuthorizationDenied, ConfigurationError

_SHOWN_APP_ID = 100


class EntraRole(Enum):
    """A role on the service, by its name in the portal; what it permits is what the emulator serves of it.

    Source: MicrosoftDocs/azure-docs:articles/role-based-access-control/built-in-roles/web-and-mobile.md.
    """

    SERVICE_OWNER = "SignalR Service Owner"
    APP_SERVER = "SignalR App Server"
    REST_API_OWNER = "SignalR REST API Owner"
    REST_API_READER = "SignalR REST API Reader"

    @property
    def word(self) -> str:
        """What the role is called on a command line: ``app-server``."""
        return self.value.removeprefix("SignalR ").replace(" ", "-").lower()

    def permits(self, method: str, *, is_exchange: bool) -> bool:
        """Return whether the role permits a call.

        Args:
            method: The HTTP method.
            is_exchange: Whether the call asks for a key to sign with.
        """
        match self:
            case EntraRole.SERVICE_OWNER:
                return True
            case EntraRole.APP_SERVER:
                return is_exchange
            case EntraRole.REST_API_OWNER:
                return not is_exchange
            case EntraRole.REST_API_READER:
                return not is_exchange and method in {"GET", "HEAD"}


class EntraRoles:
    """Which application has which role.

    Args:
        assignments: Application ids, each with ``=`` and the word of a role, or without: then it is the service's
            owner. If there is none at all, everybody is.

    Raises:
        ConfigurationError: One of them has no id, or no role that is one.
    """

    def __init__(self, assignments: Sequence[str]) -> None:
        words = {role.word: role for role in EntraRole}
        self._roles: dict[str, EntraRole] = {}
        for assignment in assignments:
            app_id, separator, word = assignment.partition("=")
            role = words.get(word) if separator else EntraRole.SERVICE_OWNER
            if not app_id or role is None:
                raise ConfigurationError(
                    f"entra_app_ids: {assignment!r} must be an application id, or one with a role, 'id=app-server' "
                    f"(--entra-app-id); roles are {', '.join(words)}"
                )
            self._roles[app_id] = role

    def check(self, identity: EntraCaller, method: str, *, is_exchange: bool) -> None:
        """Let a call pass whose caller may make it.

        Raises:
            AuthorizationDenied: It has no role, or one that does not permit it.
        """
        if not self._roles:
            return
        shown = ascii(identity.app_id)[:_SHOWN_APP_ID]
        role = self._roles.get(identity.app_id)
        if role is None:
            raise AuthorizationDenied(f"The application {shown} has no role on this service.")
        if not role.permits(method, is_exchange=is_exchange):
            raise AuthorizationDenied(
                f"The application {shown} has the role '{role.value}', which does not permit this operation."
            )
