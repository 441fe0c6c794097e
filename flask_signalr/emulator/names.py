"""The names that the data-plane REST API accepts, and what it says to the others.

Source: Azure/azure-signalr:docs/swagger/V20220601.json, and
Azure/azure-signalr:src/Microsoft.Azure.SignalR.Emulator/Common/ErrorMessages.cs for the rules in words.
"""

import re

from flask_signalr.errors import BadRequest
from flask_signalr.names import HUB_NAME_LETTERS, HUB_NAME_PATTERN

NOT_BLANK = r"[^\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
"""A character that .NET does not take for white space, as a regular expression: ``str.strip`` takes more."""

_NAME = re.compile(HUB_NAME_PATTERN)
_PREFIXED_NAME = re.compile(rf"[A-Za-z]{HUB_NAME_LETTERS}{{0,256}}")
_RULE = "between 1 and 128 characters, the first of them a letter, the others letters, digits or any of _ ` , . [ ]"


def hub_name(hub: str, application: str | None = None) -> str:
    """Return the hub's name inside the service: lower case, behind the name of the application that owns it.

    Raises:
        BadRequest: Either is no valid name.
    """
    if not _NAME.fullmatch(hub):
        raise BadRequest(f"Invalid hub name. It must have {_RULE}.")
    if application is None:
        return hub.lower()
    if not _NAME.fullmatch(application):
        raise BadRequest(f"Invalid value of 'application'. It must have {_RULE}.")
    return f"{application}_{hub}".lower()


def client_hub_name(hub: str) -> str:
    """Return the hub that a client names in its URL, where the application's name is part of it.

    Raises:
        BadRequest: It is no valid name.
    """
    if not _PREFIXED_NAME.fullmatch(hub):
        raise BadRequest(f"Invalid hub name. It must have {_RULE}.")
    return hub.lower()


def group_name(group: str) -> str:
    """Return the group's name.

    Raises:
        BadRequest: It is too long or nothing but white space.
    """
    if len(group) > 1024 or not re.search(NOT_BLANK, group):
        raise BadRequest("Invalid group name. It must have between 1 and 1024 characters that are not all blanks.")
    return group
