"""(b) What one negotiate request costs in the process, without a server."""

from flask import Flask

from benchmarks.apps import bearer_token, create_app
from benchmarks.measure import Bound, Row, take_turns
from benchmarks.wsgi import HEADERS, caller

BARE = "bare view, constant dict"
GUARDED = "@login_required view, same dict"


def run() -> list[Row]:
    """Send the browser's request to each hub and to the bare views of the same app, by turns.

    Subject and peer get the very same headers. Only the cookie's requests bring a session.
    """
    app = create_app()
    bearer = {"Authorization": f"Bearer {bearer_token()}"}
    cookie = {"Cookie": session_cookie(app)}
    anonymous = take_turns({"anonymous": caller(app, "/open/negotiate"), BARE: caller(app, "/bare")})
    signed_in = take_turns(
        {"cookie": caller(app, "/cookie/negotiate", headers=cookie), GUARDED: caller(app, "/guarded", headers=cookie)}
    )
    verified = take_turns(
        {"bearer HS256": caller(app, "/bearer/negotiate", headers=bearer), BARE: caller(app, "/bare", headers=bearer)}
    )
    return [
        anonymous.row("anonymous", BARE, Bound(at_most=1.0)),
        signed_in.row("cookie", GUARDED, Bound(at_most=1.1)),
        verified.row("bearer HS256", BARE, Bound(at_most=1.75)),
    ]


def session_cookie(app: Flask) -> str:
    """Return the Cookie header of the browser in which a user has signed in through Flask-Login.

    It must be the very browser: Flask-Login's session protection looks at its name.
    """
    response = app.test_client().post("/sign-in", headers={"User-Agent": HEADERS["User-Agent"]})
    cookies = response.headers.getlist("Set-Cookie")
    return "; ".join(cookie.partition(";")[0] for cookie in cookies)
