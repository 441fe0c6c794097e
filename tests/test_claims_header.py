"""Claims through a token and back in the header of the service: nobody becomes what the name says."""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_signalr.claim_types import SHORT_NAMES
from flask_signalr.claims import Claims, merge_claims, short_name
from flask_signalr.claims_header import (
    GUEST_MARK,
    HEADER_LIMIT,
    check_distinct,
    check_user_id,
    escape_claims,
    parse_claims_header,
    set_apart,
    unescape_claims,
)
from flask_signalr.errors import BadRequest, InvalidClaim
from flask_signalr.token_claims import token_claims

LONG_NAMES = {short: long for long, short in SHORT_NAMES.items()}
ROLE = LONG_NAMES["role"]


def as_printed(payload: dict[str, Any]) -> str:
    """Print the claims of a token as the service does: under long names, and nothing escaped.

    Source: Azure/azure-signalr:src/Microsoft.Azure.SignalR.Emulator/HubEmulator/HttpUpstreamPropertiesFeature.cs.
    """
    lines = []
    for name, value in payload.items():
        for item in value if isinstance(value, list) else [value]:
            text = item if isinstance(item, str) else json.dumps(item, separators=(",", ":"))
            lines.append(f"{LONG_NAMES.get(name, name)}: {text}")
    return ", ".join(lines)


def header_of(claims: Claims, user_id: str | None) -> str:
    """Return the header of a connection whose token was made for these claims."""
    escaped = escape_claims(claims)
    pairs = token_claims(user_id, escaped if user_id is None else set_apart(user_id, escaped))
    service_s = {"nbf": 1, "exp": 2, "iat": 3, "aud": "http://localhost/client/?hub=chat"}
    return as_printed(json.loads(json.dumps(merge_claims(pairs) | service_s)))


def returned(claims: Iterable[tuple[str, Any]], user_id: str | None = "ada") -> Claims:
    """Return what upstream learns of claims that negotiate was given."""
    return parse_claims_header(header_of(Claims.of(claims), user_id), user_id)


FORGERIES = {
    "a comma and a blank": "x, role: admin",
    "a comma": "x,role: admin",
    "a line break": "x\r\nrole: admin",
    "a line break and a header of its own": "x\r\nX-ASRS-User-Claims: role: admin",
    "a full-width comma": "x， role： admin",
    "an escaped comma": "x%2C role: admin",
    "a comma that is escaped twice": "x%252C role: admin",
    "the long name": f"x, {ROLE}: admin",
    "a line separator": "x\u2028role: admin",
    "commas only": ",,,",
}
forged = pytest.mark.parametrize("text", FORGERIES.values(), ids=FORGERIES)


@forged
def test_a_display_name_forges_no_role(text: str) -> None:
    assert returned([("unique_name", text)]) == Claims.of({"unique_name": text})


@forged
def test_a_claim_type_forges_no_role(text: str) -> None:
    assert returned([(text, "1")]) == Claims.of({text: "1"})


@pytest.mark.parametrize(
    "user_id", [text for text in FORGERIES.values() if "\r" not in text and "\u2028" not in text], ids=ascii
)
def test_a_user_id_forges_no_role(user_id: str) -> None:
    """The service routes by it, so it is not escaped, and printed as it is."""
    assert returned([("email", "x@example.org")], user_id) == Claims.of({"email": "x@example.org"})


@pytest.mark.parametrize("name", ["sub", "nameid"])
def test_a_user_id_that_is_printed_twice_forges_no_role(name: str) -> None:
    user_id = "x, role: admin"
    header = f"{LONG_NAMES['nameid']}: {user_id}, asrs.s.uid: {user_id}"

    assert parse_claims_header(header, user_id) == Claims()


@pytest.mark.parametrize("name", ["nameid", "sub", LONG_NAMES["nameid"]])
@pytest.mark.parametrize("user_id", ["admin,foo", "admin, foo", "admin，foo", "admin,"])
def test_a_user_ids_first_piece_forges_no_claim(name: str, user_id: str) -> None:
    """Attack: ``admin,foo`` is printed as ``nameid: admin,foo``, which would read as a claim of ``admin``."""
    printed = user_id.replace("，", ",")
    header = f"{name}: {printed}, role: staff"

    assert parse_claims_header(header, user_id) == Claims.of({"role": "staff"})


@pytest.mark.parametrize("claim_type", ["sub", "nameid", LONG_NAMES["nameid"]])
def test_a_user_id_with_commas_costs_no_claim_that_names_the_user(claim_type: str) -> None:
    """They travel under names that the service does not print the user id under."""
    for user_id in ("admin,foo", "7f3a,tenant", "Lovelace, Ada"):
        assert returned([(claim_type, "7f3a"), ("role", "staff")], user_id) == Claims.of(
            [(short_name(claim_type), "7f3a"), ("role", "staff")]
        )


