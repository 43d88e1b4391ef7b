"""The commands at a server: what they print is, word for word, what they print in the home's folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from typer.testing import CliRunner

from pitstop.cli.main import app
from pitstop.errors import AccessError, ReleaseError, StoreError
from pitstop.service.api.printing import COMMANDS
from pitstop.service.auth.credentials import now
from pitstop.service.auth.keys import Keys
from pitstop.service.workspace import Workspace
from pitstop.store.home import Home

from .conftest import ADMIN

READING = {
    "status": ["status", "loans"],
    "incidents": ["incidents", "loans"],
    "releases": ["releases", "loans"],
    "value": ["value", "loans"],
    "challenger": ["challenger", "loans"],
    "served": ["served", "loans", "--at", "2024-05-01"],
    "evidence": ["evidence", "loans"],
    "incident-list": ["incident", "list", "loans", "--as-of", "2024-05-10"],
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, loans_home: Path) -> Iterator[tuple[str, Path]]:
    """Start `pitstop up --login` on a copy of the home; return its address and the home, with an admin's key set."""
    folder = tmp_path_factory.mktemp("at-a-server")
    shutil.copytree(loans_home, folder / "home")
    with Workspace.open(folder / "w") as workspace:
        key = Keys(workspace.fleet).make("cli", ["admin"], None, 1, by=ADMIN, at=now())[1]
    words = ["up", "--workspace", folder / "w", "--home", folder / "home", "--login", "--port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-c", "from pitstop.cli.main import run; run()", *map(str, words)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    with process, pytest.MonkeyPatch.context() as patched:
        assert process.stderr is not None
        address = process.stderr.readline().partition(" at ")[2].split()[0].rstrip("/")
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                urlopen(f"{address}/healthz", timeout=5).close()  # noqa: S310 - our own server
                break
            except URLError:
                time.sleep(0.1)
        patched.setenv("PITSTOP_KEY", key)
        patched.setenv("COLUMNS", "80")
        yield address, folder / "home"
        process.terminate()


def said(*words: str) -> tuple[int, str]:
    """Run a command; return its exit code and what it printed. Raises what it raises."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


@pytest.mark.slow
def test_what_is_read_is_printed_word_for_word(service: tuple[str, Path], tmp_path: Path) -> None:
    address, home = service
    assert {*READING, "journal-verify", "journal-prove"} == set(COMMANDS)
    for name, words in READING.items():
        # Half of them as text, half as JSON, the richest as both: each costs a process at the server.
        for form in {"value": ([], ["--json"]), "incidents": ([],), "served": ([],)}.get(name, (["--json"],)):
            here = said(*words, "--home", str(home), *form)
            assert said(*words, "--server", address, *form) == here, (name, form)
            assert here[1].strip(), name
    for words in (["verify", "--json"], ["verify", "--rows"], ["prove"]):
        tail = [] if words[0] == "verify" else ["3"]
        here = said("journal", words[0], str(home), *tail, *words[1:])
        assert said("journal", words[0], address, *tail, *words[1:], "--model", "loans") == here
    assert said("evidence", "loans", "--home", address, "--score") == said(
        "evidence", "loans", "--home", str(home), "--score"
    )
    (one,) = json.loads(said("status", "--home", address, "--json")[1])["models"]
    assert one == json.loads(said("status", "--home", str(home), "--json")[1])["models"][0]
    # A copy of the journal comes over the wire in parts that only grow, and verifies offline.
    copy = tmp_path / "copy"
    first = said("journal", "export", address, "--model", "loans", "--to", str(copy))
    with Home.open(home, read_only=True) as kept:
        size = kept.journal_head().size
    assert first == (0, f"{size:,} entries were copied to {copy}.\n")
    assert said("journal", "export", address, "--model", "loans", "--to", str(copy))[1] == f"{copy} is up to date.\n"
    assert json.loads(said("journal", "verify", str(copy), "--json")[1])["entries"] == size
    assert said("journal", "verify", str(home), "--against", str(copy))[0] == 0


@pytest.mark.slow
def test_what_is_ordered_and_said_is_done_there(service: tuple[str, Path], loans: Path, tmp_path: Path) -> None:
    address, home = service
    here = tmp_path / "home"
    shutil.copytree(home, here)
    spec = ["--spec", str(loans / "pitstop.toml"), "--by", "root"]

    def both(*words: str) -> Any:
        there, local = said(*words, "--server", address, "--json"), said(*words, "--home", str(here), *spec, "--json")
        assert there[0] == local[0] == 0
        found, expected = json.loads(there[1]), json.loads(local[1])
        assert found == expected, words
        return found

    assert both("release", "loans", "v2", "--reason", "a test")["champion"] == "v2"
    assert both("rollback", "loans", "--reason", "a test")["champion"] == "v1"
    text = said("journal", "verify", address, "--model", "loans")[1]
    assert "intact" in text
    declared = ["incident", "declare", "loans", "--text", "wrong letters were sent", "--aware-at", "2024-05-10"]
    there = json.loads(said(*declared, "--server", address, "--json")[1])["recorded"]
    local = json.loads(said(*declared, "--home", str(here), "--by", "root", "--json")[1])["recorded"]
    assert [item["kind"] for item in there] == [item["kind"] for item in local]
    assert there[0]["by"] == local[0]["by"] == "root"
    assert said(*READING["incident-list"], "--home", address)[0] == 0
    with pytest.raises(StoreError, match=r"failed.*is not in shadow"):
        said("release", "loans", "v9", "--reason", "a test", "--server", address)


@pytest.mark.slow
def test_a_server_that_says_no_is_told_in_one_sentence(
    service: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, _ = service
    with pytest.raises(StoreError, match=r"404.*no model 'nobody'"):
        said("value", "nobody", "--home", address)
    code = CliRunner().invoke(app, ["served", "loans", "--at", "never", "--home", address])
    assert (code.exit_code, "never" in code.stderr) == (2, True)
    with pytest.raises(StoreError, match="no pack is called"):
        said("evidence", "loans", "--home", address, "--pack", "../../etc/passwd")
    with pytest.raises(StoreError, match="does not answer"):
        said("value", "loans", "--home", "http://127.0.0.1:9")
    with pytest.raises(ReleaseError, match="needs a name"):
        said("rollback", "loans", "--home", "/nowhere", "--reason", "x")
    monkeypatch.setenv("PITSTOP_SERVER", address)
    assert said("status")[0] == 0
    monkeypatch.setenv("PITSTOP_KEY", "pitstopaaaaaaaaaa_x")
    with pytest.raises(AccessError, match=r"401.*PITSTOP_KEY"):
        said("status")
