"""Serves one finished page on the loopback address, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pitstop.errors import ReportError

# The page is self-contained: it needs no script and loads nothing.
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
LOOPBACK = "127.0.0.1"


def page_server(page: Path, port: int) -> ThreadingHTTPServer:
    """Return a server of `page` at `/`, bound to the loopback address; port 0 takes a free one.

    Hosts other than the loopback's names are refused (DNS rebinding). Raises `ReportError` where the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
            if host not in (LOOPBACK, "localhost"):
                self.send_error(HTTPStatus.FORBIDDEN, "This server answers on 127.0.0.1 and localhost only")
                return
            if self.path != "/":
                self.send_error(HTTPStatus.NOT_FOUND, "There is one page here, at /")
                return
            body = page.read_bytes()
            self.send_response(HTTPStatus.OK)
            for name, value in HEADERS.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing: requests for one local page are not worth a line each."""

    try:
        return ThreadingHTTPServer((LOOPBACK, port), Handler)
    except OSError as error:
        msg = f"cannot serve on {LOOPBACK}:{port} ({error.strerror}); choose another with --port, or 0 for a free one"
        raise ReportError(msg) from error


def serve(page: Path, port: int, announce: Callable[[str], None]) -> None:
    """Serve a page until interrupted; `announce` is told the address."""
    with page_server(page, port) as server:
        announce(f"http://{LOOPBACK}:{server.server_port}/")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return
