"""The service endpoints of an app: which there are, and which of them are up."""

from collections.abc import Iterable

from flask_signalr.endpoints import EndpointGroup, ServiceEndpoint


class AppEndpoints:
    """The service endpoints of one app, as a process knows them.

    Args:
        endpoints: All of them, primary ones first.

    Attributes:
        all: As given.
    """

    def __init__(self, endpoints: Iterable[ServiceEndpoint]) -> None:
        self.all = EndpointGroup(endpoints)

    def reachable(self) -> EndpointGroup:
        """Return the endpoints that are up, primary ones first; may be empty."""
        return self.all
