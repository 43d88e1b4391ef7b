"""The service as one ASGI application: the guard outside, then health, API, pages; rows go past the router."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from pitstop.errors import AccessError, PitstopError
from pitstop.service.api.openapi import document
from pitstop.service.api.operation import Service, routes_of
from pitstop.service.api.table import OPERATIONS
from pitstop.service.auth.guard import App, Authenticator, Guard
from pitstop.service.auth.local import LocalUser
from pitstop.service.health import Checks, health_routes
from pitstop.service.metrics import Timed, metrics_routes
from pitstop.service.problems import problem, problem_of
from pitstop.service.settings import Settings
from pitstop.service.workspace import Workspace


def create_app(
    workspace: Workspace,
    settings: Settings,
    *,
    service: Service | None = None,
    authenticator: Authenticator | None = None,
    pages: Sequence[BaseRoute] = (),
    ingest: App | None = None,
    checks: Checks = (),
) -> Timed:
    """Return the application of a workspace.

    `service` is what the API works with; without it there is none. `pages` are the routes of the web pages, `ingest`
    the application that takes rows in, `checks` what `/readyz` asks besides the catalog. Raises `AccessError` where a
    login is asked for and nobody could check one.
    """
    if authenticator is None and settings.login:
        msg = "a login is asked for, and nothing here can check one"
        raise AccessError(msg)
    api = [] if service is None else [*routes_of(OPERATIONS, service), Route("/openapi.json", _described)]
    timed = Timed()
    inner = Starlette(
        routes=[*health_routes(workspace, checks), *metrics_routes(workspace, timed.registry), *api, *pages],
        exception_handlers={HTTPException: _refused, PitstopError: _failed, Exception: _broken},
    )
    inner.router.redirect_slashes = False
    known = workspace.knows
    timed.inner = Guard(inner, inner.router.routes, authenticator or LocalUser(), settings, known, ingest)
    return timed


async def _described(request: Request) -> Response:
    del request
    return JSONResponse(document(OPERATIONS))


async def _refused(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    return problem(error.status_code, error.detail, error.headers)


async def _failed(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, PitstopError)  # noqa: S101 - registered for it
    return problem_of(error)


async def _broken(request: Request, error: Exception) -> Response:
    """Answer for a fault of ours; what it was stands in the log, and not in the answer."""
    del request, error
    return problem(500, "this is a fault of the service; its log says more")
