"""`/healthz`: the process lives. `/readyz`: it can do its work, or says what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from pitstop.errors import PitstopError
from pitstop.service.workspace import Workspace

State = Literal["ok", "degraded", "failed"]


@dataclass(frozen=True)
class Check:
    """One part's state. `degraded` still answers as ready; `detail` says what is wrong and what to do."""

    name: str
    state: State = "ok"
    detail: str = ""


Checks = Sequence[Callable[[], Check]]


def health_routes(workspace: Workspace, checks: Checks) -> list[Route]:
    """Return both addresses. A check is called in a thread; one that raises a `PitstopError` has failed."""

    async def healthz(request: Request) -> PlainTextResponse:
        del request
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> JSONResponse:
        found = await asyncio.gather(
            *(asyncio.to_thread(_run, check) for check in (lambda: _catalog(workspace), *checks))
        )
        failed = any(check.state == "failed" for check in found)
        # Anybody may ask; only who is known learns more than yes or no.
        known = request.scope.get("state", {}).get("actor") is not None
        parts = {check.name: {"state": check.state, "detail": check.detail} for check in found} if known else {}
        state = "failed" if failed else "degraded" if any(check.state != "ok" for check in found) else "ok"
        return JSONResponse({"state": state, "parts": parts}, 503 if failed else 200)

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


def _run(check: Callable[[], Check]) -> Check:
    try:
        return check()
    except PitstopError as error:
        return Check(getattr(check, "__name__", "check").strip("_"), "failed", str(error))


def _catalog(workspace: Workspace) -> Check:
    try:
        workspace.models()
    except PitstopError as error:
        return Check("catalog", "failed", str(error))
    return Check("catalog")
