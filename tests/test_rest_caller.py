"""Calls at several endpoints, and several calls at a time."""

import threading

import pytest

from flask_signalr import (
    InvalidName,
    PartialFailure,
    RecipientNotFound,
    ServiceClient,
    ServiceEndpoint,
    ServiceError,
    ServiceRequest,
    ServiceResponse,
    ServiceUnreachable,
)
from flask_signalr.rest.worker_threads import CALLS_PER_ENDPOINT
from tests.live import LONGEST_WAIT
from tests.recorded_service import ABSENT, BROKEN, DONE, EAST, WEST, RecordedService, by_host
from tests.rest_hub import call, live_hub, received


async def test_a_message_reaches_the_clients_of_all_endpoints() -> None:
    async with live_hub(2) as hub, await hub.connect("ada", at=0) as ada, await hub.connect("bob", at=1) as bob:
        await call(hub.clients.all.send, "news")
        await call(hub.clients.user("bob").send, "private")

        assert (await received(ada))["target"] == "news"
        assert [(await received(bob))["target"] for _ in range(2)] == ["news", "private"]


async def test_a_group_has_members_at_all_endpoints() -> None:
    async with live_hub(2) as hub, await hub.connect("ada", at=0), await hub.connect("bob", at=1):
        group, ada, bob = hub.clients.group("lobby"), hub.connection_id("ada", 0), hub.connection_id("bob", 1)

        await call(group.add, ada)
        await call(group.add, bob)

        listed = [member.connection_id for member in await call(lambda: list(group.connections()))]
        assert listed == [ada, bob]
        assert len(await call(lambda: list(group.connections(top=1)))) == 1
        assert await call(hub.clients.client(bob).exists)
        assert not await call(hub.clients.client("gone").exists)


@pytest.mark.parametrize(("east", "west"), [(DONE, ABSENT), (ABSENT, DONE), (DONE, BROKEN), (BROKEN, DONE)])
def test_what_one_endpoint_has_exists(east: ServiceResponse, west: ServiceResponse) -> None:
    service = RecordedService(by_host(east=east, west=west))

    assert service.hub(EAST, WEST).client("c").exists()


def test_what_no_endpoint_has_does_not_exist() -> None:
    assert not RecordedService(lambda request: ABSENT).hub(EAST, WEST).client("c").exists()


def test_nothing_is_said_to_be_absent_before_all_were_asked() -> None:
    """Presence would forget the clients of an endpoint that is down for a moment."""
    service = RecordedService(by_host(east=ABSENT, west=BROKEN))

    with pytest.raises(ServiceError, match="connection 'c' at west"):
        service.hub(EAST, WEST).client("c").exists()


@pytest.mark.parametrize("other", [ABSENT, BROKEN])
def test_a_result_comes_from_the_endpoint_that_has_the_client(other: ServiceResponse) -> None:
    service = RecordedService(by_host(east=other, west=ServiceResponse(200, {}, b'{"result": 7}')))

    assert service.hub(EAST, WEST).client("c").invoke("where") == 7


def test_a_client_that_no_endpoint_has_is_not_found() -> None:
    with pytest.raises(RecipientNotFound):
        RecordedService(lambda request: ABSENT).hub(EAST, WEST).client("c").invoke("where")


def test_a_client_may_be_where_no_answer_came_from() -> None:
    service = RecordedService(by_host(east=ABSENT, west=BROKEN))

    with pytest.raises(ServiceError, match="its logs say why") as failure:
        service.hub(EAST, WEST).client("c").invoke("where")

    assert not isinstance(failure.value, RecipientNotFound)


def test_one_endpoints_failure_does_not_keep_the_others_from_their_message() -> None:
    service = RecordedService(by_host(east=BROKEN, west=DONE))

    with pytest.raises(PartialFailure, match="1 of 2 calls failed: everyone at east") as failure:
        service.hub(EAST, WEST).all.send("news")

    assert len(service.requests) == 2
    assert failure.value.status == 500


def knowing(service: RecordedService, down: ServiceEndpoint, timeout: float) -> ServiceClient:
    client = ServiceClient([EAST, WEST], transport=service)
    client.heed(lambda endpoint: endpoint == down, timeout)
    return client


def test_an_endpoint_that_is_known_to_be_down_is_tried_once_and_soon_given_up() -> None:
    """A region that hangs would hold each sender for the timeout of a send, and its worker with it."""
    service = RecordedService(by_host(east=BROKEN, west=DONE))

    with pytest.raises(PartialFailure, match="1 of 2 calls failed: everyone at east"):
        knowing(service, EAST, 2).hub("chat").all.send("news")

    east, west = sorted(service.requests, key=lambda request: request.url)
    assert not east.may_repeat
    assert east.timeout <= 2
    assert west.may_repeat
    assert 2 < west.timeout <= 10


def test_the_only_endpoint_of_a_hub_is_given_up_soon_too() -> None:
    service = RecordedService()

    knowing(service, EAST, 2).hub("chat", [EAST]).all.send("news")

    [request] = service.requests
    assert not request.may_repeat
    assert 1 < request.timeout <= 2


