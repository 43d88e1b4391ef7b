"""`pitstop demo`: its options, and how it serves and ends. The bookings are replaced by a history of seconds."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# The command as it is, but for the history and its specification.
ENTRY = """
import pitstop.cli.demo_command as demo
demo.hotel_bookings_path = lambda: {table!r}
demo.hotel_bookings_spec = lambda: open({spec!r}, encoding="utf-8").read()
from pitstop.cli.main import run; run()
"""


@pytest.fixture(scope="module")
def entry(loans: Path) -> str:
    return ENTRY.format(table=str(loans / "loans.csv"), spec=str(loans / "pitstop.toml"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one home for all, so that the replay is walked once."""
    return tmp_path_factory.mktemp("demo") / "home"


def test_without_serving_it_ends_after_the_table_and_the_report(
    pitstop: Callable[..., Any], entry: str, home: Path
) -> None:
    ran = pitstop("demo", "--no-serve", "--home", home, entry=entry)
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[-1] == f"Report: {home / 'report.html'}"
    page = (home / "report.html").read_text(encoding="utf-8")
    assert "CC BY 4.0" in page, "the credit of the data"


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminate"])
def test_it_serves_the_report_until_it_is_stopped(
    started: Callable[..., subprocess.Popen[str]], entry: str, home: Path, ending: signal.Signals
) -> None:
    process = started("demo", "--json", "--port", "0", "--home", home, entry=entry)
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if "Serving" in line:
            break
    address = re.search(r"http://127\.0\.0\.1:(\d+)/ \(Ctrl-C ends\)", said)
    assert address, said
    connection = http.client.HTTPConnection("127.0.0.1", int(address[1]), timeout=10)
    connection.request("GET", "/")
    response = connection.getresponse()
    assert response.status == 200
    assert response.read() == (home / "report.html").read_bytes()
    connection.close()
    process.send_signal(ending)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert json.loads(out)["model"] == "loans", "nothing but the JSON on the standard output"


def test_a_taken_port_is_refused_before_the_work(pitstop: Callable[..., Any], entry: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ran = pitstop("demo", "--port", str(port), "--home", tmp_path / "home", entry=entry)
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
