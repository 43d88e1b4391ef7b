"""The pages on which somebody logs in, and makes the first user."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from pitstop.errors import AccessError
from pitstop.service.auth.credentials import COOKIE, Credentials, now
from pitstop.service.auth.passwords import SHORTEST
from pitstop.service.auth.people import SESSION_MICROSECONDS, People
from pitstop.service.auth.rules import requires
from pitstop.service.auth.throttle import Throttle
from pitstop.service.settings import Settings

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 24rem; margin: 12vh auto; padding: 0 1rem; }
label { display: block; margin: 1rem 0 .25rem; }
input { width: 100%; box-sizing: border-box; font: inherit; padding: .5rem; }
button, .button { margin-top: 1.5rem; font: inherit; padding: .5rem 1rem; min-height: 24px; }
[role=alert] { border-left: 4px solid #b3261e; padding-left: .75rem; }
"""
_PAGE = Environment(autoescape=True).from_string("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ title }} · Pitstop</title><link rel="stylesheet" href="/login/style.css"></head>
<body><main><h1>{{ title }}</h1>
{% if said %}<p>{{ said }}</p>{% endif %}
{% if error %}<p role="alert">{{ error }}</p>{% endif %}
<form method="post" action="{{ action }}">
{% for name, label, kind, filled in fields %}
<label for="{{ name }}">{{ label }}</label>
<input id="{{ name }}" name="{{ name }}" type="{{ kind }}" autocomplete="{{ filled }}" required>
{% endfor %}
{% if next %}<input type="hidden" name="next" value="{{ next }}">{% endif %}
<button type="submit">{{ title }}</button>
</form>
{% if provider %}
<p><a class="button" href="/login/oidc?next={{ next | urlencode }}">Log in with {{ provider }}</a></p>
{% endif %}
</main></body></html>
""")
_LOGIN = [("name", "Name", "text", "username"), ("password", "Password", "password", "current-password")]
_SETUP = [
    ("token", "Token that the service printed when it started", "password", "off"),
    ("name", "Name of the first admin", "text", "username"),
    ("password", f"Password, {SHORTEST} characters or more", "password", "new-password"),
]

Clock = Callable[[], int]


def login_routes(  # noqa: C901 - four addresses that share one throttle
    people: People, credentials: Credentials, settings: Settings, *, provider: str = "", clock: Clock = now
) -> list[Route]:
    """Return the pages; `provider` names the identity provider, if there is one."""
    throttle = Throttle(people.fleet)

    def show(there: str, error: str = "", status: int = 200) -> Response:
        page = {"title": "Log in", "action": "/login", "fields": _LOGIN, "next": there, "provider": provider}
        return HTMLResponse(_PAGE.render(page, error=error), status)

    async def login(request: Request) -> Response:
        if request.method != "POST":
            return show(local_path(request.query_params.get("next", "/")))
        form = await request.form()
        name, password = str(form.get("name", "")), str(form.get("password", ""))
        there = local_path(str(form.get("next", "/")))
        wait = await asyncio.to_thread(throttle.attempt, f"login {name}", clock())
        if wait:
            answer = show(there, f"Too many tries for this name; wait {math.ceil(wait)} s.", 429)
            answer.headers["Retry-After"] = str(math.ceil(wait))
            return answer
        session = await asyncio.to_thread(people.begin, name, password, clock())
        if session is None:
            return show(there, "Name and password do not fit.", 401)
        await asyncio.to_thread(throttle.succeeded, f"login {name}")
        return entered(session, there, settings)

    async def setup(request: Request) -> Response:
        page = {"title": "Make the first user", "action": "/setup", "fields": _SETUP}
        if request.method != "POST":
            return HTMLResponse(_PAGE.render(page))
        form = await request.form()
        wait = await asyncio.to_thread(throttle.attempt, "setup", clock())
        if wait:
            return HTMLResponse(_PAGE.render(page, error=f"Too many tries; wait {math.ceil(wait)} s."), 429)
        given = {key: str(form.get(key, "")) for key in ("token", "name", "password")}
        try:
            await asyncio.to_thread(people.set_up, **given, at=clock())
        except AccessError as error:
            return HTMLResponse(_PAGE.render(page, error=str(error)), 403)
        await asyncio.to_thread(throttle.succeeded, "setup")
        return RedirectResponse("/login", 303)

    @requires("viewer", "data_scientist", "operator", "approver", "auditor")
    async def logout(request: Request) -> Response:
        await asyncio.to_thread(people.end, request.cookies.get(COOKIE, ""))
        credentials.forget()
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE)
        return answer

    async def style(request: Request) -> Response:
        del request
        return Response(_STYLE, media_type="text/css", headers={"cache-control": "max-age=3600"})

    return [
        Route("/login", login, methods=["GET", "POST"]),
        Route("/login/style.css", style),
        Route("/setup", setup, methods=["GET", "POST"]),
        Route("/logout", logout, methods=["POST"]),
    ]


def entered(session: str, there: str, settings: Settings) -> Response:
    """Return the answer that gives a browser its session and sends it on."""
    answer = RedirectResponse(there, 303)
    answer.set_cookie(
        COOKIE, session, SESSION_MICROSECONDS // 1_000_000, httponly=True, secure=settings.secure, samesite="lax"
    )
    return answer


def local_path(given: str) -> str:
    """Return where to go on: an address of this service and of nobody else's, `/` in doubt."""
    plain = given.startswith("/") and not given.startswith(("//", "/\\")) and given.isascii() and given.isprintable()
    return given if plain and "\\" not in given else "/"
