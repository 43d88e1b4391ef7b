"""A small history whose relation turns round half-way, its specification, and a way to run the real command on it."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from pitstop.cli.main import run as run_command_line

FIRST_DAY = date(2024, 1, 1)
DAYS, ROWS_PER_DAY, TURN = 196, 10, 126

SPEC = """
[model]
name = "loans"
task = "binary"

[columns]
time = "day"
id = "id"
label = "paid"
label_time = "paid_on"
features = ["income", "branch"]
categorical = ["branch"]

[time]
window = "week"
period = 4

[decision]
positive = "1"

[value]
currency = "EUR"
true_positive = 3.0
false_positive = -5.0

[costs]
release = 20.0

[replay]
start = "2024-03-25"
"""


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What it printed, as JSON: nothing else may stand there."""
        return json.loads(self.out)


@pytest.fixture(scope="session")
def pitstop() -> Callable[..., Ran]:
    """Run `pitstop WORDS` to its end, in this process: starting one costs more than most of these commands."""

    def run(*words: str | Path) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "argv", ["pitstop", *map(str, words)])
            patch.setenv("COLUMNS", "100")
            with pytest.raises(SystemExit) as ended:
                run_command_line()
        code = ended.value.code
        return Ran(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `pitstop WORDS` and go on; what still runs at the end of the test is ended."""
    running: list[subprocess.Popen[str]] = []

    def start(*words: str | Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", "from pitstop.cli.main import run; run()", *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        with process:
            if process.poll() is None:
                process.kill()


@pytest.fixture(scope="session")
def loans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `loans.csv` and its `pitstop.toml`."""
    folder = tmp_path_factory.mktemp("loans")
    draw = random.Random(3)
    with (folder / "loans.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "day", "income", "branch", "paid", "paid_on"])
        for number in range(DAYS * ROWS_PER_DAY):
            day = number // ROWS_PER_DAY
            income, branch = round(draw.gauss(0, 1), 3), draw.choice("abc")
            odds = (2 * income + (1 if branch == "a" else -1)) * (1 if day < TURN else -1)
            paid = int(draw.random() < 1 / (1 + math.exp(-odds)))
            at = FIRST_DAY + timedelta(days=day)
            writer.writerow([f"r{number}", at, income, branch, paid, at + timedelta(days=3)])
    (folder / "pitstop.toml").write_text(SPEC, encoding="utf-8")
    return folder
