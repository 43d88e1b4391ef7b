"""`/healthz` and `/readyz` of a worker, on a port of its own where nobody logs in: yes or no, and nothing else."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Self

import uvicorn
from starlette.applications import Starlette

from pitstop.errors import StoreError
from pitstop.service.health import Checks, health_routes
from pitstop.service.workspace import Workspace

_CONNECTIONS = 64


def read_health(text: str) -> tuple[str, int]:
    """Return host and port of `PORT` (on this machine only) or `HOST:PORT`; raise `StoreError` for anything else."""
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) <= 65_535):
        msg = f"got --health {text!r}; expected a port, or HOST:PORT such as 0.0.0.0:9090"
        raise StoreError(msg)
    return host.strip("[]") or "127.0.0.1", int(port)


class HealthPort:
    """A context manager: a thread that answers on `host` and `port` (0: a free one, see `port`).

    Entering raises `StoreError` where the port is taken.
    """

    def __init__(self, workspace: Workspace, checks: Checks, host: str, port: int) -> None:
        self.host, self.port = host, port
        config = uvicorn.Config(
            Starlette(routes=health_routes(workspace, checks)),
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=_CONNECTIONS,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        try:
            listening = socket.create_server(
                (self.host, self.port), family=socket.AF_INET6 if ":" in self.host else socket.AF_INET
            )
        except OSError as error:
            msg = f"cannot listen on {self.host}:{self.port} ({error.strerror or error}); choose another with --health"
            raise StoreError(msg) from error
        self.port = listening.getsockname()[1]
        # Signals are the worker's: uvicorn takes them in the main thread only.
        self._thread = threading.Thread(target=self._server.run, args=([listening],), name="health", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(5)
