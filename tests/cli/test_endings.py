"""How a command ends: the exit code says what happened, and no traceback reaches a person."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
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
        (["home", "make", "FILE"], "Not a directory"),
        (["quarantine", "mend", "1", "--workspace", "FILE"], "FILE"),
        (["release", "wear", "v²", "--home", "FILE", "--reason", "a test"], "such as v3"),
        (["status", "--home", "http://localhost:port"], "nonnumeric port"),
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


@pytest.mark.parametrize("target", [".", "none/there.html"])
def test_a_page_that_cannot_be_written_is_refused_before_the_work(
    pitstop: Pitstop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = pitstop("check", "none.csv", "none.csv", "--html", target)
    assert (ran.code, ran.out) == (2, "")
    assert "name another file with --html" in ran.err