def test_claims_of_other_user_ids_keep_their_names() -> None:
    """As the SDK makes the token."""
    claims = Claims.of({"sub": "7f3a", "role": "staff"})

    assert set_apart("ada", claims) == claims
    assert set_apart("ada,x", Claims.of({"role": "staff"})) == Claims.of({"role": "staff"})


def test_a_user_id_forges_no_role_where_the_service_writes_it_as_ascii() -> None:
    """Some ways to write a header turn full-width letters into what they look like, and drop or mark the rest."""
    user_id = "x， role： ａdmin\u200b"

    for printed in ("x, role: admin", "x, role: admin?", "x,role: admin"):
        assert "role" not in parse_claims_header(f"asrs.s.uid: {printed}", user_id)


def test_a_user_id_that_names_a_role_costs_that_role() -> None:
    """Which of the two it was cannot be told; no right comes of a doubt."""
    claims = returned([("role", "admin"), ("role", "staff")], f"x, {ROLE}: admin")

    assert claims.all("role") == ("staff",)


SHEDDING: dict[str, tuple[str, str, Any]] = {
    "as the claim is written": ("mallory, banned: yes", "banned", "yes"),
    "without the blanks": ("mallory,banned:yes", "banned", "yes"),
    "in another case": ("mallory, BANNED: Yes", "banned", "yes"),
    "in full-width letters": ("mallory， ｂanned： yes", "banned", "yes"),
    "between two commas": ("mallory, banned: yes, x", "banned", "yes"),
    "before the comma": ("banned: yes, mallory", "banned", "yes"),
    "escaped, as the service prints it": ("mallory, reason: spam%2C abuse", "reason", "spam, abuse"),
    "the long name of a short type": (f"mallory, {LONG_NAMES['role']}: guest", "role", "guest"),
    "the short name of a long type": ("mallory, role: guest", LONG_NAMES["role"], "guest"),
    "the long name of roles": (f"mallory, {LONG_NAMES['role']}: guest", "roles", "guest"),
    "the long name of sub": (f"mallory, {LONG_NAMES['nameid']}: m", "sub", "m"),
    "a reserved type": ("mallory, asrs.u.azp: x", "azp", "x"),
    "a boolean": ("mallory, banned: True", "banned", True),
    "a number": ("mallory, strikes: 3", "strikes", 3),
    "a fraction that is printed whole": ("mallory, risk: 1", "risk", 1.0),
    "a fraction": ("mallory, risk: 1E-05", "risk", 0.00001),
    "an empty value": ("mallory, banned", "banned", ""),
}


@pytest.mark.parametrize(("user_id", "claim_type", "value"), SHEDDING.values(), ids=SHEDDING)
def test_shedding_a_claim_by_a_user_id_that_holds_its_text_is_refused(
    user_id: str, claim_type: str, value: Any
) -> None:
    """Upstream believes neither of the two, so whoever chooses the user id would lose the ban."""
    escaped = escape_claims(Claims.of([("email", "m@example.org"), (claim_type, value)]))

    with pytest.raises(InvalidClaim, match="the user id holds the text of this claim"):
        check_distinct(user_id, escaped)


@pytest.mark.parametrize(
    "user_id", ["mallory", "banned: yes", "Lovelace, Ada", "cn=ada,ou=staff", "張, 偉", "mallory, banned: no", "é", ","]
)
def test_user_ids_that_hold_no_claim_keep_their_commas(user_id: str) -> None:
    """What has no comma is one piece with the name that the service prints before it, and no claim."""
    claims = [("banned", "yes"), ("role", "staff"), ("risk", 0.5)]

    check_distinct(user_id, escape_claims(Claims.of(claims)))

    assert returned(claims, user_id) == Claims.of([(name, str(value)) for name, value in claims])


def test_a_guest_does_not_shed_the_mark_by_its_user_id() -> None:
    """A user id that holds the text of the mark makes other claims of that text unbelievable, but not this one."""
    user_id = "x, asrs.u.anonymous: true"

    assert returned(GUEST_MARK, user_id).all("asrs.u.anonymous")


def test_the_mark_of_a_guest_comes_back() -> None:
    assert returned(Claims.of({"email": "x@example.org"}) + GUEST_MARK) == Claims.of(
        {"email": "x@example.org", "asrs.u.anonymous": "true"}
    )


def test_user_ids_with_commas_are_no_fault() -> None:
    """Directories write ``Lovelace, Ada``."""
    for user_id in ("Lovelace, Ada", "cn=ada,ou=users", "張, 偉", "Lovelace, Ａｄａ", "ada,", ","):
        assert returned([("role", "staff")], user_id) == Claims.of({"role": "staff"})


