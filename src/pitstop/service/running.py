"""`pitstop up`: opens the workspace, puts the parts together, and serves until it is told to stop."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import uvicorn

from pitstop.errors import PitstopError, StoreError
from pitstop.service.api.operation import Service
from pitstop.service.app import create_app
from pitstop.service.auth.credentials import Credentials, now
from pitstop.service.auth.forms import login_routes
from pitstop.service.auth.keys import Keys
from pitstop.service.auth.oidc import Provider, oidc_routes
from pitstop.service.auth.people import People
from pitstop.service.elsewhere.sending import Dispatch
from pitstop.service.ingest.intake import ServiceIntake
from pitstop.service.jobs.board import Job
from pitstop.service.jobs.queue import Jobs
from pitstop.service.jobs.schedule import Schedule
from pitstop.service.notify.courier import Courier, notice
from pitstop.service.settings import USUAL_PORT, Settings
from pitstop.service.site.refreshing import refresh, refresh_after, refresh_stale
from pitstop.service.site.routes import site_routes
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
    jobs = Jobs(workspace, then=partial(_after_job, workspace))
    intake = ServiceIntake(workspace.path)
    changed = partial(_changed, workspace)
    service = Service(workspace, jobs, people, keys, credentials, now, changed, intake.inbox)
    pages = [*site_routes(workspace, jobs.submit), *logins]
    app = create_app(
        workspace,
        settings,
        service=service,
        authenticator=credentials,
        pages=pages,
        ingest=intake.app,
        checks=(intake.check,),
    )
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=10,
    )
    jobs.start()
    # What homes took in while nobody served them; pages answer meanwhile.
    threading.Thread(target=refresh_stale, args=(workspace,), name="pages", daemon=True).start()
    try:
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
        say(f"Serving {workspace.path} at {address} (Ctrl-C ends)")
        token = people.bootstrap(now()) if settings.login else None
        if token is not None:
            say(f"There is no user yet: make the first one at {address}setup with this token, shown only now: {token}")
        courier = Courier(workspace, now, allowed=settings.private_hosts)
        asked = Dispatch(workspace, jobs, now, allowed=settings.private_hosts, server=settings.public_url)
        with Schedule(workspace, jobs, now), courier, asked, intake:
            uvicorn.Server(config).run(sockets=[listening])
    finally:
        jobs.close()


def _after_job(workspace: Workspace, job: Job) -> None:
    refresh_after(workspace, job)
    with suppress(PitstopError):
        notice(workspace, job.model, now())


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
