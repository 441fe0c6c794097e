"""Distinguished names: read as directories write them, compared as directories compare."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_signalr.auth.distinguished_name import DistinguishedName, UnreadableName, common_name
from tests.slapd import escaped

# Source of those with "Steve", "Jim Smith", "Before" and "Lu": RFC 4514 §4, examples.
COMMON_NAMES = {
    "plain": ("cn=staff,ou=groups,dc=example", "staff"),
    "case of the type": ("CN=Domain Admins,CN=Users,DC=example", "Domain Admins"),
    "escaped comma": (r"CN=Smith\, John,OU=people,DC=example", "Smith, John"),
    "escaped bytes": (r"cn=Before\0dAfter,dc=example,dc=net", "Before\rAfter"),
    "escaped letters": (r"CN=Lu\C4\8Di\C4\87", "Lučić"),
    "all that is escaped": (r"cn=\"a\+b\;c\<d\>e\\f\=g\",dc=example", '"a+b;c<d>e\\f=g"'),
    "blanks at both ends": (r"cn=\ a \ ,dc=example", " a  "),
    "leading sharp": (r"cn=\#1,dc=example", "#1"),
    "several values": ("OU=Sales+CN=J.  Smith,DC=example,DC=net", "J.  Smith"),
    "blanks around": ("cn = staff , ou = groups", "staff"),
    "not named by it": ("ou=staff,cn=groups,dc=example", None),
    "not ASCII": ("cn=réunion,dc=example", "réunion"),
    "conflict object": (r"CN=staff\0ACNF:6a2c,DC=example", "staff\nCNF:6a2c"),
}
UNREADABLE = {
    "empty": "",
    "no type": "=staff",
    "no equals sign": "staff",
    "no value type": "cn=staff,",
    "unescaped quote": 'cn="staff",dc=example',
    "escape at the end": "cn=staff\\",
    "half an escape": r"cn=staff\a,dc=example",
    "not UTF-8": r"cn=\ff\fe,dc=example",
    "another separator": "cn=staff;dc=example",
    "null": "cn=st\0aff",
}


@pytest.mark.parametrize(("text", "name"), COMMON_NAMES.values(), ids=COMMON_NAMES)
def test_the_common_name_is_what_the_directory_wrote_without_its_escapes(text: str, name: str | None) -> None:
    assert common_name(text) == name


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(UnreadableName):
        DistinguishedName.parse(text)


@pytest.mark.parametrize(
    "other",
    ["CN=Staff,OU=Groups", "cn = staff , ou = groups", r"cn=\73taff,ou=groups", "cn= staff ,ou=groups"],
)
def test_case_blanks_and_escapes_make_no_difference(other: str) -> None:
    assert DistinguishedName.parse(other) == DistinguishedName.parse("cn=staff,ou=groups")


@pytest.mark.parametrize(
    ("text", "is_below"),
    [
        ("cn=staff,ou=groups,dc=example", True),
        ("cn=staff,ou=chat,ou=groups,dc=example", True),
        ("OU=Groups,DC=Example", True),
        ("dc=example", False),
        ("cn=staff,ou=elsewhere,dc=example", False),
        ("ou=groups,dc=example,dc=org", False),
        (r"cn=staff\,ou=groups\,dc=example", False),
        (r"cn=x\,ou=groups,dc=example", False),
    ],
)
def test_only_the_subtree_is_below(text: str, is_below: bool) -> None:
    """An escaped comma is a part of a name: whoever names a group does not choose where it lies."""
    assert DistinguishedName.parse(text).is_below(DistinguishedName.parse("ou=groups,dc=example")) is is_below


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_every_name_survives_being_escaped(name: str) -> None:
    assert common_name(f"cn={escaped(name)},dc=example") == name


@given(st.text(alphabet=[*'cnou=,+\\"<>; #0aFé\0']))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        name = DistinguishedName.parse(text)
    except UnreadableName:
        return

    assert all(name.parts)
