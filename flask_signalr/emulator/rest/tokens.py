"""REST calls that ask for a client's access token (``:generateToken``), or for a key to sign them (``accessKey``)."""

from urllib.parse import quote

from flask_signalr.emulator.rest.call import RestCall
from flask_signalr.emulator.rest.parameters import read_number
from flask_signalr.emulator.rest.response import RestResponse, json_response
from flask_signalr.errors import BadRequest, InvalidName
from flask_signalr.names import check_new_user_id
from flask_signalr.tokens import SigningKey, sign_access_token

_DEFAULT_MINUTES = 60


def generate_token(call: RestCall) -> RestResponse:
    """Return a token that opens the hub, as the user of the query or as nobody.

    Raises:
        BadRequest: The user id is none that other calls can name.
    """
    user_id = call.request.single("userId")
    if user_id:
        try:
            check_new_user_id(user_id)
        except InvalidName as exc:
            raise BadRequest(f"Invalid value of 'userId': {exc}.") from exc
    minutes = read_number(call.request, "minutesToExpire", 1) or _DEFAULT_MINUTES
    token = sign_access_token(
        SigningKey(next(iter(call.service.access_keys))),
        f"{call.settings.url}/client/?hub={quote(call.hub)}",
        [("asrs.s.uid", user_id)] if user_id else [],
        lifetime=minutes * 60,
        now=int(call.unix_now),
    )
    return json_response(200, {"token": token}, {"Cache-Control": "no-store"})


def exchange_key(call: RestCall) -> RestResponse:
    """Return a key that signs tokens in place of an access key, and the id that these name in ``kid``."""
    key = call.service.exchanged_keys.hand_out(call.unix_now)
    return json_response(200, {"KeyId": key.key_id, "AccessKey": key.access_key}, {"Cache-Control": "no-store"})
