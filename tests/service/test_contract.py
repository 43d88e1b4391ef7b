"""The OpenAPI document holds: Schemathesis asks the running service what the document promises, and far beyond."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from pitstop.service.api.openapi import document
from pitstop.service.api.operation import Operation
from pitstop.service.api.table import OPERATIONS
from pitstop.service.auth.credentials import now
from pitstop.service.auth.keys import Keys
from pitstop.service.workspace import Workspace

from .conftest import ADMIN

SETTINGS = Path(__file__).parent / "schemathesis.toml"
EXAMPLES = 5


@pytest.fixture
def running(tmp_path: Path, loans_home: Path) -> Iterator[tuple[str, str]]:
    """Start `pitstop up --login` on a copy of the home; return its address and an admin's key."""
    shutil.copytree(loans_home, tmp_path / "home")
    with Workspace.open(tmp_path / "w") as workspace:
        key = Keys(workspace.fleet).make("contract", ["admin"], None, 1, by=ADMIN, at=now())[1]
    words = ["up", "--workspace", tmp_path / "w", "--home", tmp_path / "home", "--login", "--port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-c", "from pitstop.cli.main import run; run()", *map(str, words)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    with process:
        assert process.stderr is not None
        address = process.stderr.readline().partition(" at ")[2].split()[0].rstrip("/")
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                urlopen(f"{address}/healthz", timeout=5).close()  # noqa: S310 - our own server
                break
            except URLError:
                time.sleep(0.1)
        yield address, key
        process.terminate()


@pytest.mark.slow
def test_schemathesis_finds_no_failure(running: tuple[str, str], tmp_path: Path) -> None:
    program = shutil.which("st", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("Schemathesis is not installed (pip install -r requirements/contract.txt)")
    address, key = running
    words = ["--config-file", str(SETTINGS), "run", f"{address}/openapi.json", "-H", f"Authorization: Bearer {key}"]
    options = ["--max-examples", str(EXAMPLES), "--seed", "1", "--no-color"]
    done = subprocess.run(
        [program, *words, *options], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stdout[-20_000:]
    assert f"Tested: {len(OPERATIONS)}" in done.stdout
    request = Request(f"{address}/v1/me", headers={"Authorization": f"Bearer {key}"})  # noqa: S310 - our own server
    with urlopen(request, timeout=10) as answer:  # noqa: S310 - as above
        assert json.load(answer)["name"] == "root/contract"


def test_the_document_names_every_operation_with_its_roles_and_a_summary() -> None:
    found = document(OPERATIONS)
    made = [item for methods in found["paths"].values() for item in methods.values()]
    assert [item["operationId"] for item in made] == [item.name for item in sorted_by_path()]
    assert all(item["summary"].endswith(".") for item in made)
    assert {item.name for item in OPERATIONS if not item.roles} == set()
    json.dumps(found, allow_nan=False)


def sorted_by_path() -> list[Operation]:
    paths = list(dict.fromkeys(item.path for item in OPERATIONS))
    return sorted(OPERATIONS, key=lambda item: paths.index(item.path))
