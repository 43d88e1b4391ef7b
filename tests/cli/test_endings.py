"""How a command ends: the exit code says what happened, and no traceback reaches a person."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

Pitstop = Callable[..., Any]


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_reader_that_goes_away_is_no_finding(tmp_path: Path, more: list[str]) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("wear,tyre\n1,2\n", encoding="utf-8")
    reader, writer = os.pipe()
    os.close(reader)
    code = "from pitstop.cli.main import run; run()"
    words = [sys.executable, "-c", code, "check", str(table), str(table), *more]
    ended = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, "")


def test_what_an_encoding_lacks_is_escaped(tmp_path: Path) -> None:
    for name, head in (("a", "wear,價格,\N{OLD KEY}"), ("b", "wear")):
        (tmp_path / f"{name}.csv").write_text(f"{head}\n{','.join('1' * len(head.split(',')))}\n", encoding="utf-8")
    code = "from pitstop.cli.main import run; run()"
    words = [sys.executable, "-c", code, "check", "a.csv", "b.csv"]
    narrow = {**os.environ, "PYTHONIOENCODING": "cp1252", "COLUMNS": "200"}
    text, document = (
        subprocess.run([*words, *more], cwd=tmp_path, env=narrow, capture_output=True, check=False)
        for more in ([], ["--json"])
    )
    assert (text.returncode, document.returncode) == (1, 1)
    assert rb"\u50f9\u683c: the column is missing" in text.stdout
    columns = [item["column"] for item in json.loads(document.stdout.decode("cp1252"))["findings"]]
    assert columns == ["價格", "\N{OLD KEY}"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["home", "make", "FILE"], "FILE"),
        (["quarantine", "mend", "1", "--workspace", "FILE"], "FILE"),
        (["release", "wear", "v²", "--home", "FILE", "--reason", "a test"], "such as v3"),
        (["status", "--home", "http://localhost:port"], "nonnumeric port"),
        (["value", "wear", "--home", "FILE", "--days-to-fix", "nan"], "got --days-to-fix nan"),
        (["value", "wear", "--home", "FILE", "--days-to-fix=-3"], "expected days from 0"),
        (["journal", "verify", "FILE", "--key", "typed wrongly"], "expected a verifier key"),
        (["evidence", "verify", ".", "--key", "typed wrongly"], "expected a verifier key"),
        (["up", "--port", "-1", "--workspace", "FILE"], "greater than or equal to 0"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    pitstop: Pitstop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("FILE").write_text("not what was meant", encoding="utf-8")
    ran = pitstop(*words)
    assert ran.code == 2
    assert said in ran.err


class Elsewhere(BaseHTTPRequestHandler):
    """Another service, which has a list of models as well, or breaks off."""

    def do_GET(self) -> None:
        content = b'{"object": "list", "data": []}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(content) + ("/short/" in self.path)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815 - the name that http.server looks for

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    "words", [["status"], ["value", "wear"], ["approve", "wear"], ["retrain", "wear", "--reason", "a test"]]
)
def test_a_service_that_is_another_one_is_said_to_be(pitstop: Pitstop, words: list[str]) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        Thread(target=server.serve_forever).start()
        address = f"http://127.0.0.1:{server.server_port}"
        found = [pitstop(*words, "--home", place) for place in (address, f"{address}/short/")]
        server.shutdown()
    for ran in found:
        assert (ran.code, ran.out) == (2, "")
        assert "does not answer as a service of Pitstop does" in ran.err


def test_a_key_does_not_follow_a_redirect_to_another_origin(pitstop: Pitstop, monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[str | None] = []

    class There(Elsewhere):
        def do_GET(self) -> None:
            keys.append(self.headers["Authorization"])
            super().do_GET()

    class Here(Elsewhere):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", there if "moved" in self.path else f"/moved{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()

    monkeypatch.setenv("PITSTOP_KEY", "secret")
    with ThreadingHTTPServer(("127.0.0.1", 0), There) as other, ThreadingHTTPServer(("127.0.0.1", 0), Here) as server:
        there = f"http://127.0.0.1:{other.server_port}/v1/models"
        for one in (other, server):
            Thread(target=one.serve_forever).start()
        ran = pitstop("status", "--home", f"http://127.0.0.1:{server.server_port}")
        for one in (other, server):
            one.shutdown()
    assert (ran.code, keys) == (2, [])
    assert f"sends on to {there}" in " ".join(ran.err.split())


@pytest.mark.parametrize("target", [".", "none/there.html"])
def test_a_page_that_cannot_be_written_is_refused_before_the_work(
    pitstop: Pitstop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = pitstop("check", "none.csv", "none.csv", "--html", target)
    assert (ran.code, ran.out) == (2, "")
    assert "name another file with --html" in ran.err