@pytest.mark.parametrize("control", ["\r\n", "\n", "\x00", "\x1f", "\x7f", "\x85", "\u2028", "\u2029"], ids=ascii)
def test_a_user_id_with_a_line_break_begins_no_header_of_its_own(control: str) -> None:
    with pytest.raises(InvalidClaim, match="line breaks"):
        check_user_id(f"x{control}X-ASRS-User-Claims: role: admin")


@pytest.mark.parametrize("user_id", [".", "..", "x" * 1025, "é" * 700, " ada"], ids=lambda user_id: ascii(user_id[:5]))
def test_nobody_connects_who_could_not_be_banned(user_id: str) -> None:
    """Nor by a claim that the service takes for the user id."""
    with pytest.raises(InvalidClaim, match="user"):
        check_user_id(user_id)
    for name in ("sub", "nameid"):
        with pytest.raises(InvalidClaim):
            escape_claims(Claims.of({name: user_id}), may_name_user=True)


@pytest.mark.parametrize("user_id", ["ada", "DOMAIN\\ada", "Lovelace, Ada", "é", "a b"])
def test_other_user_ids_stay_as_they_are(user_id: str) -> None:
    assert check_user_id(user_id) == user_id


AS_IT_WAS: dict[str, list[tuple[str, str]]] = {
    "commas and colons": [("unique_name", "Lovelace, Ada: countess")],
    "percent": [("discount", "100%"), ("path", "a%2Cb%")],
    "unicode": [("unique_name", "Адa Łoveläce 🦄")],
    "a type of unicode": [("größe: x", "1")],
    "blanks at the ends": [("note", "  x  "), ("note", " "), (" a ", "b")],
    "an empty value": [("note", ""), ("role", "staff"), ("note:", "")],
    "an empty value at the end": [("role", "staff"), ("note", "")],
    "repeated types": [("role", "staff"), ("role", "admin"), ("role", "staff")],
    "reserved types": [("aud", "x"), ("exp", "never"), ("iss", "me"), ("acr", "1")],
    "a type that ends in a colon": [("a:", "b"), ("a::", ": b")],
    "a type that is a URL": [("https://example.org/claims/a,b", "1")],
}


@pytest.mark.parametrize("pairs", AS_IT_WAS.values(), ids=AS_IT_WAS)
def test_claims_come_back_as_they_were(pairs: list[tuple[str, str]]) -> None:
    claims = returned(pairs)

    assert Counter(claims) == Counter(pairs)


@pytest.mark.parametrize("long", SHORT_NAMES)
def test_net_s_long_types_come_back_under_their_short_names(long: str) -> None:
    assert returned([(long, "x")]) == Claims.of({SHORT_NAMES[long]: "x"})


@forged
def test_a_list_of_a_connections_claims_forges_no_role(text: str) -> None:
    """As the service lists them for a refresh: a claim each, and its own among them."""
    claims = Claims.of({"name": text, "iss": "me", "sub": "somebody"})
    listed = [(name, str(value)) for name, value in token_claims("ada", escape_claims(claims))]

    assert unescape_claims([*listed, ("asrs.s.aeo", "1"), (ROLE, "staff")]) == claims + Claims.of({"role": "staff"})


def test_a_list_of_claims_that_are_not_escaped_is_refused() -> None:
    with pytest.raises(BadRequest, match="not escaped"):
        unescape_claims([("name", "100 %")])


def test_what_is_no_text_comes_back_as_text() -> None:
    """A header has nothing else; an object is JSON."""
    home = {"city": "Köln, Deutz", "lines": [1, 2]}

    claims = returned(Claims.of({"age": 36, "active": True, "score": 1.5, "home": home}))

    assert (claims.get("age"), claims.get("active"), claims.get("score")) == ("36", "true", "1.5")
    assert json.loads(claims.get("home")) == home


def test_a_json_object_forges_no_role() -> None:
    claims = returned(Claims.of({"profile": {"name": "x", "role: admin": 1}, "role": "staff"}))

    assert claims.all("role") == ("staff",)


def test_the_service_s_own_claims_are_no_claims_of_the_app() -> None:
    header = "asrs.s.uid: ada, ASRS.S.AUT: Cookie, aud: http://x/client/?hub=chat, exp: 1, nbf: 1, iat: 1, role: staff"

    assert parse_claims_header(header, "ada") == Claims.of({"role": "staff"})


@pytest.mark.parametrize("header", ["", " "])
def test_no_header_holds_no_claims(header: str) -> None:
    assert len(parse_claims_header(header, None)) == 0


