"""The connections in a group, page by page."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from flask_signalr import GroupMember, InvalidName, PartialFailure, ServiceError, ServiceRequest, ServiceResponse
from tests.recorded_service import BROKEN, EAST, WEST, RecordedService
from tests.rest_hub import call, live_hub
from tests.scripted_server import ScriptedServer, http


def page(*connection_ids: str, next_link: str | None = None) -> ServiceResponse:
    members = [{"connectionId": each, "userId": f"user-{each}"} for each in connection_ids]
    content = {"value": members} | ({} if next_link is None else {"nextLink": next_link})
    return ServiceResponse(200, {}, json.dumps(content).encode())


def endless(request: ServiceRequest) -> ServiceResponse:
    """Answer with a page of one member and a link to the next, for ever."""
    number = int(parse_qs(urlsplit(request.url).query).get("continuationToken", ["0"])[0])
    return page(f"c{number}", next_link=f"https://east.example/x?continuationToken={number + 1}")


async def test_all_pages_are_listed() -> None:
    async with live_hub() as hub:
        sockets = [await hub.connect(f"u{number}") for number in range(7)]
        group = hub.clients.group("a/b é")
        for number in range(7):
            await call(group.add_user, f"u{number}")

        pages = await call(lambda: list(group.connections(page_size=3).pages()))

        assert [len(each) for each in pages] == [3, 3, 1]
        assert {member.user_id for each in pages for member in each} == {f"u{number}" for number in range(7)}
        assert len(await call(lambda: list(group.connections(page_size=3, top=5)))) == 5
        for socket in sockets:
            await socket.close()


def test_a_member_may_have_no_user_id() -> None:
    service = RecordedService(lambda request: ServiceResponse(200, {}, b'{"value":[{"connectionId":"c"}]}'))

    assert list(service.hub().group("g").connections()) == [GroupMember("c")]


def test_no_page_is_asked_for_before_it_is_looked_at() -> None:
    service = RecordedService(endless)
    members = iter(service.hub().group("g").connections())
    assert not service.requests

    found = [next(members).connection_id for _ in range(3)]

    assert found == ["c0", "c1", "c2"]
    assert len(service.requests) == 3


def test_a_limit_is_kept_whatever_the_service_sends() -> None:
    service = RecordedService(
        lambda request: page("a", "b", "c", next_link="https://east.example/?continuationToken=t")
    )

    members = list(service.hub().group("g").connections(top=4))

    assert len(members) == 4
    assert [parse_qs(urlsplit(request.url).query)["top"] for request in service.requests] == [["4"], ["1"]]


def test_an_iteration_asks_anew() -> None:
    service = RecordedService(lambda request: page("a"))
    members = service.hub().group("g").connections()

    assert list(members) == list(members)
    assert len(service.requests) == 2


@pytest.mark.parametrize("link", ["{thief}/?continuationToken=t", "//{host}/?continuationToken=t"])
def test_a_hostile_next_link_does_not_receive_the_token(link: str) -> None:
    """Theft: whoever gets a service to list a link of theirs would be handed a signed token."""
    with ScriptedServer([http(200, b'{"value":[]}')]) as thief:
        target = link.format(thief=thief.origin, host=thief.origin.removeprefix("http://"))
        answers = [page("a", next_link=target), page("b")]
        service = RecordedService(lambda request: answers.pop(0))

        members = [member.connection_id for member in service.hub().group("g").connections()]

    assert members == ["a", "b"]
    assert not thief.received
    assert {urlsplit(request.url).hostname for request in service.requests} == {"east.example"}
    assert all(urlsplit(request.url).path == "/api/hubs/chat/groups/g/connections" for request in service.requests)


def test_a_continuation_token_cannot_add_parameters_of_its_own() -> None:
    answers = [page("a", next_link="https://east.example/?continuationToken=t%26application%3Dother"), page("b")]
    service = RecordedService(lambda request: answers.pop(0))

    list(service.hub().group("g").connections())

    query = parse_qs(urlsplit(service.requests[1].url).query)
    assert query["continuationToken"] == ["t&application=other"]
    assert "application" not in query


def test_a_page_that_leads_to_itself_ends_in_an_error() -> None:
    """Denial of service: a caller that lists all would never come back."""
    service = RecordedService(lambda request: page(next_link="https://east.example/?continuationToken=t"))

    with pytest.raises(ServiceError, match="from a page to the same page"):
        list(service.hub().group("g").connections())


@pytest.mark.parametrize("link", ["", "nonsense", "https://[", "https://east.example/?continuationToken="])
def test_a_link_without_a_continuation_ends_the_list(link: str) -> None:
    service = RecordedService(lambda request: page("a", next_link=link))

    assert len(list(service.hub().group("g").connections())) == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"value":[{}]}', b'{"value":7}', b"[" * 100_000])
def test_an_answer_that_is_no_list_is_an_error(body: bytes) -> None:
    with pytest.raises(ServiceError, match="list of group 'g' that east sent cannot be used"):
        list(RecordedService(lambda request: ServiceResponse(200, {}, body)).hub().group("g").connections())


def test_a_refusal_is_raised() -> None:
    with pytest.raises(ServiceError, match="was answered 500"):
        list(RecordedService(lambda request: BROKEN).hub().group("g").connections())


def at_west(*connection_ids: str) -> RecordedService:
    """Return two endpoints, of which one is broken."""
    return RecordedService(lambda request: BROKEN if "//east." in request.url else page(*connection_ids))


def test_an_endpoint_that_fails_does_not_hide_the_members_that_the_others_list() -> None:
    found: list[GroupMember] = []

    with pytest.raises(PartialFailure, match=r"1 of 2 calls failed: group 'g' at east: .* was answered 500") as failure:
        found.extend(at_west("a", "b").hub(EAST, WEST).group("g").connections())

    assert list(failure.value.failures) == ["group 'g' at east"]
    assert found == [GroupMember("a", "user-a"), GroupMember("b", "user-b")]


def test_who_asked_for_no_more_than_there_are_learns_of_no_failure() -> None:
    members = list(at_west("a", "b").hub(EAST, WEST).group("g").connections(top=2))

    assert [member.connection_id for member in members] == ["a", "b"]


def test_a_group_that_the_service_does_not_know_is_empty() -> None:
    absent = ServiceResponse(404, {"x-ms-error-code": "Warning.Group.NotExisted"})

    assert list(RecordedService(lambda request: absent).hub().group("g").connections()) == []


@pytest.mark.parametrize("options", [{"page_size": 0}, {"page_size": 201}, {"top": 0}, {"top": True}, {"top": 1.5}])
def test_numbers_out_of_range_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(InvalidName, match="takes a whole number"):
        RecordedService().hub().group("g").connections(**options)
