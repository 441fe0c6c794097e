"""Filters: what is in a value stays in the value."""

import re

from hypothesis import given
from hypothesis import strategies as st

from flask_signalr.auth.ldap_search import Entry, any_of, equals


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_value_cannot_inject_a_filter(value: str) -> None:
    """Attack: a name such as ``*)(cn=*`` that means more than itself (RFC 4515 §3)."""
    match = re.fullmatch(r"\(uid=((?:[A-Za-z0-9]|\\[0-9a-f]{2})*)\)", equals("uid", value))

    assert match
    assert re.sub(rb"\\(..)", lambda escape: bytes.fromhex(escape[1].decode()), match[1].encode()).decode() == value


def test_filters_are_joined() -> None:
    assert any_of([equals("member", "cn=a"), equals("member", "cn=b")]) == r"(|(member=cn\3da)(member=cn\3db))"


def test_the_case_of_an_attribute_makes_no_difference() -> None:
    entry = Entry("cn=a", {"memberof": ("cn=staff",)})

    assert entry.values("memberOf") == ("cn=staff",)
    assert entry.values("cn") == ()
