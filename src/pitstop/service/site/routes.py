"""The addresses of the pages. Every state of a page is in its address, so every state can be sent to somebody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pitstop.errors import PitstopError
from pitstop.service.auth.actor import ROLES
from pitstop.service.auth.rules import requires
from pitstop.service.site import actions, downloads, model_pages, today
from pitstop.service.site.rendering import CLOCKS, THEMES, page
from pitstop.service.site.shown import Site, Submit
from pitstop.service.workspace import Workspace

Endpoint = Callable[[Site, Request], Response]
COMPRESSED = Middleware(GZipMiddleware, minimum_size=500, compresslevel=6)
YEAR = 365 * 86_400


def site_routes(workspace: Workspace, submit: Submit) -> list[Route]:
    """Return the routes of all pages, of their forms, and of the static files; `submit` takes jobs."""
    site = Site(workspace, submit)

    def of(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        @wraps(endpoint)  # keeps the roles that the endpoint asks for
        async def answer(request: Request) -> Response:
            if request.method == "POST":
                request.state.form = await request.form()
            try:
                # A page reads files and databases: in a thread, so that rows go on coming in meanwhile.
                return await run_in_threadpool(endpoint, site, request)
            except HTTPException as error:
                return page(request, "failed.html", error.status_code, message=error.detail)
            except PitstopError as error:
                return page(request, "failed.html", 409, message=str(error))

        return answer

    one = "/models/{model}"
    incident = one + "/incidents/{incident}"
    routes = [
        Route("/", of(today.today)),
        Route("/incidents", of(today.incident_list)),
        Route("/search", of(today.search)),
        Route("/preferences", prefer, methods=["POST"]),
        Route(one, of(model_pages.model_page)),
        Route(one + "/", model_pages.to_model),
        Route(one + "/incidents", of(today.incident_list)),
        Route(incident, of(model_pages.incident_page)),
        Route(incident + "/to-label.csv", of(downloads.to_label)),
        Route(one + "/releases", of(model_pages.releases_page)),
        Route(one + "/value", of(model_pages.value_page)),
        Route(one + "/evidence", of(model_pages.evidence_page)),
        Route(one + "/jobs/{job}", of(actions.job_state)),
        Route(one + "/charts/days.json", of(downloads.days)),
        Route(one + "/charts/{name:path}", of(downloads.chart)),
        Route("/static/{digest}/{name}", downloads.static),
        *(Route(incident + f"/{name}", of(act), methods=["POST"]) for name, act in actions.ON_INCIDENTS.items()),
        *(Route(one + f"/orders/{name}", of(act), methods=["POST"]) for name, act in actions.ORDERS.items()),
        *(Route(one + f"/evidence/{name}", of(act), methods=["POST"]) for name, act in actions.ON_EVIDENCE.items()),
    ]
    # Tables compress to a tenth. Nothing secret stands on a page beside what somebody else chose (BREACH).
    return [Route(item.path, item.endpoint, methods=item.methods, middleware=[COMPRESSED]) for item in routes]


@requires(*ROLES)
async def prefer(request: Request) -> Response:
    """Keep what a visitor prefers in cookies, and lead back to where they were."""
    form = await request.form()
    there = str(form.get("here", "/"))
    # Only back into these pages, never to another site.
    there = there if there.startswith("/") and not there.startswith(("//", "/\\")) else "/"
    answer = RedirectResponse(there, 303)
    for name, known in (("theme", THEMES), ("clock", CLOCKS)):
        if form.get(name) in known:
            answer.set_cookie(name, str(form[name]), max_age=YEAR, samesite="lax", httponly=False)
    return answer
