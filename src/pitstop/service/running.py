"""`pitstop up`: puts together what answers requests, keeps a worker beside it, and serves until it is told to stop.

Nothing but answering happens in this process, so that nothing else takes its time.
"""

from __future__ import annotations

import gc
import json
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn

from pitstop.errors import PitstopError, StoreError
from pitstop.service.api.operation import Service
from pitstop.service.app import create_app
from pitstop.service.auth.credentials import Credentials, now
from pitstop.service.auth.forms import login_routes
from pitstop.service.auth.keys import Keys
from pitstop.service.auth.oidc import Provider, oidc_routes
from pitstop.service.auth.people import People
from pitstop.service.health import Check
from pitstop.service.ingest.intake import ServiceIntake
from pitstop.service.jobs.asking import Asking
from pitstop.service.jobs.workers import Workers
from pitstop.service.kept import KeptProcess
from pitstop.service.notify.courier import notice
from pitstop.service.settings import USUAL_PORT, Settings, Work
from pitstop.service.site.refreshing import refresh
from pitstop.service.site.routes import site_routes
from pitstop.service.tracing import tracing
from pitstop.service.workspace import Workspace

# A client that sends nothing must not hold a connection for ever.
KEEP_ALIVE_SECONDS = 30
CONNECTIONS = 2_000


def serve(
    workspace: Workspace, settings: Settings, say: Callable[[str], None], provider: Provider | None = None
) -> None:
    """Serve until Ctrl-C or SIGTERM; `say` is given sentences for whoever started it, `provider` is who logs people in.

    Raises `StoreError` where the port is taken.
    """
    listening = _listen(settings)
    host, port = listening.getsockname()[:2]
    people, keys = People(workspace.fleet), Keys(workspace.fleet)
    credentials = Credentials(people, keys, open_to_local=not settings.login)
    logins = login_routes(people, credentials, settings, provider=provider.name if provider else "")
    logins = logins if settings.login else []
    if provider is not None:
        logins += oidc_routes(provider, people, workspace.fleet, settings)
    jobs = Asking(workspace.fleet)
    intake = ServiceIntake(workspace.path, Path(settings.spool) if settings.spool else None)
    changed = partial(_changed, workspace)
    service = Service(workspace, jobs, people, keys, credentials, now, changed, intake.inbox)
    worker = _worker(workspace, settings)
    pages = [*site_routes(workspace, jobs.submit), *logins]
    app = create_app(
        workspace,
        settings,
        service=service,
        authenticator=credentials,
        pages=pages,
        ingest=intake.app,
        checks=(intake.check, _workers_of(workspace, worker)),
    )
    traces = tracing()
    config = uvicorn.Config(
        app if traces is None else traces.traced(app),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=10,
    )
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
    say(f"Serving {workspace.path} at {address} (Ctrl-C ends)")
    token = people.bootstrap(now()) if settings.login else None
    if token is not None:
        say(f"There is no user yet: make the first one at {address}setup with this token, shown only now: {token}")
    # What stands now stands until the end: looking through it again and again would hold requests up.
    gc.collect()
    gc.freeze()
    if worker is not None:
        worker.start()
    # uvicorn raises a signal again once it has ended; by default that would end us before what follows.
    signal.signal(signal.SIGTERM, _leave)
    try:
        with intake:
            uvicorn.Server(config).run(sockets=[listening])
    finally:
        if worker is not None:
            worker.stop()
        if traces is not None:
            traces.close()


def _leave(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise SystemExit(0)


def _worker(workspace: Workspace, settings: Settings) -> KeptProcess | None:
    """Return the worker that is kept beside this process, if one is to be."""
    if not settings.worker:
        return None
    work = Work(tuple(sorted(settings.private_hosts)), settings.spool, settings.public_url)
    return KeptProcess("pitstop.service.worker", [str(workspace.path), json.dumps(asdict(work))], "does the work")


def _workers_of(workspace: Workspace, kept: KeptProcess | None) -> Callable[[], Check]:
    """Return how to find out how the workers are. Rows are taken in without them too, as long as there is room."""

    def workers() -> Check:
        problems = [kept.problem] if kept is not None and kept.problem else []
        alive = Workers(workspace.fleet).all(now())
        problems += [f"{worker.name}: {worker.problem}" for worker in alive if worker.problem]
        if not alive and not problems:
            problems = [
                "no worker runs: rows are kept and not stored, and no job is done; start `pitstop up --part worker`"
            ]
        return Check("workers", "degraded" if problems else "ok", "; ".join(problems))

    return workers


def _changed(workspace: Workspace, model: str) -> None:
    """Bring pages and messages up to date beside whoever said something, who has waited for the journal already."""

    def follow() -> None:
        with suppress(PitstopError):
            refresh(workspace, model)
            notice(workspace, model, now())

    threading.Thread(target=follow, name="changed", daemon=True).start()


def _listen(settings: Settings) -> socket.socket:
    """Return a listening socket: the usual port may be replaced by a free one, one that was asked for may not."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    for port in (settings.port, 0) if settings.port == USUAL_PORT else (settings.port,):
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((settings.host, port))
            made.listen(1024)
        except OSError as error:
            made.close()
            why = error
            continue
        return made
    msg = f"cannot listen on {settings.host}:{settings.port} ({why.strerror}); choose another port with --port"
    raise StoreError(msg)