@pytest.mark.parametrize("endpoints", [[EAST], [EAST, WEST]], ids=["alone", "beside another"])
def test_a_call_that_blocks_does_not_hold_the_sender_while_its_endpoint_is_down(
    endpoints: list[ServiceEndpoint],
) -> None:
    """The look-up of a dead region's name knows no time limit."""
    is_over = threading.Event()

    def answer(request: ServiceRequest) -> ServiceResponse:
        if "//east." in request.url:
            is_over.wait(LONGEST_WAIT)
        return DONE

    hub = knowing(RecordedService(answer), EAST, 0.1).hub("chat", endpoints).using(timeout=LONGEST_WAIT)
    try:
        with pytest.raises(ServiceError, match=r"did not answer within 0\.1 s") as failure:
            hub.all.send("news")
        gave_up = not is_over.is_set()
    finally:
        is_over.set()

    assert gave_up
    errors = getattr(failure.value, "failures", {"": failure.value}).values()
    assert [getattr(error, "may_have_arrived", None) for error in errors] == [True]


def test_calls_that_wait_behind_one_that_blocks_are_given_up_with_it() -> None:
    is_over = threading.Event()
    users = [f"u{number}" for number in range(20)]

    def answer(request: ServiceRequest) -> ServiceResponse:
        if "//east." in request.url:
            is_over.wait(LONGEST_WAIT)
        return DONE

    hub = knowing(RecordedService(answer), EAST, 0.1).hub("chat").using(timeout=LONGEST_WAIT)
    try:
        with pytest.raises(PartialFailure) as failure:
            hub.users(*users).send("news")
    finally:
        is_over.set()

    assert set(failure.value.failures) == {f"user {user!r} at east" for user in users}
    arrived = [getattr(error, "may_have_arrived", None) for error in failure.value.failures.values()]
    assert arrived.count(True) == CALLS_PER_ENDPOINT
    assert arrived.count(False) == len(users) - CALLS_PER_ENDPOINT


def test_many_calls_to_an_endpoint_that_is_down_take_no_longer_than_one() -> None:
    """Each of them would wait in turn, when there are more than threads."""
    service = RecordedService(by_host(east=DONE, west=DONE))

    with pytest.raises(PartialFailure) as failure:
        knowing(service, EAST, 0).hub("chat").users("ada", "bob").send("news")

    assert set(failure.value.failures) == {"user 'ada' at east", "user 'bob' at east"}
    assert "was not asked within 0 s" in str(failure.value.failures["user 'ada' at east"])
    assert {request.url.partition(".")[0] for request in service.requests} == {"https://west"}


def test_one_users_failure_does_not_keep_the_others_from_their_message() -> None:
    def answer(request: ServiceRequest) -> ServiceResponse:
        if "/users/u3/" in request.url:
            raise ServiceUnreachable("no answer", method=request.method, path="/")
        return BROKEN if "/users/u7/" in request.url else DONE

    service = RecordedService(answer)

    with pytest.raises(PartialFailure) as failure:
        service.hub().users(*(f"u{number}" for number in range(20))).send("news")

    assert len(service.requests) == 20
    assert set(failure.value.failures) == {"user 'u3'", "user 'u7'"}
    assert isinstance(failure.value.failures["user 'u3'"], ServiceUnreachable)


@pytest.mark.parametrize("kind", ["users", "groups"])
@pytest.mark.parametrize("endpoints", [(EAST,), (EAST, WEST)], ids=["one endpoint", "two endpoints"])
def test_a_name_that_no_call_can_carry_keeps_nobody_else_from_their_message(
    kind: str, endpoints: tuple[ServiceEndpoint, ...]
) -> None:
    """Denial of service: one member with an odd name would cut off all the others."""
    service = RecordedService()

    with pytest.raises(PartialFailure) as failure:
        getattr(service.hub(*endpoints), kind)("ada", "..", "x" * 10_000, "bob").send("news")

    assert len(service.requests) == 2 * len(endpoints)
    refused = list(failure.value.failures.values())
    assert [type(error) for error in refused] == [InvalidName, InvalidName]
    assert f"{kind[:-1]} '..'" in failure.value.failures
    assert len(str(failure.value)) < 1000


def test_a_name_that_no_token_can_hold_keeps_nobody_else_from_their_message() -> None:
    service = RecordedService()

    with pytest.raises(PartialFailure) as failure:
        service.hub().groups("a", "é" * 1000, "b").send("news")

    assert len(service.requests) == 2
    assert [type(error) for error in failure.value.failures.values()] == [InvalidName]


def test_who_is_closed_besides_somebody_without_a_proper_name_is_closed() -> None:
    service = RecordedService()

    with pytest.raises(PartialFailure):
        service.hub().users("..", "ada").close("bye")

    assert len(service.requests) == 1


def test_the_only_recipients_odd_name_is_told_as_it_is() -> None:
    with pytest.raises(InvalidName, match="step in a path"):
        RecordedService().hub().users("..").send("news")


def test_a_single_failure_is_raised_as_it_is() -> None:
    with pytest.raises(ServiceError) as failure:
        RecordedService(lambda request: BROKEN).hub().user("ada").send("news")

    assert type(failure.value) is ServiceError


def test_whoever_is_named_twice_is_told_once() -> None:
    service = RecordedService()

    service.hub().users("ada", "ada").send("news")

    assert len(service.requests) == 1


def test_to_nobody_nothing_is_sent() -> None:
    service = RecordedService()

    service.hub().users().send("news")

    assert not service.requests