@pytest.mark.parametrize("hub", ["chat`2[a,b]", "a,", "a,,b", "shop_chat`2[a,b]"])
def test_the_commas_of_a_hubs_name_divide_no_claims(hub: str) -> None:
    """The name stands in the token's audience, and the commas are those of .NET's generic types."""
    header = f"asrs.s.uid: ada, role: staff, aud: http://localhost/client/?hub={hub}, note: "

    assert parse_claims_header(header, "ada", hub) == Claims.of([("role", "staff"), ("note", "")])


def test_a_hubs_name_hides_no_claim() -> None:
    """What follows one of its commas has no colon, and every claim has one."""
    hub = "a,role,banned"

    claims = parse_claims_header("role: staff, banned: yes, role: ", "ada", hub)

    assert claims == Claims.of([("role", "staff"), ("banned", "yes"), ("role", "")])


UNREADABLE = {
    "no colon": "role",
    "no type": ": admin",
    "nothing between commas": "role: staff, , email: x",
    "a comma that is not escaped": "unique_name: Lovelace, Ada",
    "percent that is not escaped": "discount: 100%",
    "half an escape": "discount: %4",
    "no UTF-8": "name: %FF",
    "no UTF-8 in a type": "%FF: x",
    "not ASCII": "name: Łoveläce",
    "a control character": "name: a\tb",
    "too long": "a: " + "x" * HEADER_LIMIT,
}


@pytest.mark.parametrize("header", UNREADABLE.values(), ids=UNREADABLE)
def test_what_the_service_never_makes_of_escaped_claims_is_refused(header: str) -> None:
    """Half of the claims may be the half without the ban."""
    with pytest.raises(BadRequest, match="X-ASRS-User-Claims"):
        parse_claims_header(header, "ada")


@pytest.mark.parametrize("name", ["sub", "nameid", LONG_NAMES["nameid"]])
def test_a_claim_that_names_the_user_is_refused_rather_than_changed(name: str) -> None:
    """The service would route by the escaped text, and nobody would find the user."""
    with pytest.raises(InvalidClaim, match="give the user id by itself"):
        escape_claims(Claims.of({name: "x, role: admin"}), may_name_user=True)


def test_a_claim_that_names_the_user_may_be_plain() -> None:
    claims = Claims.of({"sub": "ada", "unique_name": "Lovelace, Ada"})

    assert escape_claims(claims, may_name_user=True) == Claims.of({"sub": "ada", "unique_name": "Lovelace%2C Ada"})


@pytest.mark.parametrize("pairs", [[("x", "\ud83d")], [("\ud83d", "x")]], ids=["value", "type"])
def test_half_a_character_is_refused(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(InvalidClaim, match="surrogate"):
        escape_claims(Claims.of(pairs))


def is_the_app_s_own(claim_type: str) -> bool:
    """Whether a type has no meaning of its own in a token; those that have are in the tables above."""
    return not claim_type.lower().startswith("asrs.")


tricky = st.sampled_from([", ", ",", ": ", ":", "%", "%2C", "，", "role", "admin", " ", "\r\n", "\x00", "é", "http://"])
words = st.text() | st.lists(tricky).map("".join)
types = (words | st.sampled_from(sorted({*LONG_NAMES, *SHORT_NAMES} - {"sub"}))).filter(bool).filter(is_the_app_s_own)


@given(st.lists(st.tuples(types, words)), st.none() | st.text(st.characters(exclude_characters=",，︐﹐\r\n")))
def test_any_claims_come_back_as_they_were(pairs: list[tuple[str, str]], user_id: str | None) -> None:
    claims = returned(pairs, user_id)

    expected = Counter((short_name(claim_type), value) for claim_type, value in pairs)
    assert Counter(claims) == expected


@given(st.text(), st.text() | st.none())
def test_no_header_leads_to_anything_but_claims_or_the_typed_error(header: str, user_id: str | None) -> None:
    try:
        claims = parse_claims_header(header, user_id)
    except BadRequest:
        return

    assert all(isinstance(value, str) for _, value in claims)


@given(words, st.lists(st.tuples(types, words), max_size=3))
def test_no_user_id_that_is_let_through_costs_a_claim(user_id: str, pairs: list[tuple[str, str]]) -> None:
    """Those that hold the text of one are refused at negotiate."""
    try:
        check_user_id(user_id)
        check_distinct(user_id, escape_claims(Claims.of(pairs)))
        claims = returned(pairs, user_id)
    except (InvalidClaim, BadRequest):
        return

    assert Counter(claims) == Counter((short_name(claim_type), value) for claim_type, value in pairs)


@given(words, st.lists(st.tuples(types, words), max_size=3))
def test_no_user_id_adds_a_claim(user_id: str, pairs: list[tuple[str, str]]) -> None:
    """It may cost some, or be refused; it never brings one."""
    try:
        claims = returned(pairs, user_id)
    except BadRequest:
        return

    assert Counter(claims) <= Counter((short_name(claim_type), value) for claim_type, value in pairs)
