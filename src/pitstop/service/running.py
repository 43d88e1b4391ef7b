"""`pitstop up`: opens the workspace, puts the parts together, and serves until it is told to stop."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from functools import partial

import uvicorn

from pitstop.errors import StoreError
from pitstop.service.api.operation import Service
from pitstop.service.app import create_app
from pitstop.service.auth.credentials import Credentials, now
from pitstop.service.auth.forms import login_routes
from pitstop.service.auth.keys import Keys
from pitstop.service.auth.people import People
from pitstop.service.jobs.queue import Jobs
from pitstop.service.jobs.schedule import Schedule
from pitstop.service.settings import USUAL_PORT, Settings
from pitstop.service.site.refreshing import refresh_after, refresh_stale
from pitstop.service.site.routes import site_routes
from pitstop.service.workspace import Workspace

# A client that sends nothing must not hold a connection for ever.
KEEP_ALIVE_SECONDS = 30
CONNECTIONS = 2_000


def serve(workspace: Workspace, settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM; `announce` is told the address once it answers.

    Raises `StoreError` where the port is taken.
    """
    listening = _listen(settings)
    host, port = listening.getsockname()[:2]
    people, keys = People(workspace.fleet), Keys(workspace.fleet)
    credentials = Credentials(people, keys, open_to_local=not settings.login)
    jobs = Jobs(workspace, then=partial(refresh_after, workspace))
    service = Service(workspace, jobs, people, keys, credentials, now)
    pages = [*site_routes(workspace), *(login_routes(people, credentials, settings) if settings.login else [])]
    app = create_app(workspace, settings, service=service, authenticator=credentials, pages=pages)
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
        announce(f"http://{f'[{host}]' if ':' in host else host}:{port}/")
        token = people.bootstrap(now()) if settings.login else None
        if token is not None:
            announce(f"the page /setup, where this token makes the first user (once): {token}")
        with Schedule(workspace, jobs, now):
            uvicorn.Server(config).run(sockets=[listening])
    finally:
        jobs.close()


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
