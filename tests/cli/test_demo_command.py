"""`pitstop demo`: its options, and how it serves and ends. The bookings are replaced by a history of seconds."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pitstop.cli import demo_command


@pytest.fixture(autouse=True)
def small(loans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the command as it is, but for the history and its specification."""
    monkeypatch.setattr(demo_command, "hotel_bookings_path", lambda: loans / "loans.csv")
    monkeypatch.setattr(demo_command, "hotel_bookings_spec", (loans / "pitstop.toml").read_text)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one home for all, so that the replay is walked once."""
    return tmp_path_factory.mktemp("demo") / "home"


def test_without_serving_it_ends_after_the_table_and_the_report(pitstop: Callable[..., Any], home: Path) -> None:
    ran = pitstop("demo", "--no-serve", "--home", home)
    assert ran.code == 0, ran.err
    report, evidence = ran.out.splitlines()[-2:]
    assert report == f"Report: {home / 'report.html'}"
    assert evidence.startswith(f"Evidence pack: {home / 'evidence' / 'index.html'} ")
    assert pitstop("evidence", "verify", home / "evidence").code == 0
    page = (home / "report.html").read_text(encoding="utf-8")
    assert "CC BY 4.0" in page, "the credit of the data"


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminate"])
def test_it_serves_the_report_until_it_is_stopped(
    pitstop: Callable[..., Any],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    ending: signal.Signals,
) -> None:
    answers: list[tuple[int, bytes]] = []
    # Where the tests run in the background of a shell, Ctrl-C is ignored, and so it would be here.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    monkeypatch.setattr(demo_command, "has_pages", lambda: False)

    def visit(said: str, *, err: bool) -> None:
        """Take the place of the announcement: read the page there as a browser would, then end the command."""
        assert err, "the standard output is for the JSON"
        address = re.fullmatch(r"Serving the report at http://127\.0\.0\.1:(\d+)/ \(Ctrl-C ends\)", said)
        assert address, said
        threading.Thread(target=read, args=(int(address[1]),)).start()

    def read(port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/")
        response = connection.getresponse()
        answers.append((response.status, response.read()))
        connection.close()
        os.kill(os.getpid(), ending)

    monkeypatch.setattr("pitstop.cli.demo_command.typer.echo", visit)
    ran = pitstop("demo", "--json", "--port", "0", "--home", home)
    assert ran.code == 0, ran.err
    assert answers == [(200, (home / "report.html").read_bytes())]
    assert ran.document["model"] == "loans", "nothing but the JSON on the standard output"


def test_it_serves_the_pages_where_what_serves_them_is_installed(
    pitstop: Callable[..., Any], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = pytest.importorskip("pitstop.service.running", reason="the extra `server` is not installed")
    from pitstop.service.site import summaries  # noqa: PLC0415 - needs the extra

    seen: list[tuple[list[str], int, int]] = []

    def serve(workspace: Any, settings: Any, say: Any) -> None:
        say("Serving")
        with workspace.fleet.read() as connection:
            found = summaries.totals(connection)["models"]
        seen.append(([item.name for item in workspace.models()], settings.port, found))

    monkeypatch.setattr(running, "serve", serve)
    ran = pitstop("demo", "--port", "0", "--home", home)
    assert ran.code == 0, ran.err
    assert seen == [(["loans"], 0, 1)]


def test_a_taken_port_is_refused_before_the_work(pitstop: Callable[..., Any], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = pitstop("demo", "--port", str(port), "--home", tmp_path / "home")
    assert (ran.code, ran.out) == (2, "")
    assert f"127.0.0.1:{port}" in ran.err
    assert "--port" in ran.err
    assert not (tmp_path / "home").exists()


def test_a_port_that_is_none_is_a_wrong_option(pitstop: Callable[..., Any], tmp_path: Path) -> None:
    ran = pitstop("demo", "--port", "65536", "--home", tmp_path / "home")
    assert ran.code == 2
    assert "--port" in ran.err
    assert not (tmp_path / "home").exists()


def test_help_names_every_option(pitstop: Callable[..., Any]) -> None:
    ran = pitstop("demo", "--help")
    assert ran.code == 0
    for option in ("--home", "--no-serve", "--port", "--json"):
        assert option in ran.out
