"""Serves one finished page on the loopback address, and nothing else."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pitstop.errors import ReportError

# The page is self-contained: it needs no script and loads nothing.
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
LOOPBACK = "127.0.0.1"
USUAL_PORT = 8765
# A client that connects and says nothing must not hold a thread for ever.
PATIENCE = 30.0


class PageServer(ThreadingHTTPServer):
    """A server of one file, which it reads at every request."""

    def __init__(self, page: Path, port: int) -> None:
        """Bind to the loopback address and nothing else."""
        super().__init__((LOOPBACK, port), _PageHandler)
        self.page = page


def page_server(page: Path, port: int | None = None) -> PageServer:
    """Return a server of `page` at `/`, listening on the loopback address.

    `port` None is the usual port, or a free one where that is taken; 0 takes a free one. Hosts other than the
    loopback's names are refused (DNS rebinding). Raises `ReportError` where a port that was asked for is taken.
    """
    try:
        return PageServer(page, USUAL_PORT if port is None else port)
    except (OSError, OverflowError) as error:
        if port is None:
            return page_server(page, 0)
        why = getattr(error, "strerror", None) or error
        msg = f"cannot serve on {LOOPBACK}:{port} ({why}); choose another port with --port, or 0 for a free one"
        raise ReportError(msg) from error


def serve(server: PageServer, announce: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM, both of which are the usual end; `announce` is told the address first."""
    with server, _terminated_as_interrupted():
        try:
            announce(f"http://{LOOPBACK}:{server.server_port}/")
            server.serve_forever()
        except KeyboardInterrupt:
            return


class _PageHandler(BaseHTTPRequestHandler):
    server: PageServer
    timeout = PATIENCE

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        if not _is_loopback(self.headers.get("Host", "")):
            self.send_error(HTTPStatus.FORBIDDEN, "This server answers on 127.0.0.1 and localhost only")
            return
        if self.path.partition("?")[0] != "/":
            self.send_error(HTTPStatus.NOT_FOUND, "There is one page here, at /")
            return
        try:
            body = self.server.page.read_bytes()
        except OSError:
            self.send_error(HTTPStatus.NOT_FOUND, "The report is gone; make it again")
            return
        self.send_response(HTTPStatus.OK)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing: requests for one local page are not worth a line each."""


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does. Only the main thread can be told of signals; elsewhere: nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _is_loopback(host: str) -> bool:
    """Return whether a Host header names the loopback address, with or without a port."""
    name, colon, port = host.partition(":")
    return name.lower() in {LOOPBACK, "localhost"} and (port.isdigit() or not colon)
