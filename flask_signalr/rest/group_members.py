"""The connections in a group: a list that is asked for page by page."""

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import msgspec

from flask_signalr.errors import InvalidName
from flask_signalr.rest.caller import HubCaller, Outcomes, raise_failures
from flask_signalr.rest.calls import LARGEST_PAGE, Call, parameters
from flask_signalr.rest.endpoint_client import EndpointClient
from flask_signalr.service_errors import ServiceError


class GroupMember(msgspec.Struct, frozen=True, rename="camel"):
    """A connection in a group.

    Attributes:
        connection_id: The connection.
        user_id: Whose it is; ``None`` for a client that connected without a user id.
    """

    connection_id: str
    user_id: str | None = None


class _Page(msgspec.Struct, rename="camel"):
    value: list[GroupMember]
    next_link: str | None = None


class GroupMembers:
    """The connections in a group, an iterable; each iteration asks anew and no more than it needs.

    Args:
        caller: Makes the calls.
        call: Asks for the list.
        page_size: How many to ask for at once, 1 to 200; ``None`` leaves it to the service.
        top: How many to return at most; ``None`` for all.

    Raises:
        InvalidName: A number is out of its range.
    """

    def __init__(self, caller: HubCaller, call: Call, page_size: int | None, top: int | None) -> None:
        for keyword, number, most in (("page_size", page_size, LARGEST_PAGE), ("top", top, 2**31 - 1)):
            if number is not None and (type(number) is not int or not 1 <= number <= most):
                raise InvalidName(f"{keyword}= takes a whole number, 1 to {most}, not {number!r}")
        self._caller = caller
        self._call = call
        self._page_size = page_size
        self._top = top

    def __iter__(self) -> Iterator[GroupMember]:
        for page in self.pages():
            yield from page

    def pages(self) -> Iterator[list[GroupMember]]:
        """Yield the connections as the service endpoints list them, a page at a time, one endpoint after the other.

        An endpoint that fails hides nothing that the others list: the error comes at the end, unless there were as many
        connections as were asked for.

        Raises:
            ServiceError: The only endpoint refused, could not be reached, or its answer is no such list.
            PartialFailure: Some of several endpoints did.
        """
        left = self._top
        outcomes: Outcomes = {}
        for endpoint in self._caller.endpoints:
            name, token = f"{self._call.subject} at {endpoint.name}", None
            outcomes[name] = None
            while left is None or left > 0:
                try:
                    members, token = self._page(endpoint, token, left)
                except ServiceError as exc:
                    outcomes[name] = exc
                    break
                left = None if left is None else left - len(members)
                yield members
                if token is None:
                    break
        if left != 0:
            raise_failures(outcomes)

    def _page(
        self, endpoint: EndpointClient, token: str | None, left: int | None
    ) -> tuple[list[GroupMember], str | None]:
        """Return one page, and the token of the next one, if there is any and it is wanted."""
        query = parameters(maxpagesize=self._page_size, top=left, continuationToken=token)
        response = self._caller.answer(endpoint, replace(self._call, query=query))
        if response is None:  # no group of that name is an empty one
            return [], None
        try:
            page = msgspec.json.decode(response.body, type=_Page)
        except (ValueError, RecursionError) as exc:
            raise self._unreadable(endpoint, str(exc)) from exc
        members = page.value[:left]
        following = None if len(members) == left else _continuation(page.next_link)
        if following is not None and following == token:
            raise self._unreadable(endpoint, "it leads from a page to the same page")
        return members, following

    def _unreadable(self, endpoint: EndpointClient, fault: str) -> ServiceError:
        return ServiceError(
            f"the list of {self._call.subject} that {endpoint.name} sent cannot be used: {fault}",
            method=self._call.method,
            path=self._caller.address.path_of(self._call),
        )


def _continuation(next_link: str | None) -> str | None:
    """Return the token of a link to the next page.

    The link itself is never opened: a token for the service would go wherever it points to. Its continuation token
    is all that it says beyond what is known, and goes to the endpoint that the page came from.
    """
    if next_link is None:
        return None
    try:
        return parse_qs(urlsplit(next_link).query).get("continuationToken", [None])[0]
    except ValueError:
        return None
