"""Connections to a real directory: who is believed, what is kept open, and what happens when nobody answers."""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from flask_signalr.auth.ldap_connections import MAX_BYTES, LdapConnections
from flask_signalr.auth.ldap_directory import LdapDirectory
from flask_signalr.auth.ldap_search import Entry, Search, TooManyEntries, equals
from flask_signalr.errors import Unavailable
from tests.emulated import Clock
from tests.slapd import ELSEWHERE, LONGEST_WAIT, PEOPLE, READER, READER_PASSWORD, SUFFIX, Slapd

READERS_ENTRY = Search(SUFFIX, equals("cn", "reader"), 1)
IMPATIENT = 0.2
"""Seconds after which an answer that will never come is given up."""

Connect = Callable[..., LdapConnections]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Return what opens the connections to a directory, which are closed when the test is over."""
    made: list[LdapConnections] = []

    def connections(urls: Any, password: str = READER_PASSWORD, **options: Any) -> LdapConnections:
        options = {"timeout": LONGEST_WAIT} | options
        made.append(LdapConnections(LdapDirectory(urls, READER, password, **options)))
        return made[-1]

    yield connections
    for opened in made:
        opened.close()


def found(connections: LdapConnections, search: Search = READERS_ENTRY, seconds: float = LONGEST_WAIT) -> list[str]:
    """Return the names of what is found."""
    directory = connections._directory
    return [entry.dn for entry in connections.search(search, directory.clock() + min(seconds, directory.timeout))]


@pytest.fixture
def silent_url() -> Iterator[Callable[[str], str]]:
    """Return the URL of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield lambda scheme: f"{scheme}://127.0.0.1:{listening.getsockname()[1]}"


# Who is believed.


@pytest.mark.parametrize("options", [{}, {"start_tls": True}], ids=str)
def test_tls_connections_check_the_certificate(
    directory_server: Slapd, connect: Connect, options: dict[str, Any]
) -> None:
    url = directory_server.url if options else directory_server.tls_url

    assert found(connect(url, ca_certificates=directory_server.ca_certificates, **options)) == [READER]


