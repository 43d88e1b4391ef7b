"""The page server: one page, on the loopback address, to those who asked for it by that name, until it is stopped."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pitstop.errors import ReportError
from pitstop.service.pages import LOOPBACK, PageServer, page_server, serve

PAGE = "<!doctype html><title>Bericht – ü</title>"  # noqa: RUF001 (a letter of more than one byte, by intent)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    path.write_text(PAGE, encoding="utf-8")
    return path


@pytest.fixture
def server(page: Path) -> Iterator[PageServer]:
    with page_server(page, 0) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join(10)


def ask(
    server: PageServer, path: str = "/", method: str = "GET", host: str | None = None
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(LOOPBACK, server.server_port, timeout=10)
    connection.request(method, path, headers={} if host is None else {"Host": host})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


def test_the_page_is_served_as_it_is_now(server: PageServer, page: Path) -> None:
    response, body = ask(server)
    assert (response.status, body.decode()) == (200, PAGE)
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    page.write_text("new", encoding="utf-8")
    assert ask(server, "/?again=1")[1] == b"new"


def test_the_browser_is_told_to_run_and_load_nothing(server: PageServer) -> None:
    headers = ask(server)[0].headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


def test_only_the_loopback_address_listens(server: PageServer) -> None:
    assert server.server_address[0] == LOOPBACK
    # All of 127/8 is this machine on Linux: an address that nobody bound refuses.
    with socket.socket() as other:
        other.settimeout(2)
        assert other.connect_ex(("127.0.0.2", server.server_port)) != 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "localhost:8765", "LOCALHOST:1"])
def test_loopback_names_are_answered(server: PageServer, host: str) -> None:
    assert ask(server, host=host)[0].status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "localhost.evil.example", "127.0.0.1:x", "", ":1"]
)
def test_other_names_are_refused(server: PageServer, host: str) -> None:
    """A page elsewhere that resolves its own name to 127.0.0.1 must not read the report (DNS rebinding)."""
    response, body = ask(server, host=host)
    assert response.status == 403
    assert PAGE.encode() not in body


@pytest.mark.parametrize("path", ["/report.html", "/../etc/passwd", "/x//", "/favicon.ico"])
def test_other_pages_are_not_found(server: PageServer, path: str) -> None:
    assert ask(server, path)[0].status == 404


def test_head_has_the_headers_and_no_body(server: PageServer) -> None:
    response, body = ask(server, method="HEAD")
    assert (response.status, body) == (200, b"")
    assert response.headers["Content-Length"] == str(len(PAGE.encode()))
    assert ask(server, "/nowhere", method="HEAD")[0].status == 404


def test_nothing_can_be_sent_to_it(server: PageServer) -> None:
    assert ask(server, method="POST")[0].status == 501


def test_a_page_that_is_gone_is_not_found(server: PageServer, page: Path) -> None:
    page.unlink()
    response, body = ask(server)
    assert response.status == 404
    assert b"make it again" in body


def test_a_port_that_is_taken_is_an_error_that_names_the_way_out(page: Path) -> None:
    with page_server(page, 0) as first:
        with pytest.raises(ReportError, match=rf"127\.0\.0\.1:{first.server_port} .*--port") as error:
            page_server(page, first.server_port)
        assert "0 for a free one" in str(error.value)


def test_without_a_port_of_ones_own_the_next_server_takes_a_free_one(page: Path) -> None:
    with page_server(page) as first, page_server(page) as second:
        assert first.server_port != second.server_port


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminate"])
def test_it_ends_cleanly(page: Path, ending: signal.Signals) -> None:
    code = (
        "import sys; from pathlib import Path; from pitstop.service.pages import page_server, serve\n"
        "serve(page_server(Path(sys.argv[1]), 0), lambda address: print(address, flush=True)); print('ended')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(page)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        process.send_signal(ending)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "ended\n", "")


def test_the_handler_of_sigterm_is_given_back(page: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    server = page_server(page, 0)
    addresses: list[str] = []

    def interrupt(address: str) -> None:
        addresses.append(address)
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()

    serve(server, interrupt)
    assert addresses == [f"http://127.0.0.1:{server.server_port}/"]
    assert signal.getsignal(signal.SIGTERM) is before
