"""The names of hubs, users, groups, connections and streams: which the service can have and a REST call can carry.

A name stands in the path of a call, and the path in the call's token, which has 4096 characters at most.
"""

import re
from urllib.parse import quote

from flask_signalr.error_text import kind_of
from flask_signalr.errors import InvalidName

HUB_NAME_LETTERS = r"[A-Za-z0-9_`,.\[\]]"
"""What comes after the first letter of the name of a hub or an application, as a regular expression."""

HUB_NAME_PATTERN = rf"[A-Za-z]{HUB_NAME_LETTERS}{{0,127}}"
"""What the name of a hub or an application looks like, as a regular expression."""

LONGEST_NAME = 1024
"""Characters of the name of a user, a group or a connection."""

LONGEST_USER_ID = 2048
"""Characters of an escaped user id.

With the longest names of host, hub and application, and the longest operation on a user, a token of HS512 holds this
many: who may connect under an id can be sent to by it, and be cut off.
"""

_HUB_NAME = re.compile(HUB_NAME_PATTERN)
_LONGEST = {"group": LONGEST_NAME, "user": LONGEST_NAME, "connection": LONGEST_NAME, "stream": 100}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Most user ids: more than dots, no blanks at the ends, and short enough if each letter becomes three.
_is_plain = re.compile(r"[!-~][ -~]{1,680}[!-~]").fullmatch


def check_hub_name(hub: object) -> str:
    """Return a hub's name that the service can have.

    Raises:
        InvalidName: It is none.
    """
    if not isinstance(hub, str) or not _HUB_NAME.fullmatch(hub):
        raise InvalidName(
            f"{hub!r} is no hub name: a letter first, then letters, digits and _`,.[] up to 128 characters"
        )
    return hub


def check_new_user_id(user_id: str) -> str:
    """Return a user id under which somebody may connect.

    Raises:
        InvalidName: It has line breaks or other control characters, which could end a header and begin another; or a
            blank at an end, without which it would come back from the service in a header, as somebody else's; or no
            REST call can carry it, so that nobody could send to its connections or close them.
    """
    if not _is_plain(user_id):
        if _CONTROL.search(user_id):
            raise InvalidName("a user id has no line breaks and no other control characters")
        part("user", user_id)
        if user_id.strip(" ") != user_id:
            raise InvalidName("a user id neither begins nor ends with a blank: it is another one than without it")
    return user_id


def part(kind: str, name: object) -> str:
    """Return a user id, or another name, as a part of a path: one that no ``/`` in it can lead elsewhere.

    Args:
        kind: ``group``, ``user``, ``connection`` or ``stream``.
        name: The name.

    Raises:
        InvalidName: The service can have no such name. A server may read ``.`` and ``..`` as steps in the path even
            when they are escaped (RFC 3986 §6.2.2.3), and make of a message to user ``..`` one to everybody.
    """
    if not isinstance(name, str):
        raise InvalidName(f"a {kind} is named by a str, not by {kind_of(name)}")
    if not name or name.isspace() or len(name) > _LONGEST[kind]:
        raise InvalidName(f"a {kind}'s name has 1 to {_LONGEST[kind]} characters, not all of them blanks")
    if name in (".", ".."):
        raise InvalidName(f"a {kind} cannot be named {name!r}, which is a step in a path")
    escaped_name = escaped(name)
    if kind == "user" and len(escaped_name) > LONGEST_USER_ID:
        raise InvalidName(
            f"a user id has up to {LONGEST_USER_ID} characters when it is escaped for a URL, where a letter that is "
            "not ASCII takes 6 to 12: choose a shorter one, or one of ASCII letters"
        )
    return escaped_name


def escaped(text: str) -> str:
    """Return a text as it is written into a URL.

    Raises:
        InvalidName: It has half a character, a lone surrogate.
    """
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise InvalidName("a text with a lone surrogate, half of a character, cannot be written into a URL") from None