@pytest.mark.parametrize("options", [{}, {"start_tls": True}], ids=str)
def test_an_impostor_with_a_certificate_of_its_own_gets_no_password(
    own_directory_server: Slapd, connect: Connect, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Attack: whoever can answer in the directory's place collects its readers' passwords and hands out roles."""
    url = own_directory_server.url if options else own_directory_server.tls_url

    with pytest.raises(Unavailable):
        found(connect(url, **options))

    own_directory_server.stop()
    assert "CERTIFICATE_VERIFY_FAILED" in caplog.text
    assert f'BIND dn="{READER}"' not in own_directory_server.log


@pytest.mark.usefixtures("directory_server")
@pytest.mark.parametrize("options", [{}, {"start_tls": True}], ids=str)
def test_a_certificate_for_another_name_is_refused(
    tmp_path: Path, connect: Connect, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Attack: any machine of the intranet has a certificate of the same authority, for itself."""
    with Slapd(tmp_path, ["other.intranet.example"]) as other, pytest.raises(Unavailable):
        found(connect(other.url if options else other.tls_url, ca_certificates=other.ca_certificates, **options))

    assert "certificate is not valid for" in caplog.text
    assert f'BIND dn="{READER}"' not in other.log


@pytest.mark.usefixtures("directory_server")
def test_a_server_that_denies_to_know_tls_gets_no_password(
    tmp_path: Path, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """Attack: somebody on the way answers StartTLS with "I cannot", to read on."""
    with Slapd(tmp_path, []) as downgraded, pytest.raises(Unavailable):
        found(connect(downgraded.url, start_tls=True))

    assert "startTLS failed" in caplog.text
    assert f'BIND dn="{READER}"' not in downgraded.log


@pytest.mark.parametrize(
    ("base", "said"),
    [(SUFFIX, ""), (f"ou=link,{SUFFIX}", "refuses to search 'ou=link,dc=intranet,dc=example': referral")],
    ids=["a part of the answer", "the whole answer"],
)
def test_a_referral_does_not_lead_the_password_to_another_server(
    own_directory_server: Slapd,
    tmp_path: Path,
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
    base: str,
    said: str,
) -> None:
    """Attack: whoever may write an entry of the directory has it refer to a server of their own.

    There the reader's password would be told to them, and they would have an account for every name.
    """
    (tmp_path / "mallory").mkdir()
    with Slapd(tmp_path / "mallory") as mallory:
        mallory.add(f"cn=ada,{ELSEWHERE}", {"objectClass": "person", "cn": "ada", "sn": "ada"})
        own_directory_server.add(
            f"ou=link,{SUFFIX}",
            {"objectClass": ["referral", "extensibleObject"], "ref": f"{mallory.url}/{ELSEWHERE}"},
        )
        names = []

        try:
            names = found(connect(own_directory_server.url), Search(base, equals("cn", "ada"), 1))
        except Unavailable:
            assert said

    assert names == []
    assert said in caplog.text
    assert f'BIND dn="{READER}"' not in mallory.log
    assert "(cn=ada)" not in mallory.log


def test_a_wrong_password_is_told_to_the_log_alone(
    directory_server: Slapd, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    with pytest.raises(Unavailable) as refusal:
        found(connect(directory_server.url, "correct horse"))

    assert "it refuses the service account: invalidCredentials" in caplog.text
    assert "horse" not in caplog.text + repr(refusal.value)
    assert READER not in str(refusal.value)


def test_nobody_in_particular_may_ask_too(own_directory_server: Slapd) -> None:
    """Some directories let everybody read; this one hides all from them."""
    anonymous = LdapConnections(LdapDirectory(own_directory_server.url, timeout=LONGEST_WAIT))

    with pytest.raises(Unavailable):
        found(anonymous)

    anonymous.close()
    own_directory_server.stop()
    assert 'BIND dn="" method=128' in own_directory_server.log


# What is kept open.


def test_a_connection_is_used_again(own_directory_server: Slapd, connect: Connect) -> None:
    connections = connect(own_directory_server.url)

    for _ in range(3):
        found(connections)

    own_directory_server.stop()
    assert own_directory_server.log.count(f'BIND dn="{READER}" mech=SIMPLE') == 1


def test_a_restart_of_the_server_costs_nobody_a_refusal(own_directory_server: Slapd, connect: Connect) -> None:
    """Directories also close connections that they find idle."""
    connections = connect(own_directory_server.url)
    found(connections)

    own_directory_server.stop()
    own_directory_server.start()

    assert found(connections) == [READER]


def test_no_more_connections_are_open_than_allowed(own_directory_server: Slapd, connect: Connect) -> None:
    """Attack: many sign-ons at once, to take all of the directory's connections."""
    connections = connect(own_directory_server.url, connections=2)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: found(connections), range(40)))

    own_directory_server.stop()
    assert answers == [[READER]] * 40
    assert own_directory_server.log.count(f'BIND dn="{READER}" mech=SIMPLE') <= 2


# When nobody answers.


def test_a_server_that_is_down_is_unavailable(
    own_directory_server: Slapd, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    own_directory_server.stop()

    with pytest.raises(Unavailable) as refusal:
        found(connect(own_directory_server.url))

    assert refusal.value.retry_after == 10
    assert "Connection refused" in caplog.text


def test_a_server_that_is_down_is_tried_once_in_a_while(own_directory_server: Slapd, connect: Connect) -> None:
    """Else each sign-on would wait for it, and as many requests as there are threads would stop the app."""
    clock = Clock()
    connections = connect(own_directory_server.url, clock=clock)
    own_directory_server.stop()
    with pytest.raises(Unavailable):
        found(connections)
    own_directory_server.start()

    clock.now += 7.5
    with pytest.raises(Unavailable) as refusal:
        found(connections)
    clock.now += 2.5

    assert refusal.value.retry_after == 3
    assert found(connections) == [READER]


def test_the_next_server_is_asked(own_directory_server: Slapd, directory_server: Slapd, connect: Connect) -> None:
    own_directory_server.stop()

    assert found(connect([own_directory_server.url, directory_server.url])) == [READER]


def test_a_name_without_an_address_leads_to_the_next_server(
    directory_server: Slapd, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    assert found(connect(["ldaps://directory.invalid", directory_server.url])) == [READER]
    assert "the directory directory.invalid has no address" in caplog.text


def test_the_certificate_is_for_the_name_and_not_for_the_address(
    own_directory_server: Slapd, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """The server's is for 127.0.0.1: its address being right does not make another name right."""
    url = own_directory_server.tls_url.replace("127.0.0.1", "localhost")

    with pytest.raises(Unavailable):
        found(connect(url, ca_certificates=own_directory_server.ca_certificates))

    assert "certificate is not valid for" in caplog.text


@pytest.mark.parametrize(
    ("scheme", "options"), [("ldap", {}), ("ldap", {"start_tls": True}), ("ldaps", {})], ids=["bind", "StartTLS", "TLS"]
)
def test_a_server_that_says_nothing_is_given_up(
    silent_url: Callable[[str], str], connect: Connect, scheme: str, options: dict[str, Any]
) -> None:
    """Whatever it is silent about: an endless wait would cost a thread for each sign-on."""
    connections = connect(silent_url(scheme), timeout=IMPATIENT, **options)

    with pytest.raises(Unavailable):
        found(connections)


def test_a_silent_server_leaves_time_for_the_next(
    silent_url: Callable[[str], str], directory_server: Slapd, connect: Connect
) -> None:
    connections = connect([silent_url("ldap"), directory_server.url], timeout=2)

    assert found(connections) == [READER]


def test_an_open_connection_that_falls_silent_is_given_up(
    own_directory_server: Slapd, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """The time is over then: no other connection is opened, and the server does not count as down."""
    connections = connect(own_directory_server.url, timeout=100 * LONGEST_WAIT)
    found(connections)
    caplog.set_level(logging.INFO)

    with ThreadPoolExecutor(1) as threads, own_directory_server.paused():
        given_up = threads.submit(found, connections, seconds=IMPATIENT)
        with pytest.raises(Unavailable):
            given_up.result(LONGEST_WAIT)

    assert "timed out" in caplog.text
    assert found(connections) == [READER]


def test_with_a_connection_that_falls_silent_the_others_are_given_up_too(
    own_directory_server: Slapd, connect: Connect
) -> None:
    """A firewall forgets them all at the same time, and each would cost somebody a refusal."""
    connections = connect(own_directory_server.url, connections=2)
    with ThreadPoolExecutor(2) as threads, own_directory_server.paused():
        for _ in range(2):
            threads.submit(found, connections)
        while connections._slots._value:  # until both have opened a connection each
            threading.Event().wait(0.001)

    with own_directory_server.paused(), pytest.raises(Unavailable):
        found(connections, seconds=IMPATIENT)
    found(connections)

    own_directory_server.stop()
    assert own_directory_server.log.count(f'BIND dn="{READER}" mech=SIMPLE') == 3


def test_whoever_finds_all_connections_busy_waits_no_longer_than_an_answer_may_take(
    own_directory_server: Slapd, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """Attack: a few slow questions must not hold all threads."""
    connections = connect(own_directory_server.url, connections=1)
    found(connections)

    with ThreadPoolExecutor(1) as threads, own_directory_server.paused():
        slow = threads.submit(found, connections)
        while connections._idle:  # until it has the connection
            threading.Event().wait(0.001)
        with pytest.raises(Unavailable):
            found(connections, seconds=IMPATIENT)
        was_busy = not slow.done()

    assert was_busy
    assert "all 1 connections to the directory are busy" in caplog.text
    assert slow.result(LONGEST_WAIT) == [READER]


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x30\x05\x02\x01\x01\x61\x00", b"\xff" * 64, b"\x30\x84\x7f", b""],
    ids=["HTTP", "empty bind response", "noise", "cut short", "closed"],
)
def test_what_is_no_ldap_is_no_answer(connect: Connect, answer: bytes) -> None:
    """Not a 500: the port may be another program's."""
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as threads:
        threads.submit(_answer_once, listening, answer)

        with pytest.raises(Unavailable):
            found(connect(f"ldap://127.0.0.1:{listening.getsockname()[1]}"))


def _answer_once(listening: socket.socket, answer: bytes) -> None:
    connection, _ = listening.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(answer)


MESSAGE_ID = bytes.fromhex("020101")
BOUND = b"\x30\x0c" + MESSAGE_ID + bytes.fromhex("61070a010004000400")
"""The answer to a request that binds: success."""

AN_ANSWER_OF_2_GIB = b"\x30\x84\x7f\xff\xff\xff"
A_TLS_RECORD = b"\x16\x03\x03\x40\x00"


@pytest.fixture
def going_on() -> Iterator[Callable[..., str]]:
    """Return the URL of a server that gives one answer after the other, and more and more of the last one."""
    is_over, listening = threading.Event(), socket.create_server(("127.0.0.1", 0))

    def serve(answers: tuple[bytes, ...], more: bytes, times: int) -> None:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            for answer in answers:
                asked = connection.recv(4096)
                connection.sendall(answer.replace(MESSAGE_ID, asked[2:5]))
            for _ in range(times):
                connection.sendall(more)
                if is_over.wait(IMPATIENT / 10):
                    return

    def url(scheme: str, *answers: bytes, more: bytes = b"\0", times: int = 100) -> str:
        threads.submit(serve, answers, more, times)
        return f"{scheme}://127.0.0.1:{listening.getsockname()[1]}"

    with listening, ThreadPoolExecutor(1) as threads:
        yield url
        is_over.set()


@pytest.mark.parametrize(
    ("scheme", "options", "answers"),
    [
        ("ldap", {}, [AN_ANSWER_OF_2_GIB]),
        ("ldap", {"start_tls": True}, [AN_ANSWER_OF_2_GIB]),
        ("ldaps", {}, [A_TLS_RECORD]),
        ("ldap", {}, [BOUND, AN_ANSWER_OF_2_GIB]),
    ],
    ids=["bind", "StartTLS", "TLS", "search"],
)
def test_a_server_that_drips_its_answer_is_given_up(
    going_on: Callable[..., str],
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
    scheme: str,
    options: dict[str, Any],
    answers: list[bytes],
) -> None:
    """Attack: a byte comes again and again in time, of an answer without an end. Each sign-on would cost a thread."""
    connections = connect(going_on(scheme, *answers), timeout=IMPATIENT, **options)

    with pytest.raises(Unavailable):
        found(connections)

    assert "its time is over" in caplog.text or "timed out" in caplog.text


@pytest.mark.parametrize("answers", [[AN_ANSWER_OF_2_GIB], [BOUND, AN_ANSWER_OF_2_GIB]], ids=["bind", "search"])
def test_an_answer_without_an_end_is_not_read_to_it(
    going_on: Callable[..., str], connect: Connect, caplog: pytest.LogCaptureFixture, answers: list[bytes]
) -> None:
    """Attack: whoever answers in the directory's place fills the memory of the app."""
    connections = connect(going_on("ldap", *answers, more=bytes(MAX_BYTES), times=2))

    with pytest.raises(Unavailable):
        found(connections)

    assert f"it says more than {MAX_BYTES} bytes" in caplog.text


# What is found.


def test_attributes_are_found_by_their_names(directory_server: Slapd, connect: Connect) -> None:
    directory_server.add_person("Zoë", sAMAccountName="zoë")
    connections = connect(directory_server.url)
    search = Search(PEOPLE, equals("sAMAccountName", "zoë"), 1, ("SAMACCOUNTNAME", "memberOf"))

    [entry] = connections.search(search, connections._directory.clock() + LONGEST_WAIT)

    assert entry == Entry(f"cn=Zoë,{PEOPLE}", {"samaccountname": ("zoë",)})


def test_more_entries_than_asked_for_are_not_cut_off(directory_server: Slapd, connect: Connect) -> None:
    """Some of the groups are not all of the groups."""
    connections = connect(directory_server.url)

    with pytest.raises(TooManyEntries):
        found(connections, Search(SUFFIX, "(objectClass=organizationalUnit)", 2))

    assert len(found(connections, Search(SUFFIX, "(objectClass=organizationalUnit)", 3))) == 3


def test_a_question_that_the_server_refuses_is_told_to_the_log(
    directory_server: Slapd, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    connections = connect(directory_server.url)

    with pytest.raises(Unavailable):
        found(connections, Search(f"ou=nowhere,{SUFFIX}", equals("cn", "reader"), 1))

    assert "the directory refuses to search 'ou=nowhere,dc=intranet,dc=example': noSuchObject" in caplog.text
